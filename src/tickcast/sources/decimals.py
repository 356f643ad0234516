"""Numbers, times and names at the border: what every mapper checks, in one place, each check naming its field."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

import msgspec

from tickcast.errors import WireError
from tickcast.sources.contract import TIME_MAX_MS, TIME_MIN_MS, Event

INT64_MAX = 2**63 - 1
MICROSECONDS_FROM = 100_000_000_000_000
"""An epoch time from here on is in microseconds: as milliseconds it would lie beyond the year 5000."""

ID_MAX = 2**53
"""No venue counts beyond what every JSON reader holds exactly; one id that does would make all later ones a hole."""
Id = Annotated[int, msgspec.Meta(ge=0, le=ID_MAX)]
Pair = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]

REMEDY = "it went to quarantine and the flow goes on; if the venue changed its format, its mapper needs a new case"
_LONGEST_REASON = 160
_MILLIS = {f".{n:0{size}}": n * worth for size, worth in ((1, 100), (2, 10), (3, 1)) for n in range(1000 // worth)}
"""What the first decimals of a second are worth; looking it up is faster than counting."""
_PLACE = re.compile(r"\[\d+\]")  # the same fault in another row is the same reason
_SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)


class Unreadable(ValueError):
    """Why a field can not be true; `guarded` makes it a WireError that names the venue."""


def guarded(exchange: str, read: Callable[[bytes], Sequence[Event]], raw: bytes) -> Sequence[Event]:
    """Call a mapper's reader; whatever makes the message unreadable becomes one WireError with a short, stable reason.

    >>> def read(raw: bytes) -> list[Event]:
    ...     raise Unreadable("p is not a number")
    >>> guarded("binance", read, b"{}")
    Traceback (most recent call last):
    tickcast.errors.WireError: binance: p is not a number; it went to quarantine ...
    """
    cause: Exception
    try:
        return read(raw)
    except (Unreadable, msgspec.ValidationError) as exc:
        reason, cause = _PLACE.sub("[...]", str(exc))[:_LONGEST_REASON], exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        reason, cause = "is not JSON", exc
    raise WireError(exchange, reason, REMEDY) from cause


def _number(value: str | float, field: str) -> float:
    """Python's float(), without what only Python takes for a number: digits of other scripts, and underscores."""
    try:
        number = float(value)
    except ValueError:
        raise Unreadable(f"{field} is not a number") from None
    if isinstance(value, str) and ("_" in value or not value.isascii()):
        raise Unreadable(f"{field} is not a number")
    return number


def positive(value: str | float, field: str) -> float:
    """Read a price or quantity; it must be finite and above zero.

    >>> positive("61837.63000000", "p")
    61837.63
    """
    number = _number(value, field)
    if 0.0 < number < math.inf:
        return number
    raise Unreadable(f"{field} is not a positive, finite number")


def not_negative(value: str | float, field: str) -> float:
    """Read a quote's price or size: 0 (also an empty text) says that nobody bids or asks.

    A bid above the ask is real and passes too: what to make of a crossed quote is for the stages to say.

    >>> not_negative("0.00000000", "b"), not_negative("", "best_bid")
    (0.0, 0.0)
    """
    number = _number(value or 0.0, field)
    if 0.0 <= number < math.inf:
        return number + 0.0  # -0.0 becomes 0.0
    raise Unreadable(f"{field} is negative or not finite")


def pair_name(text: str) -> str:
    """Check the venue's name of a pair and leave it as it is.

    >>> pair_name("BTC/USD")
    'BTC/USD'
    """
    if not text or not text.isprintable():
        raise Unreadable("the pair's name is not printable text")
    return text


def checked_ms(ms: int, field: str) -> int:
    """Let pass only times at which a coin can have been traded."""
    if not TIME_MIN_MS <= ms <= TIME_MAX_MS:
        raise Unreadable(f"{field} is not a time between 2009 and 2100")
    return ms


def epoch_ms(value: int, field: str) -> int:
    """Read an epoch time in milliseconds, or in microseconds where it can be nothing else; cut, never rounded.

    >>> epoch_ms(1_723_161_255_342, "T"), epoch_ms(1_723_161_255_342_999, "T")
    (1723161255342, 1723161255342)
    """
    return checked_ms(value // 1000 if value >= MICROSECONDS_FROM else value, field)


def rfc3339_ms(text: str, field: str) -> int:
    """Read a UTC time with 0 to 9 decimals; what is below the millisecond is cut, never rounded.

    >>> rfc3339_ms("2026-07-07T22:58:17Z", "time"), rfc3339_ms("2026-07-07T22:58:17.164999999Z", "time")
    (1783465097000, 1783465097164)
    """
    try:
        second_ms = _second_ms(text[:19])
    except ValueError:
        raise Unreadable(f"{field} is not an RFC 3339 time between 2009 and 2100") from None
    tail = text[19:]
    if tail == "Z":
        return second_ms
    if tail.endswith("+00:00"):
        return rfc3339_ms(text[:-6] + "Z", field)
    millis = _MILLIS.get(tail[:4].rstrip("Z"))
    if millis is None or tail[-1] != "Z" or len(tail) > 11 or not (tail[1:-1].isdecimal() and tail.isascii()):
        raise Unreadable(f"{field} is not an RFC 3339 time in UTC")
    return second_ms + millis


@lru_cache(maxsize=1024)
def _second_ms(text: str) -> int:
    """Read the whole second; neighbouring messages share it, so it is remembered."""
    if not _SECOND.fullmatch(text):
        raise ValueError(text)
    ms = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000
    if not TIME_MIN_MS <= ms < TIME_MAX_MS:
        raise ValueError(text)
    return ms


def go_time_ms(text: str, field: str) -> int:
    """Read a time as the Go language prints it.

    >>> go_time_ms("2026-09-30 02:39:56.167686736 +0000 UTC m=+12242.233881028", "current_time")
    1790735996167
    """
    head, zone, _ = text.partition(" +0000 UTC")
    if not zone:
        raise Unreadable(f"{field} is not a UTC time as Go prints it")
    return rfc3339_ms(f"{head[:10]}T{head[11:]}Z", field)


def seconds_us(text: str, field: str) -> int:
    """Read epoch seconds with decimals, digit by digit: no float comes near, so nothing is rounded.

    >>> seconds_us("1618678142.557535", "time"), seconds_us("1762795433.9717445", "time")
    (1618678142557535, 1762795433971744)
    """
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not (whole and digits.isdecimal() and digits.isascii()) or len(whole) > 12 or len(fraction) > 18:
        raise Unreadable(f"{field} is not a time in seconds")
    us = int(whole + (fraction + "000000")[:6])
    checked_ms(us // 1000, field)
    return us
