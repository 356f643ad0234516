"""Trades in, closed candles out: for each candle length one chain of windows, and a row whenever one closes or changes.

    00:00            01:00
    |--100--130--90--|--95
                     ^ issues 100/130/90/90

The rules are in docs/event-semantics.md. All lengths are folded in one pass; what a length issues does not depend on
which others there are, nor on how the rows were cut into frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickcast.candles.fold import fold
from tickcast.candles.layout import (
    BLIND_COUNT,
    CHAIN,
    CLOSED,
    DUPLICATES,
    HEAD,
    HEADER,
    ISSUED,
    KEPT_FACTS,
    LATE,
    LOST_IDS,
    LOW,
    NEED,
    OUT_MONEY,
    OUT_SPOT,
    OVERLAPPING,
    POINTS,
    RESTARTS,
    SLOTS,
    TOO_LATE,
    USED,
    Book,
    Issue,
    Rows,
    new_book,
    new_issue,
)
from tickcast.candles.rebuild import Rebuilder, start_anew
from tickcast.candles.venue import Venue
from tickcast.config import FlowSettings
from tickcast.errors import SnapshotError
from tickcast.events import CANDLES, TRADES, VENUE_CANDLES, Columns, Frame, concat
from tickcast.kernels import plain, warms
from tickcast.seen import known, missing
from tickcast.snapshot import pack, unpack

_ROOM = 64
"""Candles that a key has room for between frames; a frame that issues more gets its own room."""
_fold: Callable[..., int] = fold
_SPOT_ROW = {name: row for row, name in enumerate(OUT_SPOT)}
_MONEY_ROW = {name: row for row, name in enumerate(OUT_MONEY)}


class CandlesState:
    """One key's windows of every length, the ids it has seen, what the venue made itself, and room to issue in."""

    __slots__ = ("book", "out", "venue")

    def __init__(self, candle_seconds: tuple[int, ...]) -> None:
        self.book: Book = new_book(candle_seconds)
        self.out: Issue = new_issue((len(candle_seconds) + 1) * _ROOM)
        self.venue = Venue()


