"""Axolotl plugin that ends a run with one sentence where it would train on the wrong thing.

Run as: accelerate launch -m axolotl.cli.train RECIPE, where RECIPE lists the plugin
recipes.plugins.guard.GuardPlugin
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import axolotl.cli.config
import axolotl.train
import torch
from accelerate import PartialState
from axolotl.common.datasets import TrainDatasetMeta, load_datasets, load_preference_datasets
from axolotl.core.trainers.base import AxolotlTrainer
from axolotl.integrations.base import BasePlugin
from axolotl.loaders import ModelLoader, load_tokenizer
from axolotl.utils.distributed import barrier, is_main_process
from axolotl.utils.tee import prepare_debug_log
from datasets.exceptions import DatasetGenerationError
from filelock import FileLock, Timeout
from transformers import set_seed

from core import quiet  # noqa: F401
from core.errors import UserError, refusing
from core.files import sha256
from core.layout import DATA
from recipes.checks.preflight import preflight, require_data
from recipes.plugins.as_asked import AsAsked, counted, require_layers, require_unfrozen
from recipes.plugins.axolotl_commands import note, require_command, running, without_flags
from recipes.plugins.checkpoints import OwnBest, leave_when_interrupted, say_if_unsaved
from recipes.plugins.labelled_head import LabelledHead, cuts_head
from recipes.plugins.resumable import ResumableTrainer
from recipes.plugins.run_fingerprint import content, digest, run_of, take_output_dir
from recipes.plugins.tokenization import Rendered, compare, render
from recipes.weights.base_model import loading_all_weights
from recipes.weights.finite import StayFinite


# Accelerate joins processes on a CPU only where asked to, and Axolotl never asks: each process
# would train a copy of its own, on all rows, and all would write into one folder. `accelerate
# launch --cpu --num_processes 2` starts a single process; torchrun starts them all.
def join_processes() -> None:
    """Join the processes that torchrun started, over gloo; nothing to do for one, or on GPUs."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.cuda.is_available():
        # the trainer makes this state anew, and reads the environment for it
        os.environ["ACCELERATE_USE_CPU"] = "true"
        os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"  # not cpu:1, onto which torch loads nothing
        PartialState._reset_state()
        PartialState(cpu=True)


def keep_on_cpu(cfg: Any) -> None:
    """Keep the model on the CPU; Axolotl gives each of several processes a GPU's number."""
    if cfg.world_size != 1 and not torch.cuda.is_available():
        cfg.device_map = {"": "cpu"}


PREPARED = DATA / "prepared"
load_base = ModelLoader._load_model_from_pretrained


