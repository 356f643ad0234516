"""The live feed on a small venue: what goes out, in which order, and what it says of itself."""

from __future__ import annotations

import time

import pytest

from tests.unit.sources.live.fakes import a_story, knows, ms_of, quote, trades
from tickcast.sources import own
from tickcast.sources.live import exchange as exchange_room
from tickcast.sources.live.contract import KnownTrades
from tickcast.sources.live.outbox import BATCH_MAX


def test_what_comes_goes_out_in_order_with_its_time() -> None:
    with a_story("A", "B") as story:
        story.open()
        story.say(trades(("A", 5)), quote("B"), trades(("B", 9)), trades(("A", 6)))

        assert ["A5", "quote B", "B9", "A6"] == story.told()
        times = [message.recv_ns for message in story.messages]
        assert times == sorted(times)
        assert {"small"} == {message.exchange for message in story.messages}


def test_every_message_goes_out_exactly_once_even_one_that_nobody_can_read() -> None:
    with a_story() as story:
        story.open()
        came = [b"\xff not JSON", b'{"noise":1}', trades(("A", 5)), quote("A"), b'{"answer":"A"}', b'{"refused":"Z"}']
        before = len(story.raws())
        story.say(*came)

        assert came == story.raws()[before:]


def test_a_venue_can_not_speak_for_us() -> None:
    with a_story() as story:
        story.open()
        story.say(own.alive(ms_of(1)))

        assert b" " + own.alive(ms_of(1)) == story.raws()[-1]


def test_a_gap_is_filled_from_history_before_what_came_after_it() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.open()
        story.history.add("A", 5, 6, 7)
        before = len(story.told())
        story.say(trades(("A", 7)), quote("A"), trades(("A", 8)))
        story.until(lambda: story.of().gaps_repaired)

        assert ["history A live", "A7", "quote A", "A8"] == story.told()[before:]
        assert (1, 1, 3, 0) == (
            story.of().gaps_found, story.of().gaps_repaired, story.of().trades_repaired, story.of().gaps_open
        )  # fmt: skip
        assert any("3 missing trades were fetched" in note for note in story.notes)


def test_other_pairs_do_not_wait_for_a_gap() -> None:
    with a_story("A", "B", known={"A": knows(4)}) as story:
        story.open()
        story.history.answers = False
        before = len(story.told())
        story.say(trades(("A", 7)), trades(("B", 1)), quote("B"))

        assert ["B1", "quote B"] == story.told()[before:]
        assert ("joining", 1, "live") == (story.state("A"), story.of("A").held, story.state("B"))


def test_a_message_of_several_pairs_waits_for_none_of_them() -> None:
    with a_story("A", "B", known={"A": knows(4)}) as story:
        story.open()
        story.history.add("A", 5, 6, 7)
        story.history.answers = False
        before = len(story.told())
        story.say(trades(("A", 7), ("B", 1)), trades(("A", 8)))

        assert ["A7 B1", "A8"] == story.told()[before:]
        story.history.answers = True
        story.until(lambda: not story.of("A").gaps_open)
        assert "history A live" == story.told()[-1]  # the stream stands: nothing is blind behind it


def test_best_prices_of_several_pairs_do_not_move_the_time_of_one_that_waits() -> None:
    with a_story("A", "B", known={"A": knows(4)}) as story:
        story.open()
        story.history.answers = False
        before = len(story.told())
        story.say(trades(("A", 7)), quote("B", "A"), quote("B"))
        assert ["quote B"] == story.told()[before:]
        story.say(trades(("A", 5)), trades(("A", 6)))

        assert ["quote B", "A5", "quote B A", "A6", "A7"] == story.told()[before:]


def test_a_hole_inside_one_message_is_found() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.open()
        story.history.add("A", 5, 6, 7)
        story.say(trades(("A", 5), ("A", 7)))

        assert 1 == story.of().gaps_open
        story.until(lambda: not story.of().gaps_open)
        assert 1 == story.of().gaps_repaired


def test_what_waits_longer_than_the_hold_goes_out_and_is_mended_later() -> None:
    with a_story(known={"A": knows(4)}, hold_ms=100) as story:
        story.open()
        story.history.answers = False
        before = len(story.told())
        story.say(trades(("A", 7)))
        story.until(lambda: "A7" in story.told())
        assert ("live", 1) == (story.state(), story.of().gaps_open)
        story.history.add("A", 5, 6, 7)
        story.history.answers = True
        story.until(lambda: not story.of().gaps_open)

        assert ["A7", "history A live"] == story.told()[before:]


