"""Rules a row must pass, looked at a column at a time; the first that a row breaks is the reason it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tickcast.sources.contract import TIME_MAX_MS, TIME_MIN_MS
from tickcast.sources.files.numbers import Parsed, texts
from tickcast.sources.files.result import Rejects

Mask = NDArray[np.bool_]


class Rule(NamedTuple):
    """Where it is broken, and what to say; `{name}` stands for the row's own text of that role."""

    broken: Mask
    says: str


class Roled(NamedTuple):
    """Some rows of a file: raw columns by role, and where they stood."""

    columns: dict[str, pa.Array]
    numbers: NDArray[np.int64]
    all_columns: list[pa.Array]


def readable(role: str, parsed: Parsed, *, needed: bool = True, kind: str = "a number") -> list[Rule]:
    """A value must be there (if needed) and be what it should."""
    rules = [Rule(parsed.unreadable, f"{role} {{{role}}} is not {kind}")]
    return [Rule(parsed.missing, f"{role} is missing"), *rules] if needed else rules


def in_range(parsed: Parsed) -> list[Rule]:
    """A time must be a time of this kind of market."""
    ms = parsed.values // 1000
    return [
        *readable("time", parsed, kind="a time"),
        Rule(ms < TIME_MIN_MS, "time {time} is before 2009, when no coin was traded; is the time unit right?"),
        Rule(ms >= TIME_MAX_MS, "time {time} is after 2100; is the time unit right?"),
    ]


def sift(rows: Roled, rules: list[Rule], rejects: Rejects, place: str) -> Mask:
    """True for the rows that pass; the others are put down with their first reason."""
    first = np.zeros(len(rows.numbers), np.int16)
    for code, rule in enumerate(rules, 1):
        first[(first == 0) & rule.broken] = code
    refused = np.flatnonzero(first)
    if len(refused):
        _put_down(rows, refused, [rules[first[at] - 1].says for at in refused], rejects, place)
    kept: Mask = first == 0
    return kept


def _put_down(rows: Roled, refused: NDArray[Any], says: list[str], rejects: Rejects, place: str) -> None:
    picked = pa.array(refused)
    values = {role: texts(column.take(picked)) for role, column in rows.columns.items()}
    whole = [texts(column.take(picked)) for column in rows.all_columns]
    for at, number in enumerate(rows.numbers[refused].tolist()):
        row = {role: column[at].strip()[:60] or '""' for role, column in values.items()}
        raw = ",".join(column[at] for column in whole)
        rejects.add(f"{place} {number}", says[at].format_map(row), raw, kind=says[at])


Say = Callable[[str], None]
