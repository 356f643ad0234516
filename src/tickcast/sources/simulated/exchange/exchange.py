"""The exchange as one object: its market, its venues' halls and desks, and the tick that drives them. No sockets here.

`server` puts it behind a port; tests and storms hold on to this object to look at the truth and to break things.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tickcast.clock import Clock
from tickcast.events import Columns
from tickcast.sources.simulated.exchange import truth
from tickcast.sources.simulated.exchange.faults.answers import Requests
from tickcast.sources.simulated.exchange.faults.faults import Faults
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.sources.simulated.exchange.faults.storms import storm
from tickcast.sources.simulated.exchange.hall import Hall
from tickcast.sources.simulated.exchange.making import Source
from tickcast.sources.simulated.exchange.rest.answers import Answer, Asked, one_template, written
from tickcast.sources.simulated.exchange.rest.binance import BinanceRest
from tickcast.sources.simulated.exchange.rest.bulk import Bulk
from tickcast.sources.simulated.exchange.rest.coinbase import CoinbaseRest
from tickcast.sources.simulated.exchange.rest.kraken import KrakenRest
from tickcast.sources.simulated.exchange.settings import ExchangeSettings, Limits
from tickcast.sources.simulated.exchange.sockets.telling import BinanceTeller, CoinbaseTeller, KrakenTeller
from tickcast.sources.simulated.exchange.world import World


class Desk(Protocol):
    """One venue's REST."""

    def answer(self, asked: Asked) -> Answer:
        """Answer one request."""
        ...


_TELLERS = {"binance": BinanceTeller, "coinbase": CoinbaseTeller, "kraken": KrakenTeller}
_DESKS: dict[str, Callable[[World, Limits], Desk]] = {
    "binance": BinanceRest,
    "coinbase": CoinbaseRest,
    "kraken": KrakenRest,
}


class Exchange:
    """All venues over one market. Making it makes the market's history."""

    def __init__(self, settings: ExchangeSettings, clock: Clock, source: Source | None = None) -> None:
        self.settings, self.clock = settings, clock
        self.world = World(settings, clock, source)
        self.world.now_us()  # its history
        written(one_template("<n>", {"n": 0}, {}), np.zeros((1, 1), np.int64))  # compiled now, not at the first message
        self.halls: dict[str, Hall] = {}
        self.desks: dict[str, Desk] = {}
        self.bulk = Bulk(self.world)
        chance = random.Random(settings.seed)  # noqa: S311
        for venue in settings.venues:
            names = [each.of(venue) for each in self.world.names]
            teller = _TELLERS[venue](self.world.pairs, names)
            self.halls[venue] = Hall(venue, self.world, teller, settings.limits, chance)
            self.desks[venue] = _DESKS[venue](self.world, settings.limits)
            self.world.listeners.append(teller.take)
            if self.world.newest is not None:
                teller.take(self.world.newest)
        self.faults = Faults(self.world, self.halls, clock, settings.seed)
        self.requests = Requests(self.faults.board, self.world)

    def tick(self) -> None:
        """Tell everyone what has happened since the last time."""
        now_us, real_s = self.world.now_us(), self.clock.monotonic_s()
        self.faults.turn()
        for hall in self.halls.values():
            hall.tick(now_us, real_s)

    def storm(
        self, seed: int, seconds: float, *, venues: Sequence[str] = (), pairs: Sequence[str] = ()
    ) -> tuple[Fault, ...]:
        """Draw a storm and let it begin now; says what it is made of."""
        drawn = storm(
            seed, seconds, venues=venues or tuple(self.halls), pairs=pairs or [pair.name for pair in self.world.pairs]
        )
        self.faults.inject(*drawn)
        return drawn

    def truth(self, venue: str, pair: str, from_ms: int = 0, to_ms: int = 0, *, aggregates: bool = False) -> Columns:
        """All trades of a pair that happened in [from_ms, to_ms), whatever was told of them; KeyError: no such pair."""
        at = self.world.pair_at(venue, pair)
        if at < 0:
            raise KeyError(f"{venue} {pair}")
        return truth.trades(self.world, at, from_ms, to_ms, aggregates)

    def status(self) -> dict[str, Any]:
        """Where it stands, for machines; enough to pace another clock by."""
        world = self.world
        halls = {
            venue: {
                "pairs": list(hall.names),
                "connections": len(hall.sessions),
                "opened": hall.opened,
                "cut_slow": hall.cut_slow,
                "messages": hall.sent + sum(session.link.messages for session in hall.sessions),
            }
            for venue, hall in self.halls.items()
        }
        return {
            "now_ms": world.now_us() // 1000,
            "begun_ms": world.begun_us // 1000,
            "live_from_ms": world.live_from_ms,
            "live_at_ns": world.live_at_ns,
            "speed": world.speed,
            "seed": self.settings.market.seed,
            "ended": world.ended,
            "venues": halls,
        }
