"""A search over instructions by GEPA: one of a pool is shown with its mistakes, and rewritten.

The pool is Agrawal et al.'s (2025): who is rewritten next is drawn from those that no other beats
on every question. Only the text of the block `system` changes, so that a candidate shows all of a
question that its first prompt shows.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from gepa import EvaluationBatch, optimize
from gepa.utils import MaxCandidateProposalsStopper
from pydantic import Field

from core.errors import UserError
from core.records import LABELS, Question, Strict
from eval.metrics.significance import intervals, rounded
from experiments.prompt_bench import SYSTEM, Bench, source_of
from prep.render import Prompt
from prep.teachers import wording
from prep.teachers.answer_store import Call
from prep.teachers.client import Client, Refused
from prep.teachers.production import TEXT, VARIED, Asker, Unusable, conversation, schema_of

HEAD = re.compile(r"\A{# \S+ v\d+ #}\n")
MARKS = ("{{", "{%", "{#")  # which Jinja would read
BATCH = 8  # questions that a rewriting must do better on to be rewritten in turn
SHOWN = 3  # mistakes among them that a teacher is shown
PROMPT = "prompt"  # GEPA's name of the only text that changes: a prompt's file
LONGEST = 2000  # characters of an instruction


class Rewritten(Strict):
    """An instruction as a teacher writes it."""

    instruction: str = Field(min_length=1, max_length=LONGEST)


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

    def rewrite(
        self, bench: Bench, name: str, seen: Sequence[int], batch: Sequence[int], turn: int
    ) -> str | None:
        """The source of a new candidate, or None where the teacher writes nothing of use.

        `seen` and `batch` are places of questions: all that the search may see, and those whose
        mistakes are shown. Raises `UserError` as `Client.complete` does.
        """
        choices, right = bench.choices(name), bench.right(name)
        mistakes = []
        for place in [place for place in batch if not right[place]][:SHOWN]:
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
            text = asyncio.run(self._said(call)).instruction.strip()
        except (Unusable, Refused):
            return None
        if not text or any(mark in text for mark in MARKS):
            return None
        source = HEAD.sub("", bench.sources[name])
        return SYSTEM.sub(lambda found: f"{found[1]}{text}\n{found[2]}", source, count=1)

    async def _said(self, call: Call) -> Rewritten:
        async with self.client:
            return await Asker(self.client).shaped(call, Rewritten)

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
class Pool:
    """A search as GEPA sees it: data are places of questions, a candidate is a prompt's file.

    `tried` has each candidate by its name, in order, and the one that it was rewritten from.
    """

    bench: Bench
    writer: Rewriter
    seen: Sequence[int]
    tried: dict[str, str | None]
    turn: int = 0
    stopped: UserError | None = None

    def evaluate(
        self, batch: Sequence[int], candidate: Mapping[str, str], capture_traces: bool = False
    ) -> EvaluationBatch[int, bool]:
        """Whether each question is right, 0 or 1; a new candidate is scored on all at once."""
        right = self.bench.right(self.bench.add(candidate[PROMPT]))
        own = [right[place] for place in batch]
        return EvaluationBatch(own, [float(hit) for hit in own], [*batch])

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], scored: EvaluationBatch[int, bool], names: Sequence[str]
    ) -> dict[str, list[dict[str, int]]]:
        """The places of the questions whose mistakes are shown."""
        return {PROMPT: [{"place": place} for place in scored.trajectories or ()]}

    def propose_new_texts(
        self,
        candidate: Mapping[str, str],
        shown: Mapping[str, Sequence[Mapping[str, int]]],
        names: Sequence[str],
    ) -> dict[str, str]:
        """The teacher's rewriting, if it is of use; GEPA would go on without a teacher's answer."""
        parent, batch = self.bench.add(candidate[PROMPT]), [one["place"] for one in shown[PROMPT]]
        self.turn += 1
        try:
            source = self.writer.rewrite(self.bench, parent, self.seen, batch, self.turn - 1)
        except UserError as error:
            self.stopped, source = error, None
        if source is None:
            return {}
        self.tried.setdefault(self.bench.add(source), parent)
        return {PROMPT: source}


@dataclass
class Search:
    """Searches that begin with the same prompts, each with another fold held out."""

    bench: Bench
    names: Sequence[str]
    writer: Rewriter | None
    rounds: int
    seed: int

    def without(self, held_out: int | None) -> Found:
        """The best candidate on all folds but one; of equals the one tried first.

        Raises `UserError` where the scorer or the teacher fails.
        """
        accuracy = partial(self.bench.accuracy, held_out=held_out)
        tried: dict[str, str | None] = {}
        tried |= {self.bench.add(source_of(name)): None for name in self.names}
        if self.writer:
            seen = self.bench.inside(held_out)
            pool = Pool(self.bench, self.writer, seen, tried)
            ends = [MaxCandidateProposalsStopper(self.rounds), lambda _: pool.stopped is not None]
            optimize(
                seed_candidate={PROMPT: self.bench.sources[max(tried, key=accuracy)]},
                trainset=[*seen],
                adapter=pool,
                reflection_minibatch_size=BATCH,
                stop_callbacks=ends,
                seed=self.seed,
                logger=SimpleNamespace(log=lambda _: None),
            )
            if pool.stopped:
                raise pool.stopped
        return Found(
            [(name, parent, accuracy(name)) for name, parent in tried.items()],
            max(tried, key=accuracy),
        )


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
