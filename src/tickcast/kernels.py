"""The one way in which compiled kernels are made: cached on disk, free of the GIL, exact (no fast-math).

Kernels compile when they are first called; `warm_up` calls each once on a few rows, so that the first live minute is
not the one that waits.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from tickcast.config import cache_dir

F = TypeVar("F", bound=Callable[..., Any])

_numba_config: Any = numba.config
NO_KERNELS = {"cli", "runners", "store", "journal"}
"""Rooms that no kernel draws on: changing them leaves compiled kernels as they are."""
GENERATIONS_KEPT = 3


PASSING = "tickcast-kernels-"
"""How the folder is named that lives no longer than the process, where no other can be written."""


def folder() -> Path:
    """Where this process keeps compiled kernels."""
    return Path(_numba_config.CACHE_DIR)


def _choose_cache() -> Path:
    """Where compiled kernels live: a folder named by all sources that a kernel could draw on.

    Numba stamps a kernel by its own file alone; a kernel that was compiled with another file's constants or helpers
    would outlive a change of these, and compute what no source says any more.
    """
    home = Path(__file__).parent
    stamp = blake2b(numba.__version__.encode(), digest_size=8)
    for path in sorted(home.rglob("*.py")):
        place = path.relative_to(home)
        if place.parts[0] not in NO_KERNELS:
            stamp.update(str(place).encode() + path.read_bytes())
    asked = _numba_config.CACHE_DIR
    try:
        return prepare_cache(Path(asked) / "tickcast" if asked else cache_dir() / "kernels", stamp.hexdigest())
    except OSError:  # a read-only home: compile again on each start, in a folder that nobody else can write to
        own = tempfile.mkdtemp(prefix=PASSING)
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        return Path(own)


def prepare_cache(ours: Path, generation: str) -> Path:
    """Make this generation's folder in one of ours, and let the oldest of those beside it go; OSError where it can not.

    The folder above may be one that others share (NUMBA_CACHE_DIR): nothing in it but ours is touched.
    """
    chosen = ours / generation
    chosen.mkdir(parents=True, exist_ok=True)
    chosen.touch()
    tempfile.TemporaryFile(dir=chosen).close()  # a folder that is there may still not be ours to write to
    for old in sorted(ours.iterdir(), key=lambda path: path.stat().st_mtime)[:-GENERATIONS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return chosen


_numba_config.CACHE_DIR = str(_choose_cache())

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


def _borrow(context: Any, array: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        borrowed = _make_array(array)(context, builder, value=arguments[0])
        borrowed.meminfo = borrowed.meminfo.type(None)
        borrowed.parent = borrowed.parent.type(None)
        return borrowed._getvalue()

    return array(array), generate


_make_array: Any = make_array
borrow: Callable[[Any], Any] = cast(Any, intrinsic(_borrow))
"""Inside kernels: the same array without its counted reference, which kernels hand to each other at no cost.

The counting is atomic and costs more than many a helper does. Only for arrays that the caller holds on to.
"""
