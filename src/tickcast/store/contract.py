"""The store contract: rows and the place to go on from are kept together, or not at all.

    frames + checkpoint ─→ commit ─→ tables ─→ query (people, api, dashboard)
                                            └→ rows (verify, export, training)

Every write is an upsert by id and revision, so the same frames twice are harmless, and a revision that comes after
a higher one changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec

from tickcast.events import CANDLES, FEATURES, FETCHED, INDICATORS, TICKS, Columns, Frame

KINDS = {table.name: table for table in (CANDLES, INDICATORS, TICKS, FEATURES, FETCHED)}
"""The kinds of rows that a store keeps, by name."""

FRAMES_STAGE = "frames"
"""Under this stage a checkpoint holds the framers' states, one an exchange."""


class Checkpoint(msgspec.Struct):
    """Where to go on: the journal position of each exchange, and the states that belong to it.

    A checkpoint to commit names what changed; the one that `load_checkpoint` gives names everything.
    """

    positions: dict[str, tuple[str, int]] = {}
    """exchange → (day, offset) of the first journal byte that was not folded in."""
    snapshots: dict[tuple[str, str], bytes] = {}
    """(stage, key) → the bytes of its state."""


class QueryResult(msgspec.Struct):
    """Rows as Python values, in the order of the columns."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool = False
    """True when there were more rows than were asked for."""


class Store(Protocol):
    """What keeps the flow's rows."""

    def commit(self, frames: Sequence[Frame], checkpoint: Checkpoint | None) -> None:
        """Keep rows and the place to go on from, together; on StoreError nothing changed and a retry is right."""
        ...

    def load_checkpoint(self) -> Checkpoint:
        """The place of the last commit; empty when there was none."""
        ...

    def query(self, sql: str, *, limit: int = 10_000, timeout_s: float = 30.0) -> QueryResult:
        """Answer one reading statement; it sees whole commits only and never stops them."""
        ...

    def keys(self, kind: str) -> list[tuple[str, str]]:
        """(exchange, pair) of every key that has rows of a kind, sorted."""
        ...

    def rows(self, kind: str, *, exchange: str, pair: str) -> Iterator[Columns]:
        """The rows of one key in the order of their ids, bit for bit as they were committed, in bounded batches."""
        ...

    def close(self) -> None:
        """Let go of all that is held; twice is harmless."""
        ...
