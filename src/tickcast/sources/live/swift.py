"""The swift road of many messages that were read at once: while all is usual, a pair is moved on once, not each time.

    read at once ─→ looked at ─┬→ usual: trades that follow, quotes of live pairs ─→ out, all at once
                               └→ the first that is not ─→ the road of each message (`Exchange.hear`) ─→ on from there

The road of each message is the definition: what goes out, and what is known afterwards, is the same on both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tickcast.sources.live.lane import Lane
from tickcast.sources.live.outbox import Outbox
from tickcast.sources.mapping import SCANNED
from tickcast.sources.venues.contract import Span

NOT_LIVE = -9


class Usual(Protocol):
    """What looks at many messages of a venue (`tickcast.sources.venues.usual.Usual`)."""

    def look(self, raws: Sequence[bytes]) -> list[int]:
        """Read them; the numbers of the pairs that were met."""
        ...

    def follow(self, at: int, nexts: Sequence[int], reached: int) -> tuple[int, int, int]:
        """Go on from a message as far as all is usual: (the first that is not, the last time told, the last number)."""
        ...

    def moved(self) -> list[list[int]]:
        """Of each pair that was met: the next id, trades, quotes, the last trade's id and time."""
        ...


class Swift:
    """The swift road of one exchange."""

    def __init__(self, usual: Usual, lanes: Mapping[str, Lane], outbox: Outbox, exchange: str) -> None:
        self._usual, self._lanes = usual, list(lanes.values())
        self._put_many, self._exchange = outbox.put_many, exchange
        self._met: list[Lane] = []

    def look(self, raws: Sequence[bytes]) -> bool:
        """Read what came at once; whether any of it may go this way."""
        lanes = self._lanes
        self._met = [lanes[number] for number in self._usual.look(raws)]
        return any(lane.joiner.live for lane in self._met)

    def follow(self, recv_ns: int, raws: Sequence[bytes], at: int, reached: int) -> tuple[int, int, int]:
        """Carry on what was looked at, from one message on.

        Returns the first that is not usual, the last time told, and the last number in the connection, of which
        `reached` is that of the message before.
        """
        met = self._met
        nexts = [lane.joiner.next_id if lane.joiner.live else NOT_LIVE for lane in met]
        stop, venue_ms, reached = self._usual.follow(at, nexts, reached)
        if stop == at:
            return stop, 0, reached
        for lane, (_, trades, quotes, last_id, last_ms, _) in zip(met, self._usual.moved(), strict=True):
            if trades:
                lane.trades += trades
                lane.joiner.flows(Span(lane.pair, lane.joiner.next_id, last_id, last_ms, last_ms))
            if trades or quotes:
                lane.quotes += quotes
                lane.last_ns = recv_ns
        self._put_many(recv_ns, self._exchange, raws[at:stop])
        return stop, venue_ms, reached


def swift_of(venue: str, lanes: Mapping[str, Lane], outbox: Outbox) -> Swift | None:
    """The swift road of an exchange; None: it has none."""
    if venue not in SCANNED:
        return None
    from tickcast.sources.venues.usual import Usual as Looking

    return Swift(Looking(venue, list(lanes)), lanes, outbox, venue)
