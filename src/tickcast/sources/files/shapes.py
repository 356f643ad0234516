"""Names for columns that have none: told by the values of the first rows.

open_time,open,high,low,close,volume,close_time,quote_volume,count,...     Binance's klines dump and REST klines
agg_trade_id,price,quantity,first_trade_id,last_trade_id,time,maker,...    Binance's aggTrades dump
id,price,quantity,quote_qty,time,maker,...                                 Binance's trades dump
time,open,high,low,close,volume[,count]                                    freqtrade, Kraken's OHLCVT files
time,low,high,open,close,volume                                            Coinbase REST candles
time,price,volume                                                          Kraken's downloadable trades
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tickcast.sources.contract import TIME_MAX_MS, TIME_MIN_MS
from tickcast.sources.files.numbers import floats, sides, times_us, truths
from tickcast.sources.files.tables import Hints, Rows


def _listed(names: str) -> list[str]:
    return names.split()


_KLINES = _listed(
    "open_time open high low close volume close_time quote_volume count taker_buy_volume taker_buy_quote_volume ignore"
)
_AGG_TRADES = _listed("agg_trade_id price quantity first_trade_id last_trade_id time is_buyer_maker is_best_match")
_TRADES = _listed("id price quantity quote_qty time is_buyer_maker is_best_match")
_FREQTRADE_TRADES = _listed("timestamp id type side price amount cost")
_KRAKEN_TRADES = _listed("price volume time side order_type misc trade_id")
_LEAN_QUOTES = _listed("time bid_open bid_high bid_low bid_close bid_size ask_open ask_high ask_low ask_close ask_size")
_CANDLES = _listed("time open high low close volume count")
_COINBASE_CANDLES = _listed("time low high open close volume")
_KRAKEN_CANDLES = _listed("time open high low close vwap volume count")
_WORD = re.compile(r"[A-Za-z]+", re.ASCII)


def names_by_values(rows: Rows, hints: Hints) -> list[str]:
    """Names for all columns, or an empty list where the values do not tell.

    >>> rows = Rows([pa.array(["1672620536"]), pa.array(["90.07"]), pa.array(["1.1"])], np.array([1]), [])
    >>> names_by_values(rows, Hints())
    ['time', 'price', 'volume']
    """
    columns = [column.slice(0, 200) for column in rows.columns]
    found = _names(columns, hints)
    return [*found, *(f"column {at + 1}" for at in range(len(found), len(columns)))] if found else []


def _names(columns: list[pa.Array], hints: Hints) -> list[str]:
    width = len(columns)
    if hints.day_ms >= 0:
        return _LEAN_QUOTES if width == 11 else _CANDLES[:6] if width == 6 else ["time", "price", "volume"]
    by_marks = _by_marks(columns)
    if by_marks:
        return by_marks[:width]
    if not _is_time(columns[0]):
        return []
    side = next((at for at, column in enumerate(columns) if _is_side(column)), -1)
    if side > 0:
        rest = iter(["price", "amount", "trade_id"])
        return ["time"] + ["side" if at == side else next(rest, f"column {at + 1}") for at in range(1, width)]
    if width == 3:
        return ["time", "price", "volume"]
    return _candle_order(columns)


def _by_marks(columns: list[pa.Array]) -> list[str]:
    """Layouts with a mark that nothing else has: a second time, a flag, a side at a certain place."""
    width = len(columns)
    if width >= 11 and _is_time(columns[0]) and _is_time(columns[6]):
        return _KLINES
    if width in (7, 8) and _is_time(columns[5]) and _is_flag(columns[6]):
        return _AGG_TRADES
    if width in (6, 7) and _is_time(columns[4]) and _is_flag(columns[5]):
        return _TRADES
    if width == 7 and _is_time(columns[0]) and _is_side(columns[3]):
        return _FREQTRADE_TRADES
    if width in (6, 7) and _is_time(columns[2]) and _is_side(columns[3]):
        return _KRAKEN_TRADES
    return []


def _candle_order(columns: list[pa.Array]) -> list[str]:
    """The order in which high is highest and low is lowest in nearly all rows; flat rows fit every order."""
    width = len(columns)
    if width < 5:
        return []
    a, b, c, d = (floats(column).values for column in columns[1:5])
    usual = _share((b >= np.fmax(a, d)) & (c <= np.fmin(a, d)))
    coinbase = _share((b >= np.fmax(c, d)) & (a <= np.fmin(c, d)))
    if max(usual, coinbase) < 0.5:
        return []
    if coinbase > usual:
        return _COINBASE_CANDLES
    if width == 8:
        vwap = floats(columns[5]).values
        if _share((vwap >= c) & (vwap <= b) | (vwap == 0)) > 0.9:
            return _KRAKEN_CANDLES
    return _CANDLES[:width]


def _share(true: NDArray[np.bool_]) -> float:
    return float(true.mean()) if len(true) else 0.0


def _is_time(column: pa.Array) -> bool:
    parsed = times_us(column)
    ms = parsed.values // 1000
    fits = ~parsed.missing & ~parsed.unreadable & (ms >= TIME_MIN_MS) & (ms < TIME_MAX_MS)
    return _share(fits) > 0.5


def _is_flag(column: pa.Array) -> bool:
    """Words of truth; zeros and ones could be prices of another layout."""
    parsed = truths(column)
    worded = [bool(_WORD.fullmatch(str(one))) for one in column.to_pylist()]
    return _share(~parsed.missing & ~parsed.unreadable & np.array(worded, np.bool_)) > 0.5


def _is_side(column: pa.Array) -> bool:
    parsed = sides(column)
    return _share(~parsed.missing & ~parsed.unreadable) > 0.5
