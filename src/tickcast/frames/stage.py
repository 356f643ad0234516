"""Rows of one exchange in, frames of single pairs out: who said what when becomes "this, and nothing older follows".

Three things happen here and nowhere else. Each trade meets the best bid and ask that had arrived before it. A pair's
low (the time before which nothing follows) is moved by its own trades, and by other proof of the venue's time where
that passes a candle boundary. And a time that no neighbour confirms is set aside before it can move anything.

All of it is a fold over rows in the order of arrival, so no cut into blocks can change the frames' sum.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.clock import DAY_MS
from tickcast.config import FlowSettings
from tickcast.events import TRADES, Columns, Frame
from tickcast.frames.fold import fold
from tickcast.frames.plausible import Row, Spans, confirm
from tickcast.snapshot import pack, unpack
from tickcast.sources.contract import QUOTE, TRADE, Blind, Fetched, MarketRows, Reject

PAIRS_MAX = 10_000
"""Pairs of one exchange that state is kept for; the largest venue lists a third of that."""
TOO_MANY_PAIRS = f"a pair beyond the {PAIRS_MAX:,} of one exchange"
IMPLAUSIBLE = "implausible time: a day ahead of its neighbours"
TRADE_COLUMNS = tuple(TRADES.columns)


class PairState:
    """What is known of one pair: its low, its best prices, a row that waits to be confirmed."""

    __slots__ = ("ask", "bid", "blind_from_ms", "held", "low_ms", "unproven", "witnesses")

    def __init__(self) -> None:
        self.low_ms = 0
        self.bid = self.ask = math.nan
        self.blind_from_ms = 0
        self.unproven = False
        """A live feed said that it is blind: best prices may be as old as that, so only a trade or history ends it."""
        self.held: Row | None = None
        self.witnesses = 0


class FramerState:
    """The pairs of one exchange, and how many rows were set aside."""

    __slots__ = ("implausible", "last_recv_ns", "pairs", "rows")

    def __init__(self) -> None:
        self.pairs: dict[str, PairState] = {}
        self.last_recv_ns = 0
        self.rows = 0
        self.implausible = 0


class Framed(NamedTuple):
    """What a step gives: frames in the order of their pairs' first rows, and rows for quarantine."""

    frames: list[Frame]
    rejects: list[Reject]


