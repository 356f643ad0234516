"""What the exchange answers as Coinbase over REST, our pages room and mappers read back as exactly what happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.sources.simulated.exchange.asking import MARKET, bars_of
from tests.unit.sources.simulated.exchange.local import START_MS, Local, rows_of, run, trades_of
from tickcast.sources.pages.registry import read_page
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated.exchange.settings import Limits


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
