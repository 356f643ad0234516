"""A live feed on the local exchange: real sockets, real HTTP, all three venues, on one loop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise

import msgspec
import numpy as np

from tickcast.clock import SystemClock
from tickcast.errors import WireError
from tickcast.sources import own
from tickcast.sources.contract import Message, Trade
from tickcast.sources.history.budget import Budgets
from tickcast.sources.history.rest import RestHistory
from tickcast.sources.live.contract import KnownTrades, PairStatus
from tickcast.sources.live.feed import LiveFeed, Market
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated.exchange.exchange import Exchange
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.sources.simulated.exchange.server import Server
from tickcast.sources.simulated.exchange.settings import UNLIMITED, ExchangeSettings, Limits, market_before
from tickcast.sources.simulated.settings import MarketSettings
from tickcast.sources.sockets.clients import client_for
from tickcast.sources.venues.registry import venue_of

PAIRS = {
    "binance": ("BTCUSDT", "ETHUSDT"),
    "coinbase": ("BTC-USD", "ETH-USD"),
    "kraken": ("BTC/USD", "ETH/USD"),
}
PATIENCE_S = 60.0


class Floor:
    """The exchange, the feed, and all that came out of it."""

    def __init__(
        self,
        server: Server,
        loop: asyncio.AbstractEventLoop,
        pairs: Mapping[str, tuple[str, ...]],
        client: str,
        hold_ms: int,
    ) -> None:
        self.server, self.exchange, self.loop, self.pairs = server, server.exchange, loop, pairs
        self.messages: list[Message] = []
        self.notes: list[str] = []
        self._spans: dict[tuple[str, str], list[range]] = {}
        self._mappers = {venue: mapper_for(venue) for venue in pairs}
        self._client, self._hold_ms = client, hold_ms
        self.feed = self._feed({})

    def _feed(self, known: Mapping[str, Mapping[str, KnownTrades]]) -> LiveFeed:
        clock, chance = SystemClock(), random.Random(1)
        budget = Budgets(clock)
        markets = []
        for venue, names in self.pairs.items():
            spoken = venue_of(venue)
            at = spoken.at(self.server.base(venue))
            history = RestHistory(venue, at, clock=clock, budget=budget, chance=chance, loop=self.loop)
            markets.append(Market(spoken, at, names, history, known.get(venue, {})))
        client = client_for(self._client)
        return LiveFeed(markets, clock=clock, client=client, chance=chance, loop=self.loop, hold_ms=self._hold_ms)

    def knows(self, known: Mapping[str, Mapping[str, KnownTrades]]) -> None:
        """The journal holds these already; before the first poll."""
        self.feed.close()
        self.feed = self._feed(known)

    def poll(self) -> None:
        """Once."""
        came = self.feed.poll(0.05)
        self.messages += came
        self.notes += self.feed.notes()
        for message in came:
            for pair, ids in self._told(message):
                self._spans.setdefault((message.exchange, pair), []).append(ids)

    def until(self, done: Callable[[], bool]) -> None:
        """Poll until it is so."""
        end_s = self.loop.time() + PATIENCE_S
        while not done():
            assert self.loop.time() < end_s, (self.status(), self.notes)
            self.poll()

    def passes(self, seconds: float) -> None:
        """Poll for so long."""
        end_s = self.loop.time() + seconds
        self.until(lambda: self.loop.time() >= end_s)

    def all_live(self) -> bool:
        """Every pair is live, and none has a hole."""
        return all(one.state == "live" and not one.gaps_open for one in self.status())

    def inject(self, *faults: Fault) -> None:
        """Faults begin."""
        self.loop.call_soon(self.exchange.faults.inject, *faults)
        self.until(lambda: len(self.exchange.faults.list()) >= len(faults))

    def at_each_venue(self, fault: Fault) -> list[Fault]:
        """The same fault at every venue."""
        return [msgspec.structs.replace(fault, venue=venue) for venue in self.pairs]

    def breaks(self, seconds: float, *faults: Fault) -> None:
        """Let faults have their way for so long, and take them away."""
        self.inject(*faults)
        self.passes(seconds)
        self.loop.call_soon(self.exchange.faults.remove)
        self.until(self.exchange.faults.calm)

    def breaks_until_met(self, hits: int, *faults: Fault) -> None:
        """Let faults have their way until each has hit so often, and take them away."""
        self.inject(*faults)
        self.until(lambda: all(one["hits"] >= hits for one in self.exchange.faults.list()))
        self.loop.call_soon(self.exchange.faults.remove)
        self.until(self.exchange.faults.calm)

    def knows_paces(self) -> bool:
        """Whether enough was heard to tell what silence is unusual, well before our patience ends."""
        lanes = [lane for exchange in self.feed._exchanges for lane in exchange.lanes.values()]
        return all(lane.pace.limit_s < PATIENCE_S / 2 for lane in lanes)

    def status(self) -> list[PairStatus]:
        """All pairs."""
        return self.feed.status().pairs

    def of(self, venue: str, pair: str) -> PairStatus:
        """One pair."""
        return next(one for one in self.status() if (one.exchange, one.pair) == (venue, pair))

    def calm(self) -> None:
        """Until all is live, whole, and a while has passed in which every pair traded."""
        self.until(self.all_live)
        trades = {(venue, pair): len(self.ids(venue, pair)) for venue in self.pairs for pair in self.pairs[venue]}
        self.until(lambda: self.all_live() and all(len(self.ids(*key)) > count for key, count in trades.items()))

    # what came out

    def ids(self, venue: str, pair: str) -> list[int]:
        """The ids of all trades of a pair, in the order in which they came out."""
        return [number for ids in self.spans(venue, pair) for number in ids]

    def spans(self, venue: str, pair: str) -> list[range]:
        """The same, as each trade or aggregate tells them."""
        return self._spans.get((venue, pair), [])

    def _told(self, message: Message) -> Iterator[tuple[str, range]]:
        raw = message.raw
        if raw.startswith(b'{"tickcast":"history"'):
            told = own.read_history(message.exchange, raw).frame
            columns = told.columns
            for first, last in zip(columns["first_id"].tolist(), columns["trade_id"].tolist(), strict=True):
                yield told.pair, range(first, last + 1)
        elif not raw.startswith(own.MARK):
            with suppress(WireError):  # quarantine's
                for event in self._mappers[message.exchange].map_message(raw):
                    if isinstance(event, Trade):
                        yield event.pair, range(event.first_id, event.trade_id + 1)

    def truth(self, venue: str, pair: str) -> set[int]:
        """The ids of all trades that happened."""
        return set(np.asarray(self.exchange.truth(venue, pair)["trade_id"]).tolist())

    def missing(self) -> dict[tuple[str, str], list[int]]:
        """Which trades between the first and the last that came out did not."""
        found = {}
        for venue, names in self.pairs.items():
            for pair in names:
                ids = self.ids(venue, pair)
                if gone := {one for one in self.truth(venue, pair) if ids and ids[0] <= one <= max(ids)} - set(ids):
                    found[venue, pair] = sorted(gone)
        return found

    def out_of_order(self) -> dict[tuple[str, str], int]:
        """How often a trade came out for the first time after a later one, or after a gap."""
        found = {}
        for venue, names in self.pairs.items():
            for pair in names:
                order = list(dict.fromkeys(self.ids(venue, pair)))
                wrong = sum(later != before + 1 for before, later in pairwise(order))
                if wrong:
                    found[venue, pair] = wrong
        return found

    def alive(self, venue: str, pair: str) -> list[int]:
        """The times that were proven for a pair."""
        return [
            one.timestamp_ms
            for message in self.messages
            if message.exchange == venue and message.raw.startswith(own.ALIVE_MARK)
            for one in own.read_alive(message.raw)
            if one.pair == pair
        ]


@contextmanager
def a_floor(
    *,
    pairs: Mapping[str, tuple[str, ...]] | None = None,
    trades_per_second: float = 20.0,
    limits: Limits = UNLIMITED,
    client: str = "",
    hold_ms: int = 3000,
    seed: int = 1,
) -> Iterator[Floor]:
    """An exchange that has run for some minutes, and a feed that has not been polled yet."""
    clock, loop = SystemClock(), asyncio.new_event_loop()
    now_ms = clock.now_ns() // 1_000_000
    market = market_before(MarketSettings(seed=seed, trades_per_second=trades_per_second), now_ms, 0.05)
    server = Server(Exchange(ExchangeSettings(market=market, live_from_ms=now_ms, limits=limits), clock))
    loop.run_until_complete(server.start())
    try:
        floor = Floor(server, loop, pairs or PAIRS, client, hold_ms)
        try:
            yield floor
        finally:
            floor.feed.close()
    finally:
        loop.run_until_complete(server.stop())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
