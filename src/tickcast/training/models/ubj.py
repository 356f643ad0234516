"""Is it whole UBJSON? XGBoost ends the whole process on a file that is cut short, so we look before it does."""

from __future__ import annotations

import struct

_SIZES = {b"i": 1, b"U": 1, b"I": 2, b"u": 2, b"l": 4, b"L": 8, b"d": 4, b"D": 8, b"C": 1}
_INTEGERS = {b"i": ">b", b"U": ">B", b"I": ">h", b"u": ">H", b"l": ">i", b"L": ">q"}
_PLAIN = {b"T": 0, b"F": 0, b"Z": 0, b"N": 0} | _SIZES
DEPTH_MAX = 32


def is_whole(data: bytes) -> bool:
    """Whether the bytes are one object and nothing else.

    >>> is_whole(b"{i\\x01aU\\x07}"), is_whole(b"{i\\x01aU"), is_whole(b"")
    (True, False, False)
    """
    try:
        return data[:1] == b"{" and _skip(data, 0, DEPTH_MAX) == len(data)
    except (ValueError, struct.error):
        return False


def _skip(data: bytes, at: int, depth: int) -> int:
    """Where the value that begins at a place ends."""
    return _content(data, at + 1, data[at : at + 1], depth)


def _content(data: bytes, at: int, mark: bytes, depth: int) -> int:
    if depth == 0:
        raise ValueError("too deep")
    if mark in _PLAIN:
        return _within(data, at + _PLAIN[mark])
    if mark in (b"S", b"H"):
        return _string(data, at)
    if mark in (b"[", b"{"):
        return _container(data, at, mark == b"{", depth)
    raise ValueError("no mark")


def _within(data: bytes, end: int) -> int:
    if end > len(data):
        raise ValueError("cut short")
    return end


def _integer(data: bytes, at: int) -> tuple[int, int]:
    kind = data[at : at + 1]
    if kind not in _INTEGERS:
        raise ValueError("no length")
    (value,) = struct.unpack_from(_INTEGERS[kind], data, at + 1)
    if value < 0:
        raise ValueError("negative length")
    return value, at + 1 + _SIZES[kind]


def _string(data: bytes, at: int) -> int:
    length, at = _integer(data, at)
    return _within(data, at + length)


def _container(data: bytes, at: int, named: bool, depth: int) -> int:
    kind = b""
    if data[at : at + 1] == b"$":
        kind, at = data[at + 1 : at + 2], at + 2
    if data[at : at + 1] == b"#":
        count, at = _integer(data, at + 1)
        if kind in _PLAIN and not named:
            return _within(data, at + count * _PLAIN[kind])
        for _ in range(count):
            at = _string(data, at) if named else at
            at = _content(data, at, kind, depth - 1) if kind else _skip(data, at, depth - 1)
        return at
    end = b"}" if named else b"]"
    while data[at : at + 1] != end:
        at = _string(data, at) if named else at
        at = _skip(data, at, depth - 1)
    return at + 1
