"""Journal lines: what is written reads back, and a block of them becomes columns in the order of arrival."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.captured import COINBASE_2026, KRAKEN_PAGE, KRAKEN_V2, messages, raws
from tickcast.errors import WireError
from tickcast.events import TRADES, Frame
from tickcast.sources import own
from tickcast.sources.blocks import RECV_MAX_NS, decode_line, encode_line, encode_lines
from tickcast.sources.contract import ALIVE, QUOTE, TRADE, Block, MarketRows
from tickcast.sources.mapping import map_block
from tickcast.sources.registry import mapper_for, sniff

SECOND_NS = 1_000_000_000
START_NS = 1_783_465_200 * SECOND_NS
MATCH = (
    b'{"type":"match","trade_id":%d,"side":"sell","size":"0.2","price":"63514.6","product_id":"BTC-USD",'
    b'"time":"2026-07-07T22:58:17.164892Z"}'
)
TICKER = (
    b'{"type":"ticker","product_id":"ETH-USD","price":"1774.1","best_bid":"1774.0","best_ask":"1774.2",'
    b'"time":"2026-07-07T22:58:18Z"}'
)
HEARTBEAT = b'{"type":"heartbeat","product_id":"BTC-USD","time":"2026-07-07T22:58:19Z"}'


def coinbase(*lines: tuple[int, bytes], last_recv_ns: int = 0) -> MarketRows:
    block = b"".join(encode_line(recv_ns, "coinbase", raw) for recv_ns, raw in lines)
    return map_block(mapper_for("coinbase"), Block("coinbase", block), last_recv_ns)


def read(exchange: str, lines: bytes) -> MarketRows:
    return map_block(mapper_for(exchange), Block(exchange, lines))


@given(st.integers(0, 4_102_444_800 * SECOND_NS), st.binary(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_bytes_come_back_from_a_line_unchanged(recv_ns: int, raw: bytes) -> None:
    line = encode_line(recv_ns, "kraken", raw)

    assert (recv_ns, "kraken", raw) == decode_line(line)
    assert line.count(b"\n") == 1
    assert isinstance(json.loads(line), dict)


PIECES = [
    b'{"a":1}',
    b'{"a":"b"}',
    b"{}",
    b"[1]",
    b'{"a":1} ',
    b" {}",
    b'{"a":1}\n{}',
    b"{}\r",
    b"{",
    b"}",
    b"",
    b'{"a":1,}',
]
PIECES += [
    '{"ä":1}'.encode(),
    b'{"a":"\xff"}',
    b'{"a":[{}',
    b"{}]}",
    b'{"a":"}',
    b'{"}',
    b"\n",
    b"{}{}",
    b'{"a":{"b":2}}',
    b"[" * 2000,
]


@given(st.integers(-5, RECV_MAX_NS + 5), st.lists(st.sampled_from(PIECES) | st.just(b"{}"), max_size=9))
@settings(deadline=None, max_examples=500)
def test_lines_written_at_once_are_those_written_one_by_one(recv_ns: int, some: list[bytes]) -> None:
    assert b"".join(encode_line(recv_ns, "kraken", raw) for raw in some) == encode_lines(recv_ns, "kraken", some)


def test_whatever_stands_between_good_lines_is_written_as_by_itself() -> None:
    for raw in PIECES:
        some = [b'{"a":1}'] * 3 + [raw] + [b'{"b":2}'] * 3
        assert b"".join(encode_line(7, "kraken", one) for one in some) == encode_lines(7, "kraken", some)


LEAVES = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
@settings(deadline=None, max_examples=200)
def test_any_json_comes_back_byte_for_byte_and_stays_readable_in_the_journal(value: object) -> None:
    for raw in (json.dumps(value).encode(), json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")):
        line = encode_line(1, "kraken", raw)

        assert (1, "kraken", raw) == decode_line(line)
        assert b',"m":' + raw + b"}\n" in line


@pytest.mark.parametrize(
    "raw", [b"", b"garbage", b"{}\n", b' {"a":1}', b'{"a":1}\r', b'{"a":"\xff"}', b'{"a":1', b"NaN", b"[" * 50_000]
)
def test_what_is_not_one_line_of_json_is_kept_in_base64(raw: bytes) -> None:
    line = encode_line(5, "kraken", raw)

    assert line.startswith(b'{"r":5,"x":"kraken","b":"')
    assert (5, "kraken", raw) == decode_line(line)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\0\0\0\0", b"{", b'{"r":5,"x":"kraken"}', b'{"r":5,"x":"kraken","m":{},"b":"e30="}',
        b'{"r":-5,"x":"k","m":1}', b'{"r":5,"x":"kraken","b":"!"}', b'{"r":99999999999999999999,"x":"k","m":1}',
        b'{"x":"k","m":1}', b'{"r":5,"x":"k","m":1',
    ],
)  # fmt: skip
def test_what_is_no_journal_line_is_said_to_be_none(line: bytes) -> None:
    with pytest.raises(WireError, match="journal line"):
        decode_line(line)


def test_rows_are_columns_in_the_order_of_arrival() -> None:
    rows = coinbase((START_NS, MATCH % 7), (START_NS + 5_999_999, TICKER), (START_NS + SECOND_NS, HEARTBEAT))

    assert [TRADE, QUOTE, ALIVE] == rows.columns["kind"].tolist()
    assert ["BTC-USD", "ETH-USD", "BTC-USD"] == [rows.pairs[n] for n in rows.columns["pair"]]
    assert [7, -1, -1] == rows.columns["trade_id"].tolist()
    assert [1783465097164, 1783465098000, 1783465099000] == rows.columns["timestamp_ms"].tolist()
    assert [1783465200000, 1783465200005, 1783465201000] == rows.columns["recv_ms"].tolist()
    assert ["nan", "1774.0", "nan"] == [str(bid) for bid in rows.columns["bid"]]
    assert (3, [], START_NS + SECOND_NS) == (rows.messages, rows.rejects, rows.last_recv_ns)


@pytest.mark.parametrize("exchange", ["binance", "coinbase", "kraken"])
def test_columns_have_the_types_of_the_trades_table_even_when_empty(exchange: str) -> None:
    rows = read(exchange, b"")

    assert {name: column.dtype for name, column in TRADES.empty().items()} | {
        "kind": np.dtype("u1"), "pair": np.dtype("i8"),
    } == {name: column.dtype for name, column in rows.columns.items()}  # fmt: skip
    assert (0, 0, 0) == (len(rows.columns["kind"]), rows.messages, len(rows.silence_ns))


@pytest.mark.parametrize("exchange", ["binance", "coinbase", "kraken"])
def test_our_own_proof_of_life_is_read_for_every_exchange(exchange: str) -> None:
    rows = read(exchange, encode_line(5, exchange, own.alive(1_783_465_200_123)))

    assert ([ALIVE], [-1], [1_783_465_200_123], []) == (
        rows.columns["kind"].tolist(), rows.columns["pair"].tolist(), rows.columns["timestamp_ms"].tolist(), rows.pairs,
    )  # fmt: skip


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_frames_that_a_user_imported_come_out_ready(exchange: str) -> None:
    trade = {"trade_id": 1, "price": 0.1, "quantity": 2.0, "timestamp_ms": 9}
    frame = Frame("trades", exchange, "BTC/USD", 9, TRADES.rows([trade]))
    rows = read(exchange, encode_line(0, exchange, own.frame_message(frame)) + encode_line(0, exchange, own.alive(1)))

    assert [("BTC/USD", 9, [0.1])] == [(f.pair, f.low_ms, f.columns["price"].tolist()) for f in rows.frames]
    assert ["venue_ms is not a time between 2009 and 2100"] == [reject.reason for reject in rows.rejects]


@pytest.mark.parametrize("exchange", ["binance", "coinbase", "kraken"])
def test_an_unreadable_line_is_set_aside_and_the_lines_around_it_are_read(exchange: str) -> None:
    alive = encode_line(5, exchange, own.alive(1_783_465_200_123))
    torn = alive[:-20] + b"\n"
    rows = read(exchange, alive + torn + b"\n\0\0\0\n" + encode_line(7, exchange, b"garbage") + alive[:-1])

    assert [ALIVE, ALIVE] == rows.columns["kind"].tolist()
    assert [
        (0, "is not a journal line", torn[:-1]),
        (0, "is not a journal line", b"\0\0\0"),
        (7, "is not JSON", b"garbage"),
    ] == [tuple(reject) for reject in rows.rejects]
    assert 5 == rows.messages  # an empty line is none


def test_a_line_of_another_exchange_is_set_aside() -> None:
    rows = read("kraken", encode_line(5, "coinbase", HEARTBEAT))

    assert ["is of another exchange than its block"] == [reject.reason for reject in rows.rejects]


def test_a_message_is_refused_whole_or_read_whole() -> None:
    good = b'["354.11","0.5","1618678142.557535","s","l",""]'
    raw = b'[993,[%b,%b],"trade","XMR/USD"]' % (good, good.replace(b"354", b"-354"))
    rows = read("kraken", encode_line(5, "kraken", raw))

    assert (0, ["price is not a positive, finite number"]) == (
        len(rows.columns["kind"]),
        [r.reason for r in rows.rejects],
    )


def test_a_silence_of_more_than_a_minute_is_told_with_its_two_ends() -> None:
    """
    0s   60s           121s  unknown  122s
    |-----|--------------|------?------|
          60 s: no silence 61 s: one
    """
    at = [START_NS, START_NS + 60 * SECOND_NS, START_NS + 121 * SECOND_NS, 0, START_NS + 122 * SECOND_NS]
    rows = coinbase(*((recv_ns, HEARTBEAT) for recv_ns in at))

    assert [[at[1], at[2]]] == rows.silence_ns.tolist()


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_silences_do_not_depend_on_where_blocks_are_cut(exchange: str) -> None:
    at = [START_NS + second * SECOND_NS for second in (0, 90, 30, 100, 161, 500)]  # the clock steps back once
    lines = [encode_line(recv_ns, exchange, own.alive(1_783_465_200_123)) for recv_ns in at]
    expected = [[at[0], at[1]], [at[3], at[4]], [at[4], at[5]]]
    mapper = mapper_for(exchange)

    for cut in range(1, 6):
        first = map_block(mapper, Block(exchange, b"".join(lines[:cut])))
        second = map_block(mapper, Block(exchange, b"".join(lines[cut:])), first.last_recv_ns)

        assert expected == first.silence_ns.tolist() + second.silence_ns.tolist()
        assert at[5] == second.last_recv_ns


def test_noise_and_garbage_are_no_silence() -> None:
    noise = b'{"type":"subscriptions","channels":[]}'
    at = [(START_NS, HEARTBEAT), (START_NS + 50 * SECOND_NS, noise), (START_NS + 100 * SECOND_NS, b"?")]

    assert [] == coinbase(*at, (START_NS + 150 * SECOND_NS, HEARTBEAT)).silence_ns.tolist()


@pytest.mark.parametrize(("exchange", "name"), [("coinbase", COINBASE_2026), ("kraken", KRAKEN_V2)])
def test_a_capture_reads_the_same_in_one_block_and_in_many(shared_data: Path, exchange: str, name: str) -> None:
    lines = [encode_line(recv_ns, exchange, raw) for recv_ns, raw in messages(shared_data / name)]
    whole = read(exchange, b"".join(lines))
    parts = [read(exchange, b"".join(lines[start : start + 100])) for start in range(0, len(lines), 100)]

    for column in ("price", "trade_id", "timestamp_ms", "kind", "is_buyer_maker"):
        assert whole.columns[column].tobytes() == np.concatenate([p.columns[column] for p in parts]).tobytes()
    assert [whole.pairs[n] for n in whole.columns["pair"]] == [p.pairs[n] for p in parts for n in p.columns["pair"]]


def test_a_page_that_is_many_lines_long_travels_as_one(shared_data: Path) -> None:
    (page,) = raws(shared_data / KRAKEN_PAGE)
    rows = read("kraken", encode_line(0, "kraken", page))

    assert (1, 1000, []) == (rows.messages, len(rows.columns["kind"]), rows.rejects)


def test_an_exchange_without_a_mapper_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(Exception, match="did you mean coinbase"):
        mapper_for("coinbse")


def test_messages_tell_whose_they_are(shared_data: Path) -> None:
    folders = {
        "binance_ws": "binance",
        "coinbase_exchange_ws": "coinbase",
        "kraken_ws_v1": "kraken",
        "kraken_ws_v2": "kraken",
    }
    for folder, exchange in folders.items():
        for path in sorted((shared_data / "captures" / folder).iterdir()):
            assert {exchange} == {sniff(raw) for raw in raws(path)[:2000]}

    assert [None] * 4 == [sniff(raw) for raw in (b"garbage", b"5", b"{}", own.alive(5))]
