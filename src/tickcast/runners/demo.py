"""A simulated market through everything: history at once, then live, until it is told to stop.

What the market is made of is written beside its data, so that a second start goes on where the first one ended.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import msgspec

from tickcast.clock import DAY_MS, NS_PER_MS, Clock
from tickcast.config import Settings
from tickcast.errors import ConfigError, StoreError
from tickcast.runners.datadir import write_whole
from tickcast.runners.embedded import Embedded
from tickcast.runners.health import Watch
from tickcast.runners.status import LagSeen, Shown
from tickcast.sources.simulated.feed import SimulatedFeed
from tickcast.sources.simulated.settings import MarketSettings, pairs_named
from tickcast.store.results import store_digest
from tickcast.store.service import QueryServer

MARKET_FILE = "demo.json"
HISTORY_CANDLES = 520
"""Candles of history before the last midnight: the anchor of the indicators wants 512."""
HISTORY_MAX_MS = 3 * DAY_MS
POLL_S = 0.05
EXCHANGE = "binance"


class DemoOptions(msgspec.Struct, frozen=True):
    """What the command line asks for beside the settings."""

    seconds: float | None = None
    """How long to run once the history is through; None: until stopped."""
    speed: float = 1.0
    seed: int = 1
    signal: float = 0.0
    any_port: bool = False
    """Whether another port will do when the one of the settings is taken."""


class DemoSummary(msgspec.Struct):
    """What a demo did, for machines."""

    digest: str
    counts: dict[str, int]
    messages: int
    recovered: int
    seconds: float
    speed: float
    market_ms: int
    quarantined: dict[str, dict[str, int]]
    stages: dict[str, dict[str, int]]
    lag_ms: LagSeen
    data_dir: str


class Demo:
    """One run. `on_tick` is called a few times a second with the demo itself, for a view to look at."""

    def __init__(self, settings: Settings, options: DemoOptions, clock: Clock) -> None:
        self.settings, self.options, self.clock = settings, options, clock
        self.embedded = Embedded(settings, clock)
        self.watch = Watch(self.embedded, clock, simulated=True, speed=options.speed)
        self.recovered = 0
        self.live_since_s: float | None = None
        self._stop = False

    @property
    def shown(self) -> Shown:
        """The newest look, for a view."""
        return self.watch.shown

    def stop(self, *_: int | FrameType | None) -> None:
        """End after what is under way; for signals and tests."""
        self._stop = True

    def run(self, on_tick: Callable[[Demo], None] = lambda demo: None) -> DemoSummary:
        """Open, compile, recover, catch up, go live, end cleanly; what is wrong is said before the compiler starts."""
        settings, clock, watch = self.settings, self.clock, self.watch
        with self.embedded as embedded, self._server(embedded) as server:
            watch.address = f"http://{server.host}:{server.port}"
            market = market_of(settings, self.options, clock.now_ns() // NS_PER_MS)
            watch.enter("compiling kernels (half a minute, once on a machine)")
            on_tick(self)
            embedded.warm_up()
            with self._signals():
                watch.enter("recovering")
                on_tick(self)
                self.recovered = embedded.recover(lambda count: self._recovering(on_tick))
                newest_ns = embedded.pipeline.last_recv_ns(EXCHANGE)
                live_ms = max(clock.now_ns(), newest_ns) // NS_PER_MS
                feed = SimulatedFeed(market, EXCHANGE, clock=clock, speed=self.options.speed, live_from_ms=live_ms)
                feed.resume_after(newest_ns)
                self._loop(embedded, feed, on_tick)
                feed.close()
                embedded.checkpoint()
                watch.enter("ended")
                return self._summary(embedded)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """While it runs, Ctrl-C and SIGTERM end it after what is under way."""
        before = {number: signal.signal(number, self.stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _recovering(self, on_tick: Callable[[Demo], None]) -> None:
        """Between two blocks: a recovery that is stopped begins anew at the next start, so nothing is lost."""
        self.watch.tick()
        on_tick(self)
        if self._stop:
            raise KeyboardInterrupt

    def _server(self, embedded: Embedded) -> QueryServer:
        settings, watch = self.settings, self.watch
        server = partial(
            QueryServer,
            embedded.store,
            settings.data_dir,
            host=settings.host,
            health=watch.health,
            ready=watch.ready,
            metrics=watch.metrics,
        )
        try:
            return server(port=settings.port)
        except StoreError:
            if not self.options.any_port:
                raise
            return server(port=0)

    def _loop(self, embedded: Embedded, feed: SimulatedFeed, on_tick: Callable[[Demo], None]) -> None:
        watch = self.watch
        while not self._stop and not feed.ended:
            watch.messages += embedded.pump([feed], POLL_S)
            watch.history_share = feed.history_done()
            if self.live_since_s is None and watch.history_share >= 1.0:
                self.live_since_s = self.clock.monotonic_s()
            watch.notes += embedded.notes()
            phase = "history" if self.live_since_s is None else "live"
            if phase == watch.phase:
                watch.tick()
            else:
                watch.enter(phase)
            on_tick(self)
            seconds = self.options.seconds
            if seconds is not None and self.live_since_s is not None and self.live_s() >= seconds:
                break

    def live_s(self) -> float:
        """Seconds since the history was through."""
        return 0.0 if self.live_since_s is None else self.clock.monotonic_s() - self.live_since_s

    def _summary(self, embedded: Embedded) -> DemoSummary:
        digest, counts = store_digest(embedded.store)
        return DemoSummary(
            digest,
            counts,
            self.watch.messages,
            self.recovered,
            round(self.live_s(), 3),
            self.options.speed,
            embedded.pipeline.last_recv_ns(EXCHANGE) // NS_PER_MS,
            embedded.intake.quarantined(),
            embedded.pipeline.counts(),
            embedded.status.lag(),
            str(self.settings.data_dir),
        )


def market_of(settings: Settings, options: DemoOptions, now_ms: int) -> MarketSettings:
    """The market of a data directory: the one it was made with, or a new one with enough history for the indicators."""
    path = settings.data_dir / MARKET_FILE
    if path.is_file():
        return _same_market(path, settings, options)
    midnight_ms = now_ms - now_ms % DAY_MS
    span_ms = min(HISTORY_MAX_MS, HISTORY_CANDLES * max(settings.candle_seconds) * 1000)
    start_ms = (midnight_ms - span_ms) // 60_000 * 60_000
    market = MarketSettings(seed=options.seed, start_ms=start_ms, signal=options.signal)
    if settings.pairs:
        market = msgspec.structs.replace(market, pairs=pairs_named(settings.pairs))
    write_whole(path, msgspec.json.encode(market))
    return market


def _same_market(path: Path, settings: Settings, options: DemoOptions) -> MarketSettings:
    try:
        market = msgspec.json.decode(path.read_bytes(), type=MarketSettings)
    except (OSError, msgspec.DecodeError) as exc:
        raise StoreError(str(path), f"can not be read ({exc})", "name a new --data-dir") from exc
    if (market.seed, market.signal) != (options.seed, options.signal):
        raise ConfigError(
            f"demo in {path.parent}",
            f"was made with --seed {market.seed} --signal {market.signal:g}, so nothing was started",
            "start with these, or name a new --data-dir",
        )
    names = tuple(pair.name for pair in market.pairs)
    if settings.pairs and sorted(settings.pairs) != sorted(names):
        raise ConfigError(
            f"demo in {path.parent}",
            f"was made with --pairs {','.join(names)}, so nothing was started",
            "start with these, or name a new --data-dir",
        )
    return market
