"""Holes of one pair that stay open: trades that are missing while the live stream goes on.

    ids   ── 180 ╌╌╌╌╌╌╌╌╌╌ 195 ──      a hole: 181 to 194, from the time of 180 to the time of 195
    rows         185 ─ 190               a part of it comes: two holes are left, 181 to 184 and 191 to 194

A hole without ids is one of time alone: of a venue whose ids are not consecutive, or before the first trade we know.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.sequences import beginnings
from tickcast.sources.history.contract import Part

Ints = NDArray[np.int64]

HOLES_MAX = 64
"""Open holes of one pair; of more, the two oldest are taken as one, so nothing is forgotten."""
CONFIRMS = 2
"""So many answers must show both sides of a hole and nothing in it, before its trades are given up."""
FORGOTTEN = 4
"""So many looks it takes where the venue does not even keep what was before the hole: its memory begins after it."""
NOTHING_TRIES = 9
"""Where it shows nothing at all of that time it may only lag behind, but not for a quarter of an hour of tries."""
CONFIRM_S = 15.0
"""The second one is asked for so much later: a venue's memory may lag behind its stream."""
TRIES_MAX = 200
"""With waits that double up to ten minutes, more than a day."""
WAIT_MAX_S = 600.0
APART_MS = 31 * 86_400_000
"""Known trades further apart are of two recordings: nobody asked for years of trades between them (`backfill` does)."""


class Hole(msgspec.Struct):
    """Trades that are missing between two that are known."""

    first_id: int
    """-1: only the time is known."""
    last_id: int
    from_ms: int
    to_ms: int
    due_s: float = 0.0
    """When history is asked (again)."""
    tries: int = 0
    empty: int = 0
    """How many answers showed both sides and nothing between."""

    @property
    def ids(self) -> int:
        """How many ids are missing."""
        return self.last_id - self.first_id + 1

    def whole(self, align_ms: int) -> tuple[int, int]:
        """The whole windows that touch it."""
        return self.from_ms - self.from_ms % align_ms, self.to_ms - self.to_ms % align_ms + align_ms

    def again(self, now_s: float) -> None:
        """It was asked for without success: wait twice as long as the last time."""
        self.tries += 1
        self.due_s = now_s + min(2.0 ** min(self.tries, 16), WAIT_MAX_S)


class Filled(msgspec.Struct):
    """What an answer did to the holes."""

    trades: int = 0
    """How many missing ids came; of a hole of time, the rows of its answer."""
    closed: int = 0
    split: int = 0
    """How many holes there are more, because only their middle came."""
    lost: list[Hole] = msgspec.field(default_factory=list)
    """Holes that are given up: the venue itself has nothing there."""


