"""Answers of history joined to larger ones, so that each holds whole windows."""

from __future__ import annotations

from collections.abc import Sequence

from tickcast.events import concat
from tickcast.sources.history.contract import Part

BYTES_WANTED = 4 << 20
"""An answer this large is let go as soon as it holds whole windows."""
BYTES_MAX = 64 << 20
"""One this large is let go in any case."""


def merged(parts: Sequence[Part]) -> Part:
    """Parts that follow each other, as one."""
    first, last = parts[0], parts[-1]
    return last._replace(
        from_ms=first.from_ms,
        pages=tuple(page for part in parts for page in part.pages),
        rows=concat([part.rows for part in parts]),
    )


class Gatherer:
    """Collects parts until they hold whole windows.

    parts   |----|------|---|----|          windows   |     |     |     |
    given   |-----------|                   its last part lies in the next window too, so it comes again with it
                 |----------|               what lies in an open window alone waits for that window's end
    """

    def __init__(self, align_ms: int, wanted: int = BYTES_WANTED) -> None:
        self._align_ms, self._wanted = align_ms, wanted
        self._parts: list[Part] = []
        self._fresh = self._bytes = 0
        self._floor_ms = -1

    def add(self, part: Part) -> Part | None:
        """One more; what is whole and large enough by now, if so."""
        self._parts.append(part)
        self._fresh += 1
        self._bytes += sum(map(len, part.pages))
        if self._floor_ms < 0:
            self._floor_ms = part.from_ms
        whole_ms = part.to_ms - part.to_ms % self._align_ms
        if self._bytes < self._wanted or (whole_ms <= self._floor_ms and self._bytes < BYTES_MAX):
            return None
        told, self._parts, self._fresh = self._parts, [], 0
        if self._bytes < BYTES_MAX:
            self._parts = [one for one in told if one.to_ms > whole_ms]
            told = [one for one in told if one.from_ms < whole_ms or one.to_ms <= whole_ms]
            self._fresh = sum(one.from_ms >= whole_ms for one in self._parts)
        self._bytes = sum(len(page) for one in self._parts for page in one.pages)
        self._floor_ms = max(whole_ms, self._floor_ms)
        return merged(told)

    def rest(self) -> Part | None:
        """What was collected since; None: nothing new."""
        given = merged(self._parts) if self._fresh else None
        self._parts, self._fresh, self._bytes = [], 0, 0
        return given
