"""How the rows of an answer join the last trade that is known: by ids, by time where ids are not consecutive.

known ─ 180        answer  181 182 │ 185 │ 1 2 3        a gap before 185; from 1 on ids begin anew
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.sequences import beginnings, begins_anew
from tickcast.sources.history.contract import Part
from tickcast.sources.live.held import Waiting

Ints = NDArray[np.int64]


class Taken(NamedTuple):
    """Rows of one sequence of ids, without those that were known."""

    firsts: Ints
    lasts: Ints
    times: Ints
    anew: bool
    """Ids begin anew with them."""
    proven: bool = True
    """Of such: the answer tells all since the last trade that is known."""

    def gaps(self, next_id: int, last_ms: int) -> Iterator[tuple[int, int, tuple[int, int]]]:
        """What is missing after the trades that are known: (first id, last id, from when to when)."""
        begins = np.concatenate(([next_id], self.lasts[:-1] + 1))
        for at in np.flatnonzero(self.firsts > begins).tolist():
            before_ms = int(self.times[at - 1]) if at else last_ms
            yield int(begins[at]), int(self.firsts[at]) - 1, (before_ms, int(self.times[at]))

    def count(self, next_id: int) -> int:
        """How many trades they are."""
        return int((self.lasts - np.maximum(self.firsts, next_id) + 1).sum())


def runs(part: Part, next_id: int, last_ms: int) -> Iterator[Taken]:
    """An answer's rows after the last trade that is known."""
    columns = [part.rows[name] for name in ("first_id", "trade_id", "timestamp_ms")]
    anew = beginnings(columns[1], columns[2], next_id - 1, last_ms)
    for start, stop in pairwise([0, *anew, len(columns[1])]):
        firsts, lasts, times = (column[start:stop] for column in columns)
        known = int(np.searchsorted(lasts, next_id)) if start not in anew and next_id >= 0 else 0
        if known < len(lasts):
            proven = start > 0 or part.from_ms <= last_ms
            yield Taken(firsts[known:], lasts[known:], times[known:], start in anew, proven)


def is_anew(one: Waiting, next_id: int, last_ms: int) -> bool:
    """Whether ids begin anew with a trade."""
    return one.first_id >= 0 and bool(begins_anew(one.last_id, one.first_ms, next_id - 1, last_ms))


def unlinked(part: Part, last_ms: int) -> tuple[int, int, int]:
    """Of rows that join by time alone: (how many are new, since when, up to when trades are known then)."""
    times = part.rows["timestamp_ms"]
    fresh = times[times > last_ms]
    reached_ms = max(last_ms, int(times.max())) if len(fresh) else last_ms
    return len(fresh), int(fresh.min(initial=reached_ms)), reached_ms
