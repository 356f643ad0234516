"""Rows of whole numbers as text, fast: a template is compiled to a few operations that a kernel runs over all rows.

A template is the venue's own message with fields in it:

    <id>             a whole number                      4418
    <price:8>        a step count, with 8 decimals       94100.10000000
    <price:.>        with the pair's decimals            94100.10
    <price:trim>     without zeros at the end            94100.1
    <time_us:ms>     microseconds as milliseconds        1736208000123
    <time_us:iso>    microseconds as RFC 3339            2025-01-07T00:00:00.123456Z
    <time_us:s>      microseconds as whole seconds       1736208000
    <time_us:float>  microseconds as seconds             1736208000.123456
    <maker:yes|no>   a word for 1 and one for 0
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.kernels import kernel, warms
from tickcast.sources.simulated import kernels as k

LITERAL, WHOLE, FIXED, TRIMMED, PARTS, ISO, WORD = range(7)
FIELD_BYTES_MAX = 48
_FIELD = re.compile(r"<(?P<name>[a-z_]+)(:(?P<form>[^>]*))?>")
_DIVIDED = {"ms": 1000, "s": 1_000_000}
MARKET_COLUMNS = {
    "time_us": k.TIME_US,
    "id": k.ID,
    "price": k.PRICE,
    "quantity": k.QUANTITY,
    "maker": k.MAKER,
    "bid": k.BID,
    "bid_size": k.BID_SIZE,
    "ask": k.ASK,
    "ask_size": k.ASK_SIZE,
}
"""The fields of a row of the market, by the names that templates give them."""


class Templates(NamedTuple):
    """Compiled templates: operations (kind and four numbers), where each template's begin, and all fixed text."""

    ops: NDArray[np.int64]
    starts: NDArray[np.int64]
    text: NDArray[np.uint8]
    longest: int


def compile_templates(
    texts: Sequence[tuple[str, Mapping[str, int]]], columns: Mapping[str, int] = MARKET_COLUMNS
) -> Templates:
    """Compile templates, each with the decimals of its fields; `columns` says where in a row each field is.

    >>> templates = compile_templates([('[<price:.>,"<time_us:float>"]', {"price": 2})], {"price": 0, "time_us": 1})
    >>> render(templates, np.zeros(1, np.int64), np.array([[1250, 1_736_208_000_120_000]]))
    [b'[12.50,"1736208000.12"]']
    """
    ops: list[tuple[int, int, int, int, int]] = []
    starts, pool, longest = [0], bytearray(), 0

    def keep(text: str) -> tuple[int, int]:
        pool.extend(text.encode())
        return len(pool) - len(text.encode()), len(text.encode())

    for text, decimals in texts:
        at, size = 0, 0
        for field in _FIELD.finditer(text):
            ops.append((LITERAL, *keep(text[at : field.start()]), 0, 0))
            name, form = field["name"], field["form"] or ""
            column, places = columns[name], decimals.get(name, 0)
            if "|" in form:
                yes, no = (keep(word) for word in form.split("|"))
                ops.append((WORD, column, yes[0], no[0], yes[1] << 8 | no[1]))
            elif form in _DIVIDED:
                ops.append((PARTS, column, _DIVIDED[form], 0, 0))
            elif form == "iso":
                ops.append((ISO, column, 0, 0, 0))
            elif form == "float":
                ops.append((TRIMMED, column, 6, 0, 0))
            elif form == "trim":
                ops.append((TRIMMED, column, places, 0, 0))
            elif form:
                ops.append((FIXED, column, places, max(0, int(form) - places) if form != "." else 0, 0))
            else:
                ops.append((WHOLE, column, 0, 0, 0))
            at, size = field.end(), size + FIELD_BYTES_MAX
        ops.append((LITERAL, *keep(text[at:]), 0, 0))
        starts.append(len(ops))
        longest = max(longest, size + len(text.encode()))
    return Templates(np.array(ops), np.array(starts), np.frombuffer(bytes(pool), np.uint8), longest)


