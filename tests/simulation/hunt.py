"""Looks for storms that do harm: everything about a voyage is drawn from its seed.

`python -m tests.simulation.hunt 100 120` sails through seeds 100 to 119, one after the other, and says how it went.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.simulation import weather
from tests.simulation.weather import FAST_REST, START_MS, VENUES, Voyage, market
from tickcast.runners.system import Summary
from tickcast.sources.simulated.exchange.faults.kinds import Fault, lines_of
from tickcast.sources.simulated.exchange.faults.storms import storm
from tickcast.sources.simulated.exchange.settings import Limits
from tickcast.sources.simulated.settings import MarketSettings, pairs_named
from tickcast.sources.venues.registry import venue_of

FOUND = {
    101: "a quote between the start's history and the first trade closed candles as not seen, for good",
    102: "of an answer in several pages without trades only the last page was told",
    104: "what was closed blindly for longer than the ring was never made whole",
    105: "the same, while history was mostly away",
    115: "whole windows that end after all that was heard left a moment of blindness behind",
}
"""What seeds found, as first drawn; each has a unit test of its own where it was mended."""
MANY = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT", "LTCUSDT")
DOWN = ("status", "status", "lag", "truncated", "slow")


class Course(NamedTuple):
    """What a voyage is made of."""

    hold_ms: int
    client: str
    speed: float
    venues: tuple[str, ...]
    every_s: float
    lasts_s: float
    rest_down: float
    """For which share of the storm history is mostly away."""
    pairs: str
    limits: Limits
    per_connection: int
    """How many pairs share a connection; 0: as the venue wants."""


def course(seed: int) -> Course:
    chance = random.Random(f"hunt {seed}")
    return Course(
        hold_ms=chance.choice((0, 300, 3000)),
        client=chance.choice(("picows", "aiohttp")),
        speed=chance.choice((1.0, 5.0, 5.0, 20.0)),
        venues=chance.choice((VENUES, VENUES, ("binance",), ("coinbase",), ("kraken",))),
        every_s=chance.choice((2.0, 2.0, 0.7)),
        lasts_s=chance.choice((40.0, 40.0, 40.0, 120.0)),
        rest_down=chance.choice((0.0, 0.0, 1.0, 1.0, 0.5)),
        pairs=chance.choice(("usual", "usual", "many", "quiet")),
        limits=chance.choice((FAST_REST, FAST_REST, Limits())),
        per_connection=chance.choice((0, 0, 1, 2)),
    )


def market_of(seed: int, kind: str) -> MarketSettings:
    if kind == "many":
        return MarketSettings(seed=seed, start_ms=START_MS, pairs=pairs_named(MANY), trades_per_second=2.0)
    usual = market(seed)
    if kind == "quiet":
        quiet = tuple(msgspec.structs.replace(pair, activity=0.03) for pair in usual.pairs)
        return msgspec.structs.replace(usual, pairs=quiet, trades_per_second=2.0)
    return usual


def rest_down(chance: random.Random, lasts_s: float, venues: tuple[str, ...]) -> list[Fault]:
    """History is away for most of the time: refused, torn, late, or behind."""
    faults: list[Fault] = []
    at_s = 1.0
    while at_s < lasts_s * 0.7:
        for venue in venues:
            kind = chance.choice(DOWN)
            drawn = Fault(kind=kind, ms=chance.choice((1500, 2500, 5000, 20_000)))
            if kind == "status":
                code = chance.choice((418, 429, 503, 500))
                drawn = Fault(kind=kind, code=code, chance=chance.choice((0.7, 1.0, 1.0)))
            elif kind == "truncated":
                drawn = Fault(kind=kind, how=chance.choice(("json", "body")), chance=0.7)
            seconds = round(min(chance.uniform(3, 12), lasts_s * 0.75 - at_s), 2)
            faults.append(msgspec.structs.replace(drawn, venue=venue, after_s=round(at_s, 2), seconds=seconds))
        at_s += chance.uniform(3, 9)
    return faults


def sail(seed: int, root: Path) -> Summary:
    """One voyage; AssertionError says what came of it."""
    drawn = course(seed)
    made = market_of(seed, drawn.pairs)
    names = [pair.name for pair in made.pairs]
    faults = list(storm(seed, drawn.lasts_s, venues=drawn.venues, pairs=names, every_s=drawn.every_s))
    faults += rest_down(random.Random(f"rest {seed}"), drawn.lasts_s * drawn.rest_down, drawn.venues)
    print(f"{seed}: {drawn}\n{lines_of(faults).decode()}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weather, "PATIENCE_S", 240.0)
        for name in VENUES if drawn.per_connection else ():
            venue = venue_of(name)
            patch.setattr(
                venue, "rules", msgspec.structs.replace(venue.rules, pairs_per_connection=drawn.per_connection)
            )
        voyage = Voyage(
            root / "data", seed=seed, venues=drawn.venues, speed=drawn.speed, hold_ms=drawn.hold_ms,
            client=drawn.client, limits=drawn.limits, made=made,
        )  # fmt: skip
        return voyage.sail(faults)


if __name__ == "__main__":
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = sail(number, Path(folder))
            except AssertionError as exc:
                print(f"FAILED {number}: {exc}", flush=True)
            else:
                gaps = sum(pair.gaps_found for pair in found.live.pairs)
                print(f"ok {number}: {found.messages} messages, {gaps} gaps", flush=True)
