"""What the exchange answers as Kraken over REST, our pages room and mappers read back as exactly what happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.sources.simulated.exchange.asking import LIVE_MS, bars_of
from tests.unit.sources.simulated.exchange.local import Local, rows_of, run
from tickcast.sources.pages.registry import read_page
from tickcast.sources.simulated.exchange.settings import Limits


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
