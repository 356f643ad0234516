"""When one may dial: within the venue's limits, and ever less often while nothing answers. Pure; time is asked for."""

from __future__ import annotations

import random
from collections import deque

from tickcast.clock import Clock

BASE_S = 0.5
MAX_S = 60.0
LEAST_S = 0.1
"""Chance may say almost nothing; a dial never follows another within less."""
STEADY_S = 30.0
"""A connection that has stood for so long has earned that its next loss counts as the first."""
SLICE_S = 60.0
"""The longest wait that is named at once, so that a clock that was set does not keep anybody for days."""


class DialBudget:
    """At most so many dials in any span of time, over all connections to a venue; and none while it has banned us.

    >>> from tickcast.clock import ManualClock
    >>> clock = ManualClock()
    >>> dials = DialBudget(2, 10.0, clock)
    >>> dials.take_s(), dials.take_s(), dials.take_s()
    (0.0, 0.0, 10.0)
    >>> clock.sleep(10.0)
    >>> dials.take_s()
    0.0
    """

    def __init__(self, connects: int, span_s: float, clock: Clock) -> None:
        if connects < 1 or span_s < 0:
            raise ValueError(f"{connects} dials in {span_s} s allow none")
        self._span_s, self._clock = span_s, clock
        self._dialled_s: deque[float] = deque(maxlen=connects)
        self._held_until_s = float("-inf")

    def take_s(self) -> float:
        """0: dial now, it is counted. Else nothing was taken: ask again after so many seconds."""
        now_s = self._clock.monotonic_s()
        wait_s = self._held_until_s - now_s
        if len(self._dialled_s) == self._dialled_s.maxlen:
            wait_s = max(wait_s, self._span_s - (now_s - self._dialled_s[0]))
        if wait_s > 0:
            return min(max(wait_s, 0.001), SLICE_S)
        self._dialled_s.append(now_s)
        return 0.0

    def hold(self, seconds: float) -> None:
        """The venue wants to be left alone: a ban is for the address, not for one connection."""
        self._held_until_s = max(self._held_until_s, self._clock.monotonic_s() + seconds)


class Backoff:
    """How long to wait before the next dial: anything from nothing to a ceiling that doubles (full jitter).

    >>> backoff = Backoff(random.Random(7))
    >>> [round(backoff.next_s(), 2) for _ in range(4)]
    [0.16, 0.15, 1.3, 0.29]
    >>> backoff.next_s(retry_after_s=120.0) >= 120.0
    True
    """

    def __init__(self, chance: random.Random, base_s: float = BASE_S, max_s: float = MAX_S) -> None:
        self._chance, self._base_s, self._max_s = chance, base_s, max_s
        self._attempt = 0

    def next_s(self, retry_after_s: float = 0.0, long: bool = False) -> float:
        """Seconds to wait now; `long` after a refusal, which does not pass by itself in a second."""
        ceiling_s = min(self._max_s, self._base_s * 2.0 ** min(self._attempt, 60))
        self._attempt += 1
        if long:
            return retry_after_s + self._chance.uniform(self._max_s / 2, self._max_s)
        return retry_after_s + max(LEAST_S, self._chance.uniform(0.0, ceiling_s))

    def reset(self) -> None:
        """It works again."""
        self._attempt = 0
