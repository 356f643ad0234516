"""A connection on paper, without a network: at which pace it speaks and dials."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

from tests.unit.sources.sockets.exchange import Link, Story, say
from tests.unit.sources.sockets.rules import rules, run
from tickcast.sources.sockets.contract import Listener, Socket, SocketError
from tickcast.sources.venues.contract import PROOF, Heard


class Paper:
    """A client without a network: what is sent is written down with its time, and every dial can be refused."""

    name = "paper"

    def __init__(self, refuses: bool = False) -> None:
        self.refuses = refuses
        self.dials_s: list[float] = []
        self.sent: list[tuple[float, bytes]] = []
        self.listener: Listener | None = None

    async def connect(
        self, url: str, listener: Listener, *, message_bytes_max: int, timeout_s: float, ca_file: str = ""
    ) -> Socket:
        self.dials_s.append(time.monotonic())
        if self.refuses:
            raise SocketError(url, "nothing listens there", "it is tried again")
        self.listener = listener
        return self

    def send(self, raw: bytes) -> None:
        assert self.listener is not None
        self.sent.append((time.monotonic(), raw))
        self.listener.message(time.time_ns(), say("answer"))

    def ping(self, payload: bytes) -> None:
        self.sent.append((time.monotonic(), payload))

    def close(self) -> None:
        assert self.listener is not None
        self.listener.closed("closed by us")


def test_the_hello_keeps_to_the_venues_pace() -> None:
    async def tale() -> None:
        paper = Paper()
        async with Story(rules(sends_per_s=4.0, open_s=0.5), pairs=("A", "B", "C", "D")).played(paper) as story:
            await story.until(lambda: story.connection.state == "open")
            times_s = [at_s for at_s, raw in paper.sent if b"subscribe" in raw]

            assert 4 == len(times_s)
            assert min(later - sooner for sooner, later in pairwise(times_s)) >= 0.249

    run(tale())


def test_an_outage_is_met_with_ever_fewer_dials() -> None:
    async def tale() -> None:
        paper = Paper(refuses=True)
        async with Story().played(paper) as story:
            await asyncio.sleep(1.5)

            assert 1 <= len(paper.dials_s) <= 16  # at the very least a tenth of a second apart
            gaps_s = [later - sooner for sooner, later in pairwise(paper.dials_s)]
            assert all(gap_s >= 0.099 for gap_s in gaps_s)
            assert "waiting" == story.connection.state

    run(tale())


def test_losses_one_after_the_other_are_met_with_patience_too() -> None:
    """A venue that accepts, confirms, and cuts the line at once."""

    async def tale() -> None:
        async with Story().played() as story:
            for _ in range(4):
                (await story.open()).cut()
                await story.until(lambda: story.connection.state != "open")

            assert story.connection._backoff._attempt >= 4

    run(tale())


def test_two_connections_share_the_venues_dials() -> None:
    async def tale() -> None:
        story = Story(rules(connects=1, connects_span_s=0.5))
        async with story.played():
            other = story.made(story.connection.url, number=2)
            running = asyncio.create_task(other.run())
            await story.until(lambda: len(story.exchange.links) == 2)
            await other.close()
            await running

            assert 2 == story.exchange.dials

    run(tale())


def test_the_proof_of_a_new_line_waits_while_the_old_one_may_still_bring_something() -> None:
    async def tale() -> None:
        async with Story(rules(ping_s=0.02)).played() as story:
            old: Link = await story.open()
            story.exchange.deaf_to_pings = False
            await old.send(say("shutdown"))
            await story.until(lambda: "replaced" in story.states)
            line, retired = story.connection._line, story.connection._retired
            assert retired is not None
            assert line is not None
            seen = len(story.proofs)
            story.connection.proven(line, 1, 2, None)
            assert seen == len(story.proofs)
            story.connection.proven(retired, 1, 2, None)
            assert seen + 1 == len(story.proofs)
            await story.until(lambda: old.over)
            story.connection.proven(line, 3, 4, Heard(PROOF))
            assert (3, 4, Heard(PROOF)) in story.proofs

    run(tale())
