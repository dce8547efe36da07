"""The measurement of retrieval, on passages whose rank is known."""

import json
from pathlib import Path

import pytest

from bench import retrieval
from core.errors import UserError
from tests.support.cross_encoder import save_cross_encoder
from tests.support.own_documents import CABBAGE, CLOCK, MARKET


def test_measures_of_a_rank() -> None:
    measures = [*retrieval.NAMES]
    assert measures == ["recall@1", "recall@3", "recall@5", "recall@10", "MRR@10", "nDCG@10"]
    assert retrieval.figures(1) == [1, 1, 1, 1, 1, 1]
    assert retrieval.figures(3) == [0, 1, 1, 1, pytest.approx(1 / 3), 0.5]
    assert retrieval.figures(11) == retrieval.figures(None) == [0] * 6


def test_passages_are_taken_apart_and_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {
        CLOCK: ("자격루를 만든 사람은?", ["정약용", "장영실"]),
        CABBAGE: ("김장을 하는 때가 아닌 것은?", ["여름", "겨울"]),
        MARKET: ("알 수 없는 것은?", ["ㄱ", "ㄴ"]),
    }
    items = [
        {"id": f"CSAT_{k}", "paragraph": passage, "question": text, "choices": choices}
        | {"answer": choices[k % 2 == 0]}
        for k, (passage, (text, choices)) in enumerate(asked.items())
    ]
    (tmp_path / "Made_CSAT.json").write_text(json.dumps(items), "utf-8")
    retrieval.main(["found", "--data", str(tmp_path)])
    said = json.loads(capsys.readouterr().out)
    part = said["bm25, question, CSAT"]
    assert (said["documents"], said["chunks"], part["questions"], part["passages"]) == (3, 3, 3, 3)
    assert part["recall@1"] == {"mean": 0.6667, "interval95": None}  # too few passages for one
    retrieval.main(["read", "--data", str(tmp_path), "--k", "1"])
    part = json.loads(capsys.readouterr().out)["CSAT"]
    means = {name: one["mean"] for name, one in part.items() if isinstance(one, dict)}
    # two of the three passages tell the answer, and these are found
    assert means["nothing"] == 0.5
    assert means["retrieved"] == means["passage"] == pytest.approx((1 + 1 + 0.5) / 3, abs=1e-4)
    assert means["passage - nothing"] == pytest.approx(1 / 3, abs=1e-4)
    retrieval.main(["speed", "--chunks", "20", "--queries", "5"])
    said = json.loads(capsys.readouterr().out)
    assert said["documents"] == 20
    assert said["searches_per_second"] > 0
    model = str(save_cross_encoder(tmp_path.parent / "reranker"))
    retrieval.main(["found", "--data", str(tmp_path), "--reranker", model])
    said = json.loads(capsys.readouterr().out)
    put, gained = (said[f"rerank{name}, question, CSAT"] for name in ("", " - bm25"))
    assert gained["recall@10"]["mean"] == 0  # the same passages, in an order drawn at random
    assert gained["MRR@10"]["mean"] < 0
    assert put["MRR@10"]["mean"] == pytest.approx(0.6667 + gained["MRR@10"]["mean"], abs=2e-4)
    (tmp_path / "Made_CSAT.json").write_text(json.dumps([{**items[0], "paragraph": ""}]), "utf-8")
    with pytest.raises(UserError, match="holds no question with a passage; name CLIcK's folder"):
        retrieval.main(["found", "--data", str(tmp_path)])
