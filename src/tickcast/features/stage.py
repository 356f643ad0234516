"""Candles, their indicators and ticks in; one row out for each closed candle: what a model sees.

The three streams are joined on time, never on arrival. The rule:

- There is one feature row for each row of indicators, and they are issued in the order of that stream.
- A row waits until the candle it was computed from is there, in that very revision (`candle_revision`), and until the
  ticks have come so far that nothing before the window's end can follow: their `low_ms`, or a tick, at or after it.
  Rows behind it wait with it.
- Its tick is the last one with `timestamp_ms` before the window's end, from however long ago; NaN before the first.
- A row of indicators issued again (a higher revision of its window) gives the row again with revision + 1, with the
  tick, the threshold and the time of day that it had; what it remembers of candles is read anew. Windows more than 511
  behind the newest issued are refused and counted (`too_old`).

Where there are no ticks (imported candles) an empty frame of them must say that time has passed: its `low_ms`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tickcast.config import FlowSettings
from tickcast.errors import DataError, SnapshotError
from tickcast.events import CANDLES, FEATURES, INDICATORS, TICKS, Columns, Frame, concat
from tickcast.features.lane import Lane
from tickcast.features.memory import Spike
from tickcast.features.names import TICK, feature_names, feature_set, indicator_names
from tickcast.features.relative import Layout
from tickcast.indicators.ring import F8, I8, Ring
from tickcast.snapshot import pack, unpack

_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000
_BLOCK = 4096
_WAITING_MAX = 1 << 21
"""Rows that one stream may be ahead of the others; more means that one of them does not come at all."""

COUNTS = ("too_old", "repeated", "unasked")
"""Rows that gave nothing: of windows forgotten; known already; of candle lengths that no setting names."""

_SECONDS, _ROW_REVISION, _CANDLE_REVISION, _KNOWN_AT = range(4)


def _circle(steps: int) -> F8:
    """Sine and cosine of each step, to twelve digits: the same on every machine."""
    angles = [2.0 * math.pi * step / steps for step in range(steps)]
    return np.array([[round(of(angle), 12) + 0.0 for angle in angles] for of in (math.sin, math.cos)])


_HOURS, _WEEKDAYS, _MINUTES = _circle(24), _circle(7), _circle(60)


def _tell_time(out: F8, ends: I8) -> None:
    """Write the columns of TIME."""
    minutes = ends // _MINUTE_MS % 60
    out[0:2] = _HOURS[:, ends % _DAY_MS // _HOUR_MS]
    out[2:4] = _WEEKDAYS[:, (ends // _DAY_MS + 3) % 7]
    out[4:6] = _MINUTES[:, minutes]
    out[6], out[7] = minutes % 5, minutes % 15


class State:
    """One key: a lane for each candle length, rows of indicators that wait, how far each stream has come, counts."""

    __slots__ = ("counts", "grain_ms", "held", "lanes", "lows", "ticks_ms", "waiting")

    def __init__(self, seconds: tuple[int, ...], indicators: int, spike: Spike) -> None:
        self.lanes = {one: Lane(one, spike) for one in seconds}
        self.waiting = Ring(ints=4, floats=indicators)
        self.lows = {CANDLES.name: 0, INDICATORS.name: 0, TICKS.name: 0}
        self.ticks_ms = 0
        self.held: Columns | None = None
        """The newest ticks, not yet in the lanes: most are followed by another one of the same window."""
        self.grain_ms = math.gcd(*seconds) * 1000
        self.counts = dict.fromkeys(COUNTS, 0)


class Features:
    """The stage; see the module.

    >>> stage = Features(FlowSettings())
    >>> stage.names[:2], len(stage.feature_set)
    (('open', 'high'), 12)
    """

    name = "features"
    version = 4

    def __init__(self, settings: FlowSettings) -> None:
        self.names = feature_names(settings)
        self.feature_set = feature_set(settings)
        self._indicators = indicator_names(settings)
        self._seconds = settings.candle_seconds
        self._spike = Spike.of(settings)
        self._layout = Layout.of(self.names)

    def new(self) -> State:
        """The state of a key that was never seen."""
        return State(self._seconds, len(self._indicators), self._spike)

    def step(self, state: State, frame: Frame) -> list[Frame]:
        """Fold in a frame of any of the three streams; return the rows that have become complete."""
        state.lows[frame.kind] = max(state.lows[frame.kind], frame.low_ms)
        if frame.kind == TICKS.name:
            self._ticks(state, frame)
        elif len(frame):
            for seconds, columns in self._by_length(state, frame.columns):
                if frame.kind == CANDLES.name:
                    state.lanes[seconds].take_candles(columns)
            if frame.kind == INDICATORS.name:
                self._wait(state, frame.columns)
        parts = self._release(state) if len(state.waiting) else []
        self._check(state, frame.key)
        if not parts:
            return []
        return [Frame(FEATURES.name, frame.exchange, frame.pair, min(state.lows.values()), concat(parts))]

    def _by_length(self, state: State, columns: Columns) -> list[tuple[int, Columns]]:
        """Rows of each candle length that has a lane."""
        lengths = columns["candle_seconds"]
        first = int(lengths[0])
        if (lengths == first).all():
            return [(first, columns)] if first in state.lanes else []
        found = [int(one) for one in np.unique(lengths) if one in state.lanes]
        return [(one, {name: c[lengths == one] for name, c in columns.items()}) for one in found]

    def _ticks(self, state: State, frame: Frame) -> None:
        """Only ticks of the newest time or later: a stream sent again from before adds nothing."""
        columns = frame.columns
        if len(frame) and columns["timestamp_ms"][0] < state.ticks_ms:
            newer = columns["timestamp_ms"] >= state.ticks_ms
            columns = {name: column[newer] for name, column in columns.items()}
        times = columns["timestamp_ms"]
        if not len(times):
            return
        newest_ms, grain_ms = int(times[-1]), state.grain_ms
        if not newest_ms // grain_ms == state.ticks_ms // grain_ms == int(times[0]) // grain_ms:
            self._put(state)
        if newest_ms // grain_ms != int(times[0]) // grain_ms:
            self._put(state, columns)
        else:
            state.held = columns
        state.ticks_ms = newest_ms

    @staticmethod
    def _put(state: State, columns: Columns | None = None) -> None:
        """Hand ticks, those held back or others, to the lanes."""
        if columns is None:
            columns, state.held = state.held, None
        if columns is not None:
            values = [columns[name] for name in TICK]
            for lane in state.lanes.values():
                lane.take_ticks(columns["timestamp_ms"], values)

    def _wait(self, state: State, columns: Columns) -> None:
        """Queue rows of indicators, of all lengths in one order."""
        lengths = columns["candle_seconds"]
        asked = np.logical_or.reduce([lengths == one for one in self._seconds])
        if not asked.all():
            state.counts["unasked"] += int((~asked).sum())
            columns = {name: column[asked] for name, column in columns.items()}
        ints = [columns["candle_seconds"], columns["revision"]]
        ints += [columns["candle_revision"], columns["known_at_ms"]]
        state.waiting.extend(columns["window_start_ms"], ints, [columns[name] for name in self._indicators])

    def _release(self, state: State) -> list[Columns]:
        """Issue from the head of the queue while rows are complete."""
        parts: list[Columns] = []
        while len(state.waiting):
            waiting = state.waiting
            block = slice(waiting.lo, min(waiting.lo + _BLOCK, waiting.hi))
            count = self._complete(state, waiting.key[block], waiting.ints[:, block])
            if count:
                self._put(state)
                block = slice(block.start, block.start + count)
                part = self._issue(state, waiting.key[block], waiting.ints[:, block], waiting.floats[:, block])
                waiting.drop_before(block.stop)
                if len(part["timestamp_ms"]):
                    parts.append(part)
            if count < _BLOCK:
                break
        return parts

    def _complete(self, state: State, starts: I8, ints: I8) -> int:
        """How many rows at the head can be issued."""
        ready = starts + ints[_SECONDS] * 1000 <= max(state.lows[TICKS.name], state.ticks_ms)
        for seconds, lane in state.lanes.items():
            of_lane = np.flatnonzero(ints[_SECONDS] == seconds)
            if len(of_lane):
                ready[of_lane] &= lane.ready(starts[of_lane] // lane.step_ms, ints[_CANDLE_REVISION, of_lane])
        return len(ready) if ready.all() else int(ready.argmin())

    def _issue(self, state: State, starts: I8, ints: I8, indicators: F8) -> Columns:
        """Rows of complete windows; those refused or known are left out."""
        count = len(starts)
        values, layout = np.empty((len(self.names), count)), self._layout
        known_at, quality, revision = (np.empty(count, dtype=np.int64) for _ in range(3))
        kept = np.zeros(count, dtype=bool)
        for seconds, lane in state.lanes.items():
            at = np.flatnonzero(ints[_SECONDS] == seconds)
            if not len(at):
                continue
            windows = starts[at] // lane.step_ms
            verdict = lane.judge(windows, ints[_ROW_REVISION, at], state.counts)
            at, windows = at[verdict.kept], windows[verdict.kept]
            kept[at], revision[at] = True, verdict.revisions[verdict.kept]
            own = values[: layout.rows] if len(at) == count else np.empty((layout.rows, len(at)))
            again, revisions = revision[at] > 0, ints[_CANDLE_REVISION, at]
            known_at[at], quality[at] = lane.fill(own, layout, windows, revisions, indicators[:, at], again)
            if len(at) < count:
                values[: layout.rows, at] = own
            lane.forget()
        ends = starts + ints[_SECONDS] * 1000
        _tell_time(values[layout.rows :], ends)
        known_at = np.maximum(np.maximum(known_at, ints[_KNOWN_AT]), ends)
        fixed: Columns = {
            "candle_seconds": ints[_SECONDS].copy(),
            "timestamp_ms": ends,
            "known_at_ms": known_at,
            "feature_set": np.full(count, self.feature_set, dtype=np.object_),
            "quality": quality.astype(np.uint8),
            "revision": revision,
        }
        found = fixed | dict(zip(self.names, values, strict=True))
        return found if kept.all() else {name: column[kept] for name, column in found.items()}

    def _check(self, state: State, key: str) -> None:
        """One stream far ahead of the others is a fault of the wiring: say so, drop nothing in silence."""
        rings = [("rows of indicators", state.waiting)]
        for lane in state.lanes.values():
            rings += [("candles", lane.candles), ("windows with ticks", lane.ticks)]
        for what, ring in rings:
            if ring.hi - ring.lo > _WAITING_MAX:
                raise DataError(
                    f"features of {key}",
                    f"{len(ring)} {what} wait for the other streams, none was issued or dropped",
                    "check that the candles, indicators and ticks stages all run, then start again",
                )

    def snapshot(self, state: State) -> bytes:
        """All that the state remembers."""
        self._put(state)
        parts: dict[str, Any] = {"lengths": list(state.lanes), "ticks_ms": state.ticks_ms, "spike": list(self._spike)}
        parts |= {"lows": list(state.lows.values()), "counts": list(state.counts.values())}
        parts |= state.waiting.parts("waiting")
        for seconds, lane in state.lanes.items():
            parts |= lane.parts(f"{seconds}.")
        return pack(self.name, self.version, parts)

    def restore(self, data: bytes) -> State:
        """The state that `snapshot` wrote; a candle length that is new since then starts empty."""
        parts = unpack(self.name, self.version, data)
        if parts["spike"] != list(self._spike):
            told = ", ".join(f"{name} {value}" for name, value in zip(self._spike._fields, parts["spike"], strict=True))
            remedy = "start with the settings of before, or `tickcast replay` its journal into a new directory"
            raise SnapshotError("snapshot of features", f"was written with {told}", remedy)
        state = self.new()
        state.ticks_ms = parts["ticks_ms"]
        state.lows = dict(zip(state.lows, parts["lows"], strict=True))
        state.counts = dict(zip(COUNTS, parts["counts"], strict=True))
        waiting = Ring.load("waiting", parts, ints=4)
        if len(waiting):
            if waiting.floats.shape[0] != len(self._indicators):
                raise SnapshotError(
                    "snapshot of features",
                    f"{len(waiting)} rows wait in it with other indicators than the configuration names",
                    "start once with the indicators of before",
                )
            state.waiting = waiting
        for seconds in parts["lengths"]:
            if seconds in state.lanes:
                state.lanes[seconds] = Lane.load(seconds, self._spike, f"{seconds}.", parts)
        return state

    def counts(self, state: State) -> dict[str, int]:
        """Rows that gave nothing, and why."""
        return dict(state.counts)
