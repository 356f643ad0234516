"""From when to when a backfill goes, and what it is told that can not be meant."""

from __future__ import annotations

from argparse import Namespace

import pytest

from tickcast.cli.backfill import range_of
from tickcast.errors import ConfigError
from tickcast.runners.backfill import BackfillRange

NOW_MS = 1_767_225_600_000
"""2026-01-01."""
MINUTE_MS, DAY_MS = 60_000, 86_400_000


def asked(days: float | None = None, since: str | None = None, until: str | None = None) -> Namespace:
    return Namespace(days=days, since=since, until=until, what="trades")


@pytest.mark.parametrize(
    ("args", "from_ms", "to_ms"),
    [
        (asked(), NOW_MS - DAY_MS, NOW_MS),
        (asked(days=0.5), NOW_MS - DAY_MS // 2, NOW_MS),
        (asked(since="2025-12-31T23:00:30"), NOW_MS - 60 * MINUTE_MS, NOW_MS),
        (asked(since="2025-12-30", until="2025-12-31"), NOW_MS - 2 * DAY_MS, NOW_MS - DAY_MS),
        (asked(since="2025-12-30", until="2099-01-01"), NOW_MS - 2 * DAY_MS, NOW_MS),
    ],
)
def test_a_range_begins_with_a_whole_minute_and_never_ends_after_now(args: Namespace, from_ms: int, to_ms: int) -> None:
    assert BackfillRange("trades", from_ms, to_ms) == range_of(args, NOW_MS)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (asked(days=0), "days: was 0, so nothing was fetched; give more than 0, up to 36500."),
        (asked(days=1e9), "days: was 1e+09, so nothing was fetched; give more than 0, up to 36500."),
        (asked(days=float("nan")), "days: was nan, so nothing was fetched; give more than 0, up to 36500."),
        (asked(days=1, since="2025-12-30"), "days: was given beside --from, so nothing was fetched; give one of them."),
        (
            asked(since="2099-01-01"),
            "from: lies at or after the end (now), so nothing was fetched; give an earlier time.",
        ),
        (
            asked(since="2025-12-31", until="2025-12-30"),
            "from: lies at or after the end (2025-12-30), so nothing was fetched; give an earlier time.",
        ),
    ],
)
def test_what_can_not_be_meant_is_refused_in_a_sentence(args: Namespace, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        range_of(args, NOW_MS)

    assert sentence == str(caught.value)
