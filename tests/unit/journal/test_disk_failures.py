"""When the disk refuses, all of a batch is written or nothing, and one sentence says so."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.journal.kit import START_NS, message, raws, read_back, reopen
from tickcast.errors import JournalError
from tickcast.journal.journal import Journal
from tickcast.sources.contract import Message


class FullDisk:
    """Stands for `os.write`: takes so many bytes more, then says that the disk is full."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.real = os.write

    def __call__(self, handle: int, data: memoryview) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.real(handle, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 60, 119])
def test_a_full_disk_leaves_no_half_line_and_the_same_messages_can_be_given_again(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    journal.append([message(0)])
    path = tmp_path / "raw/binance/20240809.ndjson"
    before = path.read_bytes()
    place = journal.position("binance")
    batch = [message(1), message(2), message(3)]

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", FullDisk(room))
        with pytest.raises(JournalError, match=r"No space left on device.*free disk space; the same messages can be"):
            journal.append(batch)

    assert before == path.read_bytes()
    assert place == journal.position("binance")
    journal.append(batch)
    assert raws(4) == read_back(tmp_path)


def test_a_batch_of_several_exchanges_is_undone_in_all_of_them(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append([message(0)])
    batch = [message(1), message(2, exchange="kraken")]

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", FullDisk(60))
        with pytest.raises(JournalError, match="kraken"):
            journal.append(batch)

    assert (raws(1), []) == (read_back(tmp_path), read_back(tmp_path, "kraken"))
    assert not (tmp_path / "raw/kraken/20240809.ndjson").exists()
    journal.append(batch)
    assert (raws(2), raws(1, 2)) == (read_back(tmp_path), read_back(tmp_path, "kraken"))


def test_a_disk_that_refuses_even_the_cut_is_cut_before_the_next_write(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    journal.append([message(0)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", FullDisk(30))
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(JournalError):
            journal.append([message(1)])

    assert raws(1) == read_back(tmp_path)  # a reader never sees the half line
    journal.append([message(1)])
    assert raws(2) == read_back(tmp_path)


def test_a_new_file_that_can_be_neither_cut_nor_removed_stops_the_journal_until_it_is_repaired(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", FullDisk(30))
        patch.setattr(os, "ftruncate", refuse)
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(JournalError, match="No space left"):
            journal.append([message(0)])

    with pytest.raises(JournalError, match=r"could not be cut back to its whole lines.*start again"):
        journal.append([message(0)])
    with reopen(tmp_path) as again:
        assert 1 == len(again.repaired)
        again.append([message(0)])
    assert raws(1) == read_back(tmp_path)


def test_after_a_failed_sync_nothing_more_is_written(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    journal.append([message(0)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuse)
        with pytest.raises(JournalError, match=r"could not be brought to the disk .Input/output error."):
            journal.sync()

    for action in (journal.sync, lambda: journal.append([message(1)])):
        with pytest.raises(JournalError, match="start again"):
            action()
    with reopen(tmp_path) as again:
        again.append([message(1)])
    assert raws(2) == read_back(tmp_path)


def test_a_day_file_that_was_taken_away_is_noticed(journal: Journal, tmp_path: Path) -> None:
    journal.append([message(0)])
    (tmp_path / "raw/binance/20240809.ndjson").unlink()

    with pytest.raises(JournalError, match="No such file"):
        journal.sync()


def test_a_directory_where_the_day_file_should_be(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "raw/binance/20240809.ndjson").mkdir(parents=True)

    with pytest.raises(
        JournalError, match=r"20240809.ndjson: can not be written.*move the directory of that name away"
    ):
        journal.append([message(0)])


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/binance").write_text("")

    with reopen(tmp_path) as journal, pytest.raises(JournalError, match="move the file that stands where a directory"):
        journal.append([message(0)])
    shutil.rmtree(tmp_path / "raw")
    (tmp_path / "raw").write_text("")
    with pytest.raises(JournalError, match="raw: can not be listed"):
        reopen(tmp_path)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_directory_that_can_not_be_written(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*args: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(JournalError, match=f"{os.strerror(number)}.*--data-dir"):
        journal.append([message(0)])


def test_a_directory_of_somebody_else(journal: Journal, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    owner = os.geteuid()
    if owner == 0:  # root may write everywhere: be somebody else for a moment
        os.seteuid(65534)
    try:
        with pytest.raises(JournalError, match=r"Permission denied.*give this user the right"):
            journal.append([message(0)])
    finally:
        os.seteuid(owner)
        tmp_path.chmod(0o700)


def test_the_systems_limit_on_file_sizes_behaves_as_a_full_disk_does(journal: Journal, tmp_path: Path) -> None:
    """A real partial write: the kernel takes what fits, then refuses."""
    journal.append([message(0)])
    batch = [message(n) for n in range(1, 100)]
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(JournalError, match=r"File too large.*raise the limit on file sizes"):
            journal.append(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)

    assert raws(1) == read_back(tmp_path)
    journal.append(batch)
    assert raws(100) == read_back(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB, where the machine lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(journal: Journal, written: list[int]) -> None:
    while len(written) < 100:
        journal.append([Message(START_NS, "binance", b'"%b"' % (b"x" * 3000))])
        written.append(1)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    written: list[int] = []
    journal = reopen(small_disk)
    with pytest.raises(JournalError, match="No space left on device"):
        fill(journal, written)

    assert len(written) > 5
    assert len(written) == len(read_back(small_disk))
    journal.close()
    with reopen(small_disk) as again:
        assert [] == again.repaired
