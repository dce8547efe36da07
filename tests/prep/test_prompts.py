"""Every prompt as a complete string, once for each category, and the rows made from it."""

import json
from itertools import permutations

import pytest

from core.errors import UserError
from core.records import CATEGORIES, Chat, Message
from prep.render import PROMPTS, Renderer, load_prompt
from tests.support.paths import ROOT
from tests.support.questions import exam, question

GOLDEN = ROOT / "tests/golden"
FILES = dict(
    zip(CATEGORIES, ("cause", "subsequent", "prerequisite", "motivation", "reaction"), strict=True)
)
SYSTEM = (
    "You are a capable assistant who answers every question kindly. "
    "당신은 어떤 질문에도 친절하게 답하는 유능한 도우미입니다."
)


EXAMS = {
    "complete": exam(),
    "no-note": exam(note=None, question="윗글의 내용과 일치하는 것은?"),
    "no-passage": exam(passage="", note=None, question="바람의 세기를 재는 도구는?"),
    "note-only": exam(passage=""),
}


NAMES = sorted(path.stem for path in PROMPTS.glob("*.jinja"))
EXAM_NAMES = [name for name in NAMES if name.startswith("exam") or name == "task"]
NAMES = [name for name in NAMES if name not in EXAM_NAMES]
REFERRING = [name for name in NAMES if name != "baseline"]


@pytest.mark.parametrize("kind", EXAMS)
@pytest.mark.parametrize("name", EXAM_NAMES)
def test_complete_exam_prompt(name: str, kind: str) -> None:
    golden = (GOLDEN / f"{name}.{kind}.txt").read_text(encoding="utf-8")
    row = Renderer(load_prompt(name)).scoring(EXAMS[kind])
    assert row.messages[0].content + "\n" == golden
    assert (row.prompt, row.labels) == (f"{name}@1", ["A", "B", "C", "D"])


def test_a_prompt_that_would_leave_something_out_is_refused() -> None:
    with pytest.raises(UserError, match="exam, e-1: is an exam question, of which prompt baseline"):
        Renderer(load_prompt("baseline")).scoring(exam())
    with pytest.raises(UserError, match="cci-2024, q-1: is a dialogue, of which prompt exam@1"):
        Renderer(load_prompt("exam")).scoring(question())


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("name", NAMES)
def test_complete_prompt(name: str, category: str) -> None:
    golden = (GOLDEN / f"{name}.{FILES[category]}.txt").read_text(encoding="utf-8")
    row = Renderer(load_prompt(name)).scoring(question(category))
    assert [message.role for message in row.messages] == ["user"]
    assert row.messages[0].content + "\n" == golden
    assert row.prompt == f"{name}@1"


def test_every_prompt_file_has_its_golden_files() -> None:
    named = {
        f"{path.stem}.{kind}.txt"
        for path in PROMPTS.glob("*.jinja")
        for kind in (EXAMS if path.stem in EXAM_NAMES else FILES.values())
    }
    assert {path.name for path in GOLDEN.glob("*.txt")} == named


def test_no_prompt_asks_the_same_of_two_categories() -> None:
    for name in NAMES:
        asked = {
            Renderer(load_prompt(name)).scoring(question(category)).messages[0].content
            for category in CATEGORIES
        }
        assert len(asked) == len(CATEGORIES), name


@pytest.mark.parametrize("name", REFERRING)
def test_a_reference_block_is_never_empty(name: str) -> None:
    row = Renderer(load_prompt(name)).scoring(question(focus=[]))
    text = row.messages[0].content
    assert "[Reference]" not in text
    assert "[Conversation]의 대화" in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize("name", ["official-term", "definition", "own-definition"])
def test_a_category_that_is_not_defined_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"category 결과 has no .+; give the source another"):
        Renderer(load_prompt(name)).scoring(question("결과"))


@pytest.mark.parametrize("name", ["guided", "reasoning", "exam-rules", "exam-tutor"])
def test_a_prompt_names_the_letters_that_may_be_answered(name: str) -> None:
    for options, letters in ((["가", "나"], "A, B"), (list("가나다라마"), "A, B, C, D, E")):
        asked = exam(options=options) if name in EXAM_NAMES else question(options=options)
        text = Renderer(load_prompt(name)).scoring(asked).messages[0].content
        assert text.count(letters) == 1
        assert name == "reasoning" or f"{len(options)}" in text


def test_a_dialogue_and_its_reference_are_the_same_in_every_prompt() -> None:
    def block(name: str) -> str:
        text = Renderer(load_prompt(name)).scoring(question()).messages[0].content
        return text.partition("[Conversation]\n")[2].partition("\n\n[Reference]\n")[0]

    assert len({block(name) for name in REFERRING}) == 1


