"""All that goes wrong at an exchange, in one place: inject, list, take away. The market's truth is never touched.

(What is listed anew is the truth itself: the venues tell of one market, and all of them tell it so from then on.)

exchange.faults.inject(Fault(kind="stall", venue="binance", pair="BTCUSDT", seconds=30))
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tickcast.clock import Clock
from tickcast.sources.simulated.exchange.faults.bending import VenueBending
from tickcast.sources.simulated.exchange.faults.board import Board, Running, venues_of
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.sources.simulated.exchange.hall import Guest, Hall
from tickcast.sources.simulated.exchange.sockets.kraken import KrakenSession
from tickcast.sources.simulated.exchange.sockets.link import Link
from tickcast.sources.simulated.exchange.world import World

GOING_AWAY, RESTART = 1001, 1012


class VenueFaults(VenueBending):
    """The faults of one venue, as its hall and sessions see them."""

    def __init__(self, hall: Hall, board: Board) -> None:
        super().__init__(hall.venue, board, len(hall.names))
        self._hall = hall

    def entered(self, session: Guest) -> None:
        """A connection was opened: what lasts, lasts for it too."""
        for found in self._board.of(self._venue, "stall"):
            if found.fault.usual("how") == "stubborn":
                session.stall(found.streams(self._pairs), True)
        if any(True for _ in self._board.of(self._venue, "drip")):
            session.link.dripping = True

    def revive(self, session: Guest, streams: list[int]) -> None:
        """Streams were subscribed anew: a gentle stall ends there."""
        session.stall(streams, False)
        self.entered(session)

    def deaf(self) -> bool:
        """Whether what a client says now is not heard."""
        return self._board.hit(self._venue, "deaf") is not None

    def act(self, found: Running) -> None:
        """A fault begins."""
        fault, sessions = found.fault, tuple(self._hall.sessions)
        if fault.kind == "stall":
            for session in sessions:
                session.stall(found.streams(self._pairs), True)
        elif fault.kind == "drip":
            for session in sessions:
                session.link.dripping = True
        elif fault.kind == "maintenance":
            for session in sessions:
                if isinstance(session, KrakenSession):
                    session.status("maintenance")
                session.link.close(RESTART, "maintenance")
        elif fault.kind in ("cut", "half_open", "shutdown"):
            for session in sessions[: fault.count or None]:
                self._end(session.link, fault)
                found.hits += 1
        self._clock()

    def _end(self, link: Link, fault: Fault) -> None:
        delay_s = fault.usual("ms") / 1000
        if fault.kind == "cut" and fault.usual("how") == "reset":
            link.reset()
        elif fault.kind == "cut":
            link.close(fault.usual("code"), "cut")
        elif fault.kind == "half_open":
            link.mute()
            if delay_s > 0:
                link.later(delay_s, link.reset)
        else:
            if self._venue == "binance":
                link.say(b'{"e":"serverShutdown","E":%d}' % (self._hall.venue_us() // 1000))
            link.later(delay_s, lambda: link.close(GOING_AWAY, "shutdown"))

    def over(self, found: Running) -> None:
        """A fault has ended."""
        for session in self._hall.sessions:
            if found.fault.kind == "stall":
                session.stall(found.streams(self._pairs), False)
                self.entered(session)
            elif found.fault.kind == "drip" and not any(True for _ in self._board.of(self._venue, "drip")):
                session.link.dripping = False
        self._clock()

    def _clock(self) -> None:
        running = self._board.of(self._venue, "clock")
        wrong = [found.fault.usual("ms") for found in running if found.fault.usual("how") != "time"]
        self._hall.wrong_us = 1000 * sum(wrong)

    def turn(self, now_s: float) -> None:
        """Whatever has to be done as time goes."""
        elapsed_s = now_s - self.now_s
        super().turn(now_s)
        rates = [found.fault.usual("size") for found in self._board.of(self._venue, "drip")]
        ages = [found.fault.usual("ms") / 1000 for found in self._board.of(self._venue, "age")]
        for session in tuple(self._hall.sessions):
            if rates:
                session.link.drip(min(rates) * min(elapsed_s, 1.0))
            if ages and now_s - session.opened_s > min(ages):
                session.link.close(GOING_AWAY, "too old")


class Faults:
    """The faults of all venues."""

    def __init__(self, world: World, halls: dict[str, Hall], clock: Clock, seed: int) -> None:
        self._clock, self._world = clock, world
        self.board = Board(world, seed)
        self.venues = {venue: VenueFaults(hall, self.board) for venue, hall in halls.items()}
        for venue, hall in halls.items():
            hall.faults = self.venues[venue]
        self.turn()

    def inject(self, *faults: Fault) -> list[int]:
        """Let faults begin when their time has come, which may be now; says their numbers."""
        now_s = self._clock.monotonic_s()
        numbers = [self.board.inject(fault, now_s) for fault in faults]
        self.turn()
        return numbers

    def remove(self, number: int = 0) -> None:
        """Take one away, or (0) all of them; what was cut stays cut."""
        self.board.remove(number)
        self.turn()

    def list(self) -> list[dict[str, Any]]:
        """What waits, runs and has ended, with how often each has hit."""
        return [found.told(self._clock.monotonic_s()) for found in self.board.all()]

    def calm(self) -> bool:
        """Nothing waits and nothing runs."""
        return all(found.ended for found in self.board.all())

    def turn(self) -> None:
        """Begin and end what is due."""
        now_s = self._clock.monotonic_s()
        begun, ended = self.board.turn(now_s)
        for found in begun:
            if found.fault.kind == "anew":
                self._world.list_anew(found.pair, found.fault.usual("ms") * 1000)
                found.hits += 1
            for faults in self._those(found):
                faults.act(found)
        for found in ended:
            for faults in self._those(found):
                faults.over(found)
        for faults in self.venues.values():
            faults.turn(now_s)

    def _those(self, found: Running) -> Iterable[VenueFaults]:
        return [self.venues[venue] for venue in venues_of(found.fault) if venue in self.venues]
