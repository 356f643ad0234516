"""Walks through history for the pairs of one exchange: a bounded number at once, what is waited for first.

lanes that want something ─→ joiner.want ─→ History.trades ─→ joiner.part ─→ out
                                 └──────── joiner.done or failed ────┘
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tickcast.sources.history.contract import History, HistoryError, Part
from tickcast.sources.history.parts import Gatherer
from tickcast.sources.history.steps import NotKept
from tickcast.sources.live.joining import Out, Want
from tickcast.sources.live.lane import Lane
from tickcast.sources.live.owntime import OwnTime

WALKS_MAX = 6
"""Walks at once, of one exchange."""
HOLES_MAX = 2
"""Of those, how many may be for old holes, which nobody waits for."""


class Repairs:
    """What one exchange asks its history, one walk a pair."""

    def __init__(
        self,
        history: History,
        time: OwnTime,
        *,
        deliver: Callable[[Lane, list[Out]], None],
        ended: Callable[[Lane, Want, HistoryError | None], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._history, self._time = history, time
        self._deliver, self._ended, self._spawn = deliver, ended, spawn
        self._walking: dict[Lane, bool] = {}
        self._lanes: dict[Lane, None] = {}

    def look_after(self, lane: Lane) -> None:
        """A lane changed: it may want something, or nothing any more."""
        if lane.joiner.settled:
            self._lanes.pop(lane, None)
        else:
            self._lanes[lane] = None

    @property
    def lanes(self) -> list[Lane]:
        """Those that are not simply live."""
        return list(self._lanes)

    def pump(self) -> None:
        """Begin what is wanted, as far as there is room."""
        for holes in (False, True):
            for lane in self.lanes:
                room = len(self._walking) < WALKS_MAX and (not holes or sum(self._walking.values()) < HOLES_MAX)
                if not room:
                    break
                want = lane.joiner.want(self._time.now_s, holes=holes)
                if want is None:
                    continue
                self._walking[lane] = not want.urgent
                self._lanes[lane] = self._lanes.pop(lane)  # to the end: next time it is another's turn
                self._spawn(self._walk(lane, want))

    async def _walk(self, lane: Lane, want: Want) -> None:
        error: HistoryError | None = None
        gatherer = None if want.urgent else Gatherer(lane.joiner.limits.align_ms)
        parts = self._history.trades(lane.pair, want.after, want.until_ms)
        try:
            async for part in parts:
                lane.progress += 1
                whole = part if gatherer is None else gatherer.add(part)
                self._give(lane, want, whole)
                if lane.joiner.satisfied(want):
                    break
        except HistoryError as exc:
            error = exc
        finally:
            del self._walking[lane]
            close = getattr(parts, "aclose", None)
            if close is not None:
                await close()
        self._give(lane, want, gatherer.rest() if gatherer is not None else None)
        now_s = self._time.now_s
        if error is None:
            lane.joiner.done(want, now_s)
        else:
            lane.joiner.failed(want, now_s, forgotten=isinstance(error, NotKept))
        self._ended(lane, want, error)

    def _give(self, lane: Lane, want: Want, part: Part | None) -> None:
        if part is not None:
            self._deliver(lane, lane.joiner.part(want, part, self._time.now_s))
