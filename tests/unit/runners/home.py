"""A local exchange, a system that reads it, and what must be true of what was stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.simulation.proof import Proof
from tickcast.clock import NS_PER_MS, PacedClock, SystemClock
from tickcast.config import Settings
from tickcast.runners.exchange import ExchangeProcess
from tickcast.runners.system import Options, Summary, System
from tickcast.runners.verify import verify
from tickcast.sources.simulated.exchange.names import spelling
from tickcast.sources.simulated.exchange.settings import ExchangeSettings, Limits
from tickcast.sources.simulated.settings import MarketSettings, pairs_named

VENUES = ("binance", "coinbase", "kraken")
NAMES = ("BTCUSDT", "ETHUSDT")
LENGTHS = (1, 60)
START_MS = 1_735_689_600_000
HISTORY_MS = 10 * 60_000
PATIENCE_S = 90.0
"""A test that waits longer has failed; none takes nearly so long."""

FAST_REST = Limits(kraken_requests_per_s=50.0, kraken_requests_burst=50.0)
"""Kraken answers once a second; that is true, and would make each of these tests take minutes."""
Pairs = Mapping[str, tuple[str, ...]]


def now_s() -> float:
    return SystemClock().monotonic_s()


def a_market(seed: int, start_ms: int = START_MS) -> MarketSettings:
    return MarketSettings(seed=seed, start_ms=start_ms, pairs=pairs_named(NAMES), trades_per_second=3.0)


def long_ago(seed: int = 1, speed: float = 5.0, **more: Any) -> ExchangeSettings:
    """Ten minutes of history, a long time ago."""
    return ExchangeSettings(
        **{"market": a_market(seed), "live_from_ms": START_MS + HISTORY_MS, "speed": speed, "limits": FAST_REST, **more}
    )


def here_and_now(seed: int = 1, **more: Any) -> ExchangeSettings:
    """Ten minutes of history up to now; its clock is the machine's, as a command's is."""
    now_ns = SystemClock().now_ns()
    now_ms = now_ns // NS_PER_MS
    market = a_market(seed, (now_ms - HISTORY_MS) // 60_000 * 60_000)
    return ExchangeSettings(market, live_from_ms=now_ms, live_at_ns=now_ns, limits=FAST_REST, **more)


def pairs_of(venues: Sequence[str]) -> Pairs:
    return {venue: tuple(spelling(name).of(venue) for name in NAMES) for venue in venues}


def settings_for(root: Path, address: str, venues: Sequence[str], **more: Any) -> Settings:
    return Settings(
        data_dir=root,
        exchange=",".join(venues),
        pairs=tuple(f"{venue}:{pair}" for venue, pairs in pairs_of(venues).items() for pair in pairs),
        endpoints=tuple(f"{venue}={address}/{venue}" for venue in venues),
        **{"candle_seconds": LENGTHS, "port": 0, "fsync_ms": 1000, "journal_keep_days": 0, **more},
    )


def flags_for(settings: Settings) -> list[str]:
    """The same, for a command line."""
    said = {
        "data-dir": str(settings.data_dir), "exchange": settings.exchange, "pairs": ",".join(settings.pairs),
        "endpoints": ",".join(settings.endpoints), "port": "0",
        "candle-seconds": ",".join(map(str, settings.candle_seconds)),
    }  # fmt: skip
    return [word for name, value in said.items() for word in (f"--{name}", value)]


def clock_of(exchange: ExchangeProcess) -> PacedClock:
    clock = PacedClock(SystemClock())
    clock.pace(float(exchange.status_at_start["speed"]), int(exchange.ask("/status")["now_ms"]) * NS_PER_MS)
    return clock


def is_whole(system: System, since_ms: int = 0) -> bool:
    """Every pair is live with its past, no hole is open, and its time is past that one."""
    live = system.shown.live
    if live is None or not live.pairs or system.shown.phase != "live" or system.shown.fetching:
        return False
    return all(
        one.state == "live" and not one.gaps_open and system.shown.lows.get(f"{one.exchange}:{one.pair}", 0) > since_ms
        for one in live.pairs
    )


def sail(system: System, reached: Callable[[System], bool]) -> Summary:
    """Run until something is so."""
    deadline_s = now_s() + PATIENCE_S

    def look(running: System) -> None:
        if reached(running):
            running.stop()
        assert now_s() < deadline_s, f"{running.shown.phase}: {running.shown.live}\n{running.shown.notes}"

    return system.run(look)


def run_until_whole(root: Path, exchange: ExchangeProcess, venues: Sequence[str], **more: Any) -> Summary:
    """Start, be whole a few market seconds later than it was at the start, and stop."""
    since_ms = int(exchange.ask("/status")["now_ms"])
    system = System(settings_for(root, exchange.address, venues, **more), Options(simulated=True), clock_of(exchange))
    return sail(system, lambda running: is_whole(running, since_ms + 5000))


def check_whole(root: Path, exchange: ExchangeProcess, venues: Sequence[str]) -> None:
    """Every stored trade is the market's, each once; every candle is an undisturbed run's; verify holds."""
    for venue, pairs in pairs_of(venues).items():
        for pair in pairs:
            proof = Proof(root, venue, pair, exchange.truth(venue, pair))
            proof.trades(may_lack=False)
            proof.candles()
    verdict = verify(root)
    assert verdict.holds, verdict.sentence


def moved(settings: ExchangeSettings, **more: Any) -> ExchangeSettings:
    return msgspec.structs.replace(settings, **more)
