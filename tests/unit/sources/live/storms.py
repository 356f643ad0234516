"""A market, a stream that damages it, and a history that answers late: what a joiner is tried on, from one seed."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tickcast.events import TRADES
from tickcast.sequences import beginnings
from tickcast.sources.contract import Message
from tickcast.sources.history.contract import After, Part
from tickcast.sources.history.parts import Gatherer
from tickcast.sources.live.contract import KnownTrades
from tickcast.sources.live.joiner import Joiner
from tickcast.sources.live.joining import Joined, Limits, Unseen, Want
from tickcast.sources.venues.contract import Span

PAIR = "BTC/USD"
ALIGN_MS = 10_000


class Trade(NamedTuple):
    first: int
    last: int
    ms: int


class Storm(msgspec.Struct, frozen=True):
    """What goes wrong; chances are of one in a hundred."""

    seed: int
    trades: int = 120
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    quotes: int = 30
    cuts: int = 0
    jumps: int = 0
    suspicions: int = 0
    aggregates: bool = False
    linked: bool = True
    history_s: float = 0.3
    history_fails: int = 0
    history_lags_ms: int = 0
    never_there: int = 0
    """Ids that the venue itself skips."""
    page: int = 25
    hold_s: float = 3.0
    known: int = 0
    """How many of the first trades the journal holds already, with a hole in the midst."""
    anew: int = -1
    """Before this trade the pair is delisted for a while, and listed anew: its ids begin with 1."""
    from_start: bool = False
    """History is asked for all before the stream opens, though nothing is known."""


def market_of(storm: Storm, chance: random.Random) -> list[Trade]:
    """Trades a tenth of a second apart or so, in bursts of equal time too."""
    trades: list[Trade] = []
    next_id, ms = 1000, 100_000
    for at in range(storm.trades):
        if at == storm.anew:
            next_id, ms = 1, ms + chance.choice((10_500, 14_000, 40_000))
        ms += chance.choice((0, 1, 20, 90, 150, 400))
        if chance.randrange(100) < storm.never_there:
            next_id += chance.randint(1, 3)
        width = chance.randint(0, 4) if storm.aggregates else 0
        trades.append(Trade(next_id, next_id + width, ms))
        next_id += width + 1
    return trades


def part_of(rows: list[Trade], span: tuple[int, int], *, end: bool, linked: bool = True) -> Part:
    """An answer of history."""
    dicts = [
        {
            "trade_id": row.last,
            "first_id": row.first if linked else -1,
            "timestamp_ms": row.ms,
            "price": 1.0,
            "quantity": 1.0,
        }
        for row in rows
    ]
    return Part("trades", PAIR, 0, *span, (b"[]",), TRADES.rows(dicts), end, span[1])


class Run:
    """One storm, played to its end and until all is calm."""

    def __init__(self, storm: Storm, check: Callable[[Run], None] = lambda run: None) -> None:
        self.storm, self.check = storm, check
        self.chance = random.Random(storm.seed)
        self.market = market_of(storm, self.chance)
        self.calm = False
        self.now_s = self.market[0].ms / 1000
        self.out: list[Any] = []
        self.heard: list[bytes] = []
        known = self._known()
        limits = Limits(
            hold_s=storm.hold_s, first_hold_s=3 * storm.hold_s, align_ms=ALIGN_MS, young_ms=5000, audit_s=0.2
        )
        self.joiner = Joiner(PAIR, known, self.market[0].ms if storm.from_start else 0, limits)
        self._asked_at: dict[int, Gatherer] = {}
        self._order = itertools.count()
        self._todo: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._walk = 0

    def _known(self) -> KnownTrades:
        have = self.market[: self.storm.known]
        self.known = have[: len(have) // 3] + have[len(have) // 3 + 2 :]
        spans: list[tuple[int, int, int, int]] = []
        for one in self.known:
            if spans and spans[-1][1] + 1 == one.first:
                spans[-1] = (spans[-1][0], one.last, spans[-1][2], one.ms)
            else:
                spans.append((one.first, one.last, one.ms, one.ms))
        return KnownTrades(tuple(spans), spans[-1][3] if spans else 0)

    # what is played

    def play(self) -> Run:
        """All of it."""
        begin_s = self.market[self.storm.known].ms / 1000 - 0.001 if self.storm.known else self.now_s - 0.001
        if self.joiner.caught_up:
            self._at(begin_s, self._subscribe)
        else:
            self._at(begin_s, lambda: self._subscribe_when_caught_up(begin_s))
        self._stream()
        end_s = self.market[-1].ms / 1000 + 1
        self._at(end_s, self._calm_down)
        for beat in range(int((end_s + 8 - self.now_s) / 0.05) + 1):
            self._at(self.now_s + beat * 0.05, lambda: None)
        self._go()
        for _ in range(3000):
            if self.joiner.settled:
                return self
            self._at(self.now_s + 0.2, lambda: None)
            self._go()
        raise AssertionError("it never became calm")

    def _subscribe_when_caught_up(self, since_s: float) -> None:
        if self.joiner.caught_up or self.now_s - since_s > 5:
            self._subscribe()
        else:
            self._at(self.now_s + 0.05, lambda: self._subscribe_when_caught_up(since_s))

    def _subscribe(self) -> None:
        self.open = True
        self._keep(self.joiner.subscribed(self.now_s, int(self.now_s * 1000)))

    open = False
    down = False

    def _stream(self) -> None:
        storm, chance = self.storm, self.chance
        for one in self.market[storm.known :]:
            at_s = one.ms / 1000
            copies = 2 if chance.randrange(100) < storm.doubled else 1
            for _ in range(0 if chance.randrange(100) < storm.lost else copies):
                late_s = chance.uniform(0.01, 0.4) if chance.randrange(100) < storm.reordered else 0.0
                self._at(at_s + late_s, partial(self._hear, one))
            if chance.randrange(100) < storm.quotes:
                self._at(at_s, self._quote)
            if chance.randrange(100) < storm.cuts:
                self._at(at_s, self._cut)
                self._at(at_s + chance.uniform(0.1, 6.0), self._back)
            if chance.randrange(100) < storm.jumps:
                self._at(at_s, lambda: self.joiner.jumped(self.now_s))
            if chance.randrange(100) < storm.suspicions:
                self._at(at_s, lambda: self.joiner.suspect(self.now_s))

    def _cut(self) -> None:
        if self.open:
            self.down = True
            self.joiner.cut()

    def _back(self) -> None:
        if self.down:
            self.down = False
            self._subscribe()

    def _calm_down(self) -> None:
        """The faults end; one last trade and silence."""
        self.calm = True
        self._back()
        last = self.market[-1]
        self.market.append(Trade(last.last + 1, last.last + 1, last.ms + 900))
        self._at((last.ms + 900) / 1000, lambda: self._hear(self.market[-1]))

    def _hear(self, one: Trade) -> None:
        if self.down or not self.open:
            return
        first = one.first if self.storm.linked else -1
        message = self._message(b"%d %d" % (one.first, one.last))
        span = Span(PAIR, first, one.last if self.storm.linked else -1, one.ms, one.ms)
        self._keep([message] if self.joiner.flows(span) else self.joiner.hear(self.now_s, message, span))

    def _quote(self) -> None:
        if self.open and not self.down:
            message = self._message(b"quote")
            self._keep([message] if self.joiner.live else self.joiner.hear_other(self.now_s, message))

    def _message(self, what: bytes) -> Message:
        raw = b"%d %b" % (next(self._number), what)
        self.heard.append(raw)
        return Message(round(self.now_s * 1e9), "kraken", raw)

    # what history does

    def _ask(self) -> None:
        want = self.joiner.want(self.now_s)
        if want is None:
            return
        gatherer = None if want.urgent else Gatherer(ALIGN_MS, wanted=2)
        self._at(self.now_s + self._delay(), lambda: self._answer(want, want.after, gatherer))

    def _delay(self) -> float:
        return self.chance.uniform(0.3, 1.0) * self.storm.history_s

    def _answer(self, want: Want, after: After, gatherer: Gatherer | None) -> None:
        if not self.calm and self.chance.randrange(100) < self.storm.history_fails:
            self._give(want, gatherer)
            self.joiner.failed(want, self.now_s)
            self._decide(want)
            return
        lag_ms = 0 if self.calm else self.storm.history_lags_ms
        now_ms = max(int(self.now_s * 1000) - lag_ms, after.timestamp_ms)
        until_ms = min(want.until_ms or now_ms + 1, now_ms + 1)
        inside = [one for one in self.market if after.timestamp_ms <= one.ms < until_ms]
        ids, times = (np.array([one[field] for one in inside], dtype=np.int64) for field in (1, 2))
        anew = next(iter(beginnings(ids, times, after.trade_id, after.timestamp_ms)), len(inside))
        seen = [one for at, one in enumerate(inside) if at >= anew or one.last > after.trade_id]
        rows, more = seen[: self.storm.page], len(seen) > self.storm.page
        to_ms = rows[-1].ms if more else until_ms
        part = part_of(rows, (after.timestamp_ms, to_ms), end=not more, linked=self.storm.linked)
        if gatherer is None:
            self._keep(self.joiner.part(want, part, self.now_s))
        elif (whole := gatherer.add(part)) is not None:
            self._keep(self.joiner.part(want, whole, self.now_s))
        if more and not self.joiner.satisfied(want):
            self._at(self.now_s + self._delay(), lambda: self._answer(want, After(to_ms, rows[-1].last), gatherer))
        else:
            self._give(want, gatherer)
            self.joiner.done(want, self.now_s)
            self._decide(want)

    def _decide(self, want: Want) -> None:
        if want.suspected and want.fresh:
            self._at(self.now_s + 0.5, self.joiner.trust)

    def _give(self, want: Want, gatherer: Gatherer | None) -> None:
        whole = gatherer.rest() if gatherer else None
        if whole is not None:
            self._keep(self.joiner.part(want, whole, self.now_s))

    # time

    def _at(self, at_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._todo, (at_s, next(self._order), what))

    def _go(self) -> None:
        while self._todo:
            at_s, _, what = heapq.heappop(self._todo)
            self.now_s = max(at_s, self.now_s)
            what()
            self._keep(self.joiner.tick(self.now_s))
            self._ask()
            self.check(self)

    def _keep(self, out: list[Any]) -> None:
        self.out += out

    # what came out

    def emitted(self) -> list[range]:
        """The ids of trades in the order in which they went out, a range each."""
        told: list[range] = []
        for one in self.out:
            if isinstance(one, Joined):
                rows = one.part.rows
                firsts = rows["first_id"] if self.storm.linked else rows["trade_id"]
                told += [range(a, b + 1) for a, b in zip(firsts.tolist(), rows["trade_id"].tolist(), strict=True)]
            elif isinstance(one, Message) and not one.raw.endswith(b"quote"):
                _, first, last = one.raw.split()
                told.append(range(int(first), int(last) + 1))
        return told

    def emitted_ids(self) -> set[int]:
        """All ids that went out, or were known before."""
        known = {number for one in self.known for number in range(one.first, one.last + 1)}
        return known | {number for ids in self.emitted() for number in ids}

    def begun(self) -> int:
        """The first id that is owed: what is older than the first that came was never asked for."""
        return self.known[0].first if self.known else self.emitted()[0].start

    def owed(self) -> set[int]:
        """All ids from the first one on that came."""
        begun = self.begun()
        start = next(at for at, one in enumerate(self.market) if one.first <= begun <= one.last)
        return {number for one in self.market[start:] for number in range(one.first, one.last + 1)}

    def messages(self) -> list[bytes]:
        """The venue's messages, in the order in which they went out."""
        return [one.raw for one in self.out if isinstance(one, Message)]

    def unseen(self) -> list[Unseen]:
        """Words of blindness."""
        return [one for one in self.out if isinstance(one, Unseen)]
