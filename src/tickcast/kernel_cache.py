"""Where compiled kernels are kept between two starts, and how several processes share that.

    ours/LOCK ─────────────── held by who makes a generation's folder or takes an old one away
    ours/<generation>/LOCK ── shared by all processes that use it: such a folder is never taken away
    ours/<generation>/SAVING  held by who writes to it

Numba replaces each of its files whole, yet two processes that save a kernel of two signatures at once may both take the
same name for their code, and find the other's under their own signature later. So one saves at a time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tickcast.clock import SystemClock
from tickcast.filelock import try_lock

GENERATIONS_KEPT = 3
WAIT_S = 0.01
WAITS_MAX = 3000
"""Who is stopped in the middle of it, as by a debugger, must not keep all others from their start."""


class Generation:
    """The folder for the kernels of one state of our sources; nobody takes it away before `close` or our end."""

    def __init__(self, ours: Path, name: str) -> None:
        """Make it in a folder of ours, and let the oldest of those beside it go; OSError where it can not be written.

        The folder above ours may be one that others share (NUMBA_CACHE_DIR): nothing in it but ours is touched.
        """
        self.path = ours / name
        ours.mkdir(parents=True, exist_ok=True)
        with alone(ours / "LOCK"):
            self.path.mkdir(exist_ok=True)
            self.path.touch()
            self._handle = os.open(self.path / "LOCK", os.O_RDWR | os.O_CREAT, 0o644)
            try_lock(self._handle, shared=True)
            folders = [path for path in ours.iterdir() if path.is_dir()]
            for old in sorted(folders, key=lambda path: path.stat().st_mtime)[:-GENERATIONS_KEPT]:
                _take_away(old)

    def close(self) -> None:
        """It is not used any more."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _take_away(folder: Path) -> None:
    try:
        handle = os.open(folder / "LOCK", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        return
    try:
        if try_lock(handle):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """No other process is in here, unless one has been for longer than anybody waits."""
    clock = SystemClock()
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for _ in range(WAITS_MAX):
            if try_lock(handle):
                break
            clock.sleep(WAIT_S)
        yield
    finally:
        os.close(handle)
