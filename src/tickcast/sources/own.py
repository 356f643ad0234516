"""Our own messages in the journal: what a feed proves, fetched or did not see, and rows that a user imported.

All that enters the system enters through the journal, so that all of it can be recomputed from there.

    {"tickcast":"alive","venue_ms":1723161600000,"pairs":["BTCUSDT"],"by":{...}}           no pairs: all of the exchange
    {"tickcast":"history","what":"trades","pair":"BTCUSDT","seconds":0,"from_ms":...,"to_ms":...,"fetched_ms":...,
     "live":true,"pages":[[{"a":3988316038,"p":"64348.95",...},...]]}                      pages: as the venue sent them
    {"tickcast":"blind","pair":"BTCUSDT","from_ms":1723161600000}
    {"tickcast":"frame","kind":"candles","pair":"BTCUSDT","low_ms":...,"columns":{"open":[...],...}}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from tickcast.errors import WireError
from tickcast.events import CANDLES, QUALITY, TRADES, Columns, Frame, concat
from tickcast.sequences import in_order
from tickcast.sources.contract import TIME_MAX_MS, Alive, Blind, Fetched
from tickcast.sources.decimals import checked_ms
from tickcast.sources.history.contract import Part

MARK = b'{"tickcast":'
ALIVE_MARK = MARK + b'"alive"'
_KINDS = {table.name: table for table in (CANDLES, TRADES)}
_ABOVE_ZERO = {"price", "quantity", "open", "high", "low", "close"}
_NOT_NEGATIVE = {"volume", "quote_volume", "buy_volume", "bid", "ask", "trade_id", "trade_count", "revision"}


def from_venue(raw: bytes) -> bytes:
    """A venue's message, so that it can not be taken for ours: one that begins with our mark is journaled apart.

    >>> from_venue(b'{"e":"trade"}'), from_venue(b'{"tickcast":"alive","venue_ms":9}')[:12]
    (b'{"e":"trade"}', b' {"tickcast"')
    """
    return b" " + raw if raw.startswith(MARK) else raw


class _Frame(msgspec.Struct):
    kind: str
    pair: str
    low_ms: int
    columns: dict[str, list[Any]]
    blind_from_ms: int = 0
    fetched_ms: int = 0


class _Alive(msgspec.Struct):
    venue_ms: int
    pairs: list[str] = []


class _History(msgspec.Struct):
    what: str
    pair: str
    seconds: int
    from_ms: int
    to_ms: int
    fetched_ms: int
    live: bool
    pages: list[msgspec.Raw]


class _Blind(msgspec.Struct):
    pair: str
    from_ms: int


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_alive = msgspec.json.Decoder(_Alive).decode
_decode_history = msgspec.json.Decoder(_History).decode
_decode_blind = msgspec.json.Decoder(_Blind).decode


def alive(venue_ms: int, pairs: Sequence[str] = (), by: bytes = b"") -> bytes:
    """Proof that a venue's clock has reached a time: for some pairs, or all of the exchange; and what proved it.

    >>> alive(5)
    b'{"tickcast":"alive","venue_ms":5}'
    >>> alive(5, ["BTCUSDT"], b'{"channel":"heartbeat"}')
    b'{"tickcast":"alive","venue_ms":5,"pairs":["BTCUSDT"],"by":{"channel":"heartbeat"}}'
    """
    message = b'{"tickcast":"alive","venue_ms":%d' % venue_ms
    if pairs:
        message += b',"pairs":' + msgspec.json.encode(list(pairs))
    return message + (b',"by":' + by if by else b"") + b"}"


def read_alive(raw: bytes) -> list[Alive]:
    """What `alive` wrote."""
    message = _decode_alive(raw)
    venue_ms = checked_ms(message.venue_ms, "venue_ms")
    return [Alive(pair, venue_ms) for pair in message.pairs or [""]]


def blind(pair: str, from_ms: int) -> bytes:
    """Word that a pair was not seen from then until its next row or proof of time.

    >>> blind("BTCUSDT", 5)
    b'{"tickcast":"blind","pair":"BTCUSDT","from_ms":5}'
    """
    return msgspec.json.encode({"tickcast": "blind", "pair": pair, "from_ms": from_ms})


def read_blind(exchange: str, raw: bytes) -> Blind:
    """What `blind` wrote."""
    try:
        message = _decode_blind(raw)
    except msgspec.DecodeError as exc:
        raise WireError(f"{exchange}/blind", f"can not be read ({exc})", "it was set aside") from exc
    if not (_is_name(message.pair) and 0 < message.from_ms <= TIME_MAX_MS):
        raise WireError(f"{exchange}/blind", "has a pair or a time that can not be true", "it was set aside")
    return Blind(message.pair, message.from_ms)


def history(part: Part, *, live: bool) -> bytes:
    """History as a message: the venue's pages, unchanged, and of what they are all there is.

    A page may tell of more than was wanted: rows after `to_ms` are not taken from it. Pages are JSON on one line: one
    with line breaks between its tokens is taken apart and put together again.
    """
    head: dict[str, Any] = {"tickcast": "history", "what": part.what, "pair": part.pair, "seconds": part.seconds}
    times = part.rows.get("timestamp_ms", part.rows.get("window_start_ms"))
    to_ms = max(part.to_ms, int(times[-1]) if times is not None and len(times) else 0)  # no row of it is left out
    head |= {"from_ms": part.from_ms, "to_ms": to_ms, "fetched_ms": part.fetched_ms, "live": live}
    pages = [msgspec.json.format(page, indent=-1) if b"\n" in page or b"\r" in page else page for page in part.pages]
    return msgspec.json.encode(head)[:-1] + b',"pages":[' + b",".join(pages) + b"]}"


def read_history(exchange: str, raw: bytes) -> Fetched:
    """What `history` wrote: rows of all pages, in order, each once."""
    from tickcast.sources.pages.registry import read_page

    where = f"{exchange}/history"
    try:
        message = _decode_history(raw)
        table = _KINDS[message.what]
    except (msgspec.DecodeError, KeyError) as exc:
        raise WireError(where, f"can not be read ({exc})", "it was set aside; fetch that time again") from exc
    times_fit = 0 < message.from_ms <= message.to_ms <= TIME_MAX_MS and 0 <= message.fetched_ms <= TIME_MAX_MS
    if not (times_fit and _is_name(message.pair)):
        raise WireError(where, "has a pair or a time that can not be true", "it was set aside; fetch that time again")
    pages = [read_page(exchange, message.what, message.pair, message.seconds, bytes(page)) for page in message.pages]
    columns = concat(pages) if pages else table.empty()
    is_trades = message.what == TRADES.name
    names = ("trade_id", "timestamp_ms") if is_trades else ("window_start_ms", "candle_seconds")
    keys = [columns[name] for name in names]
    order = in_order(*keys) if is_trades else np.lexsort(keys[::-1])
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = columns[names[0]][order][1:] != columns[names[0]][order][:-1]
    first &= columns["timestamp_ms" if is_trades else "window_end_ms"][order] <= message.to_ms
    columns = {name: column[order[first]] for name, column in columns.items()}
    if is_trades:
        columns["recv_ms"] = np.full(int(first.sum()), message.fetched_ms)
    frame = Frame(message.what, exchange, message.pair, message.to_ms, columns, whole_from_ms=message.from_ms)
    return Fetched(frame, 0 if is_trades else message.seconds, message.live, message.fetched_ms)


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


def _is_name(pair: str) -> bool:
    return 0 < len(pair) <= 64 and pair.isprintable()


def _checks(body: _Frame, rows: Columns) -> Iterator[tuple[str, bool]]:
    """What stages rely on, by the name of what tells it: a journal may have been changed by hand."""
    yield "a pair's name", _is_name(body.pair)
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
