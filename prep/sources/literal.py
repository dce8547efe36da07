"""Python literals that public sets hold as text: parsed, bounded, never evaluated."""

import ast
import warnings
from typing import Any

from prep.errors import UserError
from prep.text import writable

LONGEST = 200_000  # characters; exam questions have some hundreds
NOT_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


def literal(text: str, where: str) -> Any:
    """The value of a Python literal (strings, numbers, lists, dictionaries); raises `UserError`."""
    if len(text) > LONGEST:
        raise UserError(
            f"{where}: {len(text)} characters, more than {LONGEST}; shorten or delete the record"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of backslashes in the text
            return writable(ast.literal_eval(text.strip()), where)
    except NOT_LITERAL:
        raise UserError(f"{where}: no Python literal; mend or delete the record") from None
