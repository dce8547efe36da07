"""Prompts scored by eval/score.py on the same questions, which lie in grouped folds."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.files import atomic_file, read_text
from core.records import Question
from eval import predictions
from experiments.pieces import Piece, code, script, weights
from prep.render import PROMPTS, SUFFIX, Prompt, Renderer, load_prompt

SYSTEM = re.compile(r"({% block system %}\n).*?({% endblock %})", re.DOTALL)


@dataclass
class Bench:
    """Scores prompts on the questions of all folds; what was scored before is read."""

    model: Path
    questions: Sequence[Question]
    folds: Sequence[int]
    renderer: Renderer
    out: Path
    scoring: dict[str, Any]
    lock: int
    sources: dict[str, str] = field(default_factory=dict)
    _choices: dict[str, list[int | None]] = field(default_factory=dict)

    def add(self, source: str) -> str:
        """Keep a prompt's file among the candidates; its name there."""
        name = hashlib.sha256(source.encode()).hexdigest()[:12]
        if name not in self.sources:
            with atomic_file(self.out / "candidates" / f"{name}{SUFFIX}") as file:
                file.write(source)
            self.sources[name] = source
        return name

    def prompt(self, name: str) -> Prompt:
        """A candidate."""
        return load_prompt(str(self.out / "candidates" / f"{name}{SUFFIX}"))

    def choices(self, name: str) -> list[int | None]:
        """The option chosen for each question under a candidate."""
        if name not in self._choices:
            shown = replace(self.renderer, prompt=self.prompt(name))
            rows = [shown.scoring(one) for one in self.questions]
            text = "".join(f"{row.model_dump_json()}\n" for row in rows)
            words = [
                w for key, v in self.scoring.items() for w in (f"--{key}".replace("_", "-"), str(v))
            ]
            command = ("eval/score.py", "--model", str(self.model), "--data", "{folder}/rows.jsonl")
            command += ("--out", "{folder}/predictions.jsonl", *words)
            made_of = {
                "model": weights(str(self.model)) or str(self.model),
                "rows": hashlib.sha256(text.encode()).hexdigest(),
                "scoring": self.scoring,
                "code": code("core", "eval"),
            }
            piece = Piece(
                "prompt", made_of, files={"rows.jsonl": text}, commands=(script(command),)
            )
            if not piece.done:
                print(f"scoring {name} on {len(rows)} questions", flush=True)
                piece.make(f"prompt {name}", self.lock)
            scored, _ = predictions.read(piece.folder / "predictions.jsonl")
            self._choices[name] = [scored[one.id].choice for one in self.questions]
        return self._choices[name]

    def right(self, name: str) -> list[bool]:
        """Whether each question is right under a candidate."""
        pairs = zip(self.choices(name), self.questions, strict=True)
        return [choice == question.answer for choice, question in pairs]

    def accuracy(self, name: str, held_out: int | None) -> float:
        """The objective: accuracy on all folds but one."""
        return float(np.mean([self.right(name)[place] for place in self.inside(held_out)]))

    def inside(self, held_out: int | None) -> list[int]:
        """The places of the questions that a search may see."""
        return [place for place, fold in enumerate(self.folds) if fold != held_out]


def source_of(name: str) -> str:
    """The file of a prompt; raises `UserError` where there is none, or no block to rewrite."""
    load_prompt(name)
    path = Path(name) if name.endswith(SUFFIX) else PROMPTS / f"{name}{SUFFIX}"
    source = read_text(path)
    if not SYSTEM.search(source):
        raise UserError(
            f"{path}: its block system cannot be found to be rewritten; see docs/prompts.md"
        )
    return source
