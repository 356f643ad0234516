"""What an evaluation says: every score beside its baselines on the same rows; the JSON and the HTML are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.scores.compare import DieboldMariano, Gain
from tickcast.scores.interval import IntervalScores
from tickcast.scores.point import PointScores
from tickcast.scores.probability import ProbabilityScores
from tickcast.training.contract import F8, Task


class Forecasts(NamedTuple):
    """What one model said of rows that it had not learned from; row by row, in the order of the dataset."""

    model: str
    rows: NDArray[np.int64]
    """Places in the dataset."""
    fold: NDArray[np.int16]
    """Which fold judged the row."""
    forecast: F8
    """The return, or the calibrated probability."""
    raw: F8
    """The same before calibration."""
    lower: F8
    """Bounds of the return at the evaluation's level; NaN for probabilities."""
    upper: F8
    threshold: float
    """From which probability on the answer is yes, chosen on validation rows (the last fold's); NaN for prices."""


class Span(msgspec.Struct, frozen=True):
    """The parts of one fold, in rows, and the time its test part covers."""

    name: str
    train_rows: int
    valid_rows: int
    test_rows: int
    from_ms: int
    to_ms: int


class ModelScores(msgspec.Struct, frozen=True):
    """The scores of one model on some of the test rows; those that its task does not have are None."""

    model: str
    baseline: bool
    fold: str
    """Empty: of all folds together."""
    key: str
    """Empty: of all pairs together."""
    rows: int
    point: PointScores | None = None
    probability: ProbabilityScores | None = None
    interval: IntervalScores | None = None
    qlike: float | None = None
    """Of the variance forecast, where the model makes one."""


class Against(msgspec.Struct, frozen=True):
    """One model against one baseline, row by row: `gain` above zero is for the model."""

    model: str
    baseline: str
    measure: str
    """`squared error`, `log loss` or `PR-AUC`."""
    key: str
    gain: Gain
    test: DieboldMariano | None
    """None for PR-AUC, which is no mean over rows."""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it."""

    task: Task
    candle_seconds: int
    keys: tuple[str, ...]
    from_ms: int
    to_ms: int
    rows: int
    excluded: Mapping[str, int]
    dropped: Mapping[str, str]
    dataset_hash: str
    window: str
    """How the folds were cut: `expanding`, `sliding` or `chronological`."""
    folds: tuple[Span, ...]
    level: float
    seed: int
    trials: Mapping[str, int]
    """Sets of parameters that were tried, by model: the best of many looks better than it is."""
    params: Mapping[str, Mapping[str, float | int | str | bool]]
    scores: tuple[ModelScores, ...]
    against: tuple[Against, ...]
    importance: Mapping[str, Mapping[str, float]]
    notes: tuple[str, ...] = ()

    def of(self, model: str, *, fold: str = "", key: str = "") -> ModelScores | None:
        """The scores of a model on some of the rows, if they are there."""
        wanted = (model, fold, key)
        return next((one for one in self.scores if (one.model, one.fold, one.key) == wanted), None)
