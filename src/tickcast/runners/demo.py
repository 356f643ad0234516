"""A simulated market through everything: a local exchange in a process of its own, and the system that reads it.

What the market is made of is written beside its data, so that a second start goes on where the first one ended.

    tickcast demo ─┬→ tickcast exchange (child process): the market, its sockets, its REST
                   └→ System: REST for history and holes, sockets for what is new
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from tickcast.clock import DAY_MS, NS_PER_MS, Clock, PacedClock
from tickcast.config import Settings
from tickcast.errors import ConfigError, StoreError
from tickcast.runners.datadir import write_whole
from tickcast.runners.exchange import ExchangeProcess
from tickcast.runners.origins import Origins
from tickcast.runners.system import Options, System
from tickcast.sources.simulated.exchange.names import spelling
from tickcast.sources.simulated.exchange.settings import ExchangeSettings
from tickcast.sources.simulated.settings import MarketSettings, pairs_named
from tickcast.sources.venues.names import exchanges_of, plan_pairs

MARKET_FILE = "demo.json"
HISTORY_CANDLES = 520
"""Candles of history before the last midnight: the anchor of the indicators wants 512."""
LEARN_MS = 26 * 3_600_000
"""The least history with candles of a minute or longer: enough to learn from at any time of the day."""
HISTORY_MAX_MS = 3 * DAY_MS
ARCHIVE_HOURS_LEAST = 24.0
"""What the exchange keeps for holes; or the history of a start. With all of its market its memory would grow for days.
"""
HOUR_MS = 3_600_000
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


class Demo(System):
    """One run against an exchange of its own, whose market's clock is ours too."""

    def __init__(self, settings: Settings, options: DemoOptions, clock: Clock) -> None:
        self.demo = options
        self.paced = PacedClock(clock)
        self.exchange = ExchangeProcess()
        named = msgspec.structs.replace(settings, exchange=settings.exchange or EXCHANGE, history="trades")
        named = msgspec.structs.replace(named, pairs=named.pairs or default_pairs(named.exchange))
        options_of_system = Options(options.seconds, options.any_port, simulated=True, speed=options.speed)
        super().__init__(named, options_of_system, self.paced)

    def _check(self, held: ExitStack) -> None:  # noqa: ARG002 - there is nobody to ask
        self.market = market_of(self.settings, self.demo, self.clock.now_ns() // NS_PER_MS)

    def _prepare(self, held: ExitStack) -> None:
        """Keep the market's making beside its data; the exchange compiles while we do."""
        write_whole(self.settings.data_dir / MARKET_FILE, msgspec.json.encode(self.market))
        held.callback(self.exchange.stop)
        self.exchange.begin()

    def _connect(self, held: ExitStack) -> Origins | None:
        """Open the exchange where the journal ends, or now, and go by its clock."""
        self._enter("opening the simulated exchange")
        now_ns = self.clock.now_ns()
        live_ns = max(now_ns, *(state.last_recv_ns for state in self.embedded.pipeline.framers.values()), 0)
        self.exchange.open(self._exchange_settings(live_ns, now_ns))
        if not self.exchange.opened(self._goes_on):
            return None
        self.paced.pace(self.demo.speed, live_ns + round((self.clock.now_ns() - now_ns) * self.demo.speed))
        endpoints = tuple(f"{name}={self.exchange.base(name)}" for name in exchanges_of(self.settings.exchange))
        at_home = msgspec.structs.replace(self.settings, endpoints=endpoints)
        self.origins = held.enter_context(closing(Origins(at_home, self.clock)))
        return self.origins

    def _exchange_settings(self, live_ns: int, now_ns: int) -> ExchangeSettings:
        settings = ExchangeSettings(
            self.market, live_from_ms=live_ns // NS_PER_MS, live_at_ns=now_ns, speed=self.demo.speed
        )
        hours = max(ARCHIVE_HOURS_LEAST, 1 + (settings.live_from_ms - self.market.start_ms) / HOUR_MS)
        return msgspec.structs.replace(settings, archive_hours=min(hours, settings.archive_hours))

    def _goes_on(self) -> bool:
        """While the exchange makes its market's history."""
        self.watch.tick()
        self._on_tick(self)
        return not self._stopping.asked


def default_pairs(exchange: str) -> tuple[str, ...]:
    """The pairs of a demo, as each of its exchanges writes them.

    >>> default_pairs("kraken")
    ('kraken:BTC/USD', 'kraken:ETH/USD', 'kraken:SOL/USD')
    """
    names = [pair.name for pair in MarketSettings().pairs]
    return tuple(f"{venue}:{spelling(name).of(venue)}" for venue in exchanges_of(exchange) for name in names)


def _market_names(settings: Settings) -> tuple[str, ...]:
    """The market's own names of all pairs that are asked for."""
    plan = plan_pairs(settings.exchange, settings.pairs)
    return tuple(dict.fromkeys(spelling(pair).binance for pairs in plan.values() for pair in pairs))


def market_of(settings: Settings, options: DemoOptions, now_ms: int) -> MarketSettings:
    """The market of a data directory: the one it was made with, or a new one with enough history for the indicators."""
    path = settings.data_dir / MARKET_FILE
    if path.is_file():
        return _same_market(path, settings, options)
    midnight_ms = now_ms - now_ms % DAY_MS
    span_ms = min(HISTORY_MAX_MS, HISTORY_CANDLES * max(settings.candle_seconds) * 1000)
    start_ms = midnight_ms - span_ms
    if max(settings.candle_seconds) >= 60:
        start_ms = min(start_ms, now_ms - LEARN_MS)
    start_ms = start_ms // 60_000 * 60_000
    pairs = pairs_named(_market_names(settings))
    return MarketSettings(seed=options.seed, start_ms=start_ms, signal=options.signal, pairs=pairs)


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
    if sorted(_market_names(settings)) != sorted(names):
        raise ConfigError(
            f"demo in {path.parent}",
            f"was made with --pairs {','.join(names)}, so nothing was started",
            "start with these, or name a new --data-dir",
        )
    return market
