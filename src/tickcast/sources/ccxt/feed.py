"""A feed of any exchange that ccxt knows, behind the contract of all feeds.

It runs its loop inside `poll`: between polls the sockets' buffers hold what comes. What the library raises is said in
`notes`, never raised: the feed goes on trying, ever more slowly, for as long as it is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from tickcast.clock import NS_PER_MS, Clock
from tickcast.errors import TickcastError
from tickcast.sources.ccxt.library import open_exchange
from tickcast.sources.ccxt.pairs import PairState
from tickcast.sources.ccxt.work import HOLD_MS, Work
from tickcast.sources.contract import Message
from tickcast.sources.live.contract import KnownTrades, LiveStatus

CLOSE_S = 1.5
NOTES_MAX = 200


class CcxtFeed:
    """One exchange through ccxt; `options` are the library's own for it, for example `{"timeout": 5000}`.

    `known` says what the journal holds already: what came since is asked of the exchange's pages first.
    """

    def __init__(
        self,
        exchange_id: str,
        pairs: Sequence[str],
        *,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        chance: random.Random,
        options: Mapping[str, Any] | None = None,
        known: Mapping[str, KnownTrades] | None = None,
        hold_ms: int = HOLD_MS,
    ) -> None:
        self.exchange, self.ended = exchange_id, False
        self._clock, self._loop = clock, loop
        states = [PairState(exchange_id, pair, (known or {}).get(pair)) for pair in dict.fromkeys(pairs)]
        library = open_exchange(exchange_id, loop, options or {})
        self._work = Work(library, states, self._emit, self._say, chance, hold_ms / 1000)
        self._main: asyncio.Task[None] | None = None
        self._out: list[Message] = []
        self._came = asyncio.Event()
        self._notes: deque[str] = deque(maxlen=NOTES_MAX)

    def poll(self, timeout_s: float) -> list[Message]:
        """What came; ConfigError for a pair that the exchange does not have."""
        if self.ended:
            return []
        self._loop.run_until_complete(self._wait(timeout_s))
        out, self._out = self._out, []
        return out

    def close(self) -> None:
        """End all tasks and connections, within two seconds whatever hangs."""
        if not self.ended and not self._loop.is_closed():
            self.ended = True
            self._loop.run_until_complete(self._end())

    def notes(self) -> list[str]:
        """What happened since this was last asked, a sentence each."""
        return [self._notes.popleft() for _ in range(len(self._notes))]

    def status(self) -> LiveStatus:
        """The exchange's connections, seen as one, and its pairs."""
        return self._work.status()

    async def _wait(self, timeout_s: float) -> None:
        if self._main is None:
            self._main = self._loop.create_task(self._work.run())
            self._main.add_done_callback(lambda _: self._came.set())
        if not self._out and not self._main.done():
            self._came.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._came.wait(), timeout_s)
        if self._main.done() and not self._out:
            error = self._main.exception()
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            if isinstance(error, TickcastError):
                raise error
            raise TickcastError(f"{self.exchange}/ccxt", f"has failed ({error!r})", "start again") from error

    async def _end(self) -> None:
        if self._main is not None:
            self._main.cancel()
        try:
            async with asyncio.timeout(CLOSE_S):
                if self._main is not None:
                    await asyncio.wait([self._main])
                await self._work.close()
        except TimeoutError:
            self._say("did not close in time, so its connections were let go as they were")

    def _emit(self, lines: Sequence[bytes]) -> None:
        if lines:
            recv_ns = self._clock.now_ns()
            self._out += [Message(recv_ns, self.exchange, line) for line in lines]
            self._work.connection.messages += len(lines)
            self._work.now_ms = recv_ns // NS_PER_MS
            self._came.set()

    def _say(self, text: str) -> None:
        self._notes.append(f"{self.exchange} {text}.")
