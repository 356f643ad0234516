"""A growing table of numbers under an integer key, dropped from the front as it ages: what stages remember rows in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

I8 = NDArray[np.int64]
F8 = NDArray[np.float64]

_SMALL = (np.int8, np.int16, np.int32)


class Ring:
    """Rows of one key, some integers and some floats, each a contiguous column.

    >>> ring = Ring(ints=1, floats=2)
    >>> ring.push(60, (7,), (1.5, 2.5))
    >>> ring.keys.tolist(), ring.floats[:, ring.lo : ring.hi].tolist()
    ([60], [[1.5], [2.5]])
    """

    __slots__ = ("floats", "hi", "ints", "key", "lo")

    def __init__(self, ints: int, floats: int, room: int = 64) -> None:
        self.key: I8 = np.empty(room, np.int64)
        self.ints: I8 = np.empty((ints, room), np.int64)
        self.floats: F8 = np.empty((floats, room), np.float64)
        self.lo = self.hi = 0

    def __len__(self) -> int:
        return self.hi - self.lo

    @property
    def keys(self) -> I8:
        """The keys in their order; an index into them is an index from `lo`."""
        return self.key[self.lo : self.hi]

    def find(self, key: int) -> tuple[int, bool]:
        """Where a key stands (or would stand) among sorted keys, as an index into the arrays, and whether it does."""
        at = self.lo + int(self.keys.searchsorted(key))
        return at, at < self.hi and self.key[at] == key

    def push(self, key: int, ints: tuple[int, ...], floats: tuple[float, ...]) -> None:
        """Add one row at the end."""
        if self.hi == self.key.shape[0]:
            self._reserve(1)
        at = self.hi
        self.key[at] = key
        self.ints[:, at] = ints
        self.floats[:, at] = floats
        self.hi = at + 1

    def extend(self, keys: I8, ints: Sequence[I8 | int], floats: Sequence[F8 | float]) -> None:
        """Add rows at the end, column by column; a number stands for a column of it."""
        count = len(keys)
        if self.hi + count > self.key.shape[0]:
            self._reserve(count)
        start, self.hi = self.hi, self.hi + count
        self.key[start : self.hi] = keys
        for into, column in zip(self.ints, ints, strict=True):
            into[start : self.hi] = column
        for place, values in zip(self.floats, floats, strict=True):
            place[start : self.hi] = values

    def insert(self, at: int, key: int, ints: tuple[int, ...], floats: tuple[float, ...]) -> int:
        """Put one row before the row at an index of the arrays; returns where it now stands."""
        offset = at - self.lo
        if self.hi == self.key.shape[0]:
            self._reserve(1)
        at, hi = self.lo + offset, self.hi
        for column in (self.key, *self.ints, *self.floats):
            column[at + 1 : hi + 1] = column[at:hi].copy()
        self.key[at] = key
        self.ints[:, at] = ints
        self.floats[:, at] = floats
        self.hi = hi + 1
        return at

    def drop_before(self, at: int) -> None:
        """Forget the rows before an index of the arrays."""
        self.lo = min(max(self.lo, at), self.hi)
        if self.key.shape[0] > 1024 + 8 * len(self):
            self._reserve(0)

    def _reserve(self, count: int) -> None:
        size, kept = len(self), slice(self.lo, self.hi)
        room = max(64, 2 * (size + count))
        key, ints, floats = self.key[kept], self.ints[:, kept], self.floats[:, kept]
        self.key = np.empty(room, np.int64)
        self.ints = np.empty((ints.shape[0], room), np.int64)
        self.floats = np.empty((floats.shape[0], room), np.float64)
        self.key[:size], self.ints[:, :size], self.floats[:, :size] = key, ints, floats
        self.lo, self.hi = 0, size

    def parts(self, prefix: str) -> dict[str, Any]:
        """What a snapshot keeps: integers as small steps, floats as they are."""
        kept = slice(self.lo, self.hi)
        found: dict[str, Any] = {f"{prefix}f": np.ascontiguousarray(self.floats[:, kept])}
        for at, column in enumerate((self.key, *self.ints)):
            first, scale, steps = _steps(column[kept])
            found[f"{prefix}{at}"] = steps
            found[f"{prefix}{at}_"] = [first, scale]
        return found

    @classmethod
    def load(cls, prefix: str, parts: dict[str, Any], ints: int) -> Ring:
        """The ring that `parts` wrote."""
        floats: F8 = parts[f"{prefix}f"]
        ring = cls(ints, floats.shape[0], room=floats.shape[1] + 64)
        columns = [_unstep(parts[f"{prefix}{at}"], *parts[f"{prefix}{at}_"]) for at in range(ints + 1)]
        ring.extend(columns[0], columns[1:], list(floats))
        return ring


def _steps(column: I8) -> tuple[int, int, NDArray[Any]]:
    """Integers as (first, scale, differences / scale), in the smallest type that holds them."""
    if not len(column):
        return 0, 1, np.empty(0, np.int8)
    steps = np.diff(column)
    scale = int(np.gcd.reduce(steps)) if len(steps) else 1
    steps //= scale or 1
    least, most = (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)
    for small in _SMALL:
        if np.iinfo(small).min <= least and most <= np.iinfo(small).max:
            return int(column[0]), scale or 1, np.concatenate([[0], steps]).astype(small)
    return int(column[0]), scale or 1, np.concatenate([[0], steps])


def _unstep(steps: NDArray[Any], first: int, scale: int) -> I8:
    whole: I8 = np.cumsum(steps.astype(np.int64) * scale) + first
    return whole
