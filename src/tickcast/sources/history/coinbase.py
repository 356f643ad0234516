"""Walks through Coinbase Advanced Trade's history. Pages have no cursor: trades come newest first within seconds.

    start        end                 a full page has lost its beginning: the span is made smaller, down to one second
    |------------|
               |------------|        spans overlap by a second, and what stands twice is dropped by its id

More trades in one second than a page holds can not be had: the newest of them are given, the others stay marked.
"""

from __future__ import annotations

import msgspec

from tickcast.events import Columns
from tickcast.sources.history.contract import After, Part, Request
from tickcast.sources.history.steps import CandlesSteps, TradesSteps, no_such_span, unreadable
from tickcast.sources.venues.contract import Listing

LIMIT = 1000
SPAN_S_FIRST, SPAN_S_MAX = 60, 86_400
_SPANS = {
    60: "ONE_MINUTE", 300: "FIVE_MINUTE", 900: "FIFTEEN_MINUTE", 1800: "THIRTY_MINUTE", 3600: "ONE_HOUR",
    7200: "TWO_HOUR", 21_600: "SIX_HOUR", 86_400: "ONE_DAY",
}  # fmt: skip
_MARKET = "/api/v3/brokerage/market/products"

TIME = Request("/api/v3/brokerage/time", (), 1)
LISTINGS = Request(_MARKET, (("product_type", "SPOT"),), 1)


class _Product(msgspec.Struct):
    product_id: str
    base: str = msgspec.field(name="base_currency_id", default="")
    quote: str = msgspec.field(name="quote_currency_id", default="")
    status: str = "online"
    is_disabled: bool = False
    trading_disabled: bool = False
    alias: str = ""


class _Products(msgspec.Struct):
    products: list[_Product]


class _Time(msgspec.Struct):
    millis: str | int = msgspec.field(name="epochMillis")


_products = msgspec.json.Decoder(_Products)
_time = msgspec.json.Decoder(_Time)


class TradesWalk(TradesSteps):
    """Trades after what is known, oldest first."""

    exchange = "coinbase"

    def __init__(self, pair: str, after: After, until_ms: int = 0) -> None:
        super().__init__(pair, after, until_ms)
        self._start_s = self.from_ms // 1000
        self._span_s = SPAN_S_FIRST
        self._overlap_s = 1

    def _request(self) -> Request:
        span = (("start", str(self._start_s - self._overlap_s)), ("end", str(self._end_s())))
        return Request(f"{_MARKET}/{self.pair}/ticker", (("limit", str(LIMIT)), *span), 1)

    def take(self, raw: bytes, asked_ms: int) -> Part | None:
        """Read the answer to `request`."""
        rows = self._read(raw)
        count = len(rows["trade_id"])
        crowded = count >= LIMIT and not self._joins(rows)
        if crowded and self._shrink(rows):
            return None
        if not self._believed(rows):
            return None
        end_ms = self._end_s() * 1000
        reached_end = end_ms > asked_ms
        to_ms = max(asked_ms, int(rows["timestamp_ms"].max()) if count else 0) if reached_end else end_ms
        if crowded:
            self._skip_to(int(rows["timestamp_ms"].min()) + 1)
        self._go_on(count)
        if not count and not reached_end and not 0 < self.until_ms <= to_ms:
            return None
        return self._part(raw, rows, to_ms, reached_end=reached_end)

    def _go_back(self) -> None:
        if self._overlap_s:  # else it is one crowded second, and asked for as such
            self._start_s = min(self._start_s, self.known_ms // 1000)

    def _end_s(self) -> int:
        end_s = self._start_s + self._span_s
        return min(end_s, max(-(-self.until_ms // 1000), self._start_s + 1)) if self.until_ms else end_s

    def _shrink(self, rows: Columns) -> bool:
        """Ask for less after a full page; False: it can not be less."""
        span_s = self._end_s() - self._start_s
        if span_s > 1:
            told_s = self._end_s() - int(rows["timestamp_ms"].min()) / 1000
            self._span_s = max(1, min(span_s // 2, int(told_s * 0.8)))
            return True
        if self._overlap_s:
            self._overlap_s = 0
            return True
        return False

    def _skip_to(self, known_from_ms: int) -> None:
        """The beginning of a crowded second can not be had."""
        self._note(
            f"more than {LIMIT} trades in the second from {self._start_s} (Unix time), of which the venue gives the "
            "newest only; the window they belong to stays partial"
        )
        self.from_ms = max(self.from_ms, known_from_ms)

    def _go_on(self, count: int) -> None:
        self._start_s, self._overlap_s = self._end_s(), 1
        if count < LIMIT // 4:
            self._span_s = min(self._span_s * 2, SPAN_S_MAX)
        elif count > LIMIT * 7 // 10:
            self._span_s = max(1, self._span_s * 3 // 4)


class CandlesWalk(CandlesSteps):
    """Candles by time; minutes without trades are left out by the venue."""

    exchange = "coinbase"
    at_once = 300

    def __init__(self, pair: str, seconds: int, from_ms: int, to_ms: int) -> None:
        super().__init__(pair, seconds, from_ms, to_ms)
        if seconds not in _SPANS:
            raise no_such_span(self.exchange, seconds, ", ".join(map(str, _SPANS)))

    def _request(self, from_ms: int, end_ms: int) -> Request:
        span = (("start", str(from_ms // 1000)), ("end", str(end_ms // 1000 - 1)))
        return Request(f"{_MARKET}/{self.pair}/candles", (*span, ("granularity", _SPANS[self.seconds])), 1)


def read_time(raw: bytes) -> int:
    """The venue's clock.

    >>> read_time(b'{"iso":"2026-04-07T00:28:59Z","epochSeconds":"1775521739","epochMillis":"1775521739123"}')
    1775521739123
    """
    try:
        return int(_time.decode(raw).millis)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as exc:
        raise unreadable("coinbase", "the time", str(exc)) from exc


def read_listings(raw: bytes) -> tuple[Listing, ...]:
    """All pairs; an alias names the product whose data it really returns."""
    try:
        products = _products.decode(raw).products
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise unreadable("coinbase", "the listings", str(exc)) from exc
    return tuple(
        Listing(
            one.product_id,
            one.base or one.product_id.partition("-")[0],
            one.quote or one.product_id.partition("-")[2],
            one.status == "online" and not one.is_disabled and not one.trading_disabled,
            one.alias,
        )
        for one in products
    )


def read_limit(raw: bytes) -> float:  # noqa: ARG001
    """The listings say nothing of limits."""
    return 0.0
