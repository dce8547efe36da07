"""One real chain of Axolotl runs on a model made on the spot, shared by all tests of `recipes/`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent
OFFLINE = {"HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1", "WANDB_MODE": "disabled"}
os.environ.update(OFFLINE)  # read when the libraries are imported, so before any test is
Run = Callable[..., subprocess.CompletedProcess[str]]
THINGS = ("우산", "자전거", "김치찌개", "기타", "노트북", "강아지", "등산", "도서관")
CHAIN = {"test_guard.py", "test_merge.py", "test_parity.py"}  # whose tests take the fixture `chain`


class ByFile(LoadFileScheduling):
    """A file's tests stay in one process, and those of the files of `CHAIN` in the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "chain" if Path(file).name in CHAIN else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """How processes share the tests, whatever --dist says.

    xdist 3.8 loses its own groups on pytest 9.2, silently (its issue 1386).
    """
    return ByFile(config, log)


def training_row(number: int, order: tuple[int, ...] = (0, 1, 2)) -> dict:
    """A row as prep writes it: which of three things was spoken of; the right one is option 0."""
    thing = [THINGS[(number + step) % len(THINGS)] for step in (0, 3, 5)]
    options = "\n".join(f"{'ABC'[k]}. {thing[i]} 이야기" for k, i in enumerate(order))
    answer = "ABC"[order.index(0)]
    user = f"[Conversation]\n화자1: 어제 {thing[0]} 봤어?\n화자2: 응, 봤어.\n\n[Option]\n{options}"
    return {
        "id": f"t-{number}~{''.join('ABC'[i] for i in order)}",
        "record": f"t-{number}",
        "source": "test",
        "split": "train",
        "group": f"g-{number}",
        "category": "원인",
        "prompt": "reference@1",
        "messages": [
            {"role": "user", "content": user},
            {"role": "assistant", "content": f"{answer}. {thing[0]} 이야기"},
        ],
        "labels": ["A", "B", "C"],
        "order": list(order),
        "answer": answer,
    }


def chat_row(number: int) -> dict:
    """A row without options, of two turns."""
    thing = THINGS[number % len(THINGS)]
    said = [f"{thing} 좋아해?", f"네, {thing} 좋아합니다.", "왜?", "어릴 때부터 좋아했습니다."]
    roles = ["user", "assistant"] * 2
    return {
        "id": f"c-{number}",
        "record": f"c-{number}",
        "source": "chat",
        "split": "train",
        "group": f"c-{number}",
        "category": None,
        "prompt": None,
        "messages": [{"role": r, "content": s} for r, s in zip(roles, said, strict=True)],
        "labels": None,
        "order": None,
        "answer": None,
    }


def write_rows(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def random_base(folder: Path) -> None:
    """A random Gemma-2 of 2 layers with a BPE tokenizer that knows Gemma's special tokens."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n+|[.:]"), "isolated"),
            pre_tokenizers.Split("▁", "merged_with_next"),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    rows = [training_row(n) for n in range(16)] + [chat_row(n) for n in range(16)]
    texts = [message["content"] for row in rows for message in row["messages"]]
    texts += ["### Instruction:\n\n### Response:\n", "user\nmodel\n", *[" A"] * 9]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=480, special_tokens=special + bytes_, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        chat_template="{{ bos_token }}{{ messages[0]['content'] }}",
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        query_pre_attn_scalar=32,
        sliding_window=16,
        max_position_embeddings=1024,
        initializer_range=0.15,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    Gemma2ForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with a random base and small data in the places the recipes name."""
    place = tmp_path_factory.mktemp("workplace")
    skip = shutil.ignore_patterns("base", "__pycache__")
    for chapter in ("prep", "recipes"):
        shutil.copytree(ROOT / chapter, place / chapter, ignore=skip)
    random_base(place / "recipes/tiny/base")
    orders = list(permutations(range(3)))
    questions = [training_row(n, order) for n in range(8) for order in orders]
    write_rows(place / "data/demo/stage1.jsonl", [chat_row(n) for n in range(8)] + questions)
    write_rows(place / "data/demo/stage2.jsonl", questions[::-1])
    write_rows(place / "data/demo/dev-loss.jsonl", [training_row(n) for n in range(8, 14)])
    return place


@pytest.fixture(scope="session")
def run(workplace: Path) -> Run:
    """Run `python ARGS...` in the workplace, offline."""

    def python(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *args],
            cwd=workplace,
            env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            text=True,
            capture_output=True,
        )

    return python


@pytest.fixture(scope="session")
def chain(workplace: Path, run: Run) -> SimpleNamespace:
    """Stage 1, merge and stage 2 by the tiny recipes, a few steps each, and what they printed."""
    done = SimpleNamespace(place=workplace)
    train = ("-m", "axolotl.cli.train")
    short = ("--warmup_steps", "0", "--save_steps", "2", "--save_total_limit", "9")
    short += ("--dataset_num_proc", "1")
    few = (*short, "--max_steps", "3", "--micro_batch_size", "8")
    done.train1 = (*train, "recipes/tiny/stage1.yml", *few)
    done.stage1 = run(*done.train1)
    assert done.stage1.returncode == 0, done.stage1.stderr[-3000:]
    done.merge = run("recipes/merge.py", "recipes/tiny/stage1.yml")
    assert done.merge.returncode == 0, done.merge.stderr[-3000:]
    # 7 packs of 512 tokens are more than one epoch
    done.train2 = (*train, "recipes/tiny/stage2.yml", *short, "--max_steps", "7")
    done.train2 += ("--micro_batch_size", "1", "--eval_steps", "7")
    done.stage2 = run(*done.train2)
    assert done.stage2.returncode == 0, done.stage2.stderr[-3000:]
    return done
