"""Kraken's history: REST `Trades` (oldest first, ids in the last column) and `OHLC` (the newest 720 bars).

    {"error":[],"result":{"XXBTZUSD":[["105433.60000","0.00027625",1762795433.9717445,"b","l","",10218208],...],
     "last":"1762795433971744500"}}
    {"error":[],"result":{"XXBTZUSD":[[1502402520,"3449.992","3449.999","3449.992","3449.999","3449.997","1.01",7],...],
     "last":1502445600}}

The side is the taker's. Empty minutes stand among the bars, flat, with a vwap of "0.0"; the bar after `last` is still
being made, and is left out. The answer names the pair in the venue's own way: we name it as our configuration does.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np

from tickcast.events import TRADES, Columns
from tickcast.sources.decimals import Id, Unreadable, seconds_us
from tickcast.sources.kraken import is_buyer_maker
from tickcast.sources.pages.columns import (
    PRICES,
    CandleFields,
    TradeFields,
    candle_columns,
    numbers,
    trade_columns,
)


class _Trade(msgspec.Struct, array_like=True, gc=False):
    price: str
    volume: str
    time: Any  # the number's own digits: a float would round them
    side: Literal["b", "s"]
    type: str
    misc: str
    trade_id: Id


class _Bar(msgspec.Struct, array_like=True, gc=False):
    time: int
    open: str
    high: str
    low: str
    close: str
    vwap: str
    volume: str
    count: int


class _Answer(msgspec.Struct):
    error: list[str] = []
    result: dict[str, msgspec.Raw] | None = None


_answer = msgspec.json.Decoder(_Answer)
_trades = msgspec.json.Decoder(list[_Trade], float_hook=str)
_bars = msgspec.json.Decoder(list[_Bar])
_cursor = msgspec.json.Decoder(str | int)


class Answer(msgspec.Struct):
    """One REST answer, its rows still unread."""

    rows: msgspec.Raw
    last: str
    """The cursor, as the venue writes it."""


def opened(raw: bytes) -> Answer:
    """Take an answer apart.

    >>> opened(b'{"error":[],"result":{"XXBTZUSD":[],"last":"17"}}').last
    '17'
    """
    answer = _answer.decode(raw)
    if answer.error:
        raise Unreadable(f"the venue says: {', '.join(answer.error)}")
    found = [rows for name, rows in (answer.result or {}).items() if name != "last"]
    if answer.result is None or len(found) != 1 or "last" not in answer.result:
        raise Unreadable("no page of one pair")
    last = str(_cursor.decode(answer.result["last"]))
    if not (last.isdecimal() and last.isascii() and len(last) <= 19):
        raise Unreadable("last is not a cursor")
    return Answer(found[0], last)


def ends_at(raw: bytes) -> tuple[str, int]:
    """The cursor of a page of trades, and the time of its last row in microseconds; 0 where it has none.

    >>> ends_at(b'{"error":[],"result":{"X":[["1.5","2",1700000017.25,"b","l","",7]],"last":"1700000017250000001"}}')
    ('1700000017250000001', 1700000017250000)
    """
    answer = opened(raw)
    rows: list[_Trade] = _trades.decode(answer.rows)
    return answer.last, seconds_us(str(rows[-1].time), "time") if rows else 0


def read(what: str, pair: str, seconds: int, raw: bytes) -> Columns:  # noqa: ARG001
    """Trades or closed candles of a page, ascending."""
    answer = opened(raw)
    if what == TRADES.name:
        return _read_trades(_trades.decode(answer.rows))
    return _read_bars(_bars.decode(answer.rows), int(answer.last), seconds)


def _read_trades(rows: list[_Trade]) -> Columns:
    ids = [row.trade_id for row in rows]
    times_ms = np.array([seconds_us(str(row.time), "time") // 1000 for row in rows], np.int64)
    price, volume = numbers([row.price for row in rows], "price"), numbers([row.volume for row in rows], "volume")
    maker = [is_buyer_maker(row.side) for row in rows]
    return trade_columns(TradeFields(ids, ids, price, volume, times_ms, maker))


def _read_bars(rows: list[_Bar], last_s: int, seconds: int) -> Columns:
    rows = [row for row in rows if row.time <= last_s]
    start_ms = np.array([row.time for row in rows], np.int64) * 1000
    values = [numbers([getattr(row, name) for row in rows], name) for name in (*PRICES, "volume")]
    return candle_columns(CandleFields(start_ms, values, trade_count=[row.count for row in rows]), seconds)
