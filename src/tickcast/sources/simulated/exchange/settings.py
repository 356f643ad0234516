"""What a local exchange is started with. Plain data: importing it costs nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tickcast.errors import ConfigError
from tickcast.sources.simulated.exchange.names import VENUES, spellings
from tickcast.sources.simulated.settings import MINUTE_MS, MarketSettings, pairs_named

SPEED_MAX = 100_000.0
LOAD_MAX = 500_000.0
ARCHIVE_HOURS_MAX = 24 * 40


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the venues put up with, in real seconds whatever the market's speed. A limit of 0 is none."""

    binance_connects: int = 300
    binance_connects_span_s: float = 300.0
    binance_sends_per_s: int = 5
    binance_streams: int = 1024
    binance_weight_per_minute: int = 6000
    binance_ban_s: float = 120.0
    """How long a client is banned (418) that goes on after 429."""
    binance_ban_after: int = 10
    """How many further requests in the same minute earn the ban."""
    binance_span_from_end: bool = False
    """Of a full page between a start and an end: whether its rows are the newest ones. Opinions differ."""
    binance_message_bytes: int = 4096
    """A request that is longer is not answered at all."""
    binance_ping_s: float = 20.0
    binance_pong_within_s: float = 60.0
    binance_max_age_s: float = 86_400.0
    coinbase_connects: int = 8
    coinbase_connects_span_s: float = 1.0
    coinbase_sends_per_s: int = 8
    coinbase_subscribe_within_s: float = 5.0
    coinbase_idle_s: float = 90.0
    coinbase_requests_per_s: float = 10.0
    coinbase_requests_burst: float = 15.0
    kraken_connects: int = 150
    kraken_connects_span_s: float = 600.0
    kraken_sends_per_s: int = 50
    kraken_requests_per_s: float = 1.0
    kraken_requests_burst: float = 5.0
    heartbeat_s: float = 1.0
    backlog_bytes: int = 8 << 20
    """A connection whose reader is so far behind (beyond what the kernel holds) is cut."""
    message_bytes_max: int = 1 << 20
    """Of what a client sends."""


UNLIMITED = Limits(
    binance_connects=0,
    binance_sends_per_s=0,
    binance_weight_per_minute=0,
    coinbase_connects=0,
    coinbase_sends_per_s=0,
    coinbase_requests_per_s=0,
    kraken_connects=0,
    kraken_sends_per_s=0,
    kraken_requests_per_s=0,
)
"""For tests of other things than limits."""


class ExchangeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A local exchange. The market's trades depend on `market` alone; the rest says when and how they are told."""

    market: MarketSettings = MarketSettings()
    venues: tuple[str, ...] = VENUES
    live_from_ms: int = 0
    """Market time at which the exchange opens; what lies before is history. 0: the machine's time."""
    live_at_ns: int = 0
    """When on the machine's clock that was; 0: when the exchange is made. Give it so that a restarted one stands where
    it would have stood, and (the same time as `live_from_ms`) so that at speed 1 its clock is the machine's."""
    speed: float = 1.0
    """Market seconds in a second."""
    load: float = 0.0
    """Squeeze the market so that a `bookTicker` and `aggTrade` reader of all pairs gets so many messages a second."""
    capture: tuple[str, ...] = ()
    """Paths of a recording to tell instead of the simulated market, shifted so as to begin when the exchange opens."""
    capture_exchange: str = ""
    """Whose it is, where it does not tell."""
    capture_history_s: float = 0.0
    """How much of it is history already when the exchange opens; below 0: it begins so much later."""
    archive_hours: float = 96.0
    """What is older than this is not there any more."""
    archive_trades: int = 6_000_000
    """Nor are more trades than this kept, of all pairs together."""
    host: str = "127.0.0.1"
    port: int = 0
    tick_s: float = 0.01
    """How often what has happened is told."""
    limits: Limits = Limits()
    seed: int = 1
    """Of what is drawn beside the market: connection ids, faults."""
    tls_cert: str = ""
    tls_key: str = ""

    def __post_init__(self) -> None:
        unknown = [venue for venue in self.venues if venue not in VENUES]
        if unknown or not self.venues:
            raise ConfigError("venue", f"was {','.join(unknown) or 'empty'}", f"choose from {', '.join(VENUES)}")
        if not 0.0 < self.speed <= SPEED_MAX:
            raise ConfigError("speed", f"was {self.speed:g}", f"give more than 0, up to {SPEED_MAX:,.0f}")
        if not 0.0 <= self.load <= LOAD_MAX:
            raise ConfigError("load", f"was {self.load:g}", f"give messages a second, up to {LOAD_MAX:,.0f}; 0: as is")
        if not 0.0 < self.archive_hours <= ARCHIVE_HOURS_MAX:
            raise ConfigError("archive_hours", f"was {self.archive_hours:g}", f"give up to {ARCHIVE_HOURS_MAX} hours")
        if self.live_from_ms and not self.capture and self.live_from_ms < self.market.start_ms:
            raise ConfigError("live_from_ms", "lies before the market's start", "give a later time, or 0 for now")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("tls", "was half given", "give a certificate and its key, or neither")
        if not self.capture:
            spellings([pair.name for pair in self.market.pairs], self.venues)


BUSY_NAMES = (
    *("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"),
    *("DOGEUSDT", "LTCUSDT", "BNBUSDT", "DOTUSDT", "LINKUSDT"),
)
BUSY_TRADES_PER_S = 10.0


def busy_market(seed: int, names: Sequence[str] = ()) -> MarketSettings:
    """A market that is always busy, in all of its pairs alike: what `load` squeezes.

    >>> len(busy_market(1).pairs), busy_market(1, ["BTC-USD"]).pairs[0].activity
    (10, 1.0)
    """
    pairs = tuple(msgspec.structs.replace(pair, activity=1.0) for pair in pairs_named(names or BUSY_NAMES))
    return MarketSettings(seed=seed, pairs=pairs, trades_per_second=BUSY_TRADES_PER_S, quiet=0.0)


def market_before(market: MarketSettings, live_from_ms: int, history_hours: float) -> MarketSettings:
    """The same market, begun so many hours before it opens, on a whole minute.

    >>> market_before(MarketSettings(), 1_735_689_630_000, 0.5).start_ms
    1735687800000
    """
    start_ms = (live_from_ms - round(history_hours * 3_600_000)) // MINUTE_MS * MINUTE_MS
    return msgspec.structs.replace(market, start_ms=max(0, start_ms))
