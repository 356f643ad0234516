"""When a model is to learn again, as sentences."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.runners.schedule import FIRST_ROWS, HOUR_MS, Reach, again_s, due

DAY_MS = 24 * HOUR_MS
MIDNIGHT_MS = 20_000 * DAY_MS


def reach(hours: float, rows: int | None = None, keys: int = 1) -> Reach:
    """So many hours of minute candles behind the last training."""
    return Reach(MIDNIGHT_MS + round(hours * HOUR_MS), round(hours * 60) * keys if rows is None else rows, keys, 60)


@pytest.mark.parametrize(
    ("hours", "now", "wait_h", "told"),
    [
        (0.0, False, 24.0, "its data end 0.0 h before the newest row, and 24 h were asked for"),
        (23.9, False, 0.1, "its data end 23.9 h before the newest row, and 24 h were asked for"),
        (24.0, True, 0.0, "its data end 24.0 h before the newest row, and 1,440 rows are new"),
        (60.0, True, 0.0, "its data end 60.0 h before the newest row, and 3,600 rows are new"),
    ],
)
def test_it_is_due_when_the_data_are_so_old(hours: float, now: bool, wait_h: float, told: str) -> None:
    found = due(MIDNIGHT_MS, reach(hours), 24)

    assert (now, told) == (found.is_due, found.why)
    assert wait_h == pytest.approx(found.wait_s / 3600)


def test_after_a_gap_there_must_be_rows_to_learn_from() -> None:
    found = due(MIDNIGHT_MS, reach(30.0, rows=719), 24)

    assert not found.is_due
    assert found.why.endswith("719 rows are new where at least 720 are needed")
    assert 60.0 == found.wait_s
    assert due(MIDNIGHT_MS, reach(30.0, rows=720), 24).is_due
    assert not due(MIDNIGHT_MS, reach(30.0, rows=1439, keys=2), 24).is_due


def test_the_first_training_waits_for_rows_alone() -> None:
    short = due(None, Reach(MIDNIGHT_MS, FIRST_ROWS - 2, 2, 60), 24)

    assert (False, 60.0) == (short.is_due, short.wait_s)
    assert short.why.startswith("there is no bundle yet, and 1,198 rows where at least 1,200")
    assert due(None, Reach(MIDNIGHT_MS, FIRST_ROWS, 2, 60), 24).is_due
    assert not due(None, Reach(0, 0, 0, 60), 24).is_due


def test_zero_hours_are_never() -> None:
    assert (False, float("inf")) == (due(None, reach(500.0), 0).is_due, due(None, reach(500.0), 0).wait_s)


def test_a_market_that_stands_still_is_never_due() -> None:
    """Older bundles than rows are no reason; nor is a bundle that learned from later rows than there are."""
    assert not due(MIDNIGHT_MS + DAY_MS, reach(0.0), 24).is_due


@settings(max_examples=60, deadline=None)
@given(
    minutes=st.integers(0, 10_000),
    later=st.integers(0, 59),
    hours=st.sampled_from([0.5, 1.0, 2.0, 6.0, 24.0, 168.0]),
)
def test_the_rows_of_a_training_are_the_same_until_the_next_full_part(minutes: int, later: int, hours: float) -> None:
    """What was killed and begins again meets the rows that it had; never one from after the cut."""
    first = due(None, Reach(MIDNIGHT_MS + minutes * 60_000, FIRST_ROWS, 1, 60), hours)
    step_ms = round(min(hours / 4, 1.0) * HOUR_MS) // 60_000 * 60_000
    at_ms = first.until_ms + later * step_ms // 60
    again = due(None, Reach(at_ms, FIRST_ROWS, 1, 60), hours)

    assert first.until_ms == again.until_ms
    assert 0 <= MIDNIGHT_MS + minutes * 60_000 - first.until_ms < step_ms


def test_failures_are_answered_with_patience_that_has_a_bound() -> None:
    waits = [again_s(count, 6) for count in range(1, 100)]

    assert [600.0, 1200.0, 2400.0] == waits[:3]
    assert waits == sorted(waits)
    assert 6 * 3600.0 == waits[-1]
