"""The token of each letter as an answer, asked of the server: vLLM's /tokenize.

With it the server gives a letter's log-probability whatever its rank. It is found as eval finds it:
behind the prompt, where a conversation with the letter as its answer goes on.
"""

from collections.abc import Sequence
from typing import Any

import httpx

from core.errors import UserError
from prep.teachers.client import headers
from prep.teachers.roster import Teacher

ASKED = {"role": "user", "content": "?"}  # what is asked makes no difference to what answers it


def letter_tokens(teacher: Teacher, model: str, labels: Sequence[str]) -> dict[str, int] | None:
    """The token id of each letter, or None where the server tells none, as hosted ones do.

    Raises `UserError` where the server is down, and where a letter is not one token of its own.
    """
    address = f"{teacher.address.rstrip('/').removesuffix('/v1')}/tokenize"
    with httpx.Client(headers=headers(teacher), timeout=30.0, trust_env=not teacher.here) as client:

        def ids(*answer: str) -> list[int] | None:
            said = [{"role": "assistant", "content": text} for text in answer]
            body = {"messages": [ASKED, *said], "add_generation_prompt": not answer}
            try:
                response = client.post(address, json={"model": model, **body})
                found: Any = response.json()["tokens"] if response.status_code < 400 else None
            except httpx.HTTPError as error:
                raise UserError(
                    f"teacher {teacher.name}, {address}: {type(error).__name__} {error}; start "
                    "the server, or correct the address"
                ) from None
            except (ValueError, KeyError, TypeError):
                return None
            return found if isinstance(found, list) else None

        prompt = ids()
        if prompt is None:
            return None
        tokens = {}
        for label in labels:
            # an answer is "A" or "A. text": the letter must be the same token in both
            tails = [(ids(text) or [])[len(prompt) :][:1] for text in (label, f"{label}. 답")]
            if not tails[0] or tails[0] != tails[1]:
                raise UserError(
                    f"teacher {teacher.name}: model {model} does not make the letter {label} one "
                    "token of its own; take another teacher"
                )
            tokens[label] = tails[0][0]
    if len(set(tokens.values())) < len(tokens):
        raise UserError(
            f"teacher {teacher.name}: letters of model {model} share a token; take another"
        )
    return tokens
