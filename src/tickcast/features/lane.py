"""Windows of one length: their candles, the last tick before each of their ends, which rows were issued, what is known.

Windows are counted: window `w` is [w, w + 1) times the length. What is remembered is a matter of windows alone, never
of arrival: the last 512 up to the newest issued, and all that still waits.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.events import Columns
from tickcast.features.memory import Memory, Spike
from tickcast.features.names import CANDLE, TICK, TRAILING
from tickcast.features.recall import HORIZON, REMEMBERED
from tickcast.features.relative import Layout, relate
from tickcast.indicators.ring import F8, I8, Ring

_REVISIONS = 1 << 30
_LEAST = 1 << 29
"""Added to revisions, of which some are below zero, so that no key lies before its window's."""
_NEVER = -(1 << 32)
_HELD = len(TICK) + len(TRAILING)
_NOTHING = (float("nan"),) * _HELD

KNOWN_AT, QUALITY = range(2)
"""The integers kept of a candle."""
ROW_REVISION, REVISION = range(2)
"""The integers kept of an issued row: the revision of its row of indicators, and its own."""


def _keys(windows: I8, revisions: I8) -> I8:
    """A number for each revision of each window, in their order."""
    return windows * _REVISIONS + (revisions + _LEAST)


class Verdict(NamedTuple):
    """Which rows are issued, under which revisions."""

    kept: NDArray[np.bool_]
    revisions: I8


