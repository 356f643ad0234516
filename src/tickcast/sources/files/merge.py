"""Files of one market as one: their rows merge in the order of time, what stands twice is kept once.

file 1 |-----------|
file 2         |-----------|                 rows that stand in both are dropped, and counted at file 2
file 3                         |--------|    trades: nothing was observed between file 2 and file 3
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tickcast.events import Frame
from tickcast.sources.files import candles, trades
from tickcast.sources.files.runs import Runs

if TYPE_CHECKING:
    from tickcast.sources.files.reader import ReadResult

_PLACE_BITS = 40


def merged(results: Sequence[ReadResult]) -> Iterator[Frame]:
    """Frames of files of one key. Only files that overlap in time are held at once."""
    files = sorted(results, key=lambda one: one.first_us)
    merge = _Merge(files)
    options = files[0].options
    runs = Runs(options.memory_rows, options.scratch_dir)
    try:
        for at, file in enumerate(files):
            merge.begin(file, runs)
            file.fill(runs, at)
            until_us = files[at + 1].first_us if at + 1 < len(files) else None
            for rows in runs.drain(options.batch_rows, until_us):
                yield from merge.frames(rows)
    finally:
        for file in files:
            file.rejects.close()


class _Merge:
    """What is remembered from one batch to the next."""

    def __init__(self, files: Sequence[ReadResult]) -> None:
        self.files = files
        self.what, self.exchange, self.pair, self.candle_seconds = files[0].key
        self.ids = trades.IdMaker()
        self.last_us = 0
        self.blind_from_ms = 0

    def begin(self, file: ReadResult, runs: Runs) -> None:
        """Rows of one more file may follow; between it and those before nobody looked."""
        if self.what == "trades" and not runs.holds_rows and file.first_us > self.last_us > 0:
            self.blind_from_ms = self.last_us // 1000

    def frames(self, rows: Any) -> Iterator[Frame]:
        """One batch, sorted by time, as a frame."""
        rows = self._unique_candles(rows) if self.what == "candles" else self._unique_trades(rows)
        if not len(rows):
            return
        first_us, last_us = int(rows["time_us"][0]), int(rows["time_us"][-1])
        if first_us < self.last_us:
            file = self.files[int(rows["place"][0]) >> _PLACE_BITS]
            note = "rows older than the file's beginning came after a younger file's; import it alone"
            if note not in file.understood.notes:
                file.understood.notes.append(note)
        if self.what == "candles":
            yield self._candles(rows)
        else:
            self.ids.fill(rows)
            low_ms = max(last_us, self.last_us) // 1000
            columns = trades.to_columns(rows)
            yield Frame("trades", self.exchange, self.pair, low_ms, columns, self.blind_from_ms)
            self.blind_from_ms = 0
        self.last_us = max(last_us, self.last_us)

    def _candles(self, rows: Any) -> Frame:
        step_us = self.candle_seconds * 1_000_000
        starts = rows["time_us"] if not self.last_us else np.concatenate(([self.last_us], rows["time_us"]))
        holes = np.maximum(np.diff(starts) // step_us - 1, 0)
        owners = (rows["place"] >> _PLACE_BITS)[-len(holes) :] if len(holes) else holes
        for at in np.flatnonzero(holes):
            self.files[int(owners[at])].missing += int(holes[at])
        columns = candles.to_columns(rows, self.candle_seconds)
        return Frame("candles", self.exchange, self.pair, int(columns["window_end_ms"].max()), columns)

    def _unique_candles(self, rows: Any) -> Any:
        """The highest revision of a time stands (only our own files have any); of equal ones the first."""
        rows = rows[np.lexsort((rows["place"], -rows["revision"], rows["time_us"]))]
        head = _heads(rows["time_us"][1:] == rows["time_us"][:-1])
        first = rows[head]
        twice = head != np.arange(len(rows))
        alike = candles.same(rows, first) | (rows["revision"] < first["revision"])
        self._drop(rows, twice, alike, "the same time stands before with other values")
        return rows[~twice]

    def _unique_trades(self, rows: Any) -> Any:
        if _rising(rows):  # nearly always, and then there is nothing to do
            return rows
        rows = rows[np.lexsort((rows["place"], rows["trade_id"], rows["time_us"]))]
        joined = (rows["time_us"][1:] == rows["time_us"][:-1]) & (rows["trade_id"][1:] == rows["trade_id"][:-1])
        head = _heads(joined & (rows["trade_id"][1:] != trades.MADE))
        twice = head != np.arange(len(rows))
        self._drop(rows, twice, trades.same(rows, rows[head]), "the same trade id stands before with other values")
        rows = rows[~twice]
        sources = rows["place"] >> _PLACE_BITS
        if np.any(sources[1:] != sources[:-1]):
            again = _again(rows, sources) & (rows["trade_id"] == trades.MADE)
            self._drop(rows, again, np.ones(len(rows), np.bool_), "")
            rows = rows[~again]
        return rows[np.lexsort((rows["place"], rows["trade_id"], rows["time_us"]))]

    def _drop(self, rows: Any, twice: NDArray[np.bool_], alike: NDArray[np.bool_], reason: str) -> None:
        for at in np.flatnonzero(twice):
            place = int(rows["place"][at])
            file = self.files[place >> _PLACE_BITS]
            file.rows -= 1
            if alike[at]:
                file.duplicates += 1
            else:
                shown = ",".join(str(value) for value in rows[at].item()[2:])
                file.rejects.add(file.place(place & ((1 << _PLACE_BITS) - 1)), reason, shown)


def _rising(rows: Any) -> bool:
    """Whether every row comes after the one before it by time and id, so that none stands twice."""
    times, ids = np.diff(rows["time_us"]), np.diff(rows["trade_id"])
    return bool(np.all((times > 0) | ((times == 0) & (ids > 0))))


def _heads(joined: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each row, the first row of its group; `joined` says which rows belong to the one before."""
    starts = np.concatenate(([0], np.where(joined, 0, np.arange(1, len(joined) + 1))))
    heads: NDArray[np.int64] = np.maximum.accumulate(starts)
    return heads


def _again(rows: Any, sources: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Trades without ids that an earlier file has too: the n-th of equal ones in one file is the n-th in another."""
    fields = ("time_us", "price", "quantity", "is_buyer_maker")
    order = np.lexsort((rows["place"], *(rows[name] for name in fields)))
    alike = trades.same(rows[order][1:], rows[order][:-1])
    of_file = _heads(alike & (sources[order][1:] == sources[order][:-1]))
    nth = np.arange(len(rows)) - of_file
    group = _heads(alike)
    by_nth = np.lexsort((sources[order], nth, group))
    same_nth = (group[by_nth][1:] == group[by_nth][:-1]) & (nth[by_nth][1:] == nth[by_nth][:-1])
    again = np.zeros(len(rows), np.bool_)
    again[order[by_nth[1:]]] = same_nth
    return again
