"""`letter`: the log-probability of each option's letter, as the first token of the answer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eval.backend import Engine
from eval.letters import Tokenizer, encode
from eval.methods.base import Answer, Asked
from eval.options import letter_mass
from eval.predictions import LetterMass
from prep.records import Row


@dataclass(frozen=True)
class Letter:
    """Scores are raw: log-probabilities over the whole vocabulary, which the letter mass needs."""

    reads = structured = False

    def ask(self, tokenizer: Tokenizer, row: Row) -> Asked:
        """The prompt, and each letter as a continuation of one token."""
        prompt, letters = encode(tokenizer, row)
        return Asked(row, [prompt], [[[letter] for letter in letters]], len(prompt))

    def answers(self, engine: Engine, tokenizer: Tokenizer, asked: Sequence[Asked]) -> list[Answer]:
        """The raw log-probabilities of each row's letters."""
        found = engine.letter_logprobs(
            [one.prompts[0] for one in asked],
            [[letter for [letter] in one.continuations[0]] for one in asked],
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
