"""A small venue and its exchange over real sockets, and somebody who writes down what a connection tells."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from tests.unit.sources.sockets.servers import CLOSE, PATIENCE_S, PING, PONG, TEXT, Peer, frame, serving
from tickcast.clock import Clock, SystemClock
from tickcast.sources.sockets.clients import client_for
from tickcast.sources.sockets.connection import Connection
from tickcast.sources.sockets.contract import Client
from tickcast.sources.sockets.dial import DialBudget
from tickcast.sources.venues.contract import (
    ANSWER,
    NOISE,
    PROOF,
    REFUSED,
    SHUTDOWN,
    TRADES,
    Endpoints,
    Heard,
    Rules,
    Span,
)

USUAL = Rules(
    pairs_per_connection=9, connects=100, connects_span_s=1.0, sends_per_s=1000.0, silence_s=60.0, ping_s=60.0
)


class SmallVenue:
    """Says what it means: `{"kind":"trade","pair":"A","id":1}`."""

    name = "small"
    endpoints: tuple[Endpoints, ...] = ()

    def __init__(self, rules: Rules = USUAL, own_ping: bool = False) -> None:
        self.rules, self.own_ping = rules, own_ping

    def at(self, base: str) -> Endpoints:
        return Endpoints(base, base)

    def ws_url(self, endpoints: Endpoints, pairs: Sequence[str]) -> str:
        return endpoints.ws

    def hello(self, pairs: Sequence[str]) -> list[bytes]:
        return [b'{"op":"subscribe","pair":"%b"}' % pair.encode() for pair in pairs]

    def goodbye(self, pairs: Sequence[str]) -> list[bytes]:
        return [b'{"op":"unsubscribe","pair":"%b"}' % pair.encode() for pair in pairs]

    def answers_wanted(self, pairs: Sequence[str]) -> int:
        return len(pairs)

    def ping(self, number: int) -> bytes | None:
        return b'{"op":"ping","number":%d}' % number if self.own_ping else None

    def hear(self, raw: bytes) -> Heard:
        said = json.loads(raw)
        pair, number = said.get("pair", ""), said.get("n", -1)
        match said["kind"]:
            case "trade":
                span = Span(pair, said["id"], said["id"], 1, 1)
                return Heard(TRADES, (span,), sequence=number)
            case "answer":
                return Heard(ANSWER, pair=pair, sequence=number)
            case "refused":
                return Heard(REFUSED, pair=pair, detail=said["words"])
            case "proof":
                return Heard(PROOF, venue_ms=said["ms"])
            case "shutdown":
                return Heard(SHUTDOWN)
        return Heard(NOISE)

    def shape(self, pair: str) -> bool:
        return pair.isupper()


def say(kind: str, **more: object) -> bytes:
    """A message of the small venue."""
    return json.dumps({"kind": kind, **more}).encode()


class Link:
    """The exchange's end of one connection."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.heard: list[dict[str, Any]] = []
        self.over = False

    async def send(self, *messages: bytes) -> None:
        """All in one segment."""
        await self.peer.send(b"".join(frame(TEXT, raw) for raw in messages))

    def cut(self) -> None:
        """Without a goodbye."""
        self.peer.writer.transport.abort()


