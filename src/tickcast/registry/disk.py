"""Files that appear whole or not at all, files that are read within bounds, and one lock for a folder of models."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tickcast.clock import Clock
from tickcast.errors import BundleError, BusyError
from tickcast.filelock import try_lock

LOCK_FILE = ".lock"
LOCK_WAIT_S = 30.0
RESTORE = "restore the folder, or take another version"
"""What to do about a bundle that was harmed."""
_PAUSE_S = 0.02


def read_bounded(path: Path, limit: int, where: str) -> bytes:
    """The bytes of a regular file of at most that size; links are not followed, pipes are not waited for."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError as exc:
        raise BundleError(where, f"has no file {path.name}, so the bundle was refused", RESTORE) from exc
    except OSError as exc:
        told = exc.strerror or str(exc)
        raise BundleError(where, f"can not open {path.name} ({told}), so the bundle was refused", RESTORE) from exc
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise BundleError(where, f"has {path.name}, which is no plain file; the bundle was refused", RESTORE)
        if about.st_size > limit:
            what = f"has {path.name} of {about.st_size:,} bytes where at most {limit:,} may be; the bundle was refused"
            raise BundleError(where, what, RESTORE)
        with open(handle, "rb", closefd=False) as opened:
            return opened.read(limit + 1)
    except OSError as exc:
        told = exc.strerror or str(exc)
        raise BundleError(where, f"can not read {path.name} ({told}), so the bundle was refused", RESTORE) from exc
    finally:
        os.close(handle)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and see it on the disk."""
    with path.open("xb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def replace_whole(path: Path, data: bytes) -> None:
    """Put new content in the place of the old, at once; call it under the lock."""
    scratch = path.with_name(f".{path.name}.part")
    scratch.unlink(missing_ok=True)
    write_synced(scratch, data)
    scratch.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """See a folder's names on the disk; Windows does so by itself and can not be asked."""
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def locked(folder: Path, clock: Clock) -> Iterator[None]:
    """One writer a folder of models; it waits at most half a minute for another, then BusyError."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        until_s = clock.monotonic_s() + LOCK_WAIT_S
        while not try_lock(handle):
            if clock.monotonic_s() > until_s:
                what = f"is being written to by another process for {LOCK_WAIT_S:.0f} s, so nothing was changed"
                raise BusyError(str(folder), what, "try again when that one is done")
            clock.sleep(_PAUSE_S)
        yield
    finally:
        os.close(handle)
