"""Where kernels that read journal lines put rows: arrays, one place for each column, made into `MarketRows` at the end.

A venue's kernel writes the rows of one line from a place on; `settled` brings a line's trades into the order of their
ids and numbers their pairs. A line that is given up half way leaves nothing behind: the next one is written over it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickcast.kernels import helper
from tickcast.sources.contract import ALIVE, QUOTE, TIME_MAX_MS, TIME_MIN_MS, TRADE
from tickcast.sources.scan_bytes import after, integer

Array: TypeAlias = NDArray[Any]

PAIR, TRADE_ID, FIRST_ID, TIME, RECV, LOW, HIGH = range(7)
"""Whole numbers of a row; LOW and HIGH are its pair's name as two words, 0 for all of the exchange."""
PRICE, QUANTITY, BID, ASK = range(4)
KIND, SIDE = range(2)
PAIRS, ROWS, LINES, SLOW = range(4)
UNSORTED_MAX = 64
"""Trades of one message that stand neither in order nor in the opposite one, and are put in order here all the same."""


@helper
def put_trade(
    row: int, name: tuple[int, int], ids: tuple[int, int], ms: int, resting: int, told: tuple[float, float],
    ints: Array, floats: Array, flags: Array,
) -> None:  # fmt: skip
    """A trade: its pair, first and last id, time, whether the buyer was resting, price and quantity."""
    flags[KIND, row], flags[SIDE, row] = TRADE, resting
    ints[LOW, row], ints[HIGH, row] = name
    ints[FIRST_ID, row], ints[TRADE_ID, row] = ids
    ints[TIME, row] = ms
    floats[PRICE, row], floats[QUANTITY, row] = told
    floats[BID, row], floats[ASK, row] = np.nan, np.nan


@helper
def put_other(
    row: int, kind: int, name: tuple[int, int], ms: int, told: tuple[float, float], ints: Array, floats: Array,
    flags: Array,
) -> None:  # fmt: skip
    """Best prices, or a proof of time."""
    flags[KIND, row], flags[SIDE, row] = kind, 0
    ints[LOW, row], ints[HIGH, row] = name
    ints[FIRST_ID, row] = ints[TRADE_ID, row] = -1
    ints[TIME, row] = ms
    floats[PRICE, row], floats[QUANTITY, row] = np.nan, np.nan
    floats[BID, row], floats[ASK, row] = told


@helper
def put_quote(
    row: int, name: tuple[int, int], ms: int, told: tuple[float, float], ints: Array, floats: Array, flags: Array
) -> None:
    """Best prices: bid and ask."""
    put_other(row, QUOTE, name, ms, told, ints, floats, flags)


@helper
def read_proof(at: int, end: int, row: int, ints: Array, floats: Array, flags: Array) -> int:
    """Our own proof of time for all of an exchange, from its time on: the place after it, and its row is written."""
    venue_ms, at = integer(at, end)
    if venue_ms < TIME_MIN_MS or venue_ms > TIME_MAX_MS:
        return 0
    put_other(row, ALIVE, (0, 0), venue_ms, (np.nan, np.nan), ints, floats, flags)
    return after(at, end, "}")


@helper
def _swap(one: int, two: int, ints: Array, floats: Array, flags: Array) -> None:
    for nth in range(len(ints)):
        ints[nth, one], ints[nth, two] = ints[nth, two], ints[nth, one]
    for nth in range(len(floats)):
        floats[nth, one], floats[nth, two] = floats[nth, two], floats[nth, one]
    for nth in range(len(flags)):
        flags[nth, one], flags[nth, two] = flags[nth, two], flags[nth, one]


@helper
def ordered(start: int, stop: int, ints: Array, floats: Array, flags: Array) -> bool:
    """Bring a message's trades into the order of their ids, equal ones as they stood; False for too many."""
    rises = falls = True
    for row in range(start + 1, stop):
        rises &= ints[TRADE_ID, row - 1] <= ints[TRADE_ID, row]
        falls &= ints[TRADE_ID, row - 1] > ints[TRADE_ID, row]
    if rises:
        return True
    if falls:
        for nth in range((stop - start) // 2):
            _swap(start + nth, stop - 1 - nth, ints, floats, flags)
        return True
    if stop - start > UNSORTED_MAX:
        return False
    for row in range(start + 1, stop):
        at = row
        while at > start and ints[TRADE_ID, at - 1] > ints[TRADE_ID, at]:
            _swap(at - 1, at, ints, floats, flags)
            at -= 1
    return True


@helper
def _numbered(low: int, high: int, table: Array, names: Array, counts: Array) -> int:
    """The number of a pair, in the order in which they were met; -1 when there are too many."""
    mask = len(table) - 1
    slot = (((low ^ (high * 31)) * 0x1E3779B97F4A7C15) >> 40) & mask
    while table[slot, 2] != 0:
        if table[slot, 0] == low and table[slot, 1] == high:
            number: int = table[slot, 2]
            return number - 1
        slot = (slot + 1) & mask
    met: int = counts[PAIRS]
    if met >= len(names):
        return -1
    names[met, 0], names[met, 1] = low, high
    table[slot, 0], table[slot, 1], table[slot, 2] = low, high, met + 1
    counts[PAIRS] = met + 1
    return met


@helper
def settled(
    start: int, stop: int, recv_ms: int, ints: Array, floats: Array, flags: Array, table: Array, names: Array,
    counts: Array,
) -> bool:  # fmt: skip
    """Finish the rows of one line; False where that can not be done here."""
    if stop - start > 1 and flags[KIND, start] == TRADE and not ordered(start, stop, ints, floats, flags):
        return False
    for row in range(start, stop):
        number = -1
        if ints[LOW, row] != 0:
            number = _numbered(ints[LOW, row], ints[HIGH, row], table, names, counts)
            if number < 0:
                return False
        ints[PAIR, row], ints[RECV, row] = number, recv_ms
    return True
