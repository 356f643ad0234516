"""Two worlds in which the same is told: one hears what is read at once at once, the other message by message."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from tests.unit.sources.live.fakes import FakeClient, FakeHistory, FakeSocket
from tickcast.clock import ManualClock
from tickcast.sources.contract import Message
from tickcast.sources.live.contract import KnownTrades
from tickcast.sources.live.exchange import Exchange, Market, Tools
from tickcast.sources.live.joining import Limits
from tickcast.sources.live.outbox import Outbox
from tickcast.sources.live.owntime import OwnTime
from tickcast.sources.venues.contract import Endpoints
from tickcast.sources.venues.registry import VENUES

START_MS = 1_723_161_600_000
PAIRS_OF = {
    "binance": ("BTCUSDT", "ETHUSDT", "1INCHUSDT", "AVERYLONGNAMEINDEEDUSDT"),
    "coinbase": ("BTC-USD", "ETH-USD", "00-USD", "AVERYLONGNAMEINDEED-USD"),
    "kraken": ("BTC/USD", "ETH/USD", "AAPLx/USD", "AVERYLONGNAMEINDEED/USD"),
}
ANSWERS = {
    "binance": [b'{"result":null,"id":1}'],
    "coinbase": [
        b'{"channel":"subscriptions","timestamp":"2024-08-09T00:00:00Z","sequence_num":%d,"events":[{"subscriptions":{}}]}'
        % number
        for number in range(3)
    ],
    "kraken": [
        b'{"method":"subscribe","result":{"channel":"%b","symbol":"%b"},"success":true}' % (channel, pair.encode())
        for channel in (b"trade", b"ticker")
        for pair in PAIRS_OF["kraken"]
    ],
}
"""With which a connection begins to stand."""
Step = tuple[str, Any]


class World:
    """One exchange with its one connection, on a clock of its own; history answers at once."""

    def __init__(self, at_once: bool, venue: str = "binance") -> None:
        loop = asyncio.get_running_loop()
        self.venue, self.at_once, self.clock = venue, at_once, ManualClock(START_MS * 1_000_000)
        self.outbox, self.time = Outbox(loop), OwnTime(self.clock)
        self.history, self.client = FakeHistory(self.clock), FakeClient(loop, self.clock)
        self.client.pongs = False
        self.notes: list[str] = []
        self.tasks: set[asyncio.Task[None]] = set()
        limits = Limits(held_max=50)
        tools = Tools(
            self.clock, self.client, random.Random(1), self.time, self.outbox, limits, self.spawn, self.notes.append
        )
        before = KnownTrades(((1, 10, START_MS - 1000, START_MS - 10),), START_MS - 10)
        known = dict.fromkeys(PAIRS_OF[venue][1:], before)
        market = Market(VENUES[venue], Endpoints("ws://x", "http://x"), PAIRS_OF[venue], self.history, known)
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
        for answer in ANSWERS[self.venue]:
            self.socket.say(answer)
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
        found["line"] = (line.signs, line.last_sign_s, line.over, line._sequence)
        found["told"] = (self.exchange._venue_ms, self.exchange._recv_ns, self.exchange.delay_ms)
        for pair, lane in self.exchange.lanes.items():
            joiner = {name: _plain(value) for name, value in vars(lane.joiner).items()}
            lane.tick(self.time.now_s)
            found[pair] = (joiner, lane.trades, lane.quotes, lane.last_ns, lane.status(self.venue, self.time.now_s))
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


def play(steps: Sequence[Step], venue: str = "binance") -> list[Message]:
    """The same in both worlds; compared after each step."""

    async def work() -> list[Message]:
        worlds = World(False, venue), World(True, venue)
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
