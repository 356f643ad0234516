"""Which faults are in force: injected, begun when their time has come, ended, counted. All times are real seconds."""

from __future__ import annotations

import random
from collections.abc import Iterable
from math import inf
from typing import Any

import msgspec

from tickcast.errors import ConfigError
from tickcast.sources.simulated.exchange.faults.kinds import KINDS, Fault
from tickcast.sources.simulated.exchange.names import VENUES
from tickcast.sources.simulated.exchange.sockets.tellers import KINDS as STREAM_KINDS
from tickcast.sources.simulated.exchange.sockets.tellers import QUOTE
from tickcast.sources.simulated.exchange.world import World

FAULTS_MAX = 10_000
KEPT_ENDED = 1000
"""How many that have ended are still listed."""


class Running:
    """One fault on its way."""

    def __init__(self, number: int, fault: Fault, now_s: float, pair: int, chance: random.Random) -> None:
        self.number, self.fault, self.pair = number, fault, pair
        self.begins_s = now_s + fault.after_s
        self.ends_s = self.begins_s + fault.seconds if fault.seconds else inf
        self.hits = 0
        self.chance = chance
        self.begun = self.ended = False

    def hit(self) -> bool:
        """Whether it meets this one; counts where it does."""
        fault = self.fault
        if self.ended or (fault.chance < 1.0 and self.chance.random() >= fault.chance):
            return False
        self.hits += 1
        if self.hits == fault.count:
            self.ended = True
        return True

    def meets(self, stream: int, pairs: int) -> bool:
        """Whether messages of a stream are its business."""
        kind, pair = divmod(stream, pairs)
        channel = self.fault.channel
        right = not channel or (channel == "quotes") == (kind == QUOTE)
        return right and self.pair in (-1, pair)

    def streams(self, pairs: int) -> list[int]:
        """All streams that are its business."""
        return [stream for stream in range(STREAM_KINDS * pairs) if self.meets(stream, pairs)]

    def told(self, now_s: float) -> dict[str, Any]:
        """For a list."""
        state = "ended" if self.ended else "running" if self.begun else "waiting"
        left_s = None if self.ends_s == inf or self.ended else round(self.ends_s - now_s, 3)
        fault = msgspec.to_builtins(self.fault)
        return {"number": self.number, "state": state, "hits": self.hits, "left_s": left_s, "fault": fault}


class Board:
    """All faults of an exchange, and which of them are in force for whom."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed = world, seed
        self._waiting: list[Running] = []
        self._ended: list[Running] = []
        self._number = 0
        self.running: dict[tuple[str, str], list[Running]] = {}
        """By venue and kind."""

    def inject(self, fault: Fault, now_s: float) -> int:
        """Let it wait for its time; says its number. ConfigError: nobody has that pair, or there are too many."""
        if len(self._waiting) + len(set().union(*self.running.values(), ())) >= FAULTS_MAX:
            raise ConfigError("faults", f"were {FAULTS_MAX} already", "take some away first")
        pair = -1
        if fault.pair:
            pair = self._world.pair_named(fault.pair)
            if pair < 0:
                raise ConfigError("fault", f"nobody trades {fault.pair!r} here", "give one of the exchange's pairs")
        self._number += 1
        chance = random.Random(f"{self._seed}:{self._number}")  # noqa: S311
        self._waiting.append(Running(self._number, fault, now_s, pair, chance))
        return self._number

    def remove(self, number: int = 0) -> None:
        """Take one away, or (0) all."""
        for found in self.all():
            if number in (0, found.number):
                found.ended = True

    def all(self) -> list[Running]:
        """Those that wait, run, and the last that have ended, by number."""
        running = {found.number: found for several in self.running.values() for found in several}
        return sorted([*self._ended, *self._waiting, *running.values()], key=lambda found: found.number)

    def turn(self, now_s: float) -> tuple[list[Running], list[Running]]:
        """Which faults begin now, and which have ended since the last time."""
        ended = [found for found in self._waiting if found.ended]
        begun = [found for found in self._waiting if not found.ended and found.begins_s <= now_s]
        if begun or ended:
            self._waiting = [found for found in self._waiting if found not in begun and found not in ended]
        for found in begun:
            found.begun = True
            if KINDS[found.fault.kind].once:
                found.ended = True
                ended.append(found)
                continue
            for venue in venues_of(found.fault):
                self.running.setdefault((venue, found.fault.kind), []).append(found)
        for key, several in list(self.running.items()):
            for found in several:
                found.ended = found.ended or found.ends_s <= now_s
            over = [found for found in several if found.ended]
            if over:
                ended += [found for found in over if found not in ended]
                self.running[key] = [found for found in several if not found.ended]
                if not self.running[key]:
                    del self.running[key]
        self._ended = [*self._ended, *ended][-KEPT_ENDED:]
        return begun, ended

    def of(self, venue: str, kind: str) -> Iterable[Running]:
        """What is in force."""
        return self.running.get((venue, kind), ())

    def hit(self, venue: str, kind: str) -> Fault | None:
        """The first fault of a kind that meets what happens now."""
        return next((found.fault for found in self.of(venue, kind) if found.hit()), None)


def venues_of(fault: Fault) -> tuple[str, ...]:
    """Whom a fault is for."""
    return (fault.venue,) if fault.venue else VENUES
