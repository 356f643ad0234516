"""A live system in bad weather: a local exchange that fails on command, and the proof that nothing came of it.

truth (the exchange's own archive) ─→ candles of an undisturbed run ─┐
system against failing sockets ─→ journal, store ────────────────────┴→ equal, or the seed is printed
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec

from tests.simulation.proof import LENGTHS, Lost, Proof
from tickcast.clock import PacedClock, SystemClock
from tickcast.config import Settings
from tickcast.runners.exchange import ExchangeError, ExchangeProcess
from tickcast.runners.system import Options, Summary, System
from tickcast.runners.verify import verify
from tickcast.sources.simulated.exchange.faults.kinds import Fault, lines_of
from tickcast.sources.simulated.exchange.names import spelling
from tickcast.sources.simulated.exchange.settings import ExchangeSettings, Limits
from tickcast.sources.simulated.settings import MarketSettings, PairSettings, pairs_named

VENUES = ("binance", "coinbase", "kraken")
BUSY, QUIET = "BTCUSDT", "LTCUSDT"
START_MS = 1_735_689_600_000
HISTORY_MS = 20 * 60_000
PATIENCE_S = 180.0
"""How long a system may take to be whole again after a fault has passed."""
FOREVER_H = 96.0
FAST_REST = Limits(kraken_requests_per_s=50.0, kraken_requests_burst=50.0)
"""Kraken answers once a second; that is true, and would make each of these tests take minutes."""


def market(seed: int) -> MarketSettings:
    """Two pairs that are always busy, and one that trades once in a while."""
    names = pairs_named([BUSY, "ETHUSDT", QUIET])
    quiet: PairSettings = msgspec.structs.replace(names[2], activity=0.02)
    return MarketSettings(seed=seed, start_ms=START_MS, pairs=(*names[:2], quiet), trades_per_second=3.0)


class Voyage:
    """One system, live against an exchange of its own, with faults on the way."""

    def __init__(
        self, root: Path, *, seed: int = 1, venues: Sequence[str] = VENUES, speed: float = 5.0, hold_ms: int = 3000,
        client: str = "", limits: Limits = FAST_REST, archive_hours: float = FOREVER_H,
        made: MarketSettings | None = None,
    ) -> None:  # fmt: skip
        self.root, self.venues = root, tuple(venues)
        self.seed, self.speed, self.hold_ms, self.client = seed, speed, hold_ms, client
        self.limits, self.archive_hours, self.market = limits, archive_hours, made or market(seed)
        self.pairs = {venue: tuple(spelling(pair.name).of(venue) for pair in self.market.pairs) for venue in venues}
        self.forgets = archive_hours < FOREVER_H
        self.lost: dict[tuple[str, str], list[Lost]] = {}
        """What nobody could have fetched any more, of an exchange that forgets."""

    def look(self) -> None:
        """Called with each look at the system while a weather lasts; for tests to watch."""

    def market_ms(self) -> int:
        """The market's time; the exchange may be busy with a storm of its own."""
        for _ in range(3):
            with suppress(ExchangeError):
                return int(self.exchange.ask("/status")["now_ms"])
        raise AssertionError("the local exchange does not answer")

    def sail(self, *weathers: Sequence[Fault]) -> Summary:
        """Go live, meet each weather in turn, be whole again after each, and stop."""
        live_ms = START_MS + HISTORY_MS
        settings = ExchangeSettings(
            self.market, live_from_ms=live_ms, speed=self.speed, limits=self.limits, archive_hours=self.archive_hours
        )
        with ExchangeProcess(settings) as exchange:
            self.exchange = exchange
            clock = PacedClock(SystemClock())
            clock.pace(self.speed, int(exchange.ask("/status")["now_ms"]) * 1_000_000)
            self.system = System(self._settings(exchange), Options(simulated=True, speed=self.speed), clock)
            course = self._course(weathers)

            def on_tick(system: System) -> None:
                if next(course, None) is None:
                    system.stop()

            summary = self.system.run(on_tick)
            self._check()
        return summary

    def _settings(self, exchange: ExchangeProcess) -> Settings:
        return Settings(
            data_dir=self.root,
            exchange=",".join(self.venues),
            pairs=tuple(f"{venue}:{pair}" for venue in self.venues for pair in self.pairs[venue]),
            candle_seconds=LENGTHS,
            endpoints=tuple(f"{venue}={exchange.base(venue)}" for venue in self.venues),
            hold_ms=self.hold_ms,
            ws_client=self.client,
            port=0,
            fsync_ms=1000,
            journal_keep_days=0,
        )

    def _course(self, weathers: Sequence[Sequence[Fault]]) -> Iterator[bool]:
        """What to do between two pumps: True is to go on."""
        yield from self._until(lambda: self._whole_again(0), "live")
        for faults in weathers:
            self.exchange.inject(*faults)
            lasts_s = max(fault.after_s + fault.seconds for fault in faults) + 0.3
            over_s = self._now_s() + lasts_s
            while self._now_s() < over_s:
                self.look()
                yield True
            self.exchange.calm()
            market_ms = self.market_ms()
            said = lines_of(faults).decode().replace("\n", " ")
            yield from self._until(partial(self._whole_again, market_ms), f"whole after {said}")

    def _until(self, reached: Callable[[], bool], what: str) -> Iterator[bool]:
        deadline_s = self._now_s() + PATIENCE_S
        while not reached():
            if self._now_s() > deadline_s:
                status = self.system.shown.live
                raise AssertionError(f"not {what} within {PATIENCE_S:g} s: {status}\n{self.system.shown.notes}")
            yield True

    def _now_s(self) -> float:
        return SystemClock().monotonic_s()

    def _whole_again(self, since_ms: int) -> bool:
        """Every pair is live, no hole is open, and all candles of that time are closed."""
        live = self.system.shown.live
        if live is None or not live.pairs or any(pair.state != "live" or pair.gaps_open for pair in live.pairs):
            return False
        lows = self.system.shown.lows
        wanted = [f"{venue}:{pair}" for venue in self.venues for pair in self.pairs[venue]]
        return all(lows.get(key, 0) > since_ms + 1000 for key in wanted)

    def _check(self) -> None:
        """Every stored trade is the market's, each once; every candle is an undisturbed run's; verify holds."""
        with self._truth() as truth:
            for venue in self.venues:
                for pair in self.pairs[venue]:
                    proof = Proof(self.root, venue, pair, truth.truth(venue, pair))
                    self.lost[venue, pair] = proof.trades(may_lack=self.forgets)
                    proof.candles()
        verdict = verify(self.root)
        assert verdict.holds, verdict.sentence

    @contextmanager
    def _truth(self) -> Iterator[ExchangeProcess]:
        """Who knows all that happened: the exchange, or one that does not forget."""
        if not self.forgets:
            yield self.exchange
            return
        now_ms = int(self.exchange.ask("/status")["now_ms"])
        with ExchangeProcess(ExchangeSettings(self.market, live_from_ms=now_ms)) as other:
            yield other
