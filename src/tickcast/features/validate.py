"""The border that feature rows cross on their way to a model: wrong ones are refused with the first fault's place."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tickcast.errors import DataError

Rows = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Columns by name, or rows as dicts."""


def validate(names: tuple[str, ...], rows: Rows, allow_null: Collection[str] = ()) -> None:
    """Raise DataError unless the rows are numbers under exactly these names; NaN and None only where it is allowed.

    >>> validate(("n", "ret_mean"), [{"n": 50, "ret_mean": None}], allow_null=("ret_mean",))
    >>> validate(("n",), {"n": [1.0, float("inf")]})
    Traceback (most recent call last):
        ...
    tickcast.errors.DataError: features, column n, row 1: is infinity; give a finite number.
    """
    if isinstance(rows, Mapping):
        _names(names, rows, "")
        _lengths(names, rows)
        for name in names:
            _column(name, rows[name], name in allow_null)
        return
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"features, row {place}", f"is {_told(row)}, not names with numbers", "give an object")
        _names(names, row, f", row {place}")
    for name in names:
        _column(name, [row[name] for row in rows], name in allow_null)


def _names(names: tuple[str, ...], given: Iterable[Any], where: str) -> None:
    found = list(given)
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"features, column {missing[0]}{where}", "is missing", f"give all of {', '.join(names)}")
    extra = [name for name in found if name not in names]
    if extra:
        raise DataError(f"features, column {extra[0]}{where}", "is not a feature of this set", "leave it out")


def _lengths(names: tuple[str, ...], columns: Mapping[str, Any]) -> None:
    expected = None
    for name in names:
        column = columns[name]
        if isinstance(column, str) or not hasattr(column, "__len__") or getattr(column, "ndim", 1) != 1:
            raise DataError(f"features, column {name}", f"is {_told(column)}, not a list of numbers", "give a list")
        expected = len(column) if expected is None else expected
        if len(column) != expected:
            raise DataError(
                f"features, column {name}",
                f"has {len(column)} rows where {names[0]} has {expected}",
                "give columns of equal length",
            )


def _column(name: str, column: Any, null_allowed: bool) -> None:
    array = column if isinstance(column, np.ndarray) else None
    if array is not None and array.dtype.kind in "fiu":
        finite = np.isfinite(array)
        suspects = range(0) if finite.all() else np.flatnonzero(~finite).tolist()
    else:
        suspects = range(len(column))
    for row in suspects:
        fault = _fault(column[row], null_allowed)
        if fault:
            raise DataError(f"features, column {name}, row {row}", f"is {fault}", "give a finite number")


def _fault(value: Any, null_allowed: bool) -> str:
    if value is None:
        return "" if null_allowed else "null, which this feature may not be"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return f"{_told(value)}, not a number"
    try:
        number = float(value)
    except OverflowError:
        return "too great for a number of 64 bits"
    if math.isnan(number):
        return "" if null_allowed else "null, which this feature may not be"
    return "infinity" if math.isinf(number) else ""


def _told(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
