"""What a tick knows of the minutes before it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.candles.tape import (
    MIDNIGHT_MS,
    WAYS,
    Row,
    Way,
    as_bytes,
    at,
    cut,
    forgetting_everything_between_frames,
    frame,
    in_one_process,
    joined,
    rows_of,
    trade,
)
from tickcast.config import FlowSettings
from tickcast.errors import SnapshotError
from tickcast.events import TICK_MEASURES, TICK_SPANS, TICKS, Columns, Frame
from tickcast.ticks.fold import ROOM_MAX
from tickcast.ticks.stage import Ticks


def make() -> Ticks:
    return Ticks(FlowSettings())


class Run:
    """Frames in, rows as dicts out; remembers what was counted."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.counts: dict[str, int] = {}

    def __call__(self, *frames: Frame) -> list[Row]:
        out, self.counts = self.way(make, frames)
        return rows_of(joined(out))


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def run(request: pytest.FixtureRequest) -> Run:
    return Run(request.param)


def test_a_tick_is_a_trade_and_the_quote_that_it_met(run: Run) -> None:
    (row,) = run(frame(trade(7, "0:01", 100.0, bid=99.0, ask=100.5)))

    assert (at("0:01"), 7, 99.75, 1.5) == tuple(
        row[name] for name in ("timestamp_ms", "trade_id", "midprice", "spread")
    )


@pytest.mark.parametrize(("bid", "ask"), [(math.nan, 100.0), (99.0, math.nan), (0.0, 100.0), (101.0, 100.0)])
def test_without_a_sane_quote_the_price_stands_for_it(run: Run, bid: float, ask: float) -> None:
    (row,) = run(frame(trade(1, "0:01", 98.0, bid=bid, ask=ask)))

    assert row["midprice"] == 98.0
    assert math.isnan(row["spread"])


def test_a_window_begins_behind_the_tick_that_is_as_old_as_the_window(run: Run) -> None:
    """
    0:00         0:10                      0:30
    100          110                       121
     ^ base       └── two ticks in (0:00, 0:30]
    """
    rows = run(frame(trade(1, "0:00", 100.0), trade(2, "0:10", 110.0), trade(3, "0:30", 121.0)))

    assert [row["n_30s"] for row in rows] == [1, 2, 2]
    assert [math.isnan(row["midprice_return_30s"]) for row in rows] == [True, True, False]
    assert math.log(1.21) == pytest.approx(rows[2]["midprice_return_30s"], rel=1e-12)
    assert math.sqrt(2) * math.log(1.1) == pytest.approx(rows[2]["rolling_vol_30s"], rel=1e-12)
    assert math.log(1.1) == pytest.approx(rows[2]["ret_mean_30s"], rel=1e-12)


def test_the_first_tick_has_no_return_and_one_return_has_no_deviation(run: Run) -> None:
    first, second = run(frame(trade(1, "0:00", 100.0), trade(2, "0:01", 101.0)))

    assert all(math.isnan(first[f"{name}_60s"]) for name in TICK_MEASURES if name != "n")
    assert [math.isnan(second[f"{n}_60s"]) for n in ("rolling_vol", "ret_mean", "ret_std")] == [False, False, True]


def test_the_last_window_is_of_sixty_ticks(run: Run) -> None:
    """It does not ask how long they took."""
    rows = run(frame(*(trade(k, at("0:00") + k * 3_600_000, 100.0 + k) for k in range(70))))

    assert [row["n_60t"] for row in rows[59:62]] == [60, 60, 60]
    assert [math.isnan(row["midprice_return_60t"]) for row in rows[59:61]] == [True, False]
    assert math.log(169 / 109) == pytest.approx(rows[69]["midprice_return_60t"], rel=1e-12)
    assert rows[69]["n_300s"] == 1


def test_a_trade_older_than_the_newest_tick_is_no_tick(run: Run) -> None:
    rows = run(frame(trade(1, "0:10"), trade(3, "0:12"), trade(2, "0:11"), trade(4, "0:12")))

    assert [row["trade_id"] for row in rows] == [1, 3, 4]
    assert run.counts == {"late": 1, "duplicates": 0, "overlapping": 0, "dropped": 0}


def test_a_doubled_trade_is_no_tick(run: Run) -> None:
    tape = [trade(1, "0:10"), trade(4, "0:12", first_id=2)]

    rows = run(frame(*tape, *tape), frame(*tape), frame(trade(5, "0:13", first_id=4)))

    assert [row["trade_id"] for row in rows] == [1, 4]
    assert (run.counts["duplicates"], run.counts["overlapping"]) == (4, 1)


