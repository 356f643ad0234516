"""Messages on their way from the loop to whoever polls, in the order in which they are to be written down.

It has no bound of its own and needs none: the loop runs only while somebody polls, and a poll ends as soon as anything
is here. What the sockets bring meanwhile waits in the kernel, and there the venues' own limits hold.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from itertools import repeat
from typing import NamedTuple

from tickcast.sources.contract import Message

BATCH_MAX = 8192
"""Messages in one poll; the rest at once with the next."""
_new = partial(tuple.__new__, Message)


class _Run(NamedTuple):
    """What came at once, of one exchange."""

    recv_ns: int
    exchange: str
    raws: Sequence[bytes]


class Outbox:
    """A queue, and the one who waits for it.

    What came at once is kept as it came, and made into messages when it is taken: only what is in one poll is of
    interest to Python's garbage collector.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Message | _Run] = deque()
        self._count = 0
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return self._count

    def put(self, message: Message) -> None:
        """One more."""
        self._waiting.append(message)
        self._count += 1
        if self._waiter is not None:
            self.wake()

    def put_many(self, recv_ns: int, exchange: str, raws: Sequence[bytes]) -> None:
        """Some more, which came at once."""
        self._waiting.append(_Run(recv_ns, exchange, raws))
        self._count += len(raws)
        if self._waiter is not None:
            self.wake()

    def wake(self) -> None:
        """End a wait, whether there is anything or not."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def wait(self, timeout_s: float) -> None:
        """Let the loop run until anything is there, or for so long."""
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(max(timeout_s, 0.0), self.wake)
        try:
            self._loop.run_until_complete(waiter)
        finally:
            self._waiter = None
            timer.cancel()

    def take(self) -> list[Message]:
        """What is there, oldest first, up to a batch."""
        waiting, batch = self._waiting, list[Message]()
        while waiting and len(batch) < BATCH_MAX:
            one = waiting.popleft()
            if isinstance(one, Message):
                batch.append(one)
                continue
            room = BATCH_MAX - len(batch)
            raws = one.raws
            if len(raws) > room:
                waiting.appendleft(_Run(one.recv_ns, one.exchange, raws[room:]))
                raws = raws[:room]
            batch += map(_new, zip(repeat(one.recv_ns), repeat(one.exchange), raws, strict=False))
        self._count -= len(batch)
        return batch

    def oldest_ns(self) -> int:
        """When the oldest one came; 0: there is none."""
        return self._waiting[0].recv_ns if self._waiting else 0
