"""Messages look like what was captured from the venues, and our mappers read the market's numbers back from them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tickcast.errors import ConfigError
from tickcast.sources.contract import Alive, Event, Quote, Trade
from tickcast.sources.registry import mapper_for, sniff
from tickcast.sources.simulated import kernels as k
from tickcast.sources.simulated.dialects import DIALECTS, dialect
from tickcast.sources.simulated.market import Market, MarketBlock
from tickcast.sources.simulated.settings import MarketSettings, pairs_named

PAIRS = {
    "binance": ("BTCUSDT", "ETHUSDT", "DOGEUSDT"),
    "coinbase": ("BTC-USD", "ETH-USD", "DOGE-USD"),
    "kraken": ("BTC/USD", "ETH/USD", "DOGE/USD"),
}


def settings_of(exchange: str) -> MarketSettings:
    return MarketSettings(seed=4, pairs=pairs_named(PAIRS[exchange]))


def layout(raw: bytes) -> bytes:
    """A message with its numbers blotted out: 8 decimals, other decimals, digits, words of a side."""
    for pattern, blot in (
        (rb"\d+\.\d{8}(?!\d)", b"EIGHT"),
        (rb"\d+\.\d+", b"D"),
        (rb"\d+", b"N"),
        (rb"(?i)btc|eth", b"COIN"),
        (rb"true|false", b"BOOL"),
        (rb'"(buy|sell)"', b'"SIDE"'),
        (rb'"(BUY|SELL)"', b'"SIDE"'),
        (rb'"(limit|market)"', b'"TYPE"'),
    ):
        raw = re.sub(pattern, blot, raw)
    return raw


def layouts(exchange: str, minutes: int = 3) -> set[bytes]:
    market = Market(settings_of(exchange))
    speaks = dialect(exchange, market.pairs)
    return {layout(raw) for _ in range(minutes) for raw in speaks.wire(market.block()).raws if b"DOGE" not in raw}


def test_binance_messages_are_laid_out_as_captured_ones(shared_data: Path) -> None:
    captured: set[bytes] = set()
    for path in sorted((shared_data / "captures/binance_ws").glob("hftbacktest_*.gz")):
        with gzip.open(path) as lines:
            told = [line.split(b" ", 1)[1].strip() for line in lines]
        captured |= {layout(raw) for raw in told if b'@trade"' in raw or b'@bookTicker"' in raw}
    ours = {raw for raw in layouts("binance") if b"doge" not in raw}

    assert captured == ours


def test_kraken_trades_are_laid_out_as_captured_ones(shared_data: Path) -> None:
    path = shared_data / "captures/kraken_ws_v2/flashbook_live-btc-eth_20260707_part1.ndjson"
    lines = path.read_bytes().splitlines()
    captured = {layout(raw) for raw in lines if raw.startswith((b'{"channel":"trade"', b'{"channel":"heartbeat"'))}
    ours = {raw for raw in layouts("kraken", 20) if b'"ticker"' not in raw}

    assert {raw for raw in captured if raw.count(b"symbol") <= 3} <= ours


def test_coinbase_messages_are_laid_out_as_captured_ones(shared_data: Path) -> None:
    captured: set[bytes] = set()
    for path in sorted((shared_data / "unlicensed/captures/coinbase_advanced_ws").glob("*.jsonl")):
        captured |= {layout(raw) for raw in path.read_bytes().splitlines()}
    chosen = {
        raw.split(b" m=")[0].replace(b"EIGHT", b"D")
        for raw in captured
        if re.search(rb'"channel":"(market_trades|heartbeats)"', raw)
    }
    ours = {raw.split(b'","heartbeat_counter')[0].replace(b"EIGHT", b"D") for raw in layouts("coinbase")}

    assert len(chosen) == 2
    assert chosen <= ours
    ticker = next(raw for raw in captured if b'"channel":"ticker"' in raw)
    (our_ticker,) = {_keys(raw) for raw in layouts("coinbase") if b'"channel":"ticker"' in raw}
    assert _keys(ticker) == our_ticker


def _keys(raw: bytes) -> tuple[bytes, ...]:
    return tuple(re.findall(rb'"(\w+)":', raw))


# numbers


@pytest.mark.parametrize("exchange", sorted(DIALECTS))
def test_a_mapper_reads_back_exactly_the_market_that_was_told(exchange: str) -> None:
    market, mapper = Market(settings_of(exchange)), mapper_for(exchange)
    speaks = dialect(exchange, market.pairs)
    for _ in range(10):
        block = market.block()
        events = [event for raw in speaks.wire(block).raws for event in mapper.map_message(raw)]
        for pair, name in enumerate(PAIRS[exchange]):
            trades = [event for event in events if isinstance(event, Trade) and event.pair == name]
            quotes = [event for event in events if isinstance(event, Quote) and event.pair == name]

            assert expected_trades(block, pair) == [tuple(trade)[1:] for trade in map(msgspec.structs.astuple, trades)]
            assert expected_quotes(block, pair) == [(q.bid, q.bid_size, q.ask, q.ask_size) for q in quotes]


def expected_trades(block: MarketBlock, pair: int) -> list[tuple[object, ...]]:
    about, rows = block.pairs[pair], block.of(pair, k.TRADE).tolist()
    price, size = 10**about.price.decimals, 10**about.quantity.decimals
    return [
        (
            row[k.ID],
            row[k.ID],
            row[k.PRICE] / price,
            row[k.QUANTITY] / size,
            row[k.TIME_US] // 1000,
            bool(row[k.MAKER]),
        )
        for row in rows
    ]


def expected_quotes(block: MarketBlock, pair: int) -> list[tuple[float, ...]]:
    about, rows = block.pairs[pair], block.of(pair, k.QUOTE).tolist()
    price, size = 10**about.price.decimals, 10**about.quantity.decimals
    return [(r[k.BID] / price, r[k.BID_SIZE] / size, r[k.ASK] / price, r[k.ASK_SIZE] / size) for r in rows]


@pytest.mark.parametrize("exchange", sorted(DIALECTS))
def test_messages_are_in_order_of_time_within_their_minute_and_known_for_their_venues(exchange: str) -> None:
    market = Market(settings_of(exchange))
    speaks = dialect(exchange, market.pairs)
    for _ in range(5):
        block = market.block()
        wire = speaks.wire(block)

        assert len(wire.raws) == len(wire.time_us)
        assert (np.diff(wire.time_us) >= 0).all()
        assert block.start_ms * 1000 <= wire.time_us[0]
        assert wire.time_us[-1] <= block.end_ms * 1000
        assert {sniff(raw) for raw in wire.raws} == {exchange}


@pytest.mark.parametrize("exchange", ["coinbase", "kraken"])
def test_a_heartbeat_comes_every_second(exchange: str) -> None:
    market = Market(settings_of(exchange))
    wire = dialect(exchange, market.pairs).wire(market.block())
    beats = [
        time_us for time_us, raw in zip(wire.time_us.tolist(), wire.raws, strict=True) if b'"heartbeat' in raw[:25]
    ]

    assert [(market.settings.start_ms + 1000 * second) * 1000 for second in range(1, 61)] == beats


def test_coinbase_heartbeats_tell_their_own_time() -> None:
    market = Market(settings_of("coinbase"))
    raws = dialect("coinbase", market.pairs).wire(market.block()).raws
    mapper = mapper_for("coinbase")
    told: list[Event] = [event for raw in raws for event in mapper.map_message(raw) if isinstance(event, Alive)]

    assert [Alive("", market.settings.start_ms + 1000 * second) for second in range(1, 61)] == told


def test_kraken_tells_all_fills_of_an_order_at_once() -> None:
    market = Market(settings_of("kraken"))
    block = market.block()
    raws = [raw for raw in dialect("kraken", market.pairs).wire(block).raws if raw.startswith(b'{"channel":"trade"')]
    trades = block.rows[block.rows[:, k.KIND] == k.TRADE]
    orders = np.unique(trades[:, [k.TIME_US, k.PAIR]], axis=0)

    assert len(orders) == len(raws) < len(trades)


def test_coinbase_tells_a_quarter_second_of_a_pair_at_once_newest_first() -> None:
    """
    0 ms      250 ms    500 ms
    |--1--2-----|----3----|
               [2 1]     [3]
    """
    market = Market(settings_of("coinbase"))
    speaks = dialect("coinbase", market.pairs)
    wire = speaks.wire(market.block())
    several = 0
    for time_us, raw in zip(wire.time_us.tolist(), wire.raws, strict=True):
        if raw.startswith(b'{"channel":"market_trades"'):
            trades = msgspec.json.decode(raw)["events"][0]["trades"]
            ids = [int(trade["trade_id"]) for trade in trades]
            several += len(ids) > 1

            assert time_us % 250_000 == 0
            assert sorted(ids, reverse=True) == ids
            assert len({trade["product_id"] for trade in trades}) == 1
    assert several > 10


def test_coinbase_numbers_all_messages_of_a_connection_without_a_hole() -> None:
    market = Market(settings_of("coinbase"))
    speaks = dialect("coinbase", market.pairs)
    numbers = [msgspec.json.decode(raw)["sequence_num"] for _ in range(3) for raw in speaks.wire(market.block()).raws]

    assert list(range(len(numbers))) == numbers


def test_a_connection_that_skipped_a_block_goes_on_as_if_it_had_told_it() -> None:
    market = Market(settings_of("coinbase"))
    telling, skipping = dialect("coinbase", market.pairs), dialect("coinbase", market.pairs)
    first, second = market.block(), market.block()
    telling.wire(first)
    skipping.skip(first)

    assert telling.wire(second).raws == skipping.wire(second).raws


@pytest.mark.parametrize("exchange", sorted(DIALECTS))
def test_a_minute_without_any_trade_is_told(exchange: str) -> None:
    market = Market(settings_of(exchange))
    block = market.block()
    silent = block._replace(rows=block.rows[:0])
    speaks = dialect(exchange, market.pairs)
    before = speaks.wire(silent)
    speaks.skip(silent)

    assert len(before.raws) == (0 if exchange == "binance" else 60)


def test_an_exchange_without_a_dialect_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose one of binance, coinbase, kraken"):
        dialect("mtgox", ())
