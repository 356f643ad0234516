"""One venue of the exchange: its sessions, what is told to all of them, its limits and its clock."""

from __future__ import annotations

import random
from typing import Protocol

from tickcast.sources.simulated.exchange.limits import Window
from tickcast.sources.simulated.exchange.settings import Limits
from tickcast.sources.simulated.exchange.sockets.link import Link
from tickcast.sources.simulated.exchange.sockets.tellers import Teller, Told
from tickcast.sources.simulated.exchange.world import World


class Guest(Protocol):
    """A connection's session, as far as its hall and the faults know it."""

    link: Link
    opened_s: float

    def tell(self, told: Told, real_s: float) -> None:
        """Send what it wants of what is due."""
        ...

    def beat(self, real_s: float) -> None:
        """Time has passed."""
        ...

    def stall(self, streams: list[int], stalled: bool) -> None:
        """Stop telling some streams, or go on."""
        ...


class Bending(Protocol):
    """What faults do to the messages of one venue's connections."""

    def bends(self, link: Link) -> bool:
        """Whether messages to this connection pass through a fault now."""
        ...

    def send(self, link: Link, streams: list[int], texts: list[bytes]) -> None:
        """Send these messages, bent."""
        ...

    def revive(self, session: Guest, streams: list[int]) -> None:
        """These streams were subscribed anew on this connection."""
        ...

    def entered(self, session: Guest) -> None:
        """A connection was opened."""
        ...

    def deaf(self) -> bool:
        """Whether what a client says now is not heard."""
        ...


class Hall:
    """What the sessions of one venue share."""

    def __init__(self, venue: str, world: World, teller: Teller, limits: Limits, chance: random.Random) -> None:
        self.venue, self.world, self.teller, self.limits, self.chance = venue, world, teller, limits, chance
        self.names = tuple(each.of(venue) for each in world.names)
        self.streams = {name: at for at, name in enumerate(self.names)}
        self.sessions: list[Guest] = []
        self.faults: Bending | None = None
        self.wrong_us = 0
        """How wrong the clock is that its messages show."""
        self.connects = Window(getattr(limits, f"{venue}_connects"), getattr(limits, f"{venue}_connects_span_s"))
        self.opened = 0
        """Connections so far."""
        self.cut_slow = 0
        """Connections that were cut because they did not read."""
        self.sent = 0
        """Messages of connections that have ended."""

    def venue_us(self) -> int:
        """The time that this venue's messages show."""
        return self.world.now_us() + self.wrong_us

    def tick(self, now_us: int, real_s: float) -> None:
        """Tell all sessions what is due."""
        if not self.sessions:
            self.teller.pass_over(now_us)
            return
        self.teller.shift_us = self.wrong_us
        for told in self.teller.due(now_us):
            for session in self.sessions:
                session.tell(told, real_s)
        for session in tuple(self.sessions):
            if not session.link.closing and not session.link.muted:
                session.beat(real_s)

    def enter(self, session: Guest) -> None:
        """A session begins; what was before it is not told to it."""
        self.tick(self.world.now_us(), session.opened_s)
        self.sessions.append(session)
        if self.faults is not None:
            self.faults.entered(session)
        self.opened += 1

    def leave(self, session: Guest) -> None:
        """A session has ended."""
        self.sessions.remove(session)
        self.sent += session.link.messages
        self.cut_slow += session.link.slow
