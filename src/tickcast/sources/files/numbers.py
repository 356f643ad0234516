"""Columns of text (or of a binary file's own types) to numbers and times, a whole column at once.

Numbers are what `float()` of the same text is, to the last bit. Times are microseconds since the epoch, cut (not
rounded) from decimal text, so that a trade never moves into the next millisecond.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tickcast.errors import DataError
from tickcast.sources.files.result import TIME_UNITS

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TRUE, _FALSE = ("true", "t", "1", "1.0", "yes"), ("false", "f", "0", "0.0", "no")
_SELL, _BUY = ("sell", "s", "ask", "seller"), ("buy", "b", "bid", "buyer")
_WHOLE_LIMIT = 9_000_000_000_000_000_000


class Parsed(NamedTuple):
    """A column's values; `missing` is true where there was none, `unreadable` where it is no such value."""

    values: NDArray[Any]
    missing: NDArray[np.bool_]
    unreadable: NDArray[np.bool_]


def texts(column: pa.Array) -> list[str]:
    """A column as text, for people; whatever is not UTF-8 is shown with replacement marks."""
    if is_text(column):
        raw = column.cast(pa.large_binary()).to_pylist()
        return ["" if one is None else one.decode("utf-8", "replace") for one in raw]
    return ["" if one is None else str(one) for one in column.to_pylist()]


def is_text(column: pa.Array) -> bool:
    """Whether a column is text."""
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def floats(column: pa.Array) -> Parsed:
    """Numbers; infinities and NaN written out count as unreadable.

    >>> floats(pa.array(["1.5", "", "x"])).values.tolist()
    [1.5, nan, nan]
    """
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.string())
    missing = _missing(column)
    if is_text(column):
        values = _text_floats(column, missing)
    else:
        values = _numpy(column.cast(pa.float64(), safe=False))
        missing = missing | np.isnan(values)
    return Parsed(values, missing, ~missing & ~np.isfinite(values))


def wholes(column: pa.Array) -> Parsed:
    """Whole numbers of at most 63 bits; 0 where there is none. `12.0` is whole.

    >>> wholes(pa.array(["7", "7.5", "12.0"])).unreadable.tolist()
    [False, True, False]
    """
    missing = _missing(column)
    if pa.types.is_integer(column.type) and not pa.types.is_uint64(column.type):
        return Parsed(_numpy(column.cast(pa.int64())), missing, np.zeros(len(column), np.bool_))
    if is_text(column):
        try:
            return Parsed(_numpy(_filled(column, missing, "0").cast(pa.int64())), missing, np.zeros(len(column), bool))
        except pa.ArrowInvalid:
            parsed = [_whole(text) for text in texts(column)]
            values = np.array([one or 0 for one in parsed], np.int64)
            return Parsed(values, missing, ~missing & np.array([one is None for one in parsed], np.bool_))
    number = floats(column)
    fits = np.isfinite(number.values) & (np.abs(number.values) < 2**53) & (np.rint(number.values) == number.values)
    return Parsed(np.where(fits, number.values, 0).astype(np.int64), number.missing, ~fits & ~number.missing)


def truths(column: pa.Array) -> Parsed:
    """True and false, however a file writes them.

    >>> truths(pa.array(["True", "false", "1"])).values.tolist()
    [True, False, True]
    """
    return _worded(column, _TRUE, _FALSE)


def sides(column: pa.Array) -> Parsed:
    """True where it says sell.

    >>> sides(pa.array(["buy", "s", "Sell"])).values.tolist()
    [False, True, True]
    """
    return _worded(column, _SELL, _BUY)


def _worded(column: pa.Array, yes: tuple[str, ...], no: tuple[str, ...]) -> Parsed:
    """True where one of the words of `yes` stands; each different word is looked at once."""
    missing = _missing(column)
    coded = (column if is_text(column) else column.cast(pa.string())).dictionary_encode()
    words = [text.strip().lower() for text in texts(coded.dictionary)]
    codes = _numpy(coded.indices)
    if not words:
        return Parsed(np.zeros(len(column), np.bool_), missing, np.zeros(len(column), np.bool_))
    values = np.array([word in yes for word in words], np.bool_)[codes]
    known = np.array([word in yes or word in no for word in words], np.bool_)[codes]
    return Parsed(values, missing, ~known & ~missing)


