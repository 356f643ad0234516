"""Locks of the system on open files: it lets go of them when their holder dies, however it dies."""

from __future__ import annotations

import os
import sys


def try_lock(handle: int, *, shared: bool = False) -> bool:
    """Lock an open file, if nobody else holds it; Windows knows no shared locks.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as one, open(one.name) as two:
    ...     try_lock(one.fileno()), try_lock(two.fileno())
    (True, False)
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, 1 << 30, os.SEEK_SET)  # Windows forbids others to read what is locked: lock no content
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
