"""The numbers themselves: TA-Lib over a day and its anchor, at once (`fill`) or candle by candle (`open`), same bits.

Bars are arrays of shape (5, n): open, high, low, close, volume. A segment is the anchor's candles, then the day's.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import numpy as np
import talib
from talib import stream

from tickcast.events import INDICATORS
from tickcast.indicators.ring import F8
from tickcast.indicators.spec import ANCHOR, Spec

Update = Callable[[float, float, float, float, float], tuple[float, ...]]

DESIGN = tuple(INDICATORS.columns)[4 : list(INDICATORS.columns).index("quality")]
"""The design's set, in the order in which both paths below give it."""

_AT_OBV, _AT_VWAP, _AT_ATR = (DESIGN.index(name) for name in ("obv", "vwap", "atr_14"))
_NAN = float("nan")


def _bare(function: str) -> Callable[..., Any]:
    """TA-Lib's function without the wrapper that looks for data frames: on one day it costs as much as the work."""
    found: Callable[..., Any] = unwrap(getattr(talib, function))
    return found


_SMA, _EMA, _RSI, _MACD, _BBANDS, _OBV, _VWAP, _ATR = map(
    _bare, ("SMA", "EMA", "RSI", "MACD", "BBANDS", "OBV", "VWAP", "ATR")
)


class Values:
    """The design's indicators and the configured ones."""

    def __init__(self, extras: tuple[Spec, ...]) -> None:
        self.extras = extras
        self.names = (*DESIGN, *(name for spec in extras for name in spec.columns))
        self._nothing = (_NAN,) * len(self.names)

    def fill(self, out: F8, bars: F8, anchored: bool, whole: bool) -> None:
        """Write a day's last rows, as many as `out` has; `whole` says that the day is known from its midnight on.

        Without a full anchor all that needs one is NaN.
        """
        count, day = out.shape[1], ANCHOR if anchored else 0
        if anchored:
            _fill_anchored(out, bars, bars.shape[1] - count)
            self._fill_extras(out, bars, bars.shape[1] - count)
        else:
            out[:] = np.nan
        if not whole:  # then there is no anchor either
            return
        _, high, low, close, volume = bars[:, day:]
        skip = bars.shape[1] - day - count
        out[_AT_OBV] = _OBV(close, volume)[skip:]
        out[_AT_VWAP] = vwap = _VWAP(high, low, close, volume)[skip:]
        if vwap[0] == 0.0:  # TA-Lib's answer where nothing was traded yet
            out[_AT_VWAP, vwap == 0.0] = np.nan

    def _fill_extras(self, out: F8, bars: F8, skip: int) -> None:
        row = len(DESIGN)
        for spec in self.extras:
            found = _bare(spec.function)(*(bars[at] for at in spec.inputs), **spec.parameters)
            for column in found if isinstance(found, tuple | list) else (found,):
                out[row] = column[skip:]
                row += 1
        extra = out[len(DESIGN) :]
        extra[~np.isfinite(extra)] = np.nan

    def open(self, bars: F8, anchored: bool, whole: bool) -> Update:
        """A function of the next candle that gives its values; opened on a segment with a candle of the day or more."""
        if not whole and not anchored:
            return lambda _o, _h, _l, _c, _v: self._nothing
        since_midnight = _open_day(bars[:, ANCHOR if anchored else 0 :]) if whole else _no_day
        if anchored:
            update = _open_anchored(bars, since_midnight)
            return _with_extras(update, self.extras, bars) if self.extras else update
        nothing, after = (_NAN,) * _AT_OBV, (_NAN,) * (len(self.names) - _AT_ATR)
        return lambda _o, *bar: (*nothing, *since_midnight(*bar), *after)


def _fill_anchored(out: F8, bars: F8, skip: int) -> None:
    _, high, low, close, _ = bars
    rows = iter(out)
    for period in (7, 14, 21):
        next(rows)[:] = _SMA(close, period)[skip:]
    for period in (12, 26):
        next(rows)[:] = _EMA(close, period)[skip:]
    next(rows)[:] = _RSI(close, 14)[skip:]
    for line in _MACD(close, 12, 26, 9):
        next(rows)[:] = line[skip:]
    upper, middle, lower = (band[skip:] for band in _BBANDS(close, 20, 2.0, 2.0))
    next(rows)[:] = upper
    next(rows)[:] = lower
    width = next(rows)
    np.subtract(upper, lower, out=width)
    if middle.all():
        width /= middle
    else:
        width[:] = np.divide(width, middle, out=np.full_like(width, np.nan), where=middle != 0.0)
    out[_AT_ATR] = _ATR(high, low, close, 14)[skip:]


def _no_day(_high: float, _low: float, _close: float, _volume: float) -> tuple[float, float]:
    return _NAN, _NAN


def _open_day(bars: F8) -> Callable[[float, float, float, float], tuple[float, float]]:
    """OBV and VWAP since midnight."""
    _, high, low, close, volume = bars
    obv, vwap = stream.OBV(close, volume).update, stream.VWAP(high, low, close, volume).update

    def update(high: float, low: float, close: float, volume: float) -> tuple[float, float]:
        return obv(close, volume), vwap(high, low, close, volume) or _NAN

    return update


def _open_anchored(bars: F8, since_midnight: Callable[[float, float, float, float], tuple[float, float]]) -> Update:
    """The design's set. It runs for every candle of every pair, so it is one flat function of local names."""
    _, high, low, close, _ = bars
    sma_7, sma_14, sma_21 = (stream.SMA(close, period).update for period in (7, 14, 21))
    ema_12, ema_26 = (stream.EMA(close, period).update for period in (12, 26))
    rsi_14, macd = stream.RSI(close, 14).update, stream.MACD(close, 12, 26, 9).update
    bbands, atr_14 = stream.BBANDS(close, 20, 2.0, 2.0).update, stream.ATR(high, low, close, 14).update

    def update(_o: float, h: float, l: float, c: float, v: float) -> tuple[float, ...]:  # noqa: E741
        line, signal, histogram = macd(c)
        upper, middle, lower = bbands(c)
        obv, vwap = since_midnight(h, l, c, v)
        return (
            sma_7(c), sma_14(c), sma_21(c), ema_12(c), ema_26(c), rsi_14(c), line, signal, histogram,
            upper, lower, (upper - lower) / middle if middle != 0.0 else _NAN, obv, vwap, atr_14(h, l, c),
        )  # fmt: skip

    return update


def _with_extras(update: Update, extras: tuple[Spec, ...], bars: F8) -> Update:
    handles: list[tuple[Callable[..., Any], tuple[int, ...]]] = []
    for spec in extras:
        handle = getattr(stream, spec.function)(*(bars[at] for at in spec.inputs), **spec.parameters)
        handles.append((handle.update, spec.inputs))

    def update_all(*bar: float) -> tuple[float, ...]:
        values = list(update(*bar))
        for more, inputs in handles:
            found = more(*[bar[at] for at in inputs])
            for value in found if isinstance(found, tuple) else (found,):
                values.append(float(value) if value - value == 0 else _NAN)
        return tuple(values)

    return update_all
