"""The framer's ordinary road as one kernel: rows of any pairs in, each pair's trades and cuts out.

It gives up (and the stage takes the readable road) where a time leaps; both roads give the same frames, tested.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.events import Columns
from tickcast.kernels import kernel, warms
from tickcast.sources.contract import ALIVE, QUOTE, TRADE


class Folded(NamedTuple):
    """What the kernel found; `order` groups the places of the trades by pair."""

    order: NDArray[np.int64]
    ends: NDArray[np.int64]
    """Of each pair, where its trades end in `order`."""
    bids: NDArray[np.float64]
    asks: NDArray[np.float64]
    cut_pair: NDArray[np.int64]
    cut_at: NDArray[np.int64]
    """Before which place of `order` a cut stands."""
    cut_low: NDArray[np.int64]


def fold(
    columns: Columns,
    lows: NDArray[np.int64],
    bids: NDArray[np.float64],
    asks: NDArray[np.float64],
    known: NDArray[np.bool_],
    spans: tuple[int, int, int],
) -> Folded | None:
    """Fold rows into pairs' states (changed in place); None, and nothing changed, where a time leaps.

    `spans` are grace, boundary and day in milliseconds; `known` tells the pairs that were seen before.
    """
    rows = len(columns["kind"])
    everyone = int(np.count_nonzero(columns["pair"] == -1))
    cuts = np.empty((3, rows + everyone * len(lows)), dtype=np.int64)
    order, ends = np.empty(rows, dtype=np.int64), np.zeros(len(lows), dtype=np.int64)
    met = np.empty((2, rows))
    state = (lows.copy(), bids.copy(), asks.copy(), known)
    named = [columns[name] for name in ("kind", "pair", "timestamp_ms", "recv_ms", "bid", "ask")]
    arguments: Any = (*named, *state, *spans, order, ends, met, cuts)
    count, found = _fold(*arguments)
    if found < 0:
        return None
    lows[:], bids[:], asks[:] = state[:3]
    return Folded(order[:count], ends, met[0, :count], met[1, :count], *(row[:found] for row in cuts))


@kernel
def _fold(
    kind: Any, pair: Any, time_ms: Any, recv_ms: Any, bid: Any, ask: Any,
    lows: Any, bids: Any, asks: Any, known: Any,
    grace_ms: int, boundary_ms: int, day_ms: int,
    order: Any, ends: Any, met: Any, cuts: Any,
) -> tuple[int, int]:  # fmt: skip
    """Count, place, then fold; answers how many trades and cuts there are, or cuts of -1 at a leap."""
    pairs = len(lows)
    for row in range(len(kind)):
        if kind[row] == TRADE:
            ends[pair[row]] += 1
    next_at = np.zeros(pairs, np.int64)
    for which in range(1, pairs):
        next_at[which] = ends[which - 1]
        ends[which] += ends[which - 1]
    found = 0
    for row in range(len(kind)):
        first, last = pair[row], pair[row] + 1
        if first < 0:
            first, last = 0, pairs
        for which in range(first, last):
            if pair[row] >= 0:
                known[which] = True
            elif not known[which]:
                continue
            moment = time_ms[row]
            if moment > 0:
                if lows[which] == 0:
                    if recv_ms[row] <= 0 or abs(moment - recv_ms[row]) > day_ms:
                        return 0, -1
                elif moment > lows[which] + day_ms:
                    return 0, -1
            if kind[row] == TRADE:
                at = next_at[which]
                order[at], met[0, at], met[1, at] = row, bids[which], asks[which]
                next_at[which] += 1
                lows[which] = max(lows[which], moment)
                continue
            if kind[row] == QUOTE:
                bids[which], asks[which] = bid[row], ask[row]
            if moment > 0 and (moment - grace_ms) // boundary_ms > lows[which] // boundary_ms:
                lows[which] = moment - grace_ms
                cuts[0, found], cuts[1, found], cuts[2, found] = which, next_at[which], lows[which]
                found += 1
    return (ends[pairs - 1] if pairs else 0), found


@warms
def _warm() -> None:
    columns: Columns = {
        "kind": np.array([TRADE, QUOTE, ALIVE], dtype=np.uint8),
        "pair": np.array([0, 0, -1], dtype=np.int64),
        "timestamp_ms": np.array([1, 0, 5], dtype=np.int64),
        "recv_ms": np.array([1, 1, 1], dtype=np.int64),
        "bid": np.zeros(3),
        "ask": np.zeros(3),
    }
    fold(columns, np.zeros(1, np.int64), np.zeros(1), np.zeros(1), np.zeros(1, np.bool_), (0, 1, 9))
