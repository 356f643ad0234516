"""The fast road for Binance: whatever the bytes are, it says what the slow road says, bit for bit."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.captured import BINANCE_2021, BTC, ETH, messages
from tests.unit.sources.scanned import mutated, same, slow_lines
from tickcast.sources import own
from tickcast.sources.binance import Binance
from tickcast.sources.blocks import encode_line
from tickcast.sources.contract import ALIVE, TRADE, Blind
from tickcast.sources.scan_lines import scan_lines

BINANCE = Binance()
BINANCE_AGGREGATES = "captures/binance_ws/cryptofeed_BINANCE.ws_20210814.txt"
NOW_NS = 1_723_161_254_087_896_568
EVENTS = [
    b'{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000",'
    b'"T":1723161255342,"m":true,"M":true}',
    b'{"e":"trade","E":1723161255343,"s":"SHIBUSDT","t":0,"p":"0.00001305","q":"95017.00000000",'
    b'"T":1723161255342123,"m":false,"M":false}',
    b'{"e":"aggTrade","E":1628952396573,"s":"FTMUSDT","a":31718372,"p":"0.33993000","q":"99.90000000","f":38248908,'
    b'"l":38248910,"T":1628952396572,"m":true,"M":true}',
    b'{"e":"aggTrade","E":1628952396573,"s":"FTMUSDT","a":31718372,"p":"0","q":"0","f":-1,"l":-1,"T":1628952396572,'
    b'"m":true,"M":true}',
    b'{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}',
    b'{"u":1,"s":"1INCHUSDT","b":"0.00000000","B":"0.00000000","a":"1.1","A":"100000000000.00000000"}',
    b'{"e":"depthUpdate","E":1618677372122,"s":"BUSDTRY","U":10166139,"u":10166139,"b":[],'
    b'"a":[["8.14000000","107821.20000000"],["8.15","0.00000000"]]}',
    b'{"e":"kline","E":1618677373907,"s":"SWRVBUSD","k":{"t":1618677360000,"x":false}}',
    b'{"result":null,"id":1}',
]
STREAMS = (b"btcusdt@trade", b"btcusdt@bookTicker", b"busdtry@depth@100ms", b"x_y@aggTrade")


def line(raw: bytes, recv_ns: int = NOW_NS) -> bytes:
    return encode_line(recv_ns, "binance", raw)


def wrapped(raw: bytes, stream: bytes = STREAMS[0]) -> bytes:
    return b'{"stream":"%b","data":%b}' % (stream, raw)


LINES = [
    *(line(raw) for raw in EVENTS),
    *(line(wrapped(raw, STREAMS[n % 4]), NOW_NS + n) for n, raw in enumerate(EVENTS)),
    line(own.alive(1_723_161_255_342), 0),
    line(own.alive(1_723_161_255_342, ["ETHUSDT", "BTCUSDT"], EVENTS[0])),
]


@pytest.mark.parametrize("name", [BTC, ETH, BINANCE_2021])
def test_captures_read_the_same_on_both_roads(shared_data: Path, name: str) -> None:
    block = b"".join(line(raw, recv_ns) for recv_ns, raw in messages(shared_data / name))

    assert [] == same(BINANCE, block).rejects


def test_usual_traffic_hardly_ever_takes_the_slow_road(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = b"".join(line(raw, recv_ns) for recv_ns, raw in messages(shared_data / BTC))

    (snapshot,) = slow_lines(monkeypatch, BINANCE, block)

    assert b'"m":{"lastUpdateId"' in snapshot


def test_aggregates_of_the_live_road_never_take_the_slow_one(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [raw for _, raw in messages(shared_data / BINANCE_AGGREGATES) if b'"aggTrade"' in raw]
    bare = [raw.partition(b'"data":')[2][:-1] for raw in found]
    digits = [wrapped(raw, b"1000satsusdt@aggTrade") for raw in bare]
    block = b"".join(line(raw) for raw in found + bare + digits)

    assert len(found) > 20
    assert [] == slow_lines(monkeypatch, BINANCE, block)
    assert 3 * len(found) == len(same(BINANCE, block).columns["kind"])


def test_proof_of_life_for_some_pairs_stands_where_it_stood_among_fast_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    trade of BTC | alive ETH, BTC | aggregate of FTM | alive FTM | trade of BTC
    """
    proof = line(own.alive(1_723_161_255_342, ["ETHUSDT", "BTCUSDT"], EVENTS[0]))
    block = LINES[0] + proof + LINES[2] + line(own.alive(1_723_161_255_343, ["FTMUSDT"])) + LINES[0]
    rows = same(BINANCE, block)

    assert ["BTCUSDT", "ETHUSDT", "FTMUSDT"] == rows.pairs
    assert [0, 1, 0, 2, 2, 0] == rows.columns["pair"].tolist()
    assert [TRADE, ALIVE, ALIVE, TRADE, ALIVE, TRADE] == rows.columns["kind"].tolist()
    assert 5 == rows.messages
    assert 2 == len(slow_lines(monkeypatch, BINANCE, block))


def test_what_a_feed_says_of_blindness_is_told_by_both_roads() -> None:
    rows = same(BINANCE, LINES[0] + line(own.blind("BTCUSDT", 1_723_161_255_000)) + LINES[2])

    assert [Blind("BTCUSDT", 1_723_161_255_000)] == list(rows.told)
    assert 2 == len(rows.columns["kind"])