class Candles:
    """The stage of the map: reads `trades` and the candles that venues made, writes `candles`.

    >>> stage = Candles(FlowSettings())
    >>> state = stage.new()
    >>> trades = TRADES.rows([
    ...     {"trade_id": 1, "first_id": 1, "price": 100.0, "quantity": 0.1, "timestamp_ms": 60_000},
    ...     {"trade_id": 2, "first_id": 2, "price": 130.0, "quantity": 0.2, "timestamp_ms": 90_000},
    ... ])
    >>> frame, = stage.step(state, Frame("trades", "binance", "BTCUSDT", 120_000, trades))
    >>> [frame.columns[name][0].item() for name in ("open", "high", "low", "close", "volume")]
    [100.0, 130.0, 100.0, 130.0, 0.3]
    """

    name = "candles"
    version = 4

    def __init__(self, settings: FlowSettings) -> None:
        self.candle_seconds = settings.candle_seconds

    def new(self) -> CandlesState:
        """Nothing was seen of the key."""
        return CandlesState(self.candle_seconds)

    def step(self, state: CandlesState, frame: Frame) -> list[Frame]:
        """Fold one frame in; one frame of candles, in the order in which they were issued, or none.

        History can be older than what the ring remembers: those windows are made anew from it, and come first.
        """
        if frame.kind == VENUE_CANDLES.name:
            return [frame.with_columns(CANDLES.name, state.venue.take(state.book, frame.columns))] if len(frame) else []
        rebuilder = Rebuilder(state.book, frame) if frame.whole_from_ms else None
        before = start_anew(state.book, frame)
        parts = [self._fold(state, frame)]
        if before is not None:
            parts.append(self._fold(state, before))
        if rebuilder is not None and rebuilder.wanted(state.book):
            apart = self.new()
            rebuilder.begin(apart.book)
            parts.insert(0, rebuilder.chosen(state.book, self._fold(apart, rebuilder.frame)))
        issued = state.venue.beside(concat([part for part in parts if part is not None] or [CANDLES.empty()]))
        if not len(issued["revision"]):
            return []
        low_ms = int(state.book.facts[LOW])
        return [Frame("candles", frame.exchange, frame.pair, low_ms, issued, whole_from_ms=frame.whole_from_ms)]

    def _fold(self, state: CandlesState, frame: Frame) -> Columns | None:
        """What the frame makes the ring issue."""
        columns = frame.columns
        given: list[Any] = [*state.book, *[plain(columns[name]) for name in Rows._fields]]
        out = state.out
        issued = _fold(*given, *out, 0, frame.low_ms, frame.blind_from_ms, frame.whole_from_ms)
        while issued < 0:
            out = _wider(out, state.book.facts)
            issued = _fold(*given, *out, -1 - issued, frame.low_ms, 0, frame.whole_from_ms)
        state.book.facts[ISSUED] = 0
        return _columns(out, issued) if issued else None

    def snapshot(self, state: CandlesState) -> bytes:
        """The windows in use, oldest first, the ids and the counters."""
        facts, ids, blinds, spot, money = state.book
        facts = facts[:KEPT_FACTS].copy()
        ids = _intervals(state)
        facts[USED] = len(ids)
        order = [_order(header) for header in spot[:, HEADER]]
        parts: dict[str, Any] = {
            "candle_seconds": list(self.candle_seconds),
            "facts": facts,
            "ids": ids,
            "blinds": blinds[: facts[BLIND_COUNT]],
            "headers": spot[:, HEADER, [CHAIN, CLOSED]],
            "spot": np.concatenate([spot[c, slots] for c, slots in enumerate(order)]),
            "money": np.concatenate([money[c, slots] for c, slots in enumerate(order)]),
        }
        return pack(self.name, self.version, parts | state.venue.parts())

    def restore(self, data: bytes) -> CandlesState:
        """The state that `snapshot` wrote."""
        parts = unpack(self.name, self.version, data)
        if parts["candle_seconds"] != list(self.candle_seconds):
            raise SnapshotError(
                "snapshot of candles",
                f"was written for candle_seconds {parts['candle_seconds']}, not {list(self.candle_seconds)}",
                "set candle_seconds as before, or rebuild the store from its journal with `tickcast replay`",
            )
        state = self.new()
        facts, ids, blinds, spot, money = state.book
        facts[:KEPT_FACTS] = parts["facts"]
        ids[: len(parts["ids"])] = parts["ids"]
        blinds[: len(parts["blinds"])] = parts["blinds"]
        state.venue = Venue.load(parts)
        start = 0
        for c, (chain, closed) in enumerate(parts["headers"]):
            stop = start + int(closed + chain)
            spot[c, : stop - start], money[c, : stop - start] = parts["spot"][start:stop], parts["money"][start:stop]
            spot[c, HEADER, [CHAIN, CLOSED, HEAD]] = chain, closed, closed
            start = stop
        return state

    def counts(self, state: CandlesState) -> dict[str, int]:
        """Refused and repeated trades; `late`, `too_late` and `restarts` count each candle length by itself."""
        facts = state.book.facts
        lost = int(facts[LOST_IDS]) + (0 if facts[POINTS] else missing(_intervals(state), len(_intervals(state))))
        names = {
            "duplicates": DUPLICATES,
            "overlapping": OVERLAPPING,
            "late": LATE,
            "too_late": TOO_LATE,
            "restarts": RESTARTS,
        }
        return {name: int(facts[at]) for name, at in names.items()} | {"missing_ids": lost}


def seen_ids(state: CandlesState) -> list[tuple[int, int, int, int]]:
    """What was seen of a key, oldest first: (lowest id, highest id, time of the lowest, time of the highest).

    Empty where ids are not consecutive: then nothing is told by what is not there.
    """
    known_ids = [] if state.book.facts[POINTS] else _intervals(state).tolist()
    return [(max(low, 0), high, *times) for low, high, *times in known_ids if high >= 0]


def _intervals(state: CandlesState) -> NDArray[np.int64]:
    return known(state.book.ids, int(state.book.facts[USED]))


def _order(header: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ring's slots in use, oldest first, the open window last."""
    order: NDArray[np.int64] = (header[HEAD] + np.arange(-header[CLOSED], header[CHAIN])) % SLOTS
    return order


def _wider(out: Issue, facts: NDArray[np.int64]) -> Issue:
    """At least twice the room, with what is already issued."""
    issued = int(facts[ISSUED])
    wider = new_issue(2 * max(out.spot.shape[1], issued + int(facts[NEED])))
    wider.spot[:, :issued], wider.money[:, :issued] = out.spot[:, :issued], out.money[:, :issued]
    return wider


def _columns(out: Issue, issued: int) -> Columns:
    """What was issued, as the columns of a frame that owns them."""
    spot, money = out.spot[:, :issued].copy(), out.money[:, :issued].copy()
    columns: Columns = {}
    for name, code in CANDLES.columns.items():
        if code == "f8":
            columns[name] = money[_MONEY_ROW[name]]
        else:
            column = spot[_SPOT_ROW[name]]
            columns[name] = column.astype(np.uint8) if code == "u1" else column
    return columns


@warms
def _warm() -> None:
    stage = Candles(FlowSettings())
    rows = [{"trade_id": k, "first_id": k, "price": 1.0, "quantity": 1.0, "timestamp_ms": k * 60_000} for k in (1, 2)]
    state = stage.new()
    stage.step(state, Frame("trades", "", "", 0, TRADES.rows(rows)))
    stage.restore(stage.snapshot(state))
