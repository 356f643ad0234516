"""History of the local exchange over its own port: the same trades and candles as its market has, within its limits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import msgspec
import numpy as np
import pytest

from tickcast.clock import SystemClock
from tickcast.sources.history.budget import Budgets
from tickcast.sources.history.contract import After
from tickcast.sources.history.rest import RestHistory
from tickcast.sources.simulated.exchange.exchange import Exchange
from tickcast.sources.simulated.exchange.server import Server
from tickcast.sources.simulated.exchange.settings import ExchangeSettings
from tickcast.sources.simulated.settings import MarketSettings, pairs_named
from tickcast.sources.venues.registry import venue_of

LIVE_MS = 1_736_226_000_000
LOW_MS = LIVE_MS - 20 * 60_000
PAIRS = {"binance": "BTCUSDT", "coinbase": "BTC-USD", "kraken": "BTC/USD"}
TOLD = ("trade_id", "first_id", "price", "quantity", "timestamp_ms", "is_buyer_maker")


def with_exchange(venue: str, work: Callable[[RestHistory, Exchange], Awaitable[None]], speed: float = 1.0) -> None:
    async def run() -> None:
        market = msgspec.structs.replace(
            MarketSettings(), start_ms=LIVE_MS - 45 * 60_000, pairs=pairs_named(["BTCUSDT"])
        )
        exchange = Exchange(ExchangeSettings(market=market, live_from_ms=LIVE_MS, speed=speed), SystemClock())
        async with asyncio.timeout(60.0), Server(exchange) as server:
            history = RestHistory(
                venue,
                venue_of(venue).at(server.base(venue)),
                clock=SystemClock(),
                budget=Budgets(SystemClock()),
                chance=random.Random(1),
                loop=asyncio.get_running_loop(),
            )
            await history.venue_time()  # the first request compiles
            try:
                await work(history, exchange)
            finally:
                await history.close()
            assert not [key for key in history.requests if not key.endswith((" ok", " failed"))]

    asyncio.run(run())


each_venue = pytest.mark.parametrize("venue", list(PAIRS))


@pytest.mark.parametrize("speed", [1.0, 60.0])
@each_venue
def test_all_its_trades_come_and_are_what_happened(venue: str, speed: float) -> None:
    async def work(history: RestHistory, exchange: Exchange) -> None:
        parts = [part async for part in history.trades(PAIRS[venue], After(LOW_MS))]

        now_ms = exchange.world.now_us() // 1000
        truth = exchange.truth(venue, PAIRS[venue], LOW_MS, parts[-1].to_ms, aggregates=venue == "binance")
        count = len(truth["trade_id"])
        assert count > 1000
        for name in TOLD:
            column = np.concatenate([part.rows[name] for part in parts])
            assert truth[name].tolist() == column[:count].tolist()
        assert LOW_MS == parts[0].from_ms
        assert parts[-1].reached_end
        assert LIVE_MS <= parts[-1].to_ms <= now_ms

    with_exchange(venue, work, speed)


@each_venue
def test_its_candles_are_those_of_its_trades(venue: str) -> None:
    async def work(history: RestHistory, exchange: Exchange) -> None:
        parts = [part async for part in history.candles(PAIRS[venue], 60, LOW_MS, LIVE_MS + 600_000)]

        rows = {name: np.concatenate([part.rows[name] for part in parts]) for name in parts[0].rows}
        assert list(range(LOW_MS, parts[-1].to_ms, 60_000)) == rows["window_start_ms"].tolist()
        assert parts[-1].to_ms >= LIVE_MS
        truth = exchange.truth(venue, PAIRS[venue], LOW_MS, parts[-1].to_ms)
        for at, start_ms in enumerate(rows["window_start_ms"].tolist()):
            prices = truth["price"][truth["timestamp_ms"] // 60_000 * 60_000 == start_ms]
            expected = (prices[0], prices.max(), prices.min(), prices[-1])
            assert expected == tuple(rows[name][at] for name in ("open", "high", "low", "close"))

    with_exchange(venue, work)


@each_venue
def test_its_listings_name_our_pair_as_we_do(venue: str) -> None:
    async def work(history: RestHistory, exchange: Exchange) -> None:
        (listing,) = [one for one in await history.listings() if not one.alias_of]

        assert (PAIRS[venue], "BTC", True) == (listing.pair, listing.base, listing.trading)

    with_exchange(venue, work)
