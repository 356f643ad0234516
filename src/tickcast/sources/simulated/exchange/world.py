"""The market as the exchange knows it: what is true, how far its time has come, and what is next to be told.

Market time follows the machine's monotonic clock: `live_from_ms + elapsed * speed`. Trades are made a block at a time,
when their time has come; what is later than now is never given to anyone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.clock import NS_PER_MS, Clock
from tickcast.sources.simulated import kernels as k
from tickcast.sources.simulated.exchange.archive import Archive, Span
from tickcast.sources.simulated.exchange.making import Made, Simulated, Source, Squeezed
from tickcast.sources.simulated.exchange.names import Spelling, spellings
from tickcast.sources.simulated.exchange.settings import ExchangeSettings
from tickcast.sources.simulated.market import Market
from tickcast.sources.simulated.settings import MINUTE_MS

I8 = NDArray[np.int64]
FORGET_EVERY_US = 600_000_000


class Happened(NamedTuple):
    """Some time of all pairs: what the venues tell of it, each in its words."""

    start_us: int
    end_us: int
    rows: I8
    """As `market.MarketBlock.rows`, with times in [start_us, end_us)."""
    aggregate: I8
    """Of each row that is a trade, which aggregate of its pair it belongs to; 0 of quotes."""
    first: I8
    """Of each row that is a trade, the first id it covers."""


class World:
    """The market, its past and its clock."""

    def __init__(self, settings: ExchangeSettings, clock: Clock, source: Source | None = None) -> None:
        self._settings, self._clock = settings, clock
        now_ns = clock.now_ns()
        self.live_at_ns = settings.live_at_ns or now_ns
        self.live_from_ms = settings.live_from_ms or now_ns // NS_PER_MS
        self._source = source or _source(settings, self.live_from_ms)
        self.pairs = self._source.pairs
        self.names: tuple[Spelling, ...] = spellings([pair.name for pair in self.pairs], settings.venues)
        self.archives = [Archive(first) for first in self._source.first_aggregates]
        self._rows_before: list[I8 | None] = [None for _ in self.pairs]
        self.newest: Happened | None = None
        """The block that now lies in, for who begins to listen."""
        self.ended = False
        self._away: dict[int, tuple[int, int]] = {}
        self._less: dict[int, int] = {}
        """Of pairs that are listed anew: from when to when they are not; what their ids are less than the market's."""
        self._anew: dict[int, int] = {}  # since when they have those ids
        self.listeners: list[Callable[[Happened], None]] = []
        self.speed = settings.speed
        self._live_at_s = clock.monotonic_s() - (now_ns - self.live_at_ns) / 1e9
        self._keep_us = int(settings.archive_hours * 3.6e9)
        self._forget_every_us = min(FORGET_EVERY_US, self._keep_us // 4)
        self._forgot_us = 0
        self.begun_us = self.known_until_us = -1

    def now_us(self) -> int:
        """The market's time, with all that happened up to it in the archive."""
        elapsed_s = self._clock.monotonic_s() - self._live_at_s
        now_us = self.live_from_ms * 1000 + round(elapsed_s * 1e6 * self.speed)
        self.reach(now_us)
        return now_us

    def reach(self, until_us: int) -> None:
        """Make what happened up to a time."""
        while self.known_until_us <= until_us and not self.ended:
            made = self._source.next()
            if made is None:
                self.ended = True
                return
            self._take(made)

    def list_anew(self, pair: int, pause_us: int) -> None:
        """Delist a pair (-1: all) where its told future ends; after the pause it is listed anew, with ids from 1 on."""
        for at in range(len(self.pairs)) if pair < 0 else (pair,):
            self._away[at] = self.known_until_us, self.known_until_us + pause_us

    def trades(self, pair: int, until_us: int | None = None) -> Span:
        """What is kept of a pair's trades up to a time, or to now."""
        return self.archives[pair].between(0, self.now_us() + 1 if until_us is None else until_us)

    def newest_row(self, pair: int, until_us: int) -> I8 | None:
        """A pair's newest row up to a time, with the best prices as they were; None: there was none yet."""
        if self.newest is not None:
            rows = self.newest.rows
            mine = np.flatnonzero((rows[:, k.PAIR] == pair) & (rows[:, k.TIME_US] <= until_us))
            if len(mine):
                found: I8 = rows[mine[-1]]
                return found
        return self._rows_before[pair]

    def pair_named(self, name: str) -> int:
        """Which pair any venue calls so; -1: none."""
        found = (
            at
            for at, each in enumerate(self.names)
            if name in (self.pairs[at].name, each.binance, each.coinbase, each.kraken)
        )
        return next(found, -1)

    def pair_at(self, venue: str, name: str) -> int:
        """Which pair a venue calls so; -1: none."""
        return next((at for at, each in enumerate(self.names) if each.of(venue) == name), -1)

    def _take(self, made: Made) -> None:
        start_us, end_us, rows, first = self._listed(made)
        aggregate = np.zeros(len(rows), np.int64)
        trading = rows[:, k.KIND] == k.TRADE
        for at, archive in enumerate(self.archives):
            if self.newest is not None:
                self._rows_before[at] = self.newest_row(at, start_us)
            mine = np.flatnonzero(trading & (rows[:, k.PAIR] == at))
            picked = rows[mine]
            aggregate[mine] = archive.append(
                picked[:, k.TIME_US],
                picked[:, k.ID],
                picked[:, k.PRICE],
                picked[:, k.QUANTITY],
                picked[:, k.MAKER],
                None if first is None else first[mine],
            )
        self.known_until_us = end_us
        if self.begun_us < 0:
            self.begun_us = start_us
        if end_us - self._forgot_us >= self._forget_every_us:
            self._forget(end_us)
        self.newest = Happened(start_us, end_us, rows, aggregate, rows[:, k.ID] if first is None else first)
        for listener in self.listeners:
            listener(self.newest)

    def _listed(self, made: Made) -> Made:
        """What happens to pairs that are listed, with the ids that they have since they are."""
        rows, first = made.rows, made.first
        if not self._away:
            return made
        rows, first = rows.copy(), None if first is None else first.copy()
        gone = np.zeros(len(rows), np.bool_)
        for at, (from_us, until_us) in self._away.items():
            mine, time_us = rows[:, k.PAIR] == at, rows[:, k.TIME_US]
            gone |= mine & (from_us <= time_us) & (time_us < until_us)
            trades = mine & (rows[:, k.KIND] == k.TRADE)
            later = np.flatnonzero(trades & (time_us >= until_us))
            less = np.where(trades, self._less.get(at, 0), 0)
            if len(later) and self._anew.get(at) != until_us:
                firsts = rows[:, k.ID] if first is None else first
                self._anew[at], self._less[at] = until_us, int(firsts[later[0]]) - 1
            less[later] = self._less.get(at, 0)
            rows[:, k.ID] -= less
            if first is not None:
                first -= less
        return made._replace(rows=rows[~gone], first=None if first is None else first[~gone])

    def _forget(self, end_us: int) -> None:
        self._forgot_us = end_us
        before_us = end_us - self._keep_us
        spare = sum(map(len, self.archives)) - self._settings.archive_trades
        if spare > 0:
            busiest = max(self.archives, key=len).all()
            before_us = max(before_us, int(busiest.time_us[min(spare, busiest.size - 1)]))
        self.begun_us = max(self.begun_us, before_us)
        for archive in self.archives:
            archive.forget(before_us)


def _source(settings: ExchangeSettings, live_from_ms: int) -> Source:
    if settings.capture:
        from tickcast.sources.simulated.exchange.captured import Captured

        from_us = 1000 * (live_from_ms - round(settings.capture_history_s * 1000))
        return Captured([Path(path) for path in settings.capture], settings.capture_exchange, from_us)
    market = Market(settings.market)
    if not settings.load:
        return Simulated(market)
    begun_ms = settings.market.start_ms
    return Squeezed(market, settings.load, 1000 * (begun_ms if live_from_ms - begun_ms > MINUTE_MS else live_from_ms))