class Exchange:
    """Accepts, answers subscriptions and pings; what it is told to do otherwise it does."""

    def __init__(self, bell: asyncio.Event) -> None:
        self.links: list[Link] = []
        self.dials = 0
        self.refuses = ""
        """The status line of a refusal."""
        self.refusal_headers = ""
        self.hangs = self.mute = self.deaf_to_pings = False
        self.answer: Callable[[str], bytes] = lambda pair: say("answer", pair=pair)
        self._bell = bell

    async def serve(self, peer: Peer) -> None:
        self.dials += 1
        self._bell.set()
        if self.hangs:
            await peer.gone()
            return
        if self.refuses:
            await peer.answer(self.refuses, self.refusal_headers)
            return
        await peer.accept()
        link = Link(peer)
        self.links.append(link)
        try:
            while await self._serve_frame(link):
                self._bell.set()
        finally:
            link.over = True
            self._bell.set()

    async def _serve_frame(self, link: Link) -> bool:
        kind, payload = await link.peer.receive()
        if kind == CLOSE:
            await link.peer.send(frame(CLOSE, payload[:2]))
            return False
        if kind == PING and not self.deaf_to_pings:
            await link.peer.send(frame(PONG, payload))
        if kind == TEXT:
            said = json.loads(payload)
            link.heard.append(said)
            if said["op"] == "subscribe" and not self.mute:
                await link.send(self.answer(said["pair"]))
            if said["op"] == "ping" and not self.deaf_to_pings:
                await link.send(say("proof", ms=1), say("proof", ms=2, number=said["number"]))
        return True


class Story:
    """A connection to an exchange, and what it told."""

    def __init__(self, rules: Rules = USUAL, pairs: Sequence[str] = ("A",), own_ping: bool = False) -> None:
        self.bell = asyncio.Event()
        self.exchange = Exchange(self.bell)
        self.venue = SmallVenue(rules, own_ping)
        self.pairs = tuple(pairs)
        self.states: list[str] = []
        self.whys: list[str] = []
        self.told: list[str] = []
        """Trades by pair and id, and jumps, in order."""
        self.raws: list[bytes] = []
        self.kinds: list[int] = []
        self.proofs: list[tuple[int, int, Heard | None]] = []
        self.clock: Clock = SystemClock()
        self.dials = DialBudget(rules.connects, rules.connects_span_s, self.clock)
        self.connection: Connection
        """Made when there is a URL."""
        self.running: asyncio.Task[None] | None = None

    def hear(self, _: Connection, recv_ns: int, raw: bytes, heard: Heard) -> None:
        self.raws.append(raw)
        self.kinds.append(heard.kind)
        self.told += [f"{span.pair}{span.first_id}" for span in heard.spans]
        self.bell.set()

    def proven(self, _: Connection, sent_ns: int, recv_ns: int, heard: Heard | None) -> None:
        self.proofs.append((sent_ns, recv_ns, heard))
        self.bell.set()

    def changed(self, _: Connection, state: str, why: str) -> None:
        self.states.append(state)
        self.whys.append(why)
        self.bell.set()

    def jumped(self, _: Connection) -> None:
        self.told.append("jump")
        self.bell.set()

    async def until(self, holds: Callable[[], object]) -> None:
        """Until something holds; what it is changes only when somebody tells or does something."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                if self.running is not None and self.running.done():
                    await self.running
                    raise AssertionError("the connection has ended")
                self.bell.clear()
                await self.bell.wait()

    async def open(self) -> Link:
        """Until it stands."""
        await self.until(lambda: self.connection.state == "open")
        return self.exchange.links[-1]

    def made(self, url: str, client: Client | None = None, number: int = 1) -> Connection:
        """A connection that tells this story."""
        return Connection(
            number, self.venue, url, self.pairs, client=client or client_for("", self.clock), dials=self.dials,
            clock=self.clock, chance=random.Random(number), hear=self.hear, proven=self.proven,
            changed=self.changed, jumped=self.jumped,
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def played(self, client: Client | None = None) -> AsyncIterator[Story]:
        """While the exchange serves and the connection runs; nothing is left of either."""
        before = asyncio.all_tasks()
        async with asyncio.timeout(3 * PATIENCE_S), serving(self.exchange.serve) as url:
            self.connection = self.made(url, client)
            running = self.running = asyncio.create_task(self.connection.run())
            running.add_done_callback(lambda _: self.bell.set())
            try:
                yield self
            finally:
                await self.connection.close()
            await running
            assert self.states[-1] == "closed"
        left = {task for task in asyncio.all_tasks() - before if not task.done()}
        assert not await _still(left), left


async def _still(tasks: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Those that do not end by themselves at once."""
    return (await asyncio.wait(tasks, timeout=2.0))[1] if tasks else set()
