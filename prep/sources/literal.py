"""Lists and dictionaries that public sets hold as text: parsed, bounded, never evaluated."""

import ast
import io
import json
import tokenize
import warnings
from itertools import pairwise
from typing import Any

from core.errors import UserError
from core.text import writable

LONGEST = 200_000  # characters; exam questions have some hundreds
NOT_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)
NOT_LITERAL += (tokenize.TokenError,)
NAMES = {"nan": None, "NaN": None, "null": None, "true": True, "false": False}


class _Named(ast.NodeTransformer):
    """The names that JSON and numpy write for values of Python."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(NAMES[node.id]) if node.id in NAMES else node


def literal(text: str, where: str) -> Any:
    """The value of JSON or a Python literal (strings, numbers, lists, dictionaries).

    "nan", however it is written, is None. Raises `UserError`, also where a list lacks its commas as
    numpy writes it: Python would join its texts.
    """
    if len(text) > LONGEST:
        raise UserError(
            f"{where}: {len(text)} characters, more than {LONGEST}; shorten or delete the record"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of backslashes in the text
            return writable(_value(text.strip()), where)
    except NOT_LITERAL:
        raise UserError(
            f"{where}: neither JSON nor a Python literal; correct or delete the record"
        ) from None


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError:
        pass
    value = ast.literal_eval(_Named().visit(ast.parse(text, mode="eval")))
    strings = [token.type == tokenize.STRING for token in _tokens(text)]
    if any(first and second for first, second in pairwise(strings)):
        raise ValueError("two texts without a comma")
    return value


def _tokens(text: str) -> list[tokenize.TokenInfo]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token for token in tokens if token.type != tokenize.NL]