class Lane:
    """The state of one candle length of one key."""

    __slots__ = ("candles", "horizon_root", "issued", "memory", "newest", "step_ms", "ticks")

    def __init__(self, seconds: int, spike: Spike) -> None:
        self.step_ms = seconds * 1000
        self.newest = _NEVER
        self.candles = Ring(ints=2, floats=len(CANDLE))
        self.ticks = Ring(ints=0, floats=len(TICK))
        self.issued = Ring(ints=2, floats=_HELD)
        self.memory = Memory(seconds, spike)
        self.horizon_root = math.sqrt(self.memory.arrays.facts[HORIZON])

    def take_candles(self, columns: Columns) -> None:
        """Keep candles by window and revision; the same again changes nothing."""
        keys = _keys(columns["window_start_ms"] // self.step_ms, columns["revision"])
        ints = [columns["known_at_ms"], columns["quality"]]
        ring = self.candles
        last = ring.key[ring.hi - 1] if len(ring) else _NEVER * _REVISIONS
        if keys[0] > last and (keys[1:] > keys[:-1]).all():
            ring.extend(keys, ints, [columns[name] for name in CANDLE])
            return
        rows = zip(*(column.tolist() for column in ints), strict=True)
        bars = zip(*(columns[name].tolist() for name in CANDLE), strict=True)
        for key, row, bar in zip(keys.tolist(), rows, bars, strict=True):
            at, known = ring.find(key)
            if not known and key // _REVISIONS > self.newest - REMEMBERED:
                ring.insert(at, key, row, bar)

    def take_ticks(self, times: I8, values: list[NDArray[Any]]) -> None:
        """Keep the last tick of each window; times do not fall."""
        ring, step_ms = self.ticks, self.step_ms
        first, newest = int(times[0]) // step_ms, int(times[-1]) // step_ms
        if len(ring) and ring.key[ring.hi - 1] // step_ms == first:
            ring.hi -= 1
        if first == newest:
            ring.push(int(times[-1]), (), tuple([column[-1] for column in values]))
            return
        windows = times // step_ms
        last = np.append(windows[1:] != windows[:-1], True)
        ring.extend(times[last], (), [column[last] for column in values])

    def reached(self, windows: I8) -> I8:
        """The newest issued window as of each of some rows, were all before it issued."""
        found: I8 = np.maximum.accumulate(np.concatenate([[self.newest], windows[:-1]]))
        return found

    def ready(self, windows: I8, revisions: I8) -> NDArray[np.bool_]:
        """Whether the candle that a row of indicators was computed from is there; for rows too old it is not missed."""
        keys = _keys(windows, revisions)
        places = np.minimum(self.candles.keys.searchsorted(keys), max(len(self.candles) - 1, 0))
        found = self.candles.keys[places] == keys if len(self.candles) else np.zeros(len(keys), dtype=bool)
        late: NDArray[np.bool_] = windows <= self.reached(windows) - REMEMBERED
        return found | late

    def judge(self, windows: I8, row_revisions: I8, counts: dict[str, int]) -> Verdict:
        """Number the rows to issue, in their order, and remember them."""
        count = len(windows)
        verdict = Verdict(np.ones(count, dtype=bool), np.zeros(count, dtype=np.int64))
        if (windows > self.reached(windows)).all():
            self.issued.extend(windows, [row_revisions, 0], _NOTHING)
            self.newest = int(windows[-1])
            return verdict
        for place, (window, row_revision) in enumerate(zip(windows.tolist(), row_revisions.tolist(), strict=True)):
            ring, (at, known) = self.issued, self.issued.find(window)
            if window <= self.newest - REMEMBERED:
                counts["too_old"] += 1
                verdict.kept[place] = False
            elif not known:
                ring.insert(at, window, (row_revision, 0), _NOTHING)
                self.newest = max(self.newest, window)
            elif row_revision <= ring.ints[ROW_REVISION, at]:
                counts["repeated"] += 1
                verdict.kept[place] = False
            else:
                ring.ints[ROW_REVISION, at] = row_revision
                ring.ints[REVISION, at] += 1
                verdict.revisions[place] = ring.ints[REVISION, at]
        return verdict

    def fill(
        self, out: F8, layout: Layout, windows: I8, revisions: I8, indicators: F8, again: NDArray[np.bool_]
    ) -> tuple[I8, I8]:
        """Write some rows' values, the time's apart; return when their candles were known, and their qualities.

        A row that is issued `again` has the tick that it had, and what trails the market: what came between is not its
        time's any more.
        """
        at = self.candles.lo + self.candles.keys.searchsorted(_keys(windows, revisions))
        candles, ticks = out[: len(CANDLE)], out[layout.held][: len(TICK)]
        np.take(self.candles.floats, at, axis=1, out=candles)
        out[layout.indicators] = indicators
        before = self.ticks.keys.searchsorted((windows + 1) * self.step_ms) - 1
        unseen = before < 0
        if unseen.all():
            ticks[:] = np.nan
        else:
            np.take(self.ticks.floats, self.ticks.lo + before, axis=1, out=ticks, mode="clip")
            ticks[:, unseen] = np.nan
        quality = self.candles.ints[QUALITY, at]
        self.memory.take(windows, quality, candles, out[layout.trailing], out[layout.memory])
        held, places = out[layout.held], self.issued.lo + self.issued.keys.searchsorted(windows)
        if again.any():
            first = ~again
            self.issued.floats[:, places[first]] = held[:, first]
            held[:, again] = self.issued.floats[:, places[again]]
        else:
            self.issued.floats[:, places] = held
        relate(out, layout.operations, self.horizon_root)
        return self.candles.ints[KNOWN_AT, at], quality

    def forget(self) -> None:
        """Let go of what no row can ask for any more."""
        oldest = self.newest - REMEMBERED + 1
        self.issued.drop_before(self.issued.find(oldest)[0])
        self.candles.drop_before(self.candles.find(oldest * _REVISIONS)[0])
        self.ticks.drop_before(self.ticks.find((oldest + 1) * self.step_ms)[0] - 1)

    def parts(self, prefix: str) -> dict[str, Any]:
        """What a snapshot keeps."""
        found: dict[str, Any] = {f"{prefix}newest": self.newest}
        for name in ("candles", "ticks", "issued"):
            found |= getattr(self, name).parts(f"{prefix}{name}")
        return found | self.memory.parts(f"{prefix}memory.")

    @classmethod
    def load(cls, seconds: int, spike: Spike, prefix: str, parts: dict[str, Any]) -> Lane:
        """The lane that `parts` wrote."""
        lane = cls(seconds, spike)
        lane.newest = parts[f"{prefix}newest"]
        lane.candles = Ring.load(f"{prefix}candles", parts, ints=2)
        lane.ticks = Ring.load(f"{prefix}ticks", parts, ints=0)
        lane.issued = Ring.load(f"{prefix}issued", parts, ints=2)
        lane.memory = Memory.load(seconds, spike, f"{prefix}memory.", parts)
        return lane
