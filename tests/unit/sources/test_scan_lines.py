"""The fast road for Coinbase and Kraken: whatever the bytes are, it says what the slow road says, bit for bit."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.captured import (
    COINBASE_2021,
    COINBASE_2026,
    COINBASE_ADVANCED,
    COINBASE_TICKER,
    KRAKEN_V1,
    KRAKEN_V2,
    messages,
)
from tests.unit.sources.scanned import mutated, same, slow_lines
from tests.unit.sources.venues import spoken
from tickcast.sources import own
from tickcast.sources.blocks import encode_line
from tickcast.sources.contract import QUOTE, TRADE, Mapper
from tickcast.sources.registry import mapper_for
from tickcast.sources.scan_rows import UNSORTED_MAX
from tickcast.sources.simulated.feed import messages as simulated
from tickcast.sources.simulated.settings import MarketSettings, pairs_named

NOW_NS = 1_783_465_205_637_896_568
MAPPERS: dict[str, Mapper] = {name: mapper_for(name) for name in ("coinbase", "kraken")}
SAID = {
    "coinbase": [*spoken.COINBASE, spoken.SNAPSHOT.replace(b'"client_id":"",', b"")],
    "kraken": spoken.KRAKEN,
}
CAPTURES = [
    ("coinbase", COINBASE_2021),
    ("coinbase", COINBASE_2026),
    ("coinbase", COINBASE_ADVANCED),
    ("coinbase", COINBASE_TICKER),
    ("kraken", KRAKEN_V2),
    ("kraken", "captures/kraken_ws_v2/xchange_trade_20250909.json"),
    *(("kraken", KRAKEN_V1.format(what)) for what in ("trade", "ticker", "book1000")),
]
USUAL = [
    ("coinbase", spoken.MARKET_TRADES),
    ("coinbase", spoken.SNAPSHOT),
    ("coinbase", spoken.TICKER),
    ("coinbase", spoken.TICKERS),
    ("kraken", spoken.KRAKEN_TRADE),
    ("kraken", spoken.KRAKEN_TICKER),
    ("kraken", SAID["kraken"][1]),
    ("kraken", SAID["kraken"][3]),
]


def line(exchange: str, raw: bytes, recv_ns: int = NOW_NS) -> bytes:
    return encode_line(recv_ns, exchange, raw)


LINES = {
    name: [
        *(line(name, raw) for raw in said),
        line(name, own.alive(1_783_465_205_000)),
        line(name, own.alive(1_783_465_205_000, ["ETH-USD", "BTC/USD"], said[0])),
    ]
    for name, said in SAID.items()
}


@pytest.mark.parametrize(("exchange", "name"), CAPTURES)
def test_captures_read_the_same_on_both_roads(shared_data: Path, exchange: str, name: str) -> None:
    block = b"".join(line(exchange, raw, recv_ns) for recv_ns, raw in messages(shared_data / name))

    assert same(MAPPERS[exchange], block).messages


@pytest.mark.parametrize(("exchange", "raw"), USUAL)
def test_usual_messages_never_take_the_slow_road(monkeypatch: pytest.MonkeyPatch, exchange: str, raw: bytes) -> None:
    assert same(MAPPERS[exchange], line(exchange, raw)).rejects == []
    assert [] == slow_lines(monkeypatch, MAPPERS[exchange], line(exchange, raw))


@pytest.mark.parametrize(
    ("exchange", "name", "word"),
    [
        ("coinbase", COINBASE_ADVANCED, b"market_trades"),
        ("coinbase", COINBASE_TICKER, b'"ticker",'),
        ("kraken", KRAKEN_V2, b'"trade","type"'),
    ],
)
def test_captured_trades_and_prices_never_take_the_slow_road(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch, exchange: str, name: str, word: bytes
) -> None:
    found = [line(exchange, raw) for _, raw in messages(shared_data / name) if word in raw[:40]]

    assert found
    assert [] == slow_lines(monkeypatch, MAPPERS[exchange], b"".join(found))


@pytest.mark.parametrize("exchange", ["coinbase", "kraken"])
def test_a_simulated_hour_reads_the_same_and_fast(monkeypatch: pytest.MonkeyPatch, exchange: str) -> None:
    names = ("BTC-USD", "ETH-USD") if exchange == "coinbase" else ("BTC/USD", "ETH/USD")
    market = MarketSettings(pairs=pairs_named(names), trades_per_second=5.0)
    said = [one.raw for one in simulated(market, market.start_ms + 3_600_000, exchange)]
    rows = same(MAPPERS[exchange], b"".join(line(exchange, raw) for raw in said))
    slow = slow_lines(monkeypatch, MAPPERS[exchange], b"".join(line(exchange, raw) for raw in said))

    assert {TRADE, QUOTE} <= set(rows.columns["kind"].tolist())
    assert not [text for text in slow if b"heartbeat" not in text]


@pytest.mark.parametrize("exchange", ["coinbase", "kraken"])
@pytest.mark.parametrize("cut", [0, 1, 2, 3, 7])
def test_a_single_line_reads_the_same_with_or_without_its_end(exchange: str, cut: int) -> None:
    for text in LINES[exchange]:
        same(MAPPERS[exchange], text[: len(text) - cut])


# --- several trades in one message


def coinbase_trades(ids: list[int], pairs: str = "AB") -> bytes:
    """A batch of these ids, in turns of these pairs."""
    start, row, tail = spoken.MARKET_TRADES.partition(spoken.MARKET_TRADES[spoken.MARKET_TRADES.index(b'{"product') :])
    row, tail = row[: -len(b"]}]}")], b"]}]}"
    rows = [
        row.replace(b"846155152", b"%d" % number)
        .replace(b"ETH", pairs[nth % len(pairs)].encode())
        .replace(b"2666.64", b"%d.5" % (nth + 1))
        for nth, number in enumerate(ids)
    ]
    return start + b",".join(rows) + tail


def kraken_trades(ids: list[int], pairs: str = "AB") -> bytes:
    """The same by Kraken."""
    start = spoken.KRAKEN_TRADE[: spoken.KRAKEN_TRADE.index(b'{"symbol"')]
    row = spoken.KRAKEN_TRADE[len(start) : spoken.KRAKEN_TRADE.index(b"},") + 1]
    rows = [
        row.replace(b"64175816", b"%d" % number)
        .replace(b"ETH", pairs[nth % len(pairs)].encode())
        .replace(b"1774.13", b"%d.5" % (nth + 1))
        for nth, number in enumerate(ids)
    ]
    return start + b",".join(rows) + b"]}"


TOLD: list[tuple[str, Callable[[list[int], str], bytes]]] = [("coinbase", coinbase_trades), ("kraken", kraken_trades)]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=14), st.sampled_from(["A", "AB", "ABC"]))
@settings(deadline=None, max_examples=120)
def test_trades_of_one_message_stand_in_the_order_of_their_ids(ids: list[int], pairs: str) -> None:
    for exchange, told in TOLD:
        rows = same(MAPPERS[exchange], line(exchange, told(ids, pairs)) + line(exchange, told([3], "C")))
        assert [*sorted(ids), 3] == rows.columns["trade_id"].tolist()


@pytest.mark.parametrize(("exchange", "told"), TOLD)
def test_a_long_message_reads_the_same_in_whatever_order(
    monkeypatch: pytest.MonkeyPatch, exchange: str, told: Callable[[list[int], str], bytes]
) -> None:
    many = list(range(1000))
    shuffled = random.Random(1).sample(many, UNSORTED_MAX + 1)
    for ids in (many, many[::-1], shuffled[:-1], shuffled):
        text = line(exchange, told(ids, "AB"))
        assert sorted(ids) == same(MAPPERS[exchange], text).columns["trade_id"].tolist()
        assert (len(ids) == UNSORTED_MAX + 1) == bool(slow_lines(monkeypatch, MAPPERS[exchange], text))


@pytest.mark.parametrize(("exchange", "told"), TOLD)
def test_a_message_that_is_given_up_half_way_leaves_nothing_behind(
    exchange: str, told: Callable[[list[int], str], bytes]
) -> None:
    ghost = told([1, 2, 3], "GH").replace(b"3.5", b"-3.5")
    rows = same(
        MAPPERS[exchange], line(exchange, told([7], "A")) + line(exchange, ghost) + line(exchange, told([8], "A"))
    )

    assert [7, 8] == rows.columns["trade_id"].tolist()
    assert 1 == len(rows.pairs)


@pytest.mark.parametrize(("exchange", "told"), TOLD)
def test_more_pairs_than_the_table_holds_are_read_all_the_same(
    exchange: str, told: Callable[[list[int], str], bytes]
) -> None:
    block = b"".join(line(exchange, told([n], "X").replace(b"X", b"C%d" % n)) for n in range(2500))

    assert 2500 == len(same(MAPPERS[exchange], block + block).pairs)


# --- what a value may be

WRONG = (
    '""', '"0"', '"-1"', '"1_0"', '"٦"', '"\\u0661"', '"nan"', '"inf"', '"1e3"', '"1e999"', '" 1"', '"+1"', '"x"',
    "0", "-1", "1.5", "1e400", "1e-5", "true", "null", "9007199254740993", '"9007199254740993"', "00", "01.5", "-0.0",
    "0.0", '"0.0"', '"007.50"', '".5"', '"5."', "5.", '"123456789012345678.5"', "123456789012345678.5",
    '"0.1234567890123456789012"', "0.1234567890123456789012", '"0.30000000000000000000"', "0.3000000000000000000000",
    '"BTC\\u0000"', '"BTC\x7f"', '"B C"', '"' + "A" * 15 + '"', '"' + "A" * 16 + '"', '"' + "A" * 65 + '"',
    '"sell"', '"SELL"', '"buy"', '"BUY"', '"Sell"', '"trade"', '"snapshot"', '"market"', '"settle-position"',
    "1e2", "[]", "{}",
)  # fmt: skip
TIMES = [
    "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z", "2024-02-29T23:59:59.999Z",
    "2100-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-00T00:00:00Z",
    "2026-12-31T23:59:59.9999999Z", "2026-12-31T24:00:00Z", "2026-12-31T23:60:00Z", "2026-12-31T23:59:60Z",
    "2026-09-30T02:39:56.1643077777Z", "2026-09-30T02:39:56.164307777Z", "2026-09-30T02:39:56.Z",
    "2026-09-30T02:39:56Z", "2026-09-30T02:39:56.1Z", "2026-09-30T02:39:56.12Z", "2026-09-30T02:39:56.129Z",
    "2026-09-30T02:39:56", "2026-09-30T02:39:56+00:00", "2026-09-30T02:39:56.5+00:00", "2026-09-30T02:39:56z",
    "2026-09-30 02:39:56Z", "2026-9-30T02:39:56Z", "2009-01-02T23:59:59Z", "2009-01-01T00:00:00Z",
    "1969-12-31T00:00:00Z",
        "2008-12-31T23:59:59.999Z", "2099-12-31T23:59:59.999Z", "2100-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "",
    "2026-09-30T02:39:56.1٦Z", "2026-09-30T02:39:5\\u0036Z",
]  # fmt: skip
FIELDS = [
    *(("coinbase", spoken.MARKET_TRADES, name) for name in ("product_id", "trade_id", "price", "size", "time", "side")),
    *(("coinbase", spoken.MARKET_TRADES, name) for name in ("channel", "timestamp", "sequence_num", "type")),
    *(("coinbase", spoken.TICKER, name) for name in ("product_id", "price", "best_bid", "best_ask", "volume_24_h")),
    *(("coinbase", spoken.TICKER, name) for name in ("best_bid_quantity", "best_ask_quantity", "timestamp", "type")),
    *(("kraken", spoken.KRAKEN_TRADE, name) for name in ("symbol", "side", "price", "qty", "trade_id", "timestamp")),
    *(("kraken", spoken.KRAKEN_TRADE, name) for name in ("channel", "type", "ord_type")),
    *(("kraken", spoken.KRAKEN_TICKER, name) for name in ("symbol", "bid", "bid_qty", "ask", "ask_qty", "last")),
    *(("kraken", spoken.KRAKEN_TICKER, name) for name in ("volume", "change", "timestamp", "type")),
]


@pytest.mark.parametrize(("exchange", "raw", "field"), FIELDS)
def test_any_value_of_any_field_reads_the_same(exchange: str, raw: bytes, field: str) -> None:
    """In all rows of the message, and in the first alone."""
    parts = re.split(rb'("%b":(?:"[^"]*"|[^,}]*))' % field.encode(), raw)
    for value in (*WRONG, *(f'"{time}"' for time in TIMES)):
        put = f'"{field}":{value}'.encode()
        for places in (parts[1::2], parts[1:2]):
            rows = iter([put] * len(places) + parts[1::2][len(places) :])
            same(MAPPERS[exchange], line(exchange, b"".join(next(rows) if n % 2 else p for n, p in enumerate(parts))))


@pytest.mark.parametrize(("exchange", "raw", "field"), FIELDS)
def test_a_field_told_twice_or_never_reads_the_same(exchange: str, raw: bytes, field: str) -> None:
    (told,) = re.findall(rb'"%b":(?:"[^"]*"|[^,}]*)' % field.encode(), raw)[:1]
    other = told.replace(b"1", b"2").replace(b"USD", b"EUR")
    for put in (told + b"," + other, other + b"," + told, b'"new":"7",' + told, told + b',"new":7', b""):
        same(MAPPERS[exchange], line(exchange, raw.replace(told, put, 1)))
    same(MAPPERS[exchange], line(exchange, raw.replace(told + b",", b"", 1)))
    same(MAPPERS[exchange], line(exchange, raw[: raw.rindex(b"}]")] + b"," + told + raw[raw.rindex(b"}]") :]))


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=50)
def test_wounded_lines_read_the_same(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        exchange = chance.choice(("coinbase", "kraken"))
        block = b"".join(chance.choice(LINES[exchange]) for _ in range(chance.randrange(1, 5)))
        for _ in range(chance.randrange(1, 4)):
            block = mutated(chance, block) or b"\n"
        same(MAPPERS[exchange], block)
