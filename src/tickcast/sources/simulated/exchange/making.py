"""Where the market's blocks come from: the simulated market, as it is or squeezed; `captured` tells a capture."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tickcast.sources.simulated import kernels as k
from tickcast.sources.simulated.market import Market, Pair

I8 = NDArray[np.int64]


class Made(NamedTuple):
    """A block as it comes from its source."""

    start_us: int
    end_us: int
    rows: I8
    first: I8 | None = None
    """The first id that each trade covers, where that is not its own."""


class Source(Protocol):
    """Where blocks come from: the simulated market, squeezed or not, or a capture."""

    pairs: tuple[Pair, ...]
    first_aggregates: tuple[int, ...]

    def next(self) -> Made | None:
        """The next block; None: there is none."""
        ...


class Simulated:
    """The simulated market, a minute at a time."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self.pairs = market.pairs
        self.first_aggregates = _first_aggregates(market)

    def next(self) -> Made | None:
        """The next minute."""
        block = self._market.block()
        return Made(block.start_ms * 1000, block.end_ms * 1000, block.rows)


class Squeezed:
    """A busy market in little time: each of its minutes is pressed into as long as `per_s` messages a second take."""

    def __init__(self, market: Market, per_s: float, from_us: int) -> None:
        self._market, self._per_s = market, per_s
        self._at_us = from_us
        self.pairs = market.pairs
        self.first_aggregates = _first_aggregates(market)

    def next(self) -> Made | None:
        """The next minute, shorter; times stay in order and within it."""
        block = self._market.block()
        rows = block.rows
        trades = rows[rows[:, k.KIND] == k.TRADE]
        by_pair = trades[np.argsort(trades[:, k.PAIR], kind="stable")][:, [k.PAIR, k.TIME_US]]
        orders = 1 + int(np.count_nonzero((by_pair[1:] != by_pair[:-1]).any(axis=1)))
        messages = len(rows) - len(trades) + orders
        start_us = self._at_us
        span_us = max(int(1e6 * messages / self._per_s), 1000)
        share = span_us / 60e6
        rows[:, k.TIME_US] = start_us + ((rows[:, k.TIME_US] - block.start_ms * 1000) * share).astype(np.int64)
        self._at_us += span_us
        return Made(start_us, self._at_us, rows)


def _first_aggregates(market: Market) -> tuple[int, ...]:
    return tuple(1 + pair.first_trade_id // 3 for pair in market.settings.pairs)
