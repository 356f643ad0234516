"""Binance journal lines straight into columns: several million trades a second where the layout is the usual one.

A kernel walks the bytes and takes a line only if it is CERTAIN of all of it: the keys in the venue's order, no spaces,
no escapes, plain numbers. Every other line goes to `blocks.LineReader`, in its place, so the answer is always the one
that `blocks.map_lines` defines, bit for bit; a fuzz test holds the two together.

The helpers take addresses (see `scan_bytes.py`): `at` and `end`, and 0 for "not certain", which every step hands on.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickcast.events import Columns
from tickcast.kernels import kernel, warms
from tickcast.sources.binance import AGGREGATE_MAX
from tickcast.sources.blocks import COLUMNS, RECV_MAX_NS, SILENCE_NS, LineReader
from tickcast.sources.contract import ALIVE, QUOTE, TIME_MAX_MS, TIME_MIN_MS, TRADE, Mapper, MarketRows
from tickcast.sources.decimals import ID_MAX, MICROSECONDS_FROM
from tickcast.sources.scan_bytes import after, byte_at, decimal, integer

Array: TypeAlias = NDArray[Any]
Fields: TypeAlias = tuple[int, int, int, int, int, int, int, float, float]
"""kind, the symbol in two words, id, first id, ms, side, and two prices: a trade's and its quantity, or bid and ask."""

_QUOTE_MARK, _DOT, _CLOSE, _NEWLINE = (ord(c) for c in '".]\n')

PAIR, TRADE_ID, FIRST_ID, TIME, RECV = range(5)
PRICE, QUANTITY, BID, ASK = range(4)
KIND, SIDE = range(2)
PAIRS, ROWS, LINES, SLOW = range(4)
SYMBOL_CHARS = 15  # two words, and the sign bit stays free
SLOTS_MAX = 4096


@kernel
def _time(at: int, end: int) -> tuple[int, int]:
    """A venue's time in ms (or µs): (ms, the place after it)."""
    value, stop = integer(at, end)
    if value >= MICROSECONDS_FROM:
        value //= 1000
    if value < TIME_MIN_MS or value > TIME_MAX_MS:
        return 0, 0
    return value, stop


@kernel
def _symbol(at: int, end: int) -> tuple[int, int, int]:
    """A symbol and its closing quote: (its bytes as two words, the place after the quote)."""
    start, low, high = at, 0, 0
    if at == 0:
        return 0, 0, 0
    while at < end and byte_at(at) != _QUOTE_MARK:
        char, nth = byte_at(at), at - start
        if nth >= SYMBOL_CHARS or not (48 <= char <= 57 or 65 <= char <= 90):
            return 0, 0, 0
        if nth < 8:
            low |= char << (8 * nth)
        else:
            high |= char << (8 * (nth - 8))
        at += 1
    if at == start or at >= end:
        return 0, 0, 0
    return low, high, at + 1


@kernel
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


@kernel
def _depth(at: int, end: int) -> tuple[Fields, int]:
    """A depth update from its time on: it says no more than that the pair's market is alive."""
    time_ms, at = _time(at, end)
    low, high, at = _symbol(after(at, end, ',"s":"'), end)
    _, at = integer(after(at, end, ',"U":'), end)
    _, at = integer(after(at, end, ',"u":'), end)
    at = _levels(after(at, end, ',"b":['), end)
    at = _levels(after(at, end, ',"a":['), end)
    return (ALIVE, low, high, -1, -1, time_ms, 0, np.nan, np.nan), at


@kernel
def read_book_ticker(at: int, end: int) -> tuple[Fields, int]:
    """A bookTicker from its update id on."""
    _, at = integer(at, end)
    low, high, at = _symbol(after(at, end, ',"s":"'), end)
    bid, at = decimal(after(at, end, ',"b":"'), end)
    _, at = decimal(after(at, end, ',"B":"'), end)
    ask, at = decimal(after(at, end, ',"a":"'), end)
    _, at = decimal(after(at, end, ',"A":"'), end)
    return (QUOTE, low, high, -1, -1, 0, 0, bid, ask), at


@kernel
def read_trade(at: int, end: int, aggregate: bool) -> tuple[Fields, int]:
    """A trade or aggregate from its event time on."""
    _, at = integer(at, end)
    low, high, at = _symbol(after(at, end, ',"s":"'), end)
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


@kernel
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


