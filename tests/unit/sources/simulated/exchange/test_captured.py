"""A capture is told anew: the trades and quotes that were recorded, in every venue's words and over REST."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.unit.sources.simulated.exchange.local import (
    START_MS,
    Local,
    events_of,
    quotes_of,
    rows_of,
    run,
    subscribe,
    trades_of,
)
from tickcast.errors import DataError
from tickcast.sources.contract import Quote, Trade
from tickcast.sources.pages.registry import read_page
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated.exchange.captured import decimals

NAMES = {"binance": "BTCUSDT", "coinbase": "BTC-USD", "kraken": "BTC/USD"}
CHANNELS = {"binance": ("trade", "bookTicker"), "coinbase": ("market_trades", "ticker"), "kraken": ("trade", "ticker")}
SPAN_S = 420


@pytest.fixture(scope="module")
def capture(shared_data: Path) -> Path:
    return shared_data / "captures/binance_ws/hftbacktest_btcusdt_spot_20240808.gz"


@pytest.fixture(scope="module")
def recorded(capture: Path) -> list[Trade | Quote]:
    mapper = mapper_for("binance")
    with gzip.open(capture) as lines:
        events = [event for line in lines for event in mapper.map_message(line.split(b" ", 1)[1].strip())]
    return [event for event in events if isinstance(event, Trade | Quote)]


def whole(trade: Trade, shift_ms: int) -> tuple[object, ...]:
    times = trade.timestamp_ms + shift_ms
    return (trade.trade_id, trade.first_id, trade.price, trade.quantity, times, trade.is_buyer_maker)


@pytest.mark.parametrize("venue", sorted(NAMES))
def test_every_recorded_trade_and_quote_is_told_in_every_venues_words(
    venue: str, capture: Path, recorded: list[Trade | Quote]
) -> None:
    async def test(local: Local) -> None:
        async with local.dial(venue) as peer:
            await subscribe(peer, venue, CHANNELS[venue], (NAMES[venue],))
            local.passes(SPAN_S)
            events = events_of(venue, await peer.waiting())
        trades = [event for event in recorded if isinstance(event, Trade)]
        quotes = [event for event in recorded if isinstance(event, Quote)]
        found = trades_of(events, NAMES[venue])
        began_ms = trades[0].timestamp_ms
        shift_ms = int(found[0][4]) - began_ms

        assert [whole(trade, shift_ms) for trade in trades] == found
        expected = [(quote.bid, quote.bid_size, quote.ask, quote.ask_size) for quote in quotes]
        told = [(quote.bid, quote.bid_size, quote.ask, quote.ask_size) for quote in quotes_of(events, NAMES[venue])]
        assert expected == told
        assert START_MS + 2000 <= found[0][4] <= START_MS + 3000
        assert rows_of(local.exchange.truth(venue, NAMES[venue])) == found
        assert local.exchange.world.ended

    run(test, hours=0.0, capture=(str(capture),), capture_history_s=-2.0)


def test_what_was_recorded_is_asked_for_later(capture: Path, recorded: list[Trade | Quote]) -> None:
    async def test(local: Local) -> None:
        trades = [event for event in recorded if isinstance(event, Trade)]
        local.clock.sleep(SPAN_S - 60)
        raw = await local.raw("binance", "/api/v3/historicalTrades", symbol="BTCUSDT", fromId=0, limit=1000)
        assert [trade.trade_id for trade in trades[:1000]] == [row["id"] for row in msgspec.json.decode(raw)]
        raw = await local.raw("kraken", "/0/public/Trades", pair="XBTUSD", since=0)
        page = rows_of(read_page("kraken", "trades", "BTC/USD", 0, raw))
        assert [(t.trade_id, t.price, t.quantity, t.is_buyer_maker) for t in trades[:1000]] == [
            (ident, price, size, maker) for ident, _, price, size, _, maker in page
        ]

    run(test, hours=0.0, capture=(str(capture),), capture_history_s=60.0)


def test_a_part_of_it_can_be_history(capture: Path) -> None:
    async def test(local: Local) -> None:
        before = rows_of(local.exchange.truth("binance", "BTCUSDT"))
        assert {True} == {START_MS - 100_000 <= row[4] <= START_MS for row in before}
        assert len(before) > 100

    run(test, hours=0.0, capture=(str(capture),), capture_history_s=100.0)


def test_recorded_aggregates_keep_the_ids_that_they_cover(shared_data: Path) -> None:
    path = shared_data / "captures/binance_ws/cryptofeed_BINANCE.ws_20210417.txt"
    mapper = mapper_for("binance")
    recorded: dict[int, Trade] = {}
    for line in path.read_text().splitlines():
        if '"VETETH"' in line and "aggTrade" in line:
            (trade,) = mapper.map_message(line.partition(": ")[2].encode())
            assert isinstance(trade, Trade)
            recorded[trade.trade_id] = trade

    async def test(local: Local) -> Any:
        local.passes(60)
        raw = await local.raw("binance", "/api/v3/aggTrades", symbol="VETETH", limit=1000)
        return read_page("binance", "trades", "VETETH", 0, raw)

    page = run(test, hours=0.0, capture=(str(path),), venues=("binance",))

    assert recorded
    assert sorted(recorded) == page["trade_id"].tolist()
    assert [recorded[ident].first_id for ident in sorted(recorded)] == page["first_id"].tolist()
    assert [recorded[ident].price for ident in sorted(recorded)] == page["price"].tolist()


def test_trades_that_were_recorded_out_of_order_or_twice_are_told_in_order_and_once(tmp_path: Path) -> None:
    def line(second: int, ident: int) -> str:
        time = f"2025-01-01T00:00:{second:02d}.000000Z"
        row = f'{{"symbol":"BTC/USD","side":"buy","price":7.5,"qty":1.25,"trade_id":{ident},"timestamp":"{time}"}}'
        return f'{{"r":{START_MS + second * 1000}000000,"x":"kraken","m":{{"channel":"trade","data":[{row}]}}}}'

    path = tmp_path / "mixed.ndjson"
    path.write_text("".join(line(*told) + "\n" for told in ((1, 11), (3, 13), (2, 12), (3, 13), (2, 14))))

    async def test(local: Local) -> None:
        local.passes(60)
        true = local.exchange.truth("kraken", "BTC/USD")
        assert [11, 12, 13, 14] == true["trade_id"].tolist()
        assert [START_MS + second * 1000 for second in (1, 2, 3, 3)] == true["timestamp_ms"].tolist()

    run(test, hours=0.0, capture=(str(path),), capture_history_s=-1.0)


def test_a_recording_without_trades_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "quiet.ndjson"
    path.write_bytes(b'{"r":1723161254087896568,"x":"kraken","m":{"channel":"heartbeat"}}\n')

    async def test(local: Local) -> None:
        raise AssertionError

    with pytest.raises(DataError, match="holds no trades"):
        run(test, hours=0.0, capture=(str(path),))


def test_decimals_are_the_fewest_that_write_the_numbers_exactly() -> None:
    for places in range(9):
        values = [round(0.1 + number * 10**-places, places) for number in range(1, 50)]
        assert places == decimals(values) or (places < 1 and decimals(values) == 0)
    assert all(one <= two for one, two in pairwise([decimals([0.5]), decimals([0.25]), decimals([0.125])]))
    assert 8 == decimals([float(np.pi)])
