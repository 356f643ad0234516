"""Messages of one pair that wait for a hole before them to be filled, and the order in which they go out.

came    quote  6  quote  9  quote  5        5 was late
slots   quote  5  quote  6  quote  9        trades stand in the order of their ids, quotes stay where they came
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from tickcast.sources.contract import Message

NO_TRADE = -2
"""`first_id` of what is no trade: a quote, a status."""


class Waiting(NamedTuple):
    """One message that waits."""

    message: Message
    since_s: float
    life: int
    """In which life of its stream it came."""
    doubted: bool
    """Whether something may have been missing before it, unless its own id says otherwise."""
    first_id: int = NO_TRADE
    """-1: a trade whose ids are not consecutive."""
    last_id: int = NO_TRADE
    first_ms: int = 0
    last_ms: int = 0


class Held:
    """A pair's messages that wait."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._sorted = True
        self._highest = NO_TRADE
        self.trades = 0
        """How many of them are trades."""
        self.since_s = math.inf
        """Since when the first of them waits."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, one: Waiting) -> None:
        """One more waits."""
        if not self._waiting:
            self.since_s = one.since_s
        self._waiting.append(one)
        if one.first_id != NO_TRADE:
            self.trades += 1
            self._sorted = self._sorted and one.last_id >= self._highest
            self._highest = max(self._highest, one.last_id)

    def in_order(self) -> list[Waiting]:
        """All that wait, trades sorted into the places of trades."""
        if not self._sorted:
            trades = iter(sorted((one for one in self._waiting if one.first_id != NO_TRADE), key=_by_id))
            self._waiting = [one if one.first_id == NO_TRADE else next(trades) for one in self._waiting]
            self._sorted = True
        return self._waiting

    def drop(self, count: int) -> None:
        """The first `count` in order went out."""
        self._waiting = self._waiting[count:]
        if not self._waiting:
            self._highest = NO_TRADE
        self.trades = sum(one.first_id != NO_TRADE for one in self._waiting)
        self.since_s = min((one.since_s for one in self._waiting), default=math.inf)

    def older_than(self, moment_s: float) -> int:
        """How many must go out so that none waits that came before that moment."""
        return max((at for at, one in enumerate(self.in_order(), 1) if one.since_s <= moment_s), default=0)

    def before(self, number: int) -> int:
        """How many must go out so that no trade waits whose ids come before that one."""
        early = (at for at, one in enumerate(self.in_order(), 1) if one.first_id >= 0 and one.last_id < number)
        return max(early, default=0)

    def first_trade(self) -> Waiting | None:
        """The trade before which the hole is."""
        return next(self._trades(), None)

    def _trades(self) -> Iterator[Waiting]:
        return (one for one in self.in_order() if one.first_id != NO_TRADE)


def _by_id(one: Waiting) -> tuple[int, int]:
    return (one.last_id, one.first_id)
