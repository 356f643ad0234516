"""The trail shows what was done to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickcast.errors import BundleError
from tickcast.registry import audit
from tickcast.registry.audit import Entry


def entry(number: int) -> Entry:
    return Entry(time_ms=number, who="ann", action="promoted", task="price", version_to=f"v{number}-har", reason="x")


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    for number in range(1, 5):
        audit.append(tmp_path, entry(number))
    return tmp_path / audit.AUDIT_FILE


def test_lines_are_read_back_in_order(trail: Path) -> None:
    read = audit.read(trail.parent)

    assert [1, 2, 3, 4] == [one.time_ms for one in read.entries]
    assert ([], 0) == (read.faults, read.torn_bytes)


def test_no_file_is_an_empty_trail(tmp_path: Path) -> None:
    assert audit.Trail([], 0, []) == audit.read(tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_shows_in_whichever_line(data: st.DataObject, trail: Path) -> None:
    whole = trail.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        trail.write_bytes(changed)
        read = audit.read(trail.parent)
        assert read.faults or read.torn_bytes
    finally:
        trail.write_bytes(whole)


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_line_taken_out_shows(gone: int, trail: Path) -> None:
    lines = trail.read_bytes().splitlines(keepends=True)
    trail.write_bytes(b"".join(lines[:gone] + lines[gone + 1 :]))

    assert [f"line {gone + 1} does not follow"] == [fault[:22] for fault in audit.read(trail.parent).faults]


def test_a_torn_last_line_is_told_and_cut_off_by_the_next(trail: Path) -> None:
    whole = trail.read_bytes()
    trail.write_bytes(whole[:-10])
    torn = audit.read(trail.parent)

    assert ([1, 2, 3], []) == ([one.time_ms for one in torn.entries], torn.faults)
    assert len(whole.splitlines()[-1]) - 9 == torn.torn_bytes

    added = audit.append(trail.parent, entry(9))
    mended = audit.read(trail.parent)

    assert torn.torn_bytes == added.cut_bytes
    assert ([1, 2, 3, 9], 0, []) == ([one.time_ms for one in mended.entries], mended.torn_bytes, mended.faults)


def test_a_trail_that_can_not_be_written_says_that_nothing_was_changed(tmp_path: Path) -> None:
    (tmp_path / audit.AUDIT_FILE).mkdir()

    with pytest.raises(BundleError, match="so nothing was changed"):
        audit.append(tmp_path, entry(1))
