"""What an answer that is not a page means: wait, try again, go another way, or give up. Pure.

>>> judge("binance", 429, "https://api.binance.com", {"retry-after": "7"}, b"")
Fault(kind='rate', detail='HTTP 429', wait_s=7.0)
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import msgspec

from tickcast.sources.history.contract import HistoryError

RATE, BAN, BUSY, GEO, MISSING, FINAL = "rate", "ban", "busy", "geo", "missing", "final"
"""Too fast; locked out; try again in a moment; refused to this country; not there; never so."""
_KRAKEN = (
    ("Temporary lockout", BAN),
    ("Rate limit exceeded", RATE),
    ("Too many requests", RATE),
    ("EService:Throttled", RATE),
    ("EService:", BUSY),  # Unavailable, Busy, Deadline elapsed, Market in cancel_only mode
    ("EGeneral:Internal error", BUSY),
)
_BUSY_STATUS = (408, 425)
_DETAIL_MAX = 160


class NotThere(HistoryError):
    """The venue has nothing under that name."""


class Fault(NamedTuple):
    """Why there is no page."""

    kind: str
    detail: str
    wait_s: float = 0.0
    """How long the venue said to wait; 0: it did not."""


def judge(exchange: str, status: int, base: str, headers: Mapping[str, str], raw: bytes) -> Fault | None:
    """What is wrong with an answer; None: nothing, it can be read."""
    if status == 200:
        return _inside(raw) if exchange == "kraken" else None
    said = _said(raw)
    detail = f"HTTP {status}{': ' if said else ''}{said}"
    wait_s = retry_after_s(headers)
    if status == 429:
        return Fault(RATE, detail, wait_s)
    if status == 418:
        return Fault(BAN, detail, wait_s)
    if status in (451, 403):
        return Fault(GEO, f"{base} answers {detail}")
    if status == 404:
        return Fault(MISSING, detail)
    if status >= 500 or status in _BUSY_STATUS:
        return Fault(BUSY, detail, wait_s)
    return Fault(FINAL, detail)


def retry_after_s(headers: Mapping[str, str]) -> float:
    """The seconds that a Retry-After asks for; 0 where it says none, or nothing that makes sense.

    >>> retry_after_s({"retry-after": "120"}), retry_after_s({"retry-after": "soon"})
    (120.0, 0.0)
    >>> retry_after_s({"retry-after": "Wed, 21 Oct 2026 07:28:09 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"})
    9.0
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal() and text.isascii():
        return float(text[:9])
    try:
        until, now = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def refusal(exchange: str, fault: Fault, pair: str) -> HistoryError:
    """The sentence for a fault that no waiting mends."""
    where = f"{exchange}/history"
    if fault.kind == GEO:
        remedy = "if the venue is not open to your country, there is no way round"
        if exchange == "binance":
            remedy = (
                "the venue's keyless hosts are the way round: https://data-api.binance.vision for history, "
                "wss://data-stream.binance.vision for the stream"
            )
        return HistoryError(where, f"{fault.detail}, which is how a country or an address is refused", remedy)
    if fault.kind == MISSING:
        return NotThere(where, f"does not know what was asked for {pair} ({fault.detail})", "check the pair's name")
    return HistoryError(where, f"refused a request for {pair} ({fault.detail})", "check the pair's name and the time")


def _inside(raw: bytes) -> Fault | None:
    """Kraken says what is wrong in an answer that is fine by its status."""
    if raw[:64].replace(b" ", b"").replace(b"\n", b"").startswith((b'{"error":[]', b'{"result"')):
        return None
    try:
        errors = msgspec.json.decode(raw).get("error")
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        return None  # no JSON: who reads it will say so
    if not errors:
        return None
    text = ", ".join(str(error) for error in errors)[:_DETAIL_MAX]
    for mark, kind in _KRAKEN:
        if mark in text:
            return Fault(kind, text)
    return Fault(FINAL, text)


def _said(raw: bytes) -> str:
    """The venue's own words in the body of a refusal."""
    try:
        body: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    if not isinstance(body, dict):
        return ""
    return " ".join(str(body[name]) for name in ("msg", "message", "error") if body.get(name))[:_DETAIL_MAX]
