"""What a crash leaves at the end of a day file is cut off, kept, and told."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.journal.kit import message, raws, read_back, reopen
from tickcast.errors import JournalError
from tickcast.sources.blocks import encode_line

LINES = [encode_line(*message(n)) for n in range(4)]


def torn(root: Path, data: bytes) -> Path:
    path = root / "raw/binance/20240809.ndjson"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def set_aside(root: Path) -> bytes:
    """All bytes that were cut off, from quarantine."""
    kept = b""
    for path in sorted((root / "quarantine").glob("*/*")):
        for line in path.read_bytes().splitlines():
            found = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            text = found.get("b")
            kept += base64.b64decode(msgspec.json.decode(text)) if text else bytes(found["m"])
    return kept


@pytest.mark.parametrize("cut", range(len(LINES[2]) + len(LINES[3]) + 1))
def test_a_file_cut_anywhere_keeps_its_whole_lines_and_loses_no_byte(tmp_path: Path, cut: int) -> None:
    data = b"".join(LINES)
    data = data[: len(data) - cut]
    path = torn(tmp_path, data)

    with reopen(tmp_path) as journal:
        whole = data.count(b"\n")
        assert raws(whole) == read_back(tmp_path)
        assert data == path.read_bytes() + set_aside(tmp_path)
        assert bool(journal.repaired) == (data[-1:] != b"\n")
        journal.append([message(99)])
    assert [*raws(whole), message(99).raw] == read_back(tmp_path)


@given(tail=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_whatever_lies_behind_the_last_whole_line_is_set_aside(tail: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        path = torn(root, LINES[0] + tail)
        with reopen(root):
            pass

        assert LINES[0] == path.read_bytes()
        assert tail == set_aside(root)


def test_pages_of_zeros_that_a_power_failure_left_are_cut_off(tmp_path: Path) -> None:
    path = torn(tmp_path, LINES[0] + b"\0" * 5000 + b'":1}}\n')
    with reopen(tmp_path) as journal:
        assert ["5006"] == [word for word in journal.repaired[0].split() if word.isdigit()]
    assert LINES[0] == path.read_bytes()


def test_a_file_that_is_torn_before_its_first_line_ends_becomes_empty(tmp_path: Path) -> None:
    for data in (LINES[0][:-1], b"\0" * 4096, b"\0" * 100 + LINES[0][50:]):
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            path = torn(Path(folder), data)
            with reopen(Path(folder)) as journal:
                assert 1 == len(journal.repaired)
            assert (b"", data) == (path.read_bytes(), set_aside(Path(folder)))


def test_the_report_says_which_file_and_where_the_bytes_went(tmp_path: Path) -> None:
    torn(tmp_path, LINES[0] + LINES[1][:10])

    with reopen(tmp_path) as journal:
        [told] = journal.repaired
    assert "20240809.ndjson" in told
    assert "last 10 bytes were moved to" in told
    with reopen(tmp_path) as again:
        assert [] == again.repaired


def test_a_torn_end_larger_than_any_line_is_kept_piece_by_piece(tmp_path: Path) -> None:
    tail = b"\0" * (5 << 19)
    torn(tmp_path, LINES[0] + tail)
    with reopen(tmp_path):
        pass

    assert tail == set_aside(tmp_path)


def test_a_file_that_was_never_a_journal_is_left_as_it_is(tmp_path: Path) -> None:
    data = b'{"e":"trade"}\n' * 5
    path = torn(tmp_path, data)

    with pytest.raises(JournalError, match=r"holds no journal line at all, so it was left as it is.*move it away"):
        reopen(tmp_path)
    assert data == path.read_bytes()


def test_an_older_day_that_was_torn_is_repaired_too(tmp_path: Path) -> None:
    torn(tmp_path, LINES[0] + b'{"r":')
    (tmp_path / "raw/binance/20240810.ndjson").write_bytes(LINES[1])

    with reopen(tmp_path) as journal:
        assert 1 == len(journal.repaired)
    assert raws(2) == read_back(tmp_path)
