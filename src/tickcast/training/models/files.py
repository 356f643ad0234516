"""A model's numbers as files: JSON whose floats read back to the same bits, and errors that name the file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tickcast.errors import BundleError
from tickcast.training.contract import F8


def write_json(value: Mapping[str, Any]) -> bytes:
    """Sorted and indented, ending in a newline.

    >>> write_json({"b": 0.1, "a": [1]})
    b'{\\n "a": [\\n  1\\n ],\\n "b": 0.1\\n}\\n'
    """
    return (json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def read_json(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """The object in a file, or BundleError."""
    try:
        value = json.loads(need(files, name))
    except ValueError as exc:
        raise BundleError(name, f"is not JSON ({exc}), the model was not loaded", "take another version") from exc
    if not isinstance(value, dict):
        raise BundleError(name, "holds no JSON object, the model was not loaded", "take another version")
    return value


def need(files: Mapping[str, bytes], name: str) -> bytes:
    """A file's bytes, or BundleError where it is missing."""
    if name not in files:
        raise BundleError(name, "is missing, the model was not loaded", "restore the file or take another version")
    return files[name]


def numbers(value: Mapping[str, Any], field: str, length: int | None = None) -> F8:
    """A field that must be a list of finite numbers, of that length if one is given.

    >>> numbers({"weights": [1, 2.5]}, "weights", 2).tolist()
    [1.0, 2.5]
    """
    try:
        array = np.array(value[field], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        array = np.array([math.nan])
    if array.ndim != 1 or not np.isfinite(array).all() or (length is not None and len(array) != length):
        told = "a list of finite numbers" if length is None else f"a list of {length} finite numbers"
        raise BundleError(f"field {field}", f"is not {told}, the model was not loaded", "take another version")
    return array


def number(value: Mapping[str, Any], field: str) -> float:
    """A field that must be one finite number."""
    return float(numbers({field: [value.get(field)]}, field, 1)[0])
