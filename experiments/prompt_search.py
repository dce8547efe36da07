"""A search over instructions: the best so far is shown with its mistakes, and rewritten.

As GEPA does (Agrawal et al. 2025), in its simplest form: one line of descent, no pool. Only the
text of the block `system` changes, so that a candidate shows all of a question that its first
prompt shows.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from core.errors import UserError
from core.files import atomic_file, read_text
from core.records import LABELS, Question, Strict, draw
from eval import predictions
from eval.metrics.significance import intervals, rounded
from experiments.pieces import Piece, code, script, weights
from prep.render import PROMPTS, SUFFIX, Prompt, Renderer, load_prompt
from prep.teachers import wording
from prep.teachers.answer_store import Call
from prep.teachers.client import Client, Refused
from prep.teachers.production import TEXT, VARIED, Asker, Unusable, conversation, schema_of

SYSTEM = re.compile(r"({% block system %}\n).*?({% endblock %})", re.DOTALL)
HEAD = re.compile(r"\A{# \S+ v\d+ #}\n")
MARKS = ("{{", "{%", "{#")  # which Jinja would read
SHOWN = 3  # mistakes that a teacher is shown
LONGEST = 2000  # characters of an instruction


class Rewritten(Strict):
    """An instruction as a teacher writes it."""

    instruction: str = Field(min_length=1, max_length=LONGEST)


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


class Found(NamedTuple):
    """The candidates of a search in the order they were tried, and the best of them.

    Each is its name, the one that it was rewritten from, and its accuracy on what was seen.
    """

    tried: list[tuple[str, str | None, float]]
    best: str


@dataclass
class Rewriter:
    """A teacher who rewrites instructions."""

    client: Client
    max_tokens: int
    seed: int

    async def rewrite(self, bench: Bench, name: str, held_out: int | None, turn: int) -> str | None:
        """The source of a new candidate, or None where the teacher writes nothing of use."""
        seen, choices, right = bench.inside(held_out), bench.choices(name), bench.right(name)
        wrong = sorted(
            (place for place in seen if not right[place]),
            key=lambda place: draw(self.seed + turn, "mistake", bench.questions[place].id),
        )
        mistakes = []
        for place in wrong[:SHOWN]:
            one, chosen = bench.questions[place], choices[place]
            answer = "-" if chosen is None else LABELS[chosen]
            mistakes.append((wording.asked(one), answer, LABELS[one.answer or 0]))
        prompt, first = bench.prompt(name), bench.questions[0]
        call = self._call(
            instruction=prompt.texts(first, range(len(first.options)))[0],
            count=len(seen),
            right=sum(right[place] for place in seen),
            mistakes=mistakes,
            turn=turn,
        )
        try:
            said = await Asker(self.client).shaped(call, Rewritten)
        except (Unusable, Refused):
            return None
        text = said.instruction.strip()
        if not text or any(mark in text for mark in MARKS):
            return None
        source = HEAD.sub("", bench.sources[name])
        return SYSTEM.sub(lambda found: f"{found[1]}{text}\n{found[2]}", source, count=1)

    def most(
        self, questions: Sequence[Question], prompts: Sequence[Prompt], count: int
    ) -> tuple[int, int]:
        """Tokens that so many rewritings read and write at most; malformed ones come on top."""
        longest = sorted((wording.asked(one) for one in questions), key=lambda t: len(t.encode()))
        mistakes = [(text, "A", "A") for text in longest[-SHOWN:]]
        said = "가" * LONGEST
        read, written = self._call(
            instruction=said, count=len(questions), right=0, mistakes=mistakes, turn=0
        ).most()
        return read * count, written * count

    def _call(self, turn: int, **shown: Any) -> Call:
        said = wording.messages("rewrite", **shown)
        call = conversation(said, self.max_tokens, self.seed + turn, schema_of(instruction=TEXT))
        return call.model_copy(update={"body": {**call.body, "temperature": VARIED}})


@dataclass
class Search:
    """Searches that begin with the same prompts, each with another fold held out."""

    bench: Bench
    names: Sequence[str]
    writer: Rewriter | None
    rounds: int

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """With the teacher's connection open."""
        if self.writer is None:
            yield
            return
        async with self.writer.client:
            yield

    async def without(self, held_out: int | None) -> Found:
        """The best candidate on all folds but one; of equals the one tried first."""
        tried: list[tuple[str, str | None, float]] = []
        for name in self.names:
            self._try(tried, self.bench.add(source_of(name)), None, held_out)
        for turn in range(self.rounds if self.writer else 0):
            assert self.writer is not None
            best = max(tried, key=lambda one: one[2])[0]
            if source := await self.writer.rewrite(self.bench, best, held_out, turn):
                self._try(tried, self.bench.add(source), best, held_out)
        return Found(tried, max(tried, key=lambda one: one[2])[0])

    def _try(self, tried: list[Any], name: str, parent: str | None, held_out: int | None) -> None:
        if name not in [one[0] for one in tried]:
            tried.append((name, parent, self.bench.accuracy(name, held_out)))


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


def summary(bench: Bench, found: dict[int | None, Found], names: Sequence[str]) -> dict[str, Any]:
    """The history, and accuracies: nested, flattered, and of the prompt that it began with."""
    groups = [one.group for one in bench.questions]
    nested = [bench.right(found[fold].best)[place] for place, fold in enumerate(bench.folds)]
    first = bench.right(found[None].tried[0][0])
    both = np.array([nested, first], dtype=float).T
    ends = intervals(both, groups)
    searches = {
        "all" if fold is None else str(fold): {
            "best": one.best,
            "tried": [
                {"prompt": name, "rewritten_from": parent, "accuracy": round(value, 6)}
                for name, parent, value in one.tried
            ],
        }
        for fold, one in found.items()
    }
    measured = [
        {"accuracy": round(float(both[:, k].mean()), 6), "interval95": rounded(ends[k])}
        for k in range(2)
    ]
    return {
        "questions": len(groups),
        "groups": len(set(groups)),
        "folds": len(found) - 1,
        "began_with": [*names],
        "nested": measured[0],
        "first": measured[1],
        "flattered": round(bench.accuracy(found[None].best, None), 6),
        "searches": searches,
    }
