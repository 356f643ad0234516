"""What the live feed is told at its start, and what it says of itself while it runs. Plain data."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class KnownTrades(NamedTuple):
    """What the journal holds of one pair already: intervals of ids with their times, oldest first.

    Between two intervals ids are missing: the feed tries to fetch them again. Empty: the pair was never seen.
    """

    spans: tuple[tuple[int, int, int, int], ...] = ()
    """(lowest id, highest id, time of the lowest, time of the highest); ids of aggregates are their trades' ids."""
    reached_ms: int = 0
    """How far the pair's time has come, with or without trades."""


class PairStatus(msgspec.Struct):
    """One pair of a live feed."""

    exchange: str
    pair: str
    state: str
    """`live`, `joining` (its messages wait for a hole to be fetched), `suspect` (silent beside its pace), or `down`."""
    last_message_ms: int = 0
    """When the last message of it came (our clock); 0: none yet."""
    age_s: float = 0.0
    """How long ago that was."""
    rate: float = 0.0
    """Messages a second, lately."""
    gaps_found: int = 0
    gaps_repaired: int = 0
    gaps_open: int = 0
    gaps_lost: int = 0
    """Holes that history could not fill: their windows stay partial."""
    trades_repaired: int = 0
    held: int = 0
    """Messages that wait now."""
    stalls: int = 0


class ConnectionStatus(msgspec.Struct):
    """One connection of a live feed."""

    exchange: str
    number: int
    state: str
    """`connecting`, `open`, `waiting` (to dial again), `closed`."""
    pairs: tuple[str, ...] = ()
    url: str = ""
    client: str = ""
    messages: int = 0
    rate: float = 0.0
    age_s: float = 0.0
    """Since the last byte; -1: none yet."""
    reconnects: int = 0
    rotations: int = 0
    """Planned replacements, without a gap."""
    why: str = ""
    """Why it last went down."""
    next_dial_s: float = 0.0
    """Of a waiting one: until it dials again."""
    offset_ms: float | None = None
    """The venue's clock less ours; None: not measured yet."""
    offset_error_ms: float | None = None


class LiveStatus(msgspec.Struct):
    """All of it, for the terminal, /health, /ready and Prometheus."""

    connections: list[ConnectionStatus] = msgspec.field(default_factory=list)
    pairs: list[PairStatus] = msgspec.field(default_factory=list)
    lag_ms: float = 0.0
    """How long the oldest message that was not handed on yet has waited; bursts make it grow, nothing is shed."""
    requests: dict[str, int] = msgspec.field(default_factory=dict)
    """HTTP requests by host and outcome."""
