"""Our own messages in the journal: proof of life from a feed, and rows that a user imported.

All that enters the system enters through the journal, so that all of it can be recomputed from there.

    {"tickcast":"alive","venue_ms":1723161600000}
    {"tickcast":"frame","kind":"candles","pair":"BTCUSDT","low_ms":...,"columns":{"open":[...],...}}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from tickcast.errors import WireError
from tickcast.events import CANDLES, QUALITY, TRADES, Columns, Frame
from tickcast.sources.contract import TIME_MAX_MS

MARK = b'{"tickcast":'
_KINDS = {table.name: table for table in (CANDLES, TRADES)}
_ABOVE_ZERO = {"price", "quantity", "open", "high", "low", "close"}
_NOT_NEGATIVE = {"volume", "quote_volume", "buy_volume", "bid", "ask", "trade_id", "trade_count", "revision"}


class _Frame(msgspec.Struct):
    kind: str
    pair: str
    low_ms: int
    columns: dict[str, list[Any]]
    blind_from_ms: int = 0
    fetched_ms: int = 0


_decode_frame = msgspec.json.Decoder(_Frame).decode


def alive(venue_ms: int) -> bytes:
    """Proof that a venue's clock has reached a time.

    >>> alive(5)
    b'{"tickcast":"alive","venue_ms":5}'
    """
    return b'{"tickcast":"alive","venue_ms":%d}' % venue_ms


def frame_message(frame: Frame, fetched_ms: int = 0) -> bytes:
    """A frame as a message, and when it was fetched; floats are written to read back bit for bit, NaN as null."""
    columns = {
        name: [None if value != value else value for value in column.tolist()] for name, column in frame.columns.items()
    }
    head = {"tickcast": "frame", "kind": frame.kind, "pair": frame.pair, "low_ms": frame.low_ms}
    tail = {"blind_from_ms": frame.blind_from_ms, "fetched_ms": fetched_ms}
    return msgspec.json.encode({**head, "columns": columns, **tail})


def read_frame(exchange: str, raw: bytes) -> Frame:
    """The frame that `frame_message` wrote.

    >>> rows = TRADES.rows([{"trade_id": 1, "price": 0.1, "quantity": 2.0, "timestamp_ms": 9}])
    >>> frame = Frame("trades", "binance", "BTCUSDT", 9, rows)
    >>> read_frame("binance", frame_message(frame)).columns["price"].tolist()
    [0.1]
    """
    try:
        body = _decode_frame(raw)
        table = _KINDS[body.kind]
        typed = {name: _column(code, body.columns[name]) for name, code in table.columns.items()}
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, OverflowError) as exc:
        raise WireError(f"{exchange}/frame", f"can not be read ({exc})", "import the file again") from exc
    if len({len(column) for column in typed.values()}) != 1:
        raise WireError(f"{exchange}/frame", "has columns of different lengths", "import the file again")
    wrong = next((name for name, fine in _checks(body, typed) if not fine), None)
    if wrong is not None:
        raise WireError(f"{exchange}/frame", f"has {wrong} that can not be true", "import the file again")
    return Frame(body.kind, exchange, body.pair, body.low_ms, typed, body.blind_from_ms)


def _checks(body: _Frame, rows: Columns) -> Iterator[tuple[str, bool]]:
    """What stages rely on, by the name of what tells it: a journal may have been changed by hand."""
    yield "a pair's name", 0 < len(body.pair) <= 64 and body.pair.isprintable()
    yield "a low_ms", 0 <= body.low_ms <= TIME_MAX_MS
    yield "a blind_from_ms", 0 <= body.blind_from_ms <= TIME_MAX_MS
    for name, column in rows.items():
        if name.endswith("_ms"):
            yield name, bool(np.all((column >= 0) & (column <= TIME_MAX_MS)))
        elif name in _ABOVE_ZERO:
            yield name, bool(np.all((column > 0) & (column < np.inf)))
        elif name in _NOT_NEGATIVE:
            yield name, bool(np.all((column >= 0) & (column < np.inf) | np.isnan(column)))
    if body.kind == TRADES.name:
        yield "a first_id", bool(np.all((rows["first_id"] >= -1) & (rows["first_id"] <= rows["trade_id"])))
        return
    seconds, start_ms = rows["candle_seconds"], rows["window_start_ms"]
    yield "candle_seconds", bool(np.all((seconds > 0) & (86_400 % np.maximum(seconds, 1) == 0)))
    ends_right = (start_ms % (np.maximum(seconds, 1) * 1000) == 0) & (
        rows["window_end_ms"] == start_ms + seconds * 1000
    )
    yield "a window", bool(np.all(ends_right))
    yield "a quality", bool(np.all(rows["quality"] < len(QUALITY)))


def _column(code: str, values: list[Any]) -> np.ndarray[Any, Any]:
    if code == "f8":
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.array(values, dtype={"i8": np.int64, "b1": np.bool_, "u1": np.uint8}[code])
