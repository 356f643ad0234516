"""Three streams in, one row a closed candle out, the same in whichever order they come."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.features.streams import (
    MINUTE_MS,
    MONDAY_MS,
    SETTINGS,
    START_MS,
    Run,
    bits,
    candle,
    forgetting_everything,
    in_one_process,
    indicators_of,
    ticks,
)
from tests.unit.indicators.market import cut, said
from tickcast.config import FlowSettings
from tickcast.errors import DataError, SnapshotError
from tickcast.events import FEATURES, TICKS, Columns, Frame, concat
from tickcast.features import stage as stage_module
from tickcast.features.names import CANDLE, feature_names, feature_set
from tickcast.features.stage import Features


@pytest.fixture(params=[in_one_process, forgetting_everything])
def run(request: pytest.FixtureRequest) -> Run:
    return Run(request.param)


def test_the_columns_are_the_tables_then_the_features_by_name(run: Run) -> None:
    run.candles(candle(0))
    rows = run.ticks(5, 60_000)

    assert [*FEATURES.columns, *feature_names(SETTINGS)] == list(rows)
    assert {np.dtype(np.float64)} == {rows[name].dtype for name in feature_names(SETTINGS)}
    assert [feature_set(SETTINGS)] == rows["feature_set"].tolist()


def test_a_row_holds_its_candle_its_indicators_and_the_last_tick_before_its_end(run: Run) -> None:
    """
    10:00            10:01
    |--5---------59.9|60--
              ^ this one
    """
    run.candles(candle(0, quality=2))
    rows = run.ticks(5_000, 59_900, 60_000)
    one = candle(0)

    assert [(60, START_MS + MINUTE_MS, 2, 0)] == said(rows, "candle_seconds", "timestamp_ms", "quality", "revision")
    assert {name: float(one[name][0]) for name in CANDLE} == {name: rows[name][0] for name in CANDLE}
    assert [(59_900.0, 59_903.0)] == said(rows, "midprice", "spread")
    assert math.isnan(rows["rsi_14"][0])


def test_a_tick_at_the_very_end_is_of_the_next_window(run: Run) -> None:
    run.candles(candle(0))

    assert [(1.0,)] == said(run.ticks(1, 60_000), "midprice")


def test_a_row_waits_until_no_tick_before_its_end_can_follow(run: Run) -> None:
    run.candles(candle(0))

    assert {} == run.ticks(5_000, low_ms=59_999)
    assert {} == run.ticks(59_000)
    assert [(59_000.0,)] == said(run.ticks(low_ms=60_000), "midprice")


def test_a_tick_is_carried_forward_through_quiet_windows(run: Run) -> None:
    run.candles(candle(0), candle(1), candle(2))

    assert [(7.0,)] * 3 == said(run.ticks(7, low_ms=180_000), "midprice")


def test_before_the_first_tick_its_features_are_null(run: Run) -> None:
    run.candles(candle(0), candle(1))
    rows = run.ticks(60_001, 120_000)

    assert [True, False] == np.isnan(rows["midprice"]).tolist()
    assert [True, False] == np.isnan(rows["n_60t"]).tolist()


def test_imported_candles_need_only_the_word_that_time_has_passed(run: Run) -> None:
    run.candles(*(candle(place) for place in range(30)))

    assert 30 == len(run.ticks(low_ms=30 * MINUTE_MS)["close"])


def test_a_row_is_known_when_its_last_part_was(run: Run) -> None:
    run.candles(candle(0, known_at_ms=START_MS + 61_234), candle(1, known_at_ms=5))

    run.feed("candles", candle(2, known_at_ms=START_MS + 180_007))
    run.feed("technical_indicators", indicators_of([candle(2, known_at_ms=5)])[0])

    assert [61_234, 120_000, 180_007] == (run.ticks(low_ms=180_000)["known_at_ms"] - START_MS).tolist()


@pytest.mark.parametrize(("place", "hour", "weekday"), [(0, 10, 0), (59, 11, 0), (58, 10, 0)])
def test_the_time_is_that_of_the_windows_end_on_a_circle(run: Run, place: int, hour: int, weekday: int) -> None:
    run.candles(candle(place))
    rows = run.ticks(low_ms=60 * MINUTE_MS)
    expected = [math.sin(math.tau * hour / 24), math.cos(math.tau * hour / 24), math.sin(math.tau * weekday / 7), 1.0]

    assert expected == pytest.approx([rows[name][0] for name in ("hour_sin", "hour_cos", "dow_sin", "dow_cos")])


def test_monday_is_zero() -> None:
    run = Run()
    run.stage = Features(FlowSettings(candle_seconds=(60, 300)))
    sunday = candle(0)
    sunday["window_start_ms"][:] = MONDAY_MS - 5 * MINUTE_MS
    run.candles(sunday)
    rows = run.feed("ticks_features", TICKS.empty(), MONDAY_MS)

    assert math.sin(math.tau * 6 / 7) == pytest.approx(rows["dow_sin"][0])


def test_a_reissued_candle_gives_its_row_again_with_the_tick_it_had(run: Run) -> None:
    frames = [candle(0), candle(1), candle(0, revision=1, add=2.0)]
    rows_of = indicators_of(frames)
    for one, rows in zip(frames[:2], rows_of[:2], strict=True):
        run.feed("candles", one)
        run.feed("technical_indicators", rows)
    first = run.ticks(10, 70_000, 130_000)
    run.feed("candles", frames[2])
    again = run.feed("technical_indicators", rows_of[2])

    assert [(10.0, 0), (70_000.0, 0)] == said(first, "midprice", "revision")
    assert [(10.0, 1)] == said(again, "midprice", "revision")
    assert frames[2]["high"][0] == again["high"][0] == first["high"][0] + 2.0


def test_a_row_of_indicators_alone_gives_its_row_again(run: Run) -> None:
    run.candles(candle(0))
    first = run.ticks(10, 60_000)
    rows = indicators_of([candle(0)])[0] | {"revision": np.array([1]), "sma_7": np.array([5.5])}
    again = run.feed("technical_indicators", rows)

    assert [(0,), (1,)] == said(first, "revision") + said(again, "revision")
    assert (5.5, first["open"][0]) == (again["sma_7"][0], again["open"][0])


def test_a_row_waits_for_the_very_revision_of_the_candle_it_was_computed_from(run: Run) -> None:
    frames = [candle(0), candle(0, revision=1, add=2.0)]
    first, again = indicators_of(frames)
    run.ticks(10, 60_000)
    run.feed("candles", frames[0])
    run.feed("technical_indicators", first)

    assert {} == run.feed("technical_indicators", again)
    assert [(frames[1]["high"][0], 1)] == said(run.feed("candles", frames[1]), "high", "revision")


def test_rows_sent_again_give_nothing_and_are_counted(run: Run) -> None:
    run.candles(candle(0), candle(1))
    run.ticks(10, 120_000)

    assert {} == run.candles(candle(0), candle(1))
    assert {} == run.ticks(10, 120_000)
    assert {"repeated": 2} == run.counts


def test_ticks_sent_again_from_before_change_nothing(run: Run) -> None:
    run.ticks(10, 70_000, 130_000)
    run.ticks(10)
    rows = concat([run.candles(candle(0), candle(1), candle(2)), run.ticks(180_000)])

    assert [(10.0,), (70_000.0,), (130_000.0,)] == said(rows, "midprice")


def test_a_window_more_than_five_hundred_and_eleven_behind_is_refused_and_counted(run: Run) -> None:
    frames = [concat([candle(place) for place in range(600)]), candle(88, revision=1, add=1.0)]
    frames.append(candle(87, revision=1, add=1.0))
    rows = indicators_of(frames)
    run.feed("candles", frames[0])
    run.feed("technical_indicators", rows[0])
    assert 600 == len(run.ticks(10, low_ms=600 * MINUTE_MS)["close"])

    run.feed("candles", frames[1])
    assert (START_MS + 89 * MINUTE_MS, 1) in said(run.feed("technical_indicators", rows[1]), "timestamp_ms", "revision")
    run.feed("candles", frames[2])
    issued = run.feed("technical_indicators", rows[2])
    assert START_MS + 88 * MINUTE_MS not in (issued["timestamp_ms"].tolist() if issued else [])
    assert {"too_old": 1} == run.counts


def test_what_is_remembered_stays_small(run: Run) -> None:
    run.feed("ticks_features", ticks(*range(0, 698 * MINUTE_MS, 700)))
    for at in range(698 * MINUTE_MS, 700 * MINUTE_MS, 7_000):
        run.ticks(at, low_ms=at)
    run.ticks(low_ms=700 * MINUTE_MS)
    for _ in range(2):
        run.candles(*(candle(place) for place in range(700)))
    lane = run.state.lanes[60]

    assert [512, 512, 512] == [len(lane.candles), len(lane.issued), len(lane.ticks)]


def test_candle_lengths_that_no_setting_names_are_left_out_and_counted(run: Run) -> None:
    run.ticks(low_ms=600 * MINUTE_MS)
    other = candle(0) | {"candle_seconds": np.array([120])}
    run.candles(concat([candle(0), other]))

    assert {"unasked": 1} == run.counts


def test_a_stream_that_never_comes_is_an_error_and_not_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "_WAITING_MAX", 3)
    run = Run()

    with pytest.raises(DataError, match=r"features of x:P: 4 .* wait for the other streams"):
        run.candles(*(candle(place) for place in range(4)))


def test_no_rows_are_claimed_to_be_complete_before_all_streams_are() -> None:
    stage = Features(SETTINGS)
    state = stage.new()
    stage.step(state, Frame("candles", "x", "P", 70_000, candle(0)))
    stage.step(state, Frame("technical_indicators", "x", "P", 60_000, indicators_of([candle(0)])[0]))
    out = stage.step(state, Frame("ticks_features", "x", "P", START_MS + 90_000, ticks()))

    assert [60_000] == [frame.low_ms for frame in out]


def test_rows_that_wait_with_other_indicators_are_not_misread() -> None:
    run = Run()
    run.candles(candle(0))

    with pytest.raises(SnapshotError, match="1 rows wait in it with other indicators"):
        Features(FlowSettings(candle_seconds=(60, 300), indicators=("ADX:14",))).restore(run.stage.snapshot(run.state))


# --- orders of arrival -----------------------------------------------------------------------------------------------

Piece = tuple[str, Columns, int]


def history() -> dict[str, list[Piece]]:
    """Two lengths of candles with late ones among them, their indicators, and ticks, as streams of small frames."""
    made = [candle(place) for place in range(9)]
    for after, late in ((9, candle(7, revision=1, add=1.0)), (6, candle(2, revision=1, add=0.5)), (5, candle(0, 300))):
        made.insert(after, late)
    made += [candle(2, revision=2, add=0.25), candle(1, 300), candle(9), candle(9, revision=1, volume=3.0)]
    rows = indicators_of(made)
    times = list(range(500, 660_000, 27_000))
    return {
        "candles": [("candles", one, 0) for one in made],
        "technical_indicators": [("technical_indicators", one, 0) for one in rows],
        "ticks_features": [("ticks_features", ticks(at), START_MS + at) for at in times],
    }


STREAMS = history()


def joined(pieces: list[Piece], run: Run) -> list[tuple[Any, ...]]:
    parts = [columns for kind, one, low_ms in pieces if (columns := run.feed(kind, one, low_ms))]
    rows = concat(parts)
    rows["feature_set"] = np.zeros(len(rows["close"]))
    return bits(rows)


EXPECTED = joined([piece for stream in STREAMS.values() for piece in stream], Run())


def test_every_row_of_indicators_has_become_a_row() -> None:
    rows = concat([columns for _, columns, _ in STREAMS["technical_indicators"]])

    assert len(rows["close"]) == len(EXPECTED) > 14


@pytest.mark.parametrize("order", list(itertools.permutations(STREAMS)), ids=" ".join)
def test_whole_streams_one_after_the_other_give_the_same_in_any_order(order: tuple[str, ...], run: Run) -> None:
    assert EXPECTED == joined([piece for kind in order for piece in STREAMS[kind]], run)


def test_a_long_queue_is_issued_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "_BLOCK", 2)

    at_once = [(kind, concat([columns for _, columns, _ in stream]), 0) for kind, stream in STREAMS.items()]

    assert EXPECTED == joined(at_once, Run())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_streams_in_any_interleaving_cut_anyhow_give_the_same(data: st.DataObject) -> None:
    left = {}
    for kind, stream in STREAMS.items():
        whole = concat([columns for _, columns, _ in stream])
        edges = sorted(data.draw(st.lists(st.integers(0, len(next(iter(whole.values())))), max_size=8)))
        left[kind] = cut(whole | {"volume": next(iter(whole.values()))} if "volume" not in whole else whole, edges)
    order = data.draw(st.permutations([kind for kind, parts in left.items() for _ in parts]))
    pieces = [(kind, left[kind].pop(0), 0) for kind in order]

    assert EXPECTED == joined(pieces, Run(data.draw(st.sampled_from([in_one_process, forgetting_everything]))))


def test_features_equal_a_plain_join_by_hand() -> None:
    """The last revision of each window: its candle, its indicators, its tick, looked up in plain dicts."""
    made = {(int(c["candle_seconds"][0]), int(c["window_start_ms"][0])): c for _, c, _ in STREAMS["candles"]}
    times = [int(columns["trade_id"][0]) for _, columns, _ in STREAMS["ticks_features"]]
    run = Run()
    rows = concat([c for stream in STREAMS.values() for p in stream if (c := run.feed(*p))])
    final = {(s, e): i for i, (s, e) in enumerate(said(rows, "candle_seconds", "timestamp_ms"))}

    assert {(seconds, start + seconds * 1000) for seconds, start in made} == set(final)
    for (seconds, end), place in final.items():
        one = made[seconds, end - seconds * 1000]
        tick = max(at for at in times if START_MS + at < end)
        assert (one["high"][0], one["volume"][0], float(tick)) == (
            rows["high"][place],
            rows["volume"][place],
            rows["midprice"][place],
        )
