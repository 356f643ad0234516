"""Candles of one length: the ring of those that still matter, and the two ways to their indicators.

    ... 512 candles ...|..... yesterday .....|..... today ....>      `|` are UTC midnights
        an anchor       rows that can still be re-issued

In order, a candle goes through open handles, or many at once through TA-Lib's batch functions over each day and its
anchor. A candle that changes the past is put in its place, and the days after it are computed anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.indicators.ring import F8, I8, Ring
from tickcast.indicators.spec import ANCHOR
from tickcast.indicators.values import Update, Values

DAY_MS = 86_400_000
LATE_WINDOWS = 32
"""So many closed windows a candle stage may still re-issue; long candles of so many count as `yesterday`."""

BLOCK = 4096
"""Candles that are taken at once, and those up to the next midnight."""

KNOWN_AT, CANDLE_REVISION, REVISION, QUALITY = range(4)
"""The integers kept of each candle and its row."""


class Candle(NamedTuple):
    """One row of a frame of candles."""

    start_ms: int
    bar: tuple[float, float, float, float, float]
    """Open, high, low, close, volume."""
    known_at_ms: int
    revision: int
    quality: int


class Rows(NamedTuple):
    """Rows to issue, in the order of their windows."""

    starts: I8
    ints: Sequence[I8]
    close: F8
    values: Sequence[F8]


class Track:
    """The state of one candle length of one key."""

    __slots__ = ("day_end_ms", "live", "newest_ms", "ring", "step_ms", "values")

    def __init__(self, seconds: int, values: Values, ring: Ring | None = None) -> None:
        self.step_ms = seconds * 1000
        self.values = values
        self.ring = ring or Ring(ints=4, floats=5)
        self.newest_ms = int(self.ring.key[self.ring.hi - 1]) if len(self.ring) else -DAY_MS
        self.day_end_ms = self.newest_ms - self.newest_ms % DAY_MS + DAY_MS
        self.live: Update | None = None

    def push(self, candle: Candle) -> tuple[float, ...]:
        """Take a candle newer than all known; return its row's values."""
        start_ms, bar, known_at_ms, revision, quality = candle
        ints = (known_at_ms, revision, 0, quality)
        if start_ms >= self.day_end_ms:
            self.ring.push(start_ms, ints, bar)
            found = tuple(self._values_from(self.ring.hi - 1)[:, 0].tolist())
            self._moved()
            return found
        if self.live is None:
            first, anchored, whole = self._day(self.newest_ms)
            self.live = self.values.open(self._bars(first, self.ring.hi, anchored), anchored, whole)
        found = self.live(*bar)
        self.ring.push(start_ms, ints, bar)
        self.newest_ms = start_ms
        return found

    def extend(self, starts: I8, bars: Sequence[F8], ints: Sequence[I8 | int]) -> F8:
        """Take many candles, each newer than the one before; return their rows' values."""
        found = np.empty((len(self.values.names), len(starts)))
        done = 0
        while done < len(starts):
            stop = self._some_days(starts, done)
            part = slice(done, stop)
            self.ring.extend(
                starts[part],
                [one if isinstance(one, int) else one[part] for one in ints],
                [bar[part] for bar in bars],
            )
            self._fill_from(self.ring.hi - (stop - done), found[:, part])
            self._moved()
            done = stop
        return found

    def _some_days(self, starts: I8, done: int) -> int:
        """A midnight some thousand candles further: the ring need not hold more at once."""
        if done + BLOCK >= len(starts):
            return len(starts)
        after_ms = int(starts[done + BLOCK])
        return int(starts.searchsorted(after_ms - after_ms % DAY_MS + DAY_MS))

    def worth_a_batch(self, count: int) -> bool:
        """Whether so many candles are faster computed with their whole day than one by one; the bits are the same."""
        return count >= 16 and 128 * count > len(self.ring)

    def amend(self, candle: Candle) -> tuple[str, Rows | None]:
        """Take a candle of the past; say why it changes nothing, or return the rows to issue for it."""
        ring, floor_ms = self.ring, self._floor_ms(self.newest_ms)
        at, known = ring.find(candle.start_ms)
        if known:
            verdict = self._verdict(candle, at)
            if verdict:
                return verdict, None
        elif candle.start_ms < floor_ms and ring.find(floor_ms)[0] - at >= ANCHOR:
            return "too_old", None
        issues_own = candle.start_ms >= floor_ms
        later = at + known if issues_own else ring.find(floor_ms)[0]
        offset, before = later - ring.lo, self._values_from(later)
        self._put(candle, at, known)
        at, offset = ring.find(candle.start_ms)[0], offset + (not known)
        self.live = None
        rows = self._changed(ring.lo + offset, before, candle.known_at_ms, own=at if issues_own else -1)
        self._trim(floor_ms)
        return ("" if issues_own else "anchor_only"), rows

    def amend_all(self, candles: Sequence[Candle]) -> tuple[list[str], Rows | None]:
        """Take candles of the past that came together: what changes is computed and issued once."""
        ring, floor_ms = self.ring, self._floor_ms(self.newest_ms)
        verdicts, own, known_at_ms = [], set(), 0
        least = min(candle.start_ms for candle in candles)
        first = ring.find(max(least, floor_ms))[0]
        keys_before, before = ring.key[first : ring.hi].copy(), self._values_from(first)
        for candle in candles:
            at, known = ring.find(candle.start_ms)
            verdict = self._verdict(candle, at) if known else ""
            if not known and candle.start_ms < floor_ms and ring.find(floor_ms)[0] - at >= ANCHOR:
                verdict = "too_old"
            if not verdict:
                self._put(candle, at, known)
                known_at_ms = max(known_at_ms, candle.known_at_ms)
                if candle.start_ms >= floor_ms:
                    own.add(candle.start_ms)
                else:
                    verdict = "anchor_only"
            verdicts.append(verdict)
        self.live = None
        rows = self._differing(ring.find(max(least, floor_ms))[0], keys_before, before, own, known_at_ms)
        self._trim(floor_ms)
        return verdicts, rows

    def _put(self, candle: Candle, at: int, known: bool) -> None:
        """Write a candle over the one at an index, or before it."""
        ring = self.ring
        if known:
            kept = ring.ints[:, at]
            known_at_ms = max(int(kept[KNOWN_AT]), candle.known_at_ms)
            ring.ints[:, at] = (known_at_ms, candle.revision, int(kept[REVISION]) + 1, candle.quality)
            ring.floats[:, at] = candle.bar
        else:
            ring.insert(at, candle.start_ms, (candle.known_at_ms, candle.revision, 0, candle.quality), candle.bar)

    def _differing(self, start: int, keys_before: I8, before: F8, own: set[int], known_at_ms: int) -> Rows | None:
        """The rows from an index on that were put anew, or of which a bit is another now."""
        ring, after = self.ring, self._values_from(start)
        keys = ring.key[start : ring.hi]
        put = np.isin(keys, np.fromiter(own, np.int64, len(own)))
        differs = put.copy()
        at = np.minimum(keys_before.searchsorted(keys), max(len(keys_before) - 1, 0))
        if len(keys_before):
            same_key = keys_before[at] == keys
            bits = (after.view(np.int64) != before[:, at].view(np.int64)).any(axis=0)
            differs |= same_key & bits
        places = np.flatnonzero(differs) + start
        if not len(places):
            return None
        merely = places[~put[places - start]]
        ring.ints[REVISION, merely] += 1
        ring.ints[KNOWN_AT, merely] = np.maximum(ring.ints[KNOWN_AT, merely], known_at_ms)
        return Rows(
            ring.key[places], list(ring.ints[:, places]), ring.floats[3, places], list(after[:, places - start])
        )

    def _verdict(self, candle: Candle, at: int) -> str:
        kept = self.ring.ints[:, at]
        if candle.revision > kept[CANDLE_REVISION]:
            return ""
        same = tuple(self.ring.floats[:, at].tolist()) == candle.bar and kept[QUALITY] == candle.quality
        return "repeated" if same or candle.revision < kept[CANDLE_REVISION] else "contradicted"

    def _changed(self, later: int, before: F8, known_at_ms: int, own: int) -> Rows | None:
        ring = self.ring
        start = own if own >= 0 else later
        after = self._values_from(start)
        differs = np.zeros(ring.hi - start, dtype=bool)
        differs[later - start :] = (after[:, later - start :].view(np.int64) != before.view(np.int64)).any(axis=0)
        places = np.flatnonzero(differs) + start
        ring.ints[REVISION, places] += 1
        ring.ints[KNOWN_AT, places] = np.maximum(ring.ints[KNOWN_AT, places], known_at_ms)
        if own >= 0:
            places = np.concatenate([[own], places])
        if not len(places):
            return None
        return Rows(
            ring.key[places], list(ring.ints[:, places]), ring.floats[3, places], list(after[:, places - start])
        )

    def _moved(self) -> None:
        """The newest candle is of a new day, perhaps."""
        self.newest_ms = newest_ms = int(self.ring.key[self.ring.hi - 1])
        self.day_end_ms = newest_ms - newest_ms % DAY_MS + DAY_MS
        self.live = None
        self._trim(self._floor_ms(newest_ms))

    def _floor_ms(self, newest_ms: int) -> int:
        """The first midnight whose day can still be re-issued; it moves with the newest candle's day alone."""
        back_ms = newest_ms - newest_ms % DAY_MS - max(DAY_MS, LATE_WINDOWS * self.step_ms)
        return back_ms - back_ms % DAY_MS

    def _trim(self, floor_ms: int) -> None:
        self.ring.drop_before(self.ring.find(floor_ms)[0] - ANCHOR)

    def _day(self, time_ms: int) -> tuple[int, bool, bool]:
        """Where a time's day begins in the ring, whether its anchor is full, and whether it is known from midnight."""
        ring, midnight_ms = self.ring, time_ms - time_ms % DAY_MS
        first = ring.find(midnight_ms)[0]
        return first, first - ring.lo >= ANCHOR, first > ring.lo or ring.key[first] == midnight_ms

    def _bars(self, first: int, stop: int, anchored: bool) -> F8:
        return self.ring.floats[:, first - ANCHOR if anchored else first : stop]

    def _values_from(self, at: int) -> F8:
        """Values of all rows from an index of the ring on."""
        found = np.empty((len(self.values.names), self.ring.hi - at))
        self._fill_from(at, found)
        return found

    def _fill_from(self, at: int, found: F8) -> None:
        """Write those values, day by day."""
        ring, done = self.ring, at
        while done < ring.hi:
            time_ms = int(ring.key[done])
            first, anchored, whole = self._day(time_ms)
            stop = ring.find(time_ms - time_ms % DAY_MS + DAY_MS)[0]
            self.values.fill(found[:, done - at : stop - at], self._bars(first, stop, anchored), anchored, whole)
            done = stop


def in_order(starts: I8, newest_ms: int) -> NDArray[np.bool_]:
    """Which candles are newer than all before them."""
    reached = np.maximum.accumulate(np.concatenate([[newest_ms], starts[:-1]]))
    newer: NDArray[np.bool_] = starts > reached
    return newer
