"""One process a data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tickcast.clock import ManualClock
from tickcast.errors import BusyError, JournalError
from tickcast.journal.lock import DataDirLock, owner

HOLDER = """
import sys
from pathlib import Path
from tickcast.journal.lock import DataDirLock
with DataDirLock(Path(sys.argv[1]), port=8123):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold_elsewhere(folder: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert "held\n" == child.stdout.readline()
    return child


def test_a_second_process_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    child = hold_elsewhere(tmp_path)
    try:
        with pytest.raises(BusyError, match=rf"in use by process {child.pid} \(port 8123\), so nothing was started"):
            DataDirLock(tmp_path).acquire()
        assert {"pid": child.pid, "port": 8123} == owner(tmp_path)
    finally:
        child.kill()
        child.communicate()


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    child = hold_elsewhere(tmp_path)
    child.kill()
    child.communicate()

    assert owner(tmp_path) is None
    with DataDirLock(tmp_path, port=1):
        assert {"pid": os.getpid(), "port": 1} == owner(tmp_path)


def test_the_port_can_be_told_later(tmp_path: Path) -> None:
    with DataDirLock(tmp_path) as lock:
        lock.set_port(8001)

        assert {"pid": os.getpid(), "port": 8001} == owner(tmp_path)


def test_after_release_nobody_is_the_owner_and_another_may_come(tmp_path: Path) -> None:
    lock = DataDirLock(tmp_path / "new")
    lock.acquire()
    lock.release()
    lock.release()

    assert owner(tmp_path / "new") is None
    with DataDirLock(tmp_path / "new"):
        pass


def test_the_same_process_can_not_hold_it_twice(tmp_path: Path) -> None:
    with DataDirLock(tmp_path), pytest.raises(BusyError, match=f"process {os.getpid()}"):
        DataDirLock(tmp_path).acquire()


def test_one_who_only_looks_does_not_keep_another_from_starting(tmp_path: Path) -> None:
    """A look takes the lock for a moment; whoever meets that moment tries again."""
    import fcntl

    (tmp_path / "LOCK").write_text("")
    looking = os.open(tmp_path / "LOCK", os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_SH)

    class Looked(ManualClock):
        def sleep(self, seconds: float) -> None:
            fcntl.flock(looking, fcntl.LOCK_UN)

    with DataDirLock(tmp_path, clock=Looked()):
        assert owner(tmp_path) is not None
    os.close(looking)


def test_a_lock_without_a_name_in_it_is_still_a_lock(tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "LOCK").write_text("not JSON")
    held = os.open(tmp_path / "LOCK", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)

    with pytest.raises(BusyError, match="in use by another process, so nothing was started"):
        DataDirLock(tmp_path, clock=ManualClock()).acquire()
    os.close(held)


def test_a_directory_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(JournalError, match="LOCK: can not be opened"):
        DataDirLock(tmp_path / "file").acquire()
    assert owner(tmp_path / "file") is None
