"""Kraken's messages, websocket v2, as kernels read them; see `scan_lines.py`, and `kraken.py` for what they mean.

    {"channel":"trade","type":"update","data":[{...},{...}]}
    {"channel":"ticker","type":"update","data":[{...}]}

Rows have their keys in the venue's order; what a ticker tells after its last price may be anything in plain numbers.
"""

from __future__ import annotations

from tickcast.kernels import helper
from tickcast.sources.decimals import ID_MAX
from tickcast.sources.scan_bytes import after, bare_decimal, byte_at, integer, name, rfc3339
from tickcast.sources.scan_rows import Array, put_quote, put_trade, read_proof

_COMMA, _HYPHEN, _UNDERSCORE = (ord(c) for c in ",-_")


@helper
def read_head(at: int, end: int) -> tuple[bool, bool, int]:
    """A message up to its first row: (trades or tickers, a snapshot or not, the place)."""
    trades = after(at, end, '{"channel":"trade",')
    place = trades if trades else after(at, end, '{"channel":"ticker",')
    update = after(place, end, '"type":"update","data":[')
    return trades != 0, update == 0, update if update else after(place, end, '"type":"snapshot","data":[')


@helper
def read_trade(at: int, end: int) -> tuple[int, int, int, int, int, float, float, int]:
    """A trade: (its pair's name as two words, id, time, whether the buyer rested, price, quantity, the place after)."""
    low, high, at = name(after(at, end, '{"symbol":"'), end)
    buy = after(at, end, ',"side":"buy","price":')
    sell = after(at, end, ',"side":"sell","price":')
    price, at = bare_decimal(buy if buy else sell, end)
    quantity, at = bare_decimal(after(at, end, ',"qty":'), end)
    limit = after(at, end, ',"ord_type":"limit","trade_id":')
    market = after(at, end, ',"ord_type":"market","trade_id":')
    trade_id, at = integer(limit if limit else market, end)
    time_ms, at = rfc3339(after(at, end, ',"timestamp":"'), end)
    if trade_id > ID_MAX or price <= 0.0 or quantity <= 0.0:
        at = 0
    return low, high, trade_id, time_ms, 0 if buy else 1, price, quantity, after(at, end, '"}')


@helper
def _other(at: int, end: int) -> int:
    """A key that no one asks for, from its first letter on, and its number: the place after it."""
    if after(at, end, 'symbol"') or after(at, end, 'bid"') or after(at, end, 'bid_qty"') or after(at, end, 'ask"'):
        return 0
    if at == 0 or after(at, end, 'ask_qty"') or after(at, end, 'last"') or after(at, end, 'timestamp"'):
        return 0
    while at < end and (97 <= byte_at(at) <= 122 or 48 <= byte_at(at) <= 57 or byte_at(at) == _UNDERSCORE):
        at += 1
    at = after(at, end, '":')
    negative = after(at, end, "-")
    _, at = bare_decimal(negative if negative else at, end)
    return at


@helper
def read_ticker(at: int, end: int) -> tuple[int, int, int, float, float, int]:
    """A ticker: (its pair's name as two words, its time or 0, bid, ask, the place after it)."""
    low, high, at = name(after(at, end, '{"symbol":"'), end)
    bid, at = bare_decimal(after(at, end, ',"bid":'), end)
    _, at = bare_decimal(after(at, end, ',"bid_qty":'), end)
    ask, at = bare_decimal(after(at, end, ',"ask":'), end)
    _, at = bare_decimal(after(at, end, ',"ask_qty":'), end)
    _, at = bare_decimal(after(at, end, ',"last":'), end)
    time_ms = 0
    while at != 0 and at < end and byte_at(at) == _COMMA:
        stamp = after(at, end, ',"timestamp":"')
        if stamp and time_ms:  # the last one would count
            return 0, 0, 0, 0.0, 0.0, 0
        if stamp:
            time_ms, at = rfc3339(stamp, end)
            at = after(at, end, '"')
        else:
            at = _other(after(at, end, ',"'), end)
    return low, high, time_ms, bid, ask, after(at, end, "}")


@helper
def read_line(at: int, end: int, row: int, ints: Array, floats: Array, flags: Array) -> tuple[int, int]:
    """A line from its message on, whose rows are written: (the row after them, the place after the last brace)."""
    proof = after(at, end, '{"tickcast":"alive","venue_ms":')
    if proof:
        return row + 1, after(read_proof(proof, end, row, ints, floats, flags), end, "}")
    trades, _, at = read_head(at, end)
    while at != 0:
        if row >= ints.shape[1]:
            return row, 0
        if trades:
            low, high, trade_id, time_ms, resting, price, quantity, at = read_trade(at, end)
            ids, told = (trade_id, trade_id), (price, quantity)
            put_trade(row, (low, high), ids, time_ms, resting, told, ints, floats, flags)
        else:
            low, high, time_ms, bid, ask, at = read_ticker(at, end)
            put_quote(row, (low, high), time_ms, (bid, ask), ints, floats, flags)
        row += 1
        if at != 0 and at < end and byte_at(at) == _COMMA:
            at += 1
            continue
        return row, after(at, end, "]}}")
    return row, 0
