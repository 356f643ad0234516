"""The only file that reads the time. Stages never import it: to them time is data."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

DAY_MS = 86_400_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """What a runner needs to know of time."""

    @property
    def speed(self) -> float:
        """How many seconds of `now_ns` go by in one of `monotonic_s`; 1 for all but a simulated market."""
        ...

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class SystemClock:
    """The machine's clock."""

    speed = 1.0

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass; a negative span is none."""
        if seconds > 0:
            time.sleep(seconds)


class PacedClock:
    """The machine's clock until it is paced; from then on a market's, so many times as fast.

    A simulated exchange and its client share it. Waiting is done in the machine's time: timeouts, back-off and limits
    stay what they are.

    >>> machine = ManualClock(start_ns=5)
    >>> market = PacedClock(machine)
    >>> market.now_ns()
    5
    >>> market.pace(60.0, start_ns=1_000)
    >>> market.sleep(1.0)
    >>> market.now_ns()
    60000001000
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._speed = 0.0
        self._start_ns, self._began_s = 0, 0.0

    @property
    def speed(self) -> float:
        """The market's seconds in one of the machine's."""
        return self._speed or self._clock.speed

    def pace(self, speed: float, start_ns: int) -> None:
        """From now on it is `start_ns`, and goes so fast."""
        self._speed, self._start_ns, self._began_s = speed, start_ns, self._clock.monotonic_s()

    def now_ns(self) -> int:
        """The market's time."""
        if not self._speed:
            return self._clock.now_ns()
        return self._start_ns + round((self._clock.monotonic_s() - self._began_s) * self._speed * 1e9)

    def monotonic_s(self) -> float:
        """The machine's seconds."""
        return self._clock.monotonic_s()

    def sleep(self, seconds: float) -> None:
        """Let the machine's time pass."""
        self._clock.sleep(seconds)


class ManualClock:
    """A clock that tests and simulations move by hand.

    >>> clock = ManualClock(start_ns=0)
    >>> clock.sleep(1.5)
    >>> clock.now_ns()
    1500000000
    """

    speed = 1.0

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """The time it was moved to."""
        return self._now_ns

    def monotonic_s(self) -> float:
        """The same time in seconds."""
        return self._now_ns / 1e9

    def sleep(self, seconds: float) -> None:
        """Move the clock at once."""
        if seconds > 0:
            self._now_ns += round(seconds * 1e9)


def utc_day(timestamp_ms: int) -> str:
    """Name the UTC day of a time, as day files are named.

    >>> utc_day(1_723_161_600_000)
    '20240809'
    """
    return _day_name(timestamp_ms // DAY_MS)


@lru_cache(maxsize=64)
def _day_name(days: int) -> str:
    """Of the day that is so many after 1970-01-01: every message asks, and nearly always for the same."""
    return datetime.fromtimestamp(days * (DAY_MS // 1000), tz=UTC).strftime("%Y%m%d")


def utc_text(timestamp_ms: int) -> str:
    """Write a time for people.

    >>> utc_text(1_723_161_600_000)
    '2024-08-09 00:00:00 UTC'
    """
    return datetime.fromtimestamp(timestamp_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
