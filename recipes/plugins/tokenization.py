"""Rows as the template renders them, to compare with what Axolotl would train on."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.jsonl import read_objects, validated
from core.records import Preference


@dataclass
class Rendered:
    """The conversations of one split: what names each, where its answer begins, what ends it.

    `starts` maps the digest of a conversation's ids to the number of its prompt's ids, or to None
    for one without an answer letter. `ends` are the ids of the tokens that may end an answer.
    """

    names: str = ""
    tokenizer: Any = None
    ends: frozenset[int] = frozenset()
    count: int = 0
    starts: dict[bytes, int | None] = field(default_factory=dict)
    letters: dict[str, int] = field(default_factory=dict)


def key(ids: Iterable[int]) -> bytes:
    """A short name for a sequence of token ids."""
    return hashlib.sha256(np.asarray(ids, dtype=np.int32).tobytes()).digest()


def render(
    paths: list[Path],
    tokenizer: Any,
    limit: int,
    *,
    preferred: bool = False,
    eot_tokens: Sequence[str] = (),
) -> Rendered:
    """Render and tokenise all rows; raises `UserError` naming the first one unfit.

    A row is one conversation, or where answers are `preferred` a chosen and a rejected one.
    """
    rendered = Rendered(", ".join(map(str, paths)), tokenizer, ends_of(tokenizer, eot_tokens))
    for path in paths:
        for number, row in read_objects(path):
            where = f"{path}, row {row.get('id', f'of line {number}')}"
            for conversation in both(row, where) if preferred else (row,):
                ids, start = tokenised(conversation, tokenizer, where)
                if len(ids) > limit:
                    raise UserError(
                        f"{where}: {len(ids)} tokens, over the recipe's sequence_len of {limit}; "
                        "raise sequence_len, or leave the row out in params.yaml"
                    )
                check_bos(ids, tokenizer, where)
                if start is not None:
                    check_letter(conversation, ids[start], rendered.letters, tokenizer, where)
                rendered.starts[key(ids)] = start
                rendered.count += 1
    if not rendered.count:
        raise UserError(f"{rendered.names}: no rows; run python prep/build.py again")
    return rendered


def both(row: dict[str, Any], where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A preference row as two conversations: with the chosen answer, and with the rejected one."""
    if "chosen" not in row:
        raise UserError(
            f"{where}: no chosen and rejected answer, which `rl: orpo` learns from; train on "
            "preferences.jsonl (preferences: true in params.yaml)"
        )
    known = validated(row, Preference, where)
    system = [{"role": "system", "content": known.system}] if known.system else []
    wrong = known.labels[known.order.index(known.wrong)]
    return tuple(
        {"labels": known.labels, "answer": answer, "messages": system + row[side]}
        for side, answer in (("chosen", known.answer), ("rejected", wrong))
    )


def tokenised(row: dict[str, Any], tokenizer: Any, where: str) -> tuple[list[int], int | None]:
    """Ids of a row and, where it has an answer letter, how many of them are its prompt's.

    The prompt is rendered as scoring renders it; its ids must begin the row's ids.
    """
    messages = row.get("messages") or []
    if not messages or messages[-1].get("role") != "assistant":
        raise UserError(
            f"{where}: does not end with the assistant's message, so there is nothing to learn; "
            "train on a stage's file, not on rows meant for scoring"
        )
    try:
        ids = encode(tokenizer, messages)
    except Exception as error:  # a template raises what it likes
        raise UserError(
            f"{where}: the chat template refuses it ({error}); see `system` in params.yaml"
        ) from None
    if row.get("labels") is None:
        return ids, None
    prompt = encode(tokenizer, messages[:-1], add_generation_prompt=True)
    if ids[: len(prompt)] != prompt:
        raise UserError(
            f"{where}: its prompt's tokens change when the answer follows, so that it would be "
            "scored on other tokens than trained; use another chat_template"
        )
    return ids, len(prompt)


def encode(tokenizer: Any, messages: list[dict[str, str]], **options: bool) -> list[int]:
    """Messages as token ids, by the tokenizer's own chat template."""
    return tokenizer.apply_chat_template(messages, return_dict=False, **options)


def check_bos(ids: list[int], tokenizer: Any, where: str) -> None:
    """Raise `UserError` unless a row begins with its only BOS, where its tokenizer knows one."""
    bos = tokenizer.bos_token_id
    wanted = int(bos is not None and (ids[0] == bos or bos in tokenizer("").input_ids))
    if bos is not None and (ids.count(bos) != wanted or (wanted and ids[0] != bos)):
        raise UserError(
            f"{where}: {ids.count(bos)} times {tokenizer.bos_token} instead of once at the start; "
            "correct the row's text or the chat template"
        )


def check_letter(
    row: dict[str, Any], first: int, letters: dict[str, int], tokenizer: Any, where: str
) -> None:
    """Raise `UserError` unless the answer's first token is its letter alone, one id everywhere."""
    answer, token = row.get("answer"), tokenizer.decode([first])
    if answer is None or token.strip() != answer:
        raise UserError(
            f"{where}: the first token to be trained is {token!r}, not the letter {answer}; "
            "see `answer` in params.yaml, or use another chat_template"
        )
    if letters.setdefault(answer, first) != first:
        raise UserError(
            f"{where}: the letter {answer} is token {first} here and {letters[answer]} in an "
            "earlier row; use another chat_template"
        )


def ends_of(tokenizer: Any, eot_tokens: Sequence[str]) -> frozenset[int]:
    """Ids of the tokens that may end an answer: the special ones and those that a recipe names."""
    special = {id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
    special |= {*tokenizer.all_special_ids, *tokenizer.convert_tokens_to_ids([*eot_tokens])}
    special -= {tokenizer.bos_token_id, tokenizer.unk_token_id}
    return frozenset(special | {tokenizer.eos_token_id}) - {None}


def compare(rendered: Rendered, dataset: Any) -> None:
    """Raise `UserError` unless Axolotl trains on all rows, each from its letter on to its end.

    `dataset` holds `input_ids` and `labels` a row, -100 where nothing is learnt.
    """
    for ids, labels in zip(dataset["input_ids"], dataset["labels"], strict=True):
        start = rendered.starts.get(key(ids), -1)
        learnt = np.flatnonzero(np.asarray(labels) != -100)
        if start == -1 or not len(learnt) or start not in (None, learnt[0]):
            raise UserError(
                f"{rendered.names}: Axolotl tokenises a row unlike its chat template, or learns "
                "something before the answer's letter; use `type: chat_template` and set eot_tokens"
            )
        last = int(learnt[-1])
        rest = rendered.tokenizer.decode(ids[last + 1 :])
        gaps = start is not None and len(learnt) <= last - start
        if gaps or rest.strip() or ids[last] not in rendered.ends:
            raise UserError(
                f"{rendered.names}: Axolotl does not learn an answer to its end (the last token "
                f"learnt is {rendered.tokenizer.decode([ids[last]])!r}, and {rest!r} follows), so "
                "that the model would not learn to stop; set eot_tokens to what ends an answer in "
                "the chat template, and no train_on_eos or train_on_eot of none"
            )
    if len(dataset["input_ids"]) != rendered.count:
        raise UserError(
            f"{rendered.names}: {rendered.count} conversations, but Axolotl would train on "
            f"{len(dataset['input_ids'])}; "
            "set `excess_length_strategy: raise` and look for rows with nothing to learn"
        )
