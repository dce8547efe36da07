"""The reader of the institute's questions: both forms of its fields, and every mistake."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from prep.sources import cci


def item(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One item of our own making; `changes` go into its input, or are id or output."""
    stem = f"MADE{number:04d}.1"
    said = ["어제 산에 다녀왔어요.", "단풍이 들었던가요?", "네, 아주 붉었어요."]
    given = {
        "conversation": [
            {"speaker": 1 + k % 2, "utterance": text, "utterance_id": f"{stem}.{k + 1}"}
            for k, text in enumerate(said)
        ],
        "reference_id": [f"{stem}.3"],
        "category": "전제",
        "inference_1": "화자2가 산에 갔다.",
        "inference_2": "지금은 봄이다.",
        "inference_3": "산에 단풍나무가 있다.",
    }
    record = {"id": f"made-{number}", "input": given, "output": "inference_3"}
    for key, value in changes.items():
        (record if key in ("id", "output") else given)[key] = value
    return record


def save(folder: Path, content: Any) -> Path:
    path = folder / "made.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def read(folder: Path, *items: Any) -> list[cci.Question]:
    return cci.read(save(folder, list(items)), "train")[0]


def error(folder: Path, *items: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, *items)
    text = str(caught.value)
    assert text.startswith(f"{folder / 'made.json'}, item ")
    assert "\n" not in text
    return text.partition(", ")[2]


def test_a_question_as_published(tmp_path: Path) -> None:
    [question] = read(tmp_path, item())
    assert question.model_dump() == {
        "id": "made-1",
        "source": "cci-2024",
        "split": "train",
        "group": "MADE0001.1",
        "turns": [
            {"speaker": "화자1", "text": "어제 산에 다녀왔어요.", "id": "MADE0001.1.1"},
            {"speaker": "화자2", "text": "단풍이 들었던가요?", "id": "MADE0001.1.2"},
            {"speaker": "화자1", "text": "네, 아주 붉었어요.", "id": "MADE0001.1.3"},
        ],
        "passage": None,
        "focus": ["MADE0001.1.3"],
        "category": "전제",
        "question": None,
        "note": None,
        "options": ["화자2가 산에 갔다.", "지금은 봄이다.", "산에 단풍나무가 있다."],
        "answer": 2,
    }


def test_merged_utterances(tmp_path: Path) -> None:
    said = [
        {"speaker": "2", "utterance": "가요. 같이 가요.", "utterance_id": ["d.1.1", "d.1.2"]},
        {"speaker": "1", "utterance": "그래요.", "utterance_id": ["d.1.3"]},
    ]
    [question] = read(tmp_path, item(conversation=said, reference_id=["d.1.2", "d.1.1", "d.1.3"]))
    assert [(turn.id, turn.speaker) for turn in question.turns] == [
        ("d.1.1", "화자2"),
        ("d.1.3", "화자1"),
    ]
    assert question.focus == ["d.1.1", "d.1.3"]
    assert question.group == "d.1"


def test_one_to_three_references(tmp_path: Path) -> None:
    one = "MADE0001.1.2"
    assert read(tmp_path, item(reference_id=one))[0].focus == [one]
    three = [f"MADE0001.1.{k}" for k in (3, 1, 2)]
    assert read(tmp_path, item(reference_id=three))[0].focus == three


def test_an_output_that_is_empty_or_absent(tmp_path: Path) -> None:
    absent = item(2)
    del absent["output"]
    assert [q.answer for q in read(tmp_path, item(output=""), absent)] == [None, None]


def test_utterances_that_are_no_strings_are_reported(tmp_path: Path) -> None:
    numbers = item()
    for turn, value in zip(numbers["input"]["conversation"], (8, 2.5, "셋"), strict=True):
        turn["utterance"] = value
    [question], changes = cci.read(save(tmp_path, [numbers]), "test")
    assert [turn.text for turn in question.turns] == ["8", "2.5", "셋"]
    assert [change.model_dump() for change in changes] == [
        {
            "id": "made-1",
            "source": "cci-2024",
            "split": "test",
            "field": f"input.conversation.{k}.utterance",
            "before": before,
            "after": after,
            "reason": "not-a-string",
        }
        for k, before, after in ((0, 8, "8"), (1, 2.5, "2.5"))
    ]


