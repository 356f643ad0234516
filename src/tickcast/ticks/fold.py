"""The fold of ticks: a ring of the last minutes, and what each new tick makes of it.

No window is ever summed up again. A ring row keeps the running sum of all squared returns as an exact integer, so a
window's sum is the difference of two rows: it can not drift, and it does not matter where the counting began.
The sum of a window's returns is the logarithm of one quotient, newest price over the price before the window.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.kernels import borrow, inline, kernel
from tickcast.seen import DUPLICATE, NEW, see

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SPANS_MS = (30_000, 60_000, 300_000)
COUNT_SPAN = 60
"""The fourth window: so many ticks."""
ROOM_MAX = 1 << 20
"""Ticks that a key keeps at most; beyond, the oldest is dropped and counted."""

# of `facts`; HEAD, TAIL and BEGIN count ticks, their row in the ring is the remainder by its room
LOW, USED, TAIL, HEAD, BEGIN = range(5)  # BEGIN and the two behind it: where the three spans of time begin
DUPLICATES, OVERLAPPING, LATE, DROPPED = range(8, 12)
FACTS = 12

# of the ring's whole numbers, one row a tick
TIME, SQUARES, SQUARES_FINE = range(3)

COARSE = 2.0**40
FINE = 2.0**62
FINE_MASK = (1 << 62) - 1
_COARSE_UNIT = 2.0**-40
_FINE_UNIT = 2.0**-102

# rows of what is written
OUT_INTS = ("timestamp_ms", "trade_id", "n_30s", "n_60s", "n_300s", "n_60t")
MIDPRICE, SPREAD, MEASURES = range(3)
MEASURE_NAMES = ("midprice_return", "rolling_vol", "ret_mean", "ret_std")


class Ring(NamedTuple):
    """The last ticks of a key."""

    ints: Ints
    mid: Floats


@inline
def log_ratio(new: float, old: float) -> float:
    """ln(new / old), exactly 0 for equal prices and exact to the last bits for near ones.

    >>> round(log_ratio(101.0, 100.0), 15), log_ratio(3.0, 3.0)
    (0.009950330853168, 0.0)
    """
    z = (new - old) / (new + old)
    if math.fabs(z) > 0.015625:
        return math.log(new / old)
    y = z * z
    return 2.0 * z * (1.0 + y * (1.0 / 3.0 + y * (1.0 / 5.0 + y * (1.0 / 7.0 + y * (1.0 / 9.0 + y / 11.0)))))


@inline
def push(ring: Ring, facts: Ints, time: int, mid: float) -> None:
    """Append a tick with the sum of all squared returns up to it."""
    mask = len(ring.mid) - 1
    head = facts[HEAD]
    coarse, fine = 0, 0
    if head > facts[TAIL]:
        last = (head - 1) & mask
        change = log_ratio(mid, ring.mid[last])
        square = change * change
        if not square < 1e6:
            square = 0.0
        whole = math.floor(square * COARSE)
        coarse = ring.ints[last, SQUARES] + np.int64(whole)
        fine = ring.ints[last, SQUARES_FINE] + np.int64((square * COARSE - whole) * FINE)
        coarse += fine >> 62
        fine &= FINE_MASK
    at = head & mask
    ring.ints[at, TIME], ring.ints[at, SQUARES], ring.ints[at, SQUARES_FINE] = time, coarse, fine
    ring.mid[at] = mid
    facts[HEAD] = head + 1


@inline
def measure(ring: Ring, facts: Ints, begin: int, out: Floats, first: int, row: int) -> int:
    """Write the four measures of the window that begins at tick `begin`; returns how many ticks it has."""
    mask = len(ring.mid) - 1
    newest = facts[HEAD] - 1
    based = begin > facts[TAIL]  # the tick before the window is known: the window's first return counts
    base = begin - 1 if based else begin
    count = newest - begin + 1
    returns = newest - base
    now, then = newest & mask, base & mask
    total = log_ratio(ring.mid[now], ring.mid[then])
    coarse = ring.ints[now, SQUARES] - ring.ints[then, SQUARES]
    fine = ring.ints[now, SQUARES_FINE] - ring.ints[then, SQUARES_FINE]
    squares = coarse * _COARSE_UNIT + fine * _FINE_UNIT
    out[first, row] = total if based else np.nan
    out[first + 1, row] = math.sqrt(squares) if returns else np.nan
    mean = total / returns
    out[first + 2, row] = mean if returns else np.nan
    spread = max(0.0, squares - total * mean) / (returns - 1)
    out[first + 3, row] = math.sqrt(spread) if returns > 1 else np.nan
    return int(count)


@inline
def begin_windows(ring: Ring, facts: Ints, time: int) -> None:
    """Move the beginnings of the three spans behind what is too old, and the tail behind what nothing needs."""
    mask = len(ring.mid) - 1
    head = facts[HEAD]
    for k in range(3):
        begin, edge = facts[BEGIN + k], time - SPANS_MS[k]
        while begin < head and ring.ints[begin & mask, TIME] <= edge:
            begin += 1
        facts[BEGIN + k] = begin
    facts[TAIL] = max(facts[TAIL], min(facts[BEGIN + 2] - 1, head - COUNT_SPAN))


@inline
def drop_oldest(facts: Ints) -> None:
    """Forget one tick that would still be needed: there is no room to keep it."""
    facts[TAIL] += 1
    facts[DROPPED] += 1
    for k in range(3):
        facts[BEGIN + k] = max(facts[BEGIN + k], facts[TAIL])


@kernel
def fold(
    facts: Ints, ids: Ints, ring_ints: Ints, ring_mid: Floats,
    trade_id: Ints, first_id: Ints, price: Floats, timestamp_ms: Ints, bid: Floats, ask: Floats,
    out_ints: Ints, out: Floats, row: int, ticks: int, low_ms: int,
) -> tuple[int, int]:  # fmt: skip
    """Fold the rows from `row` on; returns the row that waits for a bigger ring (or the end), and the ticks so far."""
    facts, ids, ring = borrow(facts), borrow(ids), Ring(borrow(ring_ints), borrow(ring_mid))
    trade_id, first_id, price, timestamp_ms = borrow(trade_id), borrow(first_id), borrow(price), borrow(timestamp_ms)
    bid, ask, out_ints, out = borrow(bid), borrow(ask), borrow(out_ints), borrow(out)
    room = len(ring_mid)
    used, low = facts[USED], facts[LOW]
    while row < len(trade_id):
        if facts[HEAD] - facts[TAIL] >= room and room < ROOM_MAX:
            break
        time = timestamp_ms[row]
        verdict, used = see(ids, used, first_id[row], trade_id[row], time, low)
        if verdict != NEW:
            facts[DUPLICATES if verdict == DUPLICATE else OVERLAPPING] += 1
            row += 1
            continue
        low = max(low, time)
        head = facts[HEAD]
        if head and time < ring.ints[(head - 1) & (room - 1), TIME]:
            facts[LATE] += 1
            row += 1
            continue
        begin_windows(ring, facts, time)
        if facts[HEAD] - facts[TAIL] >= room:
            drop_oldest(facts)
        quoted = bid[row] > 0.0 and bid[row] <= ask[row] and ask[row] < np.inf
        mid = (bid[row] + ask[row]) * 0.5 if quoted else price[row]
        push(ring, facts, time, mid)
        out_ints[0, ticks], out_ints[1, ticks] = time, trade_id[row]
        out[MIDPRICE, ticks], out[SPREAD, ticks] = mid, ask[row] - bid[row] if quoted else np.nan
        for k in range(3):
            out_ints[2 + k, ticks] = measure(ring, facts, facts[BEGIN + k], out, MEASURES + 4 * k, ticks)
        begin = max(facts[TAIL], facts[HEAD] - COUNT_SPAN)
        out_ints[5, ticks] = measure(ring, facts, begin, out, MEASURES + 12, ticks)
        ticks += 1
        row += 1
    facts[USED] = used
    facts[LOW] = max(low, low_ms)
    return row, ticks