class Framer:
    """The first stage: keyed by exchange where all others are keyed by pair."""

    name = "frames"
    version = 3

    def __init__(self, settings: FlowSettings, pairs: tuple[str, ...] = ()) -> None:
        self.pairs = frozenset(pairs)
        self.spans = Spans(settings.grace_ms, 1000 * math.gcd(*settings.candle_seconds), DAY_MS)

    def new(self) -> FramerState:
        """Nothing is known of the exchange."""
        return FramerState()

    def step(self, state: FramerState, exchange: str, rows: MarketRows) -> Framed:
        """Cut a block's rows into frames of single pairs; others than the pairs asked for are left out."""
        framed = Framed([], [])
        state.rows += len(rows.columns["pair"])
        state.last_recv_ns = max(state.last_recv_ns, rows.last_recv_ns)
        rows = self._bounded(framed, state, rows)
        calm = not len(rows.silence_ns) and all(pair.held is None for pair in state.pairs.values())
        if not calm or not self._swiftly(framed, state, exchange, rows):
            self._plainly(framed, state, exchange, rows)
        return framed

    def told(self, state: FramerState, exchange: str, told: Fetched | Blind) -> Framed:
        """Take what a live feed says of history or of blindness; history goes on as the one frame that it is.

        History that begins after a blindness did leaves that part blind. After history that reaches beyond all that
        was seen, the pair is blind again until its next row, unless the live stream was open already.
        """
        framed = Framed([], [])
        name = told.pair if isinstance(told, Blind) else told.frame.pair
        if self.pairs and name not in self.pairs:
            return framed
        pair = state.pairs.get(name)
        if pair is None and len(state.pairs) >= PAIRS_MAX:
            framed.rejects.append(Reject(0, TOO_MANY_PAIRS, f"{exchange}:{name}".encode()))
            return framed
        if pair is None:
            pair = state.pairs[name] = PairState()
        blind_from_ms = pair.blind_from_ms
        if isinstance(told, Blind):
            pair.blind_from_ms, pair.unproven = min(blind_from_ms or told.from_ms, told.from_ms), True
            return framed
        frame = told.frame
        if blind_from_ms and blind_from_ms < frame.whole_from_ms:
            frame.blind_from_ms = blind_from_ms
        if frame.low_ms >= pair.low_ms:
            pair.low_ms, pair.blind_from_ms = frame.low_ms, 0 if told.live else frame.low_ms
            pair.unproven &= not told.live
        framed.frames.append(frame)
        return framed

    def _bounded(self, framed: Framed, state: FramerState, rows: MarketRows) -> MarketRows:
        """Pairs beyond the limit are no market's but a broken or hostile sender's: their rows go to quarantine."""
        fresh = [name for name in rows.pairs if name not in state.pairs]
        room = PAIRS_MAX - len(state.pairs)
        if len(fresh) <= room:
            return rows
        refused = np.array([rows.pairs.index(name) for name in fresh[max(room, 0) :]], dtype=np.int64)
        out = np.isin(rows.columns["pair"], refused)
        for place in np.flatnonzero(out).tolist():
            row = {name: column[place].item() for name, column in rows.columns.items()}
            framed.rejects.append(_reject(rows.pairs[row["pair"]], row, TOO_MANY_PAIRS))
        keep = [name for name in rows.pairs if rows.pairs.index(name) not in refused]
        renumber = np.array([keep.index(name) if name in keep else -1 for name in rows.pairs] + [-1], dtype=np.int64)
        columns = {name: column[~out] for name, column in rows.columns.items()}
        columns["pair"] = renumber[columns["pair"]]
        return rows._replace(pairs=keep, columns=columns)

    def _swiftly(self, framed: Framed, state: FramerState, exchange: str, rows: MarketRows) -> bool:
        """The kernel's road; False, and nothing changed, where it gives up."""
        names = [*rows.pairs, *sorted(state.pairs.keys() - set(rows.pairs))]
        pairs = [state.pairs.get(name) or PairState() for name in names]
        known = np.array([name in state.pairs for name in names], dtype=np.bool_)
        lows = np.array([pair.low_ms for pair in pairs], dtype=np.int64)
        bids = np.array([pair.bid for pair in pairs])
        asks = np.array([pair.ask for pair in pairs])
        folded = fold(rows.columns, lows, bids, asks, known, self.spans)
        if folded is None:
            return False
        order, columns = folded.order, rows.columns
        if len(order) == len(columns["kind"]) and len(rows.pairs) == 1:
            trades = {name: columns[name] for name in TRADE_COLUMNS}
        else:
            trades = {name: columns[name][order] for name in TRADE_COLUMNS}
        trades["bid"], trades["ask"] = folded.bids, folded.asks
        cuts: dict[int, list[tuple[int, int]]] = {}
        for which, at, low_ms in zip(*(part.tolist() for part in folded[4:]), strict=True):
            cuts.setdefault(which, []).append((at, low_ms))
        start = 0
        for which, (name, pair) in enumerate(zip(names, pairs, strict=True)):
            end = int(folded.ends[which])
            if not self.pairs or name in self.pairs:
                state.pairs[name] = pair
                for at, low_ms in cuts.get(which, ()):
                    self._emit(framed, (exchange, name), pair, trades, (start, at), low_ms)
                    start = at
                if start < end:
                    self._emit(framed, (exchange, name), pair, trades, (start, end), 0)
                pair.bid, pair.ask = float(bids[which]), float(asks[which])
            start = end
        return True

    def _plainly(self, framed: Framed, state: FramerState, exchange: str, rows: MarketRows) -> None:
        """The road that one can read: pair by pair."""
        pair_of, columns = rows.columns["pair"], rows.columns
        silences = _first_rows_after(rows)
        everyone = np.flatnonzero(pair_of == -1)
        for number, pair in enumerate(rows.pairs):
            if self.pairs and pair not in self.pairs:
                continue
            places = np.flatnonzero((pair_of == number) | (pair_of == -1))
            if pair not in state.pairs:  # a pair is observed from its first own row on, wherever blocks are cut
                places = places[places >= np.argmax(pair_of == number)]
            picked = {name: column[places] for name, column in columns.items()}
            pair_state = state.pairs.setdefault(pair, PairState())
            self._pair(framed, state, (exchange, pair), pair_state, picked, np.searchsorted(places, silences))
        others = state.pairs.keys() - set(rows.pairs)
        if others and (len(everyone) or len(silences)):
            picked = {name: column[everyone] for name, column in columns.items()}
            for pair in sorted(others):
                cuts = np.searchsorted(everyone, silences)
                self._pair(framed, state, (exchange, pair), state.pairs[pair], picked, cuts)

    def finish(self, state: FramerState, exchange: str) -> Framed:
        """The input has ended: a first row that still waits for a neighbour is let through, any other is set aside."""
        framed = Framed([], [])
        for pair, pair_state in state.pairs.items():
            held, pair_state.held = pair_state.held, None
            if held is not None and pair_state.low_ms == 0:
                rows = {name: np.array([value]) for name, value in held.items()}
                self._cut(framed, (exchange, pair), pair_state, rows, np.empty(0, dtype=np.int64))
            elif held is not None:
                state.implausible += 1
                framed.rejects.append(_reject(pair, held, IMPLAUSIBLE))
        return framed

    def _pair(
        self,
        framed: Framed,
        state: FramerState,
        key: tuple[str, str],
        pair: PairState,
        rows: Columns,
        silences: NDArray[np.intp],
    ) -> None:
        """Set aside what no neighbour confirms, then cut."""
        kept = confirm(pair, rows, self.spans)
        state.implausible += len(kept.refused)
        framed.rejects.extend(_reject(key[1], row, IMPLAUSIBLE) for row in kept.refused)
        self._cut(framed, key, pair, kept.rows, np.searchsorted(kept.places, silences))

    def _cut(
        self, framed: Framed, key: tuple[str, str], pair: PairState, rows: Columns, silences: NDArray[Any]
    ) -> None:
        """Cut one pair's rows at a silence, and where other messages than its trades prove that a boundary passed."""
        kind, time_ms = rows["kind"], rows["timestamp_ms"]
        is_trade = kind == TRADE
        trades = np.flatnonzero(is_trade)
        proof = np.where(is_trade, time_ms, np.where(time_ms > 0, time_ms - self.spans.grace_ms, 0))
        reached = np.maximum.accumulate(np.concatenate(([pair.low_ms], proof))) // self.spans.boundary_ms
        crossings = np.flatnonzero(~is_trade & (reached[1:] > reached[:-1]))
        met = _quotes_met(pair, rows, trades)
        start = 0
        for stop, low_ms, silent in _cuts(crossings, proof, silences):
            end = int(np.searchsorted(trades, stop))
            self._emit(framed, key, pair, met, (start, end), low_ms)
            start = end
            if silent:
                pair.blind_from_ms = pair.blind_from_ms or pair.low_ms
        if start < len(trades):
            self._emit(framed, key, pair, met, (start, len(trades)), 0)

    def _emit(
        self,
        framed: Framed,
        key: tuple[str, str],
        pair: PairState,
        trades: Columns,
        span: tuple[int, int],
        low_ms: int,
    ) -> None:
        start, end = span
        times = trades["timestamp_ms"][start:end]
        low = max(pair.low_ms, low_ms, int(times.max()) if end > start else 0)
        if end == start and low == pair.low_ms:
            return
        cut = {name: trades[name][start:end] for name in TRADE_COLUMNS}
        framed.frames.append(Frame("trades", *key, low, cut, pair.blind_from_ms))
        pair.low_ms = low
        if end > start or not pair.unproven:
            pair.blind_from_ms, pair.unproven = 0, False

    def snapshot(self, state: FramerState) -> bytes:
        """The state as bytes."""
        pairs = {
            name: [p.low_ms, p.bid, p.ask, p.blind_from_ms, p.unproven, p.held, p.witnesses]
            for name, p in sorted(state.pairs.items())
        }
        return pack(
            self.name,
            self.version,
            {"pairs": pairs, "rows": state.rows, "implausible": state.implausible, "recv": state.last_recv_ns},
        )

    def restore(self, data: bytes) -> FramerState:
        """The state that `snapshot` wrote."""
        parts = unpack(self.name, self.version, data)
        state = FramerState()
        state.rows, state.implausible, state.last_recv_ns = parts["rows"], parts["implausible"], parts["recv"]
        for name, (low_ms, bid, ask, blind_from_ms, unproven, held, witnesses) in parts["pairs"].items():
            pair = state.pairs[name] = PairState()
            pair.low_ms, pair.bid, pair.ask, pair.blind_from_ms = low_ms, bid, ask, blind_from_ms
            pair.unproven, pair.held, pair.witnesses = unproven, held, witnesses
        return state

    def counts(self, state: FramerState) -> dict[str, int]:
        """Rows that came, and rows that were set aside for good."""
        return {"rows": state.rows, "implausible": state.implausible}


