"""Waiting between attempts: ever longer, never in step with the others, and long where an exchange asks for it."""

from __future__ import annotations

import asyncio
import random

FIRST_S, LONGEST_S = 1.0, 60.0
LIMITED_S = 30.0
"""The least pause where the exchange says that we ask too often."""
_LIMITS = {"RateLimitExceeded", "DDoSProtection"}


class Pause:
    """The pauses of one thing that is tried again and again.

    >>> pause = Pause(random.Random(1))
    >>> [round(pause.after(OSError())) for _ in range(9)]
    [1, 2, 4, 5, 12, 23, 50, 54, 33]
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance, self._next_s = chance, FIRST_S

    def reset(self) -> None:
        """It has worked."""
        self._next_s = FIRST_S

    def after(self, error: BaseException) -> float:
        """How long to wait after it has failed: between half of the pause and all of it."""
        limited = any(kind.__name__ in _LIMITS for kind in type(error).__mro__)
        pause_s = max(self._next_s, LIMITED_S) if limited else self._next_s
        self._next_s = min(2 * self._next_s, LONGEST_S)
        return pause_s * self._chance.uniform(0.5, 1.0)

    async def wait(self, error: BaseException) -> None:
        """Wait so long."""
        await asyncio.sleep(self.after(error))
