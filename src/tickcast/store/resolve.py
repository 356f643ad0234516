"""One rule for all sinks: rows in the order of their ids, and of several rows with one id the highest revision.

Of equal revisions the one that came last is the truth, as in an upsert.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickcast.events import Columns, Table


def resolve(table: Table, columns: Columns) -> Columns:
    """Sort by id and keep one row an id; columns that are so already come back as they are.

    >>> from tickcast.events import CANDLES
    >>> rows = [{"window_start_ms": 60, "revision": 0}, {"window_start_ms": 0}, {"window_start_ms": 60, "revision": 1}]
    >>> resolved = resolve(CANDLES, CANDLES.rows(rows))
    >>> resolved["window_start_ms"].tolist(), resolved["revision"].tolist()
    ([0, 60], [0, 1])
    """
    ids = [columns[name] for name in table.key]
    if _increasing(ids):
        return columns
    by = [columns["revision"]] if "revision" in columns else []
    order = np.lexsort((*by, *reversed(ids)))  # stable: equal revisions stay in the order in which they came
    same = np.ones(len(order) - 1, dtype=np.bool_)
    for column in ids:
        ordered = column[order]
        same &= ordered[1:] == ordered[:-1]
    keep = order[np.append(~same, True)]
    return {name: column[keep] for name, column in columns.items()}


def first_id(table: Table, columns: Columns) -> tuple[int, ...]:
    """The id of the first row."""
    return tuple(int(columns[name][0]) for name in table.key)


def last_id(table: Table, columns: Columns) -> tuple[int, ...]:
    """The id of the last row."""
    return tuple(int(columns[name][-1]) for name in table.key)


def join(parts: list[Columns]) -> Columns:
    """Concatenate rows whose columns may differ: a float column that a part does not have is NaN there."""
    if len(parts) == 1:
        return parts[0]
    names = list(dict.fromkeys(name for part in parts for name in part))
    if all(len(part) == len(names) for part in parts):
        return {name: np.concatenate([part[name] for part in parts]) for name in names}
    return {name: np.concatenate([_column(part, name) for part in parts]) for name in names}


def _column(part: Columns, name: str) -> NDArray[Any]:
    rows = len(next(iter(part.values())))
    return part[name] if name in part else np.full(rows, np.nan)


def _increasing(ids: list[NDArray[Any]]) -> bool:
    """True when every id is greater than the one before it."""
    if len(ids[0]) < 2:
        return True
    undecided = np.ones(len(ids[0]) - 1, dtype=np.bool_)  # equal in all parts of the id that were looked at
    for column in ids:
        after, before = column[1:], column[:-1]
        if bool((undecided & (after < before)).any()):
            return False
        undecided &= after == before
    return not bool(undecided.any())
