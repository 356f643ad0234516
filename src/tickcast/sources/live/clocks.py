"""Where a venue's clock stands beside ours: within which bounds, from what it says of its time. Pure.

    sent ──────── venue says 12:00:00.000 ──────── received      its clock is ahead of ours by something between
          12:00 less received        12:00 less sent             these two; every answer narrows it

Nothing is bucketed or dropped by this. It says how far time is proven, and it is reported. Bounds widen as they age,
since clocks drift; a leap of our own clock is seen beside the seconds that never go back, and moves the bounds with it.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from tickcast.sources.history.leaps import Leaps

SAMPLES = 16
DRIFT_MS_PER_S = 0.1
"""How much two clocks may part: a bad quartz does a tenth of a millisecond in a second."""
WHOLE_SECOND_MS = 1000
HEARD_S = 60.0
"""Of messages that carry their time the quickest in so long counts, and that of the span before."""


class Bounds(NamedTuple):
    """The venue's clock is ahead of ours by something between `low_ms` and `high_ms`."""

    low_ms: float
    high_ms: float
    at_s: float

    def aged(self, now_s: float) -> Bounds:
        """What is left of it now."""
        drift_ms = (now_s - self.at_s) * DRIFT_MS_PER_S
        return Bounds(self.low_ms - drift_ms, self.high_ms + drift_ms, now_s)


NOTHING = Bounds(-math.inf, math.inf, 0.0)


class VenueClock:
    """One venue's clock.

    >>> clock = VenueClock()
    >>> clock.sample(1000_100, 1000_000_000_000, 1000_080_000_000, 0.0)
    >>> clock.offset_ms, clock.error_ms
    (60.5, 40.5)
    >>> clock.reached_ms(2000_000_000_000)
    2000020
    """

    def __init__(self) -> None:
        self._samples: deque[Bounds] = deque(maxlen=SAMPLES)
        self._heard, self._heard_before = NOTHING, NOTHING
        self._bounds: Bounds | None = None
        self._leaps = Leaps()

    @property
    def offset_ms(self) -> float | None:
        """By how much the venue's clock is ahead of ours; None: not known."""
        known = self._bounds
        return None if known is None else (known.low_ms + known.high_ms) / 2

    @property
    def error_ms(self) -> float | None:
        """By how much that may be wrong."""
        known = self._bounds
        return None if known is None else (known.high_ms - known.low_ms) / 2

    def reached_ms(self, now_ns: int) -> int | None:
        """The time that the venue's clock had surely reached when ours stood there; None: not known."""
        heard_ms = max(self._heard.low_ms, self._heard_before.low_ms)
        if self._bounds is not None:  # one of the two clocks that a venue shows us may be wrong: the earlier one proves
            heard_ms = min(heard_ms, self._bounds.high_ms) if heard_ms > -math.inf else self._bounds.low_ms
        return math.floor(now_ns / 1e6 + heard_ms) if heard_ms > -math.inf else None

    def venue_now_ms(self, now_ns: int) -> int:
        """The venue's time, as well as we know."""
        offset_ms = self.offset_ms
        if offset_ms is None:
            offset_ms = self._heard.low_ms if self._heard.low_ms > -math.inf else 0.0
        return round(now_ns / 1e6 + offset_ms)

    def sample(self, venue_ms: int, sent_ns: int, recv_ns: int, now_s: float) -> None:
        """The venue told its time between these two moments; whole seconds are taken as told no better than that."""
        if not 0 <= sent_ns <= recv_ns:
            return  # our clock was set in between
        told_ms = WHOLE_SECOND_MS if venue_ms % WHOLE_SECOND_MS == 0 else 1
        self._samples.append(Bounds(venue_ms - recv_ns / 1e6, venue_ms + told_ms - sent_ns / 1e6, now_s))
        self._agree(now_s)

    def heard(self, venue_ms: int, recv_ns: int, now_s: float) -> None:
        """A message carried the time at which it was sent: the venue's clock had reached that when it came."""
        if now_s - self._heard.at_s > HEARD_S:
            self._heard_before = self._heard if now_s - self._heard.at_s <= 2 * HEARD_S else NOTHING
            self._heard = Bounds(-math.inf, math.inf, now_s)
        low_ms = venue_ms - recv_ns / 1e6
        if low_ms > self._heard.low_ms:
            self._heard = Bounds(low_ms, math.inf, self._heard.at_s)

    def tick(self, now_ns: int, now_s: float, speed: float = 1.0) -> bool:
        """To be asked often: whether our own clock was set since. What `speed` explains is no leap."""
        leap_ns = self._leaps.look(now_ns, now_s, speed)
        if leap_ns:
            self._move(-leap_ns / 1e6)
            self._heard = self._heard_before = NOTHING
        return bool(leap_ns)

    def _move(self, by_ms: float) -> None:
        moved = [Bounds(one.low_ms + by_ms, one.high_ms + by_ms, one.at_s) for one in self._samples]
        self._samples = deque(moved, maxlen=SAMPLES)
        if self._bounds is not None:
            low_ms, high_ms, at_s = self._bounds
            self._bounds = Bounds(low_ms + by_ms, high_ms + by_ms, at_s)

    def _agree(self, now_s: float) -> None:
        """What the samples have in common with the newest; nothing, where it contradicts all others."""
        newest = self._samples[-1].aged(now_s)
        agreed = 1
        for older in list(self._samples)[-2::-1]:
            aged = older.aged(now_s)
            low_ms, high_ms = max(newest.low_ms, aged.low_ms), min(newest.high_ms, aged.high_ms)
            if low_ms > high_ms:
                continue
            agreed += 1
            newest = Bounds(low_ms, high_ms, now_s)
        contradicted = agreed == 1 and len(self._samples) > 1
        self._bounds = None if contradicted else newest
