"""One process a data directory: a lock that the system lets go of when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType

import msgspec

from tickcast.clock import Clock, SystemClock
from tickcast.errors import BusyError
from tickcast.filelock import try_lock
from tickcast.journal.files import failure

_TRIES = 20
_PAUSE_S = 0.01


class DataDirLock:
    """Hold `<data_dir>/LOCK`, which names the holder's pid and port for others to read.

    A process that forks while it holds the lock hands it on; start children by exec.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, DataDirLock(Path(folder), port=8000):
    ...     owner(Path(folder))["port"]
    8000
    """

    def __init__(self, path: Path, *, port: int = 0, clock: Clock | None = None) -> None:
        self.path = path / "LOCK"
        self._port = port
        self._clock = clock or SystemClock()
        self._handle = -1
        self._held = False

    def acquire(self) -> None:
        """Take the lock, or raise BusyError naming the process that has it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as exc:
            raise failure(self.path, "can not be opened", exc) from exc
        for _ in range(_TRIES):
            if try_lock(self._handle):
                self._held = True
                return self._sign()
            holder = _read(self.path)
            if holder is not None and _is_alive(holder["pid"]):
                break
            self._clock.sleep(_PAUSE_S)  # nobody has signed: another is just starting, or only looking
        self.release()
        raise self._busy()

    def _busy(self) -> BusyError:
        holder = _read(self.path) or {}
        named = f"process {holder['pid']}" if holder.get("pid") else "another process"
        at = f" (port {holder['port']})" if holder.get("port") else ""
        return BusyError(
            str(self.path.parent),
            f"is in use by {named}{at}, so nothing was started",
            "stop that process or name another --data-dir",
        )

    def _sign(self) -> None:
        text = msgspec.json.encode({"pid": os.getpid(), "port": self._port})
        try:
            os.ftruncate(self._handle, 0)
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, text)
        except OSError as exc:
            self.release()
            raise failure(self.path, "can not be written", exc) from exc

    def set_port(self, port: int) -> None:
        """Tell others the port, once it is known."""
        self._port = port
        if self._held:
            self._sign()

    def release(self) -> None:
        """Let go; twice is harmless."""
        if self._handle >= 0:
            if self._held:
                self._held = False
                with contextlib.suppress(OSError):
                    os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> DataDirLock:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


def owner(path: Path) -> dict[str, int] | None:
    """The pid and port of the process that works on a data directory; None when there is none."""
    lock = path / "LOCK"
    signed = _read(lock)
    if signed is None:
        return None
    try:
        handle = os.open(lock, os.O_RDWR)
    except OSError:
        return signed if _is_alive(signed["pid"]) else None
    try:
        return None if try_lock(handle, shared=True) else signed
    finally:
        os.close(handle)


def _read(path: Path) -> dict[str, int] | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return None


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # the lock itself is the judge there; asking for a pid would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
