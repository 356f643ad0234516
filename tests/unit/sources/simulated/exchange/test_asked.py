"""What the exchange answers over REST, our pages room and mappers read back as exactly what happened."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest

from tests.unit.sources.simulated.exchange.asking import HOUR_MS, LIVE_MS, MARKET
from tests.unit.sources.simulated.exchange.local import PAIRS, START_MS, Local, run
from tickcast.sources.pages.registry import read_page


def test_all_venues_tell_the_same_time() -> None:
    async def test(local: Local) -> None:
        local.clock.sleep(2.5)
        binance = (await local.get("binance", "/api/v3/time"))["serverTime"]
        coinbase = await local.get("coinbase", "/api/v3/brokerage/time")
        kraken = (await local.get("kraken", "/0/public/Time"))["result"]

        assert LIVE_MS + 2500 == binance == int(coinbase["epochMillis"])
        assert "2025-01-01T01:00:02.500000Z" == coinbase["iso"]
        assert (LIVE_MS // 1000 + 2, "Wed, 01 Jan 25 01:00:02 +0000") == (kraken["unixtime"], kraken["rfc1123"])

    run(test)


def test_market_time_runs_at_its_speed() -> None:
    async def test(local: Local) -> None:
        local.clock.sleep(2.0)

        assert LIVE_MS + 120_000 == (await local.get("binance", "/api/v3/time"))["serverTime"]

    run(test, speed=60.0)


@pytest.mark.parametrize("venue", sorted(PAIRS))
def test_what_has_not_happened_yet_is_not_told(venue: str) -> None:
    async def test(local: Local) -> None:
        pair = PAIRS[venue][0]
        paths: dict[str, tuple[str, dict[str, Any]]] = {
            "binance": ("/api/v3/aggTrades", {"symbol": pair, "limit": 1000}),
            "coinbase": (f"{MARKET}/{pair}/ticker", {"limit": 1000}),
            "kraken": ("/0/public/Trades", {"pair": "XBTUSD"}),
        }
        path, params = paths[venue]
        for _ in range(20):
            local.clock.sleep(0.7)
            raw = await local.raw(venue, path, **params)
            newest = read_page(venue, "trades", pair, 0, raw)
            true = local.exchange.truth(venue, pair, aggregates=venue == "binance")

            assert newest["timestamp_ms"].max() <= local.exchange.world.now_us() // 1000
            assert true["trade_id"][-1] == newest["trade_id"][-1]

    run(test)


def test_what_is_older_than_the_archive_is_not_there_any_more() -> None:
    span: dict[str, Any] = {"symbol": "BTCUSDT", "interval": "15m", "startTime": START_MS}

    async def whole(local: Local) -> list[Any]:
        rows: list[Any] = await local.get("binance", "/api/v3/klines", **span)
        return rows

    async def test(local: Local) -> list[Any]:
        rows = await local.get("binance", "/api/v3/aggTrades", symbol="BTCUSDT", fromId=0, limit=1)
        kept_ms = LIVE_MS + 2 * HOUR_MS - 2 * HOUR_MS // 3

        assert kept_ms - 700_000 <= rows[0]["T"]
        assert 0 < local.exchange.truth("binance", "BTCUSDT")["trade_id"].size < 10_000
        return await whole(local)

    everything, kept = run(whole, hours=3.0), run(test, hours=3.0, archive_hours=2 / 3)

    assert everything[-len(kept) :] == kept  # no candle is cut by what is gone
    assert 2 <= len(kept) <= 4


def test_truth_is_told_over_http_in_any_venues_names() -> None:
    async def test(local: Local) -> None:
        for venue in PAIRS:
            async with local.http.get(
                f"{local.server.address}/truth/{venue}/{PAIRS[venue][1]}",
                params={"from_ms": START_MS, "to_ms": START_MS + 600_000},
            ) as answer:
                told = msgspec.json.decode(await answer.read())
            true = local.exchange.truth(venue, PAIRS[venue][1], START_MS, START_MS + 600_000)
            assert true["trade_id"].tolist() == told["trade_id"]
            assert true["price"].tolist() == told["price"]
        async with local.http.get(f"{local.server.address}/truth/kraken/FOO") as answer:
            assert 404 == answer.status

    run(test)


def test_a_port_that_is_taken_is_refused_in_a_sentence() -> None:
    from tickcast.errors import ConfigError
    from tickcast.sources.simulated.exchange.exchange import Exchange
    from tickcast.sources.simulated.exchange.server import Server

    async def test(local: Local) -> None:
        settings = msgspec.structs.replace(local.exchange.settings, port=local.server.port)
        taken = Server(Exchange(settings, local.clock))
        with pytest.raises(ConfigError, match="can not be listened on"):
            await taken.start()

    run(test)


@pytest.mark.parametrize("number", [-(10**30), -1, 10**30])
def test_numbers_beyond_reason_are_answered_like_any_other(number: int) -> None:
    async def test(local: Local) -> None:
        for name in ("fromId", "startTime", "endTime"):
            status, _, _ = await local.answer("binance", "/api/v3/aggTrades", symbol="BTCUSDT", **{name: number})
            assert 200 == status
        for name in ("startTime", "endTime"):
            span = {"symbol": "BTCUSDT", "interval": "1m", name: number}
            assert 200 == (await local.answer("binance", "/api/v3/klines", **span))[0]
        assert 200 == (await local.answer("coinbase", f"{MARKET}/BTC-USD/ticker", limit=5, start=number))[0]
        assert 200 == (await local.answer("coinbase", f"{MARKET}/BTC-USD/ticker", limit=5, end=number))[0]
        assert [] == (await local.get("kraken", "/0/public/Trades", pair="XBTUSD", since=number))["error"]
        assert [] == (await local.get("kraken", "/0/public/OHLC", pair="XBTUSD", since=number))["error"]

    run(test, hours=0.1)


def test_an_unknown_path_is_not_found() -> None:
    async def test(local: Local) -> None:
        for venue, path in (("binance", "/api/v3/nope"), ("binance", "/x"), ("coinbase", "/x")):
            assert 404 == (await local.answer(venue, path))[0]
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with local.dial("kraken", "/v3"):
                pass

    run(test)
