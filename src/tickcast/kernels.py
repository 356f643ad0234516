"""The one way in which compiled kernels are made: cached on disk, free of the GIL, exact (no fast-math).

Kernels compile when they are first called; `warm_up` calls each once on a few rows, so that the first live minute is
not the one that waits.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import warnings
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache
from numba.extending import intrinsic
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

from tickcast.config import cache_dir
from tickcast.kernel_cache import Generation, alone

F = TypeVar("F", bound=Callable[..., Any])

_numba_config: Any = numba.config
NO_KERNELS = {"cli", "runners", "store", "journal", "training", "registry", "scores", "calibration"}
"""Rooms that no kernel of another file draws on: changing them leaves compiled kernels as they are. A kernel in such a
room calls only those of its own file, which Numba's own stamp looks after."""
PASSING = "tickcast-kernels-"
"""How the folder is named that lives no longer than the process, where no other can be written."""


_USED: list[Generation] = []
"""What this process holds until it ends."""


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
        generation = Generation(Path(asked) / "tickcast" if asked else cache_dir() / "kernels", stamp.hexdigest())
        _USED.append(generation)
        return generation.path
    except OSError:  # a read-only home: compile again on each start, in a folder that nobody else can write to
        own = tempfile.mkdtemp(prefix=PASSING)
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        return Path(own)


_numba_config.CACHE_DIR = str(_choose_cache())

_WARMERS: list[Callable[[], object]] = []


class SharedCache(FunctionCache):
    """One kernel's compiled code on disk. Where that can not be had or kept, the kernel is compiled again."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._folder = folder()

    def load_overload(self, signature: Any, context: Any) -> Any:
        """What was kept for one signature; None: nothing."""
        try:
            return super().load_overload(signature, context)  # type: ignore[no-untyped-call]
        except OSError:  # what is in the way will be in the way of the saving too, and is told there
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep what was compiled for one signature, one process at a time."""
        for again in (True, False):
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                with alone(self._folder / "SAVING"):
                    return super().save_overload(signature, compiled)  # type: ignore[no-untyped-call, no-any-return]
            except OSError as error:
                if again and isinstance(error, FileNotFoundError):
                    continue  # somebody emptied the cache meanwhile
                said = f"{self._folder}: compiled kernels can not be kept ({error}); the next start compiles again"
                warnings.warn(said, RuntimeWarning, stacklevel=2)
                return None
        return None


def kernel(function: F) -> F:
    """Compile a function of arrays and numbers; it holds no GIL and takes no liberties with floats."""
    return _kept(numba.njit(nogil=True, fastmath=False, error_model="numpy")(function), function)


def helper(function: F) -> F:
    """A kernel that only other kernels call: without what Python needs to call it, it compiles faster."""
    lean: Any = numba.njit  # whose types do not know of wrappers
    made = lean(nogil=True, fastmath=False, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
    return _kept(made(function), function)


def inline(function: F) -> F:
    """A kernel's helper, compiled into its callers."""
    return _kept(numba.njit(nogil=True, fastmath=False, error_model="numpy", inline="always")(function), function)


def _kept(compiler: Any, function: F) -> F:
    if compiler is not function:  # NUMBA_DISABLE_JIT leaves it as it is
        compiler._cache = SharedCache(function)
    return cast(F, compiler)


def plain(column: NDArray[Any]) -> NDArray[Any]:
    """A column as kernels were compiled for: one that is read-only or strided would compile them anew."""
    return column if column.flags.carray else column.copy()


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
