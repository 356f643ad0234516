"""Whether our own clock was set: it is looked at beside the seconds that never go back. Pure."""

from __future__ import annotations

import math

LEAP_NS = 200_000_000
"""A difference this large between our two clocks is a leap of the one that can."""


class Leaps:
    """Finds them. A clock that goes faster by design (`Clock.speed`) says so, and does not leap by that.

    >>> leaps = Leaps()
    >>> [leaps.look(ns, s) for ns, s in ((0, 0.0), (10**9, 1.0), (3602 * 10**9, 2.0), (3603 * 10**9, 3.0))]
    [0, 0, 3600000000000, 0]
    >>> leaps.count
    1
    """

    def __init__(self) -> None:
        self.count = 0
        """How often it was set so far."""
        self._now_ns, self._now_s, self._speed = 0, math.nan, math.nan

    def look(self, now_ns: int, now_s: float, speed: float = 1.0) -> int:
        """By how many nanoseconds it was set since the last look; mostly 0."""
        gone_ns, passed_s = now_ns - self._now_ns, now_s - self._now_s
        known = passed_s > 0.0 and speed == self._speed
        self._now_ns, self._now_s, self._speed = now_ns, now_s, speed
        leap_ns = round(gone_ns - passed_s * 1e9 * speed) if known else 0
        if abs(leap_ns) <= LEAP_NS * max(1.0, speed):
            return 0
        self.count += 1
        return leap_ns
