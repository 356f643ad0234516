"""What the joiner believes after a cut and in silence: nothing, until history or a trade that follows proves it."""

from __future__ import annotations

from tests.unit.sources.live.joining import QUOTE, a_live_one, hear, known, lives, names, rows, trade, wanted
from tests.unit.sources.live.storms import PAIR, Trade, part_of
from tickcast.sources.history.contract import After
from tickcast.sources.live.joiner import Joiner
from tickcast.sources.live.joining import Joined

FIRST_FOUR = [Trade(one, one, 700 + 75 * one) for one in range(1, 5)]


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
