"""What score.py says of wrong models, data, options and places, before anything is written."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import UserError
from eval import score, targets
from tests.support.paths import ROOT
from tests.support.scored_rows import save_orders, save_rows
from tests.support.tiny_models import save_gemma2, save_llama


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gemma2(tmp_path_factory.mktemp("gemma"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


def run(model: Path | str, data: Path, out: Path, *more: str) -> None:
    fixed = ["--model", str(model), "--data", str(data), "--out", str(out), "--backend", "hf"]
    score.main([*fixed, *more])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    save_rows(tmp_path / "test.jsonl", 3)
    return tmp_path / "test.jsonl"


def refused(match: str, model: Path | str, data: Path, *more: str) -> None:
    """The run must fail by a sentence that matches and leave an earlier prediction as it was."""
    out = data.with_name("out.jsonl")
    out.write_text("earlier\n")
    with pytest.raises(UserError, match=match):
        run(model, data, out, *more)
    assert out.read_text() == "earlier\n"
    assert {path.name for path in data.parent.glob("out*")} == {"out.jsonl"}


def test_wrong_models_are_refused(gemma: Path, data: Path, tmp_path: Path) -> None:
    refused("no such model folder", "outputs/nowhere/at/all", data)
    refused("no such model folder", gemma / "config.json", data)
    (tmp_path / "empty").mkdir()
    refused("no config.json", tmp_path / "empty", data)
    pickled = shutil.copytree(gemma, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    refused("no .safetensors weights", pickled, data)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (pickled / "model.safetensors.index.json").write_text(json.dumps(index))
    refused("model-00001-of-00002.safetensors is missing", pickled, data)
    bare = shutil.copytree(gemma, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    refused("no chat template", bare, data)


def test_an_unknown_hub_name_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused("nobody/no-such-model: neither a folder here nor", "nobody/no-such-model", data)


def test_wrong_data_is_refused(gemma: Path, data: Path, tmp_path: Path) -> None:
    refused("none.jsonl: no such file", gemma, tmp_path / "none.jsonl")
    (tmp_path / "rows").mkdir()
    refused("is a folder", gemma, tmp_path / "rows")
    lines = data.read_text(encoding="utf-8").splitlines(keepends=True)

    def but(*changed: str) -> Path:
        path = tmp_path / "changed.jsonl"
        path.write_text("".join(changed), encoding="utf-8")
        return path

    refused("holds no row", gemma, but(""))
    refused("line 2: malformed JSON", gemma, but(lines[0], lines[1][:40] + "\n", lines[2]))
    refused("id 합성-000 stands there twice", gemma, but(*lines, lines[0]))
    refused("field order: Field required", gemma, but(lines[0].replace('"order"', '"oder"')))
    no_scoring_row = lines[0].replace('"role": "user"', '"role": "assistant"')
    refused("changed.jsonl, row 합성-000: not a scoring row", gemma, but(no_scoring_row))
    for labels, said in (
        ('"A"', "1 options; a question has two to 26"),
        ('"A", "B", "C", "D", "E", "F"', "3 options do not fit the labels"),
    ):
        other = lines[0].replace('"labels": ["A", "B", "C"]', f'"labels": [{labels}]')
        other = re.sub(r'"order": [^]]*]', f'"order": {list(range(labels.count(",") + 1))}', other)
        refused(said, gemma, but(other))
    long = lines[0].replace("보기", "보기" * 400)
    refused(r"row 합성-000: \d+ tokens, but the model takes 512", gemma, but(long))


def test_no_scoring_overwrites_its_rows(gemma: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    made = save_rows(data, 3)
    orders = tmp_path / "rows.orders.jsonl"
    save_orders(data, made, "cyclic")
    before = data.read_bytes(), orders.read_bytes()
    for out in (data, orders):
        with pytest.raises(UserError, match="is named twice, so it would"):
            run(gemma, data, out)
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(UserError, match="is a folder; name a file to write"):
        run(gemma, data, tmp_path / "folder.jsonl")
    with pytest.raises(UserError, match="its folder cannot be made"):
        run(gemma, data, data / "a.jsonl")
    assert (data.read_bytes(), orders.read_bytes()) == before


def test_wrong_options_are_refused(gemma: Path, data: Path, tmp_path: Path) -> None:
    refused("no adapter_config.json", gemma, data, "--adapter", str(tmp_path))
    refused("none.jinja: no such file", gemma, data, "--chat-template", "none.jinja")
    with pytest.raises(UserError, match=r"must end in \.jsonl"):
        run(gemma, data, tmp_path / "out.json")


def test_broken_weights_are_refused(llama: Path, data: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(llama)
    model.lm_head.weight.data[36] = float("nan")
    broken = shutil.copytree(llama, tmp_path / "broken")
    model.save_pretrained(broken)
    refused("row 합성-000: the model gives .*nan.*--dtype float32", broken, data)


def test_the_command_ends_with_2_and_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "eval/score.py", "--model", "nowhere", "--data", "none.jsonl"]
    command += ["--out", str(tmp_path / "a.jsonl"), "--backend", "hf"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "error: nowhere: no such model folder; name the folder that training wrote, or a hub model "
        "as owner/name\n"
    )


@pytest.mark.parametrize(
    ("models", "out", "found"),
    [
        (["a", "b"], "p.jsonl", "p.jsonl: one file for 2 models; give --out a folder"),
        (["x=a", "x=b"], "p", "two are named x; name one anew, as NAME=b"),
        (["runs/a", "other/a"], "p", "two are named a"),
    ],
)
def test_names_of_predictions_must_differ(models: list[str], out: str, found: str) -> None:
    with pytest.raises(UserError, match=found):
        targets.by_file(models, Path(out))


def test_a_path_may_hold_an_equals_sign() -> None:
    named = targets.by_file(["runs/lr=2e-5", "b=runs/lr=1e-5"], Path("p"))
    assert named == {Path("p/lr=2e-5.jsonl"): "runs/lr=2e-5", Path("p/b.jsonl"): "runs/lr=1e-5"}
