"""A closed day is compressed without ever being at risk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tests.unit.journal.kit import DAY_NS, START_NS, message, raws, read_back, reopen
from tickcast.errors import JournalError
from tickcast.journal import sealing
from tickcast.journal.journal import Journal


class Killed(BaseException):
    """Stands for the end of the process at that very moment."""


def names(root: Path) -> list[str]:
    return sorted(entry.name for entry in (root / "raw/binance").iterdir())


def write_two_days(root: Path) -> None:
    with reopen(root) as journal:
        journal.append([message(n) for n in range(100)])
        journal.append([message(100, START_NS + DAY_NS)])


def test_closed_days_are_compressed_and_the_open_one_is_not(tmp_path: Path) -> None:
    write_two_days(tmp_path)
    with reopen(tmp_path) as journal:
        assert ["binance/20240809"] == journal.seal_closed("20240810")
        assert [] == journal.seal_closed("20240810")

    assert ["20240809.ndjson.zst", "20240809.ndjson.zst.sha256", "20240810.ndjson"] == names(tmp_path)
    assert raws(101) == read_back(tmp_path)


def test_the_day_being_written_is_sealed_once_it_is_over(journal: Journal, tmp_path: Path) -> None:
    journal.append([message(0)])

    assert [] == journal.seal_closed("20240809")
    assert ["binance/20240809"] == journal.seal_closed("20240810")
    assert raws(1) == read_back(tmp_path)


def test_the_checksums_are_those_of_the_compressed_file_and_of_its_content(tmp_path: Path) -> None:
    write_two_days(tmp_path)
    folder = tmp_path / "raw/binance"
    plain = (folder / "20240809.ndjson").read_bytes()
    with reopen(tmp_path) as journal:
        journal.seal_closed("20240810")

    sealed = folder / "20240809.ndjson.zst"
    expected = sealing.Seal(
        len(plain), hashlib.sha256(sealed.read_bytes()).hexdigest(), hashlib.sha256(plain).hexdigest()
    )
    assert expected == sealing.read_seal(sealed)
    assert plain == pa.input_stream(str(sealed), compression="zstd").read()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs the sha256sum program")
def test_the_usual_program_can_check_a_sealed_file(tmp_path: Path) -> None:
    write_two_days(tmp_path)
    with reopen(tmp_path) as journal:
        journal.seal_closed("20240810")

    checked = subprocess.run(
        ["sha256sum", "--check", "--ignore-missing", "20240809.ndjson.zst.sha256"],
        cwd=tmp_path / "raw/binance",
        capture_output=True,
        text=True,
    )
    assert (0, "20240809.ndjson.zst: OK\n") == (checked.returncode, checked.stdout)


STEPS = [(os, "fsync"), (os, "replace"), (Path, "unlink"), (sealing, "sha256_of"), (sealing, "sync_dir")]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", range(3))
@pytest.mark.parametrize(("where", "name"), STEPS, ids=[name for _, name in STEPS])
def test_killed_at_any_step_the_journal_reads_the_same_and_seals_again(
    tmp_path: Path, where: object, name: str, call: int, after: bool
) -> None:
    write_two_days(tmp_path)
    real: Callable[..., object] = getattr(where, name)
    calls: list[int] = []

    def die(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) > call:
            if after and len(calls) == call + 1:
                real(*args, **kwargs)
            raise Killed  # also from all that a dead process would not have done
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, die)
        with contextlib.suppress(Killed):
            sealing.seal_day(tmp_path / "raw/binance", "20240809")

    assert raws(101) == read_back(tmp_path)
    with reopen(tmp_path) as journal:
        journal.seal_closed("20240810")
    assert raws(101) == read_back(tmp_path)
    assert ["20240809.ndjson.zst", "20240809.ndjson.zst.sha256", "20240810.ndjson"] == names(tmp_path)


def test_where_both_files_are_there_the_plain_one_is_read(tmp_path: Path) -> None:
    write_two_days(tmp_path)
    (tmp_path / "raw/binance/20240809.ndjson.zst").write_bytes(b"half a file")

    assert raws(101) == read_back(tmp_path)


@pytest.mark.parametrize("at", [10, -10])
def test_a_sealed_file_that_was_changed_is_refused(tmp_path: Path, at: int) -> None:
    write_two_days(tmp_path)
    with reopen(tmp_path) as journal:
        journal.seal_closed("20240810")
    sealed = tmp_path / "raw/binance/20240809.ndjson.zst"
    data = bytearray(sealed.read_bytes())
    data[at] ^= 1
    sealed.write_bytes(data)

    with pytest.raises(JournalError, match=r"20240809.ndjson.zst: differs from its checksum.*restore both files"):
        read_back(tmp_path)


@pytest.mark.parametrize("sums", [None, b"", b"abc  20240809.ndjson.zst\n", b"\xff\xfe"])
def test_a_sealed_file_without_readable_checksums_is_refused(tmp_path: Path, sums: bytes | None) -> None:
    write_two_days(tmp_path)
    with reopen(tmp_path) as journal:
        journal.seal_closed("20240810")
    path = tmp_path / "raw/binance/20240809.ndjson.zst.sha256"
    path.unlink() if sums is None else path.write_bytes(sums)

    with pytest.raises(JournalError, match="has no checksums that can be read"):
        read_back(tmp_path)


def test_what_does_not_read_back_as_written_never_replaces_the_plain_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_two_days(tmp_path)
    monkeypatch.setattr(sealing, "unpack", lambda path: iter([b"something else"]))

    with (
        reopen(tmp_path) as journal,
        pytest.raises(JournalError, match="did not read back as it was written, so the day stays uncompressed"),
    ):
        journal.seal_closed("20240810")
    assert ["20240809.ndjson", "20240810.ndjson"] == names(tmp_path)


def test_sealed_days_expire_and_the_others_stay(tmp_path: Path) -> None:
    """
    sealed 09 | sealed 10 | plain 11        today 12, one day is kept
    """
    with reopen(tmp_path, keep_days=1) as journal:
        for n in range(3):
            journal.append([message(n, START_NS + n * DAY_NS)])
        journal.seal_closed("20240811")

        assert ["binance/20240809", "binance/20240810"] == journal.expire("20240812")
        assert [] == journal.expire("20240812")
        assert [] == journal.expire("20250812")
    assert ["20240811.ndjson"] == names(tmp_path)


def test_zero_days_to_keep_keeps_all(tmp_path: Path) -> None:
    write_two_days(tmp_path)
    with reopen(tmp_path, keep_days=0) as journal:
        journal.seal_closed("20240810")

        assert [] == journal.expire("20990101")


@pytest.mark.parametrize("looks", range(4))
def test_a_sealing_that_is_given_up_leaves_the_day_as_it_was(looks: int, tmp_path: Path) -> None:
    """
    chunk --- chunk --- x     the next one seals it whole
    """
    write_two_days(tmp_path)
    left = [True] * looks
    with pytest.MonkeyPatch.context() as patch, reopen(tmp_path) as journal:
        patch.setattr(sealing, "_CHUNK", 2000)
        with pytest.raises(JournalError, match="was not finished, as we are to end"):
            journal.seal_closed("20240810", goes_on=lambda: bool(left) and left.pop())

        assert ["20240809.ndjson", "20240810.ndjson"] == names(tmp_path)
        assert ["binance/20240809"] == journal.seal_closed("20240810")
    assert raws(101) == read_back(tmp_path)