@kernel
def _names_stream(char: int) -> bool:
    """Letters, digits, @ and _."""
    return 64 <= char <= 90 or 97 <= char <= 122 or 48 <= char <= 57 or char == 95


@kernel
def _combined(at: int, end: int) -> int:
    """The wrapping of a combined stream: the place of its data."""
    at = start = after(at, end, '{"stream":"')
    if at == 0:
        return 0
    while at < end and _names_stream(byte_at(at)):
        at += 1
    return after(at, end, '","data":') if at > start else 0


@kernel
def _line(at: int, end: int) -> tuple[int, Fields, int]:
    """One journal line: (its receive time, what it says, the place of its newline)."""
    recv_ns, at = integer(after(at, end, '{"r":'), end)
    at = after(at, end, ',"x":"binance","m":')
    if recv_ns > RECV_MAX_NS:
        at = 0
    proof = after(at, end, '{"tickcast":"alive","venue_ms":')
    if proof:
        venue_ms, at = integer(proof, end)
        fields = (ALIVE, 0, 0, -1, -1, venue_ms, 0, np.nan, np.nan)
        at = after(at, end, "}}") if TIME_MIN_MS <= venue_ms <= TIME_MAX_MS else 0
    else:
        data = _combined(at, end)
        fields, stop = _event(data if data else at, end)
        at = after(stop, end, "}}}") if data else after(stop, end, "}}")
    if at != 0 and at < end and byte_at(at) != _NEWLINE:
        at = 0
    return recv_ns, fields, at


@kernel
def _numbered(low: int, high: int, table: Array, names: Array, counts: Array) -> int:
    """The number of a symbol, in the order in which they were met; -1 when there are too many."""
    mask = len(table) - 1
    slot = (((low ^ (high * 31)) * 0x1E3779B97F4A7C15) >> 40) & mask
    while table[slot, 2] != 0:
        if table[slot, 0] == low and table[slot, 1] == high:
            number: int = table[slot, 2]
            return number - 1
        slot = (slot + 1) & mask
    met: int = counts[PAIRS]
    if met >= len(names):
        return -1
    names[met, 0], names[met, 1] = low, high
    table[slot, 0], table[slot, 1], table[slot, 2] = low, high, met + 1
    counts[PAIRS] = met + 1
    return met


@kernel
def _scan(
    buf: Array, ints: Array, floats: Array, flags: Array, recv: Array, slow: Array, table: Array, names: Array,
    counts: Array,
) -> None:  # fmt: skip
    """All lines of a block; those that are not certain are listed in `slow` with the row that they come before."""
    base: Any = np.int64(buf.ctypes.data)  # numba gives it unsigned, which would not mix with counts
    at, end, row, line, left = base, base + len(buf), 0, 0, 0
    while at < end:
        if byte_at(at) == _NEWLINE:
            at += 1
            continue
        recv_ns, fields, stop = _line(at, end)
        kind, low, high, last, first, time_ms, side, one, two = fields
        certain = stop != 0 and last <= ID_MAX
        pair = _numbered(low, high, table, names, counts) if certain and low != 0 else -1
        if certain and (pair >= 0 or low == 0):
            flags[KIND, row], flags[SIDE, row] = kind, side
            ints[PAIR, row], ints[TRADE_ID, row], ints[FIRST_ID, row] = pair, last, first
            ints[TIME, row], ints[RECV, row] = time_ms, recv_ns // 1_000_000
            trade = kind == TRADE
            floats[PRICE, row], floats[QUANTITY, row] = (one, two) if trade else (np.nan, np.nan)
            floats[BID, row], floats[ASK, row] = (np.nan, np.nan) if trade else (one, two)
            row += 1
        else:
            stop = at
            while stop < end and byte_at(stop) != _NEWLINE:
                stop += 1
            slow[left, 0], slow[left, 1], slow[left, 2], slow[left, 3] = at - base, stop - base, row, line
            left += 1
        recv[line] = recv_ns
        line += 1
        at = stop + 1
    counts[ROWS], counts[LINES], counts[SLOW] = row, line, left


@kernel
def _silences(recv: Array, lines: int, last_recv_ns: int, found: Array) -> tuple[int, int]:
    """Fill in the spans without any line: (how many, the latest receive time)."""
    many = 0
    for line in range(lines):
        recv_ns = recv[line]
        if recv_ns > last_recv_ns:
            if last_recv_ns > 0 and recv_ns - last_recv_ns > SILENCE_NS:
                found[many, 0], found[many, 1] = last_recv_ns, recv_ns
                many += 1
            last_recv_ns = recv_ns
    return many, last_recv_ns


