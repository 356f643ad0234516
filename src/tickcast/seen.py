"""Which trades were seen: sorted intervals of ids, as rows of one array. Shared by the stages that read trades.

    ids   100 ─────── 180        195 ── 210            two intervals: 181 to 194 are missing
    row   [100, 180, t100, t180] [195, 210, t195, t210]

A row is [lowest id, highest id, time of the lowest, time of the highest]. At most `KEEP` rows are remembered; beyond,
the two oldest become one, and what still comes in between counts as doubled. Where a venue's ids are not consecutive
(`first_id` -1) each id stands alone, and nothing is told by what is not there.

Where ids begin anew (`sequences.py`) those before are forgotten but for one row below all ids, `OLD`, whose time is
that of the newest of them: what is told again from before it is a double, whatever its id.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tickcast.kernels import kernel
from tickcast.sequences import begins_anew

Ints = NDArray[np.int64]

LO, HI, TS_LO, TS_HI = range(4)
NEW, DUPLICATE, OVERLAPPING = range(3)

OLD = -8
"""The id of the row that stands for a sequence of ids that has ended."""
KEEP = 64
"""How many intervals are remembered."""
ROOM = 192
"""Rows of the array: the oldest are merged when it is full, or as soon as someone asks about an old id."""

_begins_anew = kernel(begins_anew)


def new_seen() -> Ints:
    """Room for the intervals of one key.

    >>> ids, used = new_seen(), 0
    >>> for first, last in ((1, 1), (2, 5), (9, 9), (3, 3), (5, 6)):
    ...     verdict, used = see(ids, used, first, last, 1000 + last, 0)
    ...     print(verdict, ids[:used, :2].tolist())
    0 [[1, 1]]
    0 [[1, 5]]
    0 [[1, 5], [9, 9]]
    1 [[1, 5], [9, 9]]
    2 [[1, 5], [9, 9]]
    """
    return np.zeros((ROOM, 4), dtype=np.int64)


@kernel
def squeeze(ids: Ints, used: int, keep: int) -> int:
    """Merge the oldest intervals until no more than `keep` are left; returns how many are used."""
    if used <= keep:
        return used
    oldest = used - keep
    ids[0, HI], ids[0, TS_HI] = ids[oldest, HI], ids[oldest, TS_HI]
    for k in range(1, keep):
        for field in range(4):
            ids[k, field] = ids[oldest + k, field]
    return keep


@kernel
def restarted(ids: Ints, used: int, last: int, timestamp_ms: int, low_ms: int) -> bool:
    """Whether a trade begins a new sequence of ids; never one that is not later than all that came (`low_ms`)."""
    if used == 0 or timestamp_ms <= low_ms:
        return False
    return bool(_begins_anew(last, timestamp_ms, ids[used - 1, HI], ids[used - 1, TS_HI]))


@kernel
def begin_anew(ids: Ints, used: int) -> int:
    """Forget all ids: a new sequence of them begins; returns how many rows are used."""
    newest_ms = ids[used - 1, TS_HI]
    ids[0, LO], ids[0, HI], ids[0, TS_LO], ids[0, TS_HI] = OLD, OLD, newest_ms, newest_ms
    return 1


@kernel
def place(ids: Ints, used: int, first: int, last: int, timestamp_ms: int) -> tuple[int, int]:
    """Say what the ids `first` to `last` are, and before which interval they belong."""
    if used > 0 and ids[0, LO] < 0 and timestamp_ms <= ids[0, TS_LO]:
        return OVERLAPPING, 0  # of ids that have begun anew since: it may have been seen
    k = used
    while k > 0 and ids[k - 1, LO] > last:
        k -= 1
    if k > 0 and ids[k - 1, HI] >= first:
        inside = ids[k - 1, LO] <= first and last <= ids[k - 1, HI]
        return (DUPLICATE if inside else OVERLAPPING), k
    return NEW, k


@kernel
def insert(ids: Ints, used: int, k: int, first: int, last: int, timestamp_ms: int, linked: bool) -> int:
    """Put new ids before interval `k`, joined to its neighbours if `linked`; returns how many intervals there are."""
    joins_left = linked and k > 0 and ids[k - 1, HI] + 1 == first
    joins_right = linked and k < used and last + 1 == ids[k, LO]
    if joins_left and joins_right:
        ids[k - 1, HI], ids[k - 1, TS_HI] = ids[k, HI], ids[k, TS_HI]
        for row in range(k, used - 1):
            for field in range(4):
                ids[row, field] = ids[row + 1, field]
        return used - 1
    if joins_left:
        ids[k - 1, HI], ids[k - 1, TS_HI] = last, timestamp_ms
        return used
    if joins_right:
        ids[k, LO], ids[k, TS_LO] = first, timestamp_ms
        return used
    for row in range(used, k, -1):
        for field in range(4):
            ids[row, field] = ids[row - 1, field]
    ids[k, LO], ids[k, HI], ids[k, TS_LO], ids[k, TS_HI] = first, last, timestamp_ms, timestamp_ms
    return used + 1


@kernel
def see(ids: Ints, used: int, first: int, last: int, timestamp_ms: int, low_ms: int) -> tuple[int, int]:
    """Take note of one trade (`first` -1: its ids are not consecutive); returns the verdict and the rows used.

    `low_ms` is the latest time that came before it.
    """
    linked = first >= 0
    if not linked:
        first = last
    if used > 0:
        newest = used - 1
        if linked and first == ids[newest, HI] + 1 and last >= first:
            ids[newest, HI], ids[newest, TS_HI] = last, timestamp_ms
            return NEW, used
        if not linked and last > ids[newest, HI] and used < ROOM:
            ids[used, LO], ids[used, HI], ids[used, TS_LO], ids[used, TS_HI] = last, last, timestamp_ms, timestamp_ms
            return NEW, used + 1
    used = squeeze(ids, used, KEEP)
    if restarted(ids, used, last, timestamp_ms, low_ms):
        used = begin_anew(ids, used)
    verdict, k = place(ids, used, first, last, timestamp_ms)
    if verdict == NEW:
        used = insert(ids, used, k, first, last, timestamp_ms, linked)
        if linked:
            used = squeeze(ids, used, KEEP)
    return verdict, used


def known(ids: Ints, used: int) -> Ints:
    """The intervals as a snapshot keeps them: merged to `KEEP`, so that equal histories give equal bytes."""
    kept = ids.copy()
    return kept[: squeeze(kept, used, KEEP)].copy()


def missing(ids: Ints, used: int) -> int:
    """How many consecutive ids lie between the intervals; between two sequences nobody can tell."""
    start = int(used > 0 and ids[0, HI] < 0)
    return int((ids[start + 1 : used, LO] - ids[start : used - 1, HI] - 1).sum()) if used > start + 1 else 0
