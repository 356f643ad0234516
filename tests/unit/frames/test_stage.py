"""Rows of an exchange in, frames of pairs out; no cut of the input changes what the frames say in sum."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.config import FlowSettings
from tickcast.events import TRADES, Frame
from tickcast.frames import plausible, stage
from tickcast.frames.stage import Framed, Framer, FramerState
from tickcast.sources.contract import ALIVE, QUOTE, TRADE, Blind, MarketRows

START_MS = 1_723_161_600_000
DAY_MS = 86_400_000


def market(rows: list[dict[str, Any]], silences: list[tuple[int, int]] | None = None) -> MarketRows:
    """Rows as a block would give them: kind, pair name ("" for all), at (ms after START_MS), and what else is said."""
    pairs: list[str] = []
    for row in rows:
        if row["pair"] and row["pair"] not in pairs:
            pairs.append(row["pair"])
    filled = [
        {
            "recv_ms": START_MS + row.get("at", 0),
            "timestamp_ms": START_MS + row["at"] if "at" in row else 0,
            "first_id": row.get("trade_id", 0),
            **row,
        }
        for row in rows
    ]
    columns = TRADES.rows(filled)
    columns["kind"] = np.array([row["kind"] for row in rows], dtype=np.uint8)
    columns["pair"] = np.array([pairs.index(row["pair"]) if row["pair"] else -1 for row in rows], dtype=np.int64)
    silence_ns = np.array(silences or np.empty((0, 2)), dtype=np.int64).reshape(-1, 2)
    return MarketRows(pairs, columns, [], len(rows), silence_ns)


def trade(at: int, trade_id: int = 1, pair: str = "A", **more: Any) -> dict[str, Any]:
    return {"kind": TRADE, "pair": pair, "at": at, "trade_id": trade_id, "price": 1.0, "quantity": 1.0, **more}


def quote(bid: float, ask: float, pair: str = "A") -> dict[str, Any]:
    return {"kind": QUOTE, "pair": pair, "bid": bid, "ask": ask}


def alive(at: int, pair: str = "") -> dict[str, Any]:
    return {"kind": ALIVE, "pair": pair, "at": at}


def framed(*blocks: MarketRows, forgetful: bool = False) -> tuple[list[Frame], FramerState, list[Framed]]:
    framer = Framer(FlowSettings(candle_seconds=(60,), grace_ms=1000))
    state = framer.new()
    steps = []
    for block in blocks:
        steps.append(framer.step(state, "x", block))
        if forgetful:
            state = framer.restore(framer.snapshot(state))
    return [frame for step in steps for frame in step.frames], state, steps


def said(frames: list[Frame]) -> list[tuple[str, int, list[int]]]:
    return [(frame.pair, frame.low_ms - START_MS, frame.columns["trade_id"].tolist()) for frame in frames]


def test_a_trade_meets_the_quote_that_arrived_before_it() -> None:
    """quote 9/11 -- trade 1 -- quote 10/12 -- trade 2"""
    frames, _, _ = framed(market([quote(9, 11), trade(5), quote(10, 12), trade(6, 2)]))

    assert [9.0, 10.0] == frames[0].columns["bid"].tolist()
    assert [11.0, 12.0] == frames[0].columns["ask"].tolist()


def test_a_trade_before_any_quote_meets_none() -> None:
    frames, _, _ = framed(market([trade(5), quote(9, 11)]))

    assert math.isnan(frames[0].columns["bid"][0])


def test_a_quote_is_remembered_for_the_next_block() -> None:
    frames, _, _ = framed(market([quote(9, 11)]), market([trade(5)]), forgetful=True)

    assert [9.0] == frames[0].columns["bid"].tolist()


def test_trades_move_their_own_pair_only() -> None:
    frames, _, _ = framed(market([trade(5, 1, "A"), trade(90_000, 7, "B"), trade(10, 2, "A")]))

    assert [("A", 10, [1, 2]), ("B", 90_000, [7])] == said(frames)


def test_proof_of_life_closes_a_boundary_for_a_quiet_pair_less_the_grace() -> None:
    """
    trade at 5 s ---- 60 s ----- alive at 61.5 s: the time has reached 60.5 s
    """
    frames, _, _ = framed(market([trade(5_000), alive(61_500)]))

    assert [("A", 60_500, [1])] == said(frames)


def test_proof_of_life_within_the_same_minute_moves_nothing() -> None:
    frames, _, _ = framed(market([trade(5_000), alive(59_000)]))

    assert [("A", 5_000, [1])] == said(frames)


def test_proof_of_life_reaches_pairs_that_are_not_in_the_block() -> None:
    frames, _, _ = framed(market([trade(5_000)]), market([alive(61_500)]))

    assert [("A", 5_000, [1]), ("A", 60_500, [])] == said(frames)


def test_proof_for_one_pair_leaves_the_others_alone() -> None:
    frames, _, _ = framed(market([trade(1, 1, "A"), trade(2, 1, "B"), alive(62_000, "B")]))

    assert [("A", 1, [1]), ("B", 61_000, [1])] == said(frames)


def test_a_late_trade_after_proof_comes_in_a_later_frame() -> None:
    frames, _, _ = framed(market([trade(5_000), alive(61_500), trade(6_000, 2)]))

    assert [("A", 60_500, [1]), ("A", 60_500, [2])] == said(frames)


def test_other_pairs_than_the_ones_asked_for_are_left_out() -> None:
    framer = Framer(FlowSettings(), pairs=("B",))
    out = framer.step(framer.new(), "x", market([trade(1, 1, "A"), trade(2, 1, "B")]))

    assert ["B"] == [frame.pair for frame in out.frames]


def test_a_lone_time_a_year_ahead_is_set_aside_and_moves_nothing() -> None:
    rows = [trade(5), trade(365 * DAY_MS, 2), trade(7, 3)]
    frames, state, steps = framed(market(rows))

    assert [("A", 7, [1, 3])] == said(frames)
    assert ["implausible time: a day ahead of its neighbours"] == [one.reason for one in steps[0].rejects]
    assert 1 == state.implausible


def test_a_leap_that_a_second_row_confirms_is_taken_in_order() -> None:
    rows = [trade(5), trade(3 * DAY_MS, 2), trade(3 * DAY_MS + 4, 3)]
    frames, _, steps = framed(market(rows))

    assert [("A", 3 * DAY_MS + 4, [1, 2, 3])] == said(frames)
    assert [] == steps[0].rejects


def test_a_clump_of_times_that_receive_times_do_not_share_moves_nothing() -> None:
    """A venue's clock goes wrong for a while: seven rows of 2050, received today, between today's own."""
    wrong = [trade(26 * 365 * DAY_MS + at, at, recv_ms=START_MS + at) for at in range(2, 9)]
    frames, state, steps = framed(market([trade(1), *wrong, trade(9, 9), trade(10, 10)]))

    assert [("A", 10, [1, 9, 10])] == said(frames)
    assert 7 == state.implausible == len(steps[0].rejects)


@pytest.mark.parametrize("forgetful", [False, True])
def test_a_leap_that_receive_times_deny_is_believed_after_a_thousand_witnesses(forgetful: bool) -> None:
    """The local clock was set back by years: the pair is not lost for ever."""
    later = [trade(3 * DAY_MS + at, at, recv_ms=START_MS) for at in range(2, 1010)]
    frames, _, _ = framed(market([trade(1)]), market(later[:600]), market(later[600:]), forgetful=forgetful)

    assert [1, 2, *range(1002, 1010)] == [one for _, _, ids in said(frames) for one in ids]


@pytest.mark.parametrize("forgetful", [False, True])
def test_a_leap_is_confirmed_across_blocks_and_restarts(forgetful: bool) -> None:
    blocks = [market([trade(5), trade(3 * DAY_MS, 2)]), market([trade(3 * DAY_MS + 4, 3)])]
    frames, _, _ = framed(*blocks, forgetful=forgetful)

    assert [("A", 5, [1]), ("A", 3 * DAY_MS + 4, [2, 3])] == said(frames)


def test_a_first_row_far_from_its_receive_time_waits_for_a_second() -> None:
    poisoned = trade(400 * DAY_MS, 9, recv_ms=START_MS)
    frames, state, _ = framed(market([poisoned, trade(5, 1)]))

    assert [("A", 5, [1])] == said(frames)
    assert 1 == state.implausible


def test_a_recording_of_one_trade_without_receive_times_still_gives_it() -> None:
    framer = Framer(FlowSettings())
    state = framer.new()
    held = framer.step(state, "x", market([trade(5, recv_ms=0)]))

    assert [] == held.frames
    assert [("A", 5, [1])] == said(framer.finish(state, "x").frames)


def test_a_silence_of_the_recording_marks_the_next_frame_as_blind_from_before_it() -> None:
    before, after = market([trade(5_000)]), market([trade(200_000, 9)], [(0, (START_MS + 200_000) * 1_000_000)])
    frames, _, _ = framed(before, after, forgetful=True)

    assert [0, START_MS + 5_000] == [frame.blind_from_ms for frame in frames]


def test_where_a_feed_says_that_it_is_blind_best_prices_move_time_but_only_a_trade_ends_it() -> None:
    """Best prices on subscribing are often from long before: what lies between them and now was not seen either."""
    framer = Framer(FlowSettings(candle_seconds=(60,), grace_ms=1000))
    state = framer.new()
    framer.step(state, "x", market([trade(5_000)]))
    framer.told(state, "x", Blind("A", START_MS + 6_000))
    state = framer.restore(framer.snapshot(state))
    priced = framer.step(state, "x", market([quote(1, 2) | {"at": 70_000}])).frames
    later = framer.step(state, "x", market([quote(1, 2) | {"at": 140_000}, trade(150_000, 9)])).frames
    after = framer.step(state, "x", market([trade(200_000, 10)])).frames

    assert [START_MS + 6_000] * 3 + [0] == [frame.blind_from_ms for frame in (*priced, *later, *after)]


def test_pairs_beyond_the_limit_go_to_quarantine_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "PAIRS_MAX", 2)
    frames, _, steps = framed(
        market([trade(1, 1, "A")]),
        market(
            [trade(2, 1, "C"), quote(1, 2, "D"), trade(3, 2, "A"), trade(4, 1, "B"), alive(61_500), trade(5, 2, "C")]
        ),
    )

    assert {"A": [1, 2], "C": [1, 2]} == {
        pair: [one for name, _, ids in said(frames) if name == pair for one in ids] for pair in ("A", "C")
    }
    assert {"A", "C"} == {frame.pair for frame in frames}
    assert [stage.TOO_MANY_PAIRS] * 2 == [reject.reason for reject in steps[1].rejects]


row = st.one_of(
    st.builds(trade, st.integers(0, 300_000), st.integers(1, 99), st.sampled_from("ABC")),
    st.builds(quote, st.floats(1, 2), st.floats(2, 3), st.sampled_from("ABC")),
    st.builds(alive, st.integers(0, 300_000), st.sampled_from(["", "A", "B", "C"])),
    st.builds(trade, st.integers(0, 9).map(lambda day: day * DAY_MS), st.integers(1, 99), st.sampled_from("ABC")),
    st.builds(
        trade,
        st.sampled_from([0, 5 * DAY_MS, 99 * DAY_MS]),
        st.integers(1, 99),
        st.just("A"),
        recv_ms=st.just(START_MS),
    ),
)


@settings(max_examples=600, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=30), data=st.data())
def test_no_cut_into_blocks_changes_what_is_said(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(rows)), max_size=5).map(sorted))
    edges = [0, *places, len(rows)]
    with patch.object(plausible, "WITNESSES", 3):
        whole, _, whole_steps = framed(market(rows))
        parts, _, part_steps = framed(*(market(rows[a:b]) for a, b in pairwise(edges)), forgetful=True)

    assert fold(whole) == fold(parts)
    assert sorted(r.raw for s in whole_steps for r in s.rejects) == sorted(r.raw for s in part_steps for r in s.rejects)


@settings(max_examples=600, deadline=None)
@given(
    blocks=st.lists(st.lists(row, min_size=1, max_size=20), min_size=1, max_size=4), wanted=st.sampled_from(["", "A"])
)
def test_the_kernels_road_and_the_readable_one_give_the_same_frames(
    blocks: list[list[dict[str, Any]]], wanted: str
) -> None:
    framer = Framer(FlowSettings(candle_seconds=(60,), grace_ms=1000), tuple(wanted))
    swift, plain = framer.new(), framer.new()
    for block in blocks:
        rows = market(block)
        ours, theirs = framer.step(swift, "x", rows), Framed([], [])
        framer._plainly(theirs, plain, "x", rows)

        assert [exactly(frame) for frame in ours.frames] == [exactly(frame) for frame in theirs.frames]
        assert ours.rejects == theirs.rejects
    plain.rows, plain.last_recv_ns = swift.rows, swift.last_recv_ns
    assert framer.snapshot(swift) == framer.snapshot(plain)


def exactly(frame: Frame) -> tuple[Any, ...]:
    columns = {name: column.tobytes() for name, column in frame.columns.items()}
    return frame.key, frame.low_ms, frame.blind_from_ms, columns


def fold(frames: list[Frame]) -> dict[str, list[tuple[Any, ...]]]:
    """What a stage sees, pair by pair: each trade with the low in force before it, and every boundary passed."""
    seen: dict[str, list[tuple[Any, ...]]] = {}
    low: dict[str, int] = {}
    for frame in frames:
        events = seen.setdefault(frame.pair, [])
        columns = frame.columns
        rows = zip(*(columns[name].tolist() for name in ("trade_id", "timestamp_ms", "bid")), strict=True)
        for trade_id, time_ms, bid in rows:
            events.append((trade_id, time_ms, str(bid), low.get(frame.pair, 0)))
            low[frame.pair] = max(low.get(frame.pair, 0), time_ms)
        if frame.low_ms > low.get(frame.pair, 0):
            low[frame.pair] = frame.low_ms
            events.append(("low", frame.low_ms))
    return seen
