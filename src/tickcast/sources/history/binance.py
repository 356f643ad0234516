"""Walks through Binance's history: aggTrades by aggregate id, klines by time.

An id is found by asking for a small span of time; from there on pages follow by `fromId`. With a span, `limit` counts
from its end, not its beginning, and spans over an hour are refused: so a span whose page is full is made smaller.

    startTime ─→ |--------| full: the beginning may be missing
                 |-| not full ─→ fromId=a ─→ full page ─→ fromId=a' ─→ short page ─→ short again: that is the end

Each page begins at the first row of the millisecond at which the one before ended, so that none is told in halves.
Where ids begin anew, they lead to the end of the old ones only: a quiet end is believed when the newest page agrees.
"""

from __future__ import annotations

import msgspec
import numpy as np

from tickcast.events import CANDLES, Columns
from tickcast.sequences import RESTART_MS, begins_anew
from tickcast.sources.history.contract import After, Part, Request
from tickcast.sources.history.steps import CandlesSteps, TradesSteps, no_such_span, unreadable
from tickcast.sources.venues.contract import Listing

LIMIT = 1000
SPAN_MS_FIRST, SPAN_MS_MAX = 60_000, 3_600_000
QUIET_SPANS = 3
"""After so many empty hours one asks for the pair's very first trade."""
_SPANS = {
    1: "1s", 60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14_400: "4h",
    21_600: "6h", 28_800: "8h", 43_200: "12h", 86_400: "1d",
}  # fmt: skip


class _Mark(msgspec.Struct, gc=False):
    aggregate_id: int = msgspec.field(name="a")
    ms: int = msgspec.field(name="T")


class _Symbol(msgspec.Struct):
    symbol: str
    status: str
    base: str = msgspec.field(name="baseAsset")
    quote: str = msgspec.field(name="quoteAsset")
    spot: bool = msgspec.field(name="isSpotTradingAllowed", default=True)


class _RateLimit(msgspec.Struct):
    kind: str = msgspec.field(name="rateLimitType")
    interval: str
    count: int = msgspec.field(name="intervalNum")
    limit: int


class _Info(msgspec.Struct):
    symbols: list[_Symbol]
    limits: list[_RateLimit] = msgspec.field(name="rateLimits", default_factory=list)


class _Time(msgspec.Struct):
    time: int = msgspec.field(name="serverTime")


_marks = msgspec.json.Decoder(list[_Mark])
_info = msgspec.json.Decoder(_Info)
_time = msgspec.json.Decoder(_Time)

TIME = Request("/api/v3/time", (), 1)
LISTINGS = Request("/api/v3/exchangeInfo", (("permissions", "SPOT"), ("showPermissionSets", "false")), 20)


