"""Scan a prediction file that has exactly the form `eval.predictions.write` gives it.

A million lines take a quarter of a second where a general JSON parser takes one (bench/voting.py).
Nothing is repaired or passed over: the first byte that is not as written ends the scan without a
result, and the strict reader decides.
"""

import numba
import numpy as np
from numpy.typing import NDArray


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


ID, ORDER, LOGPROBS = _bytes('{"id": '), _bytes(', "order": ['), _bytes('], "logprobs": ')
CHOICE, END, NULL, COMMA = _bytes(', "choice": '), _bytes("}\n"), _bytes("null"), _bytes(", ")
OPENED, CLOSED = _bytes("["), _bytes("]")
ZERO, NINE, MINUS, DOT, EXPONENT = (ord(sign) for sign in "09-.e")
POWERS = 10.0 ** np.arange(23)  # every one exact, so that a quotient is rounded once
DIGITS = 15  # of a whole number that a float holds exactly


def scan(
    data: bytes,
    heads: NDArray[np.uint8],
    ends: NDArray[np.int64],
    options: NDArray[np.int8],
    width: int,
) -> tuple[NDArray[np.int8], NDArray[np.float64] | None] | None:
    """Choices [items] and log-probabilities [items, width] as in `Ballots`.

    None where the file holds anything but one well-formed line for each of the ids (`heads` to
    `ends`, as in `Items`), in this order and with these numbers of options.
    """
    choice = np.empty(len(options), np.int8)
    logprobs = np.zeros((len(options), width))
    if not _scan(np.frombuffer(data, np.uint8), heads, ends, options, choice, logprobs):
        return None
    return choice, None if np.isnan(logprobs[:, 0]).all() else logprobs


@numba.njit(nogil=True)
def _match(data, at, text):
    """The place behind `text` where it stands at `at`, else -1; -1 stays -1."""
    if at < 0 or at + len(text) > len(data):
        return -1
    for i in range(len(text)):
        if data[at + i] != text[i]:
            return -1
    return at + len(text)


@numba.njit(nogil=True)
def _digits(data, at, value):
    """`value` with the decimal digits at `at` behind it, and the place behind them."""
    while at < len(data) and ZERO <= data[at] <= NINE:
        value = value * 10 + (data[at] - ZERO)
        at += 1
    return value, at


@numba.njit(nogil=True)
def _number(data, at):
    """The number at `at`, none above 0, and the place behind it; -1 where it is not exact."""
    negative = at < len(data) and data[at] == MINUS
    start = at + negative
    value, at = _digits(data, start, 0)
    if at == start or (data[start] == ZERO and at > start + 1):
        return 0.0, -1
    scale = 0
    written = at - start
    if at < len(data) and data[at] == DOT:
        begun = at + 1
        value, at = _digits(data, begun, value)
        scale = at - begun
        written += scale
        if scale == 0:
            return 0.0, -1
    if at + 1 < len(data) and data[at] == EXPONENT:
        if data[at + 1] != MINUS:
            return 0.0, -1
        begun = at + 2
        power, at = _digits(data, begun, 0)
        if at == begun or at > begun + 2:
            return 0.0, -1
        scale += power
    if written > DIGITS or scale >= len(POWERS) or (value and not negative):
        return 0.0, -1
    number = value / POWERS[scale]
    return -number if negative else number, at


@numba.njit(nogil=True)
def _scan(data, heads, ends, options, choice, logprobs):
    at = 0
    head = 0
    for row in range(len(options)):
        count = options[row]
        at = _match(data, _match(data, at, ID), heads[head : ends[row]])
        head = ends[row]
        at = _match(data, at, ORDER)
        seen = 0
        for i in range(count):
            if i:
                at = _match(data, at, COMMA)
            if at < 0 or at >= len(data) or not ZERO <= data[at] < ZERO + count:
                return False
            seen |= 1 << (data[at] - ZERO)
            at += 1
        if seen != (1 << count) - 1:
            return False
        at = _match(data, at, LOGPROBS)
        given = _match(data, at, OPENED)
        if given < 0:
            at = _match(data, at, NULL)
            logprobs[row, :count] = np.nan
        else:
            at = given
            for i in range(count):
                if i:
                    at = _match(data, at, COMMA)
                if at < 0:
                    return False
                logprobs[row, i], at = _number(data, at)
            at = _match(data, at, CLOSED)
        at = _match(data, at, CHOICE)
        if at < 0 or at >= len(data):
            return False
        if ZERO <= data[at] < ZERO + count:
            choice[row] = data[at] - ZERO
            at += 1
        else:
            choice[row] = -1
            at = _match(data, at, NULL)
        at = _match(data, at, END)
        if at < 0:
            return False
    return at == len(data)