def times_us(column: pa.Array, unit: str = "", day_ms: int = -1) -> Parsed:
    """Microseconds since the epoch, from numbers (unit by magnitude where none is given), dates or ISO 8601 text.

    `day_ms`: the column counts milliseconds of that day.

    >>> times_us(pa.array(["1700000000", "1700000000000", "1700000000.5"])).values.tolist()
    [1700000000000000, 1700000000000000, 1700000000500000]
    >>> times_us(pa.array(["2021-12-31 23:01:00.000000"])).values.tolist()
    [1640991660000000]
    """
    missing = _missing(column)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        if not pa.types.is_timestamp(kind):
            column = column.cast(pa.timestamp("ms"))
        return Parsed(_stamps_us(column), missing, np.zeros(len(column), np.bool_))
    if day_ms >= 0:
        since = wholes(column)
        outside = (since.values < 0) | (since.values >= 86_400_000)
        return Parsed((day_ms + since.values) * 1000, missing, since.unreadable | outside)
    if not is_text(column):
        return _number_times(column, unit, missing)
    return _text_times(column, unit, missing)


def unit_of(column: pa.Array) -> str:
    """The unit of a column's first number by its magnitude, or `text`, for people and for notes.

    >>> unit_of(pa.array(["1700000000123"]))
    'ms'
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return "dates"
    for text in texts(column.slice(0, 100)):
        if _NUMBER.fullmatch(text.strip()):
            return _unit_names()[int(_scale_index(np.array([float(text)]))[0])]
    return "text"


def _number_times(column: pa.Array, unit: str, missing: NDArray[np.bool_]) -> Parsed:
    if pa.types.is_integer(column.type):
        whole = wholes(column)
        zeros = np.zeros(len(column), np.int64)
        return Parsed(_scaled(whole.values, zeros, unit), missing, whole.unreadable)
    number = floats(column)
    seen = np.where(np.isfinite(number.values), number.values, 0.0)
    index = _scale_index(seen) if not unit else np.full(len(seen), _unit_names().index(unit))
    scale = np.array([1e6, 1e3, 1.0, 1e-3])[index]
    # a double of today's seconds holds no more than microseconds
    scaled = np.clip(np.rint(seen * scale), -9e18, 9e18).astype(np.int64)
    return Parsed(scaled, number.missing | missing, number.unreadable)


def _text_times(column: pa.Array, unit: str, missing: NDArray[np.bool_]) -> Parsed:
    trimmed = _filled(column, missing, "0")
    nothing = np.zeros(len(column), np.bool_)
    try:
        whole = _numpy(trimmed.cast(pa.int64()))
        return Parsed(_scaled(whole, np.zeros(len(whole), np.int64), unit), missing, nothing)
    except pa.ArrowInvalid:
        pass
    for kind in (pa.timestamp("ns"), pa.timestamp("ns", tz="UTC")):
        try:
            return Parsed(_stamps_us(_filled(column, missing, "1970-01-01").cast(kind)), missing, nothing)
        except pa.ArrowInvalid:
            continue
    split = pc.extract_regex(trimmed, pattern=r"^(?P<whole>[0-9]{1,18})(?:\.(?P<part>[0-9]*))?$")
    decimal = _numpy(split.is_valid())
    padded = pc.utf8_slice_codeunits(pc.utf8_rpad(split.field("part"), 9, "0"), 0, 9)
    whole = _numpy(_filled(split.field("whole"), ~decimal, "0").cast(pa.int64()))
    part = _numpy(_filled(padded, ~decimal, "0").cast(pa.int64()))
    values, unreadable = _scaled(whole, part, unit), ~decimal & ~missing
    for place in np.flatnonzero(unreadable):
        found = _one_time(texts(column.slice(int(place), 1))[0].strip(), unit)
        if found is not None:
            values[place], unreadable[place] = found, False
    return Parsed(values, missing, unreadable)


def _one_time(text: str, unit: str) -> int | None:
    """A time that its column's neighbours are not like: mixed offsets, a trailing UTC, an exponent."""
    if _NUMBER.fullmatch(text):
        scaled = _number_times(pa.array([float(text)]), unit, np.zeros(1, np.bool_))
        return None if scaled.unreadable[0] else int(scaled.values[0])
    try:
        stamp = datetime.fromisoformat(text.removesuffix("UTC").strip())
    except ValueError:
        return None
    aware = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds


