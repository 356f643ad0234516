"""A poisoned time must not move a pair's low: a row a day ahead of its neighbours waits until a second agrees with it.

Nothing is held against the local clock, which may be wrong: a receive time may vouch for a pair's first row, never
speak against one. A row far in the past moves nothing, so it passes; the candles refuse what is too late for them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from tickcast.events import Columns

Row = dict[str, Any]


class _Pair(Protocol):
    low_ms: int
    held: Row | None


class Confirmed(NamedTuple):
    """The rows to go on with, a held row of an earlier block in front of them, and the rows for quarantine."""

    rows: Columns
    shift: int
    """How many rows were put in front (0 or 1)."""
    dropped: list[int]
    """Places of the rows that are left out: refused, or waiting."""
    refused: list[Row]


def confirm(pair: _Pair, rows: Columns, day_ms: int) -> Confirmed:
    """Leave out what no neighbour confirms; a row that still waits stays in `pair.held`.

    >>> from types import SimpleNamespace
    >>> rows = {"kind": np.array([1, 1]), "timestamp_ms": np.array([5_000, 10**9]), "recv_ms": np.array([0, 0])}
    >>> pair = SimpleNamespace(low_ms=4_000, held=None)
    >>> confirm(pair, rows, 86_400_000).rows["timestamp_ms"].tolist(), pair.held["timestamp_ms"]
    ([5000], 1000000000)
    """
    if pair.held is None and _smooth(pair.low_ms, rows, day_ms):
        return Confirmed(rows, 0, [], [])
    return _one_by_one(pair, rows, day_ms)


def _smooth(low_ms: int, rows: Columns, day_ms: int) -> bool:
    """Whether time never leaps: nearly always, and then there is nothing to do."""
    timed = np.flatnonzero(rows["timestamp_ms"] > 0)
    if not len(timed):
        return True
    if low_ms == 0:
        if not _vouched(rows, int(timed[0]), day_ms):
            return False
        low_ms = int(rows["timestamp_ms"][timed[0]])
    reached = np.maximum.accumulate(np.concatenate(([low_ms], rows["timestamp_ms"][timed])))
    return int(np.diff(reached).max()) <= day_ms


def _one_by_one(pair: _Pair, rows: Columns, day_ms: int) -> Confirmed:
    low_ms, held, held_at = pair.low_ms, pair.held, -1  # held_at: its place, when it is one of these rows
    front: Row | None = None
    dropped: list[int] = []
    refused: list[Row] = []
    for place, time_ms in enumerate(rows["timestamp_ms"].tolist()):
        if time_ms <= 0:
            continue
        trusted = time_ms <= low_ms + day_ms if low_ms else _vouched(rows, place, day_ms)
        agrees = held is not None and abs(time_ms - held["timestamp_ms"]) <= day_ms
        if held is not None and agrees and (low_ms == 0 or not trusted):
            if held_at < 0:
                front = held
            else:
                dropped.remove(held_at)
            held, trusted = None, True
        elif held is not None:  # time went on without it, or leapt elsewhere
            refused.append(held)
            held = None
        if trusted:
            low_ms = max(low_ms, time_ms)
        else:
            held, held_at = {name: column[place].item() for name, column in rows.items()}, place
            dropped.append(place)
    pair.held = held
    kept = {name: np.delete(column, dropped) for name, column in rows.items()} if dropped else rows
    if front is not None:
        kept = {name: np.insert(column, 0, front[name]) for name, column in kept.items()}
    return Confirmed(kept, 0 if front is None else 1, dropped, refused)


def _vouched(rows: Columns, place: int, day_ms: int) -> bool:
    recv_ms = int(rows["recv_ms"][place])
    return recv_ms > 0 and abs(int(rows["timestamp_ms"][place]) - recv_ms) <= day_ms
