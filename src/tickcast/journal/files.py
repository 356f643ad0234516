"""Day files on a disk that can fail: names, whole writes or none, and a sentence for every error."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tickcast.errors import JournalError

DAY_FILE = re.compile(r"(\d{8})\.ndjson(?:\.zst)?")
_EXCHANGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

_REMEDIES = {
    errno.ENOSPC: "free disk space; the same messages can be written again",
    errno.EDQUOT: "free disk space or raise the quota; the same messages can be written again",
    errno.EFBIG: "raise the limit on file sizes; the same messages can be written again",
    errno.EACCES: "give this user the right to write there, or name another --data-dir",
    errno.EPERM: "give this user the right to write there, or name another --data-dir",
    errno.EROFS: "name a --data-dir on a disk that can be written",
    errno.EISDIR: "move the directory of that name away",
    errno.ENOTDIR: "move the file that stands where a directory is needed, or name another --data-dir",
    errno.EEXIST: "move the file that stands where a directory is needed, or name another --data-dir",
}


def failure(path: Path, action: str, exc: OSError) -> JournalError:
    """The sentence for what a disk refused.

    >>> str(failure(Path("raw/x"), "can not be written", OSError(errno.ENOSPC, "No space left on device")))
    'raw/x: can not be written (No space left on device); free disk space; the same messages can be written again.'
    """
    why = exc.strerror or str(exc)
    return JournalError(
        str(path), f"{action} ({why})", _REMEDIES.get(exc.errno or 0, "check the disk, then start again")
    )


def exchange_dir(root: Path, exchange: str) -> Path:
    """The folder of one exchange, whose name must not lead elsewhere.

    >>> exchange_dir(Path("raw"), "binance").as_posix()
    'raw/binance'
    """
    if not _EXCHANGE.fullmatch(exchange):
        raise JournalError(
            f"exchange {exchange!r}",
            "is no name for a folder, so nothing was written",
            "use letters, digits, dots, dashes and underscores",
        )
    return root / exchange


def next_day(day: str) -> str:
    """The day after.

    >>> next_day("20241231")
    '20250101'
    """
    return _day_text(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=1))


def days_before(day: str, count: int) -> str:
    """The day that lies so many days back.

    >>> days_before("20250101", 1)
    '20241231'
    """
    return _day_text(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) - timedelta(days=count))


def _day_text(moment: datetime) -> str:
    return f"{moment.year:04}{moment.month:02}{moment.day:02}"


def plain_path(folder: Path, day: str) -> Path:
    """Where a day's lines stand while they are written."""
    return folder / f"{day}.ndjson"


def sealed_path(folder: Path, day: str) -> Path:
    """Where a closed day's lines stand, compressed."""
    return folder / f"{day}.ndjson.zst"


def list_days(folder: Path) -> list[str]:
    """The days that a folder has files of, oldest first."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise failure(folder, "can not be listed", exc) from exc
    return sorted({found[1] for name in names if (found := DAY_FILE.fullmatch(name))})


def list_exchanges(root: Path) -> list[str]:
    """The exchanges that a journal has folders of."""
    try:
        return sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and _EXCHANGE.fullmatch(entry.name))
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise failure(root, "can not be listed", exc) from exc


def sync_dir(folder: Path) -> None:
    """Make names that came or went in a folder last; file systems that can not do it are taken at their word."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


class DayFile:
    """One file that only grows, by whole writes.

    `size` is what holds. What a failed write left behind is cut off at once, or before the next write if even that
    fails.
    """

    __slots__ = ("_cut_needed", "_handle", "created", "path", "size", "unsynced")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.created = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._handle = os.open(path, flags, 0o644)
        self.size = os.fstat(self._handle).st_size
        self.unsynced = self.created
        self._cut_needed = False

    def write(self, data: bytes) -> None:
        """Append all of it, or raise OSError; after an error `cut` brings the file back to what it was."""
        if self._cut_needed:
            os.ftruncate(self._handle, self.size)
            self._cut_needed = False
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        except OSError:
            self._cut_needed = True
            raise
        self.size += len(data)
        self.unsynced = True

    def cut(self, size: int) -> bool:
        """Go back to an earlier size; false when the disk refuses even that, which is tried again before a write."""
        self.size = size
        self._cut_needed = True
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, size)
            self._cut_needed = False
        return not self._cut_needed

    def sync(self) -> None:
        """Return when the disk has it; OSError also when the file was taken away from under its name."""
        if self.unsynced:
            os.stat(self.path)
            getattr(os, "fdatasync", os.fsync)(self._handle)
            if self.created:
                for folder in (self.path.parent, self.path.parent.parent):
                    sync_dir(folder)
                self.created = False
            self.unsynced = False

    def close(self) -> None:
        """Let go of the file; twice is harmless."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def discard(self) -> bool:
        """Remove a file that never held anything; false when it can not be."""
        self.close()
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            return False
        return True
