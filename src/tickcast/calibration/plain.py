"""Calibration as a bundle keeps it: plain values that JSON can hold, and back to the last bit."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from tickcast.errors import BundleError

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """A struct as dicts, lists, numbers and texts."""
    return msgspec.to_builtins(value)


def from_plain(data: Any, kind: type[T], where: str) -> T:
    """What `to_plain` gave, refused where it is something else.

    >>> from_plain([1, 2], tuple[int, int], "knots")
    (1, 2)
    """
    try:
        made: T = msgspec.convert(data, kind)
    except msgspec.ValidationError as exc:
        raise BundleError(
            where, f"it is not what was kept ({exc})", "train the model again, or take the bundle anew"
        ) from exc
    return made
