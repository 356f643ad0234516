"""A judge of whether the kernels that read journal lines say what the slow road says, and wounds for the lines."""

from __future__ import annotations

import random

import pytest

from tickcast.sources import scan_lines as scanning
from tickcast.sources.blocks import LineReader, map_lines
from tickcast.sources.contract import Mapper, MarketRows
from tickcast.sources.scan_lines import scan_lines


def same(mapper: Mapper, block: bytes, last_recv_ns: int = 0) -> MarketRows:
    """Hold the two roads together in everything, and hand the answer on."""
    slow, fast = map_lines(mapper, block, last_recv_ns), scan_lines(mapper, block, last_recv_ns)
    assert slow.pairs == fast.pairs
    for name, column in slow.columns.items():
        assert (column.dtype, column.tobytes()) == (fast.columns[name].dtype, fast.columns[name].tobytes()), name
    assert slow.columns.keys() == fast.columns.keys()
    assert slow.rejects == fast.rejects
    assert repr([*slow.told, *slow.frames]) == repr([*fast.told, *fast.frames])
    assert slow.silence_ns.tolist() == fast.silence_ns.tolist()
    assert (slow.messages, slow.last_recv_ns) == (fast.messages, fast.last_recv_ns)
    return fast


def slow_lines(monkeypatch: pytest.MonkeyPatch, mapper: Mapper, block: bytes) -> list[bytes]:
    """The lines of which the kernel was not certain."""
    left: list[bytes] = []

    class Noting(LineReader):
        def read(self, text: bytes) -> int | None:
            left.append(text)
            return super().read(text)

    monkeypatch.setattr(scanning, "LineReader", Noting)
    scan_lines(mapper, block)
    return left


def mutated(chance: random.Random, block: bytes) -> bytes:
    """One small wound: a byte changed, cut out or doubled, a span copied, two fields swapped, the end torn off."""
    at = chance.randrange(len(block))
    match chance.randrange(7):
        case 0:
            return block[:at] + bytes([chance.randrange(256)]) + block[at + 1 :]
        case 1:
            return block[:at] + block[at + 1 :]
        case 2:
            return (
                block[:at] + chance.choice([b" ", b"\\", b'"', b"0", b"9", b".", b",", b"}", b"\n", b"\r"]) + block[at:]
            )
        case 3:
            return block[:at]
        case 4:
            to = chance.randrange(len(block))
            return block[:at] + block[to : to + chance.randrange(40)] + block[at:]
        case 5:
            parts = block.split(b",")
            one, two = chance.randrange(len(parts)), chance.randrange(len(parts))
            parts[one], parts[two] = parts[two], parts[one]
            return b",".join(parts)
        case _:
            digits = [place for place, byte in enumerate(block) if 48 <= byte <= 57]
            where = chance.choice(digits) if digits else 0
            return block[:where] + chance.choice([b"0", b"9", b"-", b"99999999", b""]) + block[where + 1 :]