def test_text_is_nfc_on_one_line(tmp_path: Path) -> None:
    loose = item(inference_1=unicodedata.normalize("NFD", " 화자2가\n산에  갔다. "))
    loose["input"]["category"] = unicodedata.normalize("NFD", "전제")
    [question] = read(tmp_path, loose)
    assert question.options[0] == "화자2가 산에 갔다."
    assert question.category == "전제"


WRONG = {
    "unknown category": (item(category="결과"), "unknown category '결과'; give one of 원인, "),
    "no such option": (item(output="inference_4"), "'inference_4' names no option; give one of"),
    "two answers": (item(output=["inference_1", "inference_2"]), "2 answers; give one of"),
    "two right options": (
        item(inference_1=" 산에  단풍나무가 있다."),
        "inference_1 and inference_3 are identical",
    ),
    "empty option": (item(inference_2="  "), "inference_2 is empty"),
    "no turn": (item(reference_id=["MADE0001.1.9"]), "reference MADE0001.1.9 is no utterance"),
    "no reference": (item(reference_id=[]), "reference_id names no utterance"),
    "wrong speaker": (
        item(conversation=[{"speaker": 3, "utterance": "음", "utterance_id": "d.1.1"}]),
        "field input.conversation.0.speaker: ",
    ),
    "wrong type": (item(inference_3=3), "field input.inference_3: Input should be a valid string"),
    "no utterances": (item(conversation=[]), "field input.conversation: "),
    "unknown field": (item(answer="inference_1"), "field input.answer: "),
    "lone surrogate": (item(inference_1="\ud800"), "holds half a character"),
    "two dialogues": (
        item(
            conversation=[
                {"speaker": 1, "utterance": "음", "utterance_id": f"{stem}.1"}
                for stem in ("d", "e")
            ]
        ),
        "must share what stands before their last dot",
    ),
    "one id for two utterances": (
        item(conversation=[{"speaker": 1, "utterance": "음", "utterance_id": ["d.1", "d.1"]}]),
        "utterance_id d.1 is there twice",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes_name_the_item(tmp_path: Path, mistake: str) -> None:
    wrong, sentence = WRONG[mistake]
    path = tmp_path / "made.json"
    path.write_text(json.dumps([item(7), wrong]), encoding="ascii")
    with pytest.raises(UserError) as caught:
        cci.read(path, "train")
    assert str(caught.value).startswith(f"{path}, item made-1: ")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_field_and_a_missing_id(tmp_path: Path) -> None:
    wrong = item()
    del wrong["input"]["category"]
    assert error(tmp_path, wrong) == "item made-1: field input.category: Field required"
    del wrong["id"]
    assert error(tmp_path, item(2), wrong).startswith("item number 2: field id: Field required")
    assert error(tmp_path, "text").startswith("item number 1: ")


def test_a_doubled_id_gets_a_name_of_its_own(tmp_path: Path) -> None:
    asked, _ = cci.read(save(tmp_path, [item(), item()]), "train")
    assert [one.id for one in asked] == ["made-1", "made-1#2"]


@pytest.mark.parametrize("content", [{}, "text"])
def test_not_a_list_of_items(tmp_path: Path, content: Any) -> None:
    with pytest.raises(UserError, match=r"made\.json: .* not a list of records"):
        cci.read(save(tmp_path, content), "train")


def test_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"made\.json: holds no records"):
        cci.read(save(tmp_path, []), "train")


def test_malformed_json_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "made.json"
    path.write_text('[{"id": "a",\n "input": }]', encoding="utf-8")
    with pytest.raises(UserError, match=r"made\.json: malformed JSON at line 2, column 11"):
        cci.read(path, "train")


def test_a_missing_file_says_where_the_corpus_is_requested(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such file; .*kli\.korean\.go\.kr .*params\.yaml"):
        cci.read(tmp_path / "none.json", "train")
