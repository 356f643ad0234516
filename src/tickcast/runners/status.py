"""What a running system says of itself: rates, newest candles, lags, connections. Plain data."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from tickcast.clock import Clock
from tickcast.events import QUALITY, Frame
from tickcast.runners.pipeline import Outputs
from tickcast.runners.retraining import RetrainingSeen
from tickcast.sources.history.budget import HostUse
from tickcast.sources.live.contract import ConnectionStatus, LiveStatus

RATE_SPAN_S = 5.0
LAGS_KEPT = 2000
CLOSES_KEPT = 60


class CandleSeen(msgspec.Struct):
    """The newest candle of one pair and length."""

    exchange: str
    pair: str
    candle_seconds: int
    window_start_ms: int
    close: float
    volume: float
    trade_count: int
    quality: str
    revision: int
    rsi_14: float | None = None
    change: float | None = None


class LagSeen(msgspec.Struct, frozen=True):
    """Milliseconds from when messages were handed in until all that follows from them was computed, a batch each."""

    p50: float
    p99: float
    worst: float


class DiskSeen(msgspec.Struct, frozen=True):
    """What journal and store last brought to the disk, and the room that is left there."""

    free_bytes: int
    synced_age_s: float
    """Since the disk had all that was journaled."""
    unsynced_s: float
    """How long the oldest line that it may not have yet has waited."""
    committed_age_s: float
    """Since the last checkpoint."""


class FetchSeen(msgspec.Struct, frozen=True):
    """History of one pair that is not all there yet."""

    exchange: str
    pair: str
    state: str
    """`asking`, `waiting` (for its turn) or `again` (it could not be had, and is asked again)."""
    share: float
    """How much of it is there."""
    rows: int = 0
    live: bool = False
    """The pair is live beside it."""
    again_s: float = 0.0
    """Until it is asked again."""
    why: str = ""
    """Why it could not be had the last time."""


class Shown(msgspec.Struct, frozen=True):
    """All of it at one moment, between two pumps: the terminal, /health, /ready and /metrics read nothing else."""

    phase: str
    """`live` once all that is waited for is through; before that what is being done."""
    taken_s: float
    """When this was taken, on the clock's monotonic scale."""
    now_ms: int
    """The same moment by the clock that the feeds read."""
    simulated: bool = False
    """The market is made up: whoever looks must be told."""
    address: str = ""
    data_dir: str = ""
    uptime_s: float = 0.0
    speed: float = 1.0
    """Market seconds a second."""
    history_share: float | None = None
    """How much of the history that the start wants is there; None: it wants none."""
    fetching: tuple[FetchSeen, ...] = ()
    """What of history is not there yet, those first that wait for it to go live."""
    hosts: tuple[HostUse, ...] = ()
    """How much of each host's budget for requests is used."""
    requests: dict[str, int] = {}
    """Requests for history by host and outcome."""
    wait_ms: int = 0
    """How far a quiet pair's time may stand behind: until a candle's end is reached and its grace is over."""
    market_ms: int = 0
    """How far the newest message has come, by its time of receipt."""
    messages: int = 0
    """That came since the start, without what was read again from the journal."""
    rate: float = 0.0
    received: dict[str, int] = {}
    """Messages by exchange, with what was read again from the journal."""
    lag: LagSeen = LagSeen(0.0, 0.0, 0.0)
    rows: dict[str, int] = {}
    candles: tuple[CandleSeen, ...] = ()
    closes: dict[tuple[str, str], tuple[float, ...]] = {}
    volatility: dict[tuple[str, str], float] = {}
    qualities: dict[tuple[str, str], int] = {}
    """Candles by exchange and quality, each time that one was issued."""
    quarantined: dict[str, dict[str, int]] = {}
    stages: dict[str, dict[str, int]] = {}
    pairs: tuple[tuple[str, str], ...] = ()
    """The pairs that are read, by exchange; none: those of the sockets, and without sockets all that there are."""
    lows: dict[str, int] = {}
    """How far each key's time has come."""
    disk: DiskSeen = DiskSeen(0, 0.0, 0.0, 0.0)
    notes: tuple[str, ...] = ()
    live: LiveStatus | None = None
    """Of sockets; None where there are none."""
    retraining: RetrainingSeen | None = None
    """Of the training beside the flow; None where nothing is retrained."""


