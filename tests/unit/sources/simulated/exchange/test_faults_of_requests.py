"""Faults of what is answered over REST, as a plain client sees them."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.unit.sources.simulated.exchange.faulty import LIVE_MS, TIMES, VENUES
from tests.unit.sources.simulated.exchange.local import (
    PAIRS,
    Local,
    rows_of,
    run,
)
from tickcast.errors import WireError
from tickcast.events import Columns
from tickcast.sources.pages.registry import read_page
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.sources.simulated.settings import MarketSettings

MARKET = "/api/v3/brokerage/market/products"
TRADES: dict[str, tuple[str, dict[str, Any]]] = {
    "binance": ("/api/v3/aggTrades", {"symbol": "BTCUSDT", "limit": 100}),
    "coinbase": (f"{MARKET}/BTC-USD/ticker", {"limit": 100}),
    "kraken": ("/0/public/Trades", {"pair": "XBTUSD", "count": 100}),
}


async def trades_page(local: Local, venue: str) -> Columns:
    path, params = TRADES[venue]
    return read_page(venue, "trades", PAIRS[venue][0], 0, await local.raw(venue, path, **params))


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("code", [418, 429, 500, 502])
def test_requests_are_answered_with_a_status(venue: str, code: int) -> None:
    async def test(local: Local) -> None:
        local.exchange.faults.inject(Fault(kind="status", venue=venue, code=code, ms=3000, count=2))
        for _ in range(2):
            status, headers, body = await local.answer(venue, TIMES[venue])
            if venue == "kraken" and code == 429:
                assert (200, {"error": ["EAPI:Rate limit exceeded"]}) == (status, msgspec.json.decode(body))
                continue
            assert code == status
            if code == 429 or (venue == "binance" and code == 418):
                assert "3" == headers["retry-after"]
        assert 200 == (await local.answer(venue, TIMES[venue]))[0]

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_a_fault_of_one_pair_meets_requests_for_it_alone(venue: str) -> None:
    async def test(local: Local) -> None:
        local.exchange.faults.inject(Fault(kind="status", venue=venue, pair="BTC-USD", code=500))
        path, params = TRADES[venue]
        assert 500 == (await local.answer(venue, path, **params))[0]
        other = {name: str(value).replace("BTC", "ETH").replace("XBT", "ETH") for name, value in params.items()}
        assert 200 == (await local.answer(venue, path.replace("BTC", "ETH"), **other))[0]

    run(test)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("how", ["json", "body"])
def test_a_page_can_end_early(venue: str, how: str) -> None:
    async def test(local: Local) -> None:
        whole = await trades_page(local, venue)
        local.exchange.faults.inject(Fault(kind="truncated", venue=venue, how=how, count=1))
        with pytest.raises(WireError if how == "json" else aiohttp.ClientPayloadError):
            await trades_page(local, venue)
        assert rows_of(whole) == rows_of(await trades_page(local, venue))

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_a_page_can_have_fewer_rows_than_there_are(venue: str) -> None:
    async def test(local: Local) -> None:
        whole = rows_of(await trades_page(local, venue))
        local.exchange.faults.inject(Fault(kind="fewer", venue=venue, count=1))
        fewer = rows_of(await trades_page(local, venue))

        assert (100, 50) == (len(whole), len(fewer))
        assert set(fewer) < set(whole)
        assert whole == rows_of(await trades_page(local, venue))

    run(test)


@pytest.mark.parametrize("venue", VENUES)
def test_pages_can_lag_behind(venue: str) -> None:
    async def test(local: Local) -> None:
        (number,) = local.exchange.faults.inject(Fault(kind="lag", venue=venue, ms=60_000))
        lagging = rows_of(await trades_page(local, venue))
        local.exchange.faults.remove(number)
        whole = rows_of(await trades_page(local, venue))

        assert LIVE_MS - 60_000 >= lagging[-1][4]
        assert whole[-1] not in lagging

    run(test)


def test_an_answer_can_be_late() -> None:
    async def test(local: Local) -> None:
        local.exchange.faults.inject(Fault(kind="slow", venue="kraken", ms=200, count=1))
        loop = asyncio.get_running_loop()
        late = asyncio.create_task(local.answer("kraken", TIMES["kraken"]))
        began_s = loop.time()
        await late

        assert loop.time() - began_s >= 0.2

    run(test)


def test_a_file_can_be_damaged_so_that_its_checksum_tells() -> None:
    async def test(local: Local) -> None:
        path = "/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2025-01-01.zip"
        local.exchange.faults.inject(Fault(kind="checksum", count=1))
        damaged = await local.raw("binance", path)
        digest = (await local.raw("binance", path + ".CHECKSUM")).split()[0].decode()
        whole = await local.raw("binance", path)

        assert digest != hashlib.sha256(damaged).hexdigest()
        assert digest == hashlib.sha256(whole).hexdigest()

    run(test, hours=24.1, market=MarketSettings(seed=7, trades_per_second=0.05))