def map_binance(mapper: Mapper, lines: bytes, last_recv_ns: int = 0) -> MarketRows:
    """Do what `blocks.map_lines` does, faster."""
    most = lines.count(b"\n") + 1
    slots = 64
    while slots < min(2 * most, SLOTS_MAX):
        slots *= 2
    ints, floats = np.empty((5, most), dtype=np.int64), np.empty((4, most))
    flags, work = np.empty((2, most), dtype=np.uint8), np.empty((3, most), dtype=np.int64)
    slow, table = np.empty((most, 4), dtype=np.int64), np.zeros((slots, 3), dtype=np.int64)
    names, counts, recv = np.empty((slots // 2, 2), dtype=np.int64), np.zeros(4, dtype=np.int64), work[0]
    _scan(np.frombuffer(lines, dtype=np.uint8), ints, floats, flags, recv, slow, table, names, counts)
    met, rows, messages, left = counts.tolist()
    columns = _columns(ints, floats, flags, rows)
    pairs = [_symbol_text(low, high) for low, high in names[:met].tolist()]
    reader = None
    if left:
        reader = LineReader(mapper)
        places: list[int] = []
        for start, stop, row, line in slow[:left].tolist():
            before = len(reader)
            recv_ns = reader.read(lines[start:stop])
            recv[line] = -1 if recv_ns is None else recv_ns
            places += [row] * (len(reader) - before)
        if places:
            columns, pairs = _merged(columns, pairs, reader, places)
    found = np.empty((messages, 2), dtype=np.int64)
    many, last_recv_ns = _silences(recv, messages, last_recv_ns, found)
    if reader is None:
        return MarketRows(pairs, columns, [], messages, found[:many].copy(), last_recv_ns)
    messages -= int(np.count_nonzero(recv[:messages] == -1))  # blank lines
    silence_ns = found[:many].copy()
    return MarketRows(pairs, columns, reader.rejects, messages, silence_ns, last_recv_ns, reader.frames, reader.told)


def _columns(ints: Array, floats: Array, flags: Array, rows: int) -> Columns:
    pair, trade_id, first_id, time_ms, recv_ms = ints[:, :rows]
    price, quantity, bid, ask = floats[:, :rows]
    kind, side = flags[:, :rows]
    found = (kind, pair, trade_id, first_id, price, quantity, time_ms, recv_ms, side.view(np.bool_), bid, ask)
    return dict(zip(COLUMNS, found, strict=True))


def _symbol_text(low: int, high: int) -> str:
    return (low.to_bytes(8, "little") + high.to_bytes(8, "little")).rstrip(b"\0").decode()


def _merged(fast: Columns, pairs: list[str], reader: LineReader, places: list[int]) -> tuple[Columns, list[str]]:
    """Put the slow rows back where their lines stood, and number the pairs in the order of their first rows."""
    slow = reader.columns()
    total = len(fast["kind"]) + len(places)
    to = np.array(places, dtype=np.int64) + np.arange(len(places))
    others = np.ones(total, dtype=np.bool_)
    others[to] = False
    numbers = {pair: number for number, pair in enumerate(pairs)}
    renumbered = [numbers.setdefault(pair, len(numbers)) for pair in reader.pairs]
    slow["pair"] = np.array([*renumbered, -1], dtype=np.int64)[slow["pair"]]
    merged: Columns = {}
    for name in COLUMNS:
        column: NDArray[Any] = np.empty(total, dtype=fast[name].dtype)
        column[to], column[others] = slow[name], fast[name]
        merged[name] = column
    used, firsts = np.unique(merged["pair"], return_index=True)
    in_order = used[np.argsort(firsts)]
    in_order = in_order[in_order >= 0]
    ranks = np.full(len(numbers) + 1, -1, dtype=np.int64)
    ranks[in_order] = np.arange(len(in_order))
    merged["pair"] = ranks[merged["pair"]]
    named = list(numbers)
    return merged, [named[number] for number in in_order.tolist()]


@warms
def _warm() -> None:
    from tickcast.sources.binance import Binance

    trade = b'{"r":0,"x":"binance","m":{"e":"trade","E":1,"s":"A","t":1,"p":"1.0","q":"1.0","T":1723161600000,'
    map_binance(Binance(), trade + b'"m":true,"M":true}}\n')
