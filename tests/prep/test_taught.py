"""What a teacher writes: verified line by line, removed with its reason, read by the build."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import UserError
from core.jsonl import read_json, read_records, write_json
from core.records import Prediction, Removed
from prep import corpus, teach
from prep.config import load_run
from prep.preferences import likeliest, mean_logprobs
from prep.sources.source import Source, read
from prep.teachers.document_questions import Written
from prep.teachers.solved import teachable
from tests.support.build_place import TOPICS, item
from tests.support.own_documents import CLOCK
from tests.support.paths import ROOT
from tests.support.teaching_server import Body, TeachingServer, Trouble, teaching

Taught = Callable[..., tuple[list[dict[str, Any]], dict[str, str], dict[str, Any]]]


def said(body: Body) -> str:
    return body["messages"][-1]["content"]


@pytest.fixture
def server() -> Iterator[TeachingServer]:
    with teaching(lambda _: "{}") as there:
        yield there


@pytest.fixture
def taught(tmp_path: Path, server: TeachingServer, monkeypatch: pytest.MonkeyPatch) -> Taught:
    """Run the command on a small corpus, whose question 2 is one of dev's too; read its folder."""
    monkeypatch.chdir(tmp_path)
    write_json(Path("corpus/train.json"), [item("train", k, t) for k, t in enumerate(TOPICS)])
    write_json(Path("corpus/dev.json"), [item("dev", 6, TOPICS[2])])
    run = {
        "corpus": {"train": "corpus/train.json", "dev": "corpus/dev.json"},
        "inputs": "corpus",
        "prompt": "reference",
        "stages": {"stage2": [{"source": "cci-2024"}]},
    }
    runs = {"na": run, "ga": {**run, "track": "ga"}}
    Path("params.yaml").write_text(yaml.safe_dump({"runs": runs}), "utf-8")
    tokenizer = str(ROOT / "recipes/tiny/base")
    free = {"address": server.address, "price": {"prompt": 0, "completion": 0}}
    teachers = {"t": {**free, "training": "allowed", "tokenizer": tokenizer}}
    Path("teachers.yml").write_text(yaml.safe_dump({"teachers": teachers}), "utf-8")

    def command(product: str, *more: str, run: str = "na") -> Any:
        given = ("--run", run, "--teacher", "t", "--teachers", "teachers.yml", *more)
        teach.main([product, *given])
        folder = Path("corpus/taught") / product
        name = "predictions.jsonl" if product == "letters" else "rows.jsonl"
        lines = [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]
        removed = read_records(folder / "removed.jsonl", Removed)
        return lines, {one.id: one.reason for one in removed}, read_json(folder / "meta.json")

    return command


