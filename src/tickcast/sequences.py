"""When a venue's trade ids begin anew: the one rule by which all who know trades by their ids tell it from doubles.

    ids    4,999,998  4,999,999  5,000,000  ╌╌╌╌╌╌╌╌  1  2  3
    time   12:00:01   12:00:02   12:00:02             14:30:00      a pair that was listed anew

A trade that is told again, or late, keeps its old time. One that has no new id, and is yet traded long after the newest
that is known, is neither: it is the first that is known of another sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

RESTART_MS = 10_000
"""How much later than the newest known trade: of one sequence, ids and times may be in orders that differ a little."""


def begins_anew(trade_id: Any, timestamp_ms: Any, known_id: Any, known_ms: Any) -> Any:
    """Whether a trade begins a new sequence, beside the highest id that is known and its time.

    >>> begins_anew(1, 9_000_000, 5_000_000, 2_000), begins_anew(1, 1_000, 5_000_000, 2_000)
    (True, False)
    """
    return (trade_id <= known_id) & (timestamp_ms > known_ms + RESTART_MS)


def beginnings(trade_id: Ints, timestamp_ms: Ints, known_id: int = -1, known_ms: int = 0) -> list[int]:
    """At which rows new sequences begin, of rows in their order, after a trade that is known (-1: none).

    >>> beginnings(np.array([8, 9, 1, 2]), np.array([100, 110, 90_000, 90_001]), 8, 100)
    [2]
    """
    ids, times = np.concatenate(([known_id], trade_id[:-1])), np.concatenate(([known_ms], timestamp_ms[:-1]))
    return np.flatnonzero(begins_anew(trade_id, timestamp_ms, ids, times)).tolist()


def is_one(timestamp_ms: Ints) -> bool:
    """Whether the times of rows that stand in the order of their ids can be of one sequence."""
    return bool(not len(timestamp_ms) or np.all(timestamp_ms >= np.maximum.accumulate(timestamp_ms) - RESTART_MS))


def in_order(trade_id: Ints, timestamp_ms: Ints) -> Ints:
    """The order of rows by id; where they are of several sequences, the older one first.

    >>> in_order(np.array([2, 9, 1, 8]), np.array([90_001, 110, 90_000, 100])).tolist()
    [3, 1, 2, 0]
    """
    order = np.lexsort((timestamp_ms, trade_id))
    if is_one(timestamp_ms[order]):
        return order
    by_time = np.lexsort((trade_id, timestamp_ms))
    cuts = [0, *_falls(trade_id[by_time].tolist(), timestamp_ms[by_time].tolist()), len(order)]
    runs = [by_time[start:stop] for start, stop in pairwise(cuts)]
    return np.concatenate([run[np.lexsort((timestamp_ms[run], trade_id[run]))] for run in runs])


def _falls(ids: list[int], times: list[int]) -> Iterator[int]:
    """Where, in the order of time, ids begin anew."""
    highest, highest_ms = ids[0], times[0]
    for at, (number, time_ms) in enumerate(zip(ids, times, strict=True)):
        if begins_anew(number, time_ms, highest, highest_ms):
            yield at
        elif number < highest:
            continue
        highest, highest_ms = number, time_ms