def _scaled(whole: NDArray[np.int64], part: NDArray[np.int64], unit: str) -> NDArray[np.int64]:
    """Microseconds from a whole number and nine decimals, each row by its own magnitude where no unit is given."""
    index = _scale_index(whole) if not unit else np.full(len(whole), _unit_names().index(unit))
    factor = np.array([1_000_000, 1_000, 1, 1], np.int64)[index]
    shrink = np.array([1_000, 1_000_000, 1_000_000_000, 1_000_000_000], np.int64)[index]
    limit = _WHOLE_LIMIT // factor
    bounded = np.clip(whole, -limit, limit)  # out of every range, and it must not wrap around into one
    scaled = bounded * factor + part // shrink
    return np.where(index == 3, bounded // 1000, scaled)


def _scale_index(values: NDArray[Any]) -> NDArray[np.int64]:
    """0 to 3 for seconds to nanoseconds: the years 2009 to 2100 do not overlap between units."""
    size = np.abs(values)
    index: NDArray[np.int64] = (size >= 1e11).astype(np.int64) + (size >= 1e14) + (size >= 1e17)
    return index


def _unit_names() -> list[str]:
    return list(TIME_UNITS)


def _stamps_us(column: pa.Array) -> NDArray[np.int64]:
    unit = column.type.unit
    stamps = _numpy(column.cast(pa.int64()))
    factor = {"s": 1_000_000, "ms": 1_000, "us": 1}.get(unit)
    return stamps // 1000 if factor is None else stamps * factor


def _text_floats(column: pa.Array, missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    filled = _filled(column, missing, "nan")
    try:
        return _numpy(filled.cast(pa.float64()))
    except pa.ArrowInvalid:
        stripped = [text.strip() for text in texts(column)]
        return np.array([float(one) if _NUMBER.fullmatch(one) else np.nan for one in stripped], np.float64)


def _whole(text: str) -> int | None:
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return None
    value: float | int = int(text) if text.lstrip("+-").isdigit() else float(text)
    fits = abs(value) < 2**53 if isinstance(value, float) else abs(value) < 2**63
    return int(value) if fits and value == int(value) else None


def _missing(column: pa.Array) -> NDArray[np.bool_]:
    missing = _numpy(column.is_null())
    if is_text(column):
        missing = missing | _numpy(pc.equal(pc.binary_length(_trimmed(column)), 0).fill_null(True))
    return missing


def _filled(column: pa.Array, missing: NDArray[np.bool_], value: str) -> pa.Array:
    """Trimmed, with a harmless value in the gaps, so that one gap does not cost the whole column's fast way."""
    trimmed = _trimmed(column)
    if not missing.any():
        return trimmed
    return pc.if_else(pa.array(missing), pa.scalar(value, trimmed.type), trimmed)


def _trimmed(column: pa.Array) -> pa.Array:
    return pc.ascii_trim_whitespace(column)


def _numpy(column: pa.Array) -> NDArray[Any]:
    if column.null_count and not pa.types.is_floating(column.type):  # of floats the gaps become NaN by themselves
        column = column.fill_null(False if pa.types.is_boolean(column.type) else 0)
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def moment_ms(flag: str, text: str) -> int:
    """One moment that a person wrote: a date, an ISO time or milliseconds.

    >>> moment_ms("--from", "1970-01-02")
    86400000
    """
    parsed = times_us(pa.array([text]))
    if parsed.unreadable[0] or parsed.missing[0]:
        raise DataError(flag, f"was {text}", "give a date, an ISO time or milliseconds, for example 2024-08-01")
    return int(parsed.values[0]) // 1000
