"""Texts that a model writes: generated, measured against what is right, and handed in."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.jsonl import read_records, write_records
from core.records import Message, Row
from ensemble import text_submission
from eval import generate, score_texts
from eval.metrics.answer_texts import MEASURES, character_f1, exact, measured, rouge, unread
from eval.written import RightTexts, WrittenText, read_references
from tests.support.paths import ROOT

RIGHT = "세종 대왕이 훈민정음을 만들었다."


def test_exact_match_looks_over_spaces_marks_and_case() -> None:
    assert exact("세종대왕이  훈민정음을 만들었다", RIGHT) == 1
    assert exact("ⓒABC", "ⓒabc.") == 1
    assert exact("세종 대왕이 훈민정음을 만들지 않았다.", RIGHT) == 0
    assert exact("3-2", "3+2") == 0


def test_f1_counts_characters() -> None:
    assert character_f1("서울", "서울시") == pytest.approx(2 * 2 / 5)
    assert character_f1("가가", "가") == pytest.approx(2 / 3)
    assert character_f1("바다", "하늘") == character_f1("", "가") == 0
    assert character_f1(RIGHT, RIGHT) == 1


def test_rouge_counts_morphemes_not_words() -> None:
    assert rouge(RIGHT, RIGHT) == [1, 1, 1]
    one, two, longest = rouge("훈민정음은 세종 대왕이 만들었다", RIGHT)
    assert 0.8 < one < 1  # the particle alone differs; of words two of four would
    assert two < longest < one
    assert rouge("김치", RIGHT) == [0, 0, 0]


def test_of_several_right_texts_the_best_counts() -> None:
    assert measured("한글", ["훈민정음", "한글"]) == [1, 1, 1, 0, 1, 1]
    assert dict(zip(MEASURES, measured(RIGHT, ["세종", RIGHT]), strict=True))["rouge2"] == 1


@pytest.mark.parametrize(
    ("text", "ended", "reason"),
    [
        (None, True, "missing"),
        (" \n", True, "empty"),
        ("\u200b\u3164\n", True, "empty"),
        ("답: 서울", False, "cut-off"),
        ("서울", True, "wrong-form"),
        ("답: 서울\n", True, None),
    ],
)
def test_what_cannot_be_read_has_a_reason(text: str | None, ended: bool, reason: str) -> None:
    assert unread(text, ended, re.compile("답: .+")) == reason


def references(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"q-{k}",
            "references": [f"{k}번 우물", f"우물 {k}"],
            "group": f"g-{k // 2}",
            "category": "사실" if k % 2 else "의견",
        }
        for k in range(count)
    ]


def test_the_command_scores_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_records(tmp_path / "right.jsonl", references(24))
    texts = [{"id": f"q-{k}", "text": f"우물 {k}" if k % 3 else f"{k}번째 강"} for k in range(22)]
    texts[4] |= {"ended": False}
    write_records(tmp_path / "texts.jsonl", texts)
    names = [str(tmp_path / f"{name}.jsonl") for name in ("texts", "right", "items")]
    command = [names[0], "--references", names[1], "--items", names[2]]
    score_texts.main([*command, "--json", str(tmp_path / "all.json")])
    said = capsys.readouterr().out
    assert "3 of 24 could not be read: 1 cut-off, 2 missing" in said
    found = json.loads((tmp_path / "all.json").read_text("utf-8"))
    assert found["unread"] == {"q-4": "cut-off", "q-22": "missing", "q-23": "missing"}
    everything = found["results"]["all"]
    assert (everything["n"], everything["exact"]["mean"]) == (24, round(13 / 24, 6))
    assert everything["format"]["mean"] == 21 / 24
    low, high = everything["exact"]["interval95"]  # over 12 groups
    assert low < 13 / 24 < high
    assert {name: part["n"] for name, part in found["results"].items()} == {
        "all": 24,
        "의견": 12,
        "사실": 12,
    }
    items = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    assert items[1]["exact"] == 1.0
    assert items[4] == {"id": "q-4", **dict.fromkeys(MEASURES, 0.0)}
    assert 0 < items[3]["f1"] < 1


def row(number: int, answer: str | None = None) -> Row:
    said = [Message(role="user", content=f"{number}번 마을의 이름은?")]
    said += [Message(role="assistant", content=answer)] if answer else []
    fields = dict.fromkeys(("category", "prompt", "labels", "order", "answer"))
    place = {"id": f"t-{number}", "record": f"t-{number}", "group": f"t-{number}"}
    return Row(**place, source="own", split="train", messages=said, **fields)


@pytest.mark.slow
def test_rows_to_a_submission_by_a_real_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, texts = tmp_path / "rows.jsonl", tmp_path / "texts.jsonl"
    write_records(rows, [row(1), row(2, "샘골"), row(3)])
    command = ["--model", str(ROOT / "recipes/tiny/base"), "--data", str(rows), "--out", str(texts)]
    generate.main([*command, "--max-tokens", "3"])
    written = read_records(texts, WrittenText)
    assert [one.id for one in written] == ["t-1", "t-2", "t-3"]
    meta = json.loads((tmp_path / "texts.meta.json").read_text("utf-8"))
    assert meta["cut_off"] == sum(not one.ended for one in written)
    assert (meta["method"], meta["max_tokens"], meta["data"]["rows"]) == ("text", 3, 3)
    before = texts.read_bytes()
    generate.main([*command, "--max-tokens", "3"])
    assert texts.read_bytes() == before

    items = [{"id": f"t-{k}", "input": {"question": "?"}, "output": ""} for k in (1, 2, 3)]
    (tmp_path / "test.json").write_text(json.dumps(items), "utf-8")
    out = tmp_path / "submission.json"
    handed = ["--test", str(tmp_path / "test.json"), "--out", str(out)]
    text_submission.main([str(texts), *handed, "--field", "output.answer"][:-2])
    done = json.loads(out.read_text("utf-8"))
    assert [one["output"] for one in done] == [one.text for one in written]
    assert [{**one, "output": ""} for one in done] == items
    assert f"3 texts, {sum(not w.ended or not w.text for w in written)} of them" in (
        capsys.readouterr().out
    )
    with pytest.raises(UserError, match=r"item t-1: output is no object; give another --field"):
        text_submission.main([str(texts), *handed, "--field", "output.answer"])
    with pytest.raises(UserError, match="--field id: holds the items' ids; name the field of"):
        text_submission.main([str(texts), *handed, "--field", "id"])
    write_records(rows, [row(1, "샘골")])
    write_records(texts, written[:1])
    score_texts.main([str(texts), "--references", str(rows)])
    assert "1 dialogue or passage is too few" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("texts", "right", "sentence"),
    [
        ([{"id": "a", "text": "가"}] * 2, [{"id": "a"}], "texts.jsonl: id a stands there twice"),
        ([{"id": "b", "text": "가"}], [{"id": "a"}], "1 ids are not in .*, the first is b; name"),
        ([], [{"id": "a"}, {"id": "a"}], "id a stands there twice; put its texts into one list"),
        ([], [{"id": "a", "references": []}], r"line 1: field references: List should have at"),
        ([], [{"id": "a", "references": ["가", "\u200b"]}], "a right text of id a is empty; fill"),
        ([], [], r"right\.jsonl: holds no right text"),
        ([], [row(1).model_dump()], "line 1: ends with no right text; name rows with answers"),
    ],
    ids=["twice", "unknown", "doubled", "no-reference", "an-empty-one", "empty", "a-scoring-row"],
)
def test_files_that_do_not_fit_are_refused(
    texts: list[Any], right: list[Any], sentence: str, tmp_path: Path
) -> None:
    write_records(tmp_path / "texts.jsonl", texts)
    lines = [one if "messages" in one else {"references": ["가"], **one} for one in right]
    write_records(tmp_path / "right.jsonl", lines)
    with pytest.raises(UserError, match=sentence) as caught:
        score_texts.main(
            [str(tmp_path / "texts.jsonl"), "--references", str(tmp_path / "right.jsonl")]
        )
    assert "\n" not in str(caught.value)


def test_a_row_in_another_order_is_joined_by_its_record(tmp_path: Path) -> None:
    shown = row(1, "샘골").model_copy(update={"id": "t-1~BA"})  # generate.py writes t-1
    write_records(tmp_path / "rows.jsonl", [shown])
    assert [one.id for one in read_references(tmp_path / "rows.jsonl")] == ["t-1"]


def test_a_form_that_is_none_and_a_submission_without_texts_are_refused(tmp_path: Path) -> None:
    write_records(tmp_path / "t.jsonl", [])
    write_records(tmp_path / "r.jsonl", [RightTexts(id="a", references=["가"])])
    named = [str(tmp_path / "t.jsonl"), "--references", str(tmp_path / "r.jsonl")]
    for form in ("(", "a{99999999999}", f"{'(' * 5000}{')' * 5000}"):
        with pytest.raises(UserError, match=r"--form .{1,60}: no regular expression"):
            score_texts.main([*named, "--form", form])
    for content, sentence in (
        ("[]", "is no list of items"),
        ('[{"output": ""}]', "item 1: has no id"),
        ('[{"id": "a"}, {"id": "a"}]', "id a stands there twice"),
        ('[{"id": "a"}]', "no text for 1 of 1 items, the first is a; generate the texts of all"),
    ):
        (tmp_path / "test.json").write_text(content)
        with pytest.raises(UserError, match=sentence):
            text_submission.main(
                [
                    *(str(tmp_path / "t.jsonl"), "--test", str(tmp_path / "test.json")),
                    *("--out", str(tmp_path / "out.json")),
                ]
            )
        assert not (tmp_path / "out.json").exists()
