"""Candles of a pair from exact whole numbers, as rows that templates write."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.sources.simulated.exchange.archive import Span

I8 = NDArray[np.int64]


class Bars(NamedTuple):
    """Candles in order of time; prices and quantities count the pair's steps, `quote` their product's."""

    start_us: I8
    end_us: I8
    """The last microsecond of it."""
    open: I8
    high: I8
    low: I8
    close: I8
    volume: I8
    quote: I8
    trades: I8
    taker: I8
    """Volume that takers bought."""
    taker_quote: I8
    vwap: I8

    def rows(self) -> I8:
        """The columns side by side, for templates."""
        return np.column_stack(self)


COLUMNS = {name: at for at, name in enumerate(Bars._fields)}


def bars(span: Span, width_us: int) -> Bars:
    """One candle for each window with a trade.

    >>> columns = ([0, 1, 2], [1, 2, 3], [10, 12, 11], [1, 1, 2], [0, 1, 0], [1, 2, 3], [1, 2, 3])
    >>> found = bars(Span(*map(np.array, columns)), 2)
    >>> found.volume.tolist(), found.vwap.tolist()
    ([2, 2], [11, 11])
    """
    if span.size == 0:
        return Bars(*(np.empty(0, np.int64) for _ in Bars._fields))
    window = span.time_us // width_us
    first = np.flatnonzero(np.r_[True, window[1:] != window[:-1]])
    last = np.r_[first[1:], span.size] - 1
    money = span.price * span.quantity
    bought = span.maker == 0
    volume, quote = np.add.reduceat(span.quantity, first), np.add.reduceat(money, first)
    start_us = window[first] * width_us
    return Bars(
        start_us,
        start_us + width_us - 1,
        span.price[first],
        np.maximum.reduceat(span.price, first),
        np.minimum.reduceat(span.price, first),
        span.price[last],
        volume,
        quote,
        last - first + 1,
        np.add.reduceat(span.quantity * bought, first),
        np.add.reduceat(money * bought, first),
        (2 * quote + volume) // (2 * volume),
    )


def filled(found: Bars, width_us: int, until_us: int) -> Bars:
    """With flat candles where nothing was traded, from the first one up to the one that holds a time."""
    if len(found.start_us) == 0:
        return found
    first = int(found.start_us[0])
    count = max(int(found.start_us[-1]), until_us // width_us * width_us) - first
    start_us = first + width_us * np.arange(count // width_us + 1)
    source = np.searchsorted(found.start_us, start_us, side="right") - 1
    real = found.start_us[source] == start_us
    columns = {name: column[source] * real for name, column in zip(Bars._fields, found, strict=True)}
    close = found.close[source]
    for name in ("open", "high", "low", "close"):
        columns[name] = np.where(real, columns[name], close)
    columns["start_us"], columns["end_us"] = start_us, start_us + width_us - 1
    return Bars(**columns)


def cut(found: Bars, begin: int, end: int) -> Bars:
    """Some of them, by place."""
    return Bars(*(column[begin:end] for column in found))
