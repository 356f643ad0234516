"""A small venue, its socket, its memory and its clock, all in this process: a feed without a network."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.unit.sources.live.storms import Trade, part_of
from tickcast.clock import Clock, SystemClock
from tickcast.sources import own
from tickcast.sources.contract import Message
from tickcast.sources.history.contract import After, HistoryError, Part, TimeSample
from tickcast.sources.live.contract import KnownTrades, PairStatus
from tickcast.sources.live.feed import LiveFeed, Market
from tickcast.sources.sockets.contract import Listener, Socket, SocketError
from tickcast.sources.venues.contract import (
    ANSWER,
    NOISE,
    PROOF,
    QUOTE,
    REFUSED,
    TRADES,
    UNREADABLE,
    Endpoints,
    Heard,
    Listing,
    Rules,
    Span,
)

PATIENCE_S = 30.0
RULES = Rules(pairs_per_connection=2, connects=1000, connects_span_s=1.0, sends_per_s=1e6, silence_s=60.0, ping_s=0.05)


class SmallVenue:
    """`{"trades":[["A",5,5,1000]]}`, `{"quote":["A"]}`, `{"answer":"A"}`, `{"refused":"A"}`, `{"proof":1000}`."""

    name = "small"
    endpoints: tuple[Endpoints, ...] = ()
    rules = RULES

    def at(self, base: str) -> Endpoints:
        return Endpoints(base, base)

    def ws_url(self, endpoints: Endpoints, pairs: Sequence[str]) -> str:
        return endpoints.ws

    def hello(self, pairs: Sequence[str]) -> list[bytes]:
        return [b'{"subscribe":"%b"}' % pair.encode() for pair in pairs]

    def goodbye(self, pairs: Sequence[str]) -> list[bytes]:
        return [b'{"unsubscribe":"%b"}' % pair.encode() for pair in pairs]

    def answers_wanted(self, pairs: Sequence[str]) -> int:
        return len(pairs)

    def ping(self, number: int) -> bytes | None:
        return None

    def shape(self, pair: str) -> bool:
        return True

    def listing(self) -> Listing:
        raise NotImplementedError

    def hear(self, raw: bytes) -> Heard:
        try:
            said = json.loads(raw)
        except ValueError:
            return Heard(UNREADABLE)
        sequence, venue_ms = said.get("n", -1), said.get("E", 0)
        if "trades" in said:
            spans = tuple(Span(pair, first, last, ms, ms) for pair, first, last, ms in said["trades"])
            return Heard(TRADES, spans, venue_ms=venue_ms, sequence=sequence)
        if "quote" in said:
            pairs = said["quote"]
            spans = tuple(Span(pair, -1, -1, 0, 0) for pair in pairs) if len(pairs) > 1 else ()
            return Heard(QUOTE, spans, pairs[0], venue_ms, sequence)
        if "answer" in said:
            return Heard(ANSWER, pair=said["answer"])
        if "refused" in said:
            return Heard(REFUSED, pair=said["refused"], detail="no such pair")
        if "proof" in said:
            return Heard(PROOF, venue_ms=said["proof"])
        return Heard(NOISE)


def trades(*spans: tuple[str, int, int, int] | tuple[str, int], **more: int) -> bytes:
    """A message of trades; of `("A", 5)` the rest is made up."""
    full = [span if len(span) == 4 else (span[0], span[1], span[1], ms_of(span[1])) for span in spans]
    return json.dumps({"trades": full, **more}).encode()


def quote(*pairs: str, number: int = 0) -> bytes:
    """A message of best prices."""
    return json.dumps({"quote": list(pairs), "u": number}).encode()


def ms_of(number: int) -> int:
    """When a trade happened, by its id."""
    return 1_700_000_000_000 + number * 10


class FakeSocket:
    """The client's end, and the venue's: it answers subscriptions and pings, unless told otherwise."""

    def __init__(self, listener: Listener, client: FakeClient) -> None:
        self.listener, self.client = listener, client
        self.sent: list[bytes] = []
        self.over = False

    def send(self, raw: bytes) -> None:
        self.sent.append(raw)
        pair = json.loads(raw).get("subscribe")
        if pair is not None and not self.client.mute:
            kind = "refused" if pair in self.client.refuses else "answer"
            self.client.loop.call_soon(self.say, json.dumps({kind: pair}).encode())

    def ping(self, payload: bytes) -> None:
        if self.client.pongs and not self.over:
            self.client.loop.call_soon(self.listener.sign_of_life, self.client.clock.now_ns(), payload)

    def close(self) -> None:
        self.end("closed by us")

    # the venue's end

    def say(self, *messages: bytes) -> None:
        """Some messages arrive."""
        for raw in messages:
            if not self.over:
                self.listener.message(self.client.clock.now_ns(), raw)

    def end(self, why: str) -> None:
        if not self.over:
            self.over = True
            self.client.loop.call_soon(self.listener.closed, why)


class FakeClient:
    """Hands out fake sockets."""

    name = "fake"

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self.loop, self.clock = loop, clock
        self.sockets: list[FakeSocket] = []
        self.refuses: set[str] = set()
        self.mute = self.down = self.hangs = False
        self.pongs = True

    async def connect(
        self, url: str, listener: Listener, *, message_bytes_max: int, timeout_s: float, ca_file: str = ""
    ) -> Socket:
        while self.hangs:
            await asyncio.sleep(0.01)
        if self.down:
            raise SocketError(url, "refused the connection", "it is tried again")
        socket = FakeSocket(listener, self)
        self.sockets.append(socket)
        return socket


class FakeHistory:
    """Remembers what it is told to have happened; answers when it is let."""

    exchange = "small"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.happened: dict[str, list[Trade]] = {}
        self.asked: list[tuple[str, After, int]] = []
        self.answers = True
        self.fails = self.broken = False
        self.page = 100
        self.offset_ms = 0
        self.closed = False
        self.requests = {"small ok": 3}

    def add(self, pair: str, *numbers: int) -> None:
        """These trades happened."""
        self.happened.setdefault(pair, []).extend(Trade(one, one, ms_of(one)) for one in numbers)
        self.happened[pair].sort()

    async def trades(self, pair: str, after: After, until_ms: int = 0) -> AsyncIterator[Part]:
        self.asked.append((pair, after, until_ms))
        while not self.answers:
            await asyncio.sleep(0.005)
        if self.broken:
            raise RuntimeError("a mistake in the code")
        if self.fails:
            raise HistoryError("small/history", "gave no answer", "it is asked again later")
        now_ms = self.clock.now_ns() // 1_000_000
        end_ms = min(until_ms or now_ms, now_ms)
        rows = [
            one
            for one in self.happened.get(pair, [])
            if after.timestamp_ms <= one.ms < end_ms and one.last > after.trade_id
        ]
        from_ms = after.timestamp_ms
        while len(rows) > self.page:
            some, rows = rows[: self.page], rows[self.page :]
            yield part_of(some, (from_ms, some[-1].ms), end=False)._replace(pair=pair)
            from_ms = some[-1].ms
        yield part_of(rows, (from_ms, max(end_ms, from_ms)), end=end_ms == now_ms)._replace(pair=pair)

    def candles(self, pair: str, seconds: int, from_ms: int, to_ms: int) -> AsyncIterator[Part]:
        raise NotImplementedError

    async def venue_time(self) -> TimeSample:
        if self.fails:
            raise HistoryError("small/time", "gave no answer", "it is asked again later")
        now_ns = self.clock.now_ns()
        return TimeSample(now_ns // 1_000_000 + self.offset_ms, now_ns, now_ns)

    async def listings(self) -> tuple[Listing, ...]:
        return ()

    async def close(self) -> None:
        self.closed = True


class Story:
    """A feed, what it hears and what comes out."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pairs: tuple[str, ...],
        known: Mapping[str, KnownTrades],
        hold_ms: int,
        start_ms: int,
    ) -> None:
        self.clock = SystemClock()
        self.client, self.history = FakeClient(loop, self.clock), FakeHistory(self.clock)
        self.loop = loop
        venue = SmallVenue()
        market = Market(venue, Endpoints("ws://small", "http://small"), pairs, self.history, known, start_ms)
        self.feed = LiveFeed(
            [market], clock=self.clock, client=self.client, chance=random.Random(1), loop=loop, hold_ms=hold_ms
        )
        self.messages: list[Message] = []
        self.notes: list[str] = []

    @property
    def socket(self) -> FakeSocket:
        """The newest one."""
        return self.client.sockets[-1]

    def poll(self) -> None:
        self.messages += self.feed.poll(0.02)
        self.notes += self.feed.notes()

    def until(self, done: Callable[[], object]) -> None:
        """Poll until it is so."""
        end_s = self.loop.time() + PATIENCE_S
        while not done():
            assert self.loop.time() < end_s, (self.told(), self.notes, self.feed.status())
            self.poll()

    def open(self) -> FakeSocket:
        """Poll until all pairs are live."""
        self.until(lambda: all(one.state == "live" for one in self.feed.status().pairs))
        return self.socket

    def say(self, *messages: bytes) -> None:
        """Messages arrive at the newest socket, and are polled for."""
        self.socket.say(*messages)
        self.poll()

    def state(self, pair: str = "A") -> str:
        return self.of(pair).state

    def of(self, pair: str = "A") -> PairStatus:
        return next(one for one in self.feed.status().pairs if one.pair == pair)

    def told(self) -> list[str]:
        """What came out, in short: trades, quotes, history, blindness; no proof of life, no answers."""
        return [text for message in self.messages for text in _told(message.raw)]

    def raws(self) -> list[bytes]:
        """The venue's messages that came out."""
        return [message.raw for message in self.messages if not message.raw.startswith(own.MARK)]

    def alive(self, pair: str = "A") -> list[int]:
        """What times were proven for a pair."""
        lines = [message.raw for message in self.messages if message.raw.startswith(own.ALIVE_MARK)]
        return [one.timestamp_ms for raw in lines for one in own.read_alive(raw) if one.pair in (pair, "")]


def _told(raw: bytes) -> Iterator[str]:
    if raw.startswith(own.ALIVE_MARK):
        return
    try:
        said = json.loads(raw)
    except ValueError:
        yield "unreadable"
        return
    if said.get("tickcast") == "history":
        yield f"history {said['pair']}{' live' if said['live'] else ''}"
    elif said.get("tickcast") == "blind":
        yield f"blind {said['pair']}"
    elif "trades" in said:
        yield " ".join(f"{pair}{last}" for pair, _, last, _ in said["trades"])
    elif "quote" in said:
        yield f"quote {' '.join(said['quote'])}"


@contextmanager
def a_story(
    *pairs: str,
    known: Mapping[str, KnownTrades] | None = None,
    hold_ms: int = 20_000,
    start_ms: int = 0,
) -> Iterator[Story]:
    """A feed that was not polled yet; closed at the end."""
    loop = asyncio.new_event_loop()
    try:
        story = Story(loop, pairs or ("A",), known or {}, hold_ms, start_ms)
        try:
            yield story
        finally:
            story.feed.close()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def knows(last: int) -> KnownTrades:
    """The journal holds the trades up to this one."""
    return KnownTrades(((1, last, ms_of(1), ms_of(last)),), ms_of(last))
