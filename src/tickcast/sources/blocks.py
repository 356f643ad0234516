"""Journal lines: written when a message comes, read back as columns. Live, replay and verify all read here.

    {"r":1723161254087896568,"x":"binance","m":{"e":"trade",...}}     m: what the venue sent, byte for byte
    {"r":1723161254087896568,"x":"kraken","b":"ewogICJlcnJvciI..."}  b: the same in base64, unless one line of JSON

A line that can not be read becomes a Reject and never stops the others.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

import msgspec
import numpy as np

from tickcast.errors import WireError
from tickcast.events import Columns, Frame
from tickcast.sources import own
from tickcast.sources.contract import (
    ALIVE,
    QUOTE,
    TIME_MAX_MS,
    TRADE,
    Blind,
    Event,
    Fetched,
    Mapper,
    MarketRows,
    Quote,
    Reject,
    Trade,
)
from tickcast.sources.decimals import guarded

SILENCE_NS = 60_000_000_000
RECV_MAX_NS = TIME_MAX_MS * 1_000_000
_REMEDY = "the line was set aside and the lines around it were read; `tickcast doctor` checks the disk"
_AROUND = b" \t\r\n"
MANY = 4
"""So many messages that were read at once are worth a look at all of them."""


class _Line(msgspec.Struct):
    r: Annotated[int, msgspec.Meta(ge=0, le=RECV_MAX_NS)]
    x: str
    m: msgspec.Raw = msgspec.Raw()
    b: str | None = None


class _Own(msgspec.Struct):
    tickcast: str


_decode = msgspec.json.Decoder(_Line).decode
_own = msgspec.json.Decoder(_Own)
_any = msgspec.json.Decoder(msgspec.Raw)
_any_decode = _any.decode
_name = lru_cache(maxsize=64)(msgspec.json.encode)

_pack = struct.Struct("<BqqqddqqBdd").pack
"""One row, in the order of `_ROW`; packing and one frombuffer cost a third of building eleven lists."""
_ROW = np.dtype(
    [
        ("kind", "u1"),
        ("pair", "<i8"),
        ("trade_id", "<i8"),
        ("first_id", "<i8"),
        ("price", "<f8"),
        ("quantity", "<f8"),
        ("timestamp_ms", "<i8"),
        ("recv_ms", "<i8"),
        ("is_buyer_maker", "?"),
        ("bid", "<f8"),
        ("ask", "<f8"),
    ]
)
COLUMNS: tuple[str, ...] = _ROW.names or ()
_NAN = float("nan")


def encode_line(recv_ns: int, exchange: str, raw: bytes) -> bytes:
    """Write one message as a journal line; what is not one line of JSON goes in base64, so nothing is ever lost.

    >>> encode_line(5, "kraken", b'{"channel":"heartbeat"}')
    b'{"r":5,"x":"kraken","m":{"channel":"heartbeat"}}\\n'
    """
    if not 0 <= recv_ns <= RECV_MAX_NS:
        recv_ns = 0  # no clock says so: unknown
    if _is_one_line(raw):
        return b'{"r":%d,"x":%b,"m":%b}\n' % (recv_ns, _name(exchange), raw)
    return b'{"r":%d,"x":%b,"b":"%b"}\n' % (recv_ns, _name(exchange), base64.b64encode(raw))


def encode_lines(recv_ns: int, exchange: str, raws: Sequence[bytes]) -> bytes:
    """What `encode_line` makes of each, for messages that were read at once.

    >>> encode_lines(5, "kraken", [b'{"channel":"heartbeat"}']) == encode_line(5, "kraken", b'{"channel":"heartbeat"}')
    True
    """
    if len(raws) < MANY or not 0 <= recv_ns <= RECV_MAX_NS or not _are_objects(raws):
        return b"".join([encode_line(recv_ns, exchange, raw) for raw in raws])
    head = b'{"r":%d,"x":%b,"m":' % (recv_ns, _name(exchange))
    return head + (b"}\n" + head).join(raws) + b"}\n"


def _are_objects(raws: Sequence[bytes]) -> bool:
    """Whether each is an object of JSON on one line, without anything around it; False also where it may not be so."""
    text = b"\n".join(raws)
    if b"\r" in text or not text.isascii() or text.count(b"\n") != len(raws) - 1:
        return False
    try:
        for raw in raws:
            if raw[:1] != b"{" or raw[-1:] != b"}":
                return False
            _any_decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _is_one_line(raw: bytes) -> bool:
    if b"\n" in raw or b"\r" in raw or raw.strip(_AROUND) != raw:
        return False
    try:
        _any.decode(raw)
        if not raw.isascii():
            raw.decode()  # the decoder skips over text without reading it
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def decode_line(line: bytes) -> tuple[int, str, bytes]:
    """Read what `encode_line` wrote: (recv_ns, exchange, raw); WireError for anything else.

    >>> decode_line(encode_line(5, "kraken", b"not JSON"))
    (5, 'kraken', b'not JSON')
    """
    try:
        found = _decode(line)
        raw = bytes(found.m) if found.b is None else base64.b64decode(found.b, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise WireError("journal line", "is not a journal line", _REMEDY) from exc
    if (found.b is None) != bool(found.m):
        raise WireError("journal line", "has neither m nor b, or both", _REMEDY)
    return found.r, found.x, raw


def map_lines(mapper: Mapper, lines: bytes, last_recv_ns: int = 0) -> MarketRows:
    """Read lines one by one: the definition that every faster way is held to."""
    reader = LineReader(mapper)
    silences: list[tuple[int, int]] = []
    messages = 0
    for line in lines.split(b"\n"):
        recv_ns = reader.read(line)
        if recv_ns is None:
            continue
        messages += 1
        if recv_ns > last_recv_ns:
            if last_recv_ns and recv_ns - last_recv_ns > SILENCE_NS:
                silences.append((last_recv_ns, recv_ns))
            last_recv_ns = recv_ns
    silence_ns = np.array(silences, dtype=np.int64).reshape(-1, 2)
    return MarketRows(
        list(reader.pairs),
        reader.columns(),
        reader.rejects,
        messages,
        silence_ns,
        last_recv_ns,
        reader.frames,
        reader.told,
    )


class LineReader:
    """Reads journal lines with one mapper, and keeps what they say until it is asked for columns."""

    def __init__(self, mapper: Mapper) -> None:
        self._exchange = mapper.exchange
        self._map_message = mapper.map_message
        self.pairs: dict[str, int] = {}
        self.rejects: list[Reject] = []
        self.frames: list[Frame] = []
        self.told: list[Fetched | Blind] = []
        self._rows = bytearray()

    def __len__(self) -> int:
        return len(self._rows) // _ROW.itemsize

    def read(self, line: bytes) -> int | None:
        """Take one line; answer its receive time (0 where none can be read), or None where there is no line at all."""
        recv_ns, raw = 0, line
        try:
            recv_ns, exchange, raw = decode_line(line)
            if exchange != self._exchange:
                raise WireError("journal line", "is of another exchange than its block", _REMEDY)
            events = self._own_events(raw) if raw.startswith(own.MARK) else self._map_message(raw)
            for event in events:
                self._keep(event, recv_ns // 1_000_000)
        except WireError as exc:
            if not line.strip(_AROUND):
                return None
            self.rejects.append(Reject(recv_ns, exc.what, raw))
        return recv_ns

    def columns(self) -> Columns:
        """All rows so far, in the order in which they were read."""
        rows = np.frombuffer(bytes(self._rows), dtype=_ROW)
        return {name: np.ascontiguousarray(rows[name]) for name in COLUMNS}

    def _own_events(self, raw: bytes) -> Sequence[Event]:
        return guarded(self._exchange, self._read_own, raw)

    def _read_own(self, raw: bytes) -> Sequence[Event]:
        kind = _own.decode(raw).tickcast
        if kind == "alive":
            return own.read_alive(raw)
        if kind == "history":
            self.told.append(own.read_history(self._exchange, raw))
        elif kind == "blind":
            self.told.append(own.read_blind(self._exchange, raw))
        else:
            self.frames.append(own.read_frame(self._exchange, raw))
        return ()

    def _keep(self, event: Event, recv_ms: int) -> None:
        pair = self._number(event.pair)
        if type(event) is Trade:
            self._rows += _pack(
                TRADE,
                pair,
                event.trade_id,
                event.first_id,
                event.price,
                event.quantity,
                event.timestamp_ms,
                recv_ms,
                event.is_buyer_maker,
                _NAN,
                _NAN,
            )
            return
        bid, ask = (event.bid, event.ask) if type(event) is Quote else (_NAN, _NAN)
        kind = QUOTE if type(event) is Quote else ALIVE
        self._rows += _pack(kind, pair, -1, -1, _NAN, _NAN, event.timestamp_ms, recv_ms, False, bid, ask)

    def _number(self, pair: str) -> int:
        number = self.pairs.get(pair)
        if number is None:
            if not pair:
                return -1
            number = self.pairs[pair] = len(self.pairs)
        return number