class Holes:
    """The open holes of one pair, oldest first.

    >>> holes = Holes()
    >>> holes.add(Hole(181, 194, 1000, 2000))
    >>> holes.seen(185, 190, 1500).trades
    6
    >>> [(hole.first_id, hole.last_id, hole.from_ms, hole.to_ms) for hole in holes]
    [(181, 184, 1000, 1500), (191, 194, 1500, 2000)]
    """

    def __init__(self) -> None:
        self._open: list[Hole] = []

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Hole]:
        return iter(self._open)

    def add(self, hole: Hole) -> None:
        """Remember one more."""
        self._open.append(hole)
        self._open.sort(key=lambda one: one.from_ms)
        if len(self._open) > HOLES_MAX:
            older, newer = self._open[:2]
            timed = older.first_id < 0 or newer.first_id < 0
            first, last = min(older.first_id, newer.first_id), max(older.last_id, newer.last_id)
            ids = (-1, -1) if timed else (first, last)
            self._open[:2] = [Hole(*ids, older.from_ms, max(older.to_ms, newer.to_ms), older.due_s)]

    def due(self, now_s: float) -> Hole | None:
        """The first that may be asked for now."""
        return next((hole for hole in self._open if hole.due_s <= now_s), None)

    def seen(self, first_id: int, last_id: int, timestamp_ms: int) -> Filled:
        """Trades came by another way."""
        return self._fill(np.array([first_id]), np.array([last_id]), np.array([timestamp_ms]))

    def fill(self, part: Part) -> Filled:
        """History came; where ids begin anew in it, the holes are in the newest of them."""
        columns = [part.rows[name] for name in ("first_id", "trade_id", "timestamp_ms")]
        start = max(beginnings(columns[1], columns[2]), default=0)
        return self._fill(*(column[start:] for column in columns))

    def judge(self, part: Part, before: Part | None, since_ms: int, now_s: float) -> Filled:
        """History came that was asked for from `since_ms` on, in whole windows: what it does not show may not be there.

        `before` is its answer before this one.
        """
        filled = self.fill(part)
        for hole in list(self._open):
            if hole.first_id < 0 and part.from_ms <= hole.to_ms and hole.from_ms < part.to_ms:
                filled.trades += len(part.rows["trade_id"])
            if not (since_ms <= hole.from_ms and hole.to_ms < part.to_ms and hole.due_s <= now_s):
                continue
            if hole.first_id < 0:
                self._open.remove(hole)
                filled.closed += 1
            elif (needed := _looks_needed(hole, part, before)) > 0:
                hole.empty += 1
                hole.due_s = now_s + CONFIRM_S
                if hole.empty >= needed:
                    self._open.remove(hole)
                    filled.lost.append(hole)
        return filled

    def retry(self, from_ms: int, to_ms: int, now_s: float) -> list[Hole]:
        """What is still open in that time is asked for later; returns those for which it was tried too often."""
        given_up = []
        for hole in list(self._open):
            if from_ms <= hole.from_ms and hole.to_ms < to_ms and hole.due_s <= now_s:
                hole.again(now_s)
                if hole.tries > TRIES_MAX:
                    self._open.remove(hole)
                    given_up.append(hole)
        return given_up

    def forget(self, from_ms: int, to_ms: int) -> list[Hole]:
        """Nothing of that time can be had any more."""
        gone = [hole for hole in self._open if from_ms <= hole.from_ms and hole.to_ms < to_ms]
        self._open = [hole for hole in self._open if hole not in gone]
        return gone

    def _fill(self, firsts: Ints, lasts: Ints, times: Ints) -> Filled:
        """Take ids away from the holes; `firsts` and `lasts` ascend."""
        filled = Filled()
        if not self._open or not len(lasts) or lasts[-1] < self._open[0].first_id:
            return filled
        left: list[Hole] = []
        for hole in self._open:
            pieces = _pieces(hole, firsts, lasts, times)
            filled.closed += not pieces
            filled.split += max(len(pieces) - 1, 0)
            filled.trades += hole.ids - sum(piece.ids for piece in pieces)
            left += pieces
        self._open = []
        for hole in left:
            self.add(hole)
        return filled


def _pieces(hole: Hole, firsts: Ints, lasts: Ints, times: Ints) -> list[Hole]:
    """What is left of a hole when those trades have come."""
    start, stop = np.searchsorted(lasts, hole.first_id), np.searchsorted(firsts, hole.last_id, side="right")
    if hole.first_id < 0 or start >= stop:
        return [hole]
    begins = np.concatenate(([hole.first_id], lasts[start:stop] + 1))
    ends = np.concatenate((firsts[start:stop] - 1, [hole.last_id]))
    since = np.concatenate(([hole.from_ms], times[start:stop]))
    until = np.concatenate((times[start:stop], [hole.to_ms]))
    pieces = []
    for at in np.flatnonzero(begins <= ends).tolist():
        from_ms, to_ms = sorted((int(since[at]), int(until[at])))
        ids = {"first_id": int(begins[at]), "last_id": int(ends[at])}
        pieces.append(msgspec.structs.replace(hole, **ids, from_ms=from_ms, to_ms=to_ms))
    return pieces


def _looks_needed(hole: Hole, part: Part, before: Part | None) -> int:
    """How many looks like this one end a hole; 0: it tells nothing of it."""
    parts = [one for one in (before, part) if one is not None]
    if _shows(part, hole.last_id + 1) and any(_shows(one, hole.first_id - 1) for one in parts):
        return CONFIRMS
    if parts[0].from_ms > hole.from_ms:
        return 0
    oldest = [int(one.rows["first_id"][0]) for one in parts if len(one.rows["first_id"])]
    if not oldest:
        return hole.empty + 1 if hole.tries >= NOTHING_TRIES else 0
    return FORGOTTEN if min(oldest) > hole.last_id else 0


def _shows(part: Part, number: int) -> bool:
    """Whether a trade is in an answer: one that lacks those around a hole knows nothing of the hole."""
    return bool(np.any((part.rows["first_id"] <= number) & (number <= part.rows["trade_id"])))
