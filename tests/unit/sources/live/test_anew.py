"""A pair whose ids begin anew: its first new trade waits for history like one after a hole, and no word is lost."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings

from tests.unit.sources.live.joining import a_live_one, names, wanted
from tests.unit.sources.live.storms import PAIR, Run, Storm, Trade, part_of
from tests.unit.sources.live.test_joiner_storms import storms
from tickcast.sources.contract import Message
from tickcast.sources.history.contract import After
from tickcast.sources.live.contract import KnownTrades
from tickcast.sources.live.joiner import Joiner
from tickcast.sources.live.joining import Out
from tickcast.sources.venues.contract import Span

OLD = 5_000_000
NEW_MS = 100_000


def at(joiner: Joiner, now_s: float, number: int, ms: int) -> list[Out]:
    message, span = Message(0, "kraken", b"%d" % number), Span(PAIR, number, number, ms, ms)
    return [message] if joiner.flows(span) else joiner.hear(now_s, message, span)


def new_rows(first: int, last: int) -> list[Trade]:
    return [Trade(one, one, NEW_MS + 10 * one) for one in range(first, last + 1)]


def test_the_first_of_the_new_ids_waits_until_history_has_told_what_was_before_it() -> None:
    """
    4999999 5000000 ╌╌╌╌╌ 3 4      →      1 2 3 (history)  3 4
    """
    joiner = a_live_one(OLD)
    held = at(joiner, 1, 3, NEW_MS + 30) + at(joiner, 1, 4, NEW_MS + 40)
    want = wanted(joiner, 1.2)

    assert ([], After(1000, OLD)) == (held, want.after)
    part = part_of(new_rows(1, 3), (1000, NEW_MS + 31), end=True)
    assert ["history 1..3", "3", "4"] == names(joiner.part(want, part, 1.3))
    assert (True, True, 5, 0) == (joiner.anew, joiner.live, joiner.next_id, len(joiner.holes))
    joiner.done(want, 1.4)
    assert ["5", "2", "6"] == names([one for k in (5, 2, 6) for one in at(joiner, 2, k, NEW_MS + 10 * k)])


def test_history_may_tell_the_end_of_the_old_ids_and_the_beginning_of_the_new_ones_at_once() -> None:
    joiner = a_live_one(OLD)
    at(joiner, 1, 2, NEW_MS + 20)
    want = wanted(joiner, 1.2)
    rows = [Trade(OLD + 1, OLD + 1, 1100), Trade(OLD + 3, OLD + 3, 1200), *new_rows(1, 2)]

    out = joiner.part(want, part_of(rows, (1000, NEW_MS + 21), end=True), 1.3)

    assert [f"history {OLD + 1}..2", "2"] == names(out)
    assert (3, [(-1, -1)]) == (joiner.next_id, [(hole.first_id, hole.last_id) for hole in joiner.holes])


def test_a_trade_that_is_told_again_waits_for_nothing() -> None:
    joiner = a_live_one(OLD)

    assert ["7", str(OLD)] == names(at(joiner, 1, 7, 900) + at(joiner, 1, OLD, 1000))
    assert (True, False) == (joiner.live, joiner.anew)


def test_an_old_id_with_a_wrong_time_is_a_double_once_the_old_ids_go_on() -> None:
    joiner = a_live_one(OLD)
    assert [] == at(joiner, 1, 9, 20_000)
    want = wanted(joiner, 1.2)

    out = joiner.part(want, part_of([Trade(OLD + 1, OLD + 1, 20_100)], (1000, 20_101), end=True), 1.3)

    assert [f"history {OLD + 1}..{OLD + 1}", "9"] == names(out)
    assert (False, OLD + 2, True) == (joiner.anew, joiner.next_id, joiner.live)


def test_where_history_is_silent_it_goes_out_in_time_and_the_time_between_stays_open() -> None:
    joiner = a_live_one(OLD)
    at(joiner, 1, 2, NEW_MS + 20)
    want = wanted(joiner, 1.2)
    joiner.failed(want, 1.3)

    out = joiner.tick(4.1)

    assert ["2"] == names(out)
    assert [(-1, -1, 1000, NEW_MS + 20)] == [(h.first_id, h.last_id, h.from_ms, h.to_ms) for h in joiner.holes]
    assert ["3"] == names(at(joiner, 4.2, 3, NEW_MS + 30))
    background = wanted(joiner, 5.0)
    assert (After(0), 120_000) == (background.after, background.until_ms)
    told = part_of(new_rows(1, 3), (0, 120_000), end=False)
    assert ["history 1..3"] == names(joiner.part(background, told, 6.0))
    assert 0 == len(joiner.holes)


def test_a_hole_in_the_old_ids_is_one_of_time_from_then_on() -> None:
    joiner = Joiner(PAIR, KnownTrades(((1, 4, 500, 700), (9, OLD, 800, 1000)), 1000))
    joiner.subscribed(0.0, 0)
    want = wanted(joiner, 0.5)
    joiner.part(want, part_of(new_rows(1, 8), (1000, NEW_MS + 81), end=True), 0.6)

    assert [(-1, -1, 700, 800)] == [(h.first_id, h.last_id, h.from_ms, h.to_ms) for h in joiner.holes]


def renewed(storm: Storm, **more: Any) -> Storm:
    anew = min(max(storm.known + 1, storm.trades // 2), storm.trades - 1)
    return msgspec.structs.replace(storm, anew=anew, never_there=0, **more)


@settings(max_examples=100, deadline=None)
@given(storm=storms)
def test_after_any_storm_with_a_new_beginning_all_trades_are_there_and_all_messages_went_out_once(storm: Storm) -> None:
    run = Run(renewed(storm)).play()

    assert set() == run.owed() - run.emitted_ids()
    assert sorted(run.heard) == sorted(run.messages())


@settings(max_examples=60, deadline=None)
@given(storm=storms)
def test_where_history_answers_in_time_the_new_ids_go_out_in_order_and_without_a_gap(storm: Storm) -> None:
    run = Run(renewed(storm, history_fails=0, history_lags_ms=0, known=0, hold_s=3.0, history_s=0.3, page=1000)).play()
    order = list(dict.fromkeys(one for ids in run.emitted() for one in ids))

    new = [one for one in order if one < 1000]
    assert list(range(new[0], new[-1] + 1)) == new
