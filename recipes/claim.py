"""Which run is this: its recipe, its data and its base, named by their content.

Tokenised rows and checkpoints are used again only by the same run: Axolotl itself names neither by
content, so an edited file would go unseen.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from axolotl.utils.data.shared import DATASET_HASH_CONFIG_EXTRA_FIELDS
from axolotl.utils.tee import close_debug_log, prepare_debug_log

from prep.errors import UserError
from prep.jsonl import read_json, sha256, write_json

# what decides how rows are tokenised and in which order they lie; Axolotl's own name for them, one
# folder further down, leaves out the seed among others
PREPARING = (
    *DATASET_HASH_CONFIG_EXTRA_FIELDS,
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
FINGERPRINT = "run.json"


def digest(value: Any) -> str:
    """Hexadecimal SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def files(folder: Path, *patterns: str) -> dict[str, str]:
    """Name and SHA-256 of the files of a folder that match a pattern, by name."""
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    return {path.name: sha256(path) for path in sorted(found)}


def content(recipe: dict[str, Any], data: dict[str, str]) -> dict[str, Any]:
    """All that decides what tokenised rows are: data, tokenizer, template and keys above."""
    base = recipe["base_model"]
    template = Path(recipe.get("chat_template_jinja") or "")
    return {
        "data": data,
        "tokenizer": files(Path(base), "*token*", "*.jinja")
        or [base, recipe.get("revision_of_model")],
        "template": sha256(template) if template.is_file() else None,
        "recipe": {key: recipe.get(key) for key in PREPARING},
    }


def run_of(recipe: dict[str, Any], data: dict[str, str]) -> dict[str, Any]:
    """All that decides what the run's weights become: its recipe, its data and its base."""
    base = Path(recipe["base_model"])
    keeps_best = recipe.get("load_best_model_at_end") or recipe.get("early_stopping_patience")
    harmless = HARMLESS - DECISIVE_FOR_BEST if keeps_best else HARMLESS
    return {
        "recipe": {key: value for key, value in sorted(recipe.items()) if key not in harmless},
        "data": data,
        "base": files(base, "*.safetensors", "config.json", "*token*", "*.jinja")
        or recipe["base_model"],
    }


def claim(cfg: Any, run: dict[str, Any]) -> None:
    """Give `output_dir` to this run; what another run left in it moves aside, nothing is lost.

    Half-written checkpoints of a killed run go, so that the last whole one is resumed.
    """
    folder = Path(cfg.output_dir)
    record = folder / FINGERPRINT
    left = [path for path in folder.glob("*") if path.name != "debug.log"]
    if left:
        old = digest(read_json(record)) if record.is_file() else digest(sorted(map(str, left)))
        if old != digest(run):
            aside = folder.with_name(f"{folder.name}.stale-{old[:8]}")
            if aside.exists():
                shutil.rmtree(aside)
            close_debug_log()
            os.replace(folder, aside)
            prepare_debug_log(cfg)
            print(f"{folder} held another run (data, recipe or base differ): moved to {aside}")
    for checkpoint in folder.glob("checkpoint-*"):
        if not is_whole(checkpoint):
            shutil.rmtree(checkpoint)
    write_json(record, run)


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end: the trainer writes its state last."""
    try:
        return bool(read_json(checkpoint / "trainer_state.json"))
    except UserError:
        return False