class TradesWalk(TradesSteps):
    """Aggregates after what is known, oldest first."""

    exchange = "binance"

    def __init__(self, pair: str, after: After, until_ms: int = 0) -> None:
        super().__init__(pair, after, until_ms)
        self._ask_ms, self._span_ms = self.from_ms, SPAN_MS_FIRST
        self._cursor = -1  # the aggregate id to go on from; -1: not found yet
        self._short = False  # the page before was not full
        self._quiet = 0
        self._probing = self._crossing = False
        self._timed = False  # the end was reached by time, so that no ids are beyond it
        self._end: tuple[bytes, Columns, int] | None = None  # the end as ids tell it, until the newest page agrees

    def _request(self) -> Request:
        where: tuple[tuple[str, str], ...] = (("limit", str(LIMIT)),)
        if self._end is not None:
            pass  # the newest there are
        elif self._probing:
            where = (("fromId", "0"), ("limit", "1"))
        elif self._cursor >= 0:
            where = (("fromId", str(self._cursor)), ("limit", str(LIMIT)))
        else:
            end_ms = self._ask_ms + self._span_ms - 1
            where = (("startTime", str(self._ask_ms)), ("endTime", str(end_ms)), ("limit", str(LIMIT)))
        return Request("/api/v3/aggTrades", (("symbol", self.pair), *where), 4)

    def _go_back(self) -> None:
        self._cursor, self._ask_ms, self._span_ms, self._short = -1, self.known_ms, SPAN_MS_FIRST, False

    def take(self, raw: bytes, asked_ms: int) -> Part | None:
        """Read the answer to `request`."""
        rows = self._read(raw)
        marks: list[_Mark] = _marks.decode(raw)
        if self._end is not None:
            return self._judged(rows, self._end)
        if self._probing:
            return self._probed(marks)
        full = len(marks) >= LIMIT
        by_time = self._cursor < 0
        if by_time and full and not self._joins(rows) and self._span_ms > 1:
            self._span_ms = max(1, self._span_ms // 8)
            return None
        if not self._believed(rows):
            return None
        end_ms = self._ask_ms + self._span_ms
        quiet = not marks or (self._crossing and not self.seam.has_new(rows))
        if quiet and by_time and end_ms <= asked_ms:
            return self._quiet_span(raw, rows, end_ms)
        self._timed = by_time and not full and end_ms > asked_ms
        self._crossing = False
        short = not full and (not by_time or end_ms > asked_ms)
        return self._page(raw, rows, marks, asked_ms, ended=short and self._short, short=short)

    def _page(
        self, raw: bytes, rows: Columns, marks: list[_Mark], asked_ms: int, *, ended: bool, short: bool
    ) -> Part | None:
        """A page is the last one where it and the one before were not full: a torn one would look so once."""
        self._short = short
        last_ms, stuck = marks[-1].ms if marks else self.from_ms, False
        if marks:
            same_ms = next((at for at in range(len(marks), 0, -1) if marks[at - 1].ms != last_ms), 0)
            stuck = same_ms == 0 and len(marks) >= LIMIT
            self._cursor = marks[-1].aggregate_id + 1 if stuck else marks[same_ms].aggregate_id
        if ended and not self._timed and asked_ms - max(last_ms, self.known_ms) > RESTART_MS:
            self._end = raw, rows, max(asked_ms, last_ms)
            return None
        if ended:
            return self._part(raw, rows, max(asked_ms, last_ms), reached_end=True)
        reached_until = 0 < self.until_ms <= last_ms
        if stuck and not reached_until and self._crowd(raw, rows):
            return None
        if reached_until or self.seam.has_new(rows):
            return self._part(raw, rows, last_ms)
        return None

    def _judged(self, rows: Columns, end: tuple[bytes, Columns, int]) -> Part | None:
        """The newest page: whether it is of the ids that led to the end; if not, time leads on."""
        self._end = None
        last = end[1]
        known_id = max(self.seam.last_id, int(last["trade_id"].max(initial=-1)))
        known_ms = max(self.known_ms, int(last["timestamp_ms"].max(initial=0)))
        if not np.any(begins_anew(rows["trade_id"], rows["timestamp_ms"], known_id, known_ms)):
            return self._part(*end, reached_end=True)
        self._go_back()
        self._crossing = True
        return None

    def _quiet_span(self, raw: bytes, rows: Columns, end_ms: int) -> Part | None:
        """No trade in this span of time: look further on, in longer steps."""
        if 0 < self.until_ms <= end_ms:
            return self._part(raw, rows, end_ms)
        self._ask_ms = end_ms
        self._quiet += self._span_ms == SPAN_MS_MAX
        self._probing = self._quiet == QUIET_SPANS
        self._span_ms = min(self._span_ms * 4, SPAN_MS_MAX)
        return None

    def _probed(self, marks: list[_Mark]) -> Part | None:
        """The pair's first trade: before it nobody need look."""
        self._probing, self._quiet = False, QUIET_SPANS + 1
        if marks and marks[0].ms > self._ask_ms:
            self._ask_ms, self._span_ms = marks[0].ms, SPAN_MS_FIRST
        return None


class CandlesWalk(CandlesSteps):
    """Klines by time."""

    exchange = "binance"

    def __init__(self, pair: str, seconds: int, from_ms: int, to_ms: int) -> None:
        super().__init__(pair, seconds, from_ms, to_ms)
        if seconds not in _SPANS:
            raise no_such_span(self.exchange, seconds, ", ".join(map(str, _SPANS)))

    def _request(self, from_ms: int, end_ms: int) -> Request:
        span = (("startTime", str(from_ms)), ("endTime", str(end_ms - 1)), ("limit", str(LIMIT)))
        return Request("/api/v3/klines", (("symbol", self.pair), ("interval", _SPANS[self.seconds]), *span), 2)

    def _looks_cut(self, rows: Columns, from_ms: int, end_ms: int) -> bool:
        """Quiet windows are sent too: any that is missing may have been torn off."""
        return len(rows["window_start_ms"]) * self.step_ms < end_ms - from_ms


def bulk_path(what: str, pair: str, seconds: int, day: str) -> str:
    """Where the file of a whole day (`2024-10-28`) lies.

    >>> bulk_path("trades", "BTCUSDT", 0, "2024-10-28")
    '/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-10-28.zip'
    >>> bulk_path("candles", "BTCUSDT", 60, "2024-10-28")
    '/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-10-28.zip'
    """
    if what != CANDLES.name:
        return f"/data/spot/daily/aggTrades/{pair}/{pair}-aggTrades-{day}.zip"
    if seconds not in _SPANS:
        raise no_such_span("binance", seconds, ", ".join(map(str, _SPANS)))
    span = _SPANS[seconds]
    return f"/data/spot/daily/klines/{pair}/{span}/{pair}-{span}-{day}.zip"


def read_time(raw: bytes) -> int:
    """The venue's clock.

    >>> read_time(b'{"serverTime":1633998511098}')
    1633998511098
    """
    try:
        return _time.decode(raw).time
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise unreadable("binance", "the time", str(exc)) from exc


def read_listings(raw: bytes) -> tuple[Listing, ...]:
    """All pairs; those that are halted say so."""
    return tuple(
        Listing(one.symbol, one.base, one.quote, one.status == "TRADING") for one in _read_info(raw).symbols if one.spot
    )


def read_limit(raw: bytes) -> float:
    """The weight that a minute may have, as the listings say; 0: they do not."""
    minutes = [
        one.limit
        for one in _read_info(raw).limits
        if (one.kind, one.interval, one.count) == ("REQUEST_WEIGHT", "MINUTE", 1)
    ]
    return float(min(minutes, default=0))


def _read_info(raw: bytes) -> _Info:
    try:
        return _info.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise unreadable("binance", "the listings", str(exc)) from exc
