"""What the exchange answers as Binance over REST, our pages room and mappers read back as exactly what happened."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.sources.simulated.exchange.asking import LIVE_MS, bars_of
from tests.unit.sources.simulated.exchange.local import PAIRS, START_MS, Local, rows_of, run
from tickcast.sources.pages.registry import read_page
from tickcast.sources.simulated.exchange.settings import Limits


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