@pytest.mark.parametrize("cut", [0, 1, 7])
def test_a_single_line_reads_the_same_with_or_without_its_end(cut: int) -> None:
    for text in LINES:
        same(BINANCE, text[: len(text) - cut])


def test_slow_lines_keep_their_place_among_fast_ones() -> None:
    spaced = line(EVENTS[0].replace(b'"s":"BTCUSDT"', b'"s": "ZZZ"'))
    rows = same(BINANCE, spaced + LINES[4] + b"garbage\n \n" + spaced + LINES[0] + spaced + LINES[2])

    assert ["ZZZ", "BTCUSDT", "FTMUSDT"] == rows.pairs
    assert [0, 1, 0, 1, 0, 2] == rows.columns["pair"].tolist()
    assert 7 == rows.messages


def test_a_line_that_is_left_to_the_slow_road_leaves_no_pair_behind() -> None:
    rows = same(BINANCE, line(EVENTS[0].replace(b"BTCUSDT", b"GHOST").replace(b'"q":"0.02', b'"q":"-0.02')) + LINES[0])

    assert ["BTCUSDT"] == rows.pairs


def test_more_symbols_than_the_table_holds_are_read_all_the_same() -> None:
    block = b"".join(line(EVENTS[0].replace(b"BTCUSDT", b"C%dUSDT" % n)) for n in range(5000))

    assert 5000 == len(same(BINANCE, block + block).pairs)


@pytest.mark.parametrize("length", range(1, 25))
def test_symbols_of_every_length_read_the_same(length: int) -> None:
    symbol = (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" * 2)[:length]

    assert [symbol.decode()] == same(BINANCE, line(EVENTS[0].replace(b"BTCUSDT", symbol)) * 2).pairs


NUMBERS = [
    "0.1", "0.3", "1.1", "0.00000001", "123456789012345.0", "1234567890123456.0", "999999999999999.0",
    "9007199254740993.0",
    "0.000000000000001", "0.0000000000000000000001", "0.00000000000000000000001", "1.50000000000000000000000000000000",
    "00001.5", "1.", ".5", "1", "1e3", "+1.0", "-0.0", " 1.0", "1_0.0", "nan", "inf", "1.0.0", "", "1,5", "0.0", "1.0x",
    "18446744073709551615.0", "9223372036854775807.1", "4503599627370497.5", "179769313486231580793.0", "0x1.8",
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_at_the_edges_read_the_same(number: str) -> None:
    for text in LINES:
        for old in (b'"61837.63000000"', b'"0.33993000"', b'"0.02000000"'):
            same(BINANCE, text.replace(old, f'"{number}"'.encode()))


@given(st.integers(0, 10**18), st.integers(0, 24), st.integers(0, 12))
@settings(deadline=None, max_examples=400)
def test_prices_are_the_floats_that_python_reads(digits: int, places: int, zeros: int) -> None:
    text = str(digits).rjust(places + 1, "0")
    number = f"{text[: len(text) - places]}.{text[len(text) - places :] or '0'}{'0' * zeros}"
    rows = same(BINANCE, line(EVENTS[0].replace(b"61837.63000000", number.encode())))

    if digits:
        assert struct.pack("<d", float(number)) == rows.columns["price"].tobytes()


@pytest.mark.parametrize(
    "number",
    [
        "0", "00", "01", "-1", "1.0", "1e3", "9007199254740992", "9007199254740993", "9223372036854775807",
        "9223372036854775808", "99999999999999999999", "1x",
        "12345678", "9000000000000000000", "100000000000000", "99999999999999", "1230940799999", "1230940800000",
        "4102444800000", "4102444800001",
    ],
)  # fmt: skip
def test_integers_at_the_edges_read_the_same(number: str) -> None:
    for text in LINES:
        for old in (b"3735683259", b"1723161255342", b"1723161255343", b"38248908", b"50093239212", b"1618677372122"):
            same(BINANCE, text.replace(old, number.encode()))
        same(BINANCE, text.replace(b"%d" % NOW_NS, number.encode()))


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from(range(len(LINES)))), max_size=30), st.integers(0, 200))
@settings(deadline=None, max_examples=150)
def test_silences_read_the_same(steps: list[tuple[int, int]], last_s: int) -> None:
    at = NOW_NS
    block = b""
    for seconds, which in steps:
        at += (seconds - 100) * 1_000_000_000
        block += LINES[which].replace(b"%d" % NOW_NS, b"%d" % at)

    same(BINANCE, block, NOW_NS - last_s * 1_000_000_000 if last_s else 0)


def wounded(seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for _ in range(60):
        block = b"".join(chance.choice(LINES) for _ in range(chance.randrange(1, 5)))
        for _ in range(chance.randrange(1, 4)):
            block = mutated(chance, block) or b"\n"
        yield block


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=50)
def test_wounded_lines_read_the_same(seed: int) -> None:
    for block in wounded(seed):
        same(BINANCE, block)


def test_the_columns_own_what_they_show() -> None:
    rows = scan_lines(BINANCE, LINES[0])
    before = {name: column.copy() for name, column in rows.columns.items()}
    scan_lines(BINANCE, b"".join(LINES))

    assert all(np.array_equal(before[name], rows.columns[name], equal_nan=name in ("bid", "ask")) for name in before)
