"""Frames as messages of a topic: JSON, rows by name, read back bit for bit.

    key      binance:BTCUSDT
    value    {"kind":"trades","exchange":"binance","pair":"BTCUSDT","low_ms":60000,"trades":[{"trade_id":7,...},...]}

Floats are written as short as they read back to the same bits; NaN is null, infinities are texts. `blind_from_ms` and
`whole_from_ms` are left out where they are 0. Columns beside those of the table are numbers, and `names` lists them, so
that a frame without rows still has its columns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import GenericAlias
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np

from tickcast.errors import DataError, WireError
from tickcast.events import QUALITY, TABLES, Frame

_Float = float | Literal["Infinity", "-Infinity"] | None
_Int = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_TYPES: dict[str, Any] = {"f8": _Float, "i8": _Int, "b1": bool, "u1": int, "str": str, "quality": Literal[QUALITY]}
_DTYPES: dict[str, Any] = {"f8": np.float64, "i8": np.int64, "b1": np.bool_, "u1": np.uint8, "str": np.object_}
_QUALITY_AT = {label: at for at, label in enumerate(QUALITY)}
_FORMS_MAX = 64
"""Sets of columns whose readers are kept; a flow has one for each table."""


class _Head(msgspec.Struct):
    kind: str
    names: tuple[str, ...] = ()


_head = msgspec.json.Decoder(_Head).decode
_encode = msgspec.json.Encoder().encode
_values = msgspec.structs.astuple


class _Form(NamedTuple):
    """How one set of columns is written and read."""

    codes: dict[str, str]
    row: Callable[..., Any]
    message: Callable[..., Any]
    decode: Callable[[bytes], Any]


def encode_frame(frame: Frame) -> bytes:
    """A frame as the value of a message; its key is `frame.key`.

    >>> from tickcast.events import CANDLES
    >>> encode_frame(Frame("candles", "binance", "BTCUSDT", 60_000, CANDLES.empty()))
    b'{"kind":"candles","exchange":"binance","pair":"BTCUSDT","low_ms":60000,"candles":[]}'
    """
    table = TABLES[frame.kind]
    names = tuple(name for name in frame.columns if name not in table.columns)
    form = _form(frame.kind, names)
    columns = [_listed(name, code, frame) for name, code in form.codes.items()]
    rows = list(map(form.row, *columns))
    head = (frame.kind, frame.exchange, frame.pair, frame.low_ms)
    return _encode(form.message(*head, rows, frame.blind_from_ms, names, frame.whole_from_ms))


def decode_frame(data: bytes) -> Frame:
    """The frame that `encode_frame` wrote, or WireError.

    >>> from tickcast.events import TRADES
    >>> sent = Frame("trades", "binance", "BTCUSDT", 9, TRADES.rows([{"trade_id": 7, "price": 0.1}]))
    >>> decode_frame(encode_frame(sent)).columns["price"].tolist()
    [0.1]
    """
    try:
        head = _head(data)
        form = _form(head.kind, head.names)
        body = form.decode(data)
        values = zip(*map(_values, body.rows), strict=True) if body.rows else [()] * len(form.codes)
        listed = zip(form.codes.items(), values, strict=True)
        columns = {name: _column(name, code, column) for (name, code), column in listed}
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, KeyError, RecursionError) as exc:
        what = f"is of the unknown kind {exc}" if isinstance(exc, KeyError) else f"can not be read ({exc})"
        raise WireError("topic message", what, "let the same version of tickcast write and read the topic") from exc
    return Frame(body.kind, body.exchange, body.pair, body.low_ms, columns, body.blind_from_ms, body.whole_from_ms)


@lru_cache(maxsize=_FORMS_MAX)
def _form(kind: str, names: tuple[str, ...]) -> _Form:
    table = TABLES[kind].columns
    codes = dict(table) | {name: "f8" for name in names if name not in table}
    types = (_TYPES["quality" if name == "quality" else code] for name, code in codes.items())
    fields = [(f"f{at}", type_) for at, type_ in enumerate(types)]
    row = msgspec.defstruct("Row", fields, rename={f"f{at}": name for at, name in enumerate(codes)}, gc=False)
    message = msgspec.defstruct(
        "Message",
        [
            ("kind", str),
            ("exchange", str),
            ("pair", str),
            ("low_ms", _Int),
            ("rows", GenericAlias(list, (row,))),
            ("blind_from_ms", _Int, 0),
            ("names", tuple[str, ...], ()),
            ("whole_from_ms", _Int, 0),
        ],
        rename={"rows": kind},
        omit_defaults=True,
    )
    return _Form(codes, row, message, msgspec.json.Decoder(message).decode)


def _listed(name: str, code: str, frame: Frame) -> list[Any]:
    """A column as plain values that JSON holds without loss."""
    column = frame.columns[name]
    if column.dtype != _DTYPES[code]:
        raise DataError(
            f"{frame.kind} of {frame.key}",
            f"has {name} as {column.dtype}, which a message holds as {np.dtype(_DTYPES[code])}",
            "give the column in events.py the type that the stage writes",
        )
    values: list[Any] = column.tolist()
    if name == "quality":
        return [QUALITY[value] for value in values]
    if code == "f8" and np.isinf(column).any():
        return [value if value - value == 0 or value != value else _infinity(value) for value in values]
    return values


def _infinity(value: float) -> str:
    return "Infinity" if value > 0 else "-Infinity"


def _column(name: str, code: str, values: tuple[Any, ...]) -> Any:
    if name == "quality":
        values = tuple(_QUALITY_AT[value] for value in values)
    return np.array(values, dtype=_DTYPES[code])  # None is NaN to numpy, and "Infinity" infinity
