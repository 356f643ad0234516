"""The rows that learning begins with: candles and feature rows of each key, from a store or fresh from the stages.

store ──────────────────────────┐
files ─→ stages, in memory ─→ gathered ─→ of one candle length: candles and features by key, highest revision
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from tickcast.errors import TrainingError
from tickcast.events import CANDLES, FEATURES, Columns, Frame
from tickcast.store.resolve import join, resolve

Key = tuple[str, str]
"""Exchange and pair."""


class Rows(NamedTuple):
    """One key's candles and feature rows of one length, each in the order of time and once."""

    exchange: str
    pair: str
    candle_seconds: int
    candles: Columns
    features: Columns

    @property
    def key(self) -> str:
        """As datasets name it."""
        return f"{self.exchange}:{self.pair}"


class Tables(Protocol):
    """What keeps rows: a store, or a process that answers for one."""

    def keys(self, kind: str) -> list[Key]:
        """(exchange, pair) of every key that has rows of a kind."""
        ...

    def rows(self, kind: str, *, exchange: str, pair: str) -> Iterator[Columns]:
        """The rows of a key in the order of their ids."""
        ...


def from_store(
    store: Tables, *, keys: Sequence[Key] = (), candle_seconds: int = 0, since_ms: int | None = None
) -> list[Rows]:
    """Rows of some keys of a store (all that have features, where none is named); 0: the one length that it holds.

    Rows that end before `since_ms` are not kept in memory.
    """
    held = store.keys(FEATURES.name)
    absent = [key for key in keys if key not in held]
    if absent:
        raise TrainingError(
            ":".join(absent[0]),
            f"has no feature rows in the store, which holds {_listed([':'.join(key) for key in held])}",
            "name one of these, or collect or import that pair first",
        )
    parts = [
        (kind, *key, _since(columns, end, since_ms))
        for key in sorted(set(keys or held))
        for kind, end in _ENDS.items()
        for columns in store.rows(kind, exchange=key[0], pair=key[1])
    ]
    return _gathered(parts, candle_seconds)


def from_frames(frames: Iterable[Frame], *, candle_seconds: int = 0) -> list[Rows]:
    """Rows of what the stages gave, frame by frame; other kinds of rows are passed over."""
    kept = ((one.kind, one.exchange, one.pair, one.columns) for one in frames if one.kind in _ENDS)
    return _gathered(kept, candle_seconds)


def until(parts: Sequence[Rows], last_ms: int) -> list[Rows]:
    """The same as if nothing had come after that time."""
    cut = []
    for one in parts:
        kinds = zip((one.candles, one.features), _ENDS.values(), strict=True)
        candles, features = (
            {name: column[columns[end] <= last_ms] for name, column in columns.items()} for columns, end in kinds
        )
        cut.append(one._replace(candles=candles, features=features))
    return [one for one in cut if len(one.features["timestamp_ms"])]


_ENDS = {CANDLES.name: "window_end_ms", FEATURES.name: "timestamp_ms"}
"""The kinds that learning reads, and what each calls the end of its window."""
_TABLES = {table.name: table for table in (CANDLES, FEATURES)}


def _since(columns: Columns, end: str, since_ms: int | None) -> Columns:
    if since_ms is None:
        return columns
    kept = columns[end] >= since_ms
    return {name: column[kept] for name, column in columns.items()}


def _gathered(parts: Iterable[tuple[str, str, str, Columns]], candle_seconds: int) -> list[Rows]:
    found: dict[Key, dict[str, list[Columns]]] = {}
    lengths: set[int] = set()
    for kind, exchange, pair, columns in parts:
        if len(columns["candle_seconds"]):
            found.setdefault((exchange, pair), {name: [] for name in _ENDS})[kind].append(columns)
            lengths |= set(np.unique(columns["candle_seconds"]).tolist())
    seconds = _length(lengths, candle_seconds)
    rows: list[Rows] = []
    for (exchange, pair), kinds in sorted(found.items()):
        candles, features = (_of_length(kind, kinds[kind], seconds) for kind in _ENDS)
        if len(features["timestamp_ms"]):
            rows.append(Rows(exchange, pair, seconds, candles, features))
    if not rows:
        raise TrainingError(
            "training data", "holds no feature rows, so there is nothing to learn from", "collect or import some first"
        )
    return rows


def _length(lengths: set[int], asked: int) -> int:
    """The one candle length to learn from."""
    told = _listed([str(one) for one in sorted(lengths)])
    if asked and lengths and asked not in lengths:
        raise TrainingError(
            "candle_seconds", f"{asked} was asked for and there are candles of {told} seconds", "ask for one of these"
        )
    if not asked and len(lengths) > 1:
        raise TrainingError(
            "candle_seconds",
            f"there are candles of {told} seconds, and a model learns from one length only",
            f"ask for one of these, for example {max(lengths)}",
        )
    return asked or max(lengths, default=0)


def _of_length(kind: str, parts: list[Columns], seconds: int) -> Columns:
    table = _TABLES[kind]
    cut = []
    for part in parts:
        wanted = part["candle_seconds"] == seconds
        cut.append(part if wanted.all() else {name: column[wanted] for name, column in part.items()})
    return resolve(table, join(cut)) if cut else table.empty()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "") if names else "none"