def _cuts(crossings: NDArray[np.intp], proof: NDArray[np.int64], silences: NDArray[Any]) -> list[tuple[int, int, bool]]:
    """Where to cut: (before which row, the low that is proved there or 0, whether a silence ended there), in order."""
    cuts = [(int(at), int(proof[at]), False) for at in crossings]
    cuts += [(int(at), 0, True) for at in silences]
    return sorted(cuts, key=lambda cut: (cut[0], not cut[2]))


def _quotes_met(pair: PairState, rows: Columns, trades: NDArray[np.intp]) -> Columns:
    """The trades, each with the best prices that had arrived before it; remembers the last for the next block."""
    met = {name: rows[name][trades] for name in TRADE_COLUMNS}
    quotes = np.flatnonzero(rows["kind"] == QUOTE)
    last = np.searchsorted(quotes, trades) - 1
    for side in ("bid", "ask"):
        known = getattr(pair, side)
        prices = np.concatenate(([known], rows[side][quotes]))
        met[side] = prices[last + 1]
        setattr(pair, side, float(prices[-1]))
    return met


def _first_rows_after(rows: MarketRows) -> NDArray[np.intp]:
    """The first row at or after each silence's end."""
    if not len(rows.silence_ns):
        return np.empty(0, dtype=np.intp)
    recv_ms = rows.columns["recv_ms"]
    found = [np.flatnonzero(recv_ms >= end_ns // 1_000_000) for _, end_ns in rows.silence_ns]
    return np.array([places[0] if len(places) else len(recv_ms) for places in found], dtype=np.intp)


def _reject(pair: str, row: dict[str, Any], reason: str) -> Reject:
    from msgspec.json import encode

    plain = {name: None if value != value else value for name, value in row.items() if name != "pair"}
    return Reject(int(row["recv_ms"]) * 1_000_000, reason, encode({"pair": pair, **plain}))
