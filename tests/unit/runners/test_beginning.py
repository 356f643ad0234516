"""What is fetched before a live feed starts: enough for the indicators, in the cheapest way that the venue has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.clock import DAY_MS
from tickcast.indicators.spec import ANCHOR
from tickcast.runners.beginning import TRADES_DAYS_MAX, beginning

MIDNIGHT_MS = 1_735_689_600_000
NOON_MS = MIDNIGHT_MS + DAY_MS // 2
MINUTE_MS = 60_000
FIVE_MINUTES_MS = 300_000
"""The longest window of the tick features."""

lengths = st.lists(st.sampled_from([1, 60, 300, 900, 3600, 86_400]), min_size=1, max_size=3, unique=True).map(sorted)


@given(seconds=lengths, now_ms=st.integers(MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS))
def test_candles_reach_from_before_the_anchor_to_where_trades_begin(seconds: list[int], now_ms: int) -> None:
    plan = beginning("binance", seconds, now_ms=now_ms)

    assert seconds == [span.seconds for span in plan.candles]
    for span in plan.candles:
        step_ms = span.seconds * 1000
        assert (now_ms - now_ms % DAY_MS - span.from_ms) // step_ms >= ANCHOR
        assert 0 == span.from_ms % step_ms == span.to_ms % step_ms
        assert span.to_ms - step_ms < plan.trades_from_ms + step_ms  # no window is missed between the two
        assert plan.trades_from_ms <= span.to_ms
    assert now_ms - plan.trades_from_ms >= FIVE_MINUTES_MS


@given(seconds=lengths, now_ms=st.integers(MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS))
def test_trades_alone_begin_with_a_window_of_every_length(seconds: list[int], now_ms: int) -> None:
    plan = beginning("binance", seconds, now_ms=now_ms, what="trades")

    assert () == plan.candles
    assert 0 == plan.trades_from_ms % (1000 * max(seconds))
    assert now_ms - plan.trades_from_ms <= TRADES_DAYS_MAX * DAY_MS + 1000 * max(seconds)


@pytest.mark.parametrize(("exchange", "seconds"), [("coinbase", 1), ("kraken", 1), ("binance", 10), ("coinbase", 180)])
def test_where_a_venue_has_no_candles_of_a_length_trades_are_fetched_all_the_way(exchange: str, seconds: int) -> None:
    plan = beginning(exchange, (seconds,), now_ms=NOON_MS)

    assert () == plan.candles
    assert (MIDNIGHT_MS - plan.trades_from_ms) // (1000 * seconds) >= ANCHOR


def test_kraken_s_720_candles_are_enough_for_five_minutes_but_not_for_one() -> None:
    assert 1 == len(beginning("kraken", (300,), now_ms=MIDNIGHT_MS + 2 * 3_600_000).candles)
    assert () == beginning("kraken", (60,), now_ms=NOON_MS).candles


def test_kraken_s_720_candles_are_enough_for_a_quarter_of_an_hour_at_all_hours() -> None:
    """
    midnight - 520 candles ............ midnight ......... 16:40 ... midnight
    |--------------- 720 candles of five minutes ---------|
    """
    evening_ms = MIDNIGHT_MS + 17 * 3_600_000

    assert () == beginning("kraken", (300,), now_ms=evening_ms).candles
    assert 1 == len(beginning("kraken", (900,), now_ms=MIDNIGHT_MS + DAY_MS - 1).candles)


def test_more_days_are_fetched_if_they_are_asked_for() -> None:
    plan = beginning("binance", (60,), now_ms=NOON_MS, days=60.0)

    assert NOON_MS - 60 * DAY_MS == plan.candles[0].from_ms
    assert NOON_MS - 10 * MINUTE_MS == plan.trades_from_ms
