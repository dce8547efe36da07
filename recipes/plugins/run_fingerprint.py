"""Which run is this: its recipe, its data and its base, named by their content.

Tokenised rows and checkpoints are used again only by the same run: Axolotl itself names neither by
content, so an edited file would go unseen.
"""

import hashlib
import json
import os
import shutil
import unicodedata
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import require_apart, set_aside, sha256
from core.jsonl import read_json, write_json
from recipes.weights.base_model import RECORD, base_of, files

# what decides, besides Axolotl's own keys, how rows are tokenised and in which order they lie; its
# name for them, one folder further down, leaves out the seed among others
PREPARING = (
    "datasets",
    "eval_sample_packing",
    "eval_sequence_len",
    "excess_length_strategy",
    "min_sample_len",
    "rl",
    "sample_packing",
    "seed",
    "sequence_len",
    "shuffle_merged_datasets",
    "test_datasets",
    "tokens",
)
# what changes no weight: a run may resume with these altered
HARMLESS = {
    "auto_resume_from_checkpoints",
    "axolotl_config_path",
    "dataset_num_proc",
    "dataset_prepared_path",
    "debug",
    "eval_steps",
    "logging_steps",
    "output_dir",
    "resume_from_checkpoint",
    "save_steps",
    "save_total_limit",
}
# what decides which checkpoint the run ends with, where it keeps its best
DECISIVE_FOR_BEST = {"eval_steps", "save_steps"}
# keys, of a recipe or of its datasets, that may name a file or a folder
PATHS = (
    "chat_template_jinja",
    "deepspeed",
    "lora_model_dir",
    "teacher_letters",
    "tokenizer_config",
)
WEIGHTS = (".safetensors", ".bin")  # ends of the names of files that a training may finish with
LOG = "debug.log"  # Axolotl's


