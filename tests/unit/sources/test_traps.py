"""The traps that silently corrupt data, one test each, on captured traffic wherever some shows the trap."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.sources.captured import (
    BTC,
    COINBASE_2021,
    COINBASE_2026,
    COINBASE_ADVANCED,
    ETH,
    KRAKEN_PAGE,
    KRAKEN_V1,
    KRAKEN_V2,
    messages,
    raws,
)
from tickcast.sources import binance, coinbase, kraken
from tickcast.sources.blocks import encode_line
from tickcast.sources.contract import TRADE, Block, Trade
from tickcast.sources.mapping import map_block
from tickcast.sources.registry import mapper_for

RECORDED = {
    BTC: "binance",
    ETH: "binance",
    COINBASE_2021: "coinbase",
    COINBASE_2026: "coinbase",
    KRAKEN_PAGE: "kraken",
    KRAKEN_V2: "kraken",
    KRAKEN_V1.format("trade"): "kraken",
}


def trades(folder: Path, name: str) -> list[Trade]:
    mapper = mapper_for(RECORDED.get(name, "coinbase"))
    return [event for raw in raws(folder / name) for event in mapper.map_message(raw) if isinstance(event, Trade)]


@pytest.mark.parametrize("name", [BTC, ETH, COINBASE_2026, KRAKEN_PAGE, KRAKEN_V2])
def test_the_side_is_right_because_a_sweep_gets_worse_for_its_taker(shared_data: Path, name: str) -> None:
    """
    A taker who empties several prices at one moment pays more and more (buying) or gets less and less (selling):

    101 --- taker buys   ^          100 --- taker sells  |
    100 ---              |           99 ---              v
    """
    last: dict[str, Trade] = {}
    right = wrong = 0
    for trade in trades(shared_data, name):
        before = last.get(trade.pair)
        last[trade.pair] = trade
        if before and (before.timestamp_ms, before.is_buyer_maker) == (trade.timestamp_ms, trade.is_buyer_maker):
            right += trade.price != before.price and (trade.price < before.price) == trade.is_buyer_maker
            wrong += trade.price != before.price and (trade.price < before.price) != trade.is_buyer_maker

    assert right > 100 * wrong  # two takers can share a millisecond


def test_the_side_of_a_coinbase_match_is_the_opposite_of_its_tickers(shared_data: Path) -> None:
    """`match.side` is the maker's, `ticker.side` the taker's: the capture has both for the same trades."""
    sides: dict[tuple[str, int], dict[str, Any]] = {}
    for raw in raws(shared_data / COINBASE_2021):
        found = msgspec.json.decode(raw)
        if found["type"] in ("match", "ticker"):
            sides.setdefault((found["product_id"], found["trade_id"]), {})[found["type"]] = found["side"]
    both = [side for side in sides.values() if len(side) == 2]

    assert len(both) >= 5
    assert all(coinbase.is_buyer_maker(side["match"]) == (side["ticker"] == "sell") for side in both)


def test_each_venues_meaning_of_side_stands_in_one_place() -> None:
    assert (True, False) == (coinbase.is_buyer_maker("buy"), coinbase.is_buyer_maker("sell"))
    assert (False, True) == (kraken.is_buyer_maker("buy"), kraken.is_buyer_maker("sell"))
    assert (False, True) == (kraken.is_buyer_maker("b"), kraken.is_buyer_maker("s"))


def test_microseconds_of_binance_are_told_from_milliseconds() -> None:
    raw = b'{"e":"trade","s":"BTCUSDT","t":1,"p":"1.0","q":"1.0","T":%d,"m":true}'
    mapper = binance.Binance()

    assert [1735689600000] == [event.timestamp_ms for event in mapper.map_message(raw % 1735689600000)]
    assert [1735689600000] == [event.timestamp_ms for event in mapper.map_message(raw % 1735689600000999)]


def test_coinbase_times_of_any_number_of_decimals_read_right(shared_data: Path) -> None:
    """`.93721`, `.167686736` and `.056` all stand in the captures; five decimals are no microseconds."""
    raw = (
        b'{"type":"match","trade_id":1,"side":"sell","size":"1","price":"1","product_id":"X-Y",'
        b'"time":"2026-09-30T02:39:55.93721Z"}'
    )
    mapper = coinbase.Coinbase()

    assert [1790735995937] == [event.timestamp_ms for event in mapper.map_message(raw)]
    assert [1790735996164] == [trade.timestamp_ms for trade in trades(shared_data, COINBASE_ADVANCED)]


def test_trades_ahead_of_the_receiving_clock_are_kept(shared_data: Path) -> None:
    """The recorder's clock ran 1.27 s behind on every line: a filter on "the future" would have dropped all of it."""
    block = b"".join(encode_line(recv_ns, "binance", raw) for recv_ns, raw in messages(shared_data / BTC))
    rows = map_block(mapper_for("binance"), Block("binance", block))
    ahead_ms = (rows.columns["timestamp_ms"] - rows.columns["recv_ms"])[rows.columns["kind"] == TRADE]

    assert 9757 == len(ahead_ms)
    assert ahead_ms.min() > 1000


def test_trades_of_one_time_are_told_apart_and_ordered_by_their_ids(shared_data: Path) -> None:
    found = trades(shared_data, KRAKEN_PAGE)
    alike = sum(a.timestamp_ms == b.timestamp_ms for a, b in pairwise(found))

    assert alike >= 414
    assert sorted(trade.trade_id for trade in found) == [trade.trade_id for trade in found]
    assert len(found) == len({trade.trade_id for trade in found})


def test_a_void_aggregate_is_dropped_without_a_reject() -> None:
    raw = b'{"e":"aggTrade","s":"BTCUSDT","a":5,"p":"%b","q":"%b","f":-1,"l":-1,"T":1723161255342,"m":true}'

    assert 0 == len(binance.Binance().map_message(raw % (b"0", b"0")))
    assert 0 == len(binance.Binance().map_message(raw % (b"0.00000000", b"0.00000000")))


def test_aggregates_join_where_the_next_first_follows_the_last() -> None:
    raw = b'{"e":"aggTrade","s":"BTCUSDT","a":5,"p":"1","q":"1","f":%d,"l":%d,"T":1723161255342,"m":true}'
    mapper = binance.Binance()
    (one,), (two,) = mapper.map_message(raw % (7, 9)), mapper.map_message(raw % (10, 10))

    assert isinstance(one, Trade)
    assert isinstance(two, Trade)
    assert (7, 9) == (one.first_id, one.trade_id)
    assert two.first_id == one.trade_id + 1


@pytest.mark.parametrize("name", [COINBASE_2026, KRAKEN_V2, KRAKEN_PAGE])
def test_ids_are_consecutive_per_pair_where_the_row_says_so(shared_data: Path, name: str) -> None:
    last: dict[str, int] = {}
    for trade in trades(shared_data, name):
        assert trade.first_id == last.get(trade.pair, trade.trade_id - 1) + 1
        last[trade.pair] = trade.trade_id


def test_the_pair_is_named_as_the_message_names_it() -> None:
    """Who subscribes to BTC-USDC gets frames keyed BTC-USD: the mapper must not rename them back."""
    raw = (
        b'{"type":"match","trade_id":1,"side":"sell","size":"1","price":"1","product_id":"BTC-USD",'
        b'"time":"2026-09-30T02:39:55Z"}'
    )

    assert ["BTC-USD"] == [event.pair for event in coinbase.Coinbase().map_message(raw)]
