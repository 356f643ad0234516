"""One number for a result: equal digests mean equal rows, bit for bit.

It covers the final rows (of several revisions the highest) of every table and key, in the order of their ids. How the
rows were cut into frames, and how the frames of different keys interleave, does not show in it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickcast.events import Columns

_BYTES = 16
_NAN = np.frombuffer(np.float64(np.nan).tobytes(), dtype=np.float64)[0]


class SeriesDigest:
    """Hashes of one key's columns, rows added as they become final.

    >>> whole, halves = SeriesDigest(), SeriesDigest()
    >>> whole.add({"a": np.array([1, 2])})
    >>> halves.add({"a": np.array([1])})
    >>> halves.add({"a": np.array([2])})
    >>> whole.digest() == halves.digest()
    True
    """

    __slots__ = ("_columns", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self._columns: dict[str, Any] = {}

    def add(self, columns: Columns) -> None:
        """Hash some more rows; a column that comes or goes was NaN where it is not."""
        count = len(next(iter(columns.values())))
        for name, column in columns.items():
            if name not in self._columns:
                self._columns[name] = blake2b(_nans(self.rows), digest_size=_BYTES)
            self._columns[name].update(canonical(column))
        for name in self._columns.keys() - columns.keys():
            self._columns[name].update(_nans(count))
        self.rows += count

    def copy(self) -> SeriesDigest:
        """The same so far; what is added to one does not reach the other."""
        other = SeriesDigest()
        other.rows = self.rows
        other._columns = {name: found.copy() for name, found in self._columns.items()}
        return other

    def digest(self) -> bytes:
        """The hash of all rows so far, by column name."""
        total = blake2b(self.rows.to_bytes(8, "little"), digest_size=_BYTES)
        for name in sorted(self._columns):
            total.update(labelled(name) + self._columns[name].digest())
        return total.digest()


def canonical(column: NDArray[Any]) -> bytes:
    """A column's bytes: little-endian, every NaN the same NaN, texts with their lengths before them.

    >>> canonical(np.array([1, 258], dtype=np.int64))[8:]
    b'\\x02\\x01\\x00\\x00\\x00\\x00\\x00\\x00'
    """
    if column.dtype == np.object_:
        return b"".join(labelled(text) for text in column.tolist())
    if column.dtype.kind == "f":
        missing = np.isnan(column)
        if missing.any():
            column = np.where(missing, _NAN, column)
    return column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes()


def labelled(text: str) -> bytes:
    """A text that can not run into the next one."""
    data = text.encode()
    return len(data).to_bytes(4, "little") + data


def _nans(rows: int) -> bytes:
    return np.full(rows, _NAN).astype("<f8").tobytes()
