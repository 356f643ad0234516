"""Frames as messages of a topic: all comes back as it was."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.errors import DataError, WireError
from tickcast.events import INDICATORS, QUALITY, TABLES, TRADES, Columns, Frame, Table
from tickcast.runners.wire import decode_frame, encode_frame

any_bits = st.integers(0, 2**64 - 1).map(lambda word: struct.unpack("<d", struct.pack("<Q", word))[0])
number = st.one_of(any_bits, st.floats(), st.floats(-1e6, 1e6))
long = st.integers(-(2**63), 2**63 - 1)
VALUES = {"f8": number, "i8": long, "b1": st.booleans(), "u1": st.integers(0, len(QUALITY) - 1), "str": st.text()}
DTYPES = {"f8": np.float64, "i8": np.int64, "b1": np.bool_, "u1": np.uint8, "str": np.object_}
EXTRA = {"technical_indicators": ("adx_14", "a name with 1 blank"), "features": ("midprice_30s", "names", "rows")}


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    table = TABLES[draw(st.sampled_from(sorted(TABLES)))]
    rows = draw(st.integers(0, 5))
    codes = dict(table.columns) | dict.fromkeys(EXTRA.get(table.name, ()), "f8")
    columns: Columns = {
        name: np.array(draw(st.lists(VALUES[code], min_size=rows, max_size=rows)), dtype=DTYPES[code])
        for name, code in codes.items()
    }
    return Frame(table.name, draw(st.text()), draw(st.text()), draw(long), columns, draw(long))


def bits(column: np.ndarray[Any, Any]) -> list[Any]:
    if column.dtype != np.float64:
        return list(column.tolist())
    return [None if value != value else struct.pack("<d", value) for value in column.tolist()]


def trades(*rows: dict[str, Any]) -> Frame:
    return Frame("trades", "binance", "BTCUSDT", 9, TRADES.rows(rows))


@settings(max_examples=200, deadline=None)
@given(sent=frames())
def test_every_frame_comes_back_bit_for_bit(sent: Frame) -> None:
    got = decode_frame(encode_frame(sent))

    for name in ("kind", "exchange", "pair", "low_ms", "blind_from_ms", "key"):
        assert getattr(sent, name) == getattr(got, name)
    assert list(sent.columns) == list(got.columns)
    assert {n: (c.dtype, bits(c)) for n, c in sent.columns.items()} == {
        n: (c.dtype, bits(c)) for n, c in got.columns.items()
    }


def test_columns_come_back_owned_and_writable_as_the_kernels_want_them() -> None:
    got = decode_frame(encode_frame(trades({"trade_id": 1}, {"trade_id": 2})))

    assert all(column.flags.carray and column.flags.owndata for column in got.columns.values())


def test_a_message_says_what_the_design_says() -> None:
    sent = trades({"trade_id": 7, "first_id": 7, "price": 61837.6, "quantity": 0.1, "timestamp_ms": 5, "recv_ms": 6})

    assert json.loads(encode_frame(sent)) == {
        "kind": "trades",
        "exchange": "binance",
        "pair": "BTCUSDT",
        "low_ms": 9,
        "trades": [
            {
                "trade_id": 7,
                "first_id": 7,
                "price": 61837.6,
                "quantity": 0.1,
                "timestamp_ms": 5,
                "recv_ms": 6,
                "is_buyer_maker": False,
                "bid": None,
                "ask": None,
            }
        ],
    }


def test_quality_is_a_word_on_the_wire() -> None:
    rows = INDICATORS.rows([{"quality": 2}, {"quality": 0}])
    message = json.loads(encode_frame(Frame("technical_indicators", "x", "A", 0, rows)))

    assert [row["quality"] for row in message["technical_indicators"]] == ["repaired", "complete"]


def test_an_unknown_field_of_a_newer_version_is_passed_over() -> None:
    message = json.loads(encode_frame(trades({"trade_id": 7})))
    message["trades"][0]["venue_flags"] = [1]

    assert decode_frame(json.dumps(message).encode()).columns["trade_id"].tolist() == [7]


def test_a_message_can_not_turn_a_whole_number_into_a_float() -> None:
    message = json.loads(encode_frame(trades({"trade_id": 7}))) | {"names": ["trade_id"]}

    assert decode_frame(json.dumps(message).encode()).columns["trade_id"].dtype == np.int64


def broken(**changes: Any) -> bytes:
    message = json.loads(encode_frame(trades({"trade_id": 7})))
    row = message["trades"][0] | {k: v for k, v in changes.items() if k in TRADES.columns}
    return json.dumps(message | {k: v for k, v in changes.items() if k in message} | {"trades": [row]}).encode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "truncated"),
        (b"\xff", "malformed"),
        (b"[]", "Expected `object`"),
        (b'{"kind":"trades"}', "missing required field"),
        (broken(kind="pades"), "unknown kind 'pades'"),
        (broken(trade_id=1.5), r"\$.trades\[0\].trade_id"),
        (broken(trade_id=2**63), r"\$.trades\[0\].trade_id"),
        (broken(price="NaN"), r"\$.trades\[0\].price"),
        (broken(price=True), r"\$.trades\[0\].price"),
        (broken(is_buyer_maker=1), r"\$.trades\[0\].is_buyer_maker"),
        (broken(low_ms=2**64), r"\$.low_ms"),
        (broken(low_ms=None), r"\$.low_ms"),
        (b"[" * 100_000, "Expected `object`|recursion"),
    ],
)
def test_what_is_no_frame_is_refused_with_the_place(data: bytes, said: str) -> None:
    with pytest.raises(WireError, match=said):
        decode_frame(data)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_a_column_that_a_message_could_not_hold_exactly_is_refused(dtype: type) -> None:
    table = Table("trades", TRADES.columns, TRADES.key)
    columns = table.rows([{"trade_id": 1, "price": 1.0}])
    columns["price"] = columns["price"].astype(dtype)

    with pytest.raises(DataError, match="trades of x:A: has price as"):
        encode_frame(Frame("trades", "x", "A", 0, columns))
