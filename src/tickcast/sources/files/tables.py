"""What every format is brought into before anyone asks what it means: columns by place, and where each row stood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class BadRow(NamedTuple):
    """A row that has not even the right number of fields."""

    number: int
    reason: str
    row: str


class Rows(NamedTuple):
    """Some rows; `numbers` are their lines (or rows) in the file, from 1."""

    columns: list[pa.Array]
    numbers: NDArray[np.int64]
    bad: list[BadRow]


class Hints(NamedTuple):
    """What a format says beside its rows."""

    exchange: str = ""
    pair: str = ""
    what: str = ""
    candle_seconds: int = 0
    day_ms: int = -1
    """The times count from this moment (Lean's files are of one day)."""
    quiet_gaps: bool = False
    """Candles are left out where nothing was traded."""
    committed_us: int = 0
    """Candles that start later were still forming."""


class Table(NamedTuple):
    """An open file: column names (empty: it has none), and its rows to come."""

    path: Path
    format: str
    names: list[str]
    place: str
    """`line` or `row`: what the numbers count."""
    rows: Iterator[Rows]
    hints: Hints
    notes: list[str]


def from_lists(rows: Sequence[Any], numbers: NDArray[np.int64], names: list[str], width: int) -> Rows:
    """Columns from decoded JSON: lists by place, objects by name.

    >>> from_lists([[1, "2"], [3]], np.array([1, 2]), [], 2).bad
    [BadRow(number=2, reason='has 1 fields where 2 were expected', row='[3]')]
    """
    good, kept, bad = [], [], []
    for number, row in zip(numbers.tolist(), rows, strict=True):
        if isinstance(row, dict) and names:
            row = [row.get(name) for name in names]
        if not isinstance(row, list):
            bad.append(BadRow(number, "is not a row like the others", str(row)))
        elif len(row) != width:
            bad.append(BadRow(number, f"has {len(row)} fields where {width} were expected", str(row)))
        else:
            good.append(row)
            kept.append(number)
    columns = [pa.array([_text(row[at]) for row in good], pa.large_string()) for at in range(width)]
    return Rows(columns, np.array(kept, np.int64), bad)


def _text(value: Any) -> str | None:
    return value if value is None or type(value) is str else str(value)
