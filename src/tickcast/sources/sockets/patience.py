"""Waiting that is fair to the other side: only time in which our loop ran counts as time in which it was silent.

The feed's loop runs inside `poll`; while the pipeline computes between two polls nothing is read, and nobody may be
called silent or slow for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
STEP_S = 0.5
"""The longest single wait; a longer one that took more than twice as long was our own absence."""


class Patience:
    """Seconds that are used up only while the loop runs.

    >>> from tickcast.clock import ManualClock
    >>> clock = ManualClock()
    >>> patience = Patience(clock.monotonic_s, step_s=0.5)
    >>> clock.sleep(0.4)
    >>> patience.spent()
    0.4
    >>> clock.sleep(60.0)  # the loop was not run
    >>> patience.spent()
    1.4
    >>> patience.again()
    >>> patience.spent()
    0.0
    """

    def __init__(self, now_s: Callable[[], float], step_s: float = STEP_S) -> None:
        self._now_s, self.step_s = now_s, step_s
        self._last_s = now_s()
        self._spent_s = 0.0

    def spent(self) -> float:
        """How much has been used up; to be asked at least every `step_s`."""
        now_s = self._now_s()
        self._spent_s += min(now_s - self._last_s, 2 * self.step_s)
        self._last_s = now_s
        return self._spent_s

    def again(self) -> None:
        """Begin anew."""
        self._last_s, self._spent_s = self._now_s(), 0.0


async def within(timeout_s: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of some work, or TimeoutError (the work is then cancelled and has ended)."""
    patience = Patience(asyncio.get_running_loop().time, min(STEP_S, max(timeout_s / 8, 0.005)))
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            left_s = timeout_s - patience.spent()
            if left_s <= 0:
                raise TimeoutError
            await asyncio.wait({task}, timeout=min(left_s, patience.step_s))
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
        if task.done() and not task.cancelled():
            task.exception()  # who waited may have been cancelled meanwhile
