"""The one way in which compiled kernels are made: cached on disk, free of the GIL, exact (no fast-math).

Kernels compile when they are first called; `warm_up` calls each once on a few rows, so that the first live minute is
not the one that waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

_WARMERS: list[Callable[[], object]] = []


def kernel(function: F) -> F:
    """Compile a function of arrays and numbers; it holds no GIL and takes no liberties with floats."""
    return cast(F, numba.njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function))


def inline(function: F) -> F:
    """A kernel's helper, compiled into its callers."""
    return cast(F, numba.njit(cache=True, nogil=True, fastmath=False, error_model="numpy", inline="always")(function))


def warms(function: Callable[[], object]) -> Callable[[], object]:
    """Mark a function that calls a module's kernels on a few rows."""
    _WARMERS.append(function)
    return function


def warm_up() -> int:
    """Compile, or load from the cache, the kernels of every module that is imported; returns how many groups."""
    for warmer in _WARMERS:
        warmer()
    return len(_WARMERS)
