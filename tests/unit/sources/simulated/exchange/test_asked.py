"""What the exchange answers over REST, our pages room and mappers read back as exactly what happened."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pytest

from tests.unit.sources.simulated.exchange.local import PAIRS, START_MS, Local, rows_of, run, trades_of
from tickcast.events import Columns
from tickcast.sources.pages.registry import read_page
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated.exchange.settings import Limits

HOUR_MS = 3_600_000
LIVE_MS = START_MS + HOUR_MS
MARKET = "/api/v3/brokerage/market/products"


def bars_of(true: Columns, seconds: int) -> dict[int, tuple[float, ...]]:
    """Open, high, low, close, volume and count of each window with a trade, from rounded sums."""
    found: dict[int, tuple[float, ...]] = {}
    width_ms = seconds * 1000
    windows = true["timestamp_ms"] // width_ms
    for window in np.unique(windows):
        price, size = true["price"][windows == window], true["quantity"][windows == window]
        volume = round(float(size.sum()), 8)
        found[int(window) * width_ms] = (
            price[0].item(), price.max().item(), price.min().item(), price[-1].item(), volume, len(price),
        )  # fmt: skip
    return found


# binance


def test_a_walk_by_aggregate_id_meets_every_aggregate_once() -> None:
    async def test(local: Local) -> None:
        found: list[tuple[object, ...]] = []
        cursor, pages = 0, 0
        while True:
            raw = await local.raw("binance", "/api/v3/aggTrades", symbol="BTCUSDT", fromId=cursor, limit=1000)
            rows = msgspec.json.decode(raw)
            found += rows_of(read_page("binance", "trades", "BTCUSDT", 0, raw))
            pages += 1
            if len(rows) < 1000:
                break
            cursor = rows[-1]["a"] + 1
        true = local.exchange.truth("binance", "BTCUSDT", aggregates=True)

        assert rows_of(true) == found
        assert pages > 2

    run(test)


def test_aggregates_of_a_span_of_time_begin_and_end_on_their_milliseconds() -> None:
    async def test(local: Local) -> None:
        true = local.exchange.truth("binance", "ETHUSDT", aggregates=True)
        times = true["timestamp_ms"]
        first, last = int(times[100]), int(times[300])
        raw = await local.raw(
            "binance", "/api/v3/aggTrades", symbol="ETHUSDT", startTime=first, endTime=last, limit=1000
        )
        wanted = (times >= first) & (times <= last)

        expected = [row for row, is_in in zip(rows_of(true), wanted.tolist(), strict=True) if is_in]
        assert expected == rows_of(read_page("binance", "trades", "ETHUSDT", 0, raw))
        newest = await local.raw("binance", "/api/v3/aggTrades", symbol="ETHUSDT")
        assert rows_of(true)[-500:] == rows_of(read_page("binance", "trades", "ETHUSDT", 0, newest))
        until = await local.raw("binance", "/api/v3/aggTrades", symbol="ETHUSDT", endTime=last, limit=10)
        assert expected[-10:] == rows_of(read_page("binance", "trades", "ETHUSDT", 0, until))

    run(test)


@pytest.mark.parametrize("from_end", [False, True])
def test_a_full_page_of_a_span_is_its_beginning_or_its_end_as_it_is_set(from_end: bool) -> None:
    async def test(local: Local) -> None:
        span = {"startTime": START_MS, "endTime": LIVE_MS, "limit": 5}
        raw = await local.raw("binance", "/api/v3/aggTrades", symbol="BTCUSDT", **span)
        true = rows_of(local.exchange.truth("binance", "BTCUSDT", aggregates=True))

        assert (true[-5:] if from_end else true[:5]) == rows_of(read_page("binance", "trades", "BTCUSDT", 0, raw))

    run(test, limits=Limits(binance_span_from_end=from_end))


def test_single_trades_by_id() -> None:
    async def test(local: Local) -> None:
        true = local.exchange.truth("binance", "SOLUSDT")
        first = int(true["trade_id"][10])
        rows = await local.get("binance", "/api/v3/historicalTrades", symbol="SOLUSDT", fromId=first, limit=50)

        keys = ("trade_id", "price", "quantity", "timestamp_ms", "is_buyer_maker")
        expected = list(zip(*(true[key][10:60].tolist() for key in keys), strict=True))
        found = [(row["id"], float(row["price"]), float(row["qty"]), row["time"], row["isBuyerMaker"]) for row in rows]
        assert expected == found
        money = [round(price * size, 8) for _, price, size, _, _ in expected]
        assert money == [round(float(row["quoteQty"]), 8) for row in rows]

    run(test)


@pytest.mark.parametrize(("interval", "seconds"), [("1s", 1), ("1m", 60), ("15m", 900)])
def test_klines_are_the_exact_sums_of_the_trades_and_quiet_windows_are_flat(interval: str, seconds: int) -> None:
    async def test(local: Local) -> None:
        raw = await local.raw("binance", "/api/v3/klines", symbol="ETHUSDT", interval=interval, limit=1000)
        rows = msgspec.json.decode(raw)
        expected = bars_of(local.exchange.truth("binance", "ETHUSDT"), seconds)
        close = rows[0][4]
        for row in rows:
            start_ms, *prices, volume, end_ms, _, count, bought, _, _ = row
            assert end_ms == start_ms + seconds * 1000 - 1
            if start_ms in expected:
                assert expected[start_ms] == (*map(float, prices), float(volume), count)
                assert 0 <= float(bought) <= float(volume)
            else:
                assert ([close] * 4, "0.00000000", 0) == (prices, volume, count)
            close = prices[-1]

        steps = {two[0] - one[0] for one, two in pairwise(rows)}
        assert {seconds * 1000} == steps
        assert LIVE_MS // (seconds * 1000) * seconds * 1000 == rows[-1][0]
        assert all(start in {row[0] for row in rows} for start in expected if start >= rows[0][0])

    run(test)


def test_klines_between_two_times() -> None:
    async def test(local: Local) -> None:
        span = {"startTime": START_MS + 60_001, "endTime": START_MS + 300_000}
        rows = await local.get("binance", "/api/v3/klines", symbol="BTCUSDT", interval="1m", **span)

        assert [START_MS + 60_000 * minute for minute in (2, 3, 4, 5)] == [row[0] for row in rows]

    run(test)


def test_klines_are_laid_out_as_captured_ones(shared_data: Path) -> None:
    path = shared_data / "rest/binance/data.binance.vision_spot-klines-BTCUSDT-1h-2024-10-28.zip"
    with zipfile.ZipFile(path) as packed:
        captured = packed.read(packed.namelist()[0]).decode().splitlines()[0].split(",")

    async def test(local: Local) -> Any:
        return (await local.get("binance", "/api/v3/klines", symbol="BTCUSDT", interval="1h", limit=2))[0]

    ours = run(test)

    assert len(captured) == len(ours)
    for theirs, text in zip(captured, ours, strict=True):
        assert ("." in theirs) == ("." in str(text))
        assert len(theirs.partition(".")[2]) == len(str(text).partition(".")[2])


def test_exchange_info_has_the_fields_of_a_captured_one(shared_data: Path) -> None:
    with gzip.open(shared_data / "rest/binance/cryptofeed_exchangeInfo_20211012.txt.gz") as file:
        captured = json.JSONDecoder().raw_decode(file.read().decode().partition(": ")[2])[0]

    async def test(local: Local) -> Any:
        return await local.get("binance", "/api/v3/exchangeInfo")

    ours = run(test)

    assert captured.keys() == ours.keys()
    assert {"symbol", "status", "baseAsset", "quoteAsset", "filters"} <= ours["symbols"][0].keys()
    assert ours["symbols"][0].keys() <= captured["symbols"][0].keys() | {"permissionSets"}
    assert list(PAIRS["binance"]) == [symbol["symbol"] for symbol in ours["symbols"]]
    assert ("BTC", "USDT") == (ours["symbols"][0]["baseAsset"], ours["symbols"][0]["quoteAsset"])


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("aggTrades", {"symbol": "BTCUSDTX"}, 400, -1121),
        ("aggTrades", {}, 400, -1102),
        ("aggTrades", {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1}, 400, -1128),
        ("aggTrades", {"symbol": "BTCUSDT", "startTime": 1, "endTime": 3_600_002}, 400, -1127),
        ("aggTrades", {"symbol": "BTCUSDT", "fromId": "x"}, 400, -1100),
        ("aggTrades", {"symbol": "BTCUSDT", "limit": -1}, 400, -1100),
        ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, 400, -1120),
        ("exchangeInfo", {"symbol": "NOPE"}, 400, -1121),
    ],
)
def test_binance_refuses_in_its_words(path: str, params: dict[str, Any], status: int, code: int) -> None:
    async def test(local: Local) -> None:
        told, _, body = await local.answer("binance", f"/api/v3/{path}", **params)

        assert (status, code) == (told, msgspec.json.decode(body)["code"])

    run(test)


def test_weights_are_counted_by_the_minute_and_who_goes_on_is_banned() -> None:
    async def test(local: Local) -> None:
        used = []
        for _ in range(3):
            status, headers, _ = await local.answer("binance", "/api/v3/aggTrades", symbol="BTCUSDT")
            used.append((status, headers["x-mbx-used-weight-1m"]))
        assert [(200, "4"), (200, "8"), (429, "12")] == used
        status, headers, body = await local.answer("binance", "/api/v3/time")
        assert (429, -1003) == (status, msgspec.json.decode(body)["code"])
        assert 1 <= int(headers["retry-after"]) <= 60
        for _ in range(2):
            status, headers, _ = await local.answer("binance", "/api/v3/time")
        assert (418, "120") == (status, headers["retry-after"])
        local.clock.sleep(119)
        assert 418 == (await local.answer("binance", "/api/v3/time"))[0]
        local.clock.sleep(1.1)
        status, headers, _ = await local.answer("binance", "/api/v3/time")
        assert (200, "1") == (status, headers["x-mbx-used-weight-1m"])

    run(test, limits=Limits(binance_weight_per_minute=10, binance_ban_after=3))


@pytest.mark.parametrize("start_ms", [START_MS, START_MS - 86_400_000])
def test_files_of_whole_days_hold_every_row_and_match_their_checksums(start_ms: int) -> None:
    """Files of 2025 count microseconds, those before count milliseconds."""
    from tickcast.sources.simulated.settings import MarketSettings

    day = "2025-01-01" if start_ms == START_MS else "2024-12-31"
    base = "/data/spot/daily"

    async def fetched(local: Local, path: str) -> list[list[str]]:
        status, _, body = await local.answer("binance", path)
        assert 200 == status
        _, _, told = await local.answer("binance", path + ".CHECKSUM")
        assert f"{hashlib.sha256(body).hexdigest()}  {path.rpartition('/')[2]}\n".encode() == told
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            assert [path.rpartition("/")[2].replace(".zip", ".csv")] == packed.namelist()
            return [line.split(",") for line in packed.read(packed.namelist()[0]).decode().splitlines()]

    async def test(local: Local) -> None:
        rows = await fetched(local, f"{base}/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{day}.zip")
        true = local.exchange.truth("binance", "BTCUSDT", start_ms, start_ms + 86_400_000, aggregates=True)
        unit = 1000 if start_ms == START_MS else 1
        found = [
            (int(row[4]), int(row[3]), float(row[1]), float(row[2]), int(row[5]) // unit, row[6] == "True")
            for row in rows
        ]
        assert rows_of(true) == found
        singles = await fetched(local, f"{base}/trades/BTCUSDT/BTCUSDT-trades-{day}.zip")
        ids = local.exchange.truth("binance", "BTCUSDT", start_ms, start_ms + 86_400_000)["trade_id"].tolist()
        assert ids == [int(row[0]) for row in singles]
        klines = await fetched(local, f"{base}/klines/BTCUSDT/1h/BTCUSDT-1h-{day}.zip")
        assert (24, 12) == (len(klines), len(klines[0]))
        assert start_ms * unit == int(klines[0][0])
        for missing in ("2025-01-02", "2025-13-01", "1999-01-01"):
            path = f"{base}/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{missing}.zip"
            assert 404 == (await local.answer("binance", path))[0]

    market = MarketSettings(seed=7, start_ms=start_ms, trades_per_second=0.2)
    run(test, hours=24.5 if start_ms == START_MS else 0.5, market=market)


# coinbase


def test_coinbase_trades_of_a_span_come_newest_first() -> None:
    async def test(local: Local) -> None:
        start, end = START_MS // 1000 + 100, START_MS // 1000 + 160
        raw = await local.raw("coinbase", f"{MARKET}/BTC-USD/ticker", limit=1000, start=start, end=end)
        true = rows_of(local.exchange.truth("coinbase", "BTC-USD", start * 1000, end * 1000))

        ids = [int(row["trade_id"]) for row in msgspec.json.decode(raw)["trades"]]
        assert sorted(ids, reverse=True) == ids
        assert true == rows_of(read_page("coinbase", "trades", "BTC-USD", 0, raw))
        assert true == trades_of(mapper_for("coinbase").map_message(raw), "BTC-USD")
        cut = await local.raw("coinbase", f"{MARKET}/BTC-USD/ticker", limit=10, start=start, end=end)
        assert true[-10:] == rows_of(read_page("coinbase", "trades", "BTC-USD", 0, cut))

    run(test)


def test_coinbase_answers_have_the_fields_of_captured_ones(shared_data: Path) -> None:
    def captured(name: str) -> Any:
        return json.loads((shared_data / f"rest/coinbase_advanced/http_{name}.json").read_text())

    async def test(local: Local) -> None:
        ticker = await local.get("coinbase", f"{MARKET}/BTC-USD/ticker", limit=3)
        assert list(captured("ticker")) == list(ticker)
        assert list(captured("ticker")["trades"][0]) == list(ticker["trades"][0])
        span = {"start": START_MS // 1000, "end": START_MS // 1000 + 600, "granularity": "ONE_MINUTE"}
        candles = await local.get("coinbase", f"{MARKET}/BTC-USD/candles", **span)
        assert list(captured("candles")["candles"][0]) == list(candles["candles"][0])
        products = await local.get("coinbase", MARKET)
        assert list(captured("products")) == list(products)
        assert products["products"][0].keys() <= captured("product").keys()

    run(test)


def test_coinbase_candles_leave_quiet_minutes_out() -> None:
    async def test(local: Local) -> None:
        start, end = START_MS // 1000, START_MS // 1000 + 349 * 60
        span = {"start": start, "end": end, "granularity": "ONE_MINUTE"}
        rows = (await local.get("coinbase", f"{MARKET}/SOL-USD/candles", **span))["candles"]
        expected = bars_of(local.exchange.truth("coinbase", "SOL-USD"), 60)
        found = {
            int(row["start"]) * 1000: tuple(float(row[name]) for name in ("open", "high", "low", "close", "volume"))
            for row in rows
        }

        assert {start: values[:5] for start, values in expected.items()} == found
        assert len(found) < 60
        starts = [int(row["start"]) for row in rows]
        assert sorted(starts, reverse=True) == starts

    run(test)


def test_coinbase_knows_aliases_and_says_whose_they_are() -> None:
    async def test(local: Local) -> None:
        products = {one["product_id"]: one for one in (await local.get("coinbase", MARKET))["products"]}
        assert {"BTC-USD", "BTC-USDC", "ETH-USD", "ETH-USDC", "SOL-USD", "SOL-USDC"} == products.keys()
        assert ("BTC-USD", []) == (products["BTC-USDC"]["alias"], products["BTC-USDC"]["alias_to"])
        assert ("", ["BTC-USDC"]) == (products["BTC-USD"]["alias"], products["BTC-USD"]["alias_to"])
        alias = await local.get("coinbase", f"{MARKET}/BTC-USDC/ticker", limit=2)
        assert {"BTC-USD"} == {trade["product_id"] for trade in alias["trades"]}

    run(test)


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/NO-SUCH", {}, 404),
        ("/BTC-USD/ticker", {}, 400),
        ("/BTC-USD/ticker", {"limit": "many"}, 400),
        ("/BTC-USD/candles", {"start": 0, "end": 351 * 60, "granularity": "ONE_MINUTE"}, 400),
        ("/BTC-USD/candles", {"start": 0, "end": 60, "granularity": "A_MINUTE"}, 400),
        ("/BTC-USD/candles", {"granularity": "ONE_MINUTE"}, 400),
        ("/BTC-USD/book", {}, 404),
    ],
)
def test_coinbase_refuses_with_a_status(path: str, params: dict[str, Any], status: int) -> None:
    async def test(local: Local) -> None:
        assert status == (await local.answer("coinbase", MARKET + path, **params))[0]

    run(test)


def test_coinbase_takes_about_ten_requests_a_second() -> None:
    async def test(local: Local) -> None:
        statuses = [(await local.answer("coinbase", "/api/v3/brokerage/time"))[0] for _ in range(16)]
        assert [200] * 15 + [429] == statuses
        local.clock.sleep(0.11)
        assert 200 == (await local.answer("coinbase", "/api/v3/brokerage/time"))[0]

    run(test, limits=Limits())


# kraken


@pytest.mark.parametrize("count", [7, 1000])
def test_a_walk_by_cursor_meets_every_trade_once_also_where_pages_end_inside_an_order(count: int) -> None:
    async def test(local: Local) -> None:
        found: list[tuple[object, ...]] = []
        cursor, answers = "0", 0
        while len(found) < 2000:
            raw = await local.raw("kraken", "/0/public/Trades", pair="XBTUSD", since=cursor, count=count)
            page = rows_of(read_page("kraken", "trades", "BTC/USD", 0, raw))
            found += page
            answers += 1
            cursor = msgspec.json.decode(raw)["result"]["last"]
            if len(page) < count:
                break
        true = rows_of(local.exchange.truth("kraken", "BTC/USD"))

        assert true[: len(found)] == found
        assert len(found) >= 2000
        assert answers == -(-len(found) // count)
        (_, rows), _ = msgspec.json.decode(raw)["result"].items()
        assert [row[:6] for row in true[: len(found)]][-len(rows) :] == found[-len(rows) :]

    run(test)


def test_kraken_trades_are_laid_out_as_captured_ones(shared_data: Path) -> None:
    captured = json.loads((shared_data / "rest/kraken/Trades_XBTUSDT_20251110.json").read_text())

    async def test(local: Local) -> Any:
        return await local.get("kraken", "/0/public/Trades", pair="XBT/USD")

    ours = run(test)
    row, theirs = ours["result"]["XXBTZUSD"][0], captured["result"]["XBTUSDT"][0]

    assert list(captured) == list(ours)
    assert 1000 == len(ours["result"]["XXBTZUSD"])
    assert [type(value) for value in theirs] == [type(value) for value in row]
    for theirs_text, text in zip(theirs[:2], row[:2], strict=True):
        assert len(theirs_text.partition(".")[2]) == len(text.partition(".")[2])
    assert (str, 19) == (type(ours["result"]["last"]), len(ours["result"]["last"]))


def test_kraken_bars_are_flat_where_it_was_quiet_and_end_with_the_running_one(shared_data: Path) -> None:
    captured = json.loads((shared_data / "rest/kraken/OHLC_XXBTZUSD_20170811.json").read_text())["result"]

    async def test(local: Local) -> None:
        result = (await local.get("kraken", "/0/public/OHLC", pair="SOLUSD", interval=1))["result"]
        rows = result["SOLUSD"]
        expected = bars_of(local.exchange.truth("kraken", "SOL/USD"), 60)
        assert [type(value) for value in captured["XXBTZUSD"][0]] == [type(value) for value in rows[0]]
        flat = 0
        for start, *prices, vwap, volume, count in rows:
            if start * 1000 in expected:
                assert expected[start * 1000] == (*map(float, prices), float(volume), count)
                assert float(prices[2]) <= float(vwap) <= float(prices[1])
            else:
                flat += 1
                assert (1, "0.0", 0) == (len(set(prices)), vwap, count)
        assert flat > 0
        assert rows[-1][0] == LIVE_MS // 1000
        assert result["last"] == LIVE_MS // 1000 - 60
        since = {"since": result["last"] - 60}
        later = (await local.get("kraken", "/0/public/OHLC", pair="SOLUSD", **since))["result"]
        assert rows[-2:] == later["SOLUSD"]

    run(test)


def test_kraken_lists_pairs_by_all_their_names(shared_data: Path) -> None:
    captured = json.loads((shared_data / "rest/kraken/AssetPairs_sample.json").read_text())["result"]["XBTUSDT"]

    async def test(local: Local) -> None:
        found = (await local.get("kraken", "/0/public/AssetPairs"))["result"]
        assert {"XXBTZUSD": "XBT/USD", "XETHZUSD": "ETH/USD", "SOLUSD": "SOL/USD"} == {
            key: listing["wsname"] for key, listing in found.items()
        }
        assert found["SOLUSD"].keys() <= captured.keys()
        for name in ("XXBTZUSD", "XBTUSD", "XBT/USD", "BTC/USD", "BTCUSD"):
            one = (await local.get("kraken", "/0/public/AssetPairs", pair=name))["result"]
            assert ["XXBTZUSD"] == list(one)

    run(test)


@pytest.mark.parametrize(
    ("path", "params", "text"),
    [
        ("Trades", {"pair": "FOOBAR"}, "EQuery:Unknown asset pair"),
        ("Trades", {"pair": "XBTUSD", "since": "soon"}, "EGeneral:Invalid arguments"),
        ("Trades", {"pair": "XBTUSD", "count": 1001}, "EGeneral:Invalid arguments"),
        ("OHLC", {"pair": "XBTUSD", "interval": 7}, "EGeneral:Invalid arguments"),
        ("AssetPairs", {"pair": "XBTUSD,FOO"}, "EQuery:Unknown asset pair"),
        ("Trade", {}, "EGeneral:Unknown method"),
    ],
)
def test_kraken_refuses_inside_200(path: str, params: dict[str, Any], text: str) -> None:
    async def test(local: Local) -> None:
        status, _, body = await local.answer("kraken", f"/0/public/{path}", **params)

        assert (200, {"error": [text]}) == (status, msgspec.json.decode(body))

    run(test)


def test_kraken_takes_a_request_a_second() -> None:
    async def test(local: Local) -> None:
        told = [(await local.get("kraken", "/0/public/Time"))["error"] for _ in range(6)]
        assert [[]] * 5 + [["EAPI:Rate limit exceeded"]] == told
        local.clock.sleep(1.0)
        assert [] == (await local.get("kraken", "/0/public/Time"))["error"]

    run(test, limits=Limits())


# all


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