def fetching_text(one: FetchSeen, age_s: float = 0.0) -> str:
    """How far the history of a pair is, in words.

    >>> fetching_text(FetchSeen("kraken", "BTC/USD", "asking", 0.42, 12_345))
    '42% fetched, 12,345 rows, not live before'
    """
    state = {"waiting": ", waits for its turn", "again": f", asked again in {max(0.0, one.again_s - age_s):.0f} s"}
    why = f" ({one.why})" if one.why else ""
    beside = "" if one.live else ", not live before"
    return f"{one.share:.0%} fetched, {one.rows:,} rows{beside}{state.get(one.state, '')}{why}"


def host_text(one: HostUse) -> str:
    """How much of a host's budget is used, in words.

    >>> host_text(HostUse("kraken api.kraken.com", 3.0, 3.0, 3.3, 12.2, 5))
    'kraken api.kraken.com: 3 of 3 used in 3.3 s, 5 requests wait, to be left alone for 12 s'
    """
    waiting = f", {one.waiting} request{'s wait' if one.waiting > 1 else ' waits'}" if one.waiting else ""
    blocked = f", to be left alone for {one.blocked_s:.0f} s" if one.blocked_s else ""
    return f"{one.host}: {one.used:g} of {one.allowed:g} used in {one.span_s:g} s{waiting}{blocked}"


def requests_of(shown: Shown) -> dict[str, int]:
    """Requests for history by host and outcome: of the live feed's repairs, and of all others where they are told."""
    return {**(shown.live.requests if shown.live is not None else {}), **shown.requests}


def current(connections: Iterable[ConnectionStatus]) -> list[ConnectionStatus]:
    """Those that carry something: one that another has taken over, or is being made to take over, is left out."""
    every = list(connections)
    carried = {(one.exchange, pair) for one in every if one.state == "open" for pair in one.pairs}
    return [
        one
        for one in every
        if one.state == "open" or not one.pairs or any((one.exchange, pair) not in carried for pair in one.pairs)
    ]


def pairs_read(shown: Shown) -> list[tuple[str, str]]:
    """The pairs that are read now, by exchange: others of the same data directory may long have ended."""
    live = () if shown.live is None else ((one.exchange, one.pair) for one in shown.live.pairs)
    found = {*shown.pairs, *live}
    if not found and shown.live is None:
        found = {(exchange, pair) for exchange, _, pair in (key.partition(":") for key in shown.lows)}
    return sorted(found)


def data_age_ms(shown: Shown, exchange: str, pair: str, age_s: float = 0.0) -> float | None:
    """How far what was computed of a pair stands behind its venue's clock; None: there is nothing yet.

    Where nothing measures that clock, as in a market that is made up, it is the newest message's time of receipt.
    """
    low_ms = shown.lows.get(f"{exchange}:{pair}", 0)
    if not low_ms:
        return None
    if shown.live is None:
        return shown.market_ms - low_ms + age_s * 1000 * shown.speed
    offset = offset_of(shown.live, exchange)
    return shown.now_ms + (offset[0] if offset else 0.0) + age_s * 1000 * shown.speed - low_ms


def offset_of(live: LiveStatus, exchange: str) -> tuple[float, float] | None:
    """A venue's clock less ours and how sure that is, by its best-measured connection; None: not measured yet."""
    measured = [
        (one.offset_ms, float("inf") if one.offset_error_ms is None else one.offset_error_ms)
        for one in live.connections
        if one.exchange == exchange and one.offset_ms is not None
    ]
    return min(measured, key=lambda pair: pair[1], default=None)


