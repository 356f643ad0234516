"""One exchange of a live feed: its connections and pairs, and the way of each message.

connection ─→ hear ─┬→ a trade that follows, a quote of a live pair ─────────────→ out
                    ├→ anything else of a pair ─→ its joiner ─→ out, later or now → out
                    └→ proof of time ─→ alive, for the pairs that are live ──────→ out
history ─→ repairs ─→ joiner ────────────────────────────────────────────────────→ out
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from tickcast.clock import Clock
from tickcast.sources import own
from tickcast.sources.contract import Message
from tickcast.sources.history.contract import History
from tickcast.sources.live.clocks import VenueClock
from tickcast.sources.live.contract import ConnectionStatus, KnownTrades, PairStatus
from tickcast.sources.live.joiner import Joiner
from tickcast.sources.live.joining import Joined, Limits, Out
from tickcast.sources.live.lane import Lane
from tickcast.sources.live.outbox import Outbox
from tickcast.sources.live.owntime import OwnTime
from tickcast.sources.live.repairs import Repairs
from tickcast.sources.live.swift import swift_of
from tickcast.sources.live.watching import Watch
from tickcast.sources.sockets.connection import CLOSED, OPEN, REFUSED, REPLACED, UNREPLACED, Connection
from tickcast.sources.sockets.contract import Client
from tickcast.sources.sockets.dial import DialBudget
from tickcast.sources.sockets.plan import split
from tickcast.sources.venues import contract as heard_kinds
from tickcast.sources.venues.contract import NOISE, PROOF, QUOTE, TRADES, Endpoints, Heard, Span, Venue

ALIVE_MS = 900
"""Proof by a mere pong is written down once in so much of the venue's time; the venue's own words always."""
CATCH_UP_S = 600.0
"""At most so long a connection waits for its pairs to catch up with history before it is opened."""
STUCK_S = 20.0
"""And no longer than so where history gives nothing."""
NEAR_MS = 60_000
"""A pair whose time is known up to so short a while ago need not catch up first: the stream joins it as it is."""
NOTE_AGAIN_S = 60.0
AT_ONCE_S = 0.01
_new = tuple.__new__


class Market(NamedTuple):
    """One exchange, as the feed is told of it."""

    venue: Venue
    endpoints: Endpoints
    pairs: tuple[str, ...]
    history: History
    known: Mapping[str, KnownTrades] = {}
    start_ms: int = 0
    """Where a pair that was never seen begins; 0: with the stream."""


class Tools(NamedTuple):
    """What all exchanges of a feed share."""

    clock: Clock
    client: Client
    chance: random.Random
    time: OwnTime
    outbox: Outbox
    limits: Limits
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    note: Callable[[str], None]


class Exchange:
    """One exchange at work."""

    def __init__(self, market: Market, tools: Tools) -> None:
        self.name, self.market, self.tools = market.venue.name, market, tools
        self.clock = VenueClock()
        self.lanes: dict[str, Lane] = {}
        self.connections: list[Connection] = []
        self._put, self._time = tools.outbox.put, tools.time
        self.repairs = Repairs(
            market.history, tools.time, deliver=self.deliver, ended=self._walk_ended, spawn=tools.spawn
        )
        self._noted: dict[str, float] = {}
        self._proven_ms: dict[int, int] = {}
        self._lost_s: dict[int, float] = {}
        self._venue_ms = self._recv_ns = 0
        self.delay_ms = 0.0
        """How late the last message that carries its time came, beyond what the clocks' bounds allow."""
        rules = market.venue.rules
        self._dials = DialBudget(rules.connects, rules.connects_span_s, tools.clock)
        self._started = False
        self.add(market)
        self.watch = Watch(self, market.history, tools.time)

    def add(self, market: Market) -> None:
        """Some pairs more, over connections of their own; what history they have is this exchange's."""
        tools, dials = self.tools, self._dials
        first = len(self.connections)
        for number, pairs in enumerate(split(market.pairs, market.venue.rules.pairs_per_connection), first + 1):
            self.connections.append(
                Connection(
                    number, market.venue, market.venue.ws_url(market.endpoints, pairs), pairs,
                    client=tools.client, dials=dials, clock=tools.clock, chance=tools.chance,
                    hear=self.hear, proven=self._pinged, changed=self._changed, jumped=self._jumped,
                    swift=self,
                )
            )  # fmt: skip
            for pair in pairs:
                known = market.known.get(pair) or KnownTrades()
                start_ms = 0 if known.spans or known.reached_ms else market.start_ms
                self.lanes[pair] = lane = Lane(pair, Joiner(pair, known, start_ms, tools.limits), number)
                if 0 <= tools.clock.now_ns() // 1_000_000 - known.reached_ms < NEAR_MS:
                    lane.joiner.caught_up = True
                self.repairs.look_after(lane)
        self._swift = swift_of(self.name, self.lanes, tools.outbox)
        if self._started:
            for connection in self.connections[first:]:
                tools.spawn(self._run(connection))

    def start(self) -> None:
        """Begin: catch up, open the connections, ask for the time."""
        self._started = True
        for connection in self.connections:
            self.tools.spawn(self._run(connection))
        self.tools.spawn(self.watch.keep_time())

    async def _run(self, connection: Connection) -> None:
        """First what was missed, as far as it can be had; then the stream, which joins it."""
        lanes = self.lanes_of(connection)
        began_s = moved_s = self._time.now_s
        progress = 0
        while not all(lane.joiner.caught_up for lane in lanes):
            now_s = self._time.now_s
            if sum(lane.progress for lane in lanes) != progress:
                progress, moved_s = sum(lane.progress for lane in lanes), now_s
            if now_s - moved_s > STUCK_S or now_s - began_s > CATCH_UP_S:
                behind = ", ".join(lane.pair for lane in lanes if not lane.joiner.caught_up)
                self.note(f"{behind}: history is not through yet; the stream is opened all the same.")
                break
            await asyncio.sleep(0.02)
        await connection.run()

    # ---- what a connection says

    def hear(self, connection: Connection, recv_ns: int, raw: bytes, heard: Heard) -> None:
        """A message; each goes out exactly once, now or later."""
        kind, spans, pair, venue_ms = heard[0], heard[1], heard[2], heard[3]
        if venue_ms:
            self._venue_ms, self._recv_ns = venue_ms, recv_ns
        if raw.startswith(own.MARK):
            raw = own.from_venue(raw)
        message: Message = _new(Message, (recv_ns, self.name, raw))
        if kind == TRADES:
            if len(spans) == 1:
                span = spans[0]
                lane = self.lanes.get(span[0])
                if lane is not None:
                    lane.trades += 1
                    lane.last_ns = recv_ns
                    if lane.joiner.flows(span):
                        self._put(message)
                    else:
                        self.deliver(lane, lane.joiner.hear(self._time.now_s, message, span))
                    return
            else:
                self._hear_several(message, spans)
                return
        elif (kind == QUOTE and not spans) or kind == NOISE:
            lane = self.lanes.get(pair)
            if lane is not None:
                lane.quotes += 1
                lane.last_ns = recv_ns
                if not lane.joiner.live:
                    self.deliver(lane, lane.joiner.hear_other(self._time.now_s, message))
                    return
        elif kind == QUOTE:
            self._quote_several(message, spans)
            return
        elif kind == PROOF:
            self.prove(connection, venue_ms, raw)
            return
        elif kind == heard_kinds.REFUSED:
            self._refused(pair, heard.detail)
        self._put(message)

    def look(self, raws: Sequence[bytes]) -> bool:
        """Messages that were read at once: whether `follow` may carry any of them on."""
        return self._swift is not None and self._swift.look(raws)

    def follow(self, recv_ns: int, raws: Sequence[bytes], at: int, reached: int) -> tuple[int, int]:
        """As `hear` from one of them on, as far as all is usual.

        Returns the first that `hear` must be told, and the last number in the connection.
        """
        if self._swift is None:
            return at, reached
        stop, venue_ms, reached = self._swift.follow(recv_ns, raws, at, reached)
        if venue_ms:
            self._venue_ms, self._recv_ns = venue_ms, recv_ns
        return stop, reached

    def _hear_several(self, message: Message, spans: tuple[Span, ...]) -> None:
        """Trades with a hole between them; or of several pairs: a message can not wait for one and not for another."""
        lanes = [lane for pair in dict.fromkeys(span.pair for span in spans) if (lane := self.lanes.get(pair))]
        for lane in lanes:
            lane.trades += 1
            lane.last_ns = message.recv_ns
        if len(lanes) == 1 and len(spans) > 1:
            lane, now_s = lanes[0], self._time.now_s
            mine = [span for span in spans if span.pair == lane.pair]
            for older, newer in pairwise(mine):
                lane.joiner.hole_inside(older, newer, now_s)
            times = min(span.first_ms for span in mine), max(span.last_ms for span in mine)
            whole = Span(lane.pair, mine[0].first_id, mine[-1].last_id, *times)
            self.deliver(lane, lane.joiner.hear(now_s, message, whole))
            return
        self._put(message)
        for span in spans:
            known = self.lanes.get(span.pair)
            if known is not None and not known.joiner.flows(span):
                self.deliver(known, known.joiner.pass_through(self._time.now_s, message, span))

    def _quote_several(self, message: Message, spans: tuple[Span, ...]) -> None:
        """Best prices of several pairs wait for the first of them that waits: they must not move its time."""
        waits: Lane | None = None
        for span in spans:
            lane = self.lanes.get(span.pair)
            if lane is not None:
                lane.quotes += 1
                lane.last_ns = message.recv_ns
                if waits is None and not lane.joiner.live:
                    waits = lane
        if waits is None:
            self._put(message)
        else:
            self.deliver(waits, waits.joiner.hear_other(self._time.now_s, message))

    def _refused(self, pair: str, words: str) -> None:
        lane = self.lanes.get(pair)
        if lane is not None and not lane.refused:
            lane.refused, lane.up = words or "no reason was given", False
            lane.resubscribed_s = self._time.now_s
            lane.joiner.cut()
            self.note(f"{pair}: the venue refuses it ({lane.refused}); it is asked again now and then.")

    def _pinged(self, connection: Connection, sent_ns: int, recv_ns: int, heard: Heard | None) -> None:
        """A ping came back: in between the venue told its time, or we know what it was at least when the ping left."""
        now_s = self._time.now_s
        self.clock_tick()
        if heard is not None and heard.venue_ms:
            self.clock.sample(heard.venue_ms, sent_ns, recv_ns, now_s)
            return
        reached_ms = self.clock.reached_ms(min(sent_ns, recv_ns))
        if reached_ms is not None and reached_ms - self._proven_ms.get(connection.number, 0) >= ALIVE_MS:
            self.prove(connection, reached_ms, b"")

    def prove(self, connection: Connection, venue_ms: int, raw: bytes) -> None:
        """The venue's clock has reached a time, and all that came before has been heard: say so for live pairs.

        Where none is live nothing is written: the words alone would speak for all pairs of the exchange.
        """
        if not venue_ms:
            return
        self._proven_ms[connection.number] = max(venue_ms, self._proven_ms.get(connection.number, 0))
        live = []
        for pair in connection.pairs:
            lane = self.lanes[pair]
            if lane.joiner.live and lane.up:
                live.append(pair)
                if venue_ms > lane.joiner.proven_ms:
                    lane.joiner.proven_ms = venue_ms
        if live:
            self._put(Message(self.tools.clock.now_ns(), self.name, own.alive(venue_ms, live, raw)))

    def _changed(self, connection: Connection, state: str, why: str) -> None:
        number, now_s = connection.number, self._time.now_s
        if state == OPEN:
            lost_s = self._lost_s.pop(number, None)
            if lost_s is not None:
                self.note(f"connection {number} stands again, after {now_s - lost_s:.1f} s; its pairs are checked.")
            for lane in self.lanes_of(connection):
                if not lane.refused:
                    self.subscribed(lane)
        elif state == REPLACED:
            self.note(f"connection {number} was replaced by a new one without a gap ({why}).")
        elif state == UNREPLACED:
            self.note(f"connection {number} could not be replaced yet ({why}).")
        elif state == REFUSED:
            if why.partition(":")[0] not in self.lanes:  # of a pair it was heard, and told
                self.note(f"connection {number}: the venue refused something: {why}.", "refused")
        else:
            lanes = self.lanes_of(connection)
            if any(lane.up for lane in lanes) and state != CLOSED:
                self._lost_s[number] = now_s
                self.note(f"connection {number} was lost ({why}); it is dialled again.")
            for lane in lanes:
                lane.refused = ""
                if lane.up:
                    self.cut(lane)

    def _jumped(self, connection: Connection) -> None:
        number = connection.number
        self.note(f"connection {number} lost messages; all its pairs are checked.", f"jumped {number}")
        for lane in self.lanes_of(connection):
            if lane.up:
                lane.joiner.jumped(self._time.now_s)
                self.repairs.look_after(lane)

    def subscribed(self, lane: Lane) -> None:
        """A pair's stream stands."""
        now_s = self._time.now_s
        lane.up, lane.resubscribed_s = True, math.nan
        lane.begin(now_s)
        venue_ms = self.clock.venue_now_ms(self.tools.clock.now_ns())
        self.deliver(lane, lane.joiner.subscribed(now_s, venue_ms))

    def cut(self, lane: Lane) -> None:
        """A pair's stream has ended, or may not be trusted."""
        lane.up, lane.verdict = False, None
        lane.joiner.cut()
        self.repairs.look_after(lane)

    # ---- what goes out

    def deliver(self, lane: Lane, out: list[Out]) -> None:
        """Write down what a joiner gives."""
        for one in out:
            if isinstance(one, Message):
                self._put(one)
                continue
            now_ns = self.tools.clock.now_ns()
            if isinstance(one, Joined):
                self._put(Message(now_ns, self.name, own.history(one.part, live=one.live)))
            else:
                self._put(Message(now_ns, self.name, own.blind(lane.pair, one.from_ms)))
                text = "history did not answer in time; the stream goes on, unproven until it does."
                self.note(f"{lane.pair}: {text}", f"unproven {lane.pair}")
        self.repairs.look_after(lane)

    def _walk_ended(self, lane: Lane, *ended: Any) -> None:
        self.repairs.look_after(lane)
        self.watch.walk_ended(lane, *ended)

    # ---- time

    def tick(self) -> None:
        """A step of our own time has passed."""
        now_s = self._time.now_s
        for lane in self.repairs.lanes:
            out = lane.joiner.tick(now_s)
            if out:
                self.deliver(lane, out)
        self.repairs.pump()
        self.clock_tick()
        if self._venue_ms:
            self.clock.heard(self._venue_ms, self._recv_ns, now_s)
            if self.clock.error_ms is not None:
                late_ms = self.clock.venue_now_ms(self._recv_ns) - self._venue_ms - self.clock.error_ms
                self.delay_ms = max(0.0, late_ms / self.tools.clock.speed)
            self._venue_ms = 0

    def clock_tick(self) -> None:
        """See whether our own clock was set."""
        clock = self.tools.clock
        before_s, now_ns, after_s = clock.monotonic_s(), clock.now_ns(), clock.monotonic_s()
        if after_s - before_s > AT_ONCE_S:
            return  # the machine looked elsewhere between the two: they say nothing of each other
        if self.clock.tick(now_ns, before_s, clock.speed) and self.clock.offset_ms is not None:
            self.note("this machine's clock was set; offsets are measured anew.")

    # ---- for others

    def lanes_of(self, connection: Connection) -> list[Lane]:
        """The pairs of one connection."""
        return [self.lanes[pair] for pair in connection.pairs]

    def note(self, text: str, about: str = "") -> None:
        """Something a reader should know; what is `about` the same thing is told once a minute."""
        if about:
            now_s = self._time.now_s
            if now_s - self._noted.get(about, -math.inf) < NOTE_AGAIN_S:
                return
            self._noted[about] = now_s
        self.tools.note(f"{self.name} {text}")

    def statuses(self) -> tuple[list[ConnectionStatus], list[PairStatus]]:
        """What there is to say of all of it now."""
        connections = [connection.status() for connection in self.connections]
        for status in connections:
            status.offset_ms, status.offset_error_ms = self.clock.offset_ms, self.clock.error_ms
        return connections, [lane.status(self.name, self._time.now_s) for lane in self.lanes.values()]

    def flush(self) -> None:
        """The end: nothing waits any longer."""
        for lane in self.lanes.values():
            self.deliver(lane, lane.joiner.flush(self._time.now_s))

    async def close(self) -> None:
        """Let go of all connections."""
        await asyncio.gather(*(connection.close() for connection in self.connections))
        await self.market.history.close()
