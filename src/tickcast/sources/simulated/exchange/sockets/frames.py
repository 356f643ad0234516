"""WebSocket frames of a server, as bytes: unmasked, whole messages, no extensions (RFC 6455)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_SHORT = [bytes((0x80 | TEXT, size)) for size in range(126)]
_SHORT += [struct.pack("!BBH", 0x80 | TEXT, 126, size) for size in range(126, 4096)]
"""Headers of texts by their length: most messages are short, and a look-up is the quickest way to one."""


def text_frame(payload: bytes) -> bytes:
    """One text message.

    >>> text_frame(b"{}"), text_frame(b"x" * 200)[:4]
    (b'\\x81\\x02{}', b'\\x81~\\x00\\xc8')
    """
    size = len(payload)
    return (_SHORT[size] if size < 4096 else header(TEXT, size)) + payload


def text_frames(payloads: Iterable[bytes]) -> list[bytes]:
    """Several text messages."""
    short = _SHORT
    return [(short[size] if (size := len(payload)) < 4096 else header(TEXT, size)) + payload for payload in payloads]


def frame(opcode: int, payload: bytes) -> bytes:
    """Any frame that ends its message."""
    return header(opcode, len(payload)) + payload


def header(opcode: int, size: int) -> bytes:
    """What stands before a payload of that size."""
    if size < 126:
        return bytes((0x80 | opcode, size))
    if size < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, 126, size)
    return struct.pack("!BBQ", 0x80 | opcode, 127, size)


def close_frame(code: int, reason: str = "") -> bytes:
    """The goodbye, with a reason of at most 123 bytes."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode()[:123])
