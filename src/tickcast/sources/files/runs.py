"""Sorted runs of rows and their merge, in bounded memory: files may be unsorted, many, and larger than the machine.

    blocks of a file ─→ sorted runs (memory, then a temporary file) ─→ merge ─→ batches in the order of time

A batch never cuts between rows of one time, so what is done for equal times (duplicates) sees all of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]
"""A structured array with at least `time_us`, and `place` to keep equal times in the order of the file."""


class _Run:
    __slots__ = ("at", "first_us", "in_memory", "rows")

    def __init__(self, rows: Rows, in_memory: bool) -> None:
        self.rows, self.at, self.in_memory = rows, 0, in_memory
        self.first_us = int(rows["time_us"][0])

    def now_us(self, ahead: int = 0) -> int | None:
        place = self.at + ahead
        return int(self.rows["time_us"][place]) if place < len(self.rows) else None

    def take(self, until_us: int) -> Rows:
        start = self.at
        self.at = start + int(np.searchsorted(self.rows["time_us"][start:], until_us, "left"))
        return np.array(self.rows[start : self.at])


class Runs:
    """Takes rows in any order and gives them back in the order of time.

    >>> runs = Runs()
    >>> dtype = np.dtype([("time_us", "i8"), ("place", "i8")])
    >>> for times in ([5, 3], [4, 1]):
    ...     runs.add(np.array([(t, i) for i, t in enumerate(times)], dtype))
    >>> [batch["time_us"].tolist() for batch in runs.drain(2)]
    [[1, 3], [4, 5]]
    """

    def __init__(self, memory_rows: int = 2_000_000, scratch_dir: Path | None = None) -> None:
        self._memory_rows, self._scratch_dir = memory_rows, scratch_dir
        self._held = 0
        self._scratch: Any = None
        self._runs: list[_Run] = []

    @property
    def holds_rows(self) -> bool:
        """Whether anything waits to be drained."""
        return bool(self._runs)

    def add(self, rows: Rows) -> None:
        """Take some rows; they are sorted here."""
        if not len(rows):
            return
        times = rows["time_us"]
        if np.any(times[1:] < times[:-1]):
            rows = rows[np.argsort(times, kind="stable")]
        fits = self._held + len(rows) <= self._memory_rows
        self._held += len(rows) if fits else 0
        self._runs.append(_Run(rows if fits else self._spill(rows), fits))

    def drain(self, batch_rows: int, until_us: int | None = None) -> Iterator[Rows]:
        """Give back what is older than `until_us` (all of it without), in batches of about `batch_rows`."""
        waiting = sorted(self._runs, key=lambda run: run.first_us, reverse=True)
        active: list[_Run] = []
        while waiting or active:
            if not active:
                active.append(waiting.pop())
            end_us = self._end_of_batch(active, waiting, batch_rows)
            if until_us is not None:
                end_us = until_us if end_us is None else min(end_us, until_us)
            taken = [part for run in active if len(part := run.take(_AFTER_ALL if end_us is None else end_us))]
            if len(taken) == 1:  # a run is in order already
                yield taken[0]
            elif taken:
                batch = np.concatenate(taken)
                yield batch[np.lexsort((batch["place"], batch["time_us"]))]
            elif end_us == until_us:
                break
            self._held -= sum(len(run.rows) for run in active if run.in_memory and run.now_us() is None)
            active = [run for run in active if run.now_us() is not None]
        self._runs = [run for run in (*active, *waiting) if run.now_us() is not None]
        for run in self._runs:
            run.first_us = run.now_us() or run.first_us

    @staticmethod
    def _end_of_batch(active: list[_Run], waiting: list[_Run], batch_rows: int) -> int | None:
        """The time before which the next batch ends; runs that begin before it join the active ones."""
        while True:
            each = max(1, batch_rows // len(active))
            ahead = [time for run in active if (time := run.now_us(each)) is not None]
            end_us = min(ahead) if ahead else None
            if end_us is not None:
                end_us = max(end_us, min(run.now_us() or 0 for run in active) + 1)
            if not waiting or (end_us is not None and waiting[-1].first_us >= end_us):
                return end_us
            if end_us is None and waiting[-1].first_us > max(int(run.rows["time_us"][-1]) for run in active):
                return waiting[-1].first_us  # nothing overlaps: what is active ends here
            active.append(waiting.pop())

    def _spill(self, rows: Rows) -> Rows:
        if self._scratch is None:
            self._scratch = tempfile.TemporaryFile(dir=self._scratch_dir)  # noqa: SIM115  it lives as long as the rows in it
        self._scratch.seek(0, 2)
        start = self._scratch.tell()
        self._scratch.write(rows.tobytes())
        self._scratch.flush()
        return np.memmap(self._scratch, rows.dtype, "r", offset=start, shape=rows.shape)


_AFTER_ALL = 2**63 - 1
