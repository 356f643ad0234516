"""Text becomes numbers exactly as Python itself would read it, and times lose nothing on the way."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.sources.files.numbers import floats, sides, times_us, truths, unit_of, wholes

MOMENT_US = 1_762_795_433_971_744


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.decimals(-(10**20), 10**20), max_size=30))
def test_numbers_are_what_float_makes_of_the_same_text(values: list[object]) -> None:
    written = [str(value) for value in values]

    assert floats(pa.array(written, pa.string())).values.tolist() == [float(text) for text in written]


def test_one_broken_number_does_not_change_its_neighbours() -> None:
    parsed = floats(pa.array(["0.1", " 2.5 ", "1,5", "1_000", "nan", "inf", "", "+3e2"]))

    assert parsed.unreadable.tolist() == [False, False, True, True, True, True, False, False]
    assert parsed.missing.tolist() == [False] * 6 + [True, False]
    assert [value for value in parsed.values.tolist() if math.isfinite(value)] == [0.1, 2.5, 300.0]


@pytest.mark.parametrize(
    ("written", "micro"),
    [
        ("1762795433", 1_762_795_433_000_000),
        ("1762795433.9717445", MOMENT_US),
        ("1762795433.9719999", 1_762_795_433_971_999),
        ("1762795433971", 1_762_795_433_971_000),
        ("1762795433971744", MOMENT_US),
        ("1762795433971744999", MOMENT_US),
        ("1.762795433971e12", 1_762_795_433_971_000),
        ("2025-11-10T17:23:53.971744Z", MOMENT_US),
        ("2025-11-10T17:23:53.971744123Z", MOMENT_US),
        ("2025-11-10 17:23:53.971744", MOMENT_US),
        ("2025-11-10 18:23:53.971744+01:00", MOMENT_US),
        ("2025-11-10 17:23:53 UTC", 1_762_795_433_000_000),
        ("2025-11-10", 1_762_732_800_000_000),
    ],
)
def test_a_moment_is_the_same_however_it_is_written(written: str, micro: int) -> None:
    assert times_us(pa.array([written])).values.tolist() == [micro]


def test_each_row_has_its_own_unit_as_in_a_dump_that_turned_to_microseconds() -> None:
    column = pa.array(["1735689599999", "1735689600000001"])

    assert times_us(column).values.tolist() == [1_735_689_599_999_000, 1_735_689_600_000_001]


def test_ways_of_writing_times_may_be_mixed_and_garbage_is_found() -> None:
    parsed = times_us(pa.array(["2025-11-10T17:23:53Z", "1762795433.5", "yesterday", ""]))

    assert parsed.unreadable.tolist() == [False, False, True, False]
    assert parsed.missing.tolist() == [False, False, False, True]
    assert parsed.values[:2].tolist() == [1_762_795_433_000_000, 1_762_795_433_500_000]


def test_a_unit_that_the_user_names_is_not_second_guessed() -> None:
    assert times_us(pa.array(["1762795433"]), "ms").values.tolist() == [1_762_795_433_000]


def test_a_huge_number_does_not_wrap_around_into_a_likely_time() -> None:
    assert times_us(pa.array([str(2**63 - 1)]), "s").values.tolist()[0] > 4_102_444_800_000_000


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_binary_stamps_of_any_unit_and_zone_are_times(unit: str) -> None:
    stamp = pa.array([1_762_795_433_000_000_000], pa.timestamp("ns")).cast(pa.timestamp(unit, tz="Europe/Berlin"))

    assert times_us(stamp).values.tolist() == [1_762_795_433_000_000]


def test_binary_numbers_are_times_too() -> None:
    assert times_us(pa.array([1_762_795_433_971])).values.tolist() == [1_762_795_433_971_000]
    assert times_us(pa.array([1_762_795_433.971744])).values.tolist() == [MOMENT_US]
    assert unit_of(pa.array(np.array([1_762_795_433_971_744]))) == "us"


def test_whole_numbers_keep_all_their_digits() -> None:
    parsed = wholes(pa.array(["9223372036854775807", "12.0", "12.5", "x", ""]))

    assert parsed.values[:2].tolist() == [2**63 - 1, 12]
    assert parsed.unreadable.tolist() == [False, False, True, True, False]


def test_sides_and_flags_are_read_however_they_are_spelled() -> None:
    assert sides(pa.array(["BUY", "Sell", "b", "s", "?"])).values.tolist() == [False, True, False, True, False]
    assert sides(pa.array(["buy", "?", ""])).unreadable.tolist() == [False, True, False]
    assert truths(pa.array([True, False])).values.tolist() == [True, False]
    assert truths(pa.array(["TRUE", "0", "maybe"])).unreadable.tolist() == [False, False, True]


def test_bytes_that_are_no_text_are_an_unreadable_number_and_no_crash() -> None:
    column = _raw([b"1.5", b"\xff\xfe"])

    assert floats(column).unreadable.tolist() == [False, True]
    assert times_us(column).unreadable.tolist() == [False, True]


def _raw(values: list[bytes]) -> pa.Array:
    held = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(held), held.buffers())
