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

from tickcast.sources.contract import Message

BATCH_MAX = 8192
"""Messages in one poll; the rest at once with the next."""
_new = partial(tuple.__new__, Message)


class Outbox:
    """A queue, and the one who waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: deque[Message] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> None:
        """One more."""
        self._messages.append(message)
        if self._waiter is not None:
            self.wake()

    def put_many(self, recv_ns: int, exchange: str, raws: Sequence[bytes]) -> None:
        """Some more, which came at once."""
        self._messages.extend(map(_new, zip(repeat(recv_ns), repeat(exchange), raws, strict=False)))
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
        messages = self._messages
        if len(messages) <= BATCH_MAX:
            batch = list(messages)
            messages.clear()
            return batch
        return [messages.popleft() for _ in range(BATCH_MAX)]

    def oldest_ns(self) -> int:
        """When the oldest one came; 0: there is none."""
        return self._messages[0].recv_ns if self._messages else 0
