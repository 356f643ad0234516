"""All trades of one pair, in columns that grow at one end and are cut at the other: what REST and tests ask.

A query is two binary searches and a few slices, so that a page of 1000 rows costs microseconds before it is written.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

I8 = NDArray[np.int64]
ROOM_MIN = 4096


class Span(NamedTuple):
    """Consecutive trades of one pair: views, valid until the archive grows."""

    time_us: I8
    id: I8
    price: I8
    quantity: I8
    maker: I8
    aggregate: I8
    """Which aggregate each belongs to: the fills of one order at one price."""
    first: I8
    """The first id that each covers: its own, but for a capture of aggregates."""

    @property
    def size(self) -> int:
        """How many trades."""
        return len(self.time_us)

    def last(self, count: int) -> Span:
        """The newest of them."""
        return Span(*(column[-count:] for column in self))

    def rows(self) -> I8:
        """The columns side by side, for templates."""
        return np.column_stack(self)


COLUMNS = {name: at for at, name in enumerate(Span._fields)}
"""Where a template finds each field of `Span.rows()`."""


class Archive:
    """The trades of one pair, from the oldest that is kept; times rise, ids rise, aggregates are consecutive.

    Where ids begin anew, they rise from there on, and are asked for among those.

    >>> archive = Archive()
    >>> _ = archive.append(*(np.array(column) for column in ([5, 5, 9], [1, 2, 3], [10, 10, 11], [1, 2, 3], [0, 0, 1])))
    >>> archive.all().aggregate.tolist()
    [1, 1, 2]
    >>> archive.between(0, 9).id.tolist()
    [1, 2]
    """

    def __init__(self, first_aggregate: int = 1) -> None:
        self._columns = [np.empty(ROOM_MIN, np.int64) for _ in Span._fields[:-1]]
        self._first: I8 | None = None
        self._begin = self._end = 0
        self._newest = 0
        """Where the newest sequence of ids begins."""
        self._next_aggregate = first_aggregate
        self.forgotten_us = 0
        """Trades before this time are not there any more."""

    def __len__(self) -> int:
        return self._end - self._begin

    def append(self, time_us: I8, ident: I8, price: I8, quantity: I8, maker: I8, first: I8 | None = None) -> I8:
        """Add what happened next; says which aggregate each of them belongs to. `first` comes always or never."""
        count = len(time_us)
        if count == 0:
            return np.empty(0, np.int64)
        if first is not None and self._first is None:
            self._first = np.empty(len(self._columns[0]), np.int64)
        self._make_room(count)
        fresh = np.empty(count, np.bool_)
        fresh[0] = True  # an order is never split over two blocks
        fresh[1:] = (time_us[1:] != time_us[:-1]) | (price[1:] != price[:-1]) | (maker[1:] != maker[:-1])
        aggregate = np.cumsum(fresh) + (self._next_aggregate - 1)
        self._next_aggregate = int(aggregate[-1]) + 1
        falls = np.flatnonzero(ident[1:] <= ident[:-1]) + 1
        if self._end and ident[0] <= self._columns[1][self._end - 1]:
            self._newest = self._end
        if len(falls):
            self._newest = self._end + int(falls[-1])
        for column, values in zip(self._columns, (time_us, ident, price, quantity, maker, aggregate), strict=True):
            column[self._end : self._end + count] = values
        if first is not None and self._first is not None:
            self._first[self._end : self._end + count] = first
        self._end += count
        return aggregate

    def forget(self, before_us: int) -> None:
        """Let go of what is older."""
        if before_us > self.forgotten_us:
            self._begin = self._at(before_us)
            self.forgotten_us = before_us

    def all(self) -> Span:
        """Everything that is kept."""
        return self._span(self._begin, self._end)

    def between(self, from_us: int, to_us: int) -> Span:
        """The trades in [from_us, to_us)."""
        begin = self._at(from_us)
        return self._span(begin, max(begin, self._at(to_us)))

    def by_id(self, first: int, count: int, to_us: int) -> Span:
        """At most so many from an id on, of those before a time."""
        newest = max(self._begin, self._newest)
        begin = newest + int(np.searchsorted(self._columns[1][newest : self._end], _bounded(first)))
        return self._span(begin, max(begin, min(begin + count, self._at(to_us))))

    def by_aggregate(self, first: int, count: int, to_us: int) -> Span:
        """The trades of at most so many aggregates from one on, of those before a time."""
        numbers = self._kept(5)
        begin = self._begin + int(np.searchsorted(numbers, _bounded(first)))
        if begin == self._end:
            return self._span(begin, begin)
        end = self._begin + int(np.searchsorted(numbers, self._columns[5][begin] + count))
        return self._span(begin, max(begin, min(end, self._at(to_us))))

    def first_aggregate_at(self, time_us: int) -> int:
        """The aggregate that is the first at or after a time; the next one to come, where none is."""
        at = self._at(time_us)
        return int(self._columns[5][at]) if at < self._end else self._next_aggregate

    def _span(self, begin: int, end: int) -> Span:
        first = self._columns[1] if self._first is None else self._first
        return Span(*(column[begin:end] for column in (*self._columns, first)))

    def _kept(self, column: int) -> I8:
        return self._columns[column][self._begin : self._end]

    def _at(self, time_us: int) -> int:
        return self._begin + int(np.searchsorted(self._kept(0), _bounded(time_us)))

    def _make_room(self, count: int) -> None:
        room = len(self._columns[0])
        if self._end + count <= room:
            return
        kept = self._end - self._begin
        grown = room if kept + count <= room * 3 // 4 else max(2 * room, 2 * (kept + count))
        self._columns = [self._moved(column, grown) for column in self._columns]
        if self._first is not None:
            self._first = self._moved(self._first, grown)
        self._begin, self._end, self._newest = 0, kept, max(0, self._newest - self._begin)

    def _moved(self, column: I8, room: int) -> I8:
        target = column if room == len(column) else np.empty(room, np.int64)
        target[: self._end - self._begin] = column[self._begin : self._end]
        return target


def _bounded(asked: int) -> int:
    """Whatever clients ask for, as 64 bits."""
    return min(max(asked, 0), 1 << 62)
