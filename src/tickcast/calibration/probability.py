"""Probabilities that mean what they say: none, Platt's line on the log-odds, or isotonic steps.

Which one is chosen by its log loss on validation rows that it was not fitted to. No calibrated probability is 0 or 1:
`n` rows can not tell of anything rarer than 1 / (n + 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickcast.calibration.plain import from_plain, to_plain
from tickcast.errors import TrainingError
from tickcast.kernels import kernel, plain, warms

F8 = NDArray[np.float64]

ROWS_MIN = 100
"""With fewer rows than this, or fewer than `ONES_MIN` of a class, nothing is fitted and the answer says so."""
ONES_MIN = 10
MARGIN_FLOOR = 1e-12
"""Probabilities nearer than this to 0 or 1 have the log-odds of this."""
_SAME = 1e-6
"""Log-odds that differ by no more than this share of their size are one and the same: a base rate, told by rounding."""


@kernel
def _platt(probability: F8, slope: float, constant: float, floor: float, out: F8) -> None:
    for row in range(len(out)):
        p = min(max(probability[row], MARGIN_FLOOR), 1.0 - MARGIN_FLOOR)
        line = slope * math.log(p / (1.0 - p)) + constant
        out[row] = min(max(1.0 / (1.0 + math.exp(-line)), floor), 1.0 - floor)


class Unchanged(msgspec.Struct, frozen=True, tag="none"):
    """The model's own probabilities, kept from 0 and 1.

    >>> Unchanged(floor=0.01).one(0.0)
    0.01
    """

    floor: float

    def apply(self, probability: F8) -> F8:
        """For many rows."""
        return np.clip(np.asarray(probability, dtype=np.float64), self.floor, 1.0 - self.floor)

    def one(self, probability: float) -> float:
        """For one row; the same bits."""
        return float(self.apply(np.array([probability]))[0])


class Platt(msgspec.Struct, frozen=True, tag="platt"):
    """`1 / (1 + exp(-(slope * log-odds + constant)))`; the slope is never below zero, so the order stays.

    >>> Platt(slope=1.0, constant=0.0, floor=0.01).one(0.25)
    0.25
    """

    slope: float
    constant: float
    floor: float

    def apply(self, probability: F8) -> F8:
        """For many rows."""
        said = plain(np.asarray(probability, dtype=np.float64))
        out = np.empty(len(said))
        _platt(said, self.slope, self.constant, self.floor, out)
        return out

    def one(self, probability: float) -> float:
        """For one row; the same bits."""
        return float(self.apply(np.array([probability]))[0])


class Isotonic(msgspec.Struct, frozen=True, tag="isotonic"):
    """Straight lines between knots that never fall.

    >>> Isotonic(said=(0.0, 1.0), meant=(0.25, 0.75), floor=0.01).one(0.5)
    0.5
    """

    said: tuple[float, ...]
    meant: tuple[float, ...]
    floor: float

    def apply(self, probability: F8) -> F8:
        """For many rows."""
        meant = np.interp(np.asarray(probability, dtype=np.float64), self.said, self.meant)
        return np.clip(meant, self.floor, 1.0 - self.floor)

    def one(self, probability: float) -> float:
        """For one row; the same bits."""
        return float(self.apply(np.array([probability]))[0])


Calibrator = Unchanged | Platt | Isotonic


class Choice(msgspec.Struct, frozen=True):
    """The calibrator that was chosen, and the log loss of each on rows that it was not fitted to."""

    calibrator: Calibrator
    losses: dict[str, float]
    note: str = ""


def floor_of(rows: int) -> float:
    """The lowest probability that so many rows can tell of.

    >>> floor_of(98)
    0.01
    """
    return 1.0 / (rows + 2.0)


def fit_unchanged(probability: F8, outcome: F8) -> Unchanged:  # noqa: ARG001
    """Nothing but the floor."""
    return Unchanged(floor_of(len(probability)))


def fit_platt(probability: F8, outcome: F8) -> Platt:
    """Newton's method on the logistic loss, with Platt's targets (one more row of each class), so it always ends."""
    said = np.clip(probability, MARGIN_FLOOR, 1.0 - MARGIN_FLOOR)
    margin = np.log(said / (1.0 - said))
    ones = float(outcome.sum())
    zeros = len(outcome) - ones
    target = np.where(outcome == 1.0, (ones + 1.0) / (ones + 2.0), 1.0 / (zeros + 2.0))
    middle = float(np.mean(target))
    level = math.log(middle / (1.0 - middle))
    if float(np.ptp(margin)) <= _SAME * (1.0 + float(np.abs(margin).max())):
        return Platt(0.0, level, floor_of(len(said)))  # slope and constant can not be told apart
    slope, constant = _newton(margin, target, level)
    if not slope > 0.0:
        slope, constant = 0.0, level
    return Platt(slope, constant, floor_of(len(said)))


def _newton(margin: F8, target: F8, level: float) -> tuple[float, float]:
    slope, constant, loss = 0.0, level, math.inf
    step = np.zeros(2)
    for _ in range(200):
        line = slope * margin + constant
        now = float(np.sum(np.logaddexp(0.0, line) - target * line))
        if now > loss + 1e-12 * abs(loss):  # a step too far: half of the way back
            step = step / 2.0
            slope, constant = slope - step[0], constant - step[1]
            continue
        loss = now
        p = 1.0 / (1.0 + np.exp(-line))
        off, weight = target - p, p * (1.0 - p)
        gradient = np.array([off @ margin, off.sum()])
        cross = weight @ margin
        curve = np.array([[weight @ (margin * margin), cross], [cross, weight.sum()]]) + 1e-12 * np.eye(2)
        step = np.linalg.solve(curve, gradient)
        slope, constant = slope + float(step[0]), constant + float(step[1])
        if np.abs(step).max() < 1e-12 * (1.0 + abs(slope) + abs(constant)):
            break
    return float(slope), float(constant)


def fit_isotonic(probability: F8, outcome: F8) -> Isotonic:
    """The steps that never fall and are nearest to the outcomes."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(probability, outcome)
    said, meant = fitted.X_thresholds_, fitted.y_thresholds_
    return Isotonic(tuple(map(float, said)), tuple(map(float, meant)), floor_of(len(probability)))


