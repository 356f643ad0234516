"""A connection that the venue refuses, bans or lacks pairs for."""

from __future__ import annotations

import asyncio

from tests.unit.sources.sockets.exchange import Story, say
from tests.unit.sources.sockets.rules import run


def test_a_venue_that_says_no_is_down_in_its_own_words_and_left_alone_for_long() -> None:
    async def tale() -> None:
        async with Story().played() as story:
            story.exchange.answer = lambda pair: say("refused", words="subscriptions are closed")
            await story.until(lambda: "waiting" in story.states)

            assert "refused the subscription: subscriptions are closed" in story.connection.why
            assert 29.0 < story.connection.status().next_dial_s <= 60.0

    run(tale())


def test_a_pair_that_the_venue_does_not_have_does_not_keep_the_others_away() -> None:
    def answer(pair: str) -> bytes:
        return say("refused", pair=pair, words="unknown") if pair == "B" else say("answer", pair=pair)

    async def tale() -> None:
        async with Story(pairs=("A", "B")).played() as story:
            story.exchange.answer = answer
            await story.open()

            assert ["connecting", "refused", "open"] == story.states
            assert "B: unknown" == story.whys[1]

    run(tale())


def test_a_refusal_for_the_rate_is_one_to_all_of_it() -> None:
    def answer(pair: str) -> bytes:
        return say("refused", pair=pair, words="Exceeded msg rate") if pair == "B" else say("answer", pair=pair)

    async def tale() -> None:
        async with Story(pairs=("A", "B")).played() as story:
            story.exchange.answer = answer
            await story.until(lambda: "waiting" in story.states)

            assert ["connecting", "waiting"] == story.states
            assert 29.0 < story.connection.status().next_dial_s <= 60.0

    run(tale())


def test_a_venue_that_has_none_of_the_pairs_is_down() -> None:
    async def tale() -> None:
        async with Story(pairs=("A", "B")).played() as story:
            story.exchange.answer = lambda pair: say("refused", pair=pair, words="unknown")
            await story.until(lambda: "waiting" in story.states)

            assert ["connecting", "refused", "refused", "waiting"] == story.states

    run(tale())


def test_a_ban_is_honoured_by_every_connection_to_the_venue() -> None:
    async def tale() -> None:
        async with Story().played() as story:
            story.exchange.refuses, story.exchange.refusal_headers = "429 Too Many Requests", "Retry-After: 600\r\n"
            other = story.made(story.connection.url, number=2)
            await story.until(lambda: "waiting" in story.states)
            dials = story.exchange.dials
            running = asyncio.create_task(other.run())
            await asyncio.sleep(0.3)

            assert dials == story.exchange.dials
            assert 600.0 <= story.connection.status().next_dial_s + 1.0
            assert "answered 429" in story.connection.why
            await other.close()
            await running

    run(tale())
