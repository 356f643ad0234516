"""Whether our own clock was set: it is looked at beside the seconds that never go back. Pure."""

from __future__ import annotations

import math

LEAP_NS = 200_000_000
"""A difference this large between our two clocks is a leap of the one that can."""


class Leaps:
    """Counts them. A clock that goes at another speed by design leaps twice, then its speed is known.

    >>> leaps = Leaps()
    >>> [leaps.look(ns, s) for ns, s in ((0, 0.0), (10**9, 1.0), (3602 * 10**9, 2.0), (3603 * 10**9, 3.0))]
    [0, 0, 1, 1]
    """

    def __init__(self) -> None:
        self.count = 0
        self._now_ns, self._now_s = 0, math.nan
        self._speed, self._speed_seen = 1.0, math.nan

    def look(self, now_ns: int, now_s: float) -> int:
        """How often it was set so far."""
        gone_ns, passed_s = now_ns - self._now_ns, now_s - self._now_s
        self._now_ns, self._now_s = now_ns, now_s
        if passed_s > 0.0 and abs(gone_ns - passed_s * 1e9 * self._speed) > LEAP_NS * max(1.0, self._speed):
            self.count += 1
            speed = gone_ns / (passed_s * 1e9)
            if speed > 0.0 and abs(speed - self._speed_seen) < 0.01 * speed:
                self._speed = speed
            self._speed_seen = speed
        return self.count
