"""Who watches that each pair flows at its own pace, that what is missing gets fetched, and what time it is there.

silent beside its pace ─→ suspect ─→ history is asked ─┬→ nothing new: it is only quiet
                                                       └→ more than the stream told, and the stream stays behind:
                                                          a stall ─→ subscribed anew ─→ ... ─→ a new connection
best prices silent beside theirs, while trades go on ─→ subscribed anew, ever more rarely
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from tickcast.sources.history.contract import History, HistoryError
from tickcast.sources.live.clocks import VenueClock
from tickcast.sources.live.joining import Want
from tickcast.sources.live.lane import Lane
from tickcast.sources.live.owntime import OwnTime
from tickcast.sources.live.repairs import Repairs
from tickcast.sources.sockets.connection import Connection

LOOK_S = 0.25
"""How often paces are looked at."""
VERDICT_S = 2.0
"""How long a stream may be behind history before it counts as stalled: some venues send in batches."""
SETTLE_S = 1.0
"""How long a new subscription may take before its pair is checked."""
STALLS_MAX = 3
"""After so many in a row the connection is replaced."""
RESTART_S = 600.0
"""But not more often than this for one exchange: a pair that is gone must not keep the others from their stream."""
ASK_AGAIN_S = 300.0
"""After so long a pair that was refused is asked for again."""
LOOKS_EACH_S = 5.0
"""About pairs that were found to be only quiet before, history is asked once in so long, whatever their number."""
TIME_S = 30.0
"""How often the venue is asked for its time."""
TIME_AGAIN_S = 2.0
"""After a failure, or while it is in doubt; twice as long each time."""


class Watched(Protocol):
    """An exchange, as far as it is watched."""

    clock: VenueClock
    repairs: Repairs

    @property
    def lanes(self) -> Mapping[str, Lane]:
        """Its pairs."""
        ...

    @property
    def connections(self) -> Sequence[Connection]:
        """Its connections; that of number n is at n - 1."""
        ...

    def subscribed(self, lane: Lane) -> None:
        """The stream of a pair counts again."""
        ...

    def cut(self, lane: Lane) -> None:
        """The stream of a pair counts no more."""
        ...

    def note(self, text: str, about: str = "") -> None:
        """Something a reader should know."""
        ...


class Watch:
    """Watches one exchange."""

    def __init__(self, exchange: Watched, history: History, time: OwnTime) -> None:
        self._exchange, self._history, self._time = exchange, history, time
        self._note = exchange.note
        self._looked_s = self._asked_s = -math.inf
        self._restarted_s = -math.inf
        self._told: dict[Lane, tuple[int, int]] = {}

    def tick(self) -> None:
        """A step of our own time has passed."""
        now_s = self._time.now_s
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        quiet: list[Lane] = []
        for lane in self._exchange.lanes.values():
            lane.tick(now_s)
            if lane.verdict is not None:
                self._judge(lane, now_s)
            elif not lane.up:
                self._bring_back(lane, now_s)
            elif lane.joiner.live and lane.lacks_quotes(now_s):
                self._quotes_stalled(lane, now_s)
            elif lane.joiner.live and lane.pace.silent(now_s, 2.0 ** min(lane.looks, 16)):
                quiet.append(lane)
        suspects = [lane for lane in quiet if not lane.looks]
        if len(suspects) < len(quiet) and now_s - self._asked_s >= LOOKS_EACH_S:
            self._asked_s = now_s
            suspects.append(max((lane for lane in quiet if lane.looks), key=lambda lane: lane.pace.silent_s(now_s)))
        for lane in suspects:
            lane.joiner.suspect(now_s)
            self._exchange.repairs.look_after(lane)

    def _bring_back(self, lane: Lane, now_s: float) -> None:
        """A pair that was subscribed anew, or refused: once its answer must have come, its stream counts again."""
        connection = self._exchange.connections[lane.number - 1]
        if lane.refused and connection.state == "open" and lane.resubscribed_s + ASK_AGAIN_S <= now_s:
            lane.refused, lane.resubscribed_s = "", now_s
            connection.resubscribe([lane.pair])
        elif not lane.refused and lane.resubscribed_s + SETTLE_S <= now_s and connection.state == "open":
            self._exchange.subscribed(lane)

    def _judge(self, lane: Lane, now_s: float) -> None:
        """History knew more than the stream: was the stream only slow?"""
        until_s, trades = lane.verdict or (0.0, 0)
        if lane.trades != trades:
            lane.verdict = None
            lane.joiner.trust()
            self._exchange.repairs.look_after(lane)
        elif now_s >= until_s:
            lane.verdict = None
            self._stalled(lane, now_s)

    def _stalled(self, lane: Lane, now_s: float) -> None:
        lane.stalls_in_row += 1
        lane.looks = 0
        lane.pace.begin(now_s)
        connection = self._exchange.connections[lane.number - 1]
        worn_out = lane.stalls_in_row >= STALLS_MAX and now_s - self._restarted_s >= RESTART_S
        if worn_out:
            lane.stalls += 1
            self._exchange.cut(lane)
            self._restarted_s, lane.stalls_in_row = now_s, 0
            self._note(f"{lane.pair}: its stream has stalled {STALLS_MAX} times, so its connection is dialled anew.")
            connection.restart(f"the stream of {lane.pair} stalled in it")
        else:
            self._note(f"{lane.pair}: its stream has stalled; history has more. It is subscribed anew.")
            self._subscribe_anew(lane, now_s)

    def _quotes_stalled(self, lane: Lane, now_s: float) -> None:
        """History knows no best prices, so only the pace tells; what comes while it is subscribed anew is checked."""
        lane.quote_stalls += 1
        self._note(f"{lane.pair}: its best prices have stalled while trades go on. It is subscribed anew.")
        self._subscribe_anew(lane, now_s)

    def _subscribe_anew(self, lane: Lane, now_s: float) -> None:
        lane.stalls += 1
        self._exchange.cut(lane)
        lane.resubscribed_s = now_s
        self._exchange.connections[lane.number - 1].resubscribe([lane.pair])

    def walk_ended(self, lane: Lane, want: Want, error: HistoryError | None) -> None:
        """History has answered, or not."""
        now_s, joiner = self._time.now_s, lane.joiner
        if want.suspected and want.fresh and joiner.state == "suspect":
            lane.verdict = (now_s + VERDICT_S, lane.trades)
        elif want.suspected and joiner.live:
            lane.looks += 1
            lane.pace.look(now_s)
        if error is not None:
            self._note(f"{lane.pair}: {error}", f"history {lane.pair}")
        for hole in joiner.given_up:
            if hole.first_id >= 0:
                ids = f"trades {hole.first_id} to {hole.last_id} can not be had"
                self._note(f"{lane.pair}: {ids}; the windows between {hole.from_ms} and {hole.to_ms} ms stay partial.")
        joiner.given_up.clear()
        if joiner.anew:
            joiner.anew = False
            self._note(f"{lane.pair}: its trade ids began anew; its trades go on by time, beginning with those ids.")
        repaired, trades = self._told.get(lane, (0, 0))
        counts = joiner.counts
        if counts.repaired > repaired:
            count = counts.trades - trades
            self._note(f"{lane.pair}: {count} missing trades were fetched from history.", f"repaired {lane.pair}")
        self._told[lane] = (counts.repaired, counts.trades)

    async def keep_time(self) -> None:
        """Ask the venue for its time, again and again."""
        exchange, wait_s = self._exchange, TIME_AGAIN_S
        while True:
            try:
                told = await self._history.venue_time()
            except HistoryError as exc:
                self._note(f"could not be asked for its time: {exc}", "time")
                wait_s = min(wait_s * 2, TIME_S)
            else:
                exchange.clock.sample(*told, self._time.now_s)
                wait_s = TIME_AGAIN_S
            doubtful = exchange.clock.offset_ms is None
            await asyncio.sleep(wait_s if doubtful else TIME_S)
