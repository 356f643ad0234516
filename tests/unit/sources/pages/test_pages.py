"""Pages of history to columns: real answers, and what can not be true."""

from __future__ import annotations

import gzip
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.errors import WireError
from tickcast.events import CANDLES, COMPLETE, TRADES
from tickcast.sources import own
from tickcast.sources.binance import Binance
from tickcast.sources.coinbase import Coinbase
from tickcast.sources.files.reader import read_file
from tickcast.sources.files.result import ReadOptions
from tickcast.sources.history.contract import Part
from tickcast.sources.kraken import Kraken
from tickcast.sources.pages.registry import read_page

BINANCE = "rest/binance/aggTrades_XRPETH_201910_first_half.json.gz"
KLINES = "rest/binance/data.binance.vision_spot-klines-BTCUSDT-1h-2024-10-28.zip"
COINBASE, COINBASE_CANDLES = "rest/coinbase_advanced/http_ticker.json", "rest/coinbase_advanced/http_candles.json"
KRAKEN, KRAKEN_BARS = "rest/kraken/Trades_XBTUSDT_20251110.json", "rest/kraken/OHLC_XXBTZUSD_20170811.json"
AGGREGATE = {"a": 1, "p": "2.5", "q": "4", "f": 7, "l": 8, "T": 1_723_161_255_342, "m": True, "M": True}
VOID = AGGREGATE | {"p": "0", "q": "0", "f": -1, "l": -1}


def as_mapped(rows: Any) -> list[tuple[Any, ...]]:
    """Trades of a mapper, as the columns of a page have them."""
    found = [(r.trade_id, r.first_id, r.price, r.quantity, r.timestamp_ms, r.is_buyer_maker) for r in rows]
    return sorted(found)


def as_read(columns: Any) -> list[tuple[Any, ...]]:
    names = ("trade_id", "first_id", "price", "quantity", "timestamp_ms", "is_buyer_maker")
    return list(zip(*(columns[name].tolist() for name in names), strict=True))


def aggregates(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))
    return rows


def test_aggregates_of_binance_are_what_its_mapper_makes_of_them(shared_data: Path) -> None:
    rows = aggregates(shared_data / BINANCE)
    mapper = Binance()
    mapped = [
        event
        for row in rows
        for event in mapper.map_message(json.dumps({"e": "aggTrade", "s": "XRPETH"} | row).encode())
    ]

    columns = read_page("binance", "trades", "XRPETH", 0, json.dumps(rows).encode())

    assert as_mapped(mapped) == as_read(columns)
    assert list(TRADES.columns) == list(columns)
    assert not columns["recv_ms"].any()
    assert np.isnan(columns["bid"]).all()


def test_lines_of_a_file_say_the_same_as_rest_whatever_their_unit_and_header(shared_data: Path) -> None:
    rows = aggregates(shared_data / BINANCE)
    expected = as_read(read_page("binance", "trades", "XRPETH", 0, json.dumps(rows).encode()))
    header = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,is_best_match\n"
    for unit, head in ((1, ""), (1000, ""), (1000, header)):
        lines = "".join(
            f"{r['a']},{r['p']},{r['q']},{r['f']},{r['l']},{r['T'] * unit + (unit > 1) * 999},{r['m']},True\n"
            for r in rows
        )
        columns = read_page("binance", "trades", "XRPETH", 0, msgspec.json.encode(head + lines))

        assert expected == as_read(columns)


def test_trades_of_kraken_are_what_its_mapper_makes_of_them(shared_data: Path) -> None:
    raw = (shared_data / KRAKEN).read_bytes()

    columns = read_page("kraken", "trades", "BTC/USDT", 0, raw)

    assert as_mapped(Kraken().map_message(raw)) == as_read(columns)
    assert 1000 == len(columns["trade_id"])
    assert [1] == np.unique(np.diff(columns["trade_id"])).tolist()


def test_trades_of_coinbase_are_what_its_mapper_makes_of_them(shared_data: Path) -> None:
    raw = (shared_data / COINBASE).read_bytes()

    columns = read_page("coinbase", "trades", "BTC-USD", 0, raw)

    assert as_mapped(Coinbase().map_message(raw)) == as_read(columns)
    assert [True, False, False] == columns["is_buyer_maker"].tolist()  # the maker bought: the taker sold


def test_klines_are_what_an_import_of_the_same_file_makes_of_them(shared_data: Path) -> None:
    path = shared_data / KLINES
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(archive.namelist()[0]).decode()
    rest = [[int(v) if at in (0, 6, 8) else v for at, v in enumerate(line.split(","))] for line in lines.splitlines()]
    (frame,) = list(read_file(path, options=ReadOptions(exchange="binance")).frames())

    from_file = read_page("binance", "candles", "BTCUSDT", 3600, msgspec.json.encode(lines))
    from_rest = read_page("binance", "candles", "BTCUSDT", 3600, msgspec.json.encode(rest))

    assert list(CANDLES.columns) == list(from_file)
    for name in CANDLES.columns:
        assert frame.columns[name].tolist() == from_file[name].tolist() == from_rest[name].tolist()
        assert frame.columns[name].dtype == from_file[name].dtype == from_rest[name].dtype
    assert 24 == len(from_file["open"])


