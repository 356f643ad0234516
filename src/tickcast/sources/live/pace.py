"""A pair's own usual pace, and when its silence is more than that. Pure; time is handed in."""

from __future__ import annotations

import math

LEAST_S = 5.0
"""No pair is suspected sooner: a moment's quiet is nothing."""
MOST_S = 300.0
"""However slow a pair is, after so long somebody looks."""
UNKNOWN_S = 60.0
"""For a pair whose pace is not known yet."""
KNOWN_GAPS = 8
"""So many pauses must have been seen, before a pace is known."""
BEYOND = 2.0
"""A silence this many times the longest of late is unusual."""
HALF_LIFE_S = 900.0
"""How long the longest pause counts: after so long as half of it."""


class Pace:
    """The longest pause between messages of late, which fades.

    >>> pace = Pace()
    >>> for second in range(20):
    ...     pace.heard(4.0 * second)
    >>> pace.limit_s
    8.0
    >>> pace.silent(76.0 + 7.9), pace.silent(76.0 + 8.1)
    (False, True)
    """

    def __init__(self) -> None:
        self._last_s = self._counts_from_s = math.nan
        self._longest_s, self._gaps = 0.0, 0

    @property
    def limit_s(self) -> float:
        """How long it may be silent."""
        usual_s = BEYOND * self._longest_s
        if self._gaps < KNOWN_GAPS:
            usual_s = max(usual_s, UNKNOWN_S)
        return min(max(usual_s, LEAST_S), MOST_S)

    def heard(self, now_s: float) -> None:
        """Something came."""
        gap_s = now_s - self._last_s
        if gap_s >= 0.0:  # not where it just began
            faded_s = self._longest_s * 0.5 ** (gap_s / HALF_LIFE_S)
            self._longest_s = max(gap_s, faded_s)
            self._gaps += 1
        self._last_s = self._counts_from_s = now_s

    def begin(self, now_s: float) -> None:
        """It is listened to from now on: what was before is no pause of the pair's."""
        self._last_s = self._counts_from_s = now_s

    def look(self, now_s: float) -> None:
        """It was silent, and has been found to be only quiet: the silence counts anew."""
        self._counts_from_s = now_s

    def silent_s(self, now_s: float) -> float:
        """How long nothing has come, and nobody has looked why."""
        return now_s - self._counts_from_s

    def silent(self, now_s: float, times: float = 1.0) -> bool:
        """Whether nothing has come for longer than is usual (so many times longer, where it was looked at before)."""
        return self.silent_s(now_s) > min(self.limit_s * times, MOST_S)
