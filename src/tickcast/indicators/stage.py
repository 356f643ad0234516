"""Candles in, one row of indicators for each out; rows that a changed candle changes are issued again.

The values depend on the market alone, not on when the process was started or how the candles were handed in: each UTC
day stands on the 512 candles before it (`spec.ANCHOR`). Days without a full anchor are NaN, OBV and VWAP of days that
are not known from their midnight on too.

A re-issued candle always re-issues its own row; later rows are issued again if a bit of them changed. A row's
`candle_revision` says which revision of its candle it was computed from: the features stage joins the two by it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from tickcast.config import FlowSettings
from tickcast.events import INDICATORS, Columns, Frame
from tickcast.indicators.issued import Chunk, Issued
from tickcast.indicators.ring import I8, Ring
from tickcast.indicators.spec import parse
from tickcast.indicators.track import Candle, Track, in_order
from tickcast.indicators.values import Values
from tickcast.snapshot import pack, unpack

_BAR = ("open", "high", "low", "close", "volume")
_FEW = 16
"""Frames of so few rows are cheaper read row by row."""

COUNTS = ("repeated", "contradicted", "too_old", "anchor_only", "unreadable")
"""Candles that changed nothing: known already; another truth under a known revision; older than the ring; of a day
whose rows are no longer issued, so that it only serves later anchors; not finite."""


class State:
    """One key: a track for each candle length, and counts."""

    __slots__ = ("counts", "tracks")

    def __init__(self) -> None:
        self.tracks: dict[int, Track] = {}
        self.counts = dict.fromkeys(COUNTS, 0)


class Indicators:
    """The stage; see the module.

    >>> stage = Indicators(FlowSettings(indicators=("ADX:14",)))
    >>> stage.names[-2:]
    ('atr_14', 'adx_14')
    """

    name = "indicators"
    version = 1

    def __init__(self, settings: FlowSettings) -> None:
        self._values = Values(parse(settings.indicators))
        self.names = self._values.names

    def new(self) -> State:
        """The state of a key that was never seen."""
        return State()

    def step(self, state: State, frame: Frame) -> list[Frame]:
        """Fold candles in; rows come in the order of the candles that caused them."""
        count = len(frame)
        if count == 0:
            return []
        columns, issued = frame.columns, Issued(self.names)
        lengths = columns["candle_seconds"]
        if frame.whole_from_ms:
            self._history(state, columns, issued)
        elif count <= _FEW:
            self._few(state, columns, issued)
        elif (lengths == lengths[0]).all():
            self._many(state, int(lengths[0]), np.arange(count), columns, issued)
        else:
            for seconds in np.unique(lengths).tolist():
                places = np.flatnonzero(lengths == seconds)
                part = {name: column[places] for name, column in columns.items()}
                self._many(state, seconds, places, part, issued)
        return [frame.with_columns(INDICATORS.name, issued.columns())] if issued else []

    def _track(self, state: State, seconds: int) -> Track:
        track = state.tracks.get(seconds)
        if track is None:
            track = state.tracks[seconds] = Track(seconds, self._values)
        return track

    def _few(self, state: State, columns: Columns, issued: Issued) -> None:
        """Row by row: the live path."""
        lengths = columns["candle_seconds"].tolist()
        for order, candle in enumerate(_candles(columns, slice(None))):
            total = sum(candle.bar)
            if total - total != 0.0:
                state.counts["unreadable"] += 1
            else:
                self._one(state, lengths[order], self._track(state, lengths[order]), order, candle, issued)

    def _one(self, state: State, seconds: int, track: Track, order: int, candle: Candle, issued: Issued) -> None:
        if candle.start_ms > track.newest_ms:
            issued.add(order, seconds, candle, track.push(candle))
            return
        verdict, rows = track.amend(candle)
        if verdict:
            state.counts[verdict] += 1
        if rows is not None:
            count = len(rows.starts)
            issued.extend(Chunk(np.full(count, order), np.full(count, seconds), *rows))

    def _history(self, state: State, columns: Columns, issued: Issued) -> None:
        """Candles that fetched history gave, which come together whoever cuts frames: the past once, then the new."""
        lengths = columns["candle_seconds"]
        for seconds in np.unique(lengths).tolist():
            track = self._track(state, seconds)
            past = (lengths == seconds) & (columns["window_start_ms"] <= track.newest_ms)
            places = np.flatnonzero(past & np.isfinite(sum(columns[name] for name in _BAR)))
            if len(places):
                verdicts, rows = track.amend_all(_candles(columns, places))
                for verdict in filter(None, verdicts):
                    state.counts[verdict] += 1
                if rows is not None:
                    count = len(rows.starts)
                    issued.extend(Chunk(np.full(count, places[0]), np.full(count, seconds), *rows))
            rest = np.flatnonzero((lengths == seconds) & ~past)
            if len(rest):
                self._many(state, seconds, rest, {name: column[rest] for name, column in columns.items()}, issued)

    def _many(self, state: State, seconds: int, places: I8, columns: Columns, issued: Issued) -> None:
        """Candles of one length: runs of them in order at once, all else row by row."""
        track = self._track(state, seconds)
        opened, high, low, close, volume = (columns[name] for name in _BAR)
        finite = np.isfinite(opened + high + low + close + volume)
        if not finite.all():
            state.counts["unreadable"] += int((~finite).sum())
            places, columns = places[finite], {name: column[finite] for name, column in columns.items()}
        starts = columns["window_start_ms"]
        newer = in_order(starts, track.newest_ms)
        edges = [0, *(np.flatnonzero(newer[1:] != newer[:-1]) + 1).tolist(), len(starts)]
        for first, stop in pairwise(edges):
            run = slice(first, stop)
            if newer[run].all() and track.worth_a_batch(stop - first):
                known, revision, quality = (columns[name][run] for name in ("known_at_ms", "revision", "quality"))
                bars = [columns[name][run] for name in _BAR]
                values = track.extend(starts[run], bars, [known, revision, 0, quality])
                ints = [known, revision, np.zeros(stop - first, np.int64), quality]
                lengths = np.full(stop - first, seconds)
                issued.extend(Chunk(places[run], lengths, starts[run], ints, bars[3], list(values)))
            else:
                for order, candle in zip(places[run].tolist(), _candles(columns, run), strict=True):
                    self._one(state, seconds, track, order, candle, issued)

    def snapshot(self, state: State) -> bytes:
        """The candles that matter; handles are opened anew on them."""
        parts: dict[str, Any] = {"lengths": sorted(state.tracks), "counts": list(state.counts.values())}
        for seconds in parts["lengths"]:
            parts |= state.tracks[seconds].ring.parts(f"{seconds}.")
        return pack(self.name, self.version, parts)

    def restore(self, data: bytes) -> State:
        """The state that `snapshot` wrote."""
        parts = unpack(self.name, self.version, data)
        state = State()
        state.counts = dict(zip(COUNTS, parts["counts"], strict=True))
        for seconds in parts["lengths"]:
            state.tracks[seconds] = Track(seconds, self._values, Ring.load(f"{seconds}.", parts, ints=4))
        return state

    def counts(self, state: State) -> dict[str, int]:
        """Candles that changed nothing, and why."""
        return dict(state.counts)


def _candles(columns: Columns, places: I8 | slice) -> list[Candle]:
    bars = zip(*(columns[name][places].tolist() for name in _BAR), strict=True)
    rest = (columns[name][places].tolist() for name in ("known_at_ms", "revision", "quality"))
    return list(map(Candle, columns["window_start_ms"][places].tolist(), bars, *rest))
