"""The joiner in any storm: nothing is missing in silence."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.live.storms import Run, Storm, Trade

# ---- any storm

chances = st.sampled_from((0, 0, 3, 12, 40))


storms = st.builds(
    Storm,
    seed=st.integers(0, 1 << 32),
    trades=st.integers(10, 160),
    lost=chances,
    doubled=chances,
    reordered=chances,
    cuts=st.sampled_from((0, 0, 2, 5)),
    jumps=st.sampled_from((0, 0, 2, 5)),
    suspicions=st.sampled_from((0, 0, 2, 5)),
    aggregates=st.booleans(),
    history_s=st.sampled_from((0.0, 0.3, 2.0, 9.0)),
    history_fails=st.sampled_from((0, 20, 70)),
    history_lags_ms=st.sampled_from((0, 0, 200, 3000)),
    never_there=st.sampled_from((0, 0, 3)),
    page=st.sampled_from((1, 7, 1000)),
    hold_s=st.sampled_from((0.0, 0.5, 3.0)),
    known=st.sampled_from((0, 0, 9)),
    from_start=st.booleans(),
)


def ids_of(market: list[Trade]) -> set[int]:
    return {number for one in market for number in range(one.first, one.last + 1)}


def nothing_is_missing_in_silence(run: Run) -> None:
    """While a pair is live, all before its next id went out, or is a hole that is known, or was given up."""
    joiner = run.joiner
    if not joiner.live or joiner.next_id < 0:
        return
    begun = run.begun()
    told = run.emitted_ids() | {
        number for hole in [*joiner.holes, *joiner.given_up] for number in range(hole.first_id, hole.last_id + 1)
    }
    timed = any(hole.first_id < 0 for hole in joiner.holes)
    assert timed or {one for one in ids_of(run.market) if begun <= one < joiner.next_id} <= told


@settings(max_examples=150, deadline=None)
@given(storm=storms)
def test_after_any_storm_all_trades_are_there_and_all_messages_went_out_once(storm: Storm) -> None:
    run = Run(storm).play()
    begun = run.begun()
    missing = {one for one in ids_of(run.market) if one >= begun} - run.emitted_ids()
    given_up = {number for hole in run.joiner.given_up for number in range(hole.first_id, hole.last_id + 1)}

    assert set() == missing
    assert not given_up & ids_of(run.market)
    assert sorted(run.heard) == sorted(run.messages())
    quotes = [raw for raw in run.messages() if raw.endswith(b"quote")]
    assert quotes == sorted(quotes, key=lambda raw: int(raw.split()[0]))


@settings(max_examples=40, deadline=None)
@given(storm=storms)
def test_at_no_moment_of_a_storm_is_anything_missing_in_silence(storm: Storm) -> None:
    Run(msgspec.structs.replace(storm, trades=min(storm.trades, 40)), nothing_is_missing_in_silence).play()


@settings(max_examples=100, deadline=None)
@given(storm=storms)
def test_where_history_answers_in_time_trades_go_out_in_order_and_without_a_gap(storm: Storm) -> None:
    calm = {"history_fails": 0, "history_lags_ms": 0, "never_there": 0, "known": 0, "hold_s": 3.0}
    run = Run(msgspec.structs.replace(storm, **calm, history_s=0.3, page=1000)).play()
    order = list(dict.fromkeys(one for ids in run.emitted() for one in ids))
    order = [
        one for one in order if one >= order[0]
    ]  # the very first trades may be late too, and nobody waited for them

    assert list(range(order[0], order[-1] + 1)) == order
    assert [] == run.unseen() or storm.cuts or storm.jumps  # one after the other they leave no time to ask


@settings(max_examples=60, deadline=None)
@given(storm=storms)
def test_ids_that_are_not_consecutive_lose_nothing_either_where_the_loss_is_a_cut(storm: Storm) -> None:
    changes: dict[str, Any] = {"linked": False, "lost": 0, "never_there": 0, "known": 0, "aggregates": False}
    changes["history_lags_ms"] = 0  # ids would tell
    run = Run(msgspec.structs.replace(storm, **changes)).play()
    begun = run.begun()

    assert set() == {one for one in ids_of(run.market) if one >= begun} - run.emitted_ids()
    assert sorted(run.heard) == sorted(run.messages())