def test_a_frame_follows_from_every_frame_and_carries_the_low(run: Run) -> None:
    out, _ = run.way(make, [frame(low="0:05"), frame(trade(1, "0:10"), low="0:20"), frame(trade(2, "0:15")), frame()])

    assert [at("0:05"), at("0:20"), at("0:20"), at("0:20")] == [written.low_ms for written in out]
    assert [len(written) for written in out] == [0, 1, 1, 0]
    assert [list(TICKS.columns)] * 4 == [list(written.columns) for written in out]


def test_a_price_that_comes_back_has_returned_exactly_nothing(run: Run) -> None:
    rows = run(frame(*(trade(k, f"0:{k}", 100.1 + (k % 2) * 0.3) for k in range(50))))

    assert rows[40]["midprice_return_30s"] == 0.0


def test_columns_have_the_types_of_the_table() -> None:
    out, _ = in_one_process(make, [frame(trade(1, "0:10"))])

    assert {n: c.dtype for n, c in TICKS.empty().items()} == {n: c.dtype for n, c in out[0].columns.items()}


def test_columns_that_may_not_be_written_to_are_read_all_the_same() -> None:
    whole = frame(*(trade(k, f"0:{k}", 100.0 + k) for k in range(20)))
    odd = whole.with_columns("trades", {name: np.repeat(c, 2)[::2] for name, c in whole.columns.items()})
    for column in odd.columns.values():
        column.flags.writeable = False

    assert as_bytes(joined(in_one_process(make, [whole])[0])) == as_bytes(joined(in_one_process(make, [odd])[0]))


def test_a_ring_that_is_full_drops_its_oldest_and_says_so() -> None:
    count = ROOM_MAX + 10
    numbers = np.arange(count, dtype=np.int64)
    columns: Columns = {
        "trade_id": numbers, "first_id": numbers, "price": 100.0 + numbers % 3,
        "timestamp_ms": MIDNIGHT_MS + numbers // 8192, "bid": np.full(count, np.nan), "ask": np.full(count, np.nan),
    }  # fmt: skip

    (written,), counts = in_one_process(make, [Frame("trades", "binance", "BTCUSDT", 0, columns)])

    assert counts["dropped"] == 10
    assert written.columns["n_300s"][-1:].tolist() == [ROOM_MAX]


def test_another_version_s_state_is_refused() -> None:
    stage = make()
    data = stage.snapshot(stage.new())
    stage.version = 99

    with pytest.raises(SnapshotError, match="version"):
        stage.restore(data)


def test_a_snapshot_keeps_only_the_ticks_that_are_still_needed() -> None:
    stage, state = make(), make().new()
    stage.step(state, frame(*(trade(k, at("0:00") + k * 100, 100.0 + k % 7) for k in range(5000))))
    busy = len(stage.snapshot(state))
    stage.step(state, frame(trade(5000, "60:00")))

    assert busy > 3000 * 32
    assert len(stage.snapshot(state)) < 4000


# --- against the definition, written down again as slowly as it reads


def slow(rows: Sequence[Row]) -> list[Row]:
    ticks: list[tuple[int, float]] = []
    made = []
    for row in rows:
        if ticks and row["timestamp_ms"] < ticks[-1][0]:
            continue
        bid, ask = row["bid"], row["ask"]
        sane = 0 < bid <= ask
        ticks.append((row["timestamp_ms"], (bid + ask) / 2 if sane else row["price"]))
        made.append(
            {"midprice": ticks[-1][1]} | {k: v for span in TICK_SPANS for k, v in slow_span(ticks, span).items()}
        )
    return made


def slow_span(ticks: list[tuple[int, float]], span: str) -> dict[str, float]:
    newest = len(ticks) - 1
    if span == "60t":
        begin = max(0, newest - 59)
    else:
        begin = next(k for k in range(len(ticks)) if ticks[k][0] > ticks[-1][0] - int(span[:-1]) * 1000)
    returns = [math.log1p((ticks[k][1] - ticks[k - 1][1]) / ticks[k - 1][1]) for k in range(begin, newest + 1) if k > 0]
    count, total = len(returns), math.fsum(returns)
    mean = total / count if count else math.nan
    spread = math.fsum((r - mean) ** 2 for r in returns)
    return {
        f"midprice_return_{span}": total if begin > 0 else math.nan,
        f"rolling_vol_{span}": math.sqrt(math.fsum(r * r for r in returns)) if count else math.nan,
        f"ret_mean_{span}": mean,
        f"ret_std_{span}": math.sqrt(spread / (count - 1)) if count > 1 else math.nan,
        f"n_{span}": newest - begin + 1,
    }