def test_bars_of_kraken_are_flat_where_nothing_was_traded_and_the_running_one_is_left_out(shared_data: Path) -> None:
    raw = (shared_data / KRAKEN_BARS).read_bytes()
    rows = json.loads(raw)["result"]["XXBTZUSD"]

    columns = read_page("kraken", "candles", "BTC/USD", 60, raw)

    assert [row[0] * 1000 for row in rows[:-1]] == columns["window_start_ms"].tolist()
    assert [row[7] for row in rows[:-1]] == columns["trade_count"].tolist()
    quiet = columns["trade_count"] == 0
    assert quiet.any()
    assert (columns["high"][quiet] == columns["low"][quiet]).all()
    assert not columns["volume"][quiet].any()
    assert np.isnan(columns["quote_volume"]).all()
    assert np.isnan(columns["buy_volume"]).all()
    assert [COMPLETE] == np.unique(columns["quality"]).tolist()


def test_candles_of_coinbase_are_told_oldest_first(shared_data: Path) -> None:
    columns = read_page("coinbase", "candles", "BTC-USD", 3600, (shared_data / COINBASE_CANDLES).read_bytes())

    assert [1_712_188_800_000, 1_712_192_400_000] == columns["window_start_ms"].tolist()
    assert columns["window_end_ms"].tolist() == columns["known_at_ms"].tolist()
    assert [66314.59, 66181.6] == columns["close"].tolist()
    assert [0, 0] == columns["trade_count"].tolist()
    assert np.isnan(columns["buy_volume"]).all()


def test_void_aggregates_are_left_out_and_those_that_stand_twice_come_once() -> None:
    rows = [AGGREGATE | {"f": 9, "l": 9}, VOID, AGGREGATE, AGGREGATE]

    columns = read_page("binance", "trades", "BTCUSDT", 0, msgspec.json.encode(rows))

    assert [8, 9] == columns["trade_id"].tolist()
    assert [7, 9] == columns["first_id"].tolist()


def test_candles_off_their_grid_are_left_out_as_an_import_leaves_them_out() -> None:
    bar = ["1.5", "2.5", "0.5", "2.0", "7.0", 0, "14.0", 3, "4.0", "8.0", "0"]
    rows = [[60_000 * 30_000_000, *bar], [60_000 * 30_000_001 + 7_000, *bar]]

    columns = read_page("binance", "candles", "BTCUSDT", 60, msgspec.json.encode(rows))

    assert [60_000 * 30_000_000] == columns["window_start_ms"].tolist()


def test_times_of_kraken_are_cut_and_never_rounded() -> None:
    page = b'{"error":[],"result":{"X":[["1","1",1762795433.9719999,"b","l","",7]],"last":"1762795433971999900"}}'

    assert [1_762_795_433_971] == read_page("kraken", "trades", "BTC/USD", 0, page)["timestamp_ms"].tolist()


@pytest.mark.parametrize("exchange", ["binance", "coinbase", "kraken"])
@pytest.mark.parametrize("what", ["trades", "candles"])
def test_an_empty_page_has_all_columns(exchange: str, what: str) -> None:
    empty = {
        "binance": b"[]",
        "coinbase": b'{"trades":[],"candles":[]}',
        "kraken": b'{"error":[],"result":{"X":[],"last":"5"}}',
    }[exchange]
    for page in (empty, b'""') if exchange == "binance" else (empty,):
        columns = read_page(exchange, what, "BTC", 60, page)

        table = TRADES if what == "trades" else CANDLES
        assert {name: column.dtype for name, column in table.empty().items()} == {
            name: column.dtype for name, column in columns.items()
        }


