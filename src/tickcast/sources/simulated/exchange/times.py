"""Times as the venues write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(time_us: int) -> str:
    """RFC 3339 with microseconds.

    >>> iso(1_736_208_000_123_456)
    '2025-01-07T00:00:00.123456Z'
    """
    return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def go_time(time_us: int) -> str:
    """As Go prints a time, which is what Coinbase's heartbeats hold.

    >>> go_time(1_736_208_000_123_456)
    '2025-01-07 00:00:00.123456 +0000 UTC'
    """
    return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")


def rfc1123(time_us: int) -> str:
    """As Kraken's Time says it.

    >>> rfc1123(1_736_208_000_000_000)
    'Tue, 07 Jan 25 00:00:00 +0000'
    """
    return (_EPOCH + timedelta(microseconds=time_us)).strftime("%a, %d %b %y %H:%M:%S +0000")


def day_us(text: str) -> int:
    """The first microsecond of a day written as 2025-01-07; ValueError where it is none."""
    day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    return int((day - _EPOCH) / timedelta(microseconds=1))
