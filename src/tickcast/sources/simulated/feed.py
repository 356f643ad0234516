"""When the simulated market's messages come: at once for its history, then as its clock goes.

Receive times follow from the market's own: a message comes 1 to 3 ms after its venue time, and the proof of life for a
second comes 5 ms after it. So the end of each simulated minute has one fixed receive time, and whoever knows the last
receive time that was journaled knows where to go on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from tickcast.clock import NS_PER_MS, Clock
from tickcast.errors import ConfigError
from tickcast.sources import own
from tickcast.sources.contract import Message
from tickcast.sources.simulated.dialects import dialect, interleave, seconds_of
from tickcast.sources.simulated.market import Market, MarketBlock
from tickcast.sources.simulated.settings import MINUTE_MS, MarketSettings

ALIVE_NS = 5_000_000
"""How long after a second's end the proof that it has passed comes."""
JITTER_NS = 2_000_000
MESSAGES_MAX = 4096
STEP_S = 0.05
"""A poll looks up at least this often."""
SLEEP_MIN_S = 1e-4
"""A clock that rounds must still go on."""
FOREVER_NS = (1 << 63) - 1


class SimulatedFeed:
    """A feed (sources.contract.Feed) of a simulated market in the dialect of an exchange.

    `speed` 0 gives everything as fast as it is asked for. Otherwise what comes before `live_from_ms` (market time) is
    given at once, and from there on a second of market time takes `1 / speed` seconds of the clock; `live_at_ns` says
    when on the clock that began (None: when the feed first gets there), so that a restarted process catches up.

    >>> from tickcast.clock import ManualClock
    >>> feed = SimulatedFeed(MarketSettings(), clock=ManualClock(), until_ms=MarketSettings().start_ms + 1000)
    >>> feed.poll(0.0)[-1].raw
    b'{"tickcast":"alive","venue_ms":1735689601000}'
    """

    def __init__(
        self,
        settings: MarketSettings,
        exchange: str = "binance",
        *,
        clock: Clock,
        speed: float = 0.0,
        live_from_ms: int = 0,
        live_at_ns: int | None = None,
        until_ms: int | None = None,
    ) -> None:
        if not 0.0 <= speed <= 100_000.0:
            raise ConfigError(
                "speed", f"was {speed}", "give 0 for as fast as possible, 1 for real time, 50 for 50 times"
            )
        self.settings = settings
        self.exchange = exchange
        self.ended = False
        self._clock = clock
        self._speed = speed
        self._live_from_ns = live_from_ms * NS_PER_MS
        self._live_at_s: float | None = None
        if live_at_ns is not None:
            self._live_at_s = clock.monotonic_s() + (live_at_ns - clock.now_ns()) / 1e9
        self._until_ms = until_ms
        self._market = Market(settings)
        self._dialect = dialect(exchange, self._market.pairs)
        self._ready: list[Message] = []
        self._at = 0
        self._begun = False
        self._seen_ns = settings.start_ms * NS_PER_MS

    def resume_after(self, recv_ns: int) -> None:
        """Go on with the message after the one received then, as if the feed had never stopped (before `poll`)."""
        if self._begun:
            raise ConfigError("simulated feed", "was to resume after it had begun", "call resume_after before poll")
        if recv_ns <= self._seen_ns:
            return
        minutes = (recv_ns - ALIVE_NS - self._seen_ns) // (MINUTE_MS * NS_PER_MS)
        if self._dialect.numbered:
            for _ in range(minutes):
                self._dialect.skip(self._market.block())
        elif minutes > 0:
            self._market.skip(minutes)
        self._seen_ns = recv_ns
        self._refill()
        while self._at < len(self._ready) and self._ready[self._at].recv_ns <= recv_ns:
            self._at += 1

    def poll(self, timeout_s: float) -> list[Message]:
        """The messages that are due, at most 4096; waits for the first one until the timeout."""
        self._begun = True
        deadline_s = self._clock.monotonic_s() + timeout_s
        while not self.ended:
            if self._at == len(self._ready):
                self._refill()
                continue
            reached_ns = self._reached_ns()
            stop = min(self._at + MESSAGES_MAX, len(self._ready))
            due = bisect_right(self._ready, reached_ns, self._at, stop, key=lambda message: message.recv_ns)
            if due > self._at:
                given = self._ready[self._at : due]
                self._at, self._seen_ns = due, given[-1].recv_ns
                return given
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0.0:
                break
            wait_s = (self._ready[self._at].recv_ns - reached_ns) / 1e9 / self._speed
            self._clock.sleep(max(min(wait_s, left_s, STEP_S), SLEEP_MIN_S))
        return []

    def close(self) -> None:
        """Nothing comes after this."""
        self.ended = True
        self._ready, self._at = [], 0

    def history_done(self) -> float:
        """The share of the history that was given: 1 when the feed is live, or has no history."""
        start_ns = self.settings.start_ms * NS_PER_MS
        if self._live_from_ns <= start_ns or self._seen_ns >= self._live_from_ns:
            return 1.0
        if self._at < len(self._ready) and self._ready[self._at].recv_ns > self._live_from_ns:
            return 1.0
        return (self._seen_ns - start_ns) / (self._live_from_ns - start_ns)

    def _reached_ns(self) -> int:
        """Up to which receive time messages are due."""
        if self._speed == 0.0:
            return FOREVER_NS
        now_s = self._clock.monotonic_s()
        if self._live_at_s is None:
            if self._ready[self._at].recv_ns <= self._live_from_ns:
                return self._live_from_ns
            begun_ns = max(self._live_from_ns, self._seen_ns)
            self._live_at_s = now_s - (begun_ns - self._live_from_ns) / 1e9 / self._speed
        live_ns = round((now_s - self._live_at_s) * self._speed * 1e9)
        return self._live_from_ns + max(0, live_ns)

    def _refill(self) -> None:
        """Make the next minute's messages; the feed ends where nothing is left before `until_ms`."""
        if self._until_ms is not None and self._market.now_ms >= self._until_ms:
            self.close()
            return
        self._ready, self._at = self._messages(self._market.block()), 0

    def _messages(self, block: MarketBlock) -> list[Message]:
        ends_us = seconds_of(block)
        alive = [own.alive(end_us // 1000) for end_us in ends_us.tolist()]
        wire = self._dialect.wire(block)
        times_us, raws = interleave(wire.time_us, wire.raws, ends_us, alive)
        recv_ns = receive_times(times_us, ends_us, block.start_ms)
        if self._until_ms is not None:
            stop = int(np.searchsorted(times_us, self._until_ms * 1000, side="right"))
            recv_ns, raws = recv_ns[:stop], raws[:stop]
        return list(map(Message, recv_ns.tolist(), repeat(self.exchange), raws))


def receive_times(times_us: NDArray[np.int64], ends_us: NDArray[np.int64], start_ms: int) -> NDArray[np.int64]:
    """Strictly rising receive times of a minute's messages, from their venue times alone."""
    spread = (times_us * 2_654_435_761) & 0xFFFFFFFF  # a multiplicative hash: each time its own latency
    recv_ns = times_us * 1000 + NS_PER_MS + spread * JITTER_NS // 0xFFFFFFFF
    # after the messages of the same time comes the word that it has passed
    recv_ns[np.searchsorted(times_us, ends_us, side="right") - 1] = ends_us * 1000 + ALIVE_NS
    steps = np.arange(1, len(recv_ns) + 1)
    floor_ns = start_ms * NS_PER_MS + ALIVE_NS
    rising: NDArray[np.int64] = np.maximum(np.maximum.accumulate(recv_ns - steps), floor_ns) + steps
    return rising


def messages(settings: MarketSettings, until_ms: int, exchange: str = "binance") -> Iterator[Message]:
    """All messages of a market until a time, as fast as they can be made."""
    from tickcast.clock import ManualClock

    feed = SimulatedFeed(settings, exchange, clock=ManualClock(), until_ms=until_ms)
    while not feed.ended:
        yield from feed.poll(0.0)
