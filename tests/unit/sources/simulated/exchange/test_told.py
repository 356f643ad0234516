"""What the exchange tells over WebSocket, our mappers read back as exactly what happened."""

from __future__ import annotations

import gzip
import re
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from tests.unit.sources.simulated.exchange.asking import HOUR_MS
from tests.unit.sources.simulated.exchange.local import (
    PAIRS,
    START_MS,
    Local,
    events_of,
    quotes_of,
    row_of,
    rows_of,
    run,
    trades_of,
)
from tests.unit.sources.simulated.test_dialects import layout
from tickcast.sources.contract import Alive, Quote, Trade
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated import kernels as k

CHANNELS = {"binance": ("trade", "bookTicker"), "coinbase": ("market_trades", "ticker"), "kraken": ("trade", "ticker")}


@pytest.mark.parametrize("venue", sorted(PAIRS))
def test_every_trade_of_the_market_is_told_once_and_as_it_was(venue: str) -> None:
    async def test(local: Local) -> None:
        async with local.listen(venue, *CHANNELS[venue]) as peer:
            local.passes(150.25)
            raws = await peer.waiting()
        events = events_of(venue, raws)
        for pair in PAIRS[venue]:
            true = local.exchange.truth(venue, pair, START_MS + HOUR_MS)

            assert rows_of(true) == trades_of(events, pair)
            assert len(true["trade_id"]) > 100

    run(test)


@pytest.mark.parametrize("venue", sorted(PAIRS))
def test_every_quote_of_the_market_is_told_once_and_as_it_was(venue: str) -> None:
    async def test(local: Local) -> None:
        async with local.listen(venue, *CHANNELS[venue]) as peer:
            local.passes(20)
            events = events_of(venue, await peer.waiting())
        world = local.exchange.world
        assert world.newest is not None
        rows = world.newest.rows
        for at, pair in enumerate(PAIRS[venue]):
            mine = rows[(rows[:, k.PAIR] == at) & (rows[:, k.KIND] == k.QUOTE)]
            mine = mine[(mine[:, k.TIME_US] > (START_MS + HOUR_MS) * 1000) & (mine[:, k.TIME_US] <= world.now_us())]
            price, size = 10 ** world.pairs[at].price.decimals, 10 ** world.pairs[at].quantity.decimals
            expected = [(r[k.BID] / price, r[k.BID_SIZE] / size, r[k.ASK] / price, r[k.ASK_SIZE] / size) for r in mine]

            assert expected == [(q.bid, q.bid_size, q.ask, q.ask_size) for q in quotes_of(events, pair)]
            assert expected

    run(test)


def test_binance_aggregates_are_the_fills_of_one_order_at_one_price() -> None:
    async def test(local: Local) -> None:
        async with local.listen("binance", "aggTrade", "trade") as peer:
            local.passes(120)
            raws = await peer.waiting()
        aggregates = [raw for raw in raws if b"@aggTrade" in raw]
        events = events_of("binance", aggregates)
        singles = {
            trade.trade_id: trade
            for trade in events_of("binance", [raw for raw in raws if b"@trade" in raw])
            if isinstance(trade, Trade) and trade.pair == "BTCUSDT"
        }
        true = rows_of(local.exchange.truth("binance", "BTCUSDT", START_MS + HOUR_MS, aggregates=True))
        found = [trade for trade in events if isinstance(trade, Trade) and trade.pair == "BTCUSDT"]

        assert true == [row_of(trade) for trade in found]
        for trade in found:
            fills = [singles[number] for number in range(trade.first_id, trade.trade_id + 1)]
            assert {(trade.price, trade.timestamp_ms, trade.is_buyer_maker)} == {
                (fill.price, fill.timestamp_ms, fill.is_buyer_maker) for fill in fills
            }
            assert trade.quantity == pytest.approx(sum(fill.quantity for fill in fills))
        numbers = [msgspec.json.decode(raw)["data"]["a"] for raw in aggregates if b"btcusdt" in raw]
        assert list(range(numbers[0], numbers[0] + len(numbers))) == numbers
        assert sum(trade.first_id < trade.trade_id for trade in found) > 10
        assert all(one.trade_id + 1 == two.first_id for one, two in pairwise(found))

    run(test)


def test_aggregates_are_laid_out_as_captured_ones(shared_data: Path) -> None:
    text = (shared_data / "captures/binance_ws/cryptofeed_BINANCE.ws_20210417.txt").read_text()
    captured = {nameless(line.partition(": ")[2].encode()) for line in text.splitlines() if '@aggTrade","data"' in line}

    async def test(local: Local) -> set[bytes]:
        async with local.listen("binance", "aggTrade") as peer:
            local.passes(30)
            return {nameless(raw) for raw in await peer.waiting()}

    assert captured == run(test)


def nameless(raw: bytes) -> bytes:
    return layout(re.sub(rb'"s":"\w+"', b'"s":""', re.sub(rb'"stream":"\w+@', b'"stream":"@', raw)))


