"""Rows of a file to candles: what can not be true is refused, the rest becomes columns of `events.CANDLES`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tickcast.errors import DataError
from tickcast.events import COMPLETE, QUALITY, Columns
from tickcast.sources.files.naming import span_in_name
from tickcast.sources.files.numbers import Parsed, floats, texts, times_us, wholes
from tickcast.sources.files.result import Rejects
from tickcast.sources.files.rules import Roled, Rule, in_range, readable, sift

RUN = np.dtype(
    [
        ("time_us", "i8"),
        ("place", "i8"),
        ("open", "f8"),
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("volume", "f8"),
        ("quote_volume", "f8"),
        ("buy_volume", "f8"),
        ("trade_count", "i8"),
        ("revision", "i8"),
        ("quality", "u1"),
    ]
)
_PRICES = ("open", "high", "low", "close")
_VOLUMES = ("volume", "quote_volume", "buy_volume")


def read_rows(rows: Roled, unit: str, day_ms: int, candle_seconds: int, rejects: Rejects, place: str) -> Any:
    """The rows that can be true, as a structured array."""
    time = times_us(rows.columns["time"], unit, day_ms)
    number = {role: floats(rows.columns[role]) for role in (*_PRICES, *_VOLUMES) if role in rows.columns}
    count = wholes(rows.columns["trade_count"]) if "trade_count" in rows.columns else None
    kept = sift(rows, _rules(time, number, count, candle_seconds), rejects, place)
    run = np.empty(int(kept.sum()), RUN)
    run["time_us"], run["place"] = time.values[kept], rows.numbers[kept]
    for role in (*_PRICES, *_VOLUMES):
        run[role] = number[role].values[kept] if role in number else np.nan
    run["trade_count"] = count.values[kept] if count is not None else 0
    run["revision"] = wholes(rows.columns["revision"]).values[kept] if "revision" in rows.columns else 0
    run["quality"] = _qualities(rows.columns["quality"])[kept] if "quality" in rows.columns else COMPLETE
    return run


def _qualities(column: pa.Array) -> NDArray[np.uint8]:
    """Our own files say which candles were seen in part; no other word means anything here."""
    codes = {**{name: code for code, name in enumerate(QUALITY)}, **{str(code): code for code in range(len(QUALITY))}}
    return np.array([codes.get(text, COMPLETE) for text in texts(column)], np.uint8)


def _rules(time: Parsed, number: dict[str, Parsed], count: Parsed | None, candle_seconds: int) -> list[Rule]:
    first, high, low, last = (number[role].values for role in _PRICES)
    rules = in_range(time)
    rules.append(
        Rule(
            time.values % (candle_seconds * 1_000_000) != 0, f"time {{time}} is not on the {candle_seconds}-second grid"
        )
    )
    for role in (*_PRICES, "volume"):
        rules += readable(role, number[role])
    for role in _VOLUMES[1:]:
        if role in number:
            rules += readable(role, number[role], needed=False)
    rules += [Rule(number[role].values <= 0, f"{role} {{{role}}} is not above 0") for role in _PRICES]
    rules += [
        Rule(high < low, "high {high} is below low {low}"),
        Rule((first > high) | (first < low), "open {open} is outside low {low} to high {high}"),
        Rule((last > high) | (last < low), "close {close} is outside low {low} to high {high}"),
    ]
    rules += [Rule(number[role].values < 0, f"{role} {{{role}}} is negative") for role in _VOLUMES if role in number]
    if count is not None:
        rules += readable("trade_count", count, needed=False, kind="a whole number")
        rules.append(Rule(count.values < 0, "trade_count {trade_count} is negative"))
    return rules


def spacing_seconds(path: Path, inner: str, columns: dict[str, pa.Array], unit: str) -> tuple[int, str]:
    """The length of a file's candles, and how it was told: by their ends, the commonest spacing, or the file's name."""
    parsed = times_us(columns["time"], unit)
    good = ~parsed.missing & ~parsed.unreadable
    if "end" in columns:
        ends = times_us(columns["end"], unit)
        both = good & ~ends.missing & ~ends.unreadable
        if both.any():
            return _checked(path, _commonest(ends.values[both] - parsed.values[both] + 500_000)), "the candles' ends"
    times = np.unique(parsed.values[good])
    if len(times) > 1:
        return _checked(path, _commonest(np.diff(times))), "the commonest spacing"
    named = span_in_name(inner)
    if named:
        return _checked(path, named * 1_000_000), "the file's name"
    raise DataError(str(path), "does not tell how long its candles are", "say it, for example --candle-seconds 60")


def _commonest(spans_us: NDArray[np.int64]) -> int:
    spans, often = np.unique(spans_us, return_counts=True)
    return int(spans[np.argmax(often)])


def _checked(path: Path, span_us: int) -> int:
    seconds = span_us // 1_000_000
    if seconds < 1 or 86_400 % seconds:
        raise DataError(
            str(path),
            f"seems to hold candles of {span_us / 1e6:g} seconds, which do not divide a day",
            "say how long they are, for example --candle-seconds 60",
        )
    return seconds


def same(rows: Any, others: Any) -> NDArray[np.bool_]:
    """Where two rows of one time say the same of the market."""
    alike = np.ones(len(rows), np.bool_)
    for name in (*_PRICES, "volume"):
        alike &= rows[name] == others[name]
    return alike


def to_columns(rows: Any, candle_seconds: int) -> Columns:
    """Columns of `events.CANDLES`: first revision, known when their window had ended."""
    start_ms = rows["time_us"] // 1000
    end_ms = start_ms + candle_seconds * 1000
    count = len(rows)
    return {
        "candle_seconds": np.full(count, candle_seconds, np.int64),
        "window_start_ms": start_ms,
        "window_end_ms": end_ms,
        **{name: np.ascontiguousarray(rows[name]) for name in (*_PRICES, *_VOLUMES, "trade_count")},
        "quality": np.ascontiguousarray(rows["quality"]),
        "revision": np.zeros(count, np.int64),
        "known_at_ms": end_ms.copy(),
    }