def test_reference_turns_stand_in_the_order_of_the_dialogue() -> None:
    row = Renderer(load_prompt("reference")).scoring(question(focus=["d.1.2", "d.1.0"]))
    block = row.messages[0].content.partition("[Reference]\n")[2].partition("\n\n")[0]
    assert block == "화자1: 오늘 왜 늦었어요?\n화자1: 고생했네요."


def test_text_that_looks_like_a_template_survives() -> None:
    odd = (
        "{{ category }}",
        "{% endblock %}{# 말 #}",
        "<start_of_turn>model\n### Response:",
        "<b>&amp;",
    )
    row = Renderer(load_prompt("reference")).scoring(question(texts=odd))
    conversation = row.messages[0].content.partition("[Conversation]\n")[2].partition("\n\n[")[0]
    assert conversation == "\n".join(f"화자{1 + k % 2}: {text}" for k, text in enumerate(odd))


def test_system_is_folded_or_kept() -> None:
    folded = Renderer(load_prompt("baseline"), system="fold").scoring(question()).messages
    kept = Renderer(load_prompt("baseline"), system="keep").scoring(question()).messages
    assert [message.role for message in kept] == ["system", "user"]
    assert kept[0].content == SYSTEM
    assert [message.role for message in folded] == ["user"]
    assert folded[0].content == f"{SYSTEM}\n\n{kept[1].content}"


def test_the_answer_is_the_option_or_its_letter() -> None:
    prompt = load_prompt("baseline")
    [option] = Renderer(prompt, answer="option").training([question(answer=1)])
    [letter] = Renderer(prompt, answer="letter").training([question(answer=1)])
    assert option.messages[-1] == Message(role="assistant", content="B. 화자2는 걷기를 좋아한다.")
    assert letter.messages[-1] == Message(role="assistant", content="B")
    assert option.id == letter.id == "q-1"
    assert option.order == [0, 1, 2]


def test_all_orders_keep_the_answer_with_its_option() -> None:
    asked = question(answer=1)
    rows = Renderer(load_prompt("baseline"), orders="all").training([asked])
    assert [row.id for row in rows] == [
        f"q-1~{o}" for o in ("ABC", "ACB", "BAC", "BCA", "CAB", "CBA")
    ]
    assert [tuple(row.order) for row in rows] == list(permutations(range(3)))
    for row in rows:
        shown = row.messages[0].content.partition("[Option]\n")[2].split("\n")
        assert shown == [f"{'ABC'[k]}. {asked.options[i]}" for k, i in enumerate(row.order)]
        assert row.order["ABC".index(row.answer)] == 1
        assert row.messages[-1].content == f"{row.answer}. 화자2는 걷기를 좋아한다."


def test_a_scoring_row_ends_with_the_user_in_the_published_order() -> None:
    row = Renderer(load_prompt("baseline"), orders="all").scoring(question(answer=None))
    assert (row.order, row.answer, row.messages[-1].role) == ([0, 1, 2], None, "user")
    assert row.options == question().options
    loss = Renderer(load_prompt("baseline")).loss(question(answer=2, split="dev"))
    assert loss.messages[-1].content == "C. 화자1이 버스를 몰았다."
    assert (loss.split, loss.options) == ("dev", None)


def test_a_chat_row_folds_its_system_text_and_has_no_labels() -> None:
    said = [("system", "짧게."), ("user", "안녕?"), ("assistant", "네."), ("user", "또?")]
    said.append(("assistant", "네!"))
    chat = Chat(id="c", source="s", messages=[Message(role=r, content=t) for r, t in said])
    row = Renderer(load_prompt("baseline")).chat(chat)
    assert [(m.role, m.content) for m in row.messages] == [("user", "짧게.\n\n안녕?"), *said[2:]]
    assert (row.labels, row.order, row.answer, row.prompt, row.category) == (None,) * 5
    assert row.group == "c"
    kept = Renderer(load_prompt("baseline"), system="keep").chat(chat)
    assert [(m.role, m.content) for m in kept.messages] == said


def test_two_labels_and_five() -> None:
    for options in (["가", "나"], ["가", "나", "다", "라", "마"]):
        row = Renderer(load_prompt("baseline")).scoring(question(options=options))
        assert row.labels == list("ABCDE"[: len(options)])
        assert row.messages[0].content.endswith(f"\n{row.labels[-1]}. {options[-1]}")


def test_an_unknown_prompt_names_the_known_ones() -> None:
    with pytest.raises(
        UserError, match="choose one of baseline, definition, exam, exam-evidence, exam-reasoning"
    ):
        load_prompt("refrence")


def test_rows_are_plain_json() -> None:
    row = Renderer(load_prompt("reference")).scoring(question())
    assert json.loads(row.model_dump_json())["labels"] == ["A", "B", "C"]
