"""Which columns of a feature row a model sees: what stands on its own, and neither what only tells where the price is
(a level of last month says nothing this month) nor what tells nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.errors import TrainingError
from tickcast.training.contract import F8

NULL_SHARE_MAX = 0.5
"""A column that is null in a greater share of the rows is left out."""

_LEVELS = {
    "open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "trade_count", "midprice", "spread",
    "spike_threshold",
}  # fmt: skip
_FUNCTIONS = (
    "sma|ema|wma|dema|tema|trima|kama|ma|mama|t3|hma|rma|vwma|zlema|midpoint|midprice|sar|sarext|ht_trendline|tsf|"
    "supertrend|ha|fractal|linearreg|linearreg_intercept|linearreg_slope|avgprice|medprice|typprice|wclprice|"
    "max|min|minmax|sum|cumsum|add|sub|mult|stddev|avgdev|var|percentile|bollinger|bbands|accbands|donchian|kc|"
    "macd|macdext|macdfix|ht_phasor|apo|ao|ac|mom|dpo|eri|qstick|atr|adr|trange|plus_dm|minus_dm|"
    "obv|vwap|ad|adosc|wad|efi|nvi|pvi|pvt|marketfi"
)
"""Indicators whose values scale with the price or with the volume that is usual."""
_NUMBER = r"(_m?\d[\dpe]*|_[a-z]*matype\d+)"
_WANDERS = re.compile(rf"({_FUNCTIONS}){_NUMBER}*(_(?!rel$|width$|place$|angle$)[a-z]+)?")
LEVEL = "a level of price or volume"


def is_level(name: str) -> bool:
    """Whether a column wanders with the price or the volume, so that no model should learn from it.

    >>> [name for name in ("close", "sma_7", "sma_7_rel", "atr_14", "rsi_14", "bollinger_width") if is_level(name)]
    ['close', 'sma_7', 'atr_14']
    """
    return name in _LEVELS or _WANDERS.fullmatch(name) is not None


class Inputs(NamedTuple):
    """What a model sees, and what it might have seen but for a reason."""

    names: tuple[str, ...]
    dropped: dict[str, str]


def choose(columns: Mapping[str, F8], *, leave_out: Collection[str] = (), required: Sequence[str] = ()) -> Inputs:
    """The columns to learn from, in their order; TrainingError where a required one can not be among them.

    >>> choose({"rsi_14": np.array([40.0, 60.0]), "flat": np.array([1.0, 1.0])})
    Inputs(names=('rsi_14',), dropped={'flat': 'constant'})
    """
    dropped: dict[str, str] = {}
    names: list[str] = []
    for name, column in columns.items():
        reason = "left out on request" if name in leave_out else _fault(name, column, name in required)
        if reason:
            dropped[name] = reason
        else:
            names.append(name)
    for name in required:
        if name not in names:
            raise TrainingError(
                f"feature {name}",
                f"is needed by the model and {f'is {dropped[name]}' if name in dropped else 'is not in the rows'}",
                "choose another model, or rows that have it",
            )
    if not names:
        faults = [f"{name} is {reason}" for name, reason in dropped.items() if reason != LEVEL]
        told = ", ".join(faults[:3]) + (f" and {len(faults) - 3} more" if len(faults) > 3 else "")
        raise TrainingError(
            "training data",
            f"has no feature that tells anything: {told or f'all are {LEVEL}s'}",
            "check that the market in it moves and that the rows reach beyond the features' memory",
        )
    return Inputs(tuple(names), dropped)


def first_infinity(names: Sequence[str], columns: Mapping[str, F8]) -> tuple[str, int] | None:
    """The name and row of the first value that is infinite."""
    for name in names:
        rows = np.flatnonzero(np.isinf(columns[name]))
        if len(rows):
            return name, int(rows[0])
    return None


def too_sparse(columns: Mapping[str, F8], inputs: Inputs, required: Sequence[str]) -> NDArray[np.bool_]:
    """Rows that miss a required feature, or more than half of all."""
    missing = np.zeros(len(next(iter(columns.values()))), dtype=np.int64)
    bad = np.zeros(len(missing), dtype=np.bool_)
    for name in inputs.names:
        null = np.isnan(columns[name])
        missing += null
        if name in required:
            bad |= null
    return bad | (missing > NULL_SHARE_MAX * len(inputs.names))


def _fault(name: str, column: F8, required: bool) -> str:
    """Why a column is no input; empty where it is one."""
    if is_level(name) and not required:
        return LEVEL
    null = np.isnan(column)
    if null.mean() > NULL_SHARE_MAX:
        return f"null in {null.mean():.0%} of the rows"
    return "constant" if np.nanmin(column) == np.nanmax(column) else ""