def digest(value: Any) -> str:
    """Hexadecimal SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def named_files(recipe: dict[str, Any]) -> dict[str, Any]:
    """SHA-256 of the files that a recipe names besides data and base, by their paths."""
    parts = [recipe, *(recipe.get("datasets") or []), *(recipe.get("test_datasets") or [])]
    named = {str(part[key]) for part in parts for key in PATHS if isinstance(part.get(key), str)}
    return {
        path: files(Path(path), "*") if os.path.isdir(path) else sha256(Path(path))
        for path in sorted(named)
        if os.path.exists(path)  # a template may be its own text, which no file can be called
    }


def content(recipe: dict[str, Any], data: dict[str, str]) -> dict[str, Any]:
    """All that decides what tokenised rows are: data, tokenizer, template and keys above."""
    # seconds to import, and whoever compares runs needs none of it
    from axolotl.utils.data.shared import DATASET_HASH_CONFIG_EXTRA_FIELDS

    base = recipe["base_model"]
    return {
        "data": data,
        "tokenizer": files(Path(base), "*token*", "*.jinja")
        or base_of(base, recipe.get("revision_of_model")),
        "files": named_files(recipe),
        "recipe": {key: recipe.get(key) for key in (*DATASET_HASH_CONFIG_EXTRA_FIELDS, *PREPARING)},
    }


def run_of(recipe: dict[str, Any], data: dict[str, str], processes: int) -> dict[str, Any]:
    """All that decides what weights become: recipe, data, base, other files, processes.

    The number of processes decides how many rows a step sees.
    """
    return {
        "recipe": decisive(recipe),
        "data": data,
        "base": base_of(recipe["base_model"], recipe.get("revision_of_model")),
        "files": named_files(recipe),
        "processes": processes,
    }


def decisive(recipe: dict[str, Any]) -> dict[str, Any]:
    """The keys of a recipe that decide what weights become."""
    keeps_best = recipe.get("load_best_model_at_end") or recipe.get("early_stopping_patience")
    harmless = HARMLESS - DECISIVE_FOR_BEST if keeps_best else HARMLESS
    return {key: value for key, value in sorted(recipe.items()) if key not in harmless}


def take_output_dir(cfg: Any, run: dict[str, Any]) -> None:
    """Give `output_dir` to this run, and leave in it what the run can go on from.

    What another run left is set aside, and so is a checkpoint that lacks a part. Raises `UserError`
    for a folder that holds what the run reads or what no run left, and for a
    `resume_from_checkpoint` of another run.
    """
    folder, start = Path(cfg.output_dir), cfg.resume_from_checkpoint
    # as it will be read again
    run = json.loads(unicodedata.normalize("NFC", json.dumps(run, ensure_ascii=False)))
    require_apart(folder, inputs(cfg))
    folder = folder.resolve() if folder.is_symlink() else folder  # the link stays in its place
    if start:
        require_own_checkpoint(Path(start), run)
    left, record = list(contents(folder, cfg)), record_in(folder)
    if odd := [*folder.glob(f"*/{RECORD}"), *(left if record is None else ())]:
        name = odd[0].relative_to(folder)
        raise UserError(f"{folder}: holds {name}, which is not of one run; name another output_dir")
    if others := differences(record, run) if left else []:
        if len(left) > 1:  # the record alone is no loss
            print(f"{folder} held another run ({'; '.join(others)}): now in {set_aside(folder)}")
    elif (
        any(path.name.startswith("checkpoint-") or path.suffix in WEIGHTS for path in left)
        and not start
        and not (cfg.auto_resume_from_checkpoints and going_on(folder, run))
    ):
        print(f"{folder}: training begins anew; what it held is now in {set_aside(folder)}")
    write_json(folder / RECORD, run)


def inputs(cfg: Any) -> list[Path]:
    """Files and folders that a run reads."""
    parts = [*(cfg.datasets or []), *(cfg.test_datasets or [])]
    named = [cfg.axolotl_config_path, cfg.base_model, *(part["path"] for part in parts)]
    named += [cfg[key] for key in PATHS if isinstance(cfg[key], str)]
    return [Path(one) for one in named if one and os.path.exists(one)]


def contents(folder: Path, cfg: Any) -> Iterator[Path]:
    """What lies in an output folder; Axolotl's log, hidden files and Ray's own folders aside."""
    for path in sorted(folder.glob("*")):
        of_ray = cfg.use_ray and path.is_dir() and not path.name.startswith("checkpoint-")
        if path.name != LOG and not path.name.startswith(".") and not of_ray:
            yield path


def record_in(folder: Path) -> dict[str, Any] | None:
    """The record of the run that wrote a folder; None where none did: a mix of adapters has one."""
    record = read_json(folder / RECORD) if (folder / RECORD).is_file() else None
    return record if isinstance(record, dict) and "recipe" in record else None


def differences(one: dict[str, Any] | None, other: dict[str, Any]) -> list[str]:
    """In what two runs differ, in words; empty for the same run."""
    found = []
    for part in {**other, **(one or {})}:
        old, new = (one or {}).get(part), other.get(part)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            keys = sorted(key for key in old | new if old.get(key) != new.get(key))
            found.append(f"{part} differs in {', '.join(keys)}")
        else:
            found.append(f"{part} differs")
    return found


def require_own_checkpoint(checkpoint: Path, run: dict[str, Any]) -> None:
    """Raise `UserError` unless a run can go on from a checkpoint that is its own."""
    from recipes.plugins.checkpoints import defect  # seconds, of no use to who reads a record

    if not checkpoint.is_dir():
        raise UserError(f"resume_from_checkpoint {checkpoint}: no such folder")
    record = record_in(checkpoint.resolve().parent)
    if others := differences(record, run):
        why = f"of another run ({'; '.join(others)})" if record else f"no {RECORD} next to it"
        raise UserError(
            f"resume_from_checkpoint {checkpoint}: {why}; to start from its weights, name it as "
            "base_model (an adapter as lora_model_dir) instead"
        )
    if said := defect(checkpoint, run["processes"]):
        raise UserError(f"resume_from_checkpoint {checkpoint}: {said}; name another checkpoint")


def going_on(folder: Path, run: dict[str, Any]) -> bool:
    """Whether there is a checkpoint to go on from; newer ones that lack a part make way.

    One that was never finished, as a kill or a full disk leaves it, is removed: the run makes the
    same again. A finished one is set aside.
    """
    from recipes.plugins.checkpoints import defect, finished, in_order  # as above

    defects = {path: defect(path, run["processes"]) for path in in_order(folder)}
    newest = next((path for path, said in defects.items() if said is None), None)
    for path, said in takewhile(lambda one: one[1], defects.items()):
        if not finished(path):
            shutil.rmtree(path)
            said += "; removed"
        elif newest:
            said += f"; now in {set_aside(path)}"
        print(f"{path}: no run can go on from it ({said})")
    if newest:
        print(f"{folder}: going on from {newest.name}")
    return newest is not None
