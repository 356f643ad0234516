"""The kernels of a lane's memory: put a candle in its place, and read a row's columns back.

Nothing is summed on: each sum is made anew in one order, so that a value does not depend on what came before its
window, on when the process was started, or on which candles were issued again on the way.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.events import PARTIAL
from tickcast.features.names import BUY_SHARE, EWMA, RANGES, RATES, RETURNS, VOLUMES
from tickcast.features.ranked import quantile, swap
from tickcast.features.volatility import RANGES_FROM_MS, RATE_FLOOR, range_variance, square_return
from tickcast.kernels import inline, kernel

Ints = NDArray[np.int64]
Marks = NDArray[np.int8]
Floats = NDArray[np.float64]

REMEMBERED = 512
"""Windows up to the newest that may still be issued again."""
SPAN = RATES[-1] + REMEMBERED
"""Candles that are kept: what the oldest of these looks back on."""
SLOT_MS, DAY_SLOTS, SLOT_DAYS = 300_000, 288, 7
SLOTS = (SLOT_DAYS + 1) * DAY_SLOTS
"""Of the days before, and of the day itself, which is being written."""

# of `facts`; those behind RANKED never change
NEWEST, NEWEST_SAMPLE, RANKED, STEP_MS, HORIZON, NEEDED = range(6)
FACTS = 6
# of `bars`, one row a window; all 0 where the window is not known
CLOSE, SQUARE, RANGE, VOLUME, BUY = range(5)
BARS = 5
# of `marks`: the candle is known; the one before too, so that its return is; its volume is
KNOWN, PAIRED, TRADED = range(3)
MARKS = 3
# rows of a candle as it comes in, see `names.CANDLE`
_HIGH_IN, _LOW_IN, _CLOSE_IN, _VOLUME_IN, _BUY_IN = 1, 2, 3, 4, 6
_RANGES_AT = tuple(RATES.index(span) for span in RANGES)
_VOLUMES_AT = tuple((RATES.index(short), RATES.index(long)) for short, long in VOLUMES)
_MINUTE_MS = 60_000
_FADING = 0.94
"""RiskMetrics' lambda: what a squared return counts beside the one after it; after EWMA candles it is nothing."""
_NAN = float("nan")


class Book(NamedTuple):
    """All arrays of a memory."""

    facts: Ints
    bars: Floats
    marks: Marks
    samples: Floats
    """The horizon's volatility by number of its sample, round and round; NaN: not known."""
    ranked: Floats
    """The known ones in their order."""
    slots: Ints
    """Numbers of five-minute slots, round and round, and how many squared returns each has."""
    sums: Floats


@kernel
def _sampled(step_ms: int, window: int) -> int:
    """The number of the sample that is taken at a window's end; -1: none. There is one a minute at most."""
    if step_ms >= _MINUTE_MS:
        return window
    number = (window + 1) * step_ms // _MINUTE_MS
    return number if number * _MINUTE_MS > window * step_ms else -1


@kernel
def _advance(book: Book, window: int) -> None:
    """Make room for a window newer than all; what is left out between is not known."""
    facts, step_ms, size = book.facts, book.facts[STEP_MS], len(book.samples)
    for passed in range(max(facts[NEWEST] + 1, window - SPAN + 1), window + 1):
        at = passed % SPAN
        for row in range(BARS):
            book.bars[row, at] = 0.0
        for row in range(MARKS):
            book.marks[row, at] = 0
    facts[NEWEST] = window
    last = (window + 1) * step_ms // _MINUTE_MS if step_ms < _MINUTE_MS else window
    taken = 1 if _sampled(step_ms, window) == last else 0  # then `_sample` takes the old one out, at one go
    for number in range(max(facts[NEWEST_SAMPLE] + 1, last - size + 1), last + 1 - taken):
        facts[RANKED] = swap(book.ranked, facts[RANKED], book.samples[number % size], _NAN)
        book.samples[number % size] = _NAN
    facts[NEWEST_SAMPLE] = last