def test_after_a_cut_history_says_whether_anything_was_missed() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.open()
        story.history.add("A", 5, 6)
        before = len(story.told())
        story.socket.end("cut")
        story.until(lambda: story.state() == "down")
        story.open()

        assert ["history A live"] == story.told()[before:]
        assert (2, 1) == (story.of().trades_repaired, story.feed.status().connections[0].reconnects)
        assert ["small connection 1 was lost (cut); it is dialled again."] == [
            note for note in story.notes if "was lost" in note
        ]


def test_after_a_cut_a_busy_pair_needs_no_history() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.open()
        asked = len(story.history.asked)
        story.socket.end("cut")
        story.until(lambda: len(story.client.sockets) == 2 and story.socket.sent)
        story.say(trades(("A", 5)))
        story.open()

        assert (asked, "A5") == (len(story.history.asked), story.told()[-1])


def test_if_history_is_down_after_a_cut_the_stream_goes_on_and_says_that_it_is_blind() -> None:
    with a_story(known={"A": knows(4)}, hold_ms=100) as story:
        story.open()
        story.history.fails = True
        before = len(story.told())
        story.socket.end("cut")
        story.until(lambda: len(story.client.sockets) == 2 and story.state() != "down")
        story.say(quote("A"))
        story.until(lambda: "quote A" in story.told()[before:])

        assert (["blind A", "quote A"], "suspect") == (story.told()[before:], story.state())
        assert any("unproven" in note for note in story.notes)
        story.until(lambda: any("gave no answer" in note for note in story.notes))
        story.say(trades(("A", 5)))
        assert "live" == story.state()


def test_a_jump_in_the_connections_numbers_puts_all_its_pairs_in_doubt() -> None:
    with a_story("A", "B") as story:
        story.open()
        story.say(trades(("A", 5), n=1), trades(("B", 5), n=2))
        asked = len(story.history.asked)
        story.say(trades(("A", 6), n=9))
        story.open()

        assert {"A", "B"} >= {pair for pair, *_ in story.history.asked[asked:]}
        assert "B" in {pair for pair, *_ in story.history.asked[asked:]}
        assert any("lost messages" in note for note in story.notes)


def test_at_the_start_history_comes_first_and_only_then_the_socket() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.history.add("A", *range(5, 250))
        story.history.answers = False
        story.until(lambda: story.history.asked)
        for _ in range(5):
            story.poll()
        assert ([], "joining") == (story.client.sockets, story.state())
        story.history.answers = True
        story.open()

        assert ["history A"] * 3 == story.told()[:3]
        assert "history A live" == story.told()[3]
        story.say(trades(("A", 250)))
        assert ("A250", "live") == (story.told()[-1], story.state())


def test_after_a_short_pause_the_stream_is_opened_at_once() -> None:
    now_ms = time.time_ns() // 1_000_000
    known = KnownTrades(((1, 4, now_ms - 9000, now_ms - 5000),), now_ms - 2000)
    with a_story(known={"A": known}) as story:
        story.history.answers = False
        story.until(lambda: story.client.sockets and story.socket.sent)
        story.say(trades(("A", 5)))

        assert ([], ["A5"], "live") == (story.history.asked, story.told(), story.state())


def test_a_history_that_gives_nothing_does_not_keep_the_stream_away_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_room, "STUCK_S", 0.2)
    with a_story(known={"A": knows(4)}, hold_ms=100) as story:
        story.history.answers = False
        story.until(lambda: story.client.sockets and story.socket.sent)
        story.say(trades(("A", 9)))
        story.until(lambda: "A9" in story.told())

        assert any("not through yet" in note for note in story.notes)


def test_a_pair_that_was_never_seen_begins_where_it_is_told_to() -> None:
    with a_story(start_ms=ms_of(3)) as story:
        story.history.add("A", 2, 3, 4)
        story.open()

        assert ["history A", "history A live"] == story.told()
        assert ms_of(3) == story.history.asked[0][1].timestamp_ms


def test_holes_that_the_journal_has_are_asked_for_again() -> None:
    spans = ((1, 4, ms_of(1), ms_of(4)), (7, 9, ms_of(7), ms_of(9)))
    with a_story(known={"A": KnownTrades(spans, ms_of(9))}) as story:
        story.history.add("A", *range(1, 10))
        story.open()
        story.until(lambda: not story.of().gaps_open)

        assert 1 == story.of().gaps_repaired


