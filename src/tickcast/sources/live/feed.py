"""The live feed: several pairs of several exchanges, on one asyncio loop that runs only while somebody polls.

    poll ─→ the loop runs until anything is there ─→ what came, in the order in which it is to be written down

Between two polls the pipeline computes and the kernel's socket buffers hold what comes. One thread, no locks; nothing
is shed. What is not a venue's own message is ours (`tickcast.sources.own`): proof of life, history, blindness.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tickcast.clock import Clock
from tickcast.sources.contract import Message
from tickcast.sources.live.contract import LiveStatus
from tickcast.sources.live.exchange import Exchange, Market, Tools
from tickcast.sources.live.joining import Limits
from tickcast.sources.live.outbox import Outbox
from tickcast.sources.live.owntime import STEP_S, OwnTime
from tickcast.sources.sockets.contract import Client

__all__ = ["LiveFeed", "Market"]

NOTES_MAX = 100
"""Notes that wait to be told; of more, the oldest are forgotten."""
CLOSE_S = 1.8
"""How long closing may take, whatever hangs."""


class LiveFeed:
    """Implements `tickcast.sources.contract.Feed`; `exchange` is empty, as it carries several."""

    exchange = ""

    def __init__(
        self,
        markets: Sequence[Market],
        *,
        clock: Clock,
        client: Client,
        chance: random.Random,
        loop: asyncio.AbstractEventLoop,
        hold_ms: int = 3000,
        align_ms: int = 60_000,
    ) -> None:
        self._clock, self._loop = clock, loop
        self._outbox, self._time = Outbox(loop), OwnTime(clock)
        self._notes: deque[str] = deque(maxlen=NOTES_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None
        self._started = self._closed = False
        self._ticking: asyncio.Handle | None = None
        hold_s = hold_ms / 1000
        limits = Limits(hold_s=hold_s, first_hold_s=max(hold_s, min(10 * hold_s, 30.0)), align_ms=align_ms)
        self._tools = Tools(clock, client, chance, self._time, self._outbox, limits, self._spawn, self._notes.append)
        self._exchanges: list[Exchange] = []
        for market in markets:
            self.add(market)

    def add(self, market: Market) -> None:
        """Some pairs more, at any time between two polls: of a new exchange, or of one that is read already."""
        for exchange in self._exchanges:
            if exchange.name == market.venue.name:
                exchange.add(market)
                return
        made = Exchange(market, self._tools)
        self._exchanges.append(made)
        if self._started:
            made.start()

    def poll(self, timeout_s: float) -> list[Message]:
        """What came, in order; empty when nothing came in time. After `close` what was left."""
        if not self._closed and not len(self._outbox):
            self._start()
            self._outbox.wait(timeout_s)
            if not len(self._outbox):
                self._raise()
        return self._outbox.take()

    @property
    def ended(self) -> bool:
        """True once it is closed and empty."""
        return self._closed and not len(self._outbox)

    def status(self) -> LiveStatus:
        """What there is to say of all of it now."""
        status = LiveStatus(lag_ms=self._lag_ms())
        for exchange in self._exchanges:
            connections, pairs = exchange.statuses()
            status.connections += connections
            status.pairs += pairs
            for name, count in getattr(exchange.market.history, "requests", {}).items():
                status.requests[name] = status.requests.get(name, 0) + count
        return status

    def notes(self) -> list[str]:
        """What happened since this was last asked, a sentence each."""
        told = list(self._notes)
        self._notes.clear()
        for exchange in self._exchanges:
            ask: Callable[[], list[str]] | None = getattr(exchange.market.history, "notes", None)
            if ask is not None:
                told += ask()
        return told

    def close(self) -> None:
        """Let go of all that is held, within two seconds whatever hangs; twice is harmless."""
        if self._closed:
            return
        self._closed = True
        if self._ticking is not None:
            self._ticking.cancel()
        try:
            if not self._loop.is_closed():
                self._loop.run_until_complete(self._shut())
        finally:
            for exchange in self._exchanges:
                exchange.flush()

    async def _shut(self) -> None:
        for task in self._tasks:
            task.cancel()
        closing = [asyncio.ensure_future(exchange.close()) for exchange in self._exchanges]
        waits = {*self._tasks, *closing}
        if waits:
            done, late = await asyncio.wait(waits, timeout=CLOSE_S)
            for one in late:
                one.cancel()
            for one in done:
                if not one.cancelled():
                    one.exception()  # a fault was raised by poll already, or does not matter any more

    def _start(self) -> None:
        self._raise()
        if self._started:
            return
        self._started = True
        self._time.look()
        for exchange in self._exchanges:
            exchange.start()
        self._ticking = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        try:
            self._time.look()
            for exchange in self._exchanges:
                exchange.tick()
                exchange.watch.tick()
        except Exception as exc:  # noqa: BLE001 - it is raised by the poll that waits
            self._fail(exc)
        else:
            self._ticking = self._loop.call_later(STEP_S, self._tick)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._fault = self._fault or error
        self._outbox.wake()

    def _raise(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _lag_ms(self) -> float:
        oldest_ns = self._outbox.oldest_ns()
        waiting_ms = max(0.0, (self._clock.now_ns() - oldest_ns) / 1e6) if oldest_ns else 0.0
        waiting_ms /= self._clock.speed
        return max([waiting_ms, *(exchange.delay_ms for exchange in self._exchanges)])