@kernel
def pair(book: Book, window: int) -> None:
    """The squared return of a window, where both ends of it are known."""
    at, before = window % SPAN, (window - 1) % SPAN
    both = book.marks[KNOWN, at] == 1 and book.marks[KNOWN, before] == 1
    book.marks[PAIRED, at] = 1 if both else 0
    book.bars[SQUARE, at] = square_return(book.bars[CLOSE, at], book.bars[CLOSE, before]) if both else 0.0


@kernel
def _put(book: Book, window: int, whole: bool, candle: Floats) -> None:
    """Write a candle into its window."""
    at, marks, bars = window % SPAN, book.marks, book.bars
    high, low, close, volume = candle[_HIGH_IN], candle[_LOW_IN], candle[_CLOSE_IN], candle[_VOLUME_IN]
    known = whole and high > 0.0 and low > 0.0 and close > 0.0 and high + close < np.inf
    traded = known and volume >= 0.0 and volume < np.inf
    marks[KNOWN, at], marks[TRADED, at] = 1 if known else 0, 1 if traded else 0
    bars[CLOSE, at] = close if known else 0.0
    bars[RANGE, at] = range_variance(high, low) if known else 0.0
    bars[VOLUME, at] = volume if traded else 0.0
    bars[BUY, at] = candle[_BUY_IN] if traded else 0.0


