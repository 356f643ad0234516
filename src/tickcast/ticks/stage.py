"""Trades in, one row of features out for each: what the last minutes, and the last sixty ticks, were like.

    time      t-60s              t-30s             t
    ticks   ──o───o──o────────────o──o───o────────o─
                                  └── window 30s ──┘   returns against the tick before each, the first one included

The rules are in docs/event-semantics.md. A frame is written for every frame that is read, also without rows: it
carries the key's low on, so that whoever joins on time knows that no tick is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

import numpy as np

from tickcast.config import FlowSettings
from tickcast.events import TICK_SPANS, TICKS, TRADES, Columns, Frame
from tickcast.kernels import plain, warms
from tickcast.seen import known, new_seen
from tickcast.snapshot import pack, unpack
from tickcast.ticks.fold import (
    BEGIN,
    DROPPED,
    DUPLICATES,
    FACTS,
    HEAD,
    LATE,
    LOW,
    MEASURE_NAMES,
    OUT_INTS,
    OVERLAPPING,
    TAIL,
    USED,
    fold,
)

_ROOM = 256
_READ = ("trade_id", "first_id", "price", "timestamp_ms", "bid", "ask")
_OUT_FLOATS = ("midprice", "spread", *(f"{measure}_{span}" for span in TICK_SPANS for measure in MEASURE_NAMES))
_in_order = itemgetter(*((*OUT_INTS, *_OUT_FLOATS).index(name) for name in TICKS.columns))
_NAMES = tuple(TICKS.columns)
_fold: Callable[..., tuple[int, int]] = fold


class TicksState:
    """One key's last ticks, the ids it has seen, and counters."""

    __slots__ = ("facts", "ids", "mid", "ring")

    def __init__(self, room: int = _ROOM) -> None:
        self.facts = np.zeros(FACTS, dtype=np.int64)
        self.ids = new_seen()
        self.ring = np.zeros((room, 3), dtype=np.int64)
        self.mid = np.zeros(room)


class Ticks:
    """The stage of the map: reads `trades`, writes `ticks_features`.

    >>> stage = Ticks(FlowSettings())
    >>> state = stage.new()
    >>> trades = TRADES.rows([
    ...     {"trade_id": 1, "first_id": 1, "price": 100.0, "timestamp_ms": 1_000, "bid": 99.0, "ask": 101.0},
    ...     {"trade_id": 2, "first_id": 2, "price": 110.0, "timestamp_ms": 2_000},
    ... ])
    >>> frame, = stage.step(state, Frame("trades", "binance", "BTCUSDT", 2_000, trades))
    >>> [frame.columns[name].tolist() for name in ("midprice", "spread", "n_30s")]
    [[100.0, 110.0], [2.0, nan], [1, 2]]
    >>> round(float(frame.columns["rolling_vol_30s"][1]), 6)
    0.09531
    """

    name = "ticks"
    version = 1

    def __init__(self, settings: FlowSettings) -> None:
        """The windows are the design's; no setting changes them."""

    def new(self) -> TicksState:
        """Nothing was seen of the key."""
        return TicksState()

    def step(self, state: TicksState, frame: Frame) -> list[Frame]:
        """Fold one frame in; always one frame out."""
        columns = frame.columns
        rows = [plain(columns[name]) for name in _READ]
        count = len(rows[0])
        ints, floats = np.empty((len(OUT_INTS), count), dtype=np.int64), np.empty((len(_OUT_FLOATS), count))
        row, ticks = _fold(state.facts, state.ids, state.ring, state.mid, *rows, ints, floats, 0, 0, frame.low_ms)
        while row < count:
            _grow(state)
            row, ticks = _fold(
                state.facts, state.ids, state.ring, state.mid, *rows, ints, floats, row, ticks, frame.low_ms
            )
        if ticks < count:
            ints, floats = ints[:, :ticks], floats[:, :ticks]
        written: Columns = dict(zip(_NAMES, _in_order((*ints, *floats)), strict=True))
        return [Frame("ticks_features", frame.exchange, frame.pair, int(state.facts[LOW]), written)]

    def snapshot(self, state: TicksState) -> bytes:
        """The ticks that windows still need, the ids and the counters."""
        facts = state.facts.copy()
        ids = known(state.ids, int(facts[USED]))
        tail = int(facts[TAIL])
        places = np.arange(tail, int(facts[HEAD])) & (len(state.mid) - 1)
        facts[USED] = len(ids)
        facts[HEAD] -= tail
        facts[BEGIN : BEGIN + 3] -= tail
        facts[TAIL] = 0
        return pack(
            self.name, self.version, {"facts": facts, "ids": ids, "ring": state.ring[places], "mid": state.mid[places]}
        )

    def restore(self, data: bytes) -> TicksState:
        """The state that `snapshot` wrote."""
        parts = unpack(self.name, self.version, data)
        count = len(parts["mid"])
        state = TicksState(max(_ROOM, 1 << (count - 1).bit_length()) if count else _ROOM)
        state.facts[:] = parts["facts"]
        state.ids[: len(parts["ids"])] = parts["ids"]
        state.ring[:count], state.mid[:count] = parts["ring"], parts["mid"]
        return state

    def counts(self, state: TicksState) -> dict[str, int]:
        """Trades that are no ticks, and ticks for which there was no room."""
        names = {"duplicates": DUPLICATES, "overlapping": OVERLAPPING, "late": LATE, "dropped": DROPPED}
        return {name: int(state.facts[at]) for name, at in names.items()}


def _grow(state: TicksState) -> None:
    """Twice the room; each tick keeps its number."""
    room = len(state.mid)
    numbers = np.arange(int(state.facts[TAIL]), int(state.facts[HEAD]))
    ring, mid = np.zeros((2 * room, 3), dtype=np.int64), np.zeros(2 * room)
    old, new = numbers & (room - 1), numbers & (2 * room - 1)
    ring[new], mid[new] = state.ring[old], state.mid[old]
    state.ring, state.mid = ring, mid


@warms
def _warm() -> None:
    stage = Ticks(FlowSettings())
    rows = [{"trade_id": k, "first_id": k, "price": 1.0, "timestamp_ms": k} for k in (1, 2)]
    state = stage.new()
    stage.step(state, Frame("trades", "", "", 0, TRADES.rows(rows)))
    stage.restore(stage.snapshot(state))
