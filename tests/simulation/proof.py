"""What must be true of one pair after a storm: what is stored, against what was traded.

market  ── 180 ── 181 ── 182 ── 183 ──        stored  ── 180 ╌╌╌╌╌ 182 ── 183 ──
                                              a hole from the time of 180 to that of 182: its windows are partial,
                                              and all others are those of an undisturbed run
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tickcast.candles.stage import Candles
from tickcast.config import FlowSettings
from tickcast.events import QUALITY, TRADES, Columns, Frame
from tickcast.runners.datadir import STORE_FILE
from tickcast.runners.trades import stored_trades
from tickcast.store.duckdb import DuckStore

TRUTH = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "trade_count")
LENGTHS = (1, 60)
FIRST_ID, LISTED_ANEW = 1_000_001, 1 << 40
"""Ids below the market's first one are of a pair that was listed anew: here they go on after the old ones."""
BEGINNING_MS = 60_000
"""The first minute of a pair may have begun before its first trade that is known."""
FEATURES_KEPT = 500
"""A row of features is issued again for so many windows; what is repaired later is in the candles alone."""
Row = dict[str, Any]
Window = tuple[int, int]
"""(seconds, start)"""


class Lost(NamedTuple):
    """Trades that are not stored, when they were, and from when to when they leave windows in doubt."""

    first_id: int
    last_id: int
    times_ms: tuple[int, ...]
    from_ms: int
    to_ms: int

    def touches(self, window: Window) -> bool:
        seconds, start = window
        return self.from_ms < start + 1000 * seconds and self.to_ms >= start

    def is_of(self, window: Window) -> bool:
        seconds, start = window
        return any(start <= one < start + 1000 * seconds for one in self.times_ms)


class Proof:
    """One pair of a data directory, beside the truth."""

    def __init__(self, root: Path, venue: str, pair: str, truth: dict[str, list[Any]]) -> None:
        self.root, self.where, self.name = root, (venue, pair), f"{venue}:{pair}"
        self.truth = {name: np.array(column) for name, column in truth.items() if name in TRADES.columns}
        for name in ("trade_id", "first_id"):
            self.truth[name] = _in_line(self.truth[name])
        self.lost: list[Lost] = []
        self.first_id = 0

    def trades(self, *, may_lack: bool) -> list[Lost]:
        """Each trade is stored once, with the market's price; says which are missing, if any may be."""
        columns = self._stored()
        ids = _ids(columns)
        assert len(ids), f"{self.name}: nothing was stored"
        assert len(ids) == len(np.unique(ids)), f"{self.name}: a trade was stored twice"
        self.first_id = int(ids.min())
        known = self.truth["trade_id"]
        expected = known[(known >= ids.min()) & (known <= ids.max())]
        missing = np.setdiff1d(expected, ids)
        said = f"{self.name}: {len(missing)} of {len(expected)} trades are missing: {missing[:9]}"
        assert may_lack or not len(missing), said
        assert np.array_equal(np.setdiff1d(expected, missing), np.sort(ids)), f"{self.name}: invented trades"
        time_of = dict(zip(known.tolist(), self.truth["timestamp_ms"].tolist(), strict=True))
        starts = missing[np.diff(missing, prepend=-1) != 1].tolist()
        ends = missing[np.diff(missing, append=-1) != 1].tolist()
        self.lost = [
            Lost(a, b, tuple(time_of[one] for one in range(a, b + 1)), time_of[a - 1], time_of[b + 1])
            for a, b in zip(starts, ends, strict=True)
        ]
        return self.lost

    def candles(self) -> None:
        """All windows are there; those in doubt are partial, all others equal, and so are the features made of them."""
        store = DuckStore(self.root / STORE_FILE, read_only=True)
        try:
            exchange, pair = self.where
            found = {
                _window(row): row for some in store.rows("candles", exchange=exchange, pair=pair) for row in _rows(some)
            }
            told = {
                _moment(row): row
                for some in store.rows("features", exchange=exchange, pair=pair)
                for row in _rows(some)
            }
        finally:
            store.close()
        expected = self._undisturbed()
        self._no_window_is_missing(expected, found)
        since_ms = min(start for seconds, start in expected if seconds == 60)
        for window in sorted(expected.keys() & found.keys()):
            left, right, feature = expected[window], found[window], told.get(window)
            lacking = any(one.is_of(window) for one in self.lost)
            doubtful = any(one.touches(window) for one in self.lost)
            partial = QUALITY[right["quality"]] == "partial"
            said = f"{self.name} {window}: {left} {right}"
            equal = [left[name] for name in TRUTH] == [right[name] for name in TRUTH]
            assert partial if lacking else equal or (doubtful and partial), said
            assert not partial or doubtful or window[1] <= since_ms + BEGINNING_MS, said
            told_late = right["known_at_ms"] - window[1] > FEATURES_KEPT * 1000 * window[0]
            assert told_late or feature is None or feature["quality"] == right["quality"], f"{said} {feature}"

    def _stored(self) -> Columns:
        """The stored trades' ids."""
        parts = [
            frame.columns for frame in stored_trades(self.root, lambda exchange, pair: (exchange, pair) == self.where)
        ]
        empty = TRADES.empty()
        return {
            name: _in_line(np.concatenate([empty[name], *(part[name] for part in parts)]))
            for name in ("trade_id", "first_id")
        }

    def _undisturbed(self) -> dict[Window, Row]:
        """The fold of the truth from the first stored trade on."""
        kept = self.truth["trade_id"] >= self.first_id
        columns: Columns = TRADES.rows([{}] * int(kept.sum()))
        columns |= {name: column[kept].astype(columns[name].dtype) for name, column in self.truth.items()}
        stage = Candles(FlowSettings(candle_seconds=LENGTHS))
        since_ms = int(columns["timestamp_ms"][0]) // 60_000 * 60_000
        whole = Frame("trades", *self.where, int(columns["timestamp_ms"][-1]), columns, whole_from_ms=since_ms)
        return {_window(row): row for row in _rows(stage.step(stage.new(), whole)[0].columns)}

    def _no_window_is_missing(self, expected: dict[Window, Row], found: dict[Window, Row]) -> None:
        assert len(expected.keys() & found.keys()) > 60, self.name
        first = min(start for seconds, start in expected if seconds == 1)
        last = max(start for seconds, start in found if seconds == 1)
        gaps = [start for start in range(first, last, 1000) if (1, start) not in found]
        assert not gaps, f"{self.name}: windows are missing: {gaps[:5]} of {first} to {last}"


def _in_line(ids: Any) -> Any:
    return np.where((ids >= 0) & (ids < FIRST_ID), ids + LISTED_ANEW, ids)


def _ids(columns: Columns) -> Any:
    spans = zip(columns["first_id"].tolist(), columns["trade_id"].tolist(), strict=True)
    return np.array([one for first, last in spans for one in range(int(first), int(last) + 1)], dtype=np.int64)


def _window(row: Row) -> Window:
    return int(row["candle_seconds"]), int(row["window_start_ms"])


def _moment(row: Row) -> Window:
    return int(row["candle_seconds"]), int(row["timestamp_ms"]) - 1000 * int(row["candle_seconds"])


def _rows(columns: Columns) -> list[Row]:
    lists = {name: column.tolist() for name, column in columns.items() if name in _READ}
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


_READ = {*TRUTH, "candle_seconds", "window_start_ms", "timestamp_ms", "quality", "revision", "known_at_ms"}