def render(templates: Templates, which: NDArray[np.int64], rows: NDArray[np.int64]) -> list[bytes]:
    """Write each row in the template that `which` names for it."""
    if len(rows) == 0:
        return []
    out = np.empty(len(rows) * templates.longest, np.uint8)
    ends = np.empty(len(rows) + 1, np.int64)
    used = render_rows(templates.ops, templates.starts, templates.text, which, rows, out, ends)
    data, cuts = out[:used].tobytes(), ends.tolist()
    return [data[a:b] for a, b in pairwise(cuts)]


@kernel
def put_whole(out: NDArray[np.uint8], at: int, value: int, least: int) -> int:
    """Write a whole number that is not negative with at least so many digits; returns the next free place."""
    digits, rest = 1, value // 10
    while rest > 0:
        digits, rest = digits + 1, rest // 10
    digits = max(digits, least)
    for place in range(at + digits - 1, at - 1, -1):
        out[place] = 48 + value % 10
        value //= 10
    return at + digits


@kernel
def put_decimal(out: NDArray[np.uint8], at: int, value: int, places: int, zeros: int, trim: bool) -> int:
    """Write `value / 10**places`, then some zeros, or without those at the end."""
    if trim:
        while places > 0 and value % 10 == 0:
            value, places = value // 10, places - 1
    scale = 1
    for _ in range(places):
        scale *= 10
    at = put_whole(out, at, value // scale, 1)
    if places + zeros > 0:
        out[at] = 46
        at += 1
    if places > 0:
        at = put_whole(out, at, value % scale, places)
    for _ in range(zeros):
        out[at] = 48
        at += 1
    return at


@kernel
def put_iso(out: NDArray[np.uint8], at: int, time_us: int) -> int:
    """Write a time since 1970 as RFC 3339 with microseconds (days to a date after H. Hinnant's algorithm)."""
    days, us = time_us // 86_400_000_000, time_us % 86_400_000_000
    z = days + 719_468
    era, day_of_era = z // 146_097, z % 146_097
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day + 2) // 153
    seconds = us // 1_000_000
    parts = (
        (year + era * 400 + (1 if month >= 10 else 0), 4, 45),
        (month + 3 if month < 10 else month - 9, 2, 45),
        (day - (153 * month + 2) // 5 + 1, 2, 84),
        (seconds // 3600, 2, 58),
        (seconds // 60 % 60, 2, 58),
        (seconds % 60, 2, 46),
        (us % 1_000_000, 6, 90),
    )
    for value, digits, mark in parts:
        at = put_whole(out, at, value, digits)
        out[at] = mark
        at += 1
    return at


@kernel
def put_text(out: NDArray[np.uint8], at: int, text: NDArray[np.uint8], start: int, length: int) -> int:
    """Copy fixed text."""
    for i in range(length):
        out[at + i] = text[start + i]
    return at + length


@kernel
def render_rows(
    ops: NDArray[np.int64],
    starts: NDArray[np.int64],
    text: NDArray[np.uint8],
    which: NDArray[np.int64],
    rows: NDArray[np.int64],
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> int:
    """Run the operations of each row's template; `ends` gets where each text ends (the first is 0)."""
    at, ends[0] = 0, 0
    for i in range(rows.shape[0]):
        for j in range(starts[which[i]], starts[which[i] + 1]):
            op, a, b, c, d = ops[j]
            if op == LITERAL:
                at = put_text(out, at, text, a, b)
            elif op == WHOLE:
                at = put_whole(out, at, rows[i, a], 1)
            elif op in (FIXED, TRIMMED):
                at = put_decimal(out, at, rows[i, a], b, c, op == TRIMMED)
            elif op == PARTS:
                at = put_whole(out, at, rows[i, a] // b, 1)
            elif op == ISO:
                at = put_iso(out, at, rows[i, a])
            elif rows[i, a]:
                at = put_text(out, at, text, b, d >> 8)
            else:
                at = put_text(out, at, text, c, d & 255)
        ends[i + 1] = at
    return at


@warms
def _warm() -> list[bytes]:
    templates = compile_templates([("<id><price:8><price:trim><time_us:ms><time_us:iso><maker:a|b>", {})])
    return render(templates, np.zeros(1, np.int64), np.zeros((1, k.WIDTH), np.int64))
