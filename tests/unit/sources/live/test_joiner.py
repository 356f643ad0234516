"""One pair's stream and history, joined: single cases with their pictures, then any storm at all."""

from __future__ import annotations

from tests.unit.sources.live.joining import QUOTE, a_live_one, hear, lives, names, rows, trade, wanted
from tests.unit.sources.live.storms import PAIR, Trade, part_of
from tickcast.sources.contract import Message
from tickcast.sources.history.contract import After
from tickcast.sources.live.contract import KnownTrades
from tickcast.sources.live.joiner import Joiner
from tickcast.sources.live.joining import Limits, Out
from tickcast.sources.venues.contract import Span


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
