"""Windows older than the ring, made anew from history that holds all of them.

    ring            |c|c|c|open|
    history   |-----|-----|        two windows before the ring are whole in it: they are folded apart, from nothing

A line that goes on where the last one ended begins at that one's last price: its quiet first windows are flat.

A late trade can change the last windows only; what was missing for longer comes back as history, which says from when
to when it is all there is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tickcast.candles.layout import (
    CHAIN,
    CLOSE,
    CLOSED,
    DAMAGED,
    DUPLICATES,
    EVIDENCE,
    HEAD,
    HEADER,
    LOW,
    OPEN,
    OUTDATED_FROM,
    OUTDATED_TO,
    OVERLAPPING,
    PARTIAL_FROM,
    REBUILDS,
    REVISION,
    SLOTS,
    START,
    TOLD_ID,
    TOLD_LAST,
    TOLD_PRICE,
    TOLD_TO,
    USED,
    WIDTH,
    Book,
)
from tickcast.events import CANDLES, COMPLETE, PARTIAL, REPAIRED, Columns, Frame

REVISION_FROM = 1 << 20
"""Revisions of rebuilt windows: how often a forgotten window was issued is forgotten too, and this is beyond it."""

REBUILT_PARTIAL_FROM = -500_000
"""The same where they are partial still: above those of the ring that were, below the venue's own candles."""


