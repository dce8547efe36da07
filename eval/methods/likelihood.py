"""`letter`, `option`, `pmi`: how likely each option's letter, or its text, is as the answer.

`letter` takes the log-probability of each letter as the answer's first token. The names of the
others in lm-evaluation-harness: `option` with --normalise sum is its acc, with characters acc_norm,
with bytes acc_bytes; `pmi` is its acc_mutual_info with another neutral context.
eval/lm_eval_task/make.py writes the task in which it finds the first three.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import UserError
from core.records import Message, Row
from eval.answer_tokens import Tokenizer, answered, encode, split_answers
from eval.engines.interface import Engine
from eval.methods.base import Answer, Asked
from eval.options import letter_mass
from eval.predictions import LetterMass


@dataclass(frozen=True)
class Letter:
    """Scores are raw: log-probabilities over the full vocabulary, which the letter mass needs."""

    reads = structured = False

    def ask(self, tokenizer: Tokenizer, row: Row) -> Asked:
        """The prompt, and each letter as a continuation of one token."""
        prompt, label_tokens = encode(tokenizer, row)
        return Asked(row, [prompt], [[[token] for token in label_tokens]], len(prompt))

    def answers(self, engine: Engine, tokenizer: Tokenizer, asked: Sequence[Asked]) -> list[Answer]:
        """The raw log-probabilities of each row's letters."""
        found = engine.letter_logprobs(
            [one.prompts[0] for one in asked],
            [[token for [token] in one.continuations[0]] for one in asked],
        )
        return [Answer(scores=list(values)) for values in found]

    def meta(self) -> dict[str, Any]:
        """The method; its scores are the model's own probabilities."""
        return {"method": "letter", "probabilities": True}

    def found(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """How much probability falls on the letters, over all rows asked."""
        shares = [letter_mass(answer.scores or []) for answer in answers]
        mass = LetterMass(
            mean=round(math.fsum(shares) / len(shares), 4),
            min=round(min(shares), 4),
            below_half=round(sum(share < 0.5 for share in shares) / len(shares), 4),
        )
        return {"letter_mass": mass.model_dump()}


Normalise = Literal["sum", "characters", "bytes", "tokens"]
NEUTRAL = [Message(role="user", content="")]  # the chat template around an empty user turn
ENDS = ("0", "가")  # two answers that no token ends alike: what follows both ends any answer


def likelihood(token_logprobs: Sequence[float], text: str, normalise: Normalise) -> float:
    """Log-likelihood (nats) of a text from that of its tokens, divided by its length.

    `characters` are Unicode code points, `bytes` those of UTF-8; `sum` divides by nothing.
    """
    total = math.fsum(token_logprobs)
    return (
        total
        / {
            "sum": 1,
            "characters": len(text),
            "bytes": len(text.encode()),
            "tokens": len(token_logprobs),
        }[normalise]
    )


def pmi(given: Sequence[float], neutral: Sequence[float]) -> float:
    """Pointwise mutual information (nats) of an option's text and its context.

    LL(text | context) - LL(text | neutral context): Holtzman et al. (2021), arXiv 2104.08315.
    """
    return math.fsum(given) - math.fsum(neutral)


def without_end(tails: Sequence[list[int]]) -> list[list[int]]:
    """Token ids of answers without what ends an answer; the last two `tails` are those of `ENDS`.

    An end of turn says nothing of an option, and lm-evaluation-harness does not score it either.
    """
    *texts, one, other = tails
    end = 0
    while end < min(len(one), len(other)) and one[-1 - end] == other[-1 - end]:
        end += 1
    return [tail[: len(tail) - end] for tail in texts]


@dataclass(frozen=True)
class Option:
    """The likelihood of the option's text, normalised by its length."""

    normalise: Normalise = "sum"
    reads = structured = False

    def ask(self, tokenizer: Tokenizer, row: Row) -> Asked:
        """The prompt, and each option's text as a continuation."""
        return _asked(tokenizer, row, neutral=False)

    def answers(self, engine: Engine, tokenizer: Tokenizer, asked: Sequence[Asked]) -> list[Answer]:
        """One normalised log-likelihood an option."""
        return [
            Answer(
                scores=[
                    likelihood(values, text, self.normalise)
                    for values, text in zip(found, one.row.options or [], strict=True)
                ]
            )
            for one, [found] in zip(asked, _logprobs(engine, asked), strict=True)
        ]

    def meta(self) -> dict[str, Any]:
        """The method and its normalisation."""
        return {"method": "option", "normalise": self.normalise}

    def found(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """Nothing more."""
        return {}


@dataclass(frozen=True)
class Pmi:
    """How much more likely an option's text is after the prompt than after an empty user turn."""

    reads = structured = False

    def ask(self, tokenizer: Tokenizer, row: Row) -> Asked:
        """The prompt and the neutral one, and after both each option's text."""
        return _asked(tokenizer, row, neutral=True)

    def answers(self, engine: Engine, tokenizer: Tokenizer, asked: Sequence[Asked]) -> list[Answer]:
        """One mutual information an option."""
        return [
            Answer(scores=[pmi(*pair) for pair in zip(given, neutral, strict=True)])
            for given, neutral in _logprobs(engine, asked)
        ]

    def meta(self) -> dict[str, Any]:
        """The method and what it compares with."""
        return {"method": "pmi", "neutral": "empty user turn"}

    def found(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """Nothing more."""
        return {}


def _asked(tokenizer: Tokenizer, row: Row, neutral: bool) -> Asked:
    where = f"row {row.id}"
    if row.options is None:
        raise UserError(
            f"{where}: carries no option texts; build the data again, or use --method letter"
        )
    if not all(text.strip() for text in row.options):
        raise UserError(f"{where}: one of its options is empty; correct it or use --method letter")
    texts = [*row.options, *ENDS]
    found = [answered(tokenizer, row, texts)]
    if neutral:
        found.append(split_answers(tokenizer, NEUTRAL, texts, f"{where}, neutral context"))
    prompts = [prompt for prompt, _ in found]
    continuations = [without_end(tails) for _, tails in found]
    longest = max(len(p) + max(map(len, c)) for p, c in zip(prompts, continuations, strict=True))
    return Asked(row, prompts, continuations, longest)


def _logprobs(engine: Engine, asked: Sequence[Asked]) -> list[list[list[list[float]]]]:
    """By row, prompt, option and token, the log-probabilities of all continuations."""
    found = iter(
        engine.continuation_logprobs(
            [prompt for one in asked for prompt in one.prompts],
            [tails for one in asked for tails in one.continuations],
        )
    )
    return [[next(found) for _ in one.prompts] for one in asked]
