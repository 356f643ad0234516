"""Messages that are read at once end as they would one by one: the same goes out, and the same is known afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.captured import BTC, raws
from tests.unit.sources.live.fakes import FakeClient, FakeHistory, FakeSocket
from tickcast.clock import ManualClock
from tickcast.sources.contract import Message
from tickcast.sources.live.contract import KnownTrades
from tickcast.sources.live.exchange import Exchange, Market, Tools
from tickcast.sources.live.joining import Limits
from tickcast.sources.live.outbox import Outbox
from tickcast.sources.live.owntime import OwnTime
from tickcast.sources.live.swift import Swift
from tickcast.sources.venues.binance import Binance
from tickcast.sources.venues.contract import Endpoints

START_MS = 1_723_161_600_000
PAIRS = ("BTCUSDT", "ETHUSDT", "1INCHUSDT", "AVERYLONGNAMEINDEEDUSDT")
ANSWER = b'{"result":null,"id":1}'
Step = tuple[str, Any]


def trade(pair: str, first: int, last: int, ms: int = 0, **changed: object) -> bytes:
    """An aggregate as the venue sends it; `changed` are values of its fields."""
    ms = ms or START_MS + last
    fields: dict[str, object] = {"E": ms + 1, "s": f'"{pair}"', "a": last, "p": '"6.50"', "q": '"0.10"'}
    fields |= {"f": first, "l": last, "T": ms, "m": "true", "M": "true"} | changed
    told = ",".join(f'"{name}":{value}' for name, value in fields.items())
    return f'{{"stream":"{pair.lower()}@aggTrade","data":{{"e":"aggTrade",{told}}}}}'.encode()


def quote(pair: str, number: int = 5, stream: str = "") -> bytes:
    """Best prices as the venue sends them."""
    data = f'{{"u":{number},"s":"{pair}","b":"6.50","B":"1.00","a":"6.60","A":"2.00"}}'
    return f'{{"stream":"{stream or pair.lower()}@bookTicker","data":{data}}}'.encode()


class World:
    """One exchange with its one connection, on a clock of its own; history answers at once."""

    def __init__(self, at_once: bool) -> None:
        loop = asyncio.get_running_loop()
        self.at_once, self.clock = at_once, ManualClock(START_MS * 1_000_000)
        self.outbox, self.time = Outbox(loop), OwnTime(self.clock)
        self.history, self.client = FakeHistory(self.clock), FakeClient(loop, self.clock)
        self.client.pongs = False
        self.notes: list[str] = []
        self.tasks: set[asyncio.Task[None]] = set()
        limits = Limits(held_max=50)
        tools = Tools(
            self.clock, self.client, random.Random(1), self.time, self.outbox, limits, self.spawn, self.notes.append
        )
        known = {pair: KnownTrades(((1, 10, START_MS - 1000, START_MS - 10),), START_MS - 10) for pair in PAIRS[1:]}
        market = Market(Binance(), Endpoints("ws://x", "http://x"), PAIRS, self.history, known)
        self.exchange = Exchange(market, tools)

    def spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        return task

    async def settle(self) -> None:
        for _ in range(30):
            await asyncio.sleep(0)

    async def open(self) -> None:
        (connection,) = self.exchange.connections
        self.spawn(connection.run())
        await self.settle()
        self.socket.say(ANSWER)
        await self.settle()
        assert connection.state == "open"

    @property
    def socket(self) -> FakeSocket:
        return self.client.sockets[-1]

    def hear(self, batch: Sequence[bytes]) -> None:
        """A read of the socket brings these."""
        line, recv_ns = self.socket.listener, self.clock.now_ns()
        if self.at_once:
            at_once: Any = line  # a listener of ours may take several messages of one read
            at_once.messages(recv_ns, list(batch))
        else:
            for raw in batch:
                line.message(recv_ns, raw)

    async def do(self, step: Step) -> None:
        kind, what = step
        if kind == "read":
            self.hear(what)
        elif kind == "pause":
            self.clock.sleep(what)
            self.time.look()
            self.exchange.tick()
        elif kind == "suspect":
            self.exchange.lanes[what].joiner.suspect(self.time.now_s)
            self.exchange.repairs.look_after(self.exchange.lanes[what])
        elif kind == "cut":
            self.exchange.cut(self.exchange.lanes[what])
        elif kind == "back":
            self.exchange.subscribed(self.exchange.lanes[what])
        await self.settle()

    def known(self) -> dict[str, Any]:
        """All that is known of the pairs, and of the connection."""
        (connection,) = self.exchange.connections
        found: dict[str, Any] = {"messages": connection.messages, "notes": self.notes}
        line: Any = self.socket.listener
        found["line"] = (line.signs, line.last_sign_s, line.over)
        found["told"] = (self.exchange._venue_ms, self.exchange._recv_ns, self.exchange.delay_ms)
        for pair, lane in self.exchange.lanes.items():
            joiner = {name: _plain(value) for name, value in vars(lane.joiner).items()}
            lane.tick(self.time.now_s)
            found[pair] = (joiner, lane.trades, lane.quotes, lane.last_ns, lane.status("binance", self.time.now_s))
        return found

    async def close(self) -> None:
        await self.exchange.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def _plain(value: Any) -> Any:
    """What can be compared, of the parts of a joiner."""
    if type(value).__module__.startswith("tickcast") and hasattr(value, "__dict__"):
        return {name: _plain(part) for name, part in vars(value).items()}
    return repr(value)


def play(steps: Sequence[Step]) -> list[Message]:
    """The same in both worlds; compared after each step."""

    async def work() -> list[Message]:
        worlds = World(at_once=False), World(at_once=True)
        out: list[Message] = []
        try:
            for world in worlds:
                await world.open()
            for step in steps:
                for world in worlds:
                    await world.do(step)
                slow, swift = worlds
                expected = slow.outbox.take()
                assert expected == swift.outbox.take()
                assert slow.known() == swift.known()
                out += expected
        finally:
            for world in worlds:
                await world.close()
        return out

    return asyncio.run(work())


# --- told by hand


QUIET: list[Step] = [("pause", 0.25)] * 6
"""Long enough for history to be asked: all pairs are live."""


def usual(count: int, pair: str = "BTCUSDT", first: int = 11) -> list[bytes]:
    """Trades that follow each other, each with best prices after it."""
    told = []
    for number in range(first, first + count):
        told += [trade(pair, number, number), quote(pair, number)]
    return told


def test_a_read_of_usual_messages_goes_the_swift_road(monkeypatch: pytest.MonkeyPatch) -> None:
    carried: list[int] = []
    follow = Swift.follow

    def counting(self: Swift, recv_ns: int, said: Sequence[bytes], at: int) -> tuple[int, int]:
        stop, venue_ms = follow(self, recv_ns, said, at)
        carried.append(stop - at)
        return stop, venue_ms

    monkeypatch.setattr(Swift, "follow", counting)
    out = play([*BEGIN, ("read", usual(50, first=13))])
    assert [100] == carried[-1:]
    assert [ANSWER, *usual(52)] == [message.raw for message in out if not message.raw.startswith(b'{"tickcast"')]


BEGIN: list[Step] = [("read", usual(2)), *QUIET]


@pytest.mark.parametrize(
    "odd",
    [
        trade("BTCUSDT", 45, 45),
        trade("BTCUSDT", 12, 12),
        trade("BTCUSDT", 12, 40),
        trade("BTCUSDT", 13, 13, T=START_MS * 1000),
        trade("BTCUSDT", 13, 13, E=5),
        trade("BTCUSDT", 13, 13, E=2**62),
        trade("BTCUSDT", 13, 13, p='"0.00"'),
        trade("BTCUSDT", 13, 13, s='"ETHUSDT"'),
        trade("BTCUSDT", -1, -1),
        trade("BTCUSDT", 13, 2**60),
        trade("SOLUSDT", 13, 13),
        quote("BTCUSDT", stream="ethusdt"),
        quote("SOLUSDT"),
        ANSWER,
        b'{"stream":"x","data":{"e":"serverShutdown","E":1723161600000}}',
        b'{"error":{"code":2,"msg":"Invalid request"},"id":3}',
        b'{"tickcast":"alive","venue_ms":1723161600000}',
        b"",
        b"\n",
        b'{"stream":"btcusdt@bookTicker","data":{"u":',
        quote("BTCUSDT") + b"\n" + quote("BTCUSDT"),
        quote("BTCUSDT") + b" ",
    ],
)
def test_what_is_unusual_among_the_usual_is_told_by_itself(odd: bytes) -> None:
    play([*BEGIN, ("read", [*usual(6, first=13)[:6], odd, *usual(6, first=16)]), *QUIET, *QUIET])


def test_captured_trades_go_the_same_road_however_they_are_cut(shared_data: Path) -> None:
    """The captures have raw trades: as aggregates of one trade each they take the live road."""
    from msgspec.json import decode

    told = []
    for raw in raws(shared_data / BTC):
        said = decode(raw)
        said = said.get("data", said)
        if said.get("e") == "trade":
            told.append(
                trade(said["s"], said["t"], said["t"], said["T"], p=f'"{said["p"]}"', q=f'"{said["q"]}"', E=said["E"])
            )
    assert len(told) > 1000
    steps: list[Step] = []
    chance, at = random.Random(3), 0
    while at < 3000:
        count = chance.choice((1, 7, 8, 30, 400))
        steps += [("read", told[at : at + count]), ("pause", 0.1)]
        at += count
    play(steps)


# --- told by chance


@st.composite
def stories(draw: st.DrawFn) -> list[Step]:
    """Reads of usual messages with gaps, doubles, wrong order, garbage; pauses, cuts, doubts."""
    chance = draw(st.randoms(use_true_random=False))
    nexts = dict.fromkeys(PAIRS, 11)
    steps = [*QUIET] if chance.random() < 0.8 else []
    for _ in range(draw(st.integers(1, 12))):
        kind = chance.choice(("read", "read", "read", "read", "pause", "pause", "suspect", "cut", "back"))
        if kind == "read":
            wild = chance.choice((0.0, 0.0, 0.02, 0.2))
            steps.append(("read", list(_batch(chance, nexts, chance.choice((1, 7, 8, 9, 20, 60)), wild))))
        elif kind == "pause":
            steps.append(("pause", chance.choice((0.05, 0.2, 1.0, 4.0))))
        else:
            steps.append((kind, chance.choice(PAIRS)))
    return steps


def _batch(chance: random.Random, nexts: dict[str, int], count: int, wild: float) -> Iterator[bytes]:
    batch = []
    for _ in range(count):
        pair = chance.choice(PAIRS if wild else PAIRS[:3])
        if chance.random() < 0.5:
            batch.append(quote(pair, chance.randrange(99)))
            continue
        first = nexts[pair]
        last = first + chance.choice((0, 0, 0, 1, 5))
        nexts[pair] = last + 1
        if chance.random() < wild:
            kind = chance.choice(("lost", "double", "late", "wounded", "answer"))
            if kind != "lost":
                batch.append(trade(pair, first, last))
            if kind == "double":
                batch.append(batch[-1])
            elif kind == "late" and len(batch) > 1:
                batch[-1], batch[-2] = batch[-2], batch[-1]
            elif kind == "wounded":
                at = chance.randrange(len(batch[-1]))
                batch[-1] = batch[-1][:at] + bytes([chance.randrange(256)]) + batch[-1][at + chance.randrange(3) :]
            elif kind == "answer":
                batch.append(ANSWER)
        else:
            batch.append(trade(pair, first, last))
    return iter(batch)


@settings(max_examples=60, deadline=None)
@given(stories())
def test_read_at_once_or_one_by_one_the_same_goes_out_and_the_same_is_known(steps: list[Step]) -> None:
    play(steps)
