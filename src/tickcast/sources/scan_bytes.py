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

from tickcast.kernels import kernel

_POWERS = np.array([float(f"1e{n}") for n in range(23)])
_MANTISSA_END = 10**15
_HIGH_HALVES = -0x0F0F0F0F0F0F0F10  # 0xF0 in each byte, as an int64
_INT64_TENTH = (2**63 - 1 - 9) // 10
_QUOTE_MARK, _DOT, _ZERO = (ord(c) for c in '".0')

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


@kernel
def _eight(word: int) -> int:
    """The number that eight digits write, or -1: three multiplications in place of eight."""
    if (word & _HIGH_HALVES) | (((word + 0x0606060606060606) & _HIGH_HALVES) >> 4) != 0x3333333333333333:
        return -1
    word = ((word & 0x0F0F0F0F0F0F0F0F) * 2561) >> 8
    word = ((word & 0x00FF00FF00FF00FF) * 6553601) >> 16
    return ((word & 0x0000FFFF0000FFFF) * 42949672960001) >> 32


@kernel
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


@kernel
def integer(at: int, end: int) -> tuple[int, int]:
    """A JSON integer from 0 to 2**63-1: (value, the place after it)."""
    if at == 0:
        return 0, 0
    value, stop = _digits(at, end, 0)
    if stop <= at or (stop > at + 1 and byte_at(at) == _ZERO):
        return 0, 0
    return value, stop


@kernel
def decimal(at: int, end: int) -> tuple[float, int]:
    """Digits, a dot, digits and the closing quote: (value, the place after the quote)."""
    if at == 0:
        return 0.0, 0
    value, dot = _digits(at, end, 0)
    if dot <= at or dot >= end or byte_at(dot) != _DOT:
        return 0.0, 0
    value, stop = _digits(dot + 1, end, value)
    places = stop - dot - 1
    if places <= 0 or places > 22 or stop >= end or byte_at(stop) != _QUOTE_MARK:
        return 0.0, 0
    while value >= _MANTISSA_END and value % 10 == 0 and places > 0:
        value //= 10
        places -= 1
    if value >= _MANTISSA_END:
        return 0.0, 0
    return value / _POWERS[places], stop + 1