class Status:
    """Counts as they grow; rates over the last seconds of the machine's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.rows: dict[str, int] = {}
        self.candles: dict[tuple[str, str, int], CandleSeen] = {}
        self.closes: dict[tuple[str, str], deque[float]] = {}
        self._tracked: dict[tuple[str, str], int] = {}  # the newest window whose close is in the line
        self.volatility: dict[tuple[str, str], float] = {}
        self.qualities: dict[tuple[str, str], int] = {}
        self.quarantined = 0
        self._marks: deque[tuple[float, int]] = deque(maxlen=600)
        self._lags_ms: deque[float] = deque(maxlen=LAGS_KEPT)

    def note(self, exchange: str, outputs: Outputs) -> None:
        """Take in what one block gave."""
        self.quarantined += len(outputs.rejects)
        for frame in outputs.frames:
            self.rows[frame.kind] = self.rows.get(frame.kind, 0) + len(frame)
            if frame.kind == "candles":
                self._candle(exchange, frame)
            elif frame.kind == "technical_indicators":
                self._indicator(exchange, frame)
            elif frame.kind == "ticks_features":
                self.volatility[exchange, frame.pair] = float(frame.columns["rolling_vol_60s"][-1])

    def _candle(self, exchange: str, frame: Frame) -> None:
        """The newest window of each length; a candle issued again counts only where it still is the newest."""
        columns = frame.columns
        for place, count in enumerate(np.bincount(columns["quality"], minlength=len(QUALITY)).tolist()):
            if count:
                self.qualities[exchange, QUALITY[place]] = self.qualities.get((exchange, QUALITY[place]), 0) + count
        starts = columns["window_start_ms"].tolist()
        newest: dict[int, int] = {}
        for row, seconds in enumerate(columns["candle_seconds"].tolist()):
            if seconds not in newest or starts[row] >= starts[newest[seconds]]:
                newest[seconds] = row
        for seconds, row in newest.items():
            key = (exchange, frame.pair, seconds)
            before = self.candles.get(key)
            if before is not None and starts[row] < before.window_start_ms:
                continue
            seen = CandleSeen(
                exchange,
                frame.pair,
                seconds,
                int(columns["window_start_ms"][row]),
                float(columns["close"][row]),
                float(columns["volume"][row]),
                int(columns["trade_count"][row]),
                QUALITY[int(columns["quality"][row])],
                int(columns["revision"][row]),
            )
            if before is not None and seen.window_start_ms == before.window_start_ms:
                seen.change, seen.rsi_14 = before.change, before.rsi_14
            elif before is not None and before.close:
                seen.change = seen.close / before.close - 1.0
            self.candles[key] = seen
        self._track(exchange, frame)

    def _track(self, exchange: str, frame: Frame) -> None:
        """The last closes of the shortest candles, each window's once."""
        columns, key = frame.columns, (exchange, frame.pair)
        shortest = min(seconds for of, pair, seconds in self.candles if (of, pair) == key)
        of = columns["candle_seconds"] == shortest
        starts = columns["window_start_ms"][of]
        reached = np.maximum.accumulate(np.append(self._tracked.get(key, -1), starts))
        self._tracked[key] = int(reached[-1])
        closes = columns["close"][of][starts > reached[:-1]][-CLOSES_KEPT:].tolist()
        self.closes.setdefault(key, deque(maxlen=CLOSES_KEPT)).extend(closes)

    def _indicator(self, exchange: str, frame: Frame) -> None:
        columns = frame.columns
        rows = zip(*(columns[name].tolist() for name in ("candle_seconds", "window_start_ms", "rsi_14")), strict=True)
        for seconds, start_ms, rsi in rows:
            seen = self.candles.get((exchange, frame.pair, seconds))
            if seen is not None and seen.window_start_ms == start_ms:
                seen.rsi_14 = None if rsi != rsi else rsi

    def spent(self, seconds: float) -> None:
        """Take in how long one pump's messages took."""
        self._lags_ms.append(seconds * 1000)

    def lag(self) -> LagSeen:
        """Over the last pumps; zeros before the first."""
        ranked = sorted(list(self._lags_ms)) or [0.0]  # noqa: C414 - a copy at once, whoever appends meanwhile
        return LagSeen(*(round(ranked[min(len(ranked) - 1, int(len(ranked) * q))], 3) for q in (0.5, 0.99, 1.0)))

    def rate(self, total: int) -> float:
        """Messages a second over the last seconds, given how many came in all."""
        now = self._clock.monotonic_s()
        self._marks.append((now, total))
        while len(self._marks) > 2 and now - self._marks[0][0] > RATE_SPAN_S:
            self._marks.popleft()
        (_, before), span = self._marks[0], now - self._marks[0][0]
        return (total - before) / span if span > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For /health, which another thread asks: what grows meanwhile is copied first."""
        return {
            "rows": dict(self.rows),
            "quarantined": self.quarantined,
            "lag_ms": msgspec.to_builtins(self.lag()),
            "candles": [msgspec.to_builtins(seen) for seen in list(self.candles.values())],
        }
