"""What an experiment has to do: for each variant, fold and seed its trainings and its scoring.

A fold's training has the rows of the run's own stages, less every row whose dialogue or passage is
in the fold, whatever stage or source it stands in.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import read_text, sha256
from core.jsonl import loads, read_json, write_json
from eval.options import gold
from eval.rows import read_rows
from experiments.experiment import Loaded, Variant, options
from experiments.inputs import inputs
from experiments.pieces import PIECES, ROOT, Piece, digest, rows_piece, score_piece, train_piece


@dataclass(frozen=True)
class Job:
    """One fold of a variant by one seed, from its first training to its predictions of `data`."""

    variant: str
    fold: int
    seed: int | None
    trainings: tuple[Piece, ...]
    score: Piece
    data: Path

    @property
    def label(self) -> str:
        """For a line of progress."""
        return f"{self.variant}, fold {self.fold}" + f", seed {self.seed}" * (self.seed is not None)

    @property
    def left(self) -> list[Piece]:
        """What is still to be made, in order; weights that were dropped only to score anew."""
        if self.score.done:
            return []
        needed = [self.score]
        for piece in reversed(self.trainings):
            if piece.done and piece.model.is_dir():
                break
            needed.append(piece)
        return needed[::-1]


def build(variant: Variant) -> Piece:
    """The rows of a variant: of the stages that it trains on, and those that hold the corpus."""
    run = variant.run
    asked = {link.file for link in variant.links}
    stages = [
        name
        for name, mix in run.stages.items()
        if name in asked or any(part.at_corpus for part in mix)
    ]
    return rows_piece(variant.settings, stages, inputs(run, stages))


def jobs(loaded: Loaded, variant: Variant, tokens: Mapping[Path, float]) -> Iterator[Job]:
    """All folds and seeds of a variant whose rows are built; raises `UserError` for bad folds.

    `tokens` a row, by file, are for estimates.
    """
    start, method = variant.links[0].recipe["base_model"], variant.scoring
    rows, last = build(variant).folder / "rows", len(variant.links) - 1
    for fold in range(loaded.experiment.folds):
        data = rows / f"folds/{fold}/dev.jsonl"
        groups = held_out(data)
        for seed in loaded.experiment.seeds or [None]:
            done: list[Piece] = []
            for place, link in enumerate(variant.links):
                path = rows / f"{link.file}.jsonl"
                text = without(path, groups)
                if not text:
                    raise UserError(f"{path}: all of its rows are of fold {fold}; give more folds")
                seeded = {"seed": seed} if place == last and seed is not None else {}
                recipe = link.recipe | seeded
                kind = [recipe.get(key) for key in ("adapter", "shared_prefix", "sample_packing")]
                done.append(
                    train_piece(
                        recipe,
                        text,
                        done[-1] if done else None,
                        f"{start}|{kind}",
                        work(recipe, text.count("\n"), tokens.get(path)),
                    )
                )
            words = options(variant.asked)
            rate = f"{start}|{method['method']}, {method['permutations']}"
            score = score_piece(done[-1], data, method, words, rate, float(len(read_rows(data))))
            yield Job(variant.name, fold, seed, tuple(done), score, data)


@cache
def held_out(data: Path) -> frozenset[str]:
    """The groups of a fold's questions; raises `UserError` for any but training questions."""
    rows = read_rows(data)
    for row in rows:
        if row.split != "train" or gold(row) is None:
            raise UserError(
                f"{data}, row {row.id}: is of split {row.split}; folds are made of training "
                "questions with answers, and labels of a scored test are never used"
            )
    return frozenset(row.group for row in rows)


@cache
def _lines(path: Path) -> list[tuple[str, str]]:
    """Each line of a file of rows, and the group of its row."""
    return [(line, loads(line)["group"]) for line in read_text(path).splitlines(True)]


@cache
def without(path: Path, groups: frozenset[str]) -> str:
    """A file of rows as text, less the rows of some groups."""
    return "".join(line for line, group in _lines(path) if group not in groups)


def work(recipe: dict[str, Any], rows: int, tokens: float | None) -> float:
    """Tokens that a training sees, with those of the padding of packs; 0 where unknown."""
    batch = (recipe.get("micro_batch_size") or 1) * (recipe.get("gradient_accumulation_steps") or 1)
    row = tokens or 0.0
    if steps := recipe.get("max_steps"):
        return steps * batch * (recipe["sequence_len"] if recipe.get("sample_packing") else row)
    return rows * row * (recipe.get("num_epochs") or 1)


def tokens_of(loaded: Loaded, names: Iterable[str], check: Piece) -> dict[Path, float]:
    """Tokens of a middling row of each file of rows, by the tokenizer of the base's first recipe.

    Empty, with a note, where it cannot be loaded.
    """
    variants = [loaded.variants[name] for name in names]
    first = variants[0].links[0].recipe
    files = {
        path: digest([first, sha256(path)])
        for one in variants
        for link in one.links
        for path in [build(one).folder / "rows" / f"{link.file}.jsonl"]
    }
    kept = PIECES / "tokens.json"
    known: dict[str, float] = read_json(kept) if kept.is_file() else {}
    unknown = {key: path for path, key in files.items() if key not in known}  # once each
    if unknown:
        recipe = check.folder / f"{variants[0].name}.0.yml"
        command = [str(ROOT / "prep/lengths.py"), "--json", "--recipe", str(recipe), "--rows"]
        done = subprocess.run(
            [sys.executable, *command, *map(str, unknown.values())], capture_output=True, text=True
        )
        if done.returncode not in (0, 1):  # 1: a row that is too long, which training refuses
            print(f"note: tokens are not counted ({done.stderr.strip().splitlines()[-1]})")
            return {}
        counted = json.loads(done.stdout)["files"]
        known |= {key: float(counted[str(path)][-1]["p50"]) for key, path in unknown.items()}
        write_json(kept, known)
    return {path: known[key] for path, key in files.items()}


class Clock:
    """Seconds that pieces will take, from those that were finished here: by rate, else by base."""

    def __init__(self) -> None:
        self.seconds: Counter[tuple[str, str]] = Counter()
        self.cost: Counter[tuple[str, str]] = Counter()
        for path in PIECES.glob("*/done.json"):
            self.learn(path.parent.name.partition("-")[0], read_json(path))

    def learn(self, kind: str, done: Mapping[str, Any]) -> None:
        """Take a finished piece into account."""
        for rate in (done["rate"], done["rate"].partition("|")[0]):
            self.seconds[kind, rate] += done["seconds"]
            self.cost[kind, rate] += done["cost"]

    def of(self, pieces: Sequence[Piece]) -> float | None:
        """What they will take together; None where one is like none that was finished."""
        total = 0.0
        for piece in pieces:
            keys = [(piece.kind, rate) for rate in (piece.rate, piece.rate.partition("|")[0])]
            known = next((key for key in keys if self.cost[key]), None)
            if known is None or not piece.cost:
                return None
            total += piece.cost * self.seconds[known] / self.cost[known]
        return total
