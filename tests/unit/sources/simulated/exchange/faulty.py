"""What tests of faults ask an exchange for."""

from __future__ import annotations

from tests.unit.sources.simulated.exchange.local import (
    PAIRS,
    START_MS,
    Local,
    Peer,
    events_of,
    trades_of,
)

HOUR_MS = 3_600_000
LIVE_MS = START_MS + HOUR_MS
CHANNELS = {"binance": "trade", "coinbase": "market_trades", "kraken": "trade"}
VENUES = sorted(PAIRS)
TIMES = {"binance": "/api/v3/time", "coinbase": "/api/v3/brokerage/time", "kraken": "/0/public/Time"}


async def told(local: Local, peer: Peer, venue: str, seconds: float, at: int = 0) -> list[tuple[object, ...]]:
    """Trades of one pair that come while time passes."""
    local.passes(seconds)
    return trades_of(events_of(venue, await peer.waiting()), PAIRS[venue][at])
