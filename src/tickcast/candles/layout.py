"""Where a key's state lies in its arrays: names for the columns that the kernels read and write.

Each candle length has `SLOTS` windows in a ring: one open, 32 closed behind it, which late trades may still change.
`spot` (whole numbers) and `money` (doubles) hold one row a window; the last row of `spot` says how the ring stands.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.seen import new_seen

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

RING = 32
"""Closed windows of each length that a late trade can still change."""
SLOTS = RING + 1
DAY_MS = 86_400_000
PARTIAL_FROM = -1_000_000
"""Revisions of a window of which no whole candle was made yet; those of whole ones begin with 0. See `venue.py`."""
BLINDS = 8
"""Unobserved spans that are remembered until the ids, or time, settle them."""

# of `facts`: one number each
LOW, EVIDENCE, USED, POINTS, BLIND_COUNT = range(5)
DUPLICATES, OVERLAPPING, LATE, TOO_LATE, RESTARTS, LOST_IDS = range(5, 11)
PRICE_DIGITS, SIZE_DIGITS = 11, 12
REBUILDS, OUTDATED_FROM, OUTDATED_TO = 13, 14, 15
TOLD_TO, TOLD_LAST, TOLD_ID, TOLD_PRICE = range(16, 20)  # of the last line of history: its end; its last trade
KEPT_FACTS = 20
ISSUED, NEED, WHOLE_FROM, WHOLE_TO = range(20, 24)  # of one call, not of the state
FACTS = 24

# of `spot`: one row a window
START, OPEN_TS, OPEN_ID, CLOSE_TS, CLOSE_ID, COUNT, DAMAGED, REVISION, QUALITY, STALE = range(10)
SPOT = 10
UNWATCHED = 2
"""Of DAMAGED: it began before anybody watched, which history can make good; 1 is for good."""
HEADER = SLOTS  # the row behind the windows
WIDTH, CHAIN, CLOSED, HEAD = range(4)

# of `money`: one row a window; a sum is two doubles, in units of the last decimal (see sums.py)
OPEN, HIGH, LOWEST, CLOSE, BUY, SELL, BUY_REST, SELL_REST, QUOTE, QUOTE_REST = range(10)
MONEY = 10

# of `blinds`
FROM, TO, CERTAIN = range(3)

# of what is issued, in the order of the columns of `events.CANDLES`
OUT_SPOT = ("candle_seconds", "window_start_ms", "window_end_ms", "trade_count", "quality", "revision", "known_at_ms")
OUT_MONEY = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume")


class Book(NamedTuple):
    """All arrays of one key, as the kernels hand them on (they enter one by one, which costs a call less)."""

    facts: Ints
    ids: Ints
    blinds: Ints
    spot: Ints
    money: Floats


class Issue(NamedTuple):
    """Room for candles: one column a row."""

    spot: Ints
    money: Floats


class Rows(NamedTuple):
    """The columns of a frame of trades that candles are made of."""

    trade_id: Ints
    first_id: Ints
    price: Floats
    quantity: Floats
    timestamp_ms: Ints
    is_buyer_maker: NDArray[np.bool_]


def new_book(candle_seconds: tuple[int, ...]) -> Book:
    """The state of a key that was never seen."""
    lengths = len(candle_seconds)
    facts = np.zeros(FACTS, dtype=np.int64)
    facts[EVIDENCE] = -1
    spot = np.zeros((lengths, SLOTS + 1, SPOT), dtype=np.int64)
    spot[:, HEADER, WIDTH] = np.array(candle_seconds) * 1000
    money = np.zeros((lengths, SLOTS, MONEY))
    return Book(facts, new_seen(), np.zeros((BLINDS, 3), dtype=np.int64), spot, money)


def new_issue(room: int) -> Issue:
    """Room for so many candles."""
    return Issue(np.empty((len(OUT_SPOT), room), dtype=np.int64), np.empty((len(OUT_MONEY), room)))