def test_binance_trades_and_quotes_are_laid_out_as_captured_ones(shared_data: Path) -> None:
    captured: set[bytes] = set()
    for path in sorted((shared_data / "captures/binance_ws").glob("hftbacktest_*.gz")):
        with gzip.open(path) as lines:
            told = [line.split(b" ", 1)[1].strip() for line in lines]
        captured |= {layout(raw) for raw in told if b'@trade"' in raw or b'@bookTicker"' in raw}

    async def test(local: Local) -> set[bytes]:
        async with local.listen("binance", "trade", "bookTicker", pairs=["BTCUSDT", "ETHUSDT"]) as peer:
            local.passes(30)
            return {layout(raw) for raw in await peer.waiting()}

    assert captured == run(test)


def test_a_kraken_session_is_laid_out_as_a_captured_one(shared_data: Path) -> None:
    lines = (shared_data / "captures/kraken_ws_v2/flashbook_live-btc-eth_20260707_part1.ndjson").read_bytes()
    captured = {layout(raw) for raw in lines.splitlines() if b'"book"' not in raw and raw.count(b'"symbol"') <= 2}

    async def test(local: Local) -> set[bytes]:
        async with local.dial("kraken") as peer:
            params = {"channel": "trade", "symbol": ["BTC/USD", "ETH/USD"], "snapshot": False}
            await peer.send({"method": "subscribe", "params": params})
            found = [await peer.text() for _ in range(3)]
            local.passes(60)
            return {layout(raw) for raw in found + await peer.waiting()}

    ours = run(test)

    assert captured <= {raw.replace(b'qty":D', b'qty":EIGHT') for raw in ours}


def test_binance_streams_in_the_url_are_told_without_an_answer() -> None:
    async def test(local: Local) -> None:
        async with local.dial("binance", "/stream?streams=btcusdt@aggTrade/ethusdt@bookTicker") as peer:
            local.passes(10)
            told = {msgspec.json.decode(raw).get("stream") for raw in await peer.waiting()}

        assert {"btcusdt@aggTrade", "ethusdt@bookTicker"} == told

    run(test)


def test_binance_tells_bare_messages_where_they_are_asked_for_bare() -> None:
    async def test(local: Local) -> None:
        async with local.dial("binance", "/ws/btcusdt@trade") as peer:
            local.passes(10)
            raws = await peer.waiting()
        true = local.exchange.truth("binance", "BTCUSDT", START_MS + HOUR_MS)

        assert {b'{"e":"trade"'} == {raw[:12] for raw in raws}
        assert rows_of(true) == trades_of(events_of("binance", raws), "BTCUSDT")

    run(test)


def test_binance_answers_what_nobody_has_like_anything_else_and_then_stays_silent() -> None:
    async def test(local: Local) -> None:
        async with local.dial("binance") as peer:
            await peer.send({"method": "SUBSCRIBE", "params": ["nosuch@trade", "btcusdt@trade"], "id": "x1"})
            assert {"result": None, "id": "x1"} == await peer.json()
            await peer.send({"method": "LIST_SUBSCRIPTIONS", "id": 2})
            assert {"result": ["nosuch@trade", "btcusdt@trade"], "id": 2} == await peer.json()
            await peer.send({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 3})
            assert {"result": None, "id": 3} == await peer.json()
            local.passes(30)
            assert [] == await peer.waiting()
            await peer.send({"method": "SHOUT", "id": 4})
            assert (await peer.json())["code"] == 2
            await peer.send(b"no json")
            assert (await peer.json())["code"] == 3

    run(test)


