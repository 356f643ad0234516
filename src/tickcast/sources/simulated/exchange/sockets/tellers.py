"""What a venue tells of the market, made when it is due: once for all who listen to that venue.

A teller takes what happened, a block at a time, and lays out which message is sent when (numbers only). Texts are made
for a tick's messages at once. Each message belongs to a stream (a kind of message of one pair) by which connections
choose.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.sources.simulated import kernels as k
from tickcast.sources.simulated.exchange.sockets.frames import text_frames
from tickcast.sources.simulated.exchange.world import Happened
from tickcast.sources.simulated.market import Pair
from tickcast.sources.simulated.templates import MARKET_COLUMNS, Templates, compile_templates, render

I8 = NDArray[np.int64]
TRADE, QUOTE, AGGREGATE = 0, 1, 2
"""Kinds of messages; a stream is `kind * number of pairs + pair`."""
KINDS = 3
BATCH_US = 250_000
"""Coinbase tells a pair's trades of a quarter second in one message, at its end."""

# columns behind those of the market's rows
AGG, FIRST, SENT = k.WIDTH, k.WIDTH + 1, k.WIDTH + 2
COLUMNS = MARKET_COLUMNS | {"aggregate": AGG, "first": FIRST, "sent_us": SENT}

_STAMP = compile_templates([("<time_us:iso>", {})], {"time_us": 0})


class Told:
    """Messages that are due, in order."""

    def __init__(self, streams: I8, texts: list[bytes], time_us: I8) -> None:
        self.streams, self.texts, self.time_us = streams, texts, time_us

    @cached_property
    def frames(self) -> list[bytes]:
        """As WebSocket frames, for all connections alike."""
        return text_frames(self.texts)

    def stamps(self, shift_us: int) -> list[bytes]:
        """When each was sent, by a clock that is so wrong, as RFC 3339."""
        rows = (self.time_us + shift_us)[:, None]
        return render(_STAMP, np.zeros(len(rows), np.int64), rows)

    def __len__(self) -> int:
        return len(self.texts)


class Plan(NamedTuple):
    """The messages of a block: when each is sent, its stream, and the rows that are in it."""

    sent_us: I8
    streams: I8
    rows: I8
    first: I8
    """Where in `rows` each message begins; they end where the next one begins."""


class Teller:
    """One venue's words for what happened. Subclasses say how rows are put into messages and written."""

    def __init__(self, pairs: tuple[Pair, ...], names: Sequence[str]) -> None:
        self.pairs, self.names = pairs, tuple(names)
        self.shift_us = 0
        """How wrong the venue's clock is in what it sends."""
        self._plans: deque[Plan] = deque()
        self._at = 0

    def take(self, block: Happened) -> None:
        """Lay out what will be told of a block."""
        plan = self.plan(block)
        if len(plan.sent_us):
            self._plans.append(plan)

    def due(self, now_us: int) -> list[Told]:
        """What is sent up to now."""
        found = []
        while self._plans:
            plan = self._plans[0]
            begin, self._at = self._at, int(np.searchsorted(plan.sent_us, now_us, side="right"))
            if self._at > begin:
                texts = self.write(plan, begin, self._at)
                found.append(Told(plan.streams[begin : self._at], texts, plan.sent_us[begin : self._at]))
            if self._at < len(plan.sent_us):
                break
            self._plans.popleft()
            self._at = 0
        return found

    def pass_over(self, now_us: int) -> None:
        """Nobody listens: what is sent up to now is never written."""
        while self._plans:
            plan = self._plans[0]
            self._at = int(np.searchsorted(plan.sent_us, now_us, side="right"))
            if self._at < len(plan.sent_us):
                break
            self._plans.popleft()
            self._at = 0

    def plan(self, block: Happened) -> Plan:
        """Which rows go into which message, and when."""
        raise NotImplementedError

    def write(self, plan: Plan, begin: int, end: int) -> list[bytes]:
        """Some of a plan's messages as texts."""
        raise NotImplementedError

    def templates(self, *texts: str) -> Templates:
        """A template of each kind for each pair; `%(name)s` is the pair, `%(low)s` the same in small letters."""
        made = []
        for text in texts:
            for pair, name in zip(self.pairs, self.names, strict=True):
                made.append((text % {"name": name, "low": name.lower()}, decimals_of_quote(pair)))
        return compile_templates(made, COLUMNS)

    def rows_written(self, templates: Templates, plan: Plan, begin: int, end: int) -> tuple[list[bytes], I8]:
        """The texts of the rows of some messages, and where among them each message begins."""
        first = plan.first[begin:end]
        stop = int(plan.first[end]) if end < len(plan.first) else len(plan.rows)
        rows = plan.rows[int(plan.first[begin]) : stop]
        which = (rows[:, k.KIND] - k.TRADE) * len(self.pairs) + rows[:, k.PAIR]
        return render(templates, which, rows), first - plan.first[begin]


def decimals_of_quote(pair: Pair) -> dict[str, int]:
    """How many decimals each field of a market's row has."""
    sizes = dict.fromkeys(("quantity", "bid_size", "ask_size"), pair.quantity.decimals)
    return sizes | dict.fromkeys(("price", "bid", "ask"), pair.price.decimals)


def streams_of(rows: I8, pairs: int) -> I8:
    """The stream of each row."""
    streams: I8 = (rows[:, k.KIND] - k.TRADE) * pairs + rows[:, k.PAIR]
    return streams


def with_aggregates(block: Happened) -> I8:
    """The block's rows and behind the last fill of each aggregate a row of its own, of kind 3."""
    rows = np.zeros((len(block.rows), k.WIDTH + 3), np.int64)
    rows[:, : k.WIDTH] = block.rows
    rows[:, AGG], rows[:, FIRST] = block.aggregate, block.first
    trades = np.flatnonzero(rows[:, k.KIND] == k.TRADE)
    if len(trades) == 0:
        return rows
    order = trades[np.lexsort((trades, rows[trades, k.PAIR]))]
    sorted_rows = rows[order]
    fresh = np.r_[True, (sorted_rows[1:, [k.PAIR, AGG]] != sorted_rows[:-1, [k.PAIR, AGG]]).any(axis=1)]
    first = np.flatnonzero(fresh)
    last = np.r_[first[1:], len(order)] - 1
    made = sorted_rows[last]
    made[:, FIRST] = sorted_rows[first, FIRST]
    made[:, k.QUANTITY] = np.add.reduceat(sorted_rows[:, k.QUANTITY], first)
    made[:, k.KIND] = k.TRADE + AGGREGATE
    place = order[last]
    by_place = np.argsort(place, kind="stable")
    return np.insert(rows, place[by_place] + 1, made[by_place], axis=0)
