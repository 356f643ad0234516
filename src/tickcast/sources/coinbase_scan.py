"""Coinbase Advanced's messages as kernels read them; see `scan_lines.py`, and `coinbase.py` for what they mean.

    {"channel":"market_trades","timestamp":"...","sequence_num":115,"events":[{"type":"update","trades":[{...},{...}]}]}
    {"channel":"ticker","timestamp":"...","sequence_num":16,"events":[{"type":"update","tickers":[{...}]}]}

One event a message. Trades have their keys in the venue's order; a ticker's may stand in any, and others among them.
"""

from __future__ import annotations

from tickcast.kernels import helper
from tickcast.sources.decimals import ID_MAX
from tickcast.sources.scan_bytes import after, byte_at, decimal, integer, name, rfc3339, text
from tickcast.sources.scan_rows import Array, put_quote, put_trade, read_proof

_COMMA, _COLON, _UNDERSCORE = (ord(c) for c in ",:_")
_PAIR, _PRICE, _BID, _ASK, _BID_SIZE, _ASK_SIZE = (1 << n for n in range(6))
_NEEDED = _PAIR | _PRICE | _BID | _ASK


@helper
def read_head(at: int, end: int) -> tuple[bool, bool, int, int, int]:
    """A message up to its first row: (trades or tickers, a snapshot or not, when sent, its number, the place)."""
    trades = after(at, end, '{"channel":"market_trades",')
    place = trades if trades else after(at, end, '{"channel":"ticker",')
    client = after(place, end, '"client_id":"",')
    sent_ms, place = rfc3339(after(client if client else place, end, '"timestamp":"'), end)
    sequence, place = integer(after(place, end, '","sequence_num":'), end)
    update = after(place, end, ',"events":[{"type":"update",')
    place = update if update else after(place, end, ',"events":[{"type":"snapshot",')
    place = after(place, end, '"trades":[') if trades else after(place, end, '"tickers":[')
    return trades != 0, update == 0, sent_ms, sequence, place


@helper
def read_trade(at: int, end: int) -> tuple[int, int, int, int, int, float, float, int]:
    """A trade: (its pair's name as two words, id, time, whether the buyer rested, price, quantity, the place after)."""
    low, high, at = name(after(at, end, '{"product_id":"'), end)
    trade_id, at = integer(after(at, end, ',"trade_id":"'), end)
    price, at = decimal(after(at, end, '","price":"'), end)
    quantity, at = decimal(after(at, end, ',"size":"'), end)
    time_ms, at = rfc3339(after(at, end, ',"time":"'), end)
    at = after(at, end, '","side":"')
    resting = after(at, end, 'BUY"}')
    if not resting:
        resting = after(at, end, 'buy"}')
    sold = after(at, end, 'SELL"}')
    if not sold:
        sold = after(at, end, 'sell"}')
    at = resting if resting else sold
    if trade_id > ID_MAX or price <= 0.0 or quantity <= 0.0:
        at = 0
    return low, high, trade_id, time_ms, 1 if resting else 0, price, quantity, at


@helper
def _other(at: int, end: int) -> int:
    """A key that no one asks for, from its first letter on, and its text: the place after it."""
    if at == 0 or after(at, end, "best_"):
        return 0
    while at < end and (97 <= byte_at(at) <= 122 or 48 <= byte_at(at) <= 57 or byte_at(at) == _UNDERSCORE):
        at += 1
    return text(after(at, end, '":"'), end)


@helper
def read_ticker(at: int, end: int) -> tuple[int, int, float, float, int]:
    """A ticker: (its pair's name as two words, bid, ask, the place after it)."""
    low, high, bid, ask, seen = 0, 0, 0.0, 0.0, 0
    at = after(at, end, "{")
    while at != 0:
        at = after(at, end, '"')
        pair, price = after(at, end, 'product_id":"'), after(at, end, 'price":"')
        bids, asks = after(at, end, 'best_bid":"'), after(at, end, 'best_ask":"')
        bid_size, ask_size = after(at, end, 'best_bid_quantity":"'), after(at, end, 'best_ask_quantity":"')
        key = 0
        if pair:
            key = _PAIR
            low, high, at = name(pair, end)
        elif price:
            key = _PRICE
            _, at = decimal(price, end)
        elif bids:
            key = _BID
            bid, at = decimal(bids, end)
        elif asks:
            key = _ASK
            ask, at = decimal(asks, end)
        elif bid_size or ask_size:
            key = _BID_SIZE if bid_size else _ASK_SIZE
            _, at = decimal(bid_size if bid_size else ask_size, end)
        else:
            at = _other(at, end)
        if key & seen:  # the last one would count
            return 0, 0, 0.0, 0.0, 0
        seen |= key
        if at != 0 and at < end and byte_at(at) == _COMMA:
            at += 1
            continue
        at = after(at, end, "}")
        break
    return low, high, bid, ask, at if seen & _NEEDED == _NEEDED else 0


@helper
def read_line(at: int, end: int, row: int, ints: Array, floats: Array, flags: Array) -> tuple[int, int]:
    """A line from its message on, whose rows are written: (the row after them, the place after the last brace)."""
    proof = after(at, end, '{"tickcast":"alive","venue_ms":')
    if proof:
        return row + 1, after(read_proof(proof, end, row, ints, floats, flags), end, "}")
    trades, _, sent_ms, _, at = read_head(at, end)
    while at != 0:
        if row >= ints.shape[1]:
            return row, 0
        if trades:
            low, high, trade_id, time_ms, resting, price, quantity, at = read_trade(at, end)
            ids, told = (trade_id, trade_id), (price, quantity)
            put_trade(row, (low, high), ids, time_ms, resting, told, ints, floats, flags)
        else:
            low, high, bid, ask, at = read_ticker(at, end)
            put_quote(row, (low, high), sent_ms, (bid, ask), ints, floats, flags)
        row += 1
        if at != 0 and at < end and byte_at(at) == _COMMA:
            at += 1
            continue
        return row, after(at, end, "]}]}}")
    return row, 0