def test_coinbase_sends_a_snapshot_first_and_numbers_everything() -> None:
    async def test(local: Local) -> None:
        async with local.dial("coinbase") as peer:
            await peer.send({"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "market_trades"})
            await peer.send({"type": "subscribe", "channel": "heartbeats"})
            first = await peer.json()
            told = [first] + [await peer.json() for _ in range(2)]
            for _ in range(5):
                local.passes(1.0)
                told += [msgspec.json.decode(raw) for raw in await peer.waiting()]
        trades = first["events"][0]["trades"]
        true = local.exchange.truth("coinbase", "BTC-USD", 0, START_MS + HOUR_MS)

        assert "snapshot" == first["events"][0]["type"]
        assert [str(number) for number in true["trade_id"].tolist()[:-101:-1]] == [one["trade_id"] for one in trades]
        assert list(range(len(told))) == [one["sequence_num"] for one in told]
        subscribed = {"market_trades": ["BTC-USD"], "heartbeats": []}
        assert [{"subscriptions": subscribed}] == told[2]["events"]
        beats = [one["events"][0] for one in told if one["channel"] == "heartbeats"]
        assert [1, 2, 3, 4, 5] == [beat["heartbeat_counter"] for beat in beats]

    run(test)


def test_coinbase_tells_a_quarter_second_of_a_pair_at_once_newest_first() -> None:
    """
    0 ms      250 ms    500 ms
    |--1--2-----|----3----|
               [2 1]     [3]
    """

    async def test(local: Local) -> None:
        async with local.listen("coinbase", "market_trades") as peer:
            local.passes(120)
            several = 0
            for raw in await peer.waiting():
                message = msgspec.json.decode(raw)
                trades = message["events"][0]["trades"]
                ids = [int(trade["trade_id"]) for trade in trades]
                several += len(ids) > 1
                assert sorted(ids, reverse=True) == ids
                assert 1 == len({trade["product_id"] for trade in trades})
                assert message["timestamp"][19:] in (".000000Z", ".250000Z", ".500000Z", ".750000Z")
        assert several > 10

    run(test)


def test_who_comes_is_not_told_what_was_before() -> None:
    async def test(local: Local) -> None:
        local.clock.sleep(10)  # and nobody has been told yet
        async with local.dial("binance", "/stream?streams=btcusdt@trade") as peer:
            local.passes(10)
            found = trades_of(events_of("binance", await peer.waiting()), "BTCUSDT")
        later = local.exchange.truth("binance", "BTCUSDT", START_MS + HOUR_MS + 10_000)

        assert rows_of(later) == found

    run(test)


def test_a_coinbase_alias_tells_the_true_product() -> None:
    async def test(local: Local) -> None:
        async with local.listen("coinbase", "market_trades", "ticker", pairs=["BTC-USDC"]) as peer:
            local.passes(10)
            events = events_of("coinbase", await peer.waiting())

        assert {"BTC-USD"} == {event.pair for event in events}

    run(test)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({"type": "subscribe", "product_ids": ["BTC-USDX"], "channel": "ticker"}, "BTC-USDX is not a valid product"),
        ({"type": "subscribe", "product_ids": [], "channel": "ticker"}, "no product is not a valid product"),
        ({"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "tickers"}, "channel is not valid"),
        ({"type": "subscribe", "product_ids": ["BTC-USD"], "channel": ["ticker"]}, "channel is not valid"),
        ({"hello": 1}, "failure to parse the message"),
    ],
)
def test_coinbase_refuses_in_words(said: object, answer: str) -> None:
    async def test(local: Local) -> None:
        async with local.dial("coinbase") as peer:
            await peer.send(said)
            told = await peer.json()

        assert "error" == told["type"]
        assert answer in (told["message"], told.get("reason"))

    run(test)


def test_kraken_answers_each_symbol_for_itself_and_echoes_the_request() -> None:
    async def test(local: Local) -> None:
        async with local.dial("kraken") as peer:
            assert "online" == (await peer.json())["data"][0]["system"]
            params = {"channel": "trade", "symbol": ["BTC/USD", "BTC/USDX"], "snapshot": True}
            await peer.send({"method": "subscribe", "params": params, "req_id": 7})
            good, snapshot, bad = [await peer.json() for _ in range(3)]
            await peer.send({"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"]}})
            again = await peer.json()
            await peer.send({"method": "unsubscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"]}})
            gone = await peer.json()
            local.passes(30)
            silent = await peer.waiting()

        assert (True, 7, "BTC/USD") == (good["success"], good["req_id"], good["result"]["symbol"])
        true = local.exchange.truth("kraken", "BTC/USD", 0, START_MS + HOUR_MS)
        assert true["trade_id"].tolist()[-50:] == [row["trade_id"] for row in snapshot["data"]]
        assert (False, "Currency pair not supported BTC/USDX", 7) == (bad["success"], bad["error"], bad["req_id"])
        assert "Already subscribed" == again["error"]
        assert gone["success"]
        assert [] == silent

    run(test)


def test_a_kraken_ticker_begins_with_the_newest_best_prices() -> None:
    async def test(local: Local) -> None:
        async with local.dial("kraken") as peer:
            params = {"channel": "ticker", "symbol": ["ETH/USD"], "event_trigger": "bbo"}
            await peer.send({"method": "subscribe", "params": params})
            told = [await peer.text() for _ in range(3)]
        row = local.exchange.world.newest_row(1, local.exchange.world.now_us())

        assert row is not None
        (quote,) = mapper_for("kraken").map_message(told[2])
        assert isinstance(quote, Quote)
        assert row[k.BID] == round(quote.bid * 100)

    run(test)


def test_a_kraken_ping_is_answered_with_the_venues_time() -> None:
    async def test(local: Local) -> None:
        async with local.dial("kraken") as peer:
            await peer.text()
            local.clock.sleep(12.5)
            await peer.send({"method": "ping", "req_id": 3})
            pong = await peer.text()

        assert [Alive("", START_MS + HOUR_MS + 12_500)] == list(mapper_for("kraken").map_message(pong))
        assert 3 == msgspec.json.decode(pong)["req_id"]

    run(test)


def test_kraken_beats_once_a_second_while_something_is_subscribed() -> None:
    async def test(local: Local) -> None:
        async with local.listen("kraken", "trade", pairs=["BTC/USD"]) as peer:
            for _ in range(10):
                local.passes(0.5)
            beats = [raw for raw in await peer.waiting() if raw == b'{"channel":"heartbeat"}']

        assert 5 == len(beats)

    run(test)
