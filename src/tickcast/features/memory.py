"""What one candle length remembers of the market: candles, the volatilities of a week, the rates of its times of day.

It is fed by the rows that are issued, in their order, and is as large as its windows: 1,952 candles, the samples of
`spike_days`, eight days of slots. A candle that is issued again replaces the one before it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.config import FlowSettings
from tickcast.features.names import MEMORY, TRAILING
from tickcast.features.recall import (
    BARS,
    BUY,
    CLOSE,
    FACTS,
    KNOWN,
    MARKS,
    NEWEST,
    NEWEST_SAMPLE,
    RANGE,
    RANKED,
    SLOTS,
    SPAN,
    TRADED,
    VOLUME,
    Book,
    pair,
    remember,
)
from tickcast.features.volatility import horizon_candles
from tickcast.indicators.ring import F8, I8, Ring
from tickcast.kernels import kernel, warms

_NEVER = -(1 << 32)
_DAY_S = 86_400
_HALF_DAYS = 14
"""The threshold is known from this part of its days on: half a day of seven."""


class Spike(NamedTuple):
    """What the threshold is made of."""

    percentile: float
    days: int
    volatility_seconds: int

    @classmethod
    def of(cls, settings: FlowSettings) -> Spike:
        """Those of a flow."""
        return cls(settings.spike_percentile, settings.spike_days, settings.volatility_seconds)


class Memory:
    """The memory of one lane.

    >>> memory = Memory(60, Spike(0.9, 7, 60))
    >>> candle = np.array([[100.0], [101.0], [99.0], [100.5], [1.0], [100.0], [0.5], [3.0]])
    >>> trailing, found = np.empty((len(TRAILING), 1)), np.empty((len(MEMORY), 1))
    >>> memory.take(np.array([5]), np.array([0]), candle, trailing, found)
    >>> found[[MEMORY.index("buy_share_5"), MEMORY.index("log_range_1")], 0].round(6).tolist()
    [nan, -4.421048]
    """

    __slots__ = ("arrays", "share")

    def __init__(self, seconds: int, spike: Spike) -> None:
        self.share = spike.percentile
        size = spike.days * _DAY_S // max(seconds, 60)
        facts = np.zeros(FACTS, np.int64)
        horizon = horizon_candles(spike.volatility_seconds, seconds)
        facts[:] = (_NEVER, _NEVER, 0, seconds * 1000, horizon, -(-size // _HALF_DAYS))
        slots = np.full((2, SLOTS), -1, np.int64)
        slots[1] = 0
        self.arrays = Book(
            facts, np.zeros((BARS, SPAN)), np.zeros((MARKS, SPAN), np.int8), np.full(size, np.nan), np.zeros(size),
            slots, np.zeros(SLOTS),
        )  # fmt: skip

    def take(self, windows: I8, quality: I8, candles: F8, trailing: F8, out: F8) -> None:
        """Fold in the candles of some rows, in the order of the rows, and write their columns."""
        remember(*self.arrays, windows, quality, candles, self.share, trailing, out)

    def parts(self, prefix: str) -> dict[str, Any]:
        """What a snapshot keeps: what is known, by number; the rest follows from it."""
        book = self.arrays
        found: dict[str, Any] = {f"{prefix}at": book.facts[: NEWEST_SAMPLE + 1].tolist()}
        windows = _numbers(int(book.facts[NEWEST]), book.marks[KNOWN] == 1)
        at = windows % SPAN
        volume = np.where(book.marks[TRADED, at] == 1, book.bars[VOLUME, at], np.nan)
        bars = Ring(ints=0, floats=4)
        bars.extend(windows, (), [book.bars[CLOSE, at], book.bars[RANGE, at], volume, book.bars[BUY, at]])
        numbers = _numbers(int(book.facts[NEWEST_SAMPLE]), ~np.isnan(book.samples))
        samples = Ring(ints=0, floats=1)
        samples.extend(numbers, (), [book.samples[numbers % len(book.samples)]])
        filled = np.flatnonzero(book.slots[1])
        filled = filled[book.slots[0, filled].argsort()]
        slots = Ring(ints=1, floats=1)
        slots.extend(book.slots[0, filled], [book.slots[1, filled]], [book.sums[filled]])
        return found | bars.parts(f"{prefix}bars") | samples.parts(f"{prefix}samples") | slots.parts(f"{prefix}slots")

    @classmethod
    def load(cls, seconds: int, spike: Spike, prefix: str, parts: dict[str, Any]) -> Memory:
        """The memory that `parts` wrote."""
        memory = cls(seconds, spike)
        book = memory.arrays
        book.facts[: NEWEST_SAMPLE + 1] = parts[f"{prefix}at"]
        bars = Ring.load(f"{prefix}bars", parts, ints=0)
        at, rows = bars.keys % SPAN, bars.floats[:, bars.lo : bars.hi]
        book.marks[KNOWN, at], book.marks[TRADED, at] = 1, ~np.isnan(rows[2])
        book.bars[CLOSE, at], book.bars[RANGE, at], book.bars[BUY, at] = rows[0], rows[1], rows[3]
        book.bars[VOLUME, at] = np.nan_to_num(rows[2])
        _pair_all(*book)
        samples = Ring.load(f"{prefix}samples", parts, ints=0)
        values = samples.floats[0, samples.lo : samples.hi]
        book.samples[samples.keys % len(book.samples)] = values
        book.ranked[: len(values)], book.facts[RANKED] = np.sort(values), len(values)
        slots = Ring.load(f"{prefix}slots", parts, ints=1)
        at, kept = slots.keys % SLOTS, slice(slots.lo, slots.hi)
        book.slots[0, at], book.slots[1, at], book.sums[at] = slots.keys, slots.ints[0, kept], slots.floats[0, kept]
        return memory


def _numbers(newest: int, there: NDArray[np.bool_]) -> I8:
    """The numbers of what is there in a ring that ends with the newest, ascending."""
    size = len(there)
    numbers = np.arange(newest - size + 1, newest + 1)
    found: I8 = numbers[there[numbers % size]]
    return found


@kernel
def _pair_all(facts: I8, bars: F8, marks: Any, samples: F8, ranked: F8, slots: I8, sums: F8) -> None:
    """Make the squared returns again, of all but the oldest window: what was before that is gone."""
    book = Book(facts, bars, marks, samples, ranked, slots, sums)
    for window in range(facts[NEWEST] - SPAN + 2, facts[NEWEST] + 1):
        pair(book, window)


@warms
def _warm() -> None:
    spike = Spike(0.9, 1, 60)
    memory = Memory(60, spike)
    room = np.empty((len(TRAILING), 1)), np.empty((len(MEMORY), 1))
    memory.take(np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones((8, 1)), *room)
    Memory.load(60, spike, "", memory.parts(""))
