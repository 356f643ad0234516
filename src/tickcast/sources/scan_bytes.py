"""What kernels that read text are built from: bytes at addresses, constant texts, integers and decimals, exactly.

Addresses are plain integers, so a step costs no look at an array; 0 means "not certain" and is handed on by every
step. The caller keeps the bytes alive, and no step looks at or beyond `end`.

Decimals: at most 15 digits (trailing zeros of the fraction aside) make an integer below 2**53, and a power of ten up to
1e22 is exact too, so one division rounds correctly: the same float as Python's `float(text)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tickcast.kernels import helper
from tickcast.sources.contract import TIME_MAX_MS, TIME_MIN_MS

_POWERS = np.array([float(f"1e{n}") for n in range(23)])
_MANTISSA_END = 10**15
_HIGH_HALVES = -0x0F0F0F0F0F0F0F10  # 0xF0 in each byte, as an int64
_INT64_TENTH = (2**63 - 1 - 9) // 10
_QUOTE_MARK, _BACKSLASH, _DOT, _ZERO, _HYPHEN, _COLON, _T = (ord(c) for c in '"\\.0-:T')
_DAYS_BEFORE = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365])
_DAYS_TO_1970 = 719_162
NAME_CHARS = 15
"""Of a pair: two words, and the sign bit stays free."""

if TYPE_CHECKING:

    def byte_at(at: int) -> int:
        """The byte at an address."""
        ...

    def word_at(at: int) -> int:
        """The eight bytes from an address on, the first lowest."""
        ...

    def after(at: int, end: int, text: str) -> int:
        """The place after a constant text, or 0."""
        ...

else:  # what numba compiles in their place

    def _load(builder, address, bits):
        return builder.load(builder.inttoptr(address, ir.IntType(bits).as_pointer()), align=1)

    @intrinsic
    def byte_at(_typing, _at):
        """The byte at an address."""

        def generate(_context, builder, _signature, arguments):
            return builder.zext(_load(builder, arguments[0], 8), ir.IntType(64))

        return types.int64(types.int64), generate

    @intrinsic
    def word_at(_typing, _at):
        """The eight bytes from an address on, the first lowest."""

        def generate(_context, builder, _signature, arguments):
            return _load(builder, arguments[0], 64)

        return types.int64(types.int64), generate

    @intrinsic(prefer_literal=True)
    def after(_typing, _at, _end, text):
        """The place after a constant text, or 0: compiled to a few comparisons of whole words."""
        wanted = text.literal_value.encode()

        def generate(_context, builder, _signature, arguments):
            int64 = ir.IntType(64)
            start, stop = arguments[0], builder.add(arguments[0], int64(len(wanted)))
            found = cgutils.alloca_once_value(builder, int64(0))
            inside = builder.icmp_signed("<=", stop, arguments[1])
            with builder.if_then(builder.and_(inside, builder.icmp_signed("!=", start, int64(0)))):
                same, done = ir.IntType(1)(1), 0
                for bits in (64, 32, 16, 8):
                    while len(wanted) - done >= bits // 8:
                        word = _load(builder, builder.add(start, int64(done)), bits)
                        constant = ir.IntType(bits)(int.from_bytes(wanted[done : done + bits // 8], "little"))
                        same = builder.and_(same, builder.icmp_unsigned("==", word, constant))
                        done += bits // 8
                builder.store(builder.select(same, stop, int64(0)), found)
            return builder.load(found)

        return types.int64(types.int64, types.int64, text), generate


@helper
def _eight(word: int) -> int:
    """The number that eight digits write, or -1: three multiplications in place of eight."""
    if (word & _HIGH_HALVES) | (((word + 0x0606060606060606) & _HIGH_HALVES) >> 4) != 0x3333333333333333:
        return -1
    word = ((word & 0x0F0F0F0F0F0F0F0F) * 2561) >> 8
    word = ((word & 0x00FF00FF00FF00FF) * 6553601) >> 16
    return ((word & 0x0000FFFF0000FFFF) * 42949672960001) >> 32


@helper
def _digits(at: int, end: int, value: int) -> tuple[int, int]:
    """Read digits on into a value: (value, the place after them, or 0 where they pass 2**63-1)."""
    while value < 10**10 and at + 8 <= end:
        eight = _eight(word_at(at))
        if eight < 0:
            break
        value = value * 10**8 + eight
        at += 8
    while at < end:
        digit = byte_at(at) - _ZERO
        if digit < 0 or digit > 9:
            break
        if value > _INT64_TENTH:
            return 0, 0
        value = value * 10 + digit
        at += 1
    return value, at


@helper
def integer(at: int, end: int) -> tuple[int, int]:
    """A JSON integer from 0 to 2**63-1: (value, the place after it)."""
    if at == 0:
        return 0, 0
    value, stop = _digits(at, end, 0)
    if stop <= at or (stop > at + 1 and byte_at(at) == _ZERO):
        return 0, 0
    return value, stop


@helper
def number(at: int, end: int) -> tuple[float, int]:
    """Digits, and where there is a dot, digits after it: (value, the place after them)."""
    if at == 0:
        return 0.0, 0
    value, stop = _digits(at, end, 0)
    if stop <= at:
        return 0.0, 0
    places = 0
    if stop < end and byte_at(stop) == _DOT:
        dot = stop
        value, stop = _digits(dot + 1, end, value)
        places = stop - dot - 1
        if places <= 0 or places > 22:
            return 0.0, 0
        while value >= _MANTISSA_END and value % 10 == 0 and places > 0:
            value //= 10
            places -= 1
    if value >= _MANTISSA_END:
        return 0.0, 0
    return value / _POWERS[places], stop


@helper
def decimal(at: int, end: int) -> tuple[float, int]:
    """A number in a text, and the closing quote: (value, the place after the quote)."""
    value, stop = number(at, end)
    return value, after(stop, end, '"')


@helper
def bare_decimal(at: int, end: int) -> tuple[float, int]:
    """A JSON number without a sign or an exponent: (value, the place after it)."""
    if at != 0 and at + 1 < end and byte_at(at) == _ZERO and 0 <= byte_at(at + 1) - _ZERO <= 9:
        return 0.0, 0
    return number(at, end)


@helper
def text(at: int, end: int) -> int:
    """A text of plain, visible characters and its closing quote: the place after the quote."""
    if at == 0:
        return 0
    while at < end:
        char = byte_at(at)
        if char == _QUOTE_MARK:
            return at + 1
        if char < 32 or char > 126 or char == _BACKSLASH:
            return 0
        at += 1
    return 0


@helper
def name(at: int, end: int) -> tuple[int, int, int]:
    """The name of a pair and its closing quote: (its bytes as two words, the place after the quote)."""
    start, low, high = at, 0, 0
    if at == 0:
        return 0, 0, 0
    while at < end and byte_at(at) != _QUOTE_MARK:
        char, nth = byte_at(at), at - start
        if nth >= NAME_CHARS or char < 33 or char > 126 or char == _BACKSLASH:
            return 0, 0, 0
        if nth < 8:
            low |= char << (8 * nth)
        else:
            high |= char << (8 * (nth - 8))
        at += 1
    if at == start or at >= end:
        return 0, 0, 0
    return low, high, at + 1


@helper
def _two(at: int) -> int:
    """The number that two digits write; far below zero where they are none."""
    tens, ones = byte_at(at) - _ZERO, byte_at(at + 1) - _ZERO
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else -1_000_000


@helper
def rfc3339(at: int, end: int) -> tuple[int, int]:
    """A time in UTC as `decimals.rfc3339_ms` reads it, ended by a Z: (ms, the place after the Z)."""
    if at == 0 or at + 20 > end or byte_at(at + 4) != _HYPHEN or byte_at(at + 7) != _HYPHEN:
        return 0, 0
    if byte_at(at + 10) != _T or byte_at(at + 13) != _COLON or byte_at(at + 16) != _COLON:
        return 0, 0
    year, month, day = _two(at) * 100 + _two(at + 2), _two(at + 5), _two(at + 8)
    hour, minute, second = _two(at + 11), _two(at + 14), _two(at + 17)
    if year < 0 or month < 1 or month > 12 or not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        return 0, 0
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    before = _DAYS_BEFORE[month - 1] + (1 if leap and month > 2 else 0)
    if day < 1 or day > _DAYS_BEFORE[month] - _DAYS_BEFORE[month - 1] + (1 if leap and month == 2 else 0):
        return 0, 0
    years = year - 1
    days = years * 365 + years // 4 - years // 100 + years // 400 + before + day - 1 - _DAYS_TO_1970
    ms = (days * 86_400 + hour * 3600 + minute * 60 + second) * 1000
    if ms < TIME_MIN_MS or ms >= TIME_MAX_MS:
        return 0, 0
    at += 19
    if byte_at(at) == _DOT:
        at, start, worth = at + 1, at + 1, 100
        while at < end and 0 <= byte_at(at) - _ZERO <= 9:
            ms += (byte_at(at) - _ZERO) * worth
            worth //= 10
            at += 1
        if at == start or at - start > 9:
            return 0, 0
    return ms, after(at, end, "Z")
