"""Evidence reaches prompts: queries know no answer, leaks are no evidence, budgets hold."""

import csv
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from core.errors import UserError
from core.jsonl import write_records
from core.records import Question
from prep.assembly import Build, build
from prep.card import card
from prep.config import as_run
from prep.retrieval.evidence import Evidence, prepared, query
from prep.retrieval.leaks import holding
from prep.retrieval.settings import Raft, Retrieve
from tests.support.own_documents import CLOCK, MARKET, save_documents
from tests.support.questions import exam

ASKED = "물시계인 자격루를 만든 사람은?"
OPTIONS = ["장영실", "이순신 장군", "정약용 선생", "홍대용 선생"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_documents(tmp_path_factory.mktemp("evidence") / "documents").parent


def asked(**fields: Any) -> Question:
    given = {"passage": "", "note": None, "question": ASKED, "options": OPTIONS, "answer": 0}
    return exam(**{**given, **fields})


def evidence(place: Path, scored: list[Question] | None = None, **settings: Any) -> Evidence:
    settings = {"documents": [str(place / "documents")], **settings}
    return prepared(Retrieve(**settings), place / "indexes", scored or [], seed=1)


def test_a_query_is_made_of_what_is_asked_and_never_of_the_answer(place: Path) -> None:
    found = evidence(place)
    one = asked(passage="장터에는 소금 장수가 왔다. 소금은 귀한 소금이었다.")
    words = {
        kind: query(one, kind, found.knowledge).words
        for kind in ("question", "options", "keywords")
    }
    assert words["question"] == ["물시계", "자격루", "만들다", "사람"]
    assert words["options"][4:7] == ["장영실", "이순신", "장군"]
    assert words["keywords"][:4] == words["question"]
    assert words["keywords"][4] == "소금"
    for answer in (None, 0, 3):
        for kind, expected in words.items():
            other = one.model_copy(update={"answer": answer})
            assert query(other, kind, found.knowledge).words == expected
        assert evidence(place)(asked(answer=answer)).documents == found(asked()).documents
    dialogue = exam(passage="").model_copy(update={"question": None, "passage": None})
    assert query(dialogue, "question", found.knowledge).words == []


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        (f"{ASKED} 1) 장영실 2) 이순신 장군 3) 정약용 선생 4) 홍대용 선생", True),
        (f"문제: 물시계인  자격루를, 만든 사람은 {' '.join(OPTIONS[::-1])}", True),
        (f"{ASKED} {' '.join(OPTIONS[:3])} 그리고 다른 한 사람", True),
        (normalize("NFD", f"{ASKED} {' '.join(OPTIONS)}"), True),
        (f"{ASKED.replace(' ', '&nbsp;')}<br>{'<br/>'.join(OPTIONS)}", True),
        (f'<p class="q">물시계인 <u>자격루</u>를 만든 사람은?</p> {" ".join(OPTIONS)}', True),
        (f"| {ASKED} |\n|---|\n| {' | '.join(OPTIONS)} |", True),
        (f"{ASKED} 이순신 장군", False),
        (" ".join(OPTIONS), False),
        (CLOCK, False),
    ],
    ids=[
        "as-printed",
        "other-order-and-marks",
        "most-options",
        "decomposed",
        "entities",
        "tags",
        "a-table",
        "one",
        "no-question",
        "a-source",
    ],
)
def test_a_document_that_holds_a_scored_question_is_found(text: str, leaks: bool) -> None:
    others = [asked(id="other", question="김장을 하는 때는 언제인가?")]
    found = holding([("d", text), ("e", MARKET)], [*others, asked(id="s-1")])
    assert found == ({"d": "s-1"} if leaks else {})


def test_a_leak_in_full_width_is_found_and_signs_of_comparison_hide_none() -> None:
    asked_of_years = asked(id="s-1", question="1945년 8월에 끝난 것은 a<b일 때 무엇인가?")
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    text = f"x<y이다. {asked_of_years.question} {' '.join(OPTIONS)} y>x이다."
    assert holding([("d", text.translate(wide))], [asked_of_years]) == {"d": "s-1"}


