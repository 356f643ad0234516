"""Walks through Kraken's history: trades by a cursor of nanoseconds, and the newest 720 bars.

    since ─→ 1000 rows, `last` ─→ since ─→ ... ─→ fewer than 1000: that is the end

`last` is the time of a page's last row, so a page that was torn shows. The next page begins at the first nanosecond
of the millisecond at which the last one ended, so that none is told in halves; where a whole page is of one
millisecond, `last` is passed back verbatim.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tickcast.clock import utc_text
from tickcast.events import CANDLES
from tickcast.sources.history.contract import After, Part, Request
from tickcast.sources.history.steps import (
    CandlesSteps,
    NotKept,
    TradesSteps,
    no_such_span,
    read_answer,
    some,
    unreadable,
)
from tickcast.sources.pages.kraken import ends_at
from tickcast.sources.venues.contract import Listing

LIMIT = 1000
BARS = 720
_SPANS = (60, 300, 900, 1800, 3600, 14_400, 86_400)
_NS = 1_000_000
_OURS = {"XBT": "BTC", "XDG": "DOGE"}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}

TIME = Request("/0/public/Time", (), 1)
LISTINGS = Request("/0/public/AssetPairs", (), 1)


class _Pair(msgspec.Struct):
    wsname: str = ""
    status: str = "online"


class _Answer(msgspec.Struct):
    result: dict[str, Any]
    error: list[str] = []


class _Pairs(msgspec.Struct):
    result: dict[str, _Pair]
    error: list[str] = []


_answer = msgspec.json.Decoder(_Answer)
_pairs = msgspec.json.Decoder(_Pairs)


def rest_name(pair: str) -> str:
    """How REST names a pair that the socket and our configuration name in today's way.

    >>> rest_name("BTC/USD"), rest_name("ETH/DOGE")
    ('XBTUSD', 'ETHXDG')
    """
    return "".join(_THEIRS.get(part, part) for part in pair.split("/"))


class TradesWalk(TradesSteps):
    """Trades after what is known, oldest first."""

    exchange = "kraken"

    def __init__(self, pair: str, after: After, until_ms: int = 0) -> None:
        super().__init__(pair, after, until_ms)
        self._since = str(self.from_ms * _NS - 1)

    def _go_back(self) -> None:
        self._since = str(self.known_ms * _NS - 1)

    def _request(self) -> Request:
        params = (("pair", rest_name(self.pair)), ("since", self._since), ("count", str(LIMIT)))
        return Request("/0/public/Trades", params, 1)

    def take(self, raw: bytes, asked_ms: int) -> Part | None:
        """Read the answer to `request`."""
        rows = self._read(raw)
        cursor, end_us = ends_at(raw)
        times_ms, count = rows["timestamp_ms"], len(rows["trade_id"])
        last_ms = int(times_ms[-1]) if count else self.from_ms
        # a row's time is rounded, the cursor is not; of an empty page it is what was asked with
        cut = abs(int(cursor) // 1000 - end_us) > 1 if count else cursor != self._since
        if not self._believed(rows, cut=cut):
            return None
        if count < LIMIT:
            return self._part(raw, rows, max(asked_ms, last_ms), reached_end=True)
        stuck = int(times_ms[0]) == last_ms
        self._since = cursor if stuck else str(last_ms * _NS - 1)
        if stuck and not 0 < self.until_ms <= last_ms and self._crowd(raw, rows):
            return None
        return self._part(raw, rows, last_ms)


class CandlesWalk(CandlesSteps):
    """The newest bars; what is older has to be built from trades."""

    exchange = "kraken"
    at_once = BARS

    def __init__(self, pair: str, seconds: int, from_ms: int, to_ms: int) -> None:
        super().__init__(pair, seconds, from_ms, to_ms)
        if seconds not in _SPANS:
            raise no_such_span(self.exchange, seconds, ", ".join(map(str, _SPANS)))

    def _request(self, from_ms: int, end_ms: int) -> Request:  # noqa: ARG002
        params = (
            ("pair", rest_name(self.pair)),
            ("interval", str(self.seconds // 60)),
            ("since", str(from_ms // 1000 - self.seconds)),
        )
        return Request("/0/public/OHLC", params, 1)

    def take(self, raw: bytes, asked_ms: int) -> Part | None:
        """Read the only answer there is."""
        rows = read_answer(self.exchange, CANDLES.name, self.pair, self.seconds, raw)
        starts = rows["window_start_ms"]
        if not len(starts):
            if not self._asked_again:
                self._asked_again = True
                return None
            self.to_ms = self.from_ms
            return None
        first_ms, told_ms = int(starts[0]), int(starts[-1]) + self.step_ms
        wanted_ms, end_ms = self.from_ms, min(self.to_ms, told_ms)
        self.from_ms = self.to_ms  # there is no second page
        if first_ms > wanted_ms:
            self.refusal = _too_old(self.pair, self.seconds, first_ms)
        from_ms = max(first_ms, wanted_ms)
        if from_ms >= end_ms:
            return None
        rows = some(rows, (starts >= from_ms) & (starts < end_ms))
        reached_end = end_ms + self.step_ms > asked_ms
        return Part(CANDLES.name, self.pair, self.seconds, from_ms, end_ms, (raw,), rows, reached_end)


def _too_old(pair: str, seconds: int, first_ms: int) -> NotKept:
    return NotKept(
        "kraken/history",
        f"keeps only the newest {BARS} candles of {seconds} seconds of {pair}, from {utc_text(first_ms)} on",
        "fetch what is older as trades: tickcast backfill --what trades",
    )


def read_time(raw: bytes) -> int:
    """The venue's clock; it tells whole seconds.

    >>> read_time(b'{"error":[],"result":{"unixtime":1688669448,"rfc1123":"Thu, 06 Jul 23 18:50:48 +0000"}}')
    1688669448000
    """
    try:
        return int(float(_answer.decode(raw).result["unixtime"]) * 1000)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as exc:
        raise unreadable("kraken", "the time", str(exc)) from exc


def read_listings(raw: bytes) -> tuple[Listing, ...]:
    """All pairs, named as today's socket names them: XBT is BTC, XDG is DOGE."""
    try:
        pairs = _pairs.decode(raw).result
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise unreadable("kraken", "the listings", str(exc)) from exc
    found = []
    for one in pairs.values():
        base, slash, quote = one.wsname.partition("/")
        if slash:  # dark pools have no name on the socket
            base, quote = _OURS.get(base, base), _OURS.get(quote, quote)
            found.append(Listing(f"{base}/{quote}", base, quote, one.status == "online"))
    return tuple(found)


def read_limit(raw: bytes) -> float:  # noqa: ARG001
    """The listings say nothing of limits."""
    return 0.0
