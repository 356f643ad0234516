"""Looks at systems that never ran: what the terminal, /health, /ready and /metrics are tested with."""

from __future__ import annotations

from typing import Any

import msgspec

from tickcast.runners.status import CandleSeen, DiskSeen, LagSeen, Shown
from tickcast.sources.live.contract import ConnectionStatus, LiveStatus, PairStatus

NOW_MS = 1_762_795_433_000
"""2025-11-10 17:23:53 UTC."""
TAKEN_S = 1000.0


def connection(exchange: str = "binance", number: int = 1, state: str = "open", **more: Any) -> ConnectionStatus:
    """A healthy connection unless something else is said."""
    pairs = {"binance": ("BTCUSDT", "ETHUSDT"), "coinbase": ("BTC-USD",), "kraken": ("BTC/USD",)}.get(exchange, ())
    chosen = {"pairs": pairs, "messages": 1200, "rate": 40.0, "age_s": 0.2, "offset_ms": 12.0, "offset_error_ms": 3.0}
    return ConnectionStatus(exchange, number, state, **{**chosen, **more})


def pair(exchange: str = "binance", name: str = "BTCUSDT", state: str = "live", **more: Any) -> PairStatus:
    """A healthy pair unless something else is said."""
    chosen = {"last_message_ms": NOW_MS - 300, "age_s": 0.3, "rate": 20.0}
    return PairStatus(exchange, name, state, **{**chosen, **more})


def live(connections: list[ConnectionStatus] | None = None, pairs: list[PairStatus] | None = None) -> LiveStatus:
    """One connection with two pairs unless something else is said."""
    return LiveStatus(
        [connection()] if connections is None else connections,
        [pair(), pair(name="ETHUSDT")] if pairs is None else pairs,
        lag_ms=2.0,
        requests={"api.binance.com 200": 7, "api.binance.com 429": 1},
    )


def candle(exchange: str, name: str, close: float, **more: Any) -> CandleSeen:
    """The newest candle of a pair."""
    start_ms = NOW_MS // 60_000 * 60_000 - 60_000
    seen = CandleSeen(exchange, name, 60, start_ms, close, 12.5, 321, "complete", 0, 55.5, 0.00123)
    return msgspec.structs.replace(seen, **more)


def shown(**more: Any) -> Shown:
    """A system that is well unless something else is said."""
    chosen: dict[str, Any] = {
        "address": "http://127.0.0.1:8000",
        "data_dir": "tickcast-data",
        "uptime_s": 90.0,
        "wait_ms": 61_000,
        "market_ms": NOW_MS - 200,
        "messages": 123_456,
        "rate": 1234.5,
        "received": {"binance": 123_456},
        "lag": LagSeen(0.8, 4.2, 19.0),
        "rows": {"candles": 420, "ticks_features": 99_000, "features": 410, "technical_indicators": 418},
        "candles": (candle("binance", "BTCUSDT", 61_837.63), candle("binance", "ETHUSDT", 2_683.8)),
        "closes": {("binance", "BTCUSDT"): (1.0, 2.0, 3.0)},
        "volatility": {("binance", "BTCUSDT"): 0.0004},
        "qualities": {("binance", "complete"): 418, ("binance", "partial"): 2},
        "quarantined": {"binance": {"Expected `str`, got `int` - at `$.p`": 3}},
        "stages": {"candles": {"late": 1, "missing_ids": 0}},
        "lows": {"binance:BTCUSDT": NOW_MS - 900, "binance:ETHUSDT": NOW_MS - 40_000},
        "disk": DiskSeen(50 << 30, 0.05, 0.05, 0.7),
        "live": live(),
    }
    return Shown("live", TAKEN_S, NOW_MS, **{**chosen, **more})
