"""Binance's history: REST aggTrades and klines, and lines of its daily files as one JSON string.

    [{"a":13519807,"p":"0.00141342","q":"23.0","f":15373518,"l":15373518,"T":1570752011620,"m":true,"M":true},...]
    [[1730073600000,"68021.69","68116.78","67839.90","67859.91","555.35",1730077199999,"37756129.8",145225,"281.1",...]]
    "3988316038,64348.95,0.00009,6407186253,6407186253,1736208000000123,True,True\\n..."

Files are in microseconds from 2025-01-01 on, in milliseconds before; some have a header, most have none.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from tickcast.events import CANDLES, TRADES, Columns
from tickcast.sources.binance import AGGREGATE_MAX
from tickcast.sources.decimals import ID_MAX, Unreadable
from tickcast.sources.pages.columns import CandleFields, TradeFields, candle_columns, epoch_times_ms, numbers
from tickcast.sources.pages.columns import trade_columns as to_trades

if TYPE_CHECKING:
    import pyarrow as pa

_AGG_TRADES = ("agg_trade_id", "price", "quantity", "first_id", "last_id", "time", "is_buyer_maker")
_KLINES = (
    "time", "open", "high", "low", "close", "volume", "end", "quote_volume", "trade_count", "buy_volume",
)  # fmt: skip
_WHOLE = frozenset(("agg_trade_id", "first_id", "last_id", "time", "end", "trade_count"))


class _Aggregate(msgspec.Struct, gc=False):
    p: str
    q: str
    f: int
    l: int  # noqa: E741
    T: int
    m: bool  # true: the buyer was resting, so the taker sold


class _Kline(msgspec.Struct, array_like=True, gc=False):
    time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    end: int
    quote_volume: str
    trade_count: int
    buy_volume: str


class _Refusal(msgspec.Struct):
    code: int
    msg: str = ""


_aggregates = msgspec.json.Decoder(list[_Aggregate])
_klines = msgspec.json.Decoder(list[_Kline])
_text = msgspec.json.Decoder(str)
_refusal = msgspec.json.Decoder(_Refusal)


def read(what: str, pair: str, seconds: int, raw: bytes) -> Columns:  # noqa: ARG001
    """Trades or candles of a page, ascending; void aggregates are not among them."""
    start = raw.lstrip()[:1]
    if start == b"{":
        raise Unreadable(f"the venue says: {_refusal.decode(raw).msg}")
    is_trades = what == TRADES.name
    if start == b'"':
        lines = _text.decode(raw)
        return _file_trades(lines) if is_trades else _file_candles(lines, seconds)
    return _trades(raw) if is_trades else _candles(raw, seconds)


def _trades(raw: bytes) -> Columns:
    rows = _aggregates.decode(raw)
    return _checked_trades(
        [row.f for row in rows],
        [row.l for row in rows],
        numbers([row.p for row in rows], "p"),
        numbers([row.q for row in rows], "q"),
        [row.T for row in rows],
        [row.m for row in rows],
    )


def _checked_trades(first: Any, last: Any, price: Any, quantity: Any, times: Any, maker: Any) -> Columns:
    first, last = np.asarray(first, np.int64), np.asarray(last, np.int64)
    times, maker = np.asarray(times, np.int64), np.asarray(maker, np.bool_)
    void = (first == -1) & (last == -1) & (price == 0.0) & (quantity == 0.0)
    if void.any():
        first, last, price, quantity, times, maker = (
            column[~void] for column in (first, last, price, quantity, times, maker)
        )
    if not np.all((first >= 0) & (first <= last) & (last <= ID_MAX) & (last - first < AGGREGATE_MAX)):
        raise Unreadable("f and l are not a range of ids")
    return to_trades(TradeFields(last, first, price, quantity, epoch_times_ms(times, "T"), maker))


def _candles(raw: bytes, seconds: int) -> Columns:
    rows = _klines.decode(raw)
    fields = CandleFields(
        epoch_times_ms([row.time for row in rows], "time"),
        [numbers([getattr(row, name) for row in rows], name) for name in _KLINES[1:6]],
        numbers([row.quote_volume for row in rows], "quote_volume"),
        numbers([row.buy_volume for row in rows], "buy_volume"),
        [row.trade_count for row in rows],
    )
    return candle_columns(fields, seconds)


def _file_trades(lines: str) -> Columns:
    table = _table(lines, _AGG_TRADES)
    if table is None:
        return TRADES.empty()
    column = {name: table[name].to_numpy() for name in _AGG_TRADES}
    return _checked_trades(
        column["first_id"], column["last_id"], column["price"], column["quantity"], column["time"],
        column["is_buyer_maker"],
    )  # fmt: skip


def _file_candles(lines: str, seconds: int) -> Columns:
    table = _table(lines, _KLINES)
    if table is None:
        return CANDLES.empty()
    column = {name: table[name].to_numpy() for name in _KLINES}
    fields = CandleFields(
        epoch_times_ms(column["time"], "time"),
        [column[name] for name in _KLINES[1:6]],
        column["quote_volume"],
        column["buy_volume"],
        column["trade_count"],
    )
    return candle_columns(fields, seconds)


def _table(lines: str, names: tuple[str, ...]) -> pa.Table | None:
    """Comma-separated lines as typed columns; None where there are none. Further columns at the end are not needed."""
    import pyarrow as pa
    from pyarrow import csv

    head = lines[: lines.find("\n")] if "\n" in lines else lines
    if head and not head.lstrip()[:1].isdigit():
        lines = lines[len(head) + 1 :]
    if not lines.strip():
        return None
    width = lines[: lines.find("\n")].count(",") + 1 if "\n" in lines else lines.count(",") + 1
    if width < len(names):
        raise Unreadable("a line has too few parts")
    kinds = {name: pa.int64() if name in _WHOLE else pa.float64() for name in names} | {"is_buyer_maker": pa.bool_()}
    rest = [f"more_{at}" for at in range(width - len(names))]
    try:
        return csv.read_csv(
            io.BytesIO(lines.encode()),
            read_options=csv.ReadOptions(use_threads=False, column_names=[*names, *rest]),
            parse_options=csv.ParseOptions(quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types=kinds,
                include_columns=list(names),
                null_values=[],
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
            ),
        )
    except pa.ArrowInvalid as exc:
        raise Unreadable(f"a line can not be read ({str(exc).splitlines()[0][:80]})") from None
