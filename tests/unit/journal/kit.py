"""Messages, and a journal's lines read back."""

from __future__ import annotations

from pathlib import Path

from tickcast.clock import ManualClock
from tickcast.journal.journal import Journal
from tickcast.journal.reading import Position, read_days
from tickcast.sources.blocks import decode_line
from tickcast.sources.contract import Message

DAY_NS = 86_400_000_000_000
START_NS = 1_723_161_600_000_000_000
"""2024-08-09 00:00:00 UTC."""


def message(n: int, recv_ns: int | None = None, exchange: str = "binance") -> Message:
    """The n-th message, received n nanoseconds after the start unless said otherwise."""
    return Message(START_NS + n if recv_ns is None else recv_ns, exchange, b'{"n":%d}' % n)


def reopen(root: Path, keep_days: int = 30) -> Journal:
    return Journal(root, fsync_ms=100, clock=ManualClock(START_NS), keep_days=keep_days)


def read_back(root: Path, exchange: str = "binance", after: Position | None = None) -> list[bytes]:
    """The raw messages of a journal, as anybody may read them while it is written."""
    lines = b"".join(block.lines for block, _ in read_days(root / "raw", exchange, after))
    return [decode_line(line)[2] for line in lines.splitlines()]


def raws(count: int, start: int = 0) -> list[bytes]:
    return [message(n).raw for n in range(start, start + count)]
