"""Journal lines straight into columns: several million trades a second where the layout is a venue's usual one.

A kernel walks the bytes and takes a line only if it is CERTAIN of all of it: the keys in the venue's order, no spaces,
no escapes, plain numbers. Every other line goes to `blocks.LineReader`, in its place, so the answer is always the one
that `blocks.map_lines` defines, bit for bit; a fuzz test holds the two together.

    lines ─→ certain (`binance_scan`, `coinbase_scan`, `kraken_scan`) ─→ rows ─┬→ columns
         └─→ all others, by the venue's mapper ───────────────────────→ rows ──┘
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickcast.events import Columns
from tickcast.kernels import borrow, kernel, warms
from tickcast.sources import binance_scan, coinbase_scan, kraken_scan
from tickcast.sources.blocks import COLUMNS, RECV_MAX_NS, SILENCE_NS, LineReader
from tickcast.sources.contract import Mapper, MarketRows
from tickcast.sources.registry import reader_for
from tickcast.sources.scan_bytes import after, byte_at, integer
from tickcast.sources.scan_rows import LINES, ROWS, SLOW, Array, settled

BINANCE, COINBASE, KRAKEN = range(3)
VENUES = {"binance": BINANCE, "coinbase": COINBASE, "kraken": KRAKEN}
"""The venues whose lines can be scanned."""

_NEWLINE = ord("\n")
_SLOTS_MAX = 4096
_ROW_BYTES_MIN = 48
"""No row beyond the first of its line is told in less."""


@kernel
def _scan(
    venue: int, buf: Array, ints: Array, floats: Array, flags: Array, recv: Array, slow: Array, table: Array,
    names: Array, counts: Array,
) -> None:  # fmt: skip
    """All lines of a block; those that are not certain are listed in `slow` with the row that they come before."""
    base: Any = np.int64(buf.ctypes.data)  # numba gives it unsigned, which would not mix with counts
    at, end, row, line, left = base, base + len(buf), 0, 0, 0
    whole, prices, marks = borrow(ints), borrow(floats), borrow(flags)
    known, met, tally = borrow(table), borrow(names), borrow(counts)
    while at < end:
        if byte_at(at) == _NEWLINE:
            at += 1
            continue
        recv_ns, stop = integer(after(at, end, '{"r":'), end)
        if recv_ns > RECV_MAX_NS:
            stop = 0
        if venue == BINANCE:
            stop = after(stop, end, ',"x":"binance","m":')
            rows, stop = binance_scan.read_line(stop, end, row, whole, prices, marks)
        elif venue == COINBASE:
            stop = after(stop, end, ',"x":"coinbase","m":')
            rows, stop = coinbase_scan.read_line(stop, end, row, whole, prices, marks)
        else:
            stop = after(stop, end, ',"x":"kraken","m":')
            rows, stop = kraken_scan.read_line(stop, end, row, whole, prices, marks)
        if stop != 0 and stop < end and byte_at(stop) != _NEWLINE:
            stop = 0
        if stop != 0 and settled(row, rows, recv_ns // 1_000_000, whole, prices, marks, known, met, tally):
            row = rows
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


def scan_lines(mapper: Mapper, lines: bytes, last_recv_ns: int = 0) -> MarketRows:
    """Do what `blocks.map_lines` does, faster; of an exchange in `VENUES`."""
    most_lines = lines.count(b"\n") + 1
    most = most_lines + len(lines) // _ROW_BYTES_MIN
    slots = 64
    while slots < min(2 * most_lines, _SLOTS_MAX):
        slots *= 2
    ints, floats = np.empty((7, most), dtype=np.int64), np.empty((4, most))
    flags, work = np.empty((2, most), dtype=np.uint8), np.empty((3, most_lines), dtype=np.int64)
    slow, table = np.empty((most_lines, 4), dtype=np.int64), np.zeros((slots, 3), dtype=np.int64)
    names, counts, recv = np.empty((slots // 2, 2), dtype=np.int64), np.zeros(4, dtype=np.int64), work[0]
    venue = VENUES[mapper.exchange]
    _scan(venue, np.frombuffer(lines, dtype=np.uint8), ints, floats, flags, recv, slow, table, names, counts)
    met, rows, messages, left = counts.tolist()
    columns = _columns(ints, floats, flags, rows)
    pairs = [_name_text(low, high) for low, high in names[:met].tolist()]
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
    pair, trade_id, first_id, time_ms, recv_ms = ints[:5, :rows]
    price, quantity, bid, ask = floats[:, :rows]
    kind, side = flags[:, :rows]
    found = (kind, pair, trade_id, first_id, price, quantity, time_ms, recv_ms, side.view(np.bool_), bid, ask)
    return dict(zip(COLUMNS, found, strict=True))


def _name_text(low: int, high: int) -> str:
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
    for exchange in VENUES:
        scan_lines(reader_for(exchange), b"{}\n")
