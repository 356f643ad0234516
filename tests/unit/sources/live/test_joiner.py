"""One pair's stream and history, joined: single cases with their pictures, then any storm at all."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sources.live.storms import PAIR, Run, Storm, Trade, part_of
from tickcast.sources.contract import Message
from tickcast.sources.history.contract import After, Part
from tickcast.sources.live.contract import KnownTrades
from tickcast.sources.live.joiner import Joiner
from tickcast.sources.live.joining import Joined, Limits, Out, Unseen, Want
from tickcast.sources.venues.contract import Span

QUOTE = Message(0, "kraken", b"quote")
FIRST_FOUR = [Trade(one, one, 700 + 75 * one) for one in range(1, 5)]


def known(last: int, ms: int = 1000) -> KnownTrades:
    return KnownTrades(((1, last, 500, ms),), ms)


def trade(first: int, last: int | None = None, ms: int | None = None) -> tuple[Message, Span]:
    last = first if last is None else last
    ms = 1000 + 10 * first if ms is None else ms
    return Message(0, "kraken", b"%d-%d" % (first, last)), Span(PAIR, first, last, ms, ms)


def hear(joiner: Joiner, now_s: float, first: int, last: int | None = None) -> list[Out]:
    message, span = trade(first, last)
    return [message] if joiner.flows(span) else joiner.hear(now_s, message, span)


def rows(first: int, last: int, *, end: bool = True) -> Part:
    listed = [Trade(one, one, 1000 + 10 * one) for one in range(first, last + 1)]
    return part_of(listed, (1000, 1001 + 10 * last), end=end)


def lives(out: list[Any]) -> list[bool]:
    """Which pieces of history end where the stream goes on."""
    return [one.live for one in out]


def names(out: list[Any]) -> list[str]:
    """What went out: `5`, `quote`, `history 5..8`."""
    told = []
    for one in out:
        if isinstance(one, Joined):
            ids = one.part.rows["trade_id"].tolist()
            told.append(f"history {ids[0]}..{ids[-1]}" if ids else "history of nothing")
        elif isinstance(one, Unseen):
            told.append(f"unseen from {one.from_ms}")
        else:
            first, _, last = one.raw.decode().partition("-")
            told.append(first if last in ("", first) else f"{first}-{last}")
    return told


def a_live_one(last: int = 4, limits: Limits | None = None) -> Joiner:
    joiner = Joiner(PAIR, known(last), limits=limits)
    joiner.subscribed(0.0, 0)
    want = joiner.want(0.5)
    assert want is not None
    joiner.part(want, rows(1, 0), 0.0)
    joiner.done(want, 0.0)
    assert joiner.live
    return joiner


def wanted(joiner: Joiner, now_s: float) -> Want:
    want = joiner.want(now_s)
    assert want is not None
    return want


def test_what_follows_goes_out_at_once() -> None:
    joiner = a_live_one()

    assert ["5", "6", "quote"] == names(hear(joiner, 0, 5) + hear(joiner, 0, 6) + joiner.hear_other(0, QUOTE))


def test_a_gap_holds_all_that_comes_after_it_until_history_has_filled_it() -> None:
    """
    4 ╌╌╌╌╌ 7 quote 8      →      5 6 (history)  7 quote 8
    """
    joiner = a_live_one()
    held = hear(joiner, 1, 7) + joiner.hear_other(1, QUOTE) + hear(joiner, 1, 8)
    want = wanted(joiner, 1.2)

    assert ([], After(1000, 4)) == (held, want.after)
    assert ["history 5..6", "7", "quote", "8"] == names(joiner.part(want, rows(5, 6), 1.3))
    assert (True, 1, 1, 2) == (joiner.live, joiner.counts.found, joiner.counts.repaired, joiner.counts.trades)


def test_history_is_not_asked_for_what_is_only_late() -> None:
    joiner = a_live_one()

    assert [] == hear(joiner, 1, 6)
    assert joiner.want(1.1) is None
    assert ["5", "6"] == names(hear(joiner, 1.1, 5))
    assert (True, None, 0) == (joiner.live, joiner.want(9.0), joiner.counts.found)


def test_reordered_trades_go_out_in_order_and_quotes_keep_their_place() -> None:
    joiner = a_live_one()
    hear(joiner, 1, 6)
    joiner.hear_other(1, QUOTE)
    hear(joiner, 1, 9)

    assert ["5", "quote", "6"] == names(hear(joiner, 1.1, 5))
    joiner.hear_other(1.1, QUOTE)
    assert 2 == joiner.held
    assert ["7", "quote", "8", "9"] == names(hear(joiner, 1.1, 8) + hear(joiner, 1.1, 7))


def test_a_quote_does_not_pass_a_trade_that_still_waits() -> None:
    joiner = a_live_one()
    hear(joiner, 1, 7)
    joiner.hear_other(1, QUOTE)

    assert (["5"], 2) == (names(hear(joiner, 1.1, 5)), joiner.held)
    assert ["quote", "6", "7"] == names(hear(joiner, 1.1, 6))


def test_a_double_goes_out_and_changes_nothing() -> None:
    joiner = a_live_one()
    hear(joiner, 1, 5)

    assert (["5", "2", "6"], 7) == (names(hear(joiner, 1, 5) + hear(joiner, 1, 2) + hear(joiner, 1, 6)), joiner.next_id)


def test_an_aggregate_that_overlaps_the_last_one_joins_it() -> None:
    joiner = a_live_one()
    hear(joiner, 1, 5, 8)

    assert (["7-10", "11"], True) == (names(hear(joiner, 1, 7, 10) + hear(joiner, 1, 11)), joiner.live)


def test_what_waited_too_long_goes_out_and_the_hole_is_asked_for_as_whole_windows() -> None:
    joiner = a_live_one()
    joiner.last_ms = joiner.proven_ms = 61_000
    message, span = trade(7, ms=125_000)
    joiner.hear(1, message, span)
    urgent = wanted(joiner, 1.2)
    late = joiner.tick(4.1)
    joiner.failed(urgent, 4.2)
    want = wanted(joiner, 4.2)

    assert (["7"], True) == (names(late), joiner.live)
    assert (After(60_000), 180_000, False) == (want.after, want.until_ms, want.urgent)


def test_an_answer_that_comes_after_the_hold_fills_the_hole_while_it_is_young() -> None:
    joiner = a_live_one()
    hear(joiner, 1, 7)
    want = wanted(joiner, 1.2)
    joiner.tick(4.1)

    assert ["history 5..6"] == names(joiner.part(want, rows(5, 6), 4.5))
    assert (0, 1, 1) == (len(joiner.holes), joiner.counts.found, joiner.counts.repaired)


def test_what_came_later_goes_on_waiting_when_the_hold_of_the_first_has_ended() -> None:
    """
    4 ╌╌ 7 (came at 1)  ╌╌ 12 (came at 3)          at 4.1 seven goes out, twelve may still be joined
    """
    joiner = a_live_one()
    hear(joiner, 1, 7)
    hear(joiner, 3, 12)

    assert (["7"], 1, "joining") == (names(joiner.tick(4.1)), joiner.held, joiner.state)
    assert ["12"] == names(joiner.tick(6.1))


def test_an_answer_that_comes_after_the_hold_and_is_too_old_is_left_for_whole_windows() -> None:
    joiner = a_live_one()
    hear(joiner, 1, 7)
    want = wanted(joiner, 1.2)
    joiner.tick(4.1)
    joiner.proven_ms = 100_000

    assert ([], 1) == (joiner.part(want, rows(5, 6), 4.5), len(joiner.holes))
    joiner.done(want, 4.5)
    again = wanted(joiner, 4.6)
    assert (After(0), 60_000) == (again.after, again.until_ms)


def test_more_than_can_wait_goes_out() -> None:
    joiner = a_live_one(limits=Limits(held_max=3))

    assert ["7", "8", "9"] == names([out for one in (7, 8, 9) for out in hear(joiner, 1, one)])
    assert [(5, 6)] == [(hole.first_id, hole.last_id) for hole in joiner.holes]


def test_without_any_hold_nothing_waits() -> None:
    joiner = a_live_one(limits=Limits(hold_s=0.0))

    assert (["7"], True, 1) == (names(hear(joiner, 1, 7)), joiner.live, len(joiner.holes))


def test_history_that_fills_a_hole_in_part_leaves_the_rest_open() -> None:
    joiner = a_live_one(limits=Limits(hold_s=0.0))
    hear(joiner, 1, 12)
    want = wanted(joiner, 1)
    joiner.part(want, rows(7, 8, end=False), 1.5)
    joiner.failed(want, 1.5)

    assert [(5, 6), (9, 11)] == [(hole.first_id, hole.last_id) for hole in joiner.holes]
    assert joiner.want(1.6) is None  # first the wait after a failure


def test_trades_that_the_venue_never_had_are_given_up_after_a_second_look() -> None:
    """
    stream  4 ╌╌ 7         history  4 ╌╌ 7, and a while later again: 5 and 6 do not exist
    """
    joiner = a_live_one(limits=Limits(align_ms=1000))
    hear(joiner, 1, 7)
    want = wanted(joiner, 1.2)

    assert ["history 7..7", "7"] == names(joiner.part(want, rows(7, 7), 1.3))
    joiner.done(want, 1.3)
    assert (True, 1, None) == (joiner.live, len(joiner.holes), joiner.want(10))
    again = wanted(joiner, 20)
    answer = part_of([Trade(4, 4, 1000), Trade(7, 7, 1070)], (1000, 2000), end=True)
    assert [] == joiner.part(again, answer, 20)
    assert ([(5, 6)], 1, 0) == (
        [(hole.first_id, hole.last_id) for hole in joiner.given_up],
        joiner.counts.lost,
        len(joiner.holes),
    )


def test_an_answer_that_lacks_even_the_trades_around_a_hole_says_nothing_of_it() -> None:
    joiner = a_live_one(limits=Limits(hold_s=0.0, align_ms=1000))
    hear(joiner, 1, 7)
    for now_s in (1, 30, 90, 200):
        want = wanted(joiner, now_s)
        joiner.part(want, part_of([], (1000, 2000), end=True), now_s)
        joiner.done(want, now_s)

    assert (1, []) == (len(joiner.holes), joiner.given_up)


def test_after_a_cut_nothing_is_proven_until_history_was_asked() -> None:
    joiner = a_live_one()
    joiner.cut()

    assert (False, None) == (joiner.live, joiner.want(5))
    joiner.subscribed(5, 0)
    want = wanted(joiner, 5.5)
    out = joiner.part(want, rows(1, 0), 5.6)
    assert (["history of nothing"], [True], True) == (names(out), lives(out), joiner.live)


def test_after_a_cut_a_trade_that_follows_proves_that_nothing_was_missed() -> None:
    joiner = a_live_one()
    joiner.cut()
    joiner.subscribed(5, 0)
    joiner.hear_other(5, QUOTE)

    assert (["quote", "5"], True) == (names(hear(joiner, 5.1, 5)), joiner.live)


def test_what_waited_before_a_cut_proves_nothing_about_what_came_after() -> None:
    """
    4 ╌╌ 7  | cut |         5 and 6 come, 7 goes out; whether 8 was missed is not known yet
    """
    joiner = a_live_one()
    hear(joiner, 1, 7)
    joiner.cut()
    joiner.subscribed(2, 0)
    want = wanted(joiner, 2.5)

    assert ["history 5..6", "7"] == names(joiner.part(want, rows(5, 6, end=False), 2.1))
    assert not joiner.live
    assert ["history 8..9"] == names(joiner.part(want, rows(8, 9), 2.1))
    assert joiner.live


def test_an_answer_asked_for_before_a_cut_proves_nothing_after_it() -> None:
    joiner = a_live_one()
    joiner.jumped(1)
    want = wanted(joiner, 1.5)
    joiner.jumped(1.6)
    joiner.part(want, rows(1, 0), 1.7)
    joiner.done(want, 1.7)

    assert (False, True) == (joiner.live, joiner.want(3) is not None)


def test_recent_trades_sent_on_subscribing_may_close_the_hole_themselves() -> None:
    joiner = a_live_one()
    joiner.cut()
    joiner.subscribed(5, 0)

    assert (["3-9"], True, 10) == (names(hear(joiner, 5, 3, 9)), joiner.live, joiner.next_id)


def test_if_history_does_not_answer_in_time_the_stream_goes_on_and_says_that_it_is_blind() -> None:
    joiner = a_live_one()
    joiner.proven_ms = 1500
    joiner.cut()
    joiner.subscribed(5, 0)
    joiner.hear_other(5, QUOTE)

    assert ["unseen from 1500", "quote"] == names(joiner.tick(8.1))
    assert (False, "suspect", ["quote"]) == (joiner.live, joiner.state, names(joiner.hear_other(8.2, QUOTE)))
    assert (["5"], True) == (names(hear(joiner, 9, 5)), joiner.live)


def test_at_the_start_a_trade_that_follows_proves_the_time_before_it_ahead_of_quotes_that_would_move_it() -> None:
    """
    journal 4 |      quote 5       the stages know of nothing after 4: a quote alone would close its windows as not seen
    """
    joiner = Joiner(PAIR, known(4))
    joiner.subscribed(0.0, 0)
    joiner.hear_other(0.1, QUOTE)
    out = hear(joiner, 0.2, 5)

    assert ["history of nothing", "quote", "5"] == names(out)
    assert [(1000, 1050, True)] == [
        (one.part.from_ms, one.part.to_ms, one.live) for one in out if isinstance(one, Joined)
    ]


def test_answers_without_news_are_told_together_with_the_one_that_proves() -> None:
    joiner = a_live_one()
    joiner.cut()
    joiner.subscribed(5, 0)
    want = wanted(joiner, 5.5)

    assert [] == joiner.part(want, part_of([], (1000, 2000), end=False), 5.6)
    (out,) = joiner.part(want, part_of([], (2000, 9000), end=True), 5.7)
    assert isinstance(out, Joined)
    assert (1000, 9000, 2) == (out.part.from_ms, out.part.to_ms, len(out.part.pages))


def test_what_the_venue_has_forgotten_while_it_waited_here_goes_out_before_what_came_after_it() -> None:
    """
    known 4 ╌╌ held 7 quote ╌╌ history 9        the venue keeps nothing before 9: 7 is ours alone
    """
    joiner = a_live_one()
    joiner.cut()
    joiner.subscribed(5, 0)
    hear(joiner, 5, 7)
    joiner.hear_other(5, QUOTE)
    want = wanted(joiner, 5.5)

    assert ["7", "quote", "history 9..9"] == [
        name for name in names(joiner.part(want, rows(9, 9), 5.6)) if not name.startswith("unseen")
    ]
    assert [(5, 6), (8, 8)] == [(hole.first_id, hole.last_id) for hole in joiner.holes]


def gone_blind(now_s: float = 8.1) -> Joiner:
    joiner = a_live_one()
    joiner.proven_ms = 1500
    joiner.cut()
    joiner.subscribed(5, 0)
    joiner.hear_other(5, QUOTE)
    assert ["unseen from 1500", "quote"] == names(joiner.tick(now_s))
    return joiner


def test_after_a_long_blindness_an_empty_answer_is_not_enough_for_windows_that_were_closed_in_it() -> None:
    joiner = gone_blind()
    want = wanted(joiner, 9)
    joiner.part(want, part_of([], (1000, 100_000), end=True), 9.1)
    joiner.done(want, 9.1)
    again = wanted(joiner, 9.2)

    assert (True, After(0), 120_000) == (joiner.live, again.after, again.until_ms)
    (told,) = joiner.part(again, part_of(FIRST_FOUR, (0, 120_000), end=False), 9.3)
    assert (["history 1..4"], True) == (names([told]), joiner.settled)
    assert isinstance(told, Joined)
    assert told.live  # it may end after all that was heard, but the stream that stands tells of what comes after it


def test_after_a_long_blindness_a_trade_that_follows_is_not_enough_either() -> None:
    joiner = gone_blind()
    message, span = trade(5, ms=50_000)
    out = joiner.hear(9, message, span)
    again = wanted(joiner, 9.1)

    assert (["5"], True, After(0), 60_000) == (names(out), joiner.live, again.after, again.until_ms)


def test_after_a_short_blindness_windows_can_still_be_mended_one_by_one() -> None:
    joiner = gone_blind()
    hear(joiner, 9, 5)

    assert joiner.settled


def test_a_silent_pair_that_history_knows_nothing_new_of_is_only_quiet() -> None:
    joiner = a_live_one()
    joiner.suspect(60)
    want = wanted(joiner, 60)

    assert ("suspect", True) == (joiner.state, want.suspected)
    assert (["history of nothing"], True) == (names(joiner.part(want, rows(1, 0), 60.2)), joiner.live)


def test_a_silent_pair_that_history_knows_more_of_stays_suspect_until_someone_decides() -> None:
    joiner = a_live_one()
    joiner.suspect(60)
    want = wanted(joiner, 60)
    out = joiner.part(want, rows(5, 6), 60.2)
    joiner.done(want, 60.2)

    assert (["history 5..6"], "suspect", 2, None) == (names(out), joiner.state, want.fresh, joiner.want(1000))
    joiner.trust()
    assert joiner.live


def test_what_a_stalled_stream_missed_long_ago_is_fetched_as_whole_windows() -> None:
    joiner = a_live_one()
    joiner.proven_ms = 500_000
    joiner.suspect(60)
    want = wanted(joiner, 60)

    assert [] == joiner.part(want, rows(5, 6), 60.2)
    joiner.done(want, 60.2)
    again = wanted(joiner, 60.3)
    assert (After(0), 540_000) == (again.after, again.until_ms)  # up to where its time was proven
    assert ["history 1..6"] == names(joiner.part(again, rows(1, 6), 60.5))


def test_an_answer_that_was_not_needed_at_its_time_is_no_evidence_that_its_trades_do_not_exist() -> None:
    """
    asked after 4 · 5 comes by itself · answer 5..8, not needed · 9 comes after 5 · answer 9..12 of the same walk
    """
    joiner = a_live_one()
    joiner.suspect(60)
    want = wanted(joiner, 60)
    hear(joiner, 60.1, 5)
    assert [] == joiner.part(want, rows(5, 8, end=False), 60.2)
    hear(joiner, 60.3, 9)

    assert ([], 0) == (joiner.part(want, rows(9, 12), 60.4), len(joiner.holes))
    joiner.done(want, 60.4)
    again = wanted(joiner, 61)
    assert (4 + 1, ["history 6..12", "9"]) == (again.after.trade_id, names(joiner.part(again, rows(6, 12), 61.1)))


def test_at_the_start_history_comes_first_and_the_stream_joins_it() -> None:
    joiner = Joiner(PAIR, KnownTrades(((1, 4, 500, 1000),), 1000))
    want = wanted(joiner, 0)
    first = joiner.part(want, rows(5, 8, end=False), 1)

    assert (["history 5..8"], False) == (names(first), joiner.caught_up)
    last = joiner.part(want, rows(9, 10), 2)
    assert (["history 9..10"], [False], True) == (names(last), lives(last), joiner.caught_up)
    joiner.done(want, 2)
    assert joiner.want(2) is None  # until the stream is there
    joiner.subscribed(3, 0)
    assert ["11"] == names(hear(joiner, 3, 11))
    assert joiner.live


def test_holes_in_what_is_known_are_asked_for_again() -> None:
    spans = ((1, 4, 500, 61_000), (9, 12, 130_000, 131_000))
    joiner = Joiner(PAIR, KnownTrades(spans, 131_000))
    joiner.subscribed(0, 0)
    hear(joiner, 0, 13)
    want = wanted(joiner, 0)

    assert (True, After(60_000), 180_000) == (joiner.live, want.after, want.until_ms)


def test_what_lies_between_two_recordings_months_apart_was_never_wanted() -> None:
    """Somebody fetched a week of two years ago: going live asks for no two years of trades."""
    month_ms = 31 * 86_400_000
    apart = Joiner(PAIR, KnownTrades(((1, 2, 500, 1000), (9_000_000, 9_000_009, 1001 + month_ms, 2000 + month_ms))))
    near = Joiner(PAIR, KnownTrades(((1, 2, 500, 1000), (9_000_000, 9_000_009, 1000 + month_ms, 2000 + month_ms))))

    assert [] == list(apart.holes)
    assert [(3, 8_999_999)] == [(hole.first_id, hole.last_id) for hole in near.holes]


def test_a_pair_never_seen_begins_with_its_first_trade() -> None:
    joiner = Joiner(PAIR)
    joiner.subscribed(0, 5000)

    assert (True, None, True) == (joiner.live, joiner.want(0), joiner.caught_up)
    assert (["77", "78"], 79) == (names(hear(joiner, 1, 77) + hear(joiner, 1, 78)), joiner.next_id)


def test_a_pair_that_never_traded_is_asked_for_by_time_after_a_cut() -> None:
    joiner = Joiner(PAIR)
    joiner.subscribed(0, 5000)
    joiner.cut()
    joiner.subscribed(9, 8000)
    want = wanted(joiner, 9.5)

    assert After(5000, -1) == want.after
    assert ["history 3..4", "5"] == names(joiner.part(want, rows(3, 4), 9.1) + hear(joiner, 9.1, 5))
    assert joiner.live


def test_ids_that_are_not_consecutive_join_by_time_alone() -> None:
    """
    live: 40, 17 go out as they come | cut | 90 waits until history was asked
    """
    joiner = Joiner(PAIR)
    joiner.subscribed(0, 5000)

    def come(now_s: float, number: int, ms: int) -> list[Out]:
        return joiner.hear(now_s, Message(0, "x", b"%d" % number), Span(PAIR, -1, -1, ms, ms))

    assert ["40", "17"] == names(come(1, 40, 6000) + come(1, 17, 6100))
    joiner.cut()
    joiner.subscribed(5, 0)
    assert [] == come(5, 90, 9000)
    want = wanted(joiner, 5.5)
    answer = part_of([Trade(88, 88, 8000), Trade(90, 90, 9000)], (4100, 9001), end=True, linked=False)
    assert (After(4100), ["history 88..90", "90"]) == (want.after, names(joiner.part(want, answer, 5.2)))
    assert joiner.live


def test_a_message_of_several_pairs_passes_and_leaves_a_hole() -> None:
    joiner = a_live_one()
    hear(joiner, 1, 7)
    message, span = trade(9)
    out = joiner.pass_through(1, message, span)

    assert (["7"], [(5, 6), (8, 8)]) == (names(out), [(hole.first_id, hole.last_id) for hole in joiner.holes])


def test_the_end_lets_go_of_all_that_waits() -> None:
    joiner = a_live_one()
    hear(joiner, 1, 7)

    assert (["7"], 0) == (names(joiner.flush(1.0)), joiner.held)


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
