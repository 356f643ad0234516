"""Binance's usual messages, many at once: which pair, which trade ids, which times. What `Binance.hear` says, faster.

A kernel walks over messages and takes one only if it is CERTAIN that `hear` would call it a trade or best prices of one
of the wanted pairs: the combined stream's layout, the stream's name and the symbol the same pair, plain numbers in
their bounds. Every other message is left for `hear`, which stays the definition; a fuzz test holds the two together.

The helpers take addresses (see `scan_bytes.py`): `at` and `end`, and 0 for "not certain", which every step hands on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickcast.kernels import kernel, warms
from tickcast.sources.binance_scan import read_book_ticker, read_trade
from tickcast.sources.contract import TIME_MAX_MS, TIME_MIN_MS
from tickcast.sources.decimals import ID_MAX
from tickcast.sources.scan_bytes import NAME_CHARS, after, byte_at, integer

Array: TypeAlias = NDArray[Any]

NUMBER, FIRST, LAST, TIME, SENT = range(5)
"""The columns of what is found: the pair's number (-1: not certain), ids (of best prices `NO_TRADE`), times in ms."""
NO_TRADE = -1
NEXT, TRADES, QUOTES, REACHED, REACHED_MS, MET = range(6)
"""The columns of what is kept of each pair while messages are followed."""
NOT_LIVE = -9
"""As a next id: nothing of this pair simply follows."""
_NEWLINE = ord("\n")


@kernel
def _streamed(at: int, end: int) -> tuple[int, int, int]:
    """The pair that a stream's name begins with: (the symbol's bytes as two words, the place of the @)."""
    start, low, high = at, 0, 0
    if at == 0:
        return 0, 0, 0
    while at < end:
        char, nth = byte_at(at), at - start
        if 97 <= char <= 122:
            char -= 32
        elif not 48 <= char <= 57:
            break
        if nth >= NAME_CHARS:
            return 0, 0, 0
        if nth < 8:
            low |= char << (8 * nth)
        else:
            high |= char << (8 * (nth - 8))
        at += 1
    return low, high, at if at > start else 0


@kernel
def _message(at: int, end: int) -> tuple[int, int, int, int, int, int, int]:
    """One message: (the symbol as two words, first and last id, its time, when it was sent, the place after it)."""
    low, high, name_end = _streamed(after(at, end, '{"stream":"'), end)
    first, last, time_ms, sent_ms = NO_TRADE, NO_TRADE, 0, 0
    data = after(name_end, end, '@aggTrade","data":{"e":"aggTrade","E":')
    if data:
        sent_ms, place = integer(data, end)
        fields, stop = read_trade(data, end, True)
        _, low_s, high_s, last, first, time_ms, _, _, _ = fields
        if place == 0 or not TIME_MIN_MS <= sent_ms <= TIME_MAX_MS or last > ID_MAX:
            stop = 0
    else:
        fields, stop = read_book_ticker(after(name_end, end, '@bookTicker","data":{"u":'), end)
        _, low_s, high_s, _, _, _, _, _, _ = fields
    stop = after(stop, end, "}}")
    if low != low_s or high != high_s or (stop != 0 and stop < end and byte_at(stop) != _NEWLINE):
        stop = 0
    return low, high, first, last, time_ms, sent_ms, stop


@kernel
def _slot(low: int, high: int, table: Array) -> int:
    """Where in the table a symbol is, or would be."""
    mask = len(table) - 1
    slot: int = (((low ^ (high * 31)) * 0x1E3779B97F4A7C15) >> 40) & mask
    while table[slot, 2] != 0 and (table[slot, 0] != low or table[slot, 1] != high):
        slot = (slot + 1) & mask
    return slot


@kernel
def _enter(low: int, high: int, number: int, table: Array) -> None:
    slot = _slot(low, high, table)
    table[slot, 0], table[slot, 1], table[slot, 2] = low, high, number + 1


