"""What a feature row holds, in order, and the name of that set: a model meets only rows of the set it learned from."""

from __future__ import annotations

import hashlib
import json

from tickcast.config import FlowSettings
from tickcast.events import TICKS
from tickcast.indicators.spec import parse
from tickcast.indicators.values import DESIGN

DEFINITIONS = 1
"""Raised when a name begins to mean another number."""

CANDLE = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "trade_count")
TICK = tuple(name for name in TICKS.columns if name not in TICKS.key)
TIME = ("hour_sin", "hour_cos", "dow_sin", "dow_cos")
"""Hour and weekday (Monday is 0) of the window's end, UTC, on a circle."""


def feature_names(settings: FlowSettings) -> tuple[str, ...]:
    """The candle, its indicators, the last tick before its end, the time.

    >>> names = feature_names(FlowSettings(indicators=("ADX:14",)))
    >>> names[0], names[22:24], names[-1]
    ('open', ('atr_14', 'adx_14'), 'dow_cos')
    """
    return (*CANDLE, *indicator_names(settings), *TICK, *TIME)


def indicator_names(settings: FlowSettings) -> tuple[str, ...]:
    """The design's indicators and the configured ones."""
    return (*DESIGN, *(name for spec in parse(settings.indicators) for name in spec.columns))


def feature_set(settings: FlowSettings) -> str:
    """A short hash of the names, their order and the version of their definitions.

    >>> feature_set(FlowSettings()) == feature_set(FlowSettings(candle_seconds=(1, 60)))
    True
    >>> feature_set(FlowSettings()) == feature_set(FlowSettings(indicators=("ADX:14",)))
    False
    """
    text = json.dumps([DEFINITIONS, *feature_names(settings)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
