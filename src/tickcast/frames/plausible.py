"""A poisoned time must not move a pair's low: a row a day ahead of its neighbours waits until a second agrees with it.

The local clock may be wrong, so it decides nothing alone: a receive time vouches for a pair's first row, and where it
speaks against a leap that leap needs a thousand witnesses, not one (a venue's own clock may go wrong for a while). A
row far in the past moves nothing, so it passes; the candles refuse what is too late for them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tickcast.events import Columns
from tickcast.sources.contract import TRADE

Row = dict[str, Any]
WITNESSES = 1000
"""Rows in a row that must agree on a leap which their receive times do not share; those before go to quarantine."""


class _Pair(Protocol):
    low_ms: int
    held: Row | None
    witnesses: int


class Confirmed(NamedTuple):
    """The rows to go on with, and the rows for quarantine."""

    rows: Columns
    places: NDArray[np.int64]
    """Of each row, where it stood or was confirmed: never falling."""
    refused: list[Row]


class Spans(NamedTuple):
    """The framer's lengths of time, in milliseconds."""

    grace_ms: int
    boundary_ms: int
    day_ms: int


def confirm(pair: _Pair, rows: Columns, spans: Spans) -> Confirmed:
    """Leave out what no neighbour confirms; a row that still waits stays in `pair.held`.

    The low goes row by row as the stage's own does, so that no cut into blocks changes who is whose neighbour.

    >>> from types import SimpleNamespace
    >>> rows = {"kind": np.array([1, 1]), "timestamp_ms": np.array([5_000, 10**9]), "recv_ms": np.array([0, 0])}
    >>> pair = SimpleNamespace(low_ms=4_000, held=None, witnesses=0)
    >>> confirm(pair, rows, Spans(1000, 60_000, 86_400_000)).rows["timestamp_ms"].tolist(), pair.held["timestamp_ms"]
    ([5000], 1000000000)
    """
    low_ms, held = pair.low_ms, pair.held
    count = len(rows["kind"])
    held_at = count  # the place of the row that waits; one of an earlier block stands behind all of these
    order: list[int] = []
    places: list[int] = []
    refused: list[Row] = []
    for place, (kind, time_ms) in enumerate(zip(rows["kind"].tolist(), rows["timestamp_ms"].tolist(), strict=True)):
        trusted = time_ms <= 0 or (time_ms <= low_ms + spans.day_ms if low_ms else _vouched(rows, place, spans.day_ms))
        if time_ms > 0 and held is not None:
            agrees = abs(time_ms - held["timestamp_ms"]) <= spans.day_ms
            if agrees and (low_ms == 0 or not trusted):
                pair.witnesses += 1
                if low_ms and _contradicted(held, spans.day_ms) and pair.witnesses < WITNESSES:
                    refused.append(_row(rows, place))
                    continue
                order.append(held_at)  # it comes in here, where it is confirmed
                places.append(place)
                low_ms, trusted = _moved(low_ms, held["kind"], held["timestamp_ms"], spans), True
            else:  # time went on without it, or leapt elsewhere
                refused.append(held)
            held, pair.witnesses = None, 0
        if trusted:
            order.append(place)
            places.append(place)
            low_ms = _moved(low_ms, kind, time_ms, spans) if time_ms > 0 else low_ms
        else:
            held, held_at = _row(rows, place), place
    kept = {name: _take(column, order, pair.held and pair.held[name]) for name, column in rows.items()}
    pair.held = held
    return Confirmed(kept, np.array(places, dtype=np.int64), refused)


def _row(rows: Columns, place: int) -> Row:
    return {name: column[place].item() for name, column in rows.items()}


def _take(column: NDArray[Any], order: list[int], earlier: Any) -> NDArray[Any]:
    whole = column if earlier is None else np.append(column, np.array([earlier], dtype=column.dtype))
    return whole[order]


def _moved(low_ms: int, kind: int, time_ms: int, spans: Spans) -> int:
    """Where a row moves the low: a trade to its own time, other proof, less the grace, across a boundary."""
    if kind == TRADE:
        return max(low_ms, time_ms)
    proof_ms = time_ms - spans.grace_ms
    return proof_ms if proof_ms // spans.boundary_ms > low_ms // spans.boundary_ms else low_ms


def _vouched(rows: Columns, place: int, day_ms: int) -> bool:
    recv_ms = int(rows["recv_ms"][place])
    return recv_ms > 0 and abs(int(rows["timestamp_ms"][place]) - recv_ms) <= day_ms


def _contradicted(row: Row, day_ms: int) -> bool:
    return bool(row["recv_ms"] > 0 and abs(row["timestamp_ms"] - row["recv_ms"]) > day_ms)