class Rebuilder:
    """One frame of history beside the ring as it stood before; `frame` is what to fold apart where that is `wanted`."""

    def __init__(self, book: Book, frame: Frame) -> None:
        self._since, self._until = frame.whole_from_ms, frame.low_ms
        self._evidence = int(book.facts[EVIDENCE])
        self._floors = {int(header[WIDTH]): floor(book, c) for c, header in enumerate(book.spot[:, HEADER])}
        self._until = min(self._until, max(self._floors.values(), default=0))
        times = frame.columns["timestamp_ms"]
        old = (times >= self._since) & (times < self._until)
        rows = {name: column[old] for name, column in frame.columns.items()}
        self.frame = Frame("trades", frame.exchange, frame.pair, self._until, rows, whole_from_ms=self._since)
        self._known_after = _refused(book) + len(frame)
        self._before = _told_before(book, self._since)
        _note_told(book, frame)

    def wanted(self, book: Book) -> bool:
        """Whether it holds windows that the ring does not, and tells something new of them."""
        since, until = book.facts[OUTDATED_FROM], book.facts[OUTDATED_TO]
        tells_news = _refused(book) < self._known_after or (since < self._until and self._since < until)
        tells_news |= not len(self.frame) and self._since < self._evidence
        starts = len(self.frame) > 0 or self._before is not None
        spans = [self._span(width) for width in self._floors]
        if not (tells_news and starts and any(first < last for first, last in spans)):
            return False
        if self._since <= since and until <= self._until:
            book.facts[OUTDATED_FROM] = book.facts[OUTDATED_TO] = 0
        return True

    def _span(self, width: int) -> tuple[int, int]:
        """From when to when windows of a length lie wholly in the history, and before the ring."""
        last = min(self._until, self._floors[width])
        return -(-self._since // width) * width, last - last % width

    def begin(self, book: Book) -> None:
        """A book that knows nothing begins where the line before this one ended, if there was one."""
        if self._before is None:
            return
        time_ms, number, price = self._before
        for spot, money in zip(book.spot, book.money, strict=True):
            start = self._since - self._since % spot[HEADER, WIDTH]
            spot[HEADER, CHAIN] = 1
            spot[0, START], spot[0, REVISION], spot[0, DAMAGED] = start, PARTIAL_FROM - 1, start < self._since
            money[0, OPEN : CLOSE + 1] = price
        book.facts[LOW] = book.facts[EVIDENCE] = self._since
        if number >= 0:  # ids that do not go on from there are a hole
            book.facts[USED], book.ids[0] = 1, (number, number, time_ms, time_ms)

    def chosen(self, book: Book, issued: Columns | None) -> Columns:
        """Of what the fold apart gave, the windows that the ring could not change, as repaired."""
        if issued is None:
            return CANDLES.empty()
        start, width = issued["window_start_ms"], issued["candle_seconds"] * 1000
        kept = np.zeros(len(start), dtype=np.bool_)
        for length in self._floors:
            first, last = self._span(length)
            kept |= (width == length) & (start >= first) & (start + length <= last)
        rows = {name: column[kept] for name, column in issued.items()}
        book.facts[REBUILDS] += 1
        rows["known_at_ms"] = np.full(int(kept.sum()), book.facts[LOW])
        never_issued = rows["window_end_ms"] <= self._evidence
        rows["quality"] = _labels(rows["quality"], never_issued)
        since = np.where(rows["quality"] == PARTIAL, REBUILT_PARTIAL_FROM, REVISION_FROM)
        rows["revision"] = since + book.facts[REBUILDS]
        return rows


def start_anew(book: Book, frame: Frame) -> Frame | None:
    """History of a pair whose time went on without any trade: windows begin with it. What to fold in behind it."""
    facts = book.facts
    low, evidence = int(facts[LOW]), int(facts[EVIDENCE])
    if facts[USED] or not len(frame) or not 0 < frame.whole_from_ms < low:
        return None
    facts[LOW] = facts[EVIDENCE] = frame.whole_from_ms
    blind_ms = frame.low_ms if frame.low_ms < evidence else 0
    rest = {name: column[:0] for name, column in frame.columns.items()}
    return Frame("trades", frame.exchange, frame.pair, low, rest, blind_ms)


def _told_before(book: Book, since_ms: int) -> tuple[int, int, float] | None:
    """The last trade (time, id, price) of the line that this one goes on from; None: there was no such line."""
    facts = book.facts
    if not 0 < facts[TOLD_LAST] < since_ms <= facts[TOLD_TO]:
        return None
    price = facts[TOLD_PRICE : TOLD_PRICE + 1].view(np.float64)[0]
    return int(facts[TOLD_LAST]), int(facts[TOLD_ID]), float(price)


def _note_told(book: Book, frame: Frame) -> None:
    """Where this line ends, and with which trade; a quiet one goes on with that of the line before, if it joins it."""
    facts, rows = book.facts, frame.columns
    times = rows["timestamp_ms"]
    if len(times):
        last = int(np.flatnonzero(times == times.max())[-1])
        facts[TOLD_TO], facts[TOLD_LAST] = frame.low_ms, times[last]
        facts[TOLD_ID] = rows["trade_id"][-1] if rows["first_id"].min() >= 0 else -1
        facts[TOLD_PRICE : TOLD_PRICE + 1] = rows["price"][last : last + 1].view(np.int64)
    elif frame.whole_from_ms <= facts[TOLD_TO]:
        facts[TOLD_TO] = max(int(facts[TOLD_TO]), frame.low_ms)
    else:
        facts[TOLD_TO] = facts[TOLD_LAST] = facts[TOLD_ID] = facts[TOLD_PRICE] = 0


def _refused(book: Book) -> int:
    return int(book.facts[DUPLICATES] + book.facts[OVERLAPPING])


def _labels(quality: NDArray[np.uint8], never_issued: NDArray[np.bool_]) -> NDArray[np.uint8]:
    whole = np.where(never_issued, COMPLETE, REPAIRED)
    return np.where(quality == PARTIAL, PARTIAL, whole).astype(np.uint8)


def floor(book: Book, c: int) -> int:
    """The start of the oldest window that the ring still holds; 0 where it holds none."""
    header = book.spot[c, HEADER]
    if not header[CHAIN] and not header[CLOSED]:
        return 0
    return int(book.spot[c, (header[HEAD] - header[CLOSED]) % SLOTS, START])
