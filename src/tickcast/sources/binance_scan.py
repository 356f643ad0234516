"""Binance's messages as kernels read them; see `scan_lines.py`, and `binance.py` for what they mean.

The helpers take addresses (see `scan_bytes.py`): `at` and `end`, and 0 for "not certain", which every step hands on.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from tickcast.kernels import helper
from tickcast.sources.binance import AGGREGATE_MAX
from tickcast.sources.contract import ALIVE, QUOTE, TIME_MAX_MS, TIME_MIN_MS, TRADE
from tickcast.sources.decimals import ID_MAX, MICROSECONDS_FROM
from tickcast.sources.scan_bytes import after, byte_at, decimal, integer, name
from tickcast.sources.scan_rows import Array, put_other, put_trade, read_proof

Fields: TypeAlias = tuple[int, int, int, int, int, int, int, float, float]
"""kind, the symbol in two words, id, first id, ms, side, and two prices: a trade's and its quantity, or bid and ask."""

_DOT, _CLOSE = (ord(c) for c in ".]")


@helper
def _time(at: int, end: int) -> tuple[int, int]:
    """A venue's time in ms (or µs): (ms, the place after it)."""
    value, stop = integer(at, end)
    if value >= MICROSECONDS_FROM:
        value //= 1000
    if value < TIME_MIN_MS or value > TIME_MAX_MS:
        return 0, 0
    return value, stop


@helper
def _levels(at: int, end: int) -> int:
    """The rest of a book's side, `["1.0","2.0"],...]`: the place after it."""
    if at == 0 or at >= end:
        return 0
    if byte_at(at) == _CLOSE:
        return at + 1
    while True:
        at = after(at, end, '["')
        for side in range(2):
            if at == 0:
                return 0
            while at < end and (48 <= byte_at(at) <= 57 or byte_at(at) == _DOT):
                at += 1
            at = after(at, end, '","') if side == 0 else after(at, end, '"]')
        if at == 0 or at >= end:
            return 0
        if byte_at(at) == _CLOSE:
            return at + 1
        at = after(at, end, ",")


@helper
def _depth(at: int, end: int) -> tuple[Fields, int]:
    """A depth update from its time on: it says no more than that the pair's market is alive."""
    time_ms, at = _time(at, end)
    low, high, at = name(after(at, end, ',"s":"'), end)
    _, at = integer(after(at, end, ',"U":'), end)
    _, at = integer(after(at, end, ',"u":'), end)
    at = _levels(after(at, end, ',"b":['), end)
    at = _levels(after(at, end, ',"a":['), end)
    return (ALIVE, low, high, -1, -1, time_ms, 0, np.nan, np.nan), at


@helper
def read_book_ticker(at: int, end: int) -> tuple[Fields, int]:
    """A bookTicker from its update id on."""
    _, at = integer(at, end)
    low, high, at = name(after(at, end, ',"s":"'), end)
    bid, at = decimal(after(at, end, ',"b":"'), end)
    _, at = decimal(after(at, end, ',"B":"'), end)
    ask, at = decimal(after(at, end, ',"a":"'), end)
    _, at = decimal(after(at, end, ',"A":"'), end)
    return (QUOTE, low, high, -1, -1, 0, 0, bid, ask), at


@helper
def read_trade(at: int, end: int, aggregate: bool) -> tuple[Fields, int]:
    """A trade or aggregate from its event time on."""
    _, at = integer(at, end)
    low, high, at = name(after(at, end, ',"s":"'), end)
    last, at = integer(after(at, end, ',"a":') if aggregate else after(at, end, ',"t":'), end)
    price, at = decimal(after(at, end, ',"p":"'), end)
    quantity, at = decimal(after(at, end, ',"q":"'), end)
    first = last
    if aggregate:
        first, at = integer(after(at, end, ',"f":'), end)
        last, at = integer(after(at, end, ',"l":'), end)
    time_ms, at = _time(after(at, end, ',"T":'), end)
    resting = after(at, end, ',"m":true')
    at = resting if resting else after(at, end, ',"m":false')
    ignored = after(at, end, ',"M":true')
    at = ignored if ignored else after(at, end, ',"M":false')
    if price <= 0.0 or quantity <= 0.0 or not 0 <= last - first < AGGREGATE_MAX:
        at = 0
    return (TRADE, low, high, last, first, time_ms, 1 if resting else 0, price, quantity), at


@helper
def _event(at: int, end: int) -> tuple[Fields, int]:
    """One message of the venue, bare, but for its closing brace."""
    trade = after(at, end, '{"e":"trade","E":')
    if trade:
        return read_trade(trade, end, False)
    book_ticker = after(at, end, '{"u":')
    if book_ticker:
        return read_book_ticker(book_ticker, end)
    aggregate = after(at, end, '{"e":"aggTrade","E":')
    if aggregate:
        return read_trade(aggregate, end, True)
    return _depth(after(at, end, '{"e":"depthUpdate","E":'), end)


@helper
def _names_stream(char: int) -> bool:
    """Letters, digits, @ and _."""
    return 64 <= char <= 90 or 97 <= char <= 122 or 48 <= char <= 57 or char == 95


@helper
def _combined(at: int, end: int) -> int:
    """The wrapping of a combined stream: the place of its data."""
    at = start = after(at, end, '{"stream":"')
    if at == 0:
        return 0
    while at < end and _names_stream(byte_at(at)):
        at += 1
    return after(at, end, '","data":') if at > start else 0


@helper
def read_line(at: int, end: int, row: int, ints: Array, floats: Array, flags: Array) -> tuple[int, int]:
    """A line from its message on, whose one row is written: (the row after it, the place after its last brace)."""
    proof = after(at, end, '{"tickcast":"alive","venue_ms":')
    if proof:
        return row + 1, after(read_proof(proof, end, row, ints, floats, flags), end, "}")
    data = _combined(at, end)
    fields, stop = _event(data if data else at, end)
    stop = after(stop, end, "}}}") if data else after(stop, end, "}}")
    kind, low, high, last, first, time_ms, side, one, two = fields
    if kind == TRADE:
        put_trade(row, (low, high), (first, last), time_ms, side, (one, two), ints, floats, flags)
    else:
        put_other(row, kind, (low, high), time_ms, (one, two), ints, floats, flags)
    return row + 1, stop if last <= ID_MAX else 0
