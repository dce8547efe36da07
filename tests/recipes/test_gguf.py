"""A model as GGUF: the same tokens, turns and choices, by llama.cpp's own converter and runtime."""

import json
import math
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from core.errors import UserError
from core.jsonl import read_json
from eval import score
from prep.demo.exercises import exercises
from recipes import to_gguf
from recipes.sharing import llama_cpp
from recipes.sharing.sentencepiece_model import sentencepiece_model
from tests.support.paths import ROOT
from tests.support.trained_place import BASE, built

WORDS = 1242  # of the tiny base
CONVERTER = ROOT / llama_cpp.FOLDER


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny base in a folder of its own, in which we stand."""
    shutil.copytree(ROOT / BASE, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    return Path("model")


def convert(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["to_gguf.py", "model", *arguments])
    to_gguf.main()


def test_a_sentencepiece_model_says_texts_in_the_same_tokens(base: Path, tmp_path: Path) -> None:
    said = [message["content"] for one in exercises(5, 200) for message in one["messages"]]
    (tmp_path / "links").mkdir()
    made = to_gguf.with_sentencepiece(base, tmp_path / "links", [*to_gguf.TEXTS, *said])
    assert (made / "tokenizer.model").is_file()
    assert not (base / "tokenizer.model").exists()


def test_a_tokenizer_that_would_say_other_tokens_is_refused(base: Path, tmp_path: Path) -> None:
    file = base / "tokenizer.json"
    said = read_json(file)
    said["model"]["merges"] = said["model"]["merges"][::-1]  # which scores cannot tell any more
    said["model"]["merges"].remove(["화", "자"])
    said["model"]["vocab"]["화자"] = said["model"]["vocab"].pop("화자")
    file.write_text(json.dumps(said, ensure_ascii=False), "utf-8")
    (tmp_path / "links").mkdir()
    with pytest.raises(UserError, match=r"in other tokens than a SentencePiece model can \(\d of"):
        to_gguf.with_sentencepiece(base, tmp_path / "links", ["화자1: 네", "네"])
    said["normalizer"] = None
    file.write_text(json.dumps(said, ensure_ascii=False), "utf-8")
    with pytest.raises(UserError, match=r"tokenizer\.json: no BPE with byte fallback and ▁ for"):
        sentencepiece_model(file)


def test_ollama_gets_the_turns_of_the_chat_template(base: Path) -> None:
    assert to_gguf.modelfile(base, "model-f16.gguf") == (
        "FROM ./model-f16.gguf\n"
        'TEMPLATE """### Instruction:\n{{ .Prompt }}\n\n### Response:\n"""\n'
        "PARAMETER temperature 0\n"
        'PARAMETER stop "<eos>"\n'
    )


def test_what_cannot_be_converted_ends_in_one_sentence(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.tar.gz").write_bytes(b"another package")
    shutil.copytree(ROOT / "recipes/sharing", "recipes/sharing")
    with pytest.raises(UserError, match=r"not the source package that .* pins"):
        convert(monkeypatch, "--llama-cpp", "other.tar.gz")
    llama_cpp.FOLDER.mkdir(parents=True)
    (llama_cpp.FOLDER / llama_cpp.SCRIPT).write_text("raise SystemExit('no such architecture')")
    with pytest.raises(UserError, match=r"converter gave up \(no such architecture\)"):
        convert(monkeypatch)
    assert not Path("gguf").exists()
    config = base / "config.json"
    config.write_text(config.read_text().replace('embeddings": true', 'embeddings": false'))
    with pytest.raises(UserError, match="has a head of its own"):
        convert(monkeypatch)
    (base / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no weights"):
        convert(monkeypatch)


@pytest.mark.slow
@pytest.mark.skipif(
    not (CONVERTER / llama_cpp.SCRIPT).is_file(),
    reason="no llama.cpp here: python recipes/to_gguf.py MODEL fetches its converter",
)
@pytest.mark.skipif(
    find_spec("xllamacpp") is None, reason="no llama.cpp here: pip install xllamacpp==2026.10.11549"
)
def test_llama_cpp_chooses_as_the_scorer_does(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = built(tmp_path) / "test.jsonl"
    llama_cpp.FOLDER.parent.mkdir(exist_ok=True)
    llama_cpp.FOLDER.symlink_to(CONVERTER)
    convert(monkeypatch, "--kind", "f32", "--data", str(rows))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.support.llama_cpp_choices"),
            *("gguf/model-f32.gguf", str(rows), str(WORDS)),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    score.main(["--model", "model", "--backend", "hf", "--data", str(rows), "--out", "ours.jsonl"])
    for line in Path("ours.jsonl").read_text().splitlines():
        one = json.loads(line)
        letters = [theirs[one["id"]]["ABC"[one["order"].index(k)]] for k in range(3)]
        total = math.log(sum(map(math.exp, letters)))
        assert [value - total for value in letters] == pytest.approx(one["logprobs"], abs=0.05)
        assert letters.index(max(letters)) == one["choice"]