def test_a_pong_proves_the_time_of_pairs_that_are_live_and_of_no_other() -> None:
    with a_story("A", "B", known={"A": knows(4)}) as story:
        story.open()
        story.history.answers = False
        story.say(trades(("A", 7)))
        before_a, before_b = len(story.alive("A")), len(story.alive("B"))
        story.until(lambda: len(story.alive("B")) >= before_b + 2)

        assert before_a == len(story.alive("A"))
        now_ms = time.time_ns() // 1_000_000
        assert now_ms - 60_000 < story.alive("B")[-1] <= now_ms


def test_a_dead_connection_proves_nothing() -> None:
    with a_story() as story:
        story.open()
        story.until(lambda: story.alive())
        story.client.down = True
        story.socket.end("cut")
        story.until(lambda: story.state() == "down")
        before = len(story.alive())
        story.history.fails = True
        for _ in range(100):
            story.poll()

        assert before == len(story.alive())


def test_the_venues_own_proof_is_kept_inside_ours() -> None:
    with a_story() as story:
        story.open()
        story.client.pongs = False
        proof = b'{"proof":%d}' % ms_of(50)
        story.say(proof)

        lines = [message.raw for message in story.messages if proof in message.raw]
        assert [own.alive(ms_of(50), ["A"], proof)] == lines


def test_a_proof_speaks_for_nobody_where_no_pair_is_live() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.open()
        story.history.answers = False
        story.client.pongs = False
        story.say(trades(("A", 7)))
        story.say(b'{"proof":%d}' % ms_of(50))

        assert ms_of(50) not in story.alive()


def test_pairs_are_split_over_connections() -> None:
    with a_story("A", "B", "C") as story:
        story.open()

        status = story.feed.status()
        assert [("A", "C"), ("B",)] == [one.pairs for one in status.connections]
        assert [("open", "fake")] * 2 == [(one.state, one.client) for one in status.connections]
        assert {"small ok": 3} == status.requests


def test_status_says_how_a_pair_and_the_clocks_are() -> None:
    with a_story() as story:
        story.history.offset_ms = 1270
        story.open()
        story.say(trades(("A", 5)), quote("A"))
        story.until(lambda: story.of().rate > 0)

        status = story.feed.status()
        assert status.connections[0].offset_ms == pytest.approx(1270, abs=60)
        assert (True, 0) == (story.of().last_message_ms > 0, story.of().held)


def test_a_poll_gives_no_more_than_a_batch_and_the_rest_with_the_next() -> None:
    with a_story() as story:
        story.open()
        story.socket.say(*[quote("A", number=one) for one in range(BATCH_MAX + 10)])
        first, second = story.feed.poll(1.0), story.feed.poll(1.0)

        quotes = [message.raw for message in [*first, *second] if b"quote" in message.raw]
        assert BATCH_MAX == len(first)
        assert [quote("A", number=one) for one in range(BATCH_MAX + 10)] == quotes


def test_what_waits_in_the_feed_shows_as_lag() -> None:
    with a_story() as story:
        story.open()
        assert 0 == story.feed.status().lag_ms
        story.socket.say(quote("A"))
        time.sleep(0.002)

        assert story.feed.status().lag_ms > 0


def test_an_empty_poll_ends_in_time() -> None:
    with a_story() as story:
        story.client.down = True

        assert [] == story.feed.poll(0.01)


def test_a_mistake_in_a_job_comes_out_of_poll() -> None:
    with a_story(known={"A": knows(4)}) as story:
        story.history.broken = True

        with pytest.raises(RuntimeError, match="a mistake in the code"):
            story.until(lambda: False)


def test_closing_hands_out_what_was_held_and_ends_whatever_hangs() -> None:
    with a_story("A", "B", "C", known={"A": knows(4)}) as story:
        story.open()
        story.history.answers = False
        story.say(trades(("A", 7)), trades(("A", 8)))
        story.client.hangs = True
        story.socket.end("cut")
        story.poll()
        story.feed.close()
        story.feed.close()
        assert not story.feed.ended
        story.messages += story.feed.poll(1.0)

        assert ["A7", "A8"] == [text for text in story.told() if text[0] == "A"]
        assert (True, True, []) == (story.history.closed, story.feed.ended, story.feed.poll(0.0))


def test_a_feed_that_was_never_polled_closes_too() -> None:
    with a_story() as story:
        story.feed.close()

        assert story.feed.ended


def test_notes_are_bounded() -> None:
    with a_story() as story:
        story.open()
        for _ in range(300):
            story.feed._exchanges[0].note("x")

        assert 100 == len(story.feed.notes())
