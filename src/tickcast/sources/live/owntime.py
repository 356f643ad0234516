"""Seconds in which our loop ran: while the pipeline computes, nobody can be called slow or silent for it."""

from __future__ import annotations

from tickcast.clock import Clock

STEP_S = 0.05
"""How often it is looked at."""
LONGEST_S = 0.25
"""More time than this between two looks was our own absence."""


class OwnTime:
    """Seconds that go on only while somebody looks.

    >>> from tickcast.clock import ManualClock
    >>> clock = ManualClock()
    >>> time = OwnTime(clock)
    >>> clock.sleep(0.1)
    >>> time.look()
    0.1
    >>> clock.sleep(60.0)
    >>> time.look()
    0.35
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_s = clock.monotonic_s()
        self.now_s = 0.0

    def look(self) -> float:
        """What time it is."""
        now_s = self._clock.monotonic_s()
        self.now_s += min(now_s - self._looked_s, LONGEST_S)
        self._looked_s = now_s
        return self.now_s
