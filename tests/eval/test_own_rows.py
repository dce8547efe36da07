"""Rows, labels and adapters that were not made here: scored, or refused in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from eval import predictions, score
from eval.methods.generated import read_text
from tests.support.tiny_models import save_adapter, save_gemma2

ROW = {
    "id": "q-1",
    "record": "q-1",
    "source": "mine",
    "split": "test",
    "group": "q-1",
    "category": None,
    "prompt": None,
    "messages": [{"role": "user", "content": "2 + 3?\n1. 4\n2. 5\n3. 6\n4. 7"}],
    "labels": ["1", "2", "3", "4"],
    "order": [0, 1, 2, 3],
    "answer": "2",
}


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gemma2(tmp_path_factory.mktemp("gemma"))


def save(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def run(model: Path, data: Path, out: Path, *more: str) -> None:
    named = ["--model", str(model), "--data", str(data), "--out", str(out), "--backend", "hf"]
    score.main([*named, *more])


def test_rows_with_digits_as_labels(
    gemma: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = save(tmp_path / "mine.jsonl", ROW, {**ROW, "id": "q-2", "record": "q-2", "answer": None})
    run(gemma, data, tmp_path / "a.jsonl")
    made, _ = predictions.read(tmp_path / "a.jsonl")
    assert [*made] == ["q-1", "q-2"]
    assert made["q-1"].order == [0, 1, 2, 3]
    assert "accuracy" in capsys.readouterr().out


def test_labels_that_a_tokenizer_splits_are_refused(gemma: Path, tmp_path: Path) -> None:
    data = save(tmp_path / "mine.jsonl", {**ROW, "labels": [*"갸냐댜랴"], "answer": "갸"})
    with pytest.raises(UserError, match="does not make the letter 갸 one token of its own"):
        run(gemma, data, tmp_path / "a.jsonl")
    assert not (tmp_path / "a.jsonl").exists()


def test_all_missing_fields_are_named_at_once(gemma: Path, tmp_path: Path) -> None:
    data = save(
        tmp_path / "mine.jsonl", {"id": "q", "messages": ROW["messages"], "labels": ["A", "B"]}
    )
    lost = (
        "field record: Field required, as are source, split, group, category, prompt, order, answer"
    )
    with pytest.raises(UserError, match=lost):
        run(gemma, data, tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("text", "labels", "found"),
    [
        ("3", ["1", "2", "3"], 2),
        ("3. 여섯", ["1", "2", "3"], 2),
        ("10", [str(k) for k in range(1, 11)], 9),
        ("1번 또는 2번", ["1", "2", "3"], "several-letters"),
        ("13", ["1", "2", "3"], "no-letter"),
        ("나", [*"가나다"], 1),
        ("나. 둘째", [*"가나다"], 1),
        ("가 나", [*"가나다"], "several-letters"),
        ("가방과 나비", [*"가나다"], "no-letter"),
        ("D", [*"가나다"], "not-a-label"),
    ],
)
def test_replies_with_labels_of_every_kind(text: str, labels: list[str], found: Any) -> None:
    assert read_text(text, labels, None) == found


def test_a_foreign_adapter_is_scored_over_its_base(gemma: Path, tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "lora", gemma)
    for file in adapter.iterdir():  # PEFT alone writes no more than two files
        if not file.name.startswith("adapter"):
            file.unlink()
    data = save(tmp_path / "mine.jsonl", ROW)
    run(gemma, data, tmp_path / "out", "--adapter", f"theirs={adapter}")
    _, meta = predictions.read(tmp_path / "out/theirs.jsonl")
    assert meta.model_extra["adapter"] == str(adapter)
    remedy = rf"is an adapter; name its base and the adapter apart: --model {gemma} --adapter"
    with pytest.raises(UserError, match=remedy):
        run(adapter, data, tmp_path / "b.jsonl")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(UserError, match=r"no adapter_model.safetensors in it; save it as safete"):
        run(gemma, data, tmp_path / "out", "--adapter", str(adapter))
