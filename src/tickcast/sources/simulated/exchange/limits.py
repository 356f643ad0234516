"""How much a client may ask for. Real seconds are handed in."""

from __future__ import annotations

from collections import deque

CLIENTS_MAX = 10_000


class Bucket:
    """So many a second, and some at once.

    >>> bucket = Bucket(1.0, 2.0)
    >>> [bucket.take(second) for second in (0.0, 0.0, 0.0, 1.0)]
    [True, True, False, True]
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._level, self._at_s = burst, 0.0

    def take(self, now_s: float) -> bool:
        """Whether one more is allowed now; a rate of 0 allows all."""
        if self._per_s <= 0:
            return True
        self._level = min(self._burst, self._level + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


class Window:
    """At most so many in the last seconds.

    >>> window = Window(2, 10.0)
    >>> [window.take(second) for second in (0.0, 1.0, 2.0, 10.5)]
    [True, True, False, True]
    """

    def __init__(self, count: int, span_s: float) -> None:
        self._count, self._span_s = count, span_s
        self._times: deque[float] = deque()

    def take(self, now_s: float) -> bool:
        """Whether one more is allowed now; a count of 0 allows all. What is refused does not count."""
        if self._count <= 0:
            return True
        while self._times and self._times[0] <= now_s - self._span_s:
            self._times.popleft()
        if len(self._times) >= self._count:
            return False
        self._times.append(now_s)
        return True

    def wait_s(self, now_s: float) -> float:
        """Until the next one is allowed."""
        return max(0.0, self._times[0] + self._span_s - now_s) if len(self._times) >= self._count else 0.0


class Weight:
    """Binance's: a sum of weights a minute, 429 beyond it, a ban for who goes on."""

    def __init__(self, per_minute: int, ban_after: int, ban_s: float) -> None:
        self._per_minute, self._ban_after, self._ban_s = per_minute, ban_after, ban_s
        self._minute, self._refused, self._banned_until_s = -1, 0, 0.0
        self.used = 0

    def take(self, weight: int, now_s: float) -> tuple[int, float]:
        """The HTTP status, and how long to wait where it is not 200."""
        minute = int(now_s // 60.0)
        if minute != self._minute:
            self._minute, self.used, self._refused = minute, 0, 0
        if now_s < self._banned_until_s:
            return 418, self._banned_until_s - now_s
        self.used += weight
        if self._per_minute <= 0 or self.used <= self._per_minute:
            return 200, 0.0
        self._refused += 1
        if self._refused > self._ban_after:
            self._banned_until_s = now_s + self._ban_s
            return 418, self._ban_s
        return 429, (minute + 1) * 60.0 - now_s