def test_a_question_in_the_title_of_its_options_is_a_leak(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    line = {"id": "qa", "title": ASKED, "text": f"{', '.join(OPTIONS)}. 정답은 장영실이다."}
    write_records(tmp_path / "documents/qa.jsonl", [line])
    guarded = evidence(tmp_path, [asked(id="s-1", split="test", answer=None)])
    assert guarded.leaks == {"qa": "s-1"}
    assert guarded(asked()).documents == ()


def test_a_leak_is_no_evidence(tmp_path: Path) -> None:
    save_documents(tmp_path / "documents")
    leak = f"{CLOCK} {ASKED} {', '.join(OPTIONS)}. 정답은 장영실이다."
    (tmp_path / "documents/answers.txt").write_text(leak, "utf-8")
    guarded = evidence(tmp_path, [asked(id="s-1", split="test", answer=None)])
    assert guarded.leaks == {"answers.txt": "s-1"}
    assert "answers.txt" in evidence(tmp_path)(asked()).documents
    assert guarded(asked()).documents == ("clock.txt",)


def test_a_budget_and_a_threshold_leave_out_and_are_counted(place: Path) -> None:
    wide = Evidence(evidence(place).knowledge, Retrieve(documents=["x"], k=9), 1)
    market = asked(question="소금 장수가 장터에 온 날은?", options=["아침", "저녁"])
    assert wide(market).documents == ("market", "김치.md")
    settings = Retrieve(documents=["x"], k=9, tokens=55, recipe="r.yml")
    tight = Evidence(wide.knowledge, settings, 1, measure=len)
    assert tight(market).documents == ("market",)
    assert tight(market).documents == ("market",)  # asked for again, counted once
    strict = Evidence(wide.knowledge, Retrieve(documents=["x"], threshold=99), 1)
    assert strict(market).evidence == ()
    shown = [one.figures()["shown"] for one in (wide, tight, strict)]
    assert [one["over_budget"] for one in shown] == [0, 1, 0]
    assert [one["without"] for one in shown] == [0, 0, 1]
    assert [one["questions"] for one in shown] == [1, 1, 1]


def test_raft_mixes_the_passage_and_leaves_it_out_of_a_share(place: Path) -> None:
    passage = "자격루는 물시계이다. 장영실이 만들었다. 김치와 소금과 장터는 여기 나오지 않는다."
    found = evidence(place, raft={"distractors": 2, "without": 0.4}, query="options")
    shown = {
        k: found(asked(id=f"q-{k}", group="g", passage=passage, note="소금 장터"))
        for k in range(60)
    }
    golden = [passage in one.evidence for one in shown.values()]
    assert 0.4 < sum(golden) / 60 < 0.8
    assert all(one.question.passage == "" for one in shown.values())
    assert {len(one.evidence) for one in shown.values()} == {2, 3}
    assert {one.documents.index("g") for one in shown.values() if "g" in one.documents} == {0, 1, 2}
    counts = found.figures()["shown"]
    assert (counts["golden"], counts["golden_left_out"]) == (sum(golden), 60 - sum(golden))
    again = evidence(place, raft=Raft(distractors=2, without=0.4).model_dump(), query="options")
    one = asked(id="q-7", group="g", passage=passage, note="소금 장터")
    assert again(one) == shown[7]
    tests = [found(one.model_copy(update={"split": "test", "id": f"t-{k}"})) for k in range(20)]
    assert all(passage in one.evidence for one in tests)
    quoted = asked(id="q-99", passage=CLOCK, note="소금 장터")  # a document is its passage
    assert "clock.txt" not in found(quoted).documents


def test_no_part_of_a_passage_stands_next_to_it(tmp_path: Path) -> None:
    parts = [f"{k}번 마을에는 소금을 파는 장터가 {k}개 있다." for k in range(1, 9)]
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents/own.txt").write_text(" ".join(parts), "utf-8")
    (tmp_path / "documents/other.txt").write_text("소금은 바다에서 난다.", "utf-8")
    cut = {"characters": 50, "overlap": 0, "raft": {"distractors": 1, "without": 0.0}}
    one = asked(question="소금을 파는 마을의 장터는?", passage=" ".join(parts))
    whole = evidence(tmp_path, **cut)(one)
    assert sorted(whole.documents) == sorted([one.group, "other.txt"])
    in_part = evidence(tmp_path, **cut)(one, parts[0])
    assert sorted(in_part.documents) == sorted([one.group, "other.txt"])
    assert parts[0] in in_part.evidence


def row(number: int, question: str, options: list[str], answer: int | str) -> dict[str, Any]:
    problem = {"question": question, "choices": options, "answer": answer}
    return {"id": f"q-{number}", "paragraph": "", "problems": repr(problem), "question_plus": ""}


def built(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Build:
    monkeypatch.chdir(folder)
    save_documents(folder / "corpus/documents")
    sets = {
        "train": [row(1, ASKED, OPTIONS, 1), row(2, "우주선의 이름은?", ["목성", "토성"], 2)],
        "test": [row(3, "소금 장수가 가장 먼저 온 곳은?", ["장터", "바다"], "")],
    }
    for name, rows in sets.items():
        with (folder / f"corpus/{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    corpus = {"source": "exam", **{name: f"corpus/{name}.csv" for name in sets}}
    run = {"inputs": "corpus", "corpus": corpus, "prompt": "exam-evidence"}
    run |= {"stages": {"stage2": [{"source": "exam"}]}}
    run |= {"retrieve": {"documents": ["corpus/documents"], "k": 1}}
    return build("own", as_run("own", {**run, **changes}, "run own"), ["stage2"])


def test_rows_carry_evidence_and_the_card_counts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = built(tmp_path, monkeypatch)
    clock, none = done.files["stage2.jsonl"]
    assert clock.documents == ["clock.txt"]
    assert f"[자료]\n(1) clock: {CLOCK}\n\n[질문]\n{ASKED}" in clock.messages[0].content
    assert clock.messages[-1].content == "A. 장영실"
    assert (none.documents, "[자료]" in none.messages[0].content) == (None, False)
    assert "documents" not in none.model_dump_json()
    [test] = done.files["test.jsonl"]
    assert test.documents == ["market"]
    figures = done.report["evidence"]
    assert figures["shown"] | {"chunks": 2, "questions": 3, "without": 1} == figures["shown"]
    assert done.notes[-1].startswith("evidence: none for 1 of 3 questions, which are shown without")
    page = card({**done.report, "outputs": {}})
    assert "| questions shown without evidence | 1 |" in page
    assert f"Index `{figures['index']}`" in page
    assert "| left out of them: exact-duplicate | 1 |" in page
    again = built(tmp_path, monkeypatch)
    assert (again.files, again.report) == (done.files, done.report)


def test_what_cannot_be_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"documents": ["corpus/documents"]}
    cases = [
        ({"prompt": "exam"}, r"prompt exam@1 does not show all \(not its evidence\)"),
        ({"track": "ga"}, "track 가 allows no data besides the corpus; take retrieve out"),
        ({"retrieve": {"documents": ["elsewhere"]}}, r"elsewhere does not lie in inputs \(corpus"),
        ({"retrieve": {**known, "tokens": 9}}, "tokens and recipe come together"),
        ({"retrieve": {**known, "tokenizer": "m"}}, "tokenizer measures tokens in the place of a"),
        ({"retrieve": {**known, "k": 0}}, r"field retrieve\.k: Input should be greater than or"),
        ({"retrieve": {**known, "query": "answer"}}, r"field retrieve\.query: Input should be"),
    ]
    for changes, sentence in cases:
        with pytest.raises(UserError, match=sentence) as caught:
            built(tmp_path, monkeypatch, **changes)
        assert "\n" not in str(caught.value)
