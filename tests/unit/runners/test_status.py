"""What a running system says of itself, in numbers that one can check by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tickcast.clock import ManualClock
from tickcast.events import CANDLES, INDICATORS, TICKS, Frame
from tickcast.runners.pipeline import Outputs
from tickcast.runners.status import CLOSES_KEPT, Status
from tickcast.sources.contract import Reject


def candle(start_s: int, close: float, seconds: int = 60, **more: Any) -> dict[str, Any]:
    return {
        "candle_seconds": seconds,
        "window_start_ms": start_s * 1000,
        "window_end_ms": (start_s + seconds) * 1000,
        "close": close,
        "volume": 2.0,
        "trade_count": 3,
        **more,
    }


def candles(*rows: dict[str, Any], pair: str = "A") -> Outputs:
    return Outputs([Frame("candles", "x", pair, 0, CANDLES.rows(rows))], [])


def indicators(*rows: dict[str, Any]) -> Outputs:
    return Outputs([Frame("technical_indicators", "x", "A", 0, INDICATORS.rows(rows))], [])


@pytest.fixture
def status() -> Status:
    return Status(ManualClock())


def test_rows_and_refusals_are_counted(status: Status) -> None:
    status.note("x", candles(candle(0, 1.0), candle(60, 2.0)))
    status.note("x", Outputs([], [Reject(0, "why", b"")] * 3))

    assert {"candles": 2} == status.rows
    assert 3 == status.quarantined == status.as_dict()["quarantined"]


def test_the_newest_candle_of_each_length_is_shown_with_its_change(status: Status) -> None:
    status.note("x", candles(candle(0, 100.0), candle(0, 100.0, 300)))
    status.note("x", candles(candle(60, 110.0)))

    seen = status.candles["x", "A", 60]
    assert (60_000, 110.0, 2.0, 3, "complete") == (
        seen.window_start_ms, seen.close, seen.volume, seen.trade_count, seen.quality,
    )  # fmt: skip
    assert 0.1 == pytest.approx(seen.change)
    assert 0 == status.candles["x", "A", 300].window_start_ms


def test_an_older_candle_issued_again_does_not_become_the_newest(status: Status) -> None:
    status.note("x", candles(candle(0, 100.0), candle(60, 110.0)))
    status.note("x", candles(candle(0, 99.0, revision=1, quality=2)))

    assert (60_000, 110.0) == (status.candles["x", "A", 60].window_start_ms, status.candles["x", "A", 60].close)


def test_the_newest_candle_issued_again_keeps_its_change_against_the_one_before(status: Status) -> None:
    status.note("x", candles(candle(0, 100.0)))
    status.note("x", candles(candle(60, 110.0)))
    status.note("x", candles(candle(60, 111.0, revision=1)))

    assert 111.0 == status.candles["x", "A", 60].close
    assert 0.1 == pytest.approx(status.candles["x", "A", 60].change)


def test_the_line_of_closes_is_of_the_shortest_candles_once_each_and_bounded(status: Status) -> None:
    for at in range(2 * CLOSES_KEPT):
        status.note("x", candles(candle(60 * at, float(at)), candle(0, -1.0, 300)))
    status.note("x", candles(candle(0, -2.0, 300)))
    status.note("x", candles(candle(60, -3.0, revision=1)))

    assert [float(at) for at in range(CLOSES_KEPT, 2 * CLOSES_KEPT)] == list(status.closes["x", "A"])


def test_an_indicator_is_shown_beside_its_own_candle_only(status: Status) -> None:
    status.note("x", candles(candle(0, 1.0), candle(60, 2.0), *(candle(0, 1.0, s) for s in (1, 5, 10, 300, 900))))
    row = {"candle_seconds": 60, "window_start_ms": 60_000, "rsi_14": 55.0}
    older = {"candle_seconds": 60, "window_start_ms": 0, "rsi_14": 11.0}
    others = [{"candle_seconds": s, "window_start_ms": 0, "rsi_14": float(s)} for s in (1, 5, 10, 300, 900)]
    status.note("x", indicators(row, *others, older))

    assert 55.0 == status.candles["x", "A", 60].rsi_14
    assert [1.0, 5.0, 10.0, 300.0, 900.0] == [status.candles["x", "A", s].rsi_14 for s in (1, 5, 10, 300, 900)]


def test_an_indicator_without_its_anchor_is_shown_as_none(status: Status) -> None:
    status.note("x", candles(candle(0, 1.0)))
    status.note("x", indicators({"candle_seconds": 60, "window_start_ms": 0}))

    assert status.candles["x", "A", 60].rsi_14 is None


def test_the_last_ticks_volatility_is_shown(status: Status) -> None:
    rows = TICKS.rows([{"rolling_vol_60s": 0.1}, {"rolling_vol_60s": 0.2}])
    status.note("x", Outputs([Frame("ticks_features", "x", "A", 0, rows)], []))

    assert 0.2 == status.volatility["x", "A"]


def test_lags_are_ranked_and_zero_before_the_first(status: Status) -> None:
    assert (0.0, 0.0, 0.0) == (status.lag().p50, status.lag().p99, status.lag().worst)
    for ms in range(100):
        status.spent(ms / 1000)

    assert (50.0, 99.0, 99.0) == (status.lag().p50, status.lag().p99, status.lag().worst)


def test_the_rate_is_of_the_last_seconds() -> None:
    """1000 messages a second for 20 s, then none: the rate falls to nothing within its span."""
    clock = ManualClock()
    status, total = Status(clock), 0
    assert 0.0 == status.rate(0)
    for _ in range(40):
        clock.sleep(0.5)
        total += 500
        rate = status.rate(total)
    assert 1000.0 == pytest.approx(rate)
    for _ in range(12):
        clock.sleep(0.5)
        rate = status.rate(total)
    assert 0.0 == rate
