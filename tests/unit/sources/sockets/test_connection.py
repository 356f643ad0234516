"""A connection for ever: it opens, watches, is replaced before its end, and comes back, within the venue's limits."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from tests.unit.sources.sockets.exchange import Story, say
from tests.unit.sources.sockets.rules import rules, run
from tests.unit.sources.sockets.servers import PATIENCE_S, PONG, frame
from tickcast.sources.sockets.connection import Connection
from tickcast.sources.venues.contract import ANSWER, PROOF, TRADES, Heard


def test_it_stands_when_every_subscription_is_answered_and_hands_on_what_it_hears() -> None:
    async def tale() -> None:
        async with Story(pairs=("A", "B")).played() as story:
            link = await story.open()
            await link.send(say("trade", pair="A", id=1), say("trade", pair="B", id=7))
            await story.until(lambda: len(story.told) == 2)

            assert ["connecting", "open"] == story.states
            assert [{"op": "subscribe", "pair": "A"}, {"op": "subscribe", "pair": "B"}] == link.heard
            assert ["A1", "B7"] == story.told
            assert [ANSWER, ANSWER, TRADES, TRADES] == story.kinds
            assert say("trade", pair="B", id=7) == story.raws[-1]

    run(tale())


def test_its_status_says_what_there_is_to_say() -> None:
    async def tale() -> None:
        async with Story(pairs=("A",)).played() as story:
            assert ("connecting", 0, -1.0) == _brief(story.connection)
            link = await story.open()
            await link.send(say("trade", pair="A", id=1))
            await story.until(lambda: story.told)

            status = story.connection.status()
            assert ("small", 1, "open", ("A",), 2) == (
                status.exchange, status.number, status.state, status.pairs, status.messages
            )  # fmt: skip
            assert 0.0 <= status.age_s < 60.0
            assert status.url.startswith("ws://127.0.0.1")
            assert status.client in ("picows", "aiohttp")

    def _brief(connection: Connection) -> tuple[str, int, float]:
        status = connection.status()
        return status.state if status.state != "waiting" else "connecting", status.messages, status.age_s

    run(tale())


def test_without_its_answers_it_is_given_up_and_tried_again() -> None:
    async def tale() -> None:
        async with Story(rules(open_s=0.2)).played() as story:
            story.exchange.mute = True
            await story.until(lambda: "waiting" in story.states)
            assert "gave 0 of 1 answers to the subscription within 0.2 s" in story.connection.why
            story.exchange.mute = False
            await story.open()

            assert "open" == story.states[-1]
            assert 0 == story.connection.reconnects

    run(tale())


def test_a_dial_that_hangs_is_given_up_and_tried_again() -> None:
    async def tale() -> None:
        async with Story(rules(open_s=0.2)).played() as story:
            story.exchange.hangs = True
            await story.until(lambda: "waiting" in story.states)
            story.exchange.hangs = False
            await story.open()

            assert "gave no answer within 0.2 s" in story.whys[story.states.index("waiting")]

    run(tale())


def test_a_line_that_is_cut_comes_back_and_counts() -> None:
    async def tale() -> None:
        async with Story().played() as story:
            (await story.open()).cut()
            await story.until(lambda: len(story.exchange.links) == 2 and story.connection.state == "open")

            assert ["connecting", "open", "waiting", "connecting", "open"] == story.states
            assert "cut the line without a goodbye" == story.whys[2]
            assert 1 == story.connection.reconnects

    run(tale())


def test_silence_ends_a_line() -> None:
    async def tale() -> None:
        async with Story(rules(silence_s=0.2, ping_s=0.05)).played() as story:
            await story.open()
            story.exchange.deaf_to_pings = True
            await story.until(lambda: "waiting" in story.states)

            assert "it was silent for 0.2 s" == story.connection.why

    run(tale())


def test_a_pong_is_a_sign_of_life() -> None:
    async def tale() -> None:
        async with Story(rules(silence_s=0.3, ping_s=0.05)).played() as story:
            await story.open()
            await story.until(lambda: len(story.proofs) >= 15)

            assert ["connecting", "open"] == story.states

    run(tale())


def test_time_in_which_we_did_not_listen_is_not_silence_of_the_venue() -> None:
    async def tale() -> None:
        async with Story(rules(silence_s=0.3, ping_s=0.05)).played() as story:
            await story.open()

            def more(seen: int) -> bool:
                return len(story.proofs) > seen

            for _ in range(3):
                time.sleep(0.5)  # the pipeline computes between two polls
                seen = len(story.proofs)
                await story.until(partial(more, seen))

            assert ["connecting", "open"] == story.states

    run(tale())


def test_a_websocket_ping_proves_the_time_between_its_sending_and_its_return() -> None:
    async def tale() -> None:
        async with Story(rules(ping_s=0.02)).played() as story:
            await story.open()
            await story.until(lambda: len(story.proofs) >= 3)

            assert all(sent_ns <= recv_ns and heard is None for sent_ns, recv_ns, heard in story.proofs)
            assert len(story.proofs) == len({sent_ns for sent_ns, _, _ in story.proofs})

    run(tale())


def test_a_ping_in_the_venues_words_is_matched_by_its_number_and_other_proofs_are_not() -> None:
    """The exchange sends a proof of its own right before each answer."""

    async def tale() -> None:
        async with Story(rules(ping_s=0.02), own_ping=True).played() as story:
            await story.open()
            await story.until(lambda: len(story.proofs) >= 3)

            assert {2} == {heard.venue_ms for _, _, heard in story.proofs if heard is not None}
            assert all(heard is not None and heard.kind == PROOF for _, _, heard in story.proofs)

    run(tale())


def test_an_unasked_pong_proves_nothing() -> None:
    async def tale() -> None:
        async with Story().played() as story:
            link = await story.open()
            await link.peer.send(frame(PONG, b"1") + frame(PONG, b"\xff") + frame(PONG, b""))
            await link.send(say("trade", pair="A", id=1))
            await story.until(lambda: story.told)

            proven = [recv_ns - sent_ns for sent_ns, recv_ns, _ in story.proofs]
            assert len(proven) <= 1  # the first ping of ours may have come back already

    run(tale())


def test_at_its_age_it_is_replaced_first_and_ended_then_and_never_leaves_open() -> None:
    async def tale() -> None:
        async with Story(rules(max_age_s=0.3)).played() as story:
            old = await story.open()
            await story.until(lambda: "replaced" in story.states)
            new = story.exchange.links[1]
            assert not old.over  # both are heard for a while
            await old.send(say("trade", pair="A", id=1))
            await new.send(say("trade", pair="A", id=2))
            await story.until(lambda: len(story.told) == 2)
            await story.until(lambda: old.over)

            assert ["connecting", "open", "replaced"] == story.states[:3]
            assert "waiting" not in story.states
            assert {"A1", "A2"} == set(story.told)
            assert story.connection.rotations >= 1
            assert 0 == story.connection.reconnects

    run(tale())


def test_a_shutdown_that_is_announced_is_forestalled() -> None:
    async def tale() -> None:
        async with Story().played() as story:
            old = await story.open()
            await old.send(say("shutdown"), say("shutdown"))
            await story.until(lambda: old.over)

            assert ["connecting", "open", "replaced"] == story.states
            assert 2 == len(story.exchange.links)
            assert "the venue is about to close it" == story.whys[-1]

    run(tale())


def test_a_successor_that_can_not_be_had_leaves_the_old_line_alone() -> None:
    async def tale() -> None:
        async with Story().played() as story:
            old = await story.open()
            story.exchange.refuses = "503 Service Unavailable"
            await old.send(say("shutdown"))
            await story.until(lambda: "unreplaced" in story.states)
            assert "open" == story.connection.state
            await old.send(say("trade", pair="A", id=1))
            await story.until(lambda: story.told)
            old.cut()
            await story.until(lambda: story.connection.state != "open")
            story.exchange.refuses = ""
            await story.open()

            assert "open" == story.states[-1]
            assert (1, 0) == (story.connection.reconnects, story.connection.rotations)

    run(tale())


def test_a_jump_in_the_sequence_is_told_before_the_message_that_showed_it() -> None:
    async def tale() -> None:
        async with Story().played() as story:
            story.exchange.answer = lambda pair: say("answer", n=0)
            link = await story.open()
            numbers = [(1, 1), (2, 2), (4, 4), (3, 3), (5, 5), (5, 5), (9, 9)]
            await link.send(*(say("trade", pair="A", id=trade_id, n=number) for trade_id, number in numbers))
            await story.until(lambda: "A9" in story.told)

            assert ["A1", "A2", "jump", "A4", "A3", "A5", "A5", "jump", "A9"] == story.told

    run(tale())


def test_each_socket_counts_anew() -> None:
    async def tale() -> None:
        async with Story().played() as story:
            story.exchange.answer = lambda pair: say("answer", n=0)
            first = await story.open()
            await first.send(say("trade", pair="A", id=1, n=1))
            await story.until(lambda: story.told)
            first.cut()
            await story.until(lambda: story.connection.reconnects == 1)
            await story.exchange.links[1].send(say("trade", pair="A", id=2, n=1))
            await story.until(lambda: len(story.told) >= 2)

            assert ["A1", "A2"] == story.told

    run(tale())


def test_a_pair_is_subscribed_anew_inside_the_living_line() -> None:
    async def tale() -> None:
        async with Story(pairs=("A", "B")).played() as story:
            link = await story.open()
            assert story.connection.resubscribe(["B"])
            await story.until(lambda: len(link.heard) == 4)

            assert [{"op": "unsubscribe", "pair": "B"}, {"op": "subscribe", "pair": "B"}] == link.heard[2:]
            assert ["connecting", "open"] == story.states
            with pytest.raises(ValueError, match="not this connection's"):
                story.connection.resubscribe(["C"])

    run(tale())


def test_a_restart_drops_the_line_and_dials_anew() -> None:
    async def tale() -> None:
        async with Story().played() as story:
            old = await story.open()
            story.connection.restart("A has stalled three times")
            assert "waiting" == story.connection.state
            assert not story.connection.resubscribe(["A"])
            await story.until(lambda: old.over and story.connection.state == "open")

            assert "A has stalled three times" == story.whys[2]
            assert 2 == len(story.exchange.links)

    run(tale())


class Faulty(Story):
    """Fails at the first trade."""

    def hear(self, connection: Connection, recv_ns: int, raw: bytes, heard: Heard) -> None:
        if heard.kind == TRADES:
            raise ArithmeticError


async def _with_a_fault() -> None:
    async with Faulty().played() as story:
        link = await story.open()
        await link.send(say("trade", pair="A", id=1))
        await story.until(lambda: link.over)


def test_what_a_listener_raises_comes_out_of_run() -> None:
    with pytest.raises(ArithmeticError):
        run(_with_a_fault())


@pytest.mark.parametrize("stage", ["at once", "dialling", "unanswered", "open", "replacing", "waiting"])
def test_it_can_be_closed_at_any_moment(stage: str) -> None:
    async def tale() -> None:
        async with Story().played() as story:
            if stage == "dialling":
                story.exchange.hangs = True
                await story.until(lambda: story.exchange.dials)
            elif stage == "unanswered":
                story.exchange.mute = True
                await story.until(lambda: story.exchange.links and story.exchange.links[0].heard)
            elif stage == "open":
                await story.open()
            elif stage == "replacing":
                link = await story.open()
                story.exchange.hangs = True
                await link.send(say("shutdown"))
                await story.until(lambda: story.exchange.dials == 2)
            elif stage == "waiting":
                story.exchange.answer = lambda pair: say("refused", words="no")
                await story.until(lambda: "waiting" in story.states)
            await story.connection.close()
            await story.connection.close()

            assert "closed" == story.connection.state
            assert 1 == story.states.count("closed")

    run(tale())


def test_a_half_open_peer_does_not_hold_up_the_end() -> None:
    async def tale() -> None:
        async with Story().played() as story:
            link = await story.open()
            link.peer.lose_power()
            async with asyncio.timeout(PATIENCE_S):
                await story.connection.close()

            assert "closed" == story.connection.state

    run(tale())
