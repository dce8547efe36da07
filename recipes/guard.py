"""Axolotl plugin that ends a run with one sentence where it would train on the wrong thing.

Run as: accelerate launch -m axolotl.cli.train RECIPE, where RECIPE lists recipes.guard.GuardPlugin

A run is its recipe, its data and its base. Tokenised rows and checkpoints are used again only by
the same run: Axolotl itself names neither by content, so an edited file would go unseen.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axolotl.train
import torch
from axolotl.common.datasets import TrainDatasetMeta, load_datasets, load_preference_datasets
from axolotl.core.trainers.base import AxolotlTrainer
from axolotl.integrations.base import BasePlugin
from axolotl.loaders import load_tokenizer
from axolotl.utils.data.shared import DATASET_HASH_CONFIG_EXTRA_FIELDS
from axolotl.utils.distributed import barrier, is_main_process
from axolotl.utils.tee import close_debug_log, prepare_debug_log
from datasets.exceptions import DatasetGenerationError
from transformers import set_seed
from transformers.utils import cached_file

from prep.errors import UserError
from prep.jsonl import read_json, sha256, write_json
from recipes.loss import unseen_head
from recipes.matrix import OUTPUTS
from recipes.precision import lost_steps
from recipes.processes import join, place
from recipes.resume import ResumableTrainer, leave_when_interrupted, say_if_unsaved
from recipes.rows import Rendered, compare, render

ACCURACY = "recipes.accuracy.AccuracyPlugin"
PREPARED = Path("data/prepared")
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


@contextmanager
def refusing() -> Iterator[None]:
    """Turn a `UserError` into its sentence on stderr and exit code 2."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None


def digest(value: Any) -> str:
    """Hexadecimal SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def files(folder: Path, *patterns: str) -> dict[str, str]:
    """Name and SHA-256 of the files of a folder that match a pattern, by name."""
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    return {path.name: sha256(path) for path in sorted(found)}


class GuardPlugin(BasePlugin):
    """The checks and names above, at the hooks Axolotl offers before the first step."""

    def register(self, cfg: dict[str, Any]) -> None:
        """Refuse what this machine cannot run; keep the recipe as written, overrides included."""
        with refusing():
            require_device(cfg)
            if problem := lost_steps(cfg) or unseen_head(cfg):
                raise UserError(f"{cfg.get('axolotl_config_path')}: {problem}")
            require_base(cfg)
            require_metric(cfg)
        join()
        axolotl.train.setup_signal_handler = leave_when_interrupted
        self.recipe = json.loads(json.dumps(dict(cfg), default=str))

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> TrainDatasetMeta:
        """Load the rows by Axolotl, under a name made of their content, and compare them."""
        place(cfg)
        with refusing():
            paths = require_data(cfg)
            data = {str(path): sha256(path) for path in paths}
            prepared = PREPARED / digest(content(self.recipe, data))[:12]
            complete = prepared / "complete"
            cfg.dataset_prepared_path = str(prepared)
            self.rendered: dict[str, Rendered] = {}
            if is_main_process():
                if not preprocess:
                    claim(cfg, run_of(self.recipe, data))
                if not complete.exists():  # never made, or its maker was killed
                    shutil.rmtree(prepared, ignore_errors=True)
                    tokenizer = load_tokenizer(cfg)
                    for split in ("datasets", "test_datasets"):
                        if cfg[split]:
                            parts = [Path(part["path"]) for part in cfg[split]]
                            self.rendered[split] = render(
                                parts, tokenizer, cfg.sequence_len, preferred=bool(cfg.rl)
                            )
            barrier()
        with refusing():
            try:
                meta = (load_preference_datasets if cfg.rl else load_datasets)(cfg=cfg)
            except DatasetGenerationError as error:
                raise UserError(
                    f"{', '.join(data)}: a column changes its type on the way ({error.__cause__}); "
                    "in each file, put the rows with labels before those without"
                ) from None
        self.complete = complete
        if not cfg.rl:  # preferences are tokenised when the trainer is made
            self.compare(meta.train_dataset, meta.eval_dataset)
        return meta

    def compare(self, train: Any, evaluated: Any) -> None:
        """Hold tokenised rows against the rendered ones, then let them be used again."""
        with refusing():
            for split, dataset in (("datasets", train), ("test_datasets", evaluated)):
                if split in self.rendered:
                    compare(self.rendered[split], dataset)
            if is_main_process():
                self.complete.touch()

    def pre_model_load(self, cfg: Any) -> None:
        """Seed what comes before the trainer: Axolotl draws an adapter's first weights unseeded."""
        set_seed(cfg.seed)

    def get_trainer_cls(self, cfg: Any) -> type[AxolotlTrainer] | None:
        """Pack rows in an order that a resumed run finds again."""
        return ResumableTrainer if cfg.sample_packing else None

    def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
        """Compare preferences, which are tokenised by now; have a full disk end in a sentence."""
        if cfg.rl:
            self.compare(answers(trainer.train_dataset), answers(trainer.eval_dataset))
        trainer._save_checkpoint = refusing()(say_if_unsaved(trainer._save_checkpoint))
        axolotl.train.save_trained_model = refusing()(
            say_if_unsaved(axolotl.train.save_trained_model)
        )


