"""What a feature row holds, in order, and the name of that set: a model meets only rows of the set it learned from."""

from __future__ import annotations

import hashlib
import json

from tickcast.config import FlowSettings
from tickcast.events import TICKS
from tickcast.indicators.spec import parse
from tickcast.indicators.values import DESIGN

DEFINITIONS = 2
"""Raised when a name begins to mean another number."""

_DAY_MS = 86_400_000

CANDLE = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "trade_count")
TICK = tuple(name for name in TICKS.columns if name not in TICKS.key)
RETURNS = (1, 5, 15, 60, 240)
RATES = (1, 2, 3, 5, 10, 15, 30, 60, 120, 240, 480, 1440)
RANGES = (1, 5, 15, 60, 240, 1440)
VOLUMES = ((1, 60), (5, 240), (60, 1440))
BUY_SHARE = 5
EWMA = 240
"""Over how many candles the columns of the memory look back; all but the first and the last are among RATES."""

TRAILING = ("spike_threshold", "log_tod")
"""What trails the market: a row that is issued again has those that it had."""
MEMORY = (
    *(f"return_{span}" for span in RETURNS),
    *(f"log_rv_{span}" for span in RATES),
    *(f"log_range_{span}" for span in RANGES),
    *(f"volume_{short}_{long}" for short, long in VOLUMES),
    f"buy_share_{BUY_SHARE}",
    f"log_ewma_{EWMA}",
)
"""Of this candle and those before it."""

_AGAINST_THRESHOLD = (1, 5, 15, 60)
RELATIVE: dict[str, tuple[str, ...]] = {
    "log_threshold": ("log", "spike_threshold"),
    **{f"rel_rv_{span}": ("rate", f"log_rv_{span}", "spike_threshold") for span in _AGAINST_THRESHOLD},
    **{f"rel_range_{span}": ("rate", f"log_range_{span}", "spike_threshold") for span in _AGAINST_THRESHOLD},
    "rel_ewma": ("rate", f"log_ewma_{EWMA}", "spike_threshold"),
    "close_place": ("place", "close", "low", "high"),
    **{f"{name}_rel": ("ratio", "close", name) for name in ("sma_7", "sma_21", "ema_12", "ema_26", "vwap")},
    **{f"{name}_rel": ("share", name, "close") for name in ("macd", "macd_signal", "macd_histogram", "atr_14")},
    "bollinger_place": ("place", "close", "bollinger_lower", "bollinger_upper"),
    "spread_rel": ("share", "spread", "midprice"),
}
"""Made of other columns of the row: the logarithm of one; a log rate less that of the threshold per candle; the
logarithm of a ratio; a share; the place between two others."""

TIME = ("hour_sin", "hour_cos", "dow_sin", "dow_cos", "minute_sin", "minute_cos", "minute_5", "minute_15")
"""Hour, weekday (Monday is 0) and minute of the window's end, UTC, on a circle; the minute within 5 and within 15."""


def feature_names(settings: FlowSettings) -> tuple[str, ...]:
    """The candle, its indicators, the last tick before its end, what is remembered, what follows from these, the time.

    >>> names = feature_names(FlowSettings(indicators=("ADX:14",)))
    >>> names[0], names[22:24], names[-1]
    ('open', ('atr_14', 'adx_14'), 'minute_15')
    """
    return (*CANDLE, *indicator_names(settings), *TICK, *TRAILING, *MEMORY, *RELATIVE, *TIME)


def reach_ms(settings: FlowSettings) -> int:
    """How far before a row's end lies what its own memory may rest on.

    >>> reach_ms(FlowSettings()) // 86_400_000, reach_ms(FlowSettings(candle_seconds=(3600,))) // 86_400_000
    (8, 60)
    """
    longest_ms = 1000 * max(settings.candle_seconds)
    trailing_ms = settings.spike_days * _DAY_MS + 1000 * settings.volatility_seconds + longest_ms
    return max((RATES[-1] + 1) * longest_ms, 8 * _DAY_MS + longest_ms, trailing_ms)


def indicator_names(settings: FlowSettings) -> tuple[str, ...]:
    """The design's indicators and the configured ones."""
    return (*DESIGN, *(name for spec in parse(settings.indicators) for name in spec.columns))


def feature_set(settings: FlowSettings) -> str:
    """A short hash of the names, their order, the version of their definitions, and the settings these rest on.

    >>> feature_set(FlowSettings()) == feature_set(FlowSettings(candle_seconds=(1, 60)))
    True
    >>> feature_set(FlowSettings()) == feature_set(FlowSettings(indicators=("ADX:14",)))
    False
    >>> feature_set(FlowSettings()) == feature_set(FlowSettings(spike_days=14))
    False
    """
    spike = [settings.spike_percentile, settings.spike_days, settings.volatility_seconds]
    text = json.dumps([DEFINITIONS, *spike, *feature_names(settings)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