@st.composite
def tapes(draw: st.DrawFn) -> list[Row]:
    """Trades whose times mostly go on, in steps that make windows fill and empty; some are doubled, some late."""
    steps = draw(
        st.lists(st.sampled_from([0, 1, 100, 900, 15_000, 29_999, 30_000, 61_000, -500]), min_size=1, max_size=90)
    )
    cents = draw(st.lists(st.integers(-300, 300), min_size=len(steps), max_size=len(steps)))
    quoted = draw(st.lists(st.sampled_from([None, 0, 1, 7]), min_size=len(steps), max_size=len(steps)))
    time, price, rows = MIDNIGHT_MS, 6_000_000, []
    for number, (step, change, spread) in enumerate(zip(steps, cents, quoted, strict=True)):
        time, price = time + step, price + change
        quote = {} if spread is None else {"bid": price / 100, "ask": (price + spread) / 100}
        rows.append(trade(number, time, price / 100, **quote))
    return rows


@settings(max_examples=60, deadline=None)
@given(tapes())
def test_values_are_those_of_the_definition(rows: list[Row]) -> None:
    expected = slow(rows)
    actual = rows_of(joined(in_one_process(make, [frame(*rows)])[0]))

    assert len(expected) == len(actual)
    for want, got in zip(expected, actual, strict=True):
        for name, value in want.items():
            noise = 1e-15 * (1 + abs(want[name])) if "return" in name or "mean" in name else 0.0
            if name.startswith("ret_std"):  # what cancels out of a nearly constant drift can not come back
                noise = 1e-7 * got[name.replace("ret_std", "rolling_vol")]
            assert value == pytest.approx(got[name], rel=1e-9, abs=noise, nan_ok=True), name


@settings(max_examples=40, deadline=None)
@given(tapes(), st.lists(st.integers(0, 90), max_size=6))
def test_no_cut_into_frames_and_no_restart_changes_a_bit(rows: list[Row], places: list[int]) -> None:
    whole = frame(*rows)
    expected = as_bytes(joined(in_one_process(make, [whole])[0]))
    parts = cut(whole, [place for place in places if place <= len(rows)])

    assert expected == as_bytes(joined(in_one_process(make, parts)[0]))
    assert expected == as_bytes(joined(forgetting_everything_between_frames(make, parts)[0]))


@pytest.mark.parametrize("step_ms", [100, 2_500, 20_000])
def test_no_restart_changes_a_bit_when_old_ticks_are_long_forgotten(step_ms: int) -> None:
    whole = frame(*(trade(k, MIDNIGHT_MS + k * step_ms, 100.0 + k * k % 17) for k in range(900)))
    expected = as_bytes(joined(in_one_process(make, [whole])[0]))

    assert expected == as_bytes(joined(forgetting_everything_between_frames(make, cut(whole, range(0, 900, 37)))[0]))


@settings(max_examples=30, deadline=None)
@given(tapes(), st.data())
def test_doubled_trades_change_nothing(rows: list[Row], data: st.DataObject) -> None:
    doubled = []
    for k, row in enumerate(rows):
        doubled += [row, *data.draw(st.lists(st.sampled_from(rows[: k + 1]), max_size=2))]

    once, twice = (as_bytes(joined(in_one_process(make, [frame(*tape)])[0])) for tape in (rows, doubled))

    assert once == twice


def test_a_process_that_began_later_gives_the_same_bits_once_its_windows_are_full() -> None:
    rng = np.random.default_rng(3)
    prices = np.round(60_000 + np.cumsum(rng.normal(0, 5, 4000)), 2)
    rows = [trade(k, MIDNIGHT_MS + k * 250, float(price)) for k, price in enumerate(prices)]

    early = joined(in_one_process(make, [frame(*rows)])[0])
    late = joined(in_one_process(make, [frame(*rows[1000:])])[0])

    full = 1201
    assert as_bytes({n: c[1000 + full :] for n, c in early.items()}) == as_bytes({n: c[full:] for n, c in late.items()})


def test_trades_whose_ids_begin_anew_are_ticks(run: Run) -> None:
    old, again = frame(trade(5_000_000, "0:01")), frame(trade(5_000_000, "0:01"))

    rows = run(old, frame(low="2:00"), frame(trade(1, "2:01"), trade(2, "2:02")), again, frame(trade(1, "2:01")))

    assert [5_000_000, 1, 2] == [row["trade_id"] for row in rows]
    assert (1, 1) == (run.counts["duplicates"], run.counts["overlapping"])
