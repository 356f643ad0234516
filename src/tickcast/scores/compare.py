"""Is one forecast better than another on the same rows, or was it luck: Diebold-Mariano and a block bootstrap.

Rows follow each other in time, and forecasts over a horizon overlap: neighbours are alike, and a test that takes them
for independent finds skill in noise. Both answers here allow for that. The horizon is in rows: candles of the horizon
x keys, where rows of several keys stand side by side. A gain is the baseline's loss minus the model's: above zero,
the model is better.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from tickcast.errors import DataError
from tickcast.scores.probability import average_precision
from tickcast.scores.resample import resampled_means, resampled_precision_gains
from tickcast.scores.rows import F8, ROWS_MIN, aligned, mean, outcomes

Blocks = Literal["stationary", "circular"]
ONES_MIN = 10
"""With fewer ones than this no bounds of a PR-AUC are given: the answer says so."""
SAME = "both lose the same in every row"
STEADY = "the gain is the same in every row, so that there is no spread to judge it by"


class DieboldMariano(msgspec.Struct, frozen=True):
    """The test that the mean gain is zero. None: can not be told, and `note` says why."""

    rows: int
    gain: float
    statistic: float | None
    p_value: float | None
    """Of both sides."""
    p_better: float | None
    """Of one side: how likely as good a gain or a better one is by luck. Small: the model is better."""
    lags: int
    note: str = ""


class Gain(msgspec.Struct, frozen=True):
    """The mean gain between bounds by a block bootstrap. None: can not be told, and `note` says why."""

    rows: int
    gain: float | None
    low: float | None
    high: float | None
    level: float
    block: float
    resamples: int
    """Those that counted."""
    seed: int
    note: str = ""


def _too_few(rows: int, horizon: int) -> str:
    needed = max(ROWS_MIN, 3 * horizon)
    return f"{rows} rows are too few, {needed} are needed" if rows < needed else ""


def _gains(loss: ArrayLike, baseline_loss: ArrayLike) -> tuple[F8, str]:
    """The gains, and why no test can be made of them."""
    mine, base = aligned("paired losses", loss=loss, baseline_loss=baseline_loss)
    gains = base - mine
    if not gains.any():
        return gains, SAME
    rounding = 1e-12 * max(float(np.abs(mine).max()), float(np.abs(base).max()))
    return gains, STEADY if float(np.ptp(gains)) <= rounding else ""


def newey_west_lags(rows: int, horizon: int = 1) -> int:
    """As many lags as the horizon overlaps, and no fewer than the rule of Newey and West, 4 (rows / 100)^(2/9).

    >>> newey_west_lags(100), newey_west_lags(10_000, horizon=60)
    (4, 59)
    """
    return min(max(horizon - 1, int(4.0 * (rows / 100.0) ** (2.0 / 9.0))), rows - 1)


def long_run_variance(values: F8, lags: int) -> float:
    """The variance that a mean of neighbours has, times rows: Bartlett's weights, so never below zero.

    >>> long_run_variance(np.array([1.0, -1.0, 1.0, -1.0]), 0)
    1.0
    """
    off, rows = values - np.mean(values), len(values)
    total = float(off @ off)
    for lag in range(1, lags + 1):
        total += 2.0 * (1.0 - lag / (lags + 1)) * float(off[lag:] @ off[:-lag])
    return max(total / rows, 0.0)


def diebold_mariano(
    loss: ArrayLike, baseline_loss: ArrayLike, *, horizon: int = 1, lags: int | None = None
) -> DieboldMariano:
    """Test losses of the same rows, in the order of time, with the small-sample correction of Harvey et al.

    >>> base = np.tile([1.0, 1.2, 0.9, 1.1], 25)
    >>> diebold_mariano(base * 0.9, base).p_better < 0.01
    True
    >>> diebold_mariano(base, base).p_value, diebold_mariano(base, base).note
    (1.0, 'both lose the same in every row')
    """
    gains, note = _gains(loss, baseline_loss)
    rows, gain = len(gains), mean(gains)
    used = newey_west_lags(rows, horizon) if lags is None else lags
    if note == SAME:
        return DieboldMariano(rows, 0.0, 0.0, 1.0, 0.5, used, note)
    note = note or _too_few(rows, horizon)
    variance = 0.0 if note else long_run_variance(gains, used)
    if note or variance == 0.0:
        return DieboldMariano(rows, gain, None, None, None, used, note or STEADY)
    from scipy.special import stdtr  # type: ignore[import-untyped]

    correction = (rows + 1 - 2 * horizon + horizon * (horizon - 1) / rows) / rows
    statistic = gain / math.sqrt(variance / rows) * math.sqrt(max(correction, 0.0))
    below = float(stdtr(rows - 1, -abs(statistic)))
    return DieboldMariano(rows, gain, statistic, min(2.0 * below, 1.0), below if statistic > 0.0 else 1.0 - below, used)


def block_length(values: F8, *, horizon: int = 1, blocks: Blocks = "stationary") -> float:
    """How long blocks must be: the rule of Politis and White (as corrected with Patton), and no less than the horizon.

    >>> block_length(np.tile([1.0, 1.0, -1.0, -1.0], 50), horizon=5) >= 5
    True
    """
    rows = len(values)
    off = values - np.mean(values)
    squares = np.concatenate([[0.0], np.cumsum(off * off)])
    if squares[-1] == 0.0 or rows < ROWS_MIN:
        return float(min(max(horizon, 1), rows))
    quiet = max(5, int(math.log10(rows)))
    lags = min(math.ceil(math.sqrt(rows)) + quiet, rows - 2)
    products = np.array([off[lag:] @ off[: rows - lag] for lag in range(lags + 1)])
    ends = np.arange(1, lags + 2)
    sizes = np.sqrt((squares[-1] - squares[ends]) * squares[rows - ends])
    loud = np.abs(products) >= 2.0 * math.sqrt(math.log10(rows) / rows) * sizes
    first = next((lag for lag in range(lags - quiet + 1) if not loud[lag : lag + quiet].any()), None)
    reach = lags if first is None else min(2 * max(first, 1), lags)
    lag = np.arange(1, reach + 1)
    weighed = np.minimum(1.0, 2.0 * (1.0 - lag / reach)) * products[1 : reach + 1] / rows
    slope, spread = 2.0 * float(weighed @ lag), products[0] / rows + 2.0 * float(weighed.sum())
    share = (2.0 if blocks == "stationary" else 4.0 / 3.0) * spread**2
    length = (2.0 * slope**2 / share) ** (1.0 / 3.0) * rows ** (1.0 / 3.0) if share > 0.0 else math.inf
    longest = math.ceil(min(3.0 * math.sqrt(rows), rows / 3.0))
    return float(max(min(length, longest), min(max(horizon, 1), rows)))


def _settled(block: float, blocks: Blocks, resamples: int, level: float) -> float:
    if resamples < 1000 or not 0.0 < level < 1.0:
        what = f"{resamples} resamples at a level of {level} were asked for"
        raise DataError("bootstrap", what, "ask for 1000 or more, and a level between 0 and 1")
    return block if blocks == "stationary" else float(math.ceil(block))


def _between(drawn: F8, level: float) -> tuple[float, float]:
    low, high = np.quantile(drawn, ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    return float(low), float(high)


def bootstrap_gain(
    loss: ArrayLike,
    baseline_loss: ArrayLike,
    *,
    seed: int,
    horizon: int = 1,
    block: float | None = None,
    blocks: Blocks = "stationary",
    resamples: int = 2000,
    level: float = 0.95,
) -> Gain:
    """The mean gain and its bounds (percentiles); the block length is `block_length` where none is given.

    >>> base = np.tile([1.0, 1.2, 0.9, 1.1], 25)
    >>> bootstrap_gain(base * 0.9, base, seed=1).low > 0
    True
    """
    gains, note = _gains(loss, baseline_loss)
    rows, gain = len(gains), mean(gains)
    length = _settled(block or block_length(gains, horizon=horizon, blocks=blocks), blocks, resamples, level)
    if note == SAME:
        return Gain(rows, 0.0, 0.0, 0.0, level, length, 0, seed, note)
    if few := _too_few(rows, horizon):
        return Gain(rows, gain, None, None, level, length, 0, seed, few)
    drawn = resampled_means(gains, seed=seed, block=length, varying=blocks == "stationary", resamples=resamples)
    return Gain(rows, gain, *_between(drawn, level), level, length, resamples, seed, note)


def bootstrap_pr_auc(
    outcome: ArrayLike,
    probability: ArrayLike,
    baseline: ArrayLike,
    *,
    seed: int,
    horizon: int = 1,
    block: float | None = None,
    blocks: Blocks = "stationary",
    resamples: int = 1000,
    level: float = 0.95,
) -> Gain:
    """The gain in PR-AUC and its bounds, over resamples of rows in blocks; those without a single one are left out.

    The block length where none is given is that of the difference of both Brier losses.

    >>> outcome = np.tile([0, 0, 1, 0], 25)
    >>> bootstrap_pr_auc(outcome, 0.1 + 0.5 * outcome, np.full(100, 0.25), seed=1).gain
    0.75
    """
    truth, said = outcomes("PR-AUC", outcome, probability)
    _, base = outcomes("PR-AUC of the baseline", outcome, baseline)
    losses = (base - truth) ** 2 - (said - truth) ** 2
    rows = len(truth)
    length = _settled(block or block_length(losses, horizon=horizon, blocks=blocks), blocks, resamples, level)
    if not truth.any():
        return Gain(rows, None, None, None, level, length, 0, seed, "nothing happened in these rows, so none was found")
    gain = _whole_gain(truth, said, base)
    if (said == base).all():
        return Gain(rows, 0.0, 0.0, 0.0, level, length, 0, seed, SAME)
    ones = int(truth.sum())
    rare = f"{ones} ones are too few, {ONES_MIN} are needed" if ones < ONES_MIN else ""
    if few := _too_few(rows, horizon) or rare:
        return Gain(rows, gain, None, None, level, length, 0, seed, few)
    drawn = resampled_precision_gains(
        truth, said, base, seed=seed, block=length, varying=blocks == "stationary", resamples=resamples
    )
    drawn = drawn[~np.isnan(drawn)]
    return Gain(rows, gain, *_between(drawn, level), level, length, len(drawn), seed)


def _whole_gain(truth: F8, said: F8, base: F8) -> float:
    return float(average_precision(truth, said) or 0.0) - float(average_precision(truth, base) or 0.0)
