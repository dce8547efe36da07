"""Token ids of a row's prompt and of each of its labels, found the way training tokenised them.

Training renders the complete conversation, answer included, through the chat template that Axolotl
saved with the tokenizer. The same is done here, so that a label's id is the one that was trained.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from jinja2 import TemplateError, TemplateSyntaxError

from core.errors import UserError
from core.files import read_text
from core.model_folder import why
from core.records import Message, Row


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that scoring needs."""

    bos_token_id: int | None
    eos_token_id: int | None
    added_tokens_decoder: dict[int, Any]
    chat_template: Any

    def apply_chat_template(self, conversation: Any, **kwargs: Any) -> Any:
        """Token ids of a conversation, or of each conversation of a batch."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text, with or without the BOS and its like that the tokenizer adds."""

    def decode(self, token_ids: Any, **kwargs: Any) -> str:
        """Text of token ids."""


def load_tokenizer(folder: Path, template: Path | None = None) -> Tokenizer:
    """The tokenizer of a model folder, with its saved chat template or the one in a Jinja file."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        words = len(tokenizer) - len(tokenizer.added_tokens_decoder)
    except Exception as error:  # of every kind, as the files are broken
        raise UserError(
            f"{folder}: its tokenizer cannot be loaded ({why(error)}); "
            "copy the tokenizer files of the trained model into it"
        ) from None
    if words <= 0:  # what transformers makes of a folder without tokenizer files
        raise UserError(
            f"{folder}: its tokenizer has no words; copy the tokenizer files of the trained model "
            "into it"
        )
    if template is not None:
        tokenizer.chat_template = read_text(template)
    if not tokenizer.chat_template:
        raise UserError(
            f"{folder}: its tokenizer has no chat template; copy the tokenizer files that training "
            "saved into it, or name the training template with --chat-template"
        )
    return tokenizer


def encode(tokenizer: Tokenizer, row: Row) -> tuple[list[int], list[int]]:
    """Token ids of a scoring row: its prompt, and one id a label in the order shown.

    Raises `UserError` as `answered` does, and where a label is not one token of its own.
    """
    labels = row.labels or []
    # Trained answers are "A" or "A. text": the label must be the same token in both.
    answers = [text for label in labels for text in (label, f"{label}. 답")]
    prompt, tails = answered(tokenizer, row, answers)
    label_tokens = []
    for label, bare, full in zip(labels, tails[::2], tails[1::2], strict=True):
        if bare[0] != full[0] or tokenizer.decode([bare[0]]).strip() != label:
            raise UserError(
                f"row {row.id}: this tokenizer does not make the letter {label} one token of its "
                f"own (it starts {tokenizer.decode(full[:2])!r}); use other labels or another model"
            )
        label_tokens.append(bare[0])
    if len(set(label_tokens)) != len(label_tokens):
        raise UserError(f"row {row.id}: labels {row.labels} share a token; use other labels")
    return prompt, label_tokens


def answered(
    tokenizer: Tokenizer, row: Row, answers: Sequence[str]
) -> tuple[list[int], list[list[int]]]:
    """`split_answers` of a scoring row.

    Raises `UserError` where the row is no scoring row, and where the prompt starts with two BOS.
    """
    if row.labels is None or row.messages[-1].role != "user":
        raise UserError(
            f"row {row.id}: not a scoring row (it needs labels and must end with the user's "
            "message); score the files that prep/build.py writes for dev and test"
        )
    prompt, tails = split_answers(tokenizer, row.messages, answers, f"row {row.id}")
    bos = tokenizer.bos_token_id
    if bos is not None and prompt[:2] == [bos, bos]:
        raise UserError(
            f"row {row.id}: its prompt starts with two BOS tokens; take BOS out of the prompt text "
            "or of the chat template"
        )
    return prompt, tails


def split_answers(
    tokenizer: Tokenizer, messages: Sequence[Message], answers: Sequence[str], where: str
) -> tuple[list[int], list[list[int]]]:
    """The prompt's token ids, and for each answer the ids that follow the prompt in training.

    Each answer is tokenised together with its prompt; nothing is looked up in a vocabulary. Raises
    `UserError` where the prompt's ids are no prefix of the conversation's, or nothing follows them.
    """
    turns = [message.model_dump() for message in messages]
    conversations = [[*turns, {"role": "assistant", "content": answer}] for answer in answers]
    try:
        prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        full = tokenizer.apply_chat_template(conversations, return_dict=False)
    except TemplateSyntaxError as error:
        raise UserError(
            f"{where}: the chat template is broken in its line {error.lineno} ({error}); copy the "
            "one that training saved"
        ) from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise UserError(
            f"{where}: the chat template refuses it ({error}); build the data for this model, "
            "for instance with system: fold for one without a system role"
        ) from None
    for answer, ids in zip(answers, full, strict=True):
        if ids[: len(prompt)] != prompt or len(ids) == len(prompt):
            raise UserError(
                f"{where}: the prompt's tokens are not the beginning of prompt and answer "
                f"{answer!r} together; the chat template's generation prompt differs from what "
                "stands before an answer, or a token joins the two: correct the template"
            )
    return prompt, [ids[len(prompt) :] for ids in full]