@kernel
def _fill_slot(book: Book, window: int) -> None:
    """Sum up the slot of the day in which a window begins, from its windows."""
    step_ms = book.facts[STEP_MS]
    number = window * step_ms // SLOT_MS
    at = number % SLOTS
    if book.slots[0, at] > number:
        return
    first, count, total = -(-number * SLOT_MS // step_ms), 0, 0.0
    for one in range(first, min(-(-(number + 1) * SLOT_MS // step_ms), book.facts[NEWEST] + 1)):
        count += book.marks[PAIRED, one % SPAN]
        total += book.bars[SQUARE, one % SPAN]
    book.slots[0, at], book.slots[1, at], book.sums[at] = number, count, total


@kernel
def _volatility(book: Book, window: int) -> float:
    """Over the horizon's candles that end with this one; NaN unless all are known."""
    ranges = book.facts[STEP_MS] >= RANGES_FROM_MS
    mark, row, total = KNOWN if ranges else PAIRED, RANGE if ranges else SQUARE, 0.0
    for one in range(window - book.facts[HORIZON] + 1, window + 1):
        if book.marks[mark, one % SPAN] == 0:
            return _NAN
        total += book.bars[row, one % SPAN]
    return math.sqrt(total)


@kernel
def _sample(book: Book, window: int) -> None:
    """Take the horizon's volatility at a window's end, where it is to be taken and still counts."""
    facts, number = book.facts, _sampled(book.facts[STEP_MS], window)
    if number < 0 or number <= facts[NEWEST_SAMPLE] - len(book.samples):
        return
    at, value = number % len(book.samples), _volatility(book, window)
    facts[RANKED] = swap(book.ranked, facts[RANKED], book.samples[at], value)
    book.samples[at] = value


@inline
def _log_rate(mean: float) -> float:
    return math.log(math.sqrt(mean) + RATE_FLOOR)


@kernel
def _time_of_day(book: Book, window: int) -> float:
    """The rate of the slot in which the next candle begins, on the days before."""
    number = (window + 1) * book.facts[STEP_MS] // SLOT_MS
    count, total = 0, 0.0
    for days in range(SLOT_DAYS, 0, -1):
        wanted = number - days * DAY_SLOTS
        if book.slots[0, wanted % SLOTS] == wanted:
            count += book.slots[1, wanted % SLOTS]
            total += book.sums[wanted % SLOTS]
    return _log_rate(total / count) if count > 0 else _NAN


@kernel
def _means(book: Book, window: int, means: Floats) -> None:
    """Mean squared return, range variance and volume of the last so many candles, each span on top of the shorter."""
    bars, marks, size = book.bars, book.marks, 0
    square, width, volume, paired, known, traded = 0.0, 0.0, 0.0, 0, 0, 0
    at = window % SPAN
    for place, span in enumerate(RATES):
        for _ in range(size, span):
            square += bars[SQUARE, at]
            width += bars[RANGE, at]
            volume += bars[VOLUME, at]
            paired += marks[PAIRED, at]
            known += marks[KNOWN, at]
            traded += marks[TRADED, at]
            at = at - 1 if at > 0 else SPAN - 1
        size = span
        means[0, place] = square / paired if 4 * paired >= 3 * span else _NAN
        means[1, place] = width / known if 4 * known >= 3 * span else _NAN
        means[2, place] = volume / traded if 4 * traded >= 3 * span else _NAN


@kernel
def _buy_share(book: Book, window: int) -> float:
    bought, volume, count = 0.0, 0.0, 0
    for one in range(window - BUY_SHARE + 1, window + 1):
        bought += book.bars[BUY, one % SPAN]
        volume += book.bars[VOLUME, one % SPAN]
        count += book.marks[TRADED, one % SPAN]
    return bought / volume if 4 * count >= 3 * BUY_SHARE and volume > 0.0 else _NAN


@kernel
def _ewma(book: Book, window: int) -> float:
    """The mean squared return, each candle counting a little less than the one after it."""
    total, weights, weight, paired = 0.0, 0.0, 1.0, 0
    at = window % SPAN
    for _ in range(EWMA):
        if book.marks[PAIRED, at] == 1:
            total += weight * book.bars[SQUARE, at]
            weights += weight
            paired += 1
        weight *= _FADING
        at = at - 1 if at > 0 else SPAN - 1
    return total / weights if 4 * paired >= 3 * EWMA else _NAN


@kernel
def _read(book: Book, window: int, means: Floats, out: Floats, row: int) -> None:
    """The columns of one row, in the order of `names.MEMORY`."""
    bars, marks, now, at = book.bars, book.marks, window % SPAN, 0
    for span in RETURNS:
        then = (window - span) % SPAN
        both = marks[KNOWN, now] == 1 and marks[KNOWN, then] == 1
        out[at, row] = math.log(bars[CLOSE, now] / bars[CLOSE, then]) if both else _NAN
        at += 1
    _means(book, window, means)
    for place in range(len(RATES)):
        out[at, row] = _log_rate(means[0, place])
        at += 1
    for place in _RANGES_AT:
        out[at, row] = _log_rate(means[1, place])
        at += 1
    for short, long in _VOLUMES_AT:
        few, many = means[2, short], means[2, long]
        out[at, row] = math.log(few / many) if few > 0.0 and many > 0.0 else _NAN
        at += 1
    out[at, row] = _buy_share(book, window)
    out[at + 1, row] = _log_rate(_ewma(book, window))


@kernel
def remember(
    facts: Ints, bars: Floats, marks: Marks, samples: Floats, ranked: Floats, slots: Ints, sums: Floats,
    windows: Ints, quality: Ints, candles: Floats, share: float, trailing: Floats, out: Floats,
) -> None:  # fmt: skip
    """Take the candles of some rows, in the order in which these are issued, and write the rows' columns.

    A row that is not newer than all before it has neither threshold nor time of day here: the market has moved on.
    """
    book = Book(facts, bars, marks, samples, ranked, slots, sums)
    means = np.empty((3, len(RATES)))
    for row in range(len(windows)):
        window = windows[row]
        fresh = window > facts[NEWEST]
        if fresh:
            _advance(book, window)
        _put(book, window, quality[row] != PARTIAL, candles[:, row])
        pair(book, window)
        _fill_slot(book, window)
        if not fresh and window < facts[NEWEST]:
            pair(book, window + 1)
            _fill_slot(book, window + 1)
        for one in range(window, min(window + facts[HORIZON], facts[NEWEST]) + 1):
            _sample(book, one)
        _read(book, window, means, out, row)
        trailing[0, row] = quantile(ranked, facts[RANKED], share) if fresh and facts[RANKED] >= facts[NEEDED] else _NAN
        trailing[1, row] = _time_of_day(book, window) if fresh else _NAN
    for column in (trailing, out):
        for place in range(column.shape[0]):
            for row in range(column.shape[1]):
                if math.isinf(column[place, row]):
                    column[place, row] = _NAN
