"""Axolotl plugin that ends a run with one sentence where it would train on the wrong thing.

Run as: accelerate launch -m axolotl.cli.train RECIPE, where RECIPE lists recipes.guard.GuardPlugin
"""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axolotl.cli.config
import axolotl.train
from axolotl.common.datasets import TrainDatasetMeta, load_datasets, load_preference_datasets
from axolotl.core.trainers.base import AxolotlTrainer
from axolotl.integrations.base import BasePlugin
from axolotl.loaders import ModelLoader, load_tokenizer
from axolotl.utils.distributed import barrier, is_main_process
from axolotl.utils.tee import prepare_debug_log
from datasets.exceptions import DatasetGenerationError
from transformers import set_seed

from prep.errors import UserError
from prep.jsonl import sha256
from recipes import quiet  # noqa: F401
from recipes.base import loading_all_weights
from recipes.claim import claim, content, digest, run_of
from recipes.preflight import preflight, require_data
from recipes.processes import join, place
from recipes.resume import ResumableTrainer, leave_when_interrupted, say_if_unsaved
from recipes.rows import Rendered, compare, render

PREPARED = Path("data/prepared")
load_base = ModelLoader._load_model_from_pretrained


@contextmanager
def refusing() -> Iterator[None]:
    """Turn a `UserError` into its sentence on stderr and exit code 2."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None


class GuardPlugin(BasePlugin):
    """The checks and names above, at the hooks Axolotl offers before the first step."""

    def register(self, cfg: dict[str, Any]) -> None:
        """Refuse what this machine cannot run; keep the recipe as written, overrides included."""
        with refusing():
            preflight(cfg)
        join()
        axolotl.train.setup_signal_handler = leave_when_interrupted
        # its log would be written, or begun anew, in a folder that may be refused or move
        axolotl.cli.config.prepare_debug_log = lambda _: None
        ModelLoader._load_model_from_pretrained = refusing()(loading_all_weights(load_base))
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
                if not complete.exists():  # never made, or its maker was killed
                    shutil.rmtree(prepared, ignore_errors=True)
                    tokenizer = load_tokenizer(cfg)
                    for split in ("datasets", "test_datasets"):
                        if cfg[split]:
                            parts = [Path(part["path"]) for part in cfg[split]]
                            self.rendered[split] = render(
                                parts, tokenizer, cfg.sequence_len, preferred=bool(cfg.rl)
                            )
                if not preprocess:
                    claim(cfg, run_of(self.recipe, data, cfg.world_size or 1))
            barrier()
            if not preprocess:
                prepare_debug_log(cfg)
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
