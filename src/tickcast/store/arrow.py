"""Columns as Arrow tables and back: labels for quality, NULL for NaN, JSON for what the configuration names."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tickcast.events import QUALITY, Columns, Frame, Table
from tickcast.store.resolve import join, resolve

_LABELS = pa.array(QUALITY)
_encode = msgspec.json.Encoder().encode
_decode_values = msgspec.json.Decoder(list[float | str | None]).decode
_decode_names = msgspec.json.Decoder(list[str]).decode
_decode_extras = msgspec.json.Decoder(dict[str, float | str | None]).decode


def wide_names(table: Table, columns: Columns) -> list[str]:
    """The names that stand beside the table's own: configured indicators, or a feature set's features.

    >>> from tickcast.events import FEATURES
    >>> wide_names(FEATURES, FEATURES.empty() | {"close": np.empty(0)})
    ['close']
    """
    return [name for name in columns if name not in table.columns]


def array(code: str, column: NDArray[Any], name: str = "") -> Any:
    """One column; NaN is NULL, quality is its label."""
    if name == "quality":
        return pa.DictionaryArray.from_arrays(pa.array(column.astype(np.int8)), _LABELS)
    if code == "str":
        return pa.array(column.tolist(), pa.string())
    return pa.array(column, from_pandas=code == "f8")


def repeated(labels: list[str], counts: list[int]) -> Any:
    """Each label as often as its count says."""
    places = np.repeat(np.arange(len(labels), dtype=np.int32), counts)
    return pa.DictionaryArray.from_arrays(pa.array(places), pa.array(labels, pa.string()))


def batch(table: Table, frames: list[Frame]) -> Any:
    """The rows of some frames as the store's table has them, one row an id."""
    by_key: dict[tuple[str, str], list[Columns]] = {}
    for frame in frames:
        by_key.setdefault((frame.exchange, frame.pair), []).append(frame.columns)
    parts = {key: resolve(table, join(found)) for key, found in by_key.items()}
    return keyed(table, parts)


def keyed(table: Table, parts: dict[tuple[str, str], Columns]) -> Any:
    """The rows of several keys as one Arrow table."""
    counts = [len(columns[table.key[0]]) for columns in parts.values()]
    out = {"exchange": repeated([key[0] for key in parts], counts), "pair": repeated([key[1] for key in parts], counts)}
    for name, code in table.columns.items():
        out[name] = array(code, np.concatenate([columns[name] for columns in parts.values()]), name)
    if table.name == "technical_indicators":
        out["extras"] = pa.array([text for columns in parts.values() for text in _extras(table, columns)], pa.string())
    if table.name == "features":
        out["names"] = repeated([_encode(wide_names(table, columns)).decode() for columns in parts.values()], counts)
        out["values"] = pa.array([text for columns in parts.values() for text in _values(table, columns)], pa.string())
    return pa.table(out)


def _matrix(names: list[str], columns: Columns) -> list[list[Any]]:
    """Rows of numbers; the two infinities, for which JSON has no number, as strings."""
    matrix = np.column_stack([columns[name] for name in names])
    rows: list[list[Any]] = matrix.tolist()
    if np.isinf(matrix).any():
        return [[_writable(value) for value in row] for row in rows]
    return rows


def _writable(value: float) -> float | str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _values(table: Table, columns: Columns) -> list[str]:
    names = wide_names(table, columns)
    if not names:
        return ["[]"] * len(columns[table.key[0]])
    return [_encode(row).decode() for row in _matrix(names, columns)]  # NaN is written as null


def _extras(table: Table, columns: Columns) -> list[str]:
    names = wide_names(table, columns)
    if not names:
        return ["{}"] * len(columns[table.key[0]])
    return [_encode(dict(zip(names, row, strict=True))).decode() for row in _matrix(names, columns)]


def columns_of(table: Table, found: Any) -> list[Columns]:
    """Read a record batch of the store's table; several answers where the names beside the table's own change."""
    base = {name: _numpy(code, found.column(name)) for name, code in table.columns.items()}
    if table.name == "technical_indicators":
        decoded = [_decode_extras(text) for text in found.column("extras").to_pylist()]
        names = [tuple(row) for row in decoded]
        rows: list[list[Any]] = [list(row.values()) for row in decoded]
    elif table.name == "features":
        names = [tuple(_decode_names(text)) for text in found.column("names").to_pylist()]
        rows = [_decode_values(text) for text in found.column("values").to_pylist()]
    else:
        return [base]
    cuts = [0, *(i for i in range(1, len(names)) if names[i] != names[i - 1]), len(names)]
    return [
        {name: column[start:stop] for name, column in base.items()} | _wide(names[start], rows[start:stop])
        for start, stop in pairwise(cuts)
        if stop > start
    ]


def _wide(names: tuple[str, ...], rows: list[list[Any]]) -> Columns:
    # float64 reads None as NaN, and the strings "Infinity" and "-Infinity" as what they say
    matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return {name: np.ascontiguousarray(matrix[:, place]) for place, name in enumerate(names)}


def _numpy(code: str, column: Any) -> NDArray[Any]:
    """An owned, writable array: what a kernel was compiled for."""
    if code == "str":
        return np.array(column.to_pylist(), dtype=np.object_)
    dtype = {"f8": np.float64, "i8": np.int64, "b1": np.bool_, "u1": np.uint8}[code]
    return np.array(column.to_numpy(zero_copy_only=False), dtype=dtype)