@kernel
def _look(buf: Array, table: Array, found: Array, kept: Array, met: Array) -> tuple[int, int]:
    """Read lines of messages: (how many lines there are, how many pairs were met); no more lines than `found` holds."""
    base: Any = np.int64(buf.ctypes.data)  # numba gives it unsigned, which would not mix with counts
    at, end, line, many = base, base + len(buf), 0, 0
    while line < len(found):
        low, high, first, last, time_ms, sent_ms, stop = _message(at, end)
        number = -1
        if stop != 0:
            number = table[_slot(low, high, table), 2] - 1
        else:
            stop = at
            while stop < end and byte_at(stop) != _NEWLINE:
                stop += 1
        found[line, NUMBER], found[line, FIRST], found[line, LAST] = number, first, last
        found[line, TIME], found[line, SENT] = time_ms, sent_ms
        if number >= 0 and kept[number, MET] == 0:
            kept[number, MET], met[many] = 1, number
            many += 1
        line += 1
        if stop >= end:
            return line, many
        at = stop + 1
    return line + 1, many


@kernel
def _follow(found: Array, at: int, count: int, kept: Array, met: Array) -> tuple[int, int]:
    """Go on from a message as far as trades follow and quotes are of live pairs: (the first other one, last sent)."""
    sent_ms = 0
    for nth in range(len(met)):
        number = met[nth]
        kept[number, TRADES] = kept[number, QUOTES] = 0
    while at < count:
        number = found[at, NUMBER]
        if number < 0 or kept[number, NEXT] == NOT_LIVE:
            break
        if found[at, FIRST] == NO_TRADE:
            kept[number, QUOTES] += 1
        elif found[at, FIRST] == kept[number, NEXT]:
            kept[number, NEXT], kept[number, REACHED] = found[at, LAST] + 1, found[at, LAST]
            kept[number, REACHED_MS] = found[at, TIME]
            kept[number, TRADES] += 1
            sent_ms = found[at, SENT]
        else:
            break
        at += 1
    return at, sent_ms


class Usual:
    """Looks at many messages at once, of these pairs.

    >>> usual = Usual(["BTCUSDT"])
    >>> usual.look([b'{"result":null,"id":1}', b"{}"]), usual.follow(0, [NOT_LIVE])
    ([], (0, 0))
    """

    def __init__(self, pairs: Sequence[str]) -> None:
        slots = 64
        while slots < 2 * len(pairs):
            slots *= 2
        self._table: Array = np.zeros((slots, 3), dtype=np.int64)
        self._kept: Array = np.zeros((max(len(pairs), 1), 6), dtype=np.int64)
        self._met_all: Array = np.zeros(max(len(pairs), 1), dtype=np.int64)
        self._met = self._met_all[:0]
        self._found: Array = np.empty((1024, 5), dtype=np.int64)
        self._count = 0
        for number, pair in enumerate(pairs):
            text = pair.encode()
            if len(text) <= NAME_CHARS:
                low, high = int.from_bytes(text[:8], "little"), int.from_bytes(text[8:], "little")
                _enter(low, high, number, self._table)

    def look(self, raws: Sequence[bytes]) -> list[int]:
        """Read these messages; the numbers of the pairs that usual ones among them are of."""
        self._kept[self._met, MET] = 0
        self._met, self._count = self._met_all[:0], 0
        if len(raws) > len(self._found):
            self._found = np.empty((2 * len(raws), 5), dtype=np.int64)
        found = self._found[: len(raws)]
        lines, many = _look(
            np.frombuffer(b"\n".join(raws), dtype=np.uint8), self._table, found, self._kept, self._met_all
        )
        self._met = self._met_all[:many]
        if lines != len(raws):  # one has a line break in it: which is which can not be told
            return []
        self._count = lines
        met: list[int] = self._met.tolist()
        return met

    def follow(self, at: int, nexts: Sequence[int]) -> tuple[int, int]:
        """From message `at` on, as far as all is usual: (the first that is not, the last time that a venue told).

        `nexts` is the next id of each pair that `look` has met, in that order, or NOT_LIVE.
        """
        self._kept[self._met, NEXT] = nexts
        stop, sent_ms = _follow(self._found, at, self._count, self._kept, self._met)
        return stop, sent_ms

    def moved(self) -> list[list[int]]:
        """What the last `follow` met of each pair: NEXT, TRADES, QUOTES, REACHED, REACHED_MS."""
        moved: list[list[int]] = self._kept[self._met].tolist()
        return moved


@warms
def _warm() -> None:
    usual = Usual(["A"])
    met = usual.look([b"{}", b"{}"])
    usual.follow(0, [NOT_LIVE] * len(met))
