"""WebSocket clients that are sent more than they can take: how many messages a second one core receives.

A process of its own sends Binance's messages without a pause; each client counts what comes. The rate is messages a
second of the receiver's CPU time, the kernel's part included: that is what one core can take, whatever else this
machine does. "Bare" is a library by itself; "ours" is the same behind our seam; "heard" is a connection of the live
feed, where each message is also looked at (which pair, which trade ids).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Callable
from importlib.metadata import version

import aiohttp

from benchmarks.blast import binance_messages, blast, frames_of
from benchmarks.table import show
from tickcast.clock import SystemClock
from tickcast.sources.contract import Message
from tickcast.sources.sockets.clients import client_for
from tickcast.sources.sockets.connection import Connection
from tickcast.sources.sockets.dial import DialBudget
from tickcast.sources.venues.binance import Binance
from tickcast.sources.venues.contract import Heard

MESSAGES = {"picows": 400_000, "aiohttp": 150_000}
"""How many each is timed over."""
ROUNDS = 5
LIMIT = 1 << 20
Loop = asyncio.AbstractEventLoop
Work = Callable[[Loop, str, int], int]
"""Receive at least so many messages from a URL, on a loop, and tell how many came; what is still open then is cut
from the other side."""


def bare_picows(loop: Loop, url: str, count: int) -> int:
    """Each payload as bytes, counted."""
    from picows import WSFrame, WSListener, WSTransport, ws_connect

    counted = _Counter(loop, count)

    class Bare(WSListener):
        def on_ws_frame(self, _: WSTransport, frame: WSFrame) -> None:
            counted.message(0, frame.get_payload_as_bytes())

    link = loop.run_until_complete(ws_connect(Bare, url))
    loop.run_until_complete(counted.done)
    del link
    return counted.came


def bare_aiohttp(loop: Loop, url: str, count: int) -> int:
    """Each payload as bytes, counted."""

    async def work() -> int:
        async with aiohttp.ClientSession() as session:
            link = await session.ws_connect(url, decode_text=False)
            counted = _Counter(loop, count)
            while not counted.done.done():
                counted.message(0, (await link.receive()).data)
            link._response.close()  # a goodbye would be waited for, and the other side talks on
            return counted.came

    return loop.run_until_complete(work())


class _Counter:
    """A listener that counts."""

    def __init__(self, loop: Loop, count: int) -> None:
        self.came, self.wanted = 0, count
        self.done: asyncio.Future[None] = loop.create_future()

    def message(self, _recv_ns: int, _raw: bytes) -> None:
        """Count it."""
        self.came += 1
        if self.came == self.wanted:
            self.done.set_result(None)

    def sign_of_life(self, _recv_ns: int, _pong: bytes | None) -> None:
        """There is none."""

    def closed(self, _why: str) -> None:
        """By us, when all has come."""


def ours(name: str) -> Work:
    """The same library behind our seam."""

    def work(loop: Loop, url: str, count: int) -> int:
        counted = _Counter(loop, count)
        link = client_for(name).connect(url, counted, message_bytes_max=LIMIT, timeout_s=10.0)
        kept = loop.run_until_complete(link)
        loop.run_until_complete(counted.done)
        del kept
        return counted.came

    return work


def heard(name: str) -> Work:
    """A connection of the live feed, polled as the feed is: the loop runs until something came, then all is taken."""

    def work(loop: Loop, url: str, count: int) -> int:
        came: list[Message] = []
        bell = asyncio.Event()

        def hear(_: Connection, recv_ns: int, raw: bytes, __: Heard) -> None:
            came.append(Message(recv_ns, "binance", raw))
            bell.set()

        clock, venue = SystemClock(), Binance()
        dials = DialBudget(1, 1.0, clock)
        connection = Connection(
            1, venue, url, ("BTCUSDT",), client=client_for(name), dials=dials, clock=clock, chance=random.Random(1),
            hear=hear, proven=lambda *_: None, changed=lambda *_: None, jumped=lambda *_: None,
        )  # fmt: skip
        running = loop.create_task(connection.run())
        total = 0
        while total < count:
            loop.run_until_complete(asyncio.wait_for(bell.wait(), 10.0))
            bell.clear()
            total += len(came)
            came.clear()
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        loop.call_soon(lambda: loop.create_task(connection.close()))
        return total

    return work


def cpu_seconds(work: Work, block: bytes, count: int, new_loop: Callable[[], Loop]) -> float:
    """Of this process, for each message, the handshake shared among all."""
    loop = new_loop()
    asyncio.set_event_loop(loop)
    try:
        with blast(block) as url:
            started = time.process_time()
            came = work(loop, url, count)
            spent = time.process_time() - started
        loop.run_until_complete(_until_nothing_runs())  # the other side is gone now, and with it all that was open
        return spent / came
    finally:
        loop.close()


async def _until_nothing_runs() -> None:
    """Until every task has ended by itself; picows has none, and needs a moment to see the end."""
    async with asyncio.timeout(30.0):
        await asyncio.sleep(0.1)
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)


def contenders() -> dict[str, tuple[str, Work, Callable[[], Loop]]]:
    """What is measured: the library it uses, what it does, on which loop."""
    found: dict[str, tuple[str, Work, Callable[[], Loop]]] = {}
    loops: dict[str, Callable[[], Loop]] = {"": asyncio.new_event_loop}
    with contextlib.suppress(ImportError):
        import uvloop

        loops[", uvloop"] = uvloop.new_event_loop
    for name, bare in (("picows", bare_picows), ("aiohttp", bare_aiohttp)):
        for suffix, new_loop in loops.items():
            found[f"{name} {version(name)}, bare{suffix}"] = name, bare, new_loop
            found[f"ours over {name}{suffix}"] = name, ours(name), new_loop
            found[f"ours over {name}, heard, in polls{suffix}"] = name, heard(name), new_loop
    return found


def main() -> None:
    """Print the table."""
    block = frames_of([b'{"result":null,"id":1}', *binance_messages()])
    works = contenders()
    spent = dict.fromkeys(works, math.inf)
    for _ in range(ROUNDS):  # in turns, so that what else the machine does meets all alike
        for label, (name, work, new_loop) in works.items():
            spent[label] = min(spent[label], cpu_seconds(work, block, MESSAGES[name], new_loop))
    reference = next(iter(works))
    rows = [
        (label, 1.0 / each, spent[reference] / each, ">= 50,000 a second" if "heard" in label else "")
        for label, each in spent.items()
    ]
    show("WebSocket messages received by one core (CPU time)", "bare picows", rows)


if __name__ == "__main__":
    main()
