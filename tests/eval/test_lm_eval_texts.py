"""lm-evaluation-harness writes the texts that generate.py writes, and finds what they score."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.jsonl import read_records, write_records
from core.records import Message, Row
from eval import generate, score_texts
from eval.lm_eval_task import make_texts
from eval.metrics.answer_texts import MEASURES
from eval.written import WrittenText
from tests.support.paths import ROOT

BASE = ROOT / "recipes/tiny/base"
ASKED = ["다음에서 고르세요.\nA. 비\nB. 눈\n\n답:", "마을의 이름은?", "A와 같은 글자는?"]


def row(number: int, answer: str | None) -> Row:
    said = [Message(role="user", content=ASKED[number])]
    said += [Message(role="assistant", content=answer)] if answer else []
    fields = dict.fromkeys(("category", "prompt", "labels", "order", "answer"))
    place = {"id": f"t-{number}", "record": f"t-{number}", "group": f"t-{number}"}
    return Row(**place, source="own", split="train", messages=said, **fields)


def test_the_harness_writes_and_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, texts = tmp_path / "rows.jsonl", tmp_path / "texts.jsonl"
    write_records(rows, [row(number, None) for number in range(3)])
    given = ["--model", str(BASE), "--data", str(rows), "--max-tokens", "60"]
    generate.main([*given, "--out", str(texts), "--dtype", "float32", "--batch-size", "1"])
    written = {one.id: one for one in read_records(texts, WrittenText)}
    # one is right, one is near, one is neither
    right = [written["t-0"].text, f"{written['t-1'].text} 우물", "장터"]
    references = tmp_path / "right.jsonl"
    lines = [{"id": f"t-{k}", "references": ["없다", text]} for k, text in enumerate(right)]
    write_records(references, lines)
    task, items = tmp_path / "task", tmp_path / "items.jsonl"
    make_texts.main([*given, "--references", str(references), "--out", str(task), "--name", "ours"])
    score_texts.main([str(texts), "--references", str(references), "--items", str(items)])
    mine = {one.pop("id"): one for one in map(json.loads, items.open(encoding="utf-8"))}
    capsys.readouterr()

    found = harness(task, monkeypatch)
    for sample in found["samples"]["ours"]:
        one = written[sample["doc"]["id"]]
        assert sample["resps"][0][0].strip() == one.text
        if one.ended:
            theirs = {name: sample[name] for name in MEASURES}
            assert theirs == pytest.approx(mine[one.id], abs=1e-6)
    ended = sum(one.ended for one in written.values())
    assert ended >= 2
    assert found["results"]["ours"]["exact,none"] == pytest.approx(1 / 3)


def harness(task: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What lm-eval finds by the command's settings."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
    model = HFLM(
        pretrained=str(BASE),
        add_bos_token=False,
        dtype="float32",
        attn_implementation="eager",
        device="cpu",
        batch_size=1,
    )
    manager = TaskManager(include_path=str(task), include_defaults=False)
    return lm_eval.simple_evaluate(model, tasks=["ours"], task_manager=manager, bootstrap_iters=0)


def test_rows_without_a_right_text_are_refused(tmp_path: Path) -> None:
    rows, other = tmp_path / "rows.jsonl", tmp_path / "right.jsonl"
    write_records(rows, [row(0, None)])
    write_records(other, [{"id": "else", "references": ["가"]}])
    given = ["--model", str(BASE), "--data", str(rows), "--out", str(tmp_path / "task")]
    with pytest.raises(UserError, match=r"rows\.jsonl, line 1: ends with no right text"):
        make_texts.main(given)
    with pytest.raises(UserError, match=r"rows\.jsonl, row t-0: has no right text; name a file"):
        make_texts.main([*given, "--references", str(other)])
    assert not (tmp_path / "task").exists()
