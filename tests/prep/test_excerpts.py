"""A passage over its budget is shown by the sentences that answer its question best."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from core.errors import UserError
from core.records import Question
from prep.assembly import build
from prep.card import card
from prep.config import as_run
from prep.retrieval.excerpts import Excerpts
from prep.retrieval.settings import Excerpt
from tests.support.paths import ROOT
from tests.support.questions import exam

CLOCK = "자격루는 스스로 시각을 알리는 물시계이다."
SUNDIAL = "앙부일구는 그림자로 때를 읽는 해시계이다."
HILLS = [f"{k}번 산에는 {k}월까지 눈이 쌓였다가 봄비에 모두 녹아 내렸다." for k in range(1, 31)]
OTHERS = [
    f"{k}번 마을에는 오래된 우물이 {k}개 있었고 사람들이 그 물을 마셨다." for k in range(1, 21)
]
PASSAGE = " ".join([*OTHERS[:12], CLOCK, *OTHERS[12:]])


def asked(**fields: object) -> Question:
    given = {"passage": PASSAGE, "note": None, "question": "물시계의 이름은?"}
    return exam(**{**given, "options": ["자격루", "앙부일구", "측우기", "혼천의"], **fields})


def test_what_answers_stays_in_its_place_and_gaps_are_marked() -> None:
    shorten = Excerpts(Excerpt(tokens=450, recipe="r.yml"), len)
    shown = shorten(asked()).passage or ""
    assert len(shown) <= 450
    assert CLOCK in shown
    assert shown.startswith("1번 마을")  # room that is left goes to the beginning
    assert shown.index(CLOCK) > shown.index("1번 마을")
    assert shown.count("[…]") == 2
    whole = asked(id="short", passage=CLOCK)
    assert shorten(whole) == whole
    assert shorten(asked()).passage == shown  # asked for again, counted once
    assert shorten.figures() == {"tokens": 450, "questions": 2, "shortened": 1}
    for answer in (None, 0, 3):
        fresh = Excerpts(Excerpt(tokens=450, recipe="r.yml"), len)
        assert fresh(asked(answer=answer)).passage == shown


def test_no_room_for_a_sentence_is_refused() -> None:
    tight = Excerpts(Excerpt(tokens=50, recipe="r.yml"), lambda text: 9 * len(text))
    with pytest.raises(UserError, match="e-1: no sentence of its passage has room in 50 tokens; "):
        tight(asked())
    with pytest.raises(
        UserError, match="e-1: no word stands in its passage of more than 50 tokens"
    ):
        Excerpts(Excerpt(tokens=50, recipe="r.yml"), len)(asked(passage="★ ㅋㅋ! " * 20))


def test_rows_of_all_orders_show_the_excerpt_and_the_card_counts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    hills = " ".join([*HILLS, SUNDIAL])
    asked = {"train": (hills, "해시계의 이름은?"), "test": (PASSAGE, "물시계의 이름은?")}
    for name, (passage, question) in asked.items():
        line = {"id": name, "지문": passage, "질문": question, "보기": ["자격루", "앙부일구"]}
        text = json.dumps({**line, "정답": 1}, ensure_ascii=False)
        (tmp_path / f"corpus/{name}.jsonl").write_text(text, "utf-8")
    columns = {
        "id": "id",
        "passage": "지문",
        "question": "질문",
        "options": "보기",
        "answer": "정답",
    }
    corpus = {"source": "table", "columns": columns, "answers": "from 1"}
    corpus |= {name: f"corpus/{name}.jsonl" for name in ("train", "test")}
    tiny = {
        "recipe": str(ROOT / "recipes/tiny/stage2.yml"),
        "tokenizer": str(ROOT / "recipes/tiny/base"),
    }
    run = {"inputs": "corpus", "corpus": corpus, "prompt": "exam", "scoring_orders": "cyclic"}
    run |= {"stages": {"s": [{"source": "table"}]}, "excerpts": {"tokens": 500, **tiny}}
    done = build("own", as_run("own", run, "run own"), ["s"])
    rows = [*done.files["test.jsonl"], *done.files["test.orders.jsonl"], *done.files["s.jsonl"]]
    texts = [row.messages[0].content for row in rows]
    assert len(texts) == 4
    assert all("[…]" in text for text in texts)
    tokens = AutoTokenizer.from_pretrained(ROOT / "recipes/tiny/base")
    passages = [text.partition("[지문]\n")[2].partition("\n\n[질문]")[0] for text in texts]
    sizes = [len(tokens.encode(one, add_special_tokens=False)) for one in passages]
    assert all(300 < size <= 500 for size in sizes)
    assert [CLOCK in text for text in texts] == [True, True, True, False]
    assert SUNDIAL in texts[3]
    assert not any(OTHERS[17] in text or HILLS[20] in text for text in texts)
    [kept] = done.files["questions.jsonl"]  # what reports show is the passage itself
    assert kept.passage == PASSAGE
    assert "excerpts: the passages of 2 of 2 questions have more than 500 tokens" in done.notes[-1]
    assert "2 of 2 questions have one." in card({**done.report, "outputs": {}})
