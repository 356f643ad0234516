"""A simulated market summed up by minutes: what the tests of its statistics look at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.sources.simulated import kernels as k
from tickcast.sources.simulated.market import Market
from tickcast.sources.simulated.settings import MarketSettings

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class Minutes(NamedTuple):
    """Rows are pairs, columns minutes."""

    mid: F8
    """At the minute's end, in steps."""
    price: F8
    """Of the last trade."""
    imbalance: F8
    trades: I8
    quotes: I8
    spread: F8
    sigma: F8
    """The true standard deviation of the minute's log return."""
    regime: I8
    quiet: F8
    busiest_second: I8


def watch(settings: MarketSettings, minutes: int) -> Minutes:
    """Let the market run and sum it up."""
    market = Market(settings)
    count = len(market.pairs)
    real = [np.zeros((count, minutes)) for _ in range(6)]
    whole = [np.zeros((count, minutes), np.int64) for _ in range(4)]
    out = Minutes(real[0], real[1], real[2], whole[0], whole[1], real[3], real[4], whole[2], real[5], whole[3])
    for at in range(minutes):
        block = market.block()
        for pair in range(count):
            trades, quotes = block.of(pair, k.TRADE), block.of(pair, k.QUOTE)
            bought = trades[trades[:, k.MAKER] == 0, k.QUANTITY].sum()
            total = trades[:, k.QUANTITY].sum()
            seconds = trades[:, k.TIME_US] // 1_000_000 - block.start_ms // 1000
            out.mid[pair, at] = (quotes[-1, k.BID] + quotes[-1, k.ASK]) / 2 if len(quotes) else out.mid[pair, at - 1]
            out.price[pair, at] = trades[-1, k.PRICE] if len(trades) else out.price[pair, at - 1]
            out.imbalance[pair, at] = (2 * bought - total) / total if total else 0.0
            out.trades[pair, at], out.quotes[pair, at] = len(trades), len(quotes)
            out.spread[pair, at] = (quotes[:, k.ASK] - quotes[:, k.BID]).mean() if len(quotes) else np.nan
            out.sigma[pair, at] = (block.truth.sigma[pair] ** 2).sum() ** 0.5
            out.regime[pair, at] = block.truth.regime[pair, -1]
            out.quiet[pair, at] = block.truth.quiet[pair].mean()
            out.busiest_second[pair, at] = np.bincount(seconds, minlength=60).max()
    return out


def correlation(a: F8, b: F8) -> float:
    """Pearson's."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