class GuardPlugin(BasePlugin):
    """The checks and names above, at the hooks Axolotl offers before the first step."""

    def register(self, cfg: dict[str, Any]) -> None:
        """Refuse what this machine cannot run; keep the recipe as written, overrides included."""
        command = running()
        with refusing():
            require_command(cfg, command)
            preflight(cfg, trains=command != "preprocess")
        if said := note(cfg, command):
            print(f"note: {said}", file=sys.stderr, flush=True)
        join_processes()
        axolotl.train.setup_signal_handler = leave_when_interrupted
        # its log would be written, or begun anew, in a folder that may be refused or move
        axolotl.cli.config.prepare_debug_log = lambda _: None
        ModelLoader._load_model_from_pretrained = refusing()(loading_all_weights(load_base))
        self.recipe = json.loads(json.dumps(without_flags(cfg), default=str))
        if command == "evaluate":  # which asks no plugin for its rows
            with refusing():
                cfg["dataset_prepared_path"] = str(self.prepared(data_of(cfg)))

    def load_datasets(self, cfg: Any, preprocess: bool = False) -> TrainDatasetMeta:
        """Load the rows by Axolotl, under a name made of their content, and compare them."""
        keep_on_cpu(cfg)
        with refusing():
            data = data_of(cfg)
            prepared = self.prepared(data)
            complete = prepared / "complete"
            cfg.dataset_prepared_path = str(prepared)
            self.rendered: dict[str, Rendered] = {}
            if is_main_process():
                self.lock = alone(prepared)
                if not complete.exists():  # never made, or its maker was killed
                    shutil.rmtree(prepared, ignore_errors=True)
                    tokenizer = load_tokenizer(cfg)
                    for split in ("datasets", "test_datasets"):
                        if cfg[split]:
                            parts = [Path(part["path"]) for part in cfg[split]]
                            self.rendered[split] = render(
                                parts,
                                tokenizer,
                                cfg.sequence_len,
                                preferred=bool(cfg.rl),
                                eot_tokens=cfg.eot_tokens or (),
                            )
                if not preprocess:
                    take_output_dir(cfg, run_of(self.recipe, data, cfg.world_size or 1))
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

    def prepared(self, data: dict[str, str]) -> Path:
        """The folder of tokenised rows, by all that decides what they are."""
        return PREPARED / digest(content(self.recipe, data))[:12]

    def compare(self, train: Any, evaluated: Any) -> None:
        """Hold tokenised rows against the rendered ones, then let them be used again."""
        with refusing():
            for split, dataset in (("datasets", train), ("test_datasets", evaluated)):
                if split in self.rendered:
                    compare(self.rendered[split], dataset)
            if is_main_process():
                self.complete.touch()
                self.lock.release()

    def pre_model_load(self, cfg: Any) -> None:
        """Seed what comes before the trainer: Axolotl draws an adapter's first weights unseeded."""
        set_seed(cfg.seed)

    def pre_lora_load(self, cfg: Any, model: Any) -> None:
        """Look for the layers that the recipe names, while the model has its own names."""
        with refusing():
            require_layers(cfg, model)

    def post_model_load(self, cfg: Any, model: Any) -> None:
        """Look for the weights that are to learn where the others are frozen."""
        with refusing():
            require_unfrozen(cfg, model)

    def get_training_args(self, cfg: Any) -> dict[str, Any]:
        """Have transformers count the steps."""
        return counted(cfg)

    def get_trainer_cls(self, cfg: Any) -> type[AxolotlTrainer] | None:
        """Pack rows in an order that a resumed run finds again."""
        return ResumableTrainer if cfg.sample_packing else None

    def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
        """Compare preferences, tokenised by now; cut the head; watch numbers, rate and disk."""
        if cfg.rl:
            self.compare(answers(trainer.train_dataset), answers(trainer.eval_dataset))
        if cuts_head(cfg, trainer):
            LabelledHead(trainer.model)
        trainer._save_checkpoint = refusing()(say_if_unsaved(trainer._save_checkpoint))
        axolotl.train.save_trained_model = refusing()(
            say_if_unsaved(axolotl.train.save_trained_model)
        )
        trainer.add_callback(OwnBest(cfg.resume_from_checkpoint))
        trainer.add_callback(AsAsked(cfg, trainer))
        trainer.add_callback(StayFinite(trainer))


def alone(prepared: Path) -> FileLock:
    """Wait until no other run makes the same tokenised rows; a run that ends or dies lets go.

    Two recipes that differ in their learning rate have the same rows.
    """
    prepared.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(prepared.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{prepared}: waiting for another run, which makes the same rows", flush=True)
        lock.acquire()
    return lock


def data_of(cfg: Any) -> dict[str, str]:
    """SHA-256 of the recipe's data files by path; raises `UserError` for those missing."""
    return {str(path): sha256(path) for path in require_data(cfg)}


def answers(preferences: Any) -> dict[str, list[list[int]]]:
    """Chosen and rejected conversations of preferences as tokenised rows, by column."""
    return {
        column: [*preferences[f"chosen_{column}"], *preferences[f"rejected_{column}"]]
        for column in ("input_ids", "labels")
        if preferences is not None
    }
