"""Recordings for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tickcast.clock import ManualClock
from tickcast.journal.journal import Journal
from tickcast.sources.blocks import decode_line
from tickcast.sources.contract import Message
from tickcast.sources.recorded import Recording, open_recording

NS = 1_000_000_000
START_NS = 1_723_161_600 * NS


def trade(n: int, exchange: str = "binance") -> bytes:
    """A small message that tells whose it is."""
    if exchange == "kraken":
        return b'{"channel":"trade","n":%d}' % n
    return b'{"e":"trade","E":%d,"s":"BTCUSDT","t":%d,"p":"1","q":"1","T":%d,"m":true,"M":true}' % (
        START_NS // 1_000_000 + n,
        n,
        START_NS // 1_000_000 + n,
    )


def lines_of(recording: Recording, exchange: str = "binance") -> list[tuple[int, bytes]]:
    """Receive times and messages of one exchange, in order; each block holds whole lines of its exchange only."""
    found = []
    for block in recording:
        assert block.lines.endswith(b"\n")
        for line in block.lines.splitlines():
            recv_ns, whose, raw = decode_line(line)
            if block.exchange == exchange:
                assert exchange == whose
                found.append((recv_ns, raw))
    return found


def replayed(*paths: Path, exchange: str = "binance") -> list[tuple[int, bytes]]:
    return lines_of(open_recording(paths), exchange)


def write(path: Path, *lines: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def stamped(*seconds: int) -> list[bytes]:
    return [b"%d %b" % (START_NS + s * NS, trade(s)) for s in seconds]


def journal_of(root: Path, messages: Sequence[Message], sealed_before: str = "") -> Path:
    with Journal(root, fsync_ms=0, clock=ManualClock(), keep_days=0) as journal:
        journal.append(messages)
        if sealed_before:
            journal.seal_closed(sealed_before)
    return root
