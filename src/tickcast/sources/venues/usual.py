"""A venue's usual messages, many at once: which pair, which trade ids, which times. What its `hear` says, faster.

A kernel walks over messages and takes one only if it is CERTAIN that `hear` would call it trades that follow each
other, or best prices, of one of the wanted pairs, with nothing else to it. Every other message is left for `hear`,
which stays the definition; a fuzz test holds the two together.

The helpers take addresses (see `scan_bytes.py`): `at` and `end`, and 0 for "not certain", which every step hands on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickcast.kernels import helper, kernel, warms
from tickcast.sources.scan_bytes import NAME_CHARS, byte_at
from tickcast.sources.scan_lines import BINANCE, COINBASE, VENUES
from tickcast.sources.venues import binance_usual, coinbase_usual, kraken_usual
from tickcast.sources.venues.told import NO_TRADE

Array: TypeAlias = NDArray[Any]

NUMBER, FIRST, LAST, TIME, SENT, SEQUENCE = range(6)
"""The columns of what is found: the pair's number (-1: not certain), ids (of best prices `NO_TRADE`), times in ms, the
message's number in its connection."""
NEXT, TRADES, QUOTES, REACHED, REACHED_MS, MET = range(6)
"""The columns of what is kept of each pair while messages are followed."""
NOT_LIVE = -9
"""As a next id: nothing of this pair simply follows."""
_NEWLINE = ord("\n")


@helper
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
def _look(venue: int, buf: Array, table: Array, found: Array, kept: Array, met: Array) -> tuple[int, int]:
    """Read lines of messages: (how many lines there are, how many pairs were met); no more lines than `found` holds."""
    base: Any = np.int64(buf.ctypes.data)  # numba gives it unsigned, which would not mix with counts
    at, end, line, many = base, base + len(buf), 0, 0
    while line < len(found):
        if venue == BINANCE:
            told = binance_usual.read_message(at, end)
        elif venue == COINBASE:
            told = coinbase_usual.read_message(at, end)
        else:
            told = kraken_usual.read_message(at, end)
        low, high, first, last, time_ms, sent_ms, sequence, stop = told
        if stop != 0 and stop < end and byte_at(stop) != _NEWLINE:
            stop = 0
        number = -1
        if stop != 0:
            number = table[_slot(low, high, table), 2] - 1
        else:
            stop = at
            while stop < end and byte_at(stop) != _NEWLINE:
                stop += 1
        found[line, NUMBER], found[line, FIRST], found[line, LAST] = number, first, last
        found[line, TIME], found[line, SENT], found[line, SEQUENCE] = time_ms, sent_ms, sequence
        if number >= 0 and kept[number, MET] == 0:
            kept[number, MET], met[many] = 1, number
            many += 1
        line += 1
        if stop >= end:
            return line, many
        at = stop + 1
    return line + 1, many


@kernel
def _follow(found: Array, at: int, count: int, kept: Array, met: Array, reached: int) -> tuple[int, int, int]:
    """Go on from a message as far as trades follow, quotes are of live pairs, and messages are numbered in a row.

    Returns the first other one, the last time sent, and the last number (`reached` is that of the message before).
    """
    sent_ms = 0
    for nth in range(len(met)):
        number = met[nth]
        kept[number, TRADES] = kept[number, QUOTES] = 0
    while at < count:
        number = found[at, NUMBER]
        if number < 0 or kept[number, NEXT] == NOT_LIVE:
            break
        sequence = found[at, SEQUENCE]
        if sequence >= 0 and reached >= 0 and sequence != reached + 1:
            break
        if found[at, FIRST] == NO_TRADE:
            kept[number, QUOTES] += 1
        elif found[at, FIRST] == kept[number, NEXT]:
            kept[number, NEXT], kept[number, REACHED] = found[at, LAST] + 1, found[at, LAST]
            kept[number, REACHED_MS] = found[at, TIME]
            kept[number, TRADES] += 1
        else:
            break
        if found[at, SENT] != 0:
            sent_ms = found[at, SENT]
        reached = max(reached, sequence)
        at += 1
    return at, sent_ms, reached


class Usual:
    """Looks at many messages of a venue at once, of these pairs.

    >>> usual = Usual("binance", ["BTCUSDT"])
    >>> usual.look([b'{"result":null,"id":1}', b"{}"]), usual.follow(0, [NOT_LIVE])
    ([], (0, 0, -1))
    """

    def __init__(self, venue: str, pairs: Sequence[str]) -> None:
        self._venue = VENUES[venue]
        slots = 64
        while slots < 2 * len(pairs):
            slots *= 2
        self._table: Array = np.zeros((slots, 3), dtype=np.int64)
        self._kept: Array = np.zeros((max(len(pairs), 1), 6), dtype=np.int64)
        self._met_all: Array = np.zeros(max(len(pairs), 1), dtype=np.int64)
        self._met = self._met_all[:0]
        self._found: Array = np.empty((1024, 6), dtype=np.int64)
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
            self._found = np.empty((2 * len(raws), 6), dtype=np.int64)
        found = self._found[: len(raws)]
        text = np.frombuffer(b"\n".join(raws), dtype=np.uint8)
        lines, many = _look(self._venue, text, self._table, found, self._kept, self._met_all)
        self._met = self._met_all[:many]
        if lines != len(raws):  # one has a line break in it: which is which can not be told
            return []
        self._count = lines
        met: list[int] = self._met.tolist()
        return met

    def follow(self, at: int, nexts: Sequence[int], reached: int = -1) -> tuple[int, int, int]:
        """From message `at` on, as far as all is usual: (the first that is not, the last time told, the last number).

        `nexts` is the next id of each pair that `look` has met, in that order, or NOT_LIVE; `reached` the number of the
        message before in its connection, -1 where there was none or the venue does not number.
        """
        self._kept[self._met, NEXT] = nexts
        return _follow(self._found, at, self._count, self._kept, self._met, reached)

    def moved(self) -> list[list[int]]:
        """What the last `follow` met of each pair: NEXT, TRADES, QUOTES, REACHED, REACHED_MS."""
        moved: list[list[int]] = self._kept[self._met].tolist()
        return moved


@warms
def _warm() -> None:
    usual = Usual("binance", ["A"])
    met = usual.look([b"{}", b"{}"])
    usual.follow(0, [NOT_LIVE] * len(met))