def test_reasoning_stays_where_it_ends_with_the_right_answer(
    taught: Taught, server: TeachingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(body: Body) -> str:
        if TOPICS[0] in said(body):
            return '{"reasoning": "모르겠다.", "answer": "A"}'
        if TOPICS[1] in said(body):
            return "정답은 B"
        return '{"reasoning": "그 덕분에 일찍 일어난다고 했다.", "answer": "B"}'

    server.answer = answer
    with pytest.raises(UserError, match="track 가 allows no data besides the corpus"):
        taught("reasoning", run="ga")
    given = ["--run", "na", "--teacher", "t", "--teachers", "teachers.yml", "--dry-run"]
    teach.main(["reasoning", *given])
    printed = capsys.readouterr().out
    assert "4 items, of which 4 are not answered yet" in printed
    assert "at most 4 requests" in printed
    assert server.asked == []
    assert not Path("corpus/taught").exists()

    lines, removed, meta = taught("reasoning")
    assert removed == {"train-0": "disagrees", "train-1": "malformed", "train-2": "near-scored"}
    assert [line["id"] for line in lines] == ["train-3", "train-4"]
    signed = ("teacher", "model", "prompt", "seed")
    assert {tuple(line[key] for key in signed) for line in lines} == {
        ("t", "small", "reasoning@1", 42)
    }
    assert json.loads(lines[0]["messages"][-1]["content"])["answer"] == "B"
    assert (meta["read"], meta["kept"], meta["removed"]["disagrees"]) == (5, 2, 1)
    assert not any(TOPICS[2] in said(body) for body in server.asked)  # nobody sees what is scored
    texts = [(said(body), t) for body in server.asked for t in TOPICS if t in said(body)]
    assert all(
        text.count(f"화자2는 {t}에 마음이 간다.") == 1 for text, t in texts
    )  # an option alone

    # the same again asks nothing and writes the same bytes; the build reads it as any other source
    before, asked = Path("corpus/taught/reasoning/rows.jsonl").read_bytes(), len(server.asked)
    assert asked == 5  # the malformed one twice, and not as before
    warm = [body["temperature"] for body in server.asked if TOPICS[1] in said(body)]
    assert warm == [0.0, 0.7]
    assert all([one["role"] for one in body["messages"]] == ["user"] for body in server.asked)
    taught("reasoning")
    assert Path("corpus/taught/reasoning/rows.jsonl").read_bytes() == before
    assert len(server.asked) == asked
    source = Source(source="messages", name="r", path="corpus/taught/reasoning/rows.jsonl")
    assert [chat.id for chat in read(source).chats] == ["train-3", "train-4"]
    assert source.facts.tracks == ("na",)


def test_what_may_not_be_spent_or_learnt_is_not_asked_for(
    taught: Taught, server: TeachingServer
) -> None:
    teachers = Path("teachers.yml")
    known = yaml.safe_load(teachers.read_text("utf-8"))["teachers"]["t"]
    for change, more, said in [
        ({"price": {"prompt": 1, "completion": 1}}, (), "say by --budget what may be spent"),
        ({"price": {"prompt": 1, "completion": 1}}, ("--budget", "0"), "budget 0: 0.0000 is spent"),
        ({"price": None}, ("--budget", "1"), "has no price, so that no budget can be kept"),
        (
            {"training": "forbidden", "licence": "L"},
            (),
            "licence L forbids training on its outputs",
        ),
    ]:
        teachers.write_text(yaml.safe_dump({"teachers": {"t": known | change}}), "utf-8")
        with pytest.raises(UserError, match=said):
            taught("reasoning", *more)
        assert server.asked == []
        assert not Path("corpus/taught").exists()


def test_no_teacher_sees_a_question_of_dev(taught: Taught) -> None:
    run = load_run(Path("params.yaml"), "na")
    got = corpus.questions_of(run, "dev")
    scored, _ = teach.scored_of(run, teach.Renderer(teach.load_prompt("task")))
    with pytest.raises(UserError, match="dev-6: is a dev question, which no teacher may see"):
        teachable(got.questions, scored)


def test_a_hint_leads_to_the_answer_and_does_not_name_it(
    taught: Taught, server: TeachingServer
) -> None:
    hints = {
        TOPICS[0]: "B를 보면 된다.",
        TOPICS[1]: f"화자2는 {TOPICS[1]}에 마음이 간다고 했다.",
        TOPICS[3]: "아침마다 무엇을 하는지 보자.",
        TOPICS[4]: "둘은 처음 만난 사이가 아니다.",
    }

    def answer(body: Body) -> str:
        topic = next(topic for topic in TOPICS if topic in said(body))
        if "[풀이]" in said(body):
            return '{"answer": "B"}' if topic == TOPICS[3] else '{"answer": "C"}'
        return json.dumps({"subject": "일상", "kind": "추론", "hint": hints[topic]})

    server.answer = answer
    [line], removed, _ = taught("hints")
    assert (line["id"], line["subject"], line["kind"]) == ("train-3", "일상", "추론")
    assert line["prompt"] == "hint@1, hinted@1"
    reply = json.loads(line["messages"][-1]["content"])
    assert reply == {"reasoning": hints[TOPICS[3]], "answer": "B"}
    assert removed == {
        "train-0": "names-answer",
        "train-1": "names-answer",
        "train-2": "near-scored",
        "train-4": "disagrees",
    }


def test_letters_are_predictions_that_pairs_are_made_of(
    taught: Taught, server: TeachingServer
) -> None:
    odds = {"A": -1.0, " A": -1.0, "B": -3.0, "C": -2.0, "화": -9.0}
    server.answer = lambda body: json.dumps(
        {"A": -1.0} if TOPICS[0] in said(body) else odds, ensure_ascii=False
    )
    _, removed, _ = taught("letters")
    assert removed == {"train-0": "letters-missing", "train-2": "near-scored"}
    path = Path("corpus/taught/letters/predictions.jsonl")
    predictions = read_records(path, Prediction)
    assert [(one.id, one.choice) for one in predictions] == [(f"train-{k}", 0) for k in (1, 3, 4)]
    a, b, c = predictions[0].logprobs
    assert a - c == pytest.approx(1 + 0.6931472)  # two tokens that are the letter A
    assert c - b == pytest.approx(1.0)
    questions = corpus.questions_of(load_run(Path("params.yaml"), "na"), "train").questions
    assert likeliest(questions[1], mean_logprobs(predictions)) == 0  # the hardest wrong option


def test_the_letters_tokens_are_asked_of_a_server_that_tells_them(
    taught: Taught, server: TeachingServer
) -> None:
    letters = {"A": 65, "B": 66, "C": 67}

    def answer(body: Body) -> str | Trouble:
        if "add_generation_prompt" in body:
            tail = body["messages"][1:]
            ids = [1, 2, *([letters[tail[0]["content"][0]], 9] if tail else [])]
            return Trouble(text=json.dumps({"tokens": ids}))
        assert body["logprob_token_ids"] == [65, 66, 67]
        return json.dumps({"token_id:65": -30.0, "token_id:66": -9999.0, "token_id:67": -31.0})

    server.answer = answer
    lines, removed, _ = taught("letters", "--count", "1")
    assert (removed, lines[0]["choice"]) == ({"train-2": "near-scored"}, 0)
    assert lines[0]["logprobs"] == pytest.approx([-0.3132617, -9969.3132617, -1.3132617])
    letters["B"] = 65
    with pytest.raises(UserError, match="letters of model small share a token"):
        taught("letters")
    server.answer = lambda _: Trouble(text=json.dumps({"tokens": [1, 2]}))
    with pytest.raises(UserError, match="does not make the letter A one token of its own"):
        taught("letters", "--count", "1")


def test_a_question_needs_its_document_and_one_option_is_right(
    taught: Taught, server: TeachingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = {
        "clock": ("자격루를 만든 사람은?", "장영실", "그는 물시계인 자격루를 만들었다."),
        "other": ("배추는 무엇에 절이는가?", "소금", "배추는 설탕에 절인다."),
        "known": ("겨울 다음 계절은?", "봄철", "겨울이 지나면 봄이 온다."),
        "doubt": ("장에 온 것은?", "소금 장수", "소금 장수와 옹기 장수가 왔다."),
    }
    words = {"clock": "자격루", "other": "배추", "known": "겨울", "doubt": "옹기"}
    wrong = ["이순신", "홍길동", "옹기 장수"]

    def letter(text: str, option: str) -> str:
        line = next(line for line in text.splitlines() if line.endswith(f". {option}"))
        return line[0]

    def answer(body: Body) -> str:
        text = said(body)
        if "객관식 문제" in text:
            asked, right, evidence = next(facts[n] for n, word in words.items() if word in text)
            made = {"question": asked, "answer": right, "wrong": wrong, "evidence": evidence}
            return json.dumps(made)
        right = next(one for asked, one, _ in facts.values() if asked in text)
        if "아는 것만으로" in text:
            guess = right if right == "봄철" else "이순신"
            return json.dumps({"answer": letter(text, guess)})
        both = [right, "옹기 장수"] if right == "소금 장수" else [right]
        return json.dumps({"right": [letter(text, one) for one in both]})

    server.answer = answer
    Path("corpus/docs").mkdir()
    for name, text in {
        "clock.txt": CLOCK,
        "other.txt": "배추는 소금에 절인다. 그러면 김치가 오래간다.",
        "known.txt": "겨울이 지나면 봄이 온다. 봄에는 꽃이 핀다.",
        "doubt.txt": "소금 장수와 옹기 장수가 왔다. 장은 닷새마다 섰다.",
    }.items():
        (Path("corpus/docs") / name).write_text(text, "utf-8")
    [line], removed, _ = taught("questions", "--documents", "corpus/docs")
    assert removed == {
        "doubt.txt~1": "bad-options",
        "known.txt~1": "needs-no-document",
        "other.txt~1": "unsupported",
    }
    written = Written.model_validate_json(json.dumps(line))
    assert CLOCK[slice(*written.span)] == written.evidence == facts["clock"][2]
    assert written.document == "clock.txt"
    entry = yaml.safe_load(capsys.readouterr().out.partition("in a stage: ")[2])
    [question] = read(Source.model_validate(entry)).questions
    assert (question.passage, question.options[question.answer]) == (CLOCK, "장영실")


def test_instructions_come_from_the_models_own_template(
    taught: Taught, server: TeachingServer
) -> None:
    drawn = [
        "가을에 볼 만한 곳을 세 군데 추천해 줄래요?",
        "Tell me a story about a fox.",
        "안녕",
        "정말 좋아요 정말 좋아요 정말 좋아요 정말 좋아요 정말 좋아요",
        "가을에 볼 만한 곳을 세 군데 추천해 줄래요?",
    ]

    def answer(body: Body) -> str:
        if "prompt" in body:
            assert (body["prompt"], body["stop"]) == ("### Instruction:\n", ["### Response:"])
            return drawn[body["seed"] - 42]
        return "내장산, 설악산, 그리고 민둥산의 억새밭을 권해요."

    server.answer = answer
    lines, removed, _ = taught("magpie", "--count", "5")
    assert [(line["messages"][0]["content"], line["seed"]) for line in lines] == [(drawn[0], 42)]
    assert removed == {
        "magpie-000043": "language",
        "magpie-000044": "length",
        "magpie-000045": "repetitive",
        "magpie-000046": "exact-duplicate",
    }
