"""Every stage's state and the one way through them: live, replay, import and verify push frames in here.

The pipeline knows nothing of processes, files or time. What comes out is for a sink; what it remembers can be taken
as bytes and given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tickcast.candles.stage import seen_ids
from tickcast.config import FlowSettings
from tickcast.events import CANDLES, FETCHED, TICKS, TRADES, VENUE_CANDLES, Frame
from tickcast.flow import build
from tickcast.frames.stage import Framer, FramerState
from tickcast.sources.contract import Fetched, MarketRows, Reject
from tickcast.sources.live.contract import KnownTrades

SnapshotKey = tuple[str, str]
"""Stage name and key (`exchange:pair`, of the framer the exchange)."""
_INPUTS = (TRADES.name, VENUE_CANDLES.name)


class Outputs(NamedTuple):
    """What a push gave: frames of every kind but trades, and rows for quarantine."""

    frames: list[Frame]
    rejects: list[Reject]


class Pipeline:
    """One process's stages, built from the map.

    >>> pipeline = Pipeline(FlowSettings(candle_seconds=(60,)))
    >>> [hop.name for hop, _ in pipeline.stages]
    ['candles', 'indicators', 'ticks', 'features']
    """

    def __init__(self, settings: FlowSettings, pairs: tuple[str, ...] = ()) -> None:
        self.framer = Framer(settings, pairs)
        self.stages = build(settings)
        self.framers: dict[str, FramerState] = {}
        self.states: dict[SnapshotKey, Any] = {}
        self._touched: set[SnapshotKey] = set()

    def push_rows(self, exchange: str, rows: MarketRows) -> Outputs:
        """Carry what a block of one exchange says through all stages."""
        state = self.framers.setdefault(exchange, self.framer.new())
        self._touched.add((self.framer.name, exchange))
        framed = self.framer.step(state, exchange, rows)
        outputs = [out for frame in (*rows.frames, *framed.frames) for out in self.push_frame(frame)]
        rejects = [*rows.rejects, *framed.rejects]
        for told in rows.told:
            heard = self.framer.told(state, exchange, told)
            rejects += heard.rejects
            if isinstance(told, Fetched):
                outputs += [_entry(told), *(out for frame in heard.frames for out in self.push_frame(frame))]
        return Outputs(outputs, rejects)

    def finish(self, exchange: str) -> Outputs:
        """An exchange's input has ended for good (a replay, not a pause): let go of rows that still waited."""
        self._touched.add((self.framer.name, exchange))
        framed = self.framer.finish(self.framers.setdefault(exchange, self.framer.new()), exchange)
        return Outputs([out for frame in framed.frames for out in self.push_frame(frame)], framed.rejects)

    def push_frame(self, frame: Frame) -> list[Frame]:
        """Carry one frame through all stages that follow from its kind.

        Candles that enter here are a venue's own, as fetched or imported, and have no ticks beside them.
        """
        carried = [frame]
        if frame.kind == CANDLES.name:
            carried = [frame.with_columns(VENUE_CANDLES.name, frame.columns)]
            carried.append(frame.with_columns(TICKS.name, TICKS.empty()))
        for hop, stage in self.stages:
            read = [one for one in carried if one.kind in hop.reads]
            read.sort(key=lambda one: one.kind != TICKS.name)  # a window's own ticks before the word that it closed
            if not read:
                continue
            key = (hop.name, frame.key)
            state = self.states.get(key)
            if state is None:
                state = self.states[key] = stage.new()
            self._touched.add(key)
            for one in read:
                carried.extend(stage.step(state, one))
        return [one for one in carried if one.kind not in _INPUTS and len(one)]

    def snapshots(self, *, changed_only: bool = False) -> dict[SnapshotKey, bytes]:
        """States as bytes; with `changed_only`, those that were touched since the last `settled`."""
        stage_of = {hop.name: stage for hop, stage in self.stages}
        taken: dict[SnapshotKey, bytes] = {}
        for exchange, framer_state in self.framers.items():
            if not changed_only or (self.framer.name, exchange) in self._touched:
                taken[self.framer.name, exchange] = self.framer.snapshot(framer_state)
        for (name, key), state in self.states.items():
            if not changed_only or (name, key) in self._touched:
                taken[name, key] = stage_of[name].snapshot(state)
        return taken

    def settled(self) -> None:
        """The states as they are now are kept; only then may a checkpoint leave one out."""
        self._touched.clear()

    def restore(self, snapshots: Mapping[SnapshotKey, bytes]) -> None:
        """Take up states that `snapshots` gave."""
        stage_of = {hop.name: stage for hop, stage in self.stages}
        for (name, key), data in snapshots.items():
            if name == self.framer.name:
                self.framers[key] = self.framer.restore(data)
            elif name in stage_of:
                self.states[name, key] = stage_of[name].restore(data)

    def counts(self) -> dict[str, dict[str, int]]:
        """What the stages counted on the way, summed over keys."""
        stage_of = {hop.name: stage for hop, stage in self.stages}
        totals: dict[str, dict[str, int]] = {}
        framed = [(self.framer.name, self.framer.counts(state)) for state in self.framers.values()]
        staged = [(name, stage_of[name].counts(state)) for (name, _), state in self.states.items()]
        for name, counts in [*framed, *staged]:
            into = totals.setdefault(name, {})
            for what, number in counts.items():
                into[what] = into.get(what, 0) + number
        return totals

    def last_recv_ns(self, exchange: str) -> int:
        """When the last message of an exchange came; 0 before the first."""
        state = self.framers.get(exchange)
        return 0 if state is None else state.last_recv_ns

    def known_trades(self, exchange: str) -> dict[str, KnownTrades]:
        """What was seen of each pair of an exchange: where its live feed goes on, and which holes it can still fill."""
        framer = self.framers.get(exchange)
        found: dict[str, KnownTrades] = {}
        for pair, state in framer.pairs.items() if framer is not None else ():
            candles = self.states.get(("candles", f"{exchange}:{pair}"))
            spans = seen_ids(candles) if candles is not None else []
            found[pair] = KnownTrades(tuple(spans), state.low_ms)
        return found

    def lows(self) -> dict[str, int]:
        """How far each key's time has come."""
        return {
            f"{exchange}:{pair}": pair_state.low_ms
            for exchange, state in self.framers.items()
            for pair, pair_state in state.pairs.items()
        }


def _entry(told: Fetched) -> Frame:
    """The row that says what was fetched, and when."""
    frame = told.frame
    ids = frame.columns.get("trade_id")
    known = ids is not None and len(ids) > 0
    row = {
        "candle_seconds": told.candle_seconds,
        "from_ms": frame.whole_from_ms,
        "to_ms": frame.low_ms,
        "first_id": int(ids[0]) if ids is not None and known else -1,
        "last_id": int(ids[-1]) if ids is not None and known else -1,
        "row_count": len(frame),
        "fetched_ms": told.fetched_ms,
    }
    return frame.with_columns(FETCHED.name, FETCHED.rows([row]))


def rows_of(frames: Iterable[Frame]) -> int:
    """How many rows some frames hold."""
    return sum(len(frame) for frame in frames)
