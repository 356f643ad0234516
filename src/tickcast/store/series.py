"""Rows of one key on their way to their final order, in bounded memory.

Revisions and disorder only reach back so far: a late trade finds its candle among the last 32 windows, ticks of one
millisecond may stand in any order. So of the rows that came, the newest `HELD_ROWS` wait, and what is older is final.
"""

from __future__ import annotations

import numpy as np

from tickcast.errors import StoreError
from tickcast.events import Columns, Table
from tickcast.store.resolve import first_id, join, last_id, resolve

HELD_ROWS = 2048
"""Many times the 32 windows that a late trade can reach."""
SETTLE_ROWS = 8192
_PARTS = 256


class TooFarBehind(StoreError):
    """A row came so late that those around it had been written; only a store can still put it in its place."""


class Series:
    """One table, key and candle length: rows in by `add`, final rows out of `add` and `rest`.

    >>> from tickcast.events import TICKS
    >>> series = Series("ticks_features of a:b", TICKS)
    >>> series.add(TICKS.rows([{"timestamp_ms": 2, "trade_id": 8}, {"timestamp_ms": 2, "trade_id": 7}]))
    >>> series.rest()["trade_id"].tolist()
    [7, 8]
    """

    __slots__ = ("_last_id", "_parts", "_rows", "_table", "_where")

    def __init__(self, where: str, table: Table) -> None:
        self._where, self._table = where, table
        self._parts: list[Columns] = []
        self._rows = 0
        self._last_id: tuple[int, ...] | None = None

    def add(self, columns: Columns) -> Columns | None:
        """Take rows; gives rows that are final from now on, when enough of them have gathered.

        The arrays are kept, not copied: they must not change afterwards.
        """
        self._parts.append(columns)
        self._rows += len(columns[self._table.key[0]])
        if self._rows >= SETTLE_ROWS + HELD_ROWS:
            return self._settle()
        if len(self._parts) >= _PARTS:
            self._parts = [join(self._parts)]
        return None

    def rest(self) -> Columns | None:
        """The rows that wait, as they would be if nothing came any more; they go on waiting."""
        if not self._rows:
            return None
        resolved = resolve(self._table, join(self._parts))
        self._check(resolved)
        return resolved

    def _settle(self) -> Columns | None:
        resolved = resolve(self._table, join(self._parts))
        cut = len(resolved[self._table.key[0]]) - HELD_ROWS
        if cut < SETTLE_ROWS // 2:  # mostly revisions of the same rows
            self._parts, self._rows = [resolved], cut + HELD_ROWS
            return None
        self._check(resolved)
        final = {name: column[:cut] for name, column in resolved.items()}
        self._last_id = last_id(self._table, final)
        self._parts, self._rows = [{name: column[cut:].copy() for name, column in resolved.items()}], HELD_ROWS
        return final

    def _check(self, resolved: Columns) -> None:
        if self._last_id is not None and first_id(self._table, resolved) <= self._last_id:
            at = dict(zip(self._table.key, first_id(self._table, resolved), strict=True))
            raise TooFarBehind(
                self._where,
                f"the row {at} came after more than {HELD_ROWS} newer ones, so the result can not be written in order",
                "feed the rows of one key in the order in which the flow gave them",
            )


def split(table: Table, columns: Columns) -> list[tuple[int, Columns]]:
    """The rows of each candle length by itself (0 where a table has none): only those are in the order of time."""
    if table.key[0] != "candle_seconds":
        return [(0, columns)]
    lengths = columns["candle_seconds"]
    if len(lengths) and bool((lengths == lengths[0]).all()):
        return [(int(lengths[0]), columns)]
    return [
        (int(length), {name: column[lengths == length] for name, column in columns.items()})
        for length in np.unique(lengths)
    ]
