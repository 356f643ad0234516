"""Several streams into one sequence of blocks for each exchange, by receive time, however they were named.

a.ndjson   |--1--3--------5--|
b.ndjson      |--2--4--|             blocks hold 1 2 3 4 5
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

import numpy as np

from tickcast.sources.contract import Block
from tickcast.sources.recorded_bytes import CHUNK_BYTES
from tickcast.sources.recorded_streams import Run, Stream

Open = Callable[[Stream], Iterator[Run]]
Keyed = tuple[int, Block]
"""A block and the key of its first line."""


def merge(streams: list[Stream], open_stream: Open, block_bytes: int = CHUNK_BYTES) -> Iterator[Block]:
    """The blocks of all streams; each exchange's lines in order, and the exchanges side by side in time."""
    if len(streams) == 1:
        lanes = [_blocks(_merge_lane(streams, None, open_stream), block_bytes)]
    else:
        lanes = [
            _blocks(_merge_lane([s for s in streams if name in s.exchanges], name, open_stream), block_bytes)
            for name in sorted(frozenset().union(*(stream.exchanges for stream in streams)))
        ]
    for _, block in heapq.merge(*lanes, key=lambda keyed: (keyed[0], keyed[1].exchange)):
        yield block


class _Cursor:
    """A place in one stream."""

    __slots__ = ("at", "run", "runs")

    def __init__(self, runs: Iterator[Run]) -> None:
        self.runs = runs
        self.at = 0
        self.run = next(runs, None)

    def key(self) -> int | None:
        """The key of the next line; None at the end."""
        if self.run is not None and self.at == len(self.run.keys):
            self.run, self.at = next(self.runs, None), 0
        return None if self.run is None else int(self.run.keys[self.at])

    def take(self, until: tuple[int, int] | None, rank: int) -> tuple[int, str, bytes]:
        """The next lines up to another stream's (key, rank), or all of the run."""
        run = self.run
        assert run is not None  # noqa: S101  `key` was asked before
        stop = len(run.keys)
        if until is not None:
            stop = int(np.searchsorted(run.keys, until[0], side="right" if rank < until[1] else "left"))
        at, self.at = self.at, stop
        if at == 0 and stop == len(run.keys):
            return int(run.keys[0]), run.exchange, run.lines
        start = int(run.ends[at - 1]) if at else 0
        return int(run.keys[at]), run.exchange, run.lines[start : int(run.ends[stop - 1])]


def _merge_lane(streams: list[Stream], exchange: str | None, open_stream: Open) -> Iterator[tuple[int, str, bytes]]:
    """Lines of one exchange (None: of all) by key; a stream is opened when its time has come."""
    heap = [(stream.first_ns, stream.rank) for stream in streams]
    heapq.heapify(heap)
    by_rank = {stream.rank: stream for stream in streams}
    cursors: dict[int, _Cursor] = {}
    while heap:
        promised, rank = heapq.heappop(heap)
        cursor = cursors.get(rank)
        if cursor is None:
            runs = open_stream(by_rank[rank])
            cursor = cursors[rank] = _Cursor(run for run in runs if exchange in (None, run.exchange))
        key = cursor.key()
        if key == promised:
            yield cursor.take(heap[0] if heap else None, rank)
            key = cursor.key()
        if key is None:
            del cursors[rank]
        else:
            heapq.heappush(heap, (key, rank))


def _blocks(lines: Iterator[tuple[int, str, bytes]], block_bytes: int) -> Iterator[Keyed]:
    """Gather lines until they fill a block."""
    gathered: dict[str, tuple[int, list[bytes]]] = {}
    sizes: dict[str, int] = {}
    for key, exchange, part in lines:
        gathered.setdefault(exchange, (key, []))[1].append(part)
        sizes[exchange] = sizes.get(exchange, 0) + len(part)
        if sizes[exchange] >= block_bytes:
            first, parts = gathered.pop(exchange)
            del sizes[exchange]
            yield first, Block(exchange, b"".join(parts))
    for exchange, (first, parts) in sorted(gathered.items()):
        yield first, Block(exchange, b"".join(parts))
