"""The rows that one frame gives, gathered one by one or many at once, and made into columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.events import Columns
from tickcast.indicators.ring import F8, I8
from tickcast.indicators.track import CANDLE_REVISION, KNOWN_AT, QUALITY, REVISION, Candle
from tickcast.indicators.values import DESIGN


class Chunk(NamedTuple):
    """Some rows; `order` is the place in the frame of the candle that caused each."""

    order: I8
    seconds: I8
    starts: I8
    ints: Sequence[NDArray[Any]]
    """Of each row what a track's ring keeps, in the ring's order."""
    close: F8
    values: Sequence[F8]


class Issued:
    """Rows to issue."""

    __slots__ = ("_chunks", "_floats", "_ints", "_names")

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._ints: list[tuple[int, ...]] = []
        self._floats: list[tuple[float, ...]] = []
        self._chunks: list[Chunk] = []

    def __bool__(self) -> bool:
        return bool(self._ints or self._chunks)

    def add(self, order: int, seconds: int, candle: Candle, values: tuple[float, ...]) -> None:
        """The first row of a candle's window."""
        start_ms, bar, known_at_ms, revision, quality = candle
        self._ints.append((order, seconds, start_ms, known_at_ms, revision, 0, quality))
        self._floats.append((bar[3], *values))

    def extend(self, chunk: Chunk) -> None:
        """Many rows."""
        self._chunks.append(chunk)

    def columns(self) -> Columns:
        """All of them, in the order of their causes."""
        if self._ints:
            ints, floats = (
                np.array(list(zip(*self._ints, strict=True))),
                np.array(list(zip(*self._floats, strict=True))),
            )
            self._chunks.append(Chunk(ints[0], ints[1], ints[2], list(ints[3:]), floats[0], list(floats[1:])))
        chunk = self._chunks[0] if len(self._chunks) == 1 else _merged(self._chunks)
        values = dict(zip(self._names, chunk.values, strict=True))
        found: Columns = {
            "candle_seconds": chunk.seconds,
            "window_start_ms": chunk.starts,
            "window_end_ms": chunk.starts + chunk.seconds * 1000,
            "close": chunk.close,
            **{name: values.pop(name) for name in DESIGN},
            "quality": chunk.ints[QUALITY].astype(np.uint8, copy=False),
            "revision": chunk.ints[REVISION],
            "known_at_ms": chunk.ints[KNOWN_AT],
            "candle_revision": chunk.ints[CANDLE_REVISION],
        }
        return found | values


def _merged(chunks: list[Chunk]) -> Chunk:
    """Several chunks as one; rows of one cause stay in the order in which they were given."""
    order = np.concatenate([chunk.order for chunk in chunks])
    by_cause = order.argsort(kind="stable")

    def joined(*columns: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = np.concatenate(columns)[by_cause]
        return found

    return Chunk(
        order[by_cause],
        joined(*(chunk.seconds for chunk in chunks)),
        joined(*(chunk.starts for chunk in chunks)),
        [joined(*columns) for columns in zip(*(chunk.ints for chunk in chunks), strict=True)],
        joined(*(chunk.close for chunk in chunks)),
        [joined(*columns) for columns in zip(*(chunk.values for chunk in chunks), strict=True)],
    )