FITTERS: dict[str, Callable[[F8, F8], Calibrator]] = {
    "none": fit_unchanged,
    "platt": fit_platt,
    "isotonic": fit_isotonic,
}
"""The simplest first: of equals it is chosen."""


def choose(probability: ArrayLike, outcome: ArrayLike, *, folds: int = 5, gap: int = 0) -> Choice:
    """Fit on validation rows the calibrator that serves best on rows it has not seen.

    The folds are stretches of time; `gap` rows beside the one held out teach nothing, for horizons that overlap.

    >>> rng = np.random.default_rng(1)
    >>> truth = rng.random(2000)
    >>> choice = choose(truth**3, rng.random(2000) < truth)
    >>> choice.losses[choice.calibrator.__struct_config__.tag] == min(choice.losses.values())
    True
    """
    said, truth = np.asarray(probability, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    if said.shape != truth.shape or not ((said >= 0.0) & (said <= 1.0)).all() or not np.isin(truth, (0.0, 1.0)).all():
        what = f"{said.shape} probabilities beside {truth.shape} outcomes, or numbers that are neither"
        raise TrainingError("calibration", what, "give outcomes of 0 and 1 beside probabilities from 0 to 1")
    ones = int(truth.sum())
    if len(said) < ROWS_MIN or not ONES_MIN <= ones <= len(said) - ONES_MIN:
        note = f"{ones} ones in {len(said)} rows are too few to calibrate by"
        return Choice(fit_unchanged(said, truth), {}, note)
    losses = {name: _held_out_loss(fitter, said, truth, folds, gap) for name, fitter in FITTERS.items()}
    best = min(losses, key=lambda name: losses[name])
    return Choice(FITTERS[best](said, truth), losses)


def _held_out_loss(fitter: Callable[[F8, F8], Calibrator], said: F8, truth: F8, folds: int, gap: int) -> float:
    total, rows = 0.0, np.arange(len(said))
    for held in np.array_split(rows, folds):
        rest = (rows < held[0] - gap) | (rows > held[-1] + gap)
        calibrated = fitter(said[rest], truth[rest]).apply(said[held])
        total -= float(np.sum(np.log(np.where(truth[held] == 1.0, calibrated, 1.0 - calibrated))))
    return total / len(said)


def to_json(calibrator: Calibrator) -> dict[str, Any]:
    """As a bundle keeps it."""
    made: dict[str, Any] = to_plain(calibrator)
    return made


def from_json(data: Any) -> Calibrator:
    """What `to_json` gave.

    >>> from_json({"type": "platt", "slope": 1.0, "constant": 0.5, "floor": 0.01})
    Platt(slope=1.0, constant=0.5, floor=0.01)
    """
    made: Calibrator = from_plain(data, Calibrator, "calibrator")  # type: ignore[arg-type]
    return made


@warms
def _warm() -> None:
    Platt(1.0, 0.0, 0.1).apply(np.array([0.5]))
