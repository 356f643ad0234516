"""A storm: many faults at random moments, drawn from a seed, with calm at the end. Equal seeds give equal storms."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import msgspec

from tickcast.sources.simulated.exchange.faults.kinds import CHANNELS, KINDS, Fault
from tickcast.sources.simulated.exchange.names import VENUES

CALM_SHARE = 0.25
"""The last quarter is calm, so that what was lost can be fetched."""
EVERY_S = 2.0
"""A fault about this often."""
LONGEST_S = 8.0


_OF_PAIRS = {"stall", "skip", "double", "reorder", "malformed", "status", "truncated", "fewer", "lag"}
_ONCE = {name for name, kind in KINDS.items() if kind.once}
_DRAWS: tuple[Callable[[random.Random], Fault], ...] = (
    lambda of: Fault(kind="cut", how="close", code=of.choice((1000, 1001, 1012))),
    lambda of: Fault(kind="cut", how="reset"),
    lambda of: Fault(kind="half_open", count=of.choice((0, 1))),
    lambda of: Fault(kind="shutdown", ms=of.randint(50, 2000)),
    lambda of: Fault(kind="age", ms=of.randint(500, 3000)),
    lambda of: Fault(kind="maintenance"),
    lambda of: Fault(kind="refuse", how=of.choice(("reset", "status")), code=of.choice((429, 502, 503))),
    lambda of: Fault(kind="geo", chance=0.5),
    lambda of: Fault(kind="deaf"),
    lambda of: Fault(kind="stall", how=of.choice(("gentle", "stubborn")), channel=of.choice(CHANNELS)),
    lambda of: Fault(kind="skip", chance=of.choice((0.01, 0.1, 0.5))),
    lambda of: Fault(kind="double", chance=of.choice((0.05, 0.3, 1.0))),
    lambda of: Fault(kind="reorder", chance=of.choice((0.05, 0.3)), size=of.randint(1, 8)),
    lambda of: Fault(kind="malformed", how=of.choice(("", "json", "utf8", "frame")), chance=of.choice((0.02, 0.2))),
    lambda of: Fault(kind="oversized", count=1),
    lambda of: Fault(kind="drip", size=of.randint(50, 2000)),
    lambda of: Fault(kind="clock", ms=of.choice((-30_000, -2000, 500, 3000)), how=of.choice(("", "messages", "time"))),
    lambda of: Fault(kind="status", code=of.choice((418, 429, 429, 500, 502, 503)), chance=of.choice((0.3, 1.0))),
    lambda of: Fault(kind="truncated", how=of.choice(("json", "body")), chance=0.5),
    lambda of: Fault(kind="fewer", chance=0.5),
    lambda of: Fault(kind="lag", ms=of.choice((200, 1500, 5000))),
    lambda of: Fault(kind="slow", ms=of.choice((300, 2500)), chance=0.5),
)
"""How each fault is drawn, not yet placed in time."""


def storm(
    seed: int, seconds: float, *, venues: Sequence[str] = VENUES, pairs: Sequence[str] = (), every_s: float = EVERY_S
) -> tuple[Fault, ...]:
    """Draw a storm of so many seconds; `pairs` are those that may be met alone (in any spelling).

    >>> storm(1, 60) == storm(1, 60), storm(1, 60) == storm(2, 60)
    (True, False)
    >>> max(fault.after_s + fault.seconds for fault in storm(1, 60)) <= 45
    True
    """
    chance = random.Random(f"storm {seed}")  # noqa: S311
    rough_s = seconds * (1.0 - CALM_SHARE)
    faults: list[Fault] = []
    at_s = chance.uniform(0.0, every_s)
    while at_s < rough_s:
        drawn = chance.choice(_DRAWS)(chance)
        lasts_s = round(min(chance.uniform(0.5, LONGEST_S), rough_s - at_s), 2)
        faults.append(
            msgspec.structs.replace(
                drawn,
                venue=chance.choice(venues),
                pair=chance.choice(pairs) if pairs and drawn.kind in _OF_PAIRS and chance.random() < 0.5 else "",
                after_s=round(at_s, 2),
                seconds=0.0 if drawn.kind in _ONCE else max(lasts_s, 0.1),
            )
        )
        at_s += chance.expovariate(1.0 / every_s)
    return tuple(faults)