def answers(preferences: Any) -> dict[str, list[list[int]]]:
    """Chosen and rejected conversations of preferences as tokenised rows, by column."""
    return {
        column: [*preferences[f"chosen_{column}"], *preferences[f"rejected_{column}"]]
        for column in ("input_ids", "labels")
        if preferences is not None
    }


def require_device(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where the recipe asks for a GPU and there is none."""
    wants = [
        key
        for key, asked in (
            ("bf16", cfg.get("bf16") is True),
            ("attn_implementation", "flash" in str(cfg.get("attn_implementation"))),
            ("deepspeed", bool(cfg.get("deepspeed"))),
        )
        if asked
    ]
    if wants and not torch.cuda.is_available():
        recipe = cfg.get("axolotl_config_path")
        raise UserError(
            f"{recipe}: no GPU here, and the recipe asks for one ({', '.join(wants)}); "
            "on a CPU use recipes/tiny/stage1.yml and recipes/tiny/stage2.yml"
        )
    # bitsandbytes 0.50 repacks 4-bit weights for a CPU's inference and has no gradient through that
    if cfg.get("load_in_4bit") and cfg.get("test_datasets") and not torch.cuda.is_available():
        raise UserError(
            f"{cfg.get('axolotl_config_path')}: on a CPU an evaluation spoils the gradients of "
            "4-bit weights; take out test_datasets"
        )


def require_base(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where the base model is not there, naming the step that makes it."""
    base = str(cfg.get("base_model"))
    if is_local(base):
        if not (Path(base) / "config.json").is_file() or not any(Path(base).glob("*.safetensors")):
            raise UserError(f"{base}: no model in this folder (base_model); {made_by(Path(base))}")
        return
    try:
        cached_file(base, "config.json", revision=cfg.get("revision_of_model"))
    except OSError as error:
        raise UserError(
            f"{base}: cannot be read from the hub ({type(error).__name__}); check the name, accept "
            "its licence there and run `hf auth login`, or set base_model to a downloaded folder"
        ) from None


def made_by(base: Path) -> str:
    """What a person does to get the base model of a recipe."""
    if base.parent.parent == OUTPUTS:
        return f"train that member first: dvc repro whole@{base.parent.name}"
    if "merged" in base.name:
        return "train the stage before, then run python recipes/merge.py on its recipe"
    return "download it there, or see the recipe's first lines for what makes it"


def require_metric(cfg: dict[str, Any]) -> None:
    """Raise `UserError` where the recipe keeps the best checkpoint, and Axolotl alone would not."""
    keys = ("load_best_model_at_end", "early_stopping_patience", "metric_for_best_model")
    asked = [key for key in keys if cfg.get(key)]
    if asked and ACCURACY not in (cfg.get("plugins") or []):
        raise UserError(
            f"{cfg.get('axolotl_config_path')}: {', '.join(asked)} without {ACCURACY}, which knows "
            "the accuracy and sees that the best checkpoint is loaded; add it to plugins"
        )


def is_local(base: str) -> bool:
    """Whether a base model is a folder, or was meant as one; a hub name is owner/name."""
    path = Path(base)
    return path.is_dir() or base.startswith((".", "/", "~")) or len(path.parts) > 2


def require_data(cfg: Any) -> list[Path]:
    """Paths of all data files; raises `UserError` for those missing."""
    parts = [*(cfg.datasets or []), *(cfg.test_datasets or [])]
    missing = [part["path"] for part in parts if not Path(part["path"]).is_file()]
    if missing:
        run = " --run demo" if "demo" in Path(missing[0]).parts else ""
        raise UserError(f"{', '.join(missing)}: no such file; run python prep/build.py{run} first")
    return [Path(part["path"]) for part in parts]


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