WRONG_TRADES = [
    ("binance", [AGGREGATE | {"p": "-1"}], "price is not a positive, finite number"),
    ("binance", [AGGREGATE | {"q": "0"}], "quantity is not a positive, finite number"),
    ("binance", [AGGREGATE | {"p": "nan"}], "price is not a positive, finite number"),
    ("binance", [AGGREGATE | {"p": "1_0"}], "p is not a number"),
    ("binance", [AGGREGATE | {"p": "٣"}], "p is not a number"),
    ("binance", [AGGREGATE | {"p": 2.5}], "Expected `str`"),
    ("binance", [AGGREGATE | {"T": 5}], "T is not a time between 2009 and 2100"),
    ("binance", [AGGREGATE | {"T": 2**62}], "T is not a time between 2009 and 2100"),
    ("binance", [AGGREGATE | {"f": 9}], "f and l are not a range of ids"),
    ("binance", [AGGREGATE | {"l": 2**60}], "f and l are not a range of ids"),
    ("binance", [AGGREGATE | {"l": 2**70}], ""),
    ("binance", [AGGREGATE | {"m": "true"}], "Expected `bool`"),
    ("binance", {"code": -1121, "msg": "Invalid symbol."}, "the venue says: Invalid symbol."),
    ("binance", "1,2\n", "a line has too few parts"),
    ("binance", "1,2.5,x,7,8,1723161255342,True,True\n", "a line can not be read"),
    ("binance", "1,2.5,nan,7,8,1723161255342,True,True\n", "quantity is not a positive, finite number"),
    ("binance", "1,2.5,4,7,8,1723161255342,True,True\n1,2.5\n", "a line can not be read"),
    ("coinbase", {"candles": []}, "no page of trades"),
    ("coinbase", {"error": "NOT_FOUND", "message": "no such product"}, "the venue says: no such product"),
    ("kraken", {"error": ["EQuery:Unknown asset pair"]}, "the venue says: EQuery:Unknown asset pair"),
    ("kraken", {"error": [], "result": {}}, "no page of one pair"),
    ("kraken", {"error": [], "result": {"X": [["1", "1", "x", "b", "l", "", 7]], "last": "5"}}, "time is not a time"),
    ("kraken", {"error": [], "result": {"X": [["1", "1", 1e9, "b", "l", "", 7]], "last": "x"}}, "last is not a cursor"),
]


@pytest.mark.parametrize(("exchange", "page", "reason"), WRONG_TRADES)
def test_what_can_not_be_true_is_refused_with_its_reason(exchange: str, page: object, reason: str) -> None:
    with pytest.raises(WireError) as raised:
        read_page(exchange, "trades", "BTC", 0, msgspec.json.encode(page) if page is not None else b"")

    assert raised.value.where == f"{exchange}/page"
    assert reason in raised.value.what


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (1, "9", "open is outside low to high"),
        (2, "0.1", "high is below low"),
        (4, "0", "close is not a positive"),
        (5, "-1", "volume is negative or not finite"),
        (7, "inf", "quote_volume is negative"),
        (8, -1, "trade_count is"),
    ],
)
def test_a_candle_that_can_not_be_true_is_refused(at: int, value: object, reason: str) -> None:
    row: list[object] = [60_000 * 30_000_000, "1.5", "2.5", "0.5", "2.0", "7.0", 0, "14.0", 3, "4.0", "8.0", "0"]
    row[at] = value

    with pytest.raises(WireError, match=reason):
        read_page("binance", "candles", "BTCUSDT", 60, msgspec.json.encode([row]))


def test_an_exchange_that_no_reader_knows_is_named() -> None:
    with pytest.raises(WireError, match="known are binance, coinbase, kraken"):
        read_page("bitmex", "trades", "X", 0, b"[]")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutilated_pages_raise_a_wire_error_or_read_as_columns(data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from(["binance", "coinbase", "kraken"]))
    page = {
        "binance": msgspec.json.encode([AGGREGATE]),
        "coinbase": b'{"trades":[{"trade_id":"5","product_id":"B","price":"1","size":"2",'
        b'"time":"2026-04-07T00:28:58.5Z","side":"SELL"}]}',
        "kraken": b'{"error":[],"result":{"X":[["1","1",1762795433.97,"b","l","",7]],"last":"1762795433970000000"}}',
    }[exchange]
    at = data.draw(st.integers(0, len(page) - 1))
    broken = page[:at] + data.draw(st.binary(max_size=3)) + page[at + data.draw(st.integers(0, 4)) :]
    try:
        columns = read_page(exchange, data.draw(st.sampled_from(["trades", "candles"])), "B", 60, broken)
    except WireError:
        return
    for column in columns.values():
        assert len(column) <= 1
    if "price" in columns and len(columns["price"]):
        assert 0 < columns["price"][0] < math.inf


def test_a_page_with_two_sequences_of_ids_gives_the_older_one_first() -> None:
    """Newest first, as Coinbase tells them: the ids began anew between 12:00 and 12:30."""
    rows = [(2, "12:30:01"), (1, "12:30:00"), (1, "12:30:00"), (5_000_000, "12:00:01"), (4_999_999, "12:00:00")]
    about = {"product_id": "BTC-USD", "price": "2", "size": "1", "side": "BUY"}
    told = [{"trade_id": str(k), "time": f"2026-01-05T{time}Z", **about} for k, time in rows]
    page = msgspec.json.encode({"trades": told})

    columns = read_page("coinbase", "trades", "BTC-USD", 0, page)
    part = Part("trades", "BTC-USD", 0, 1, 1_800_000_000_000, (page, page), columns, True)
    fetched = own.read_history("coinbase", own.history(part, live=False))

    assert [4_999_999, 5_000_000, 1, 2] == columns["trade_id"].tolist() == fetched.frame.columns["trade_id"].tolist()
