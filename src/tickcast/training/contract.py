"""What the parts of learning hand to each other.

    store, files ─→ Dataset ─→ splits ─→ Kind.fit ─→ Fitted ─→ calibrate ─→ evaluate ─→ bundle

Every number a model sees is a column of a feature row, by its name: there is no second way to a feature. Times are
milliseconds since the epoch; arrays are float64 unless a name says otherwise; NaN means not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

TaskName = Literal["price", "direction", "volatility"]
Sort = Literal["regression", "classification"]


class Task(msgspec.Struct, frozen=True):
    """What is to be forecast.

    - price: the log return over the horizon.
    - direction: whether that return is above zero (rows where it is exactly zero are left out and counted).
    - volatility: whether the realised volatility over the horizon exceeds the trailing threshold known at the time,
      the feature `spike_threshold` of the row.

    >>> Task("price", 300).sort
    'regression'
    """

    name: TaskName
    horizon_seconds: int

    @property
    def sort(self) -> Sort:
        """Whether a model gives a number or a probability."""
        return "regression" if self.name == "price" else "classification"


class Dataset(msgspec.Struct, frozen=True):
    """Rows in the order of `(timestamp_ms, key)`, each with only what was known at its time, and what came of it."""

    task: Task
    names: tuple[str, ...]
    """Of the columns of `features`."""
    features: F8
    """rows x names, C order."""
    labels: F8
    """The log return; or 1.0 and 0.0."""
    timestamp_ms: I8
    """The end of the row's candle: the moment at which the forecast is made."""
    key: NDArray[np.int16]
    """Which of `keys`."""
    keys: tuple[str, ...]
    """`exchange:pair`, sorted."""
    close: F8
    """The price at that moment; for backtests and to turn a return into a price."""
    realised: F8
    """The realised volatility over the horizon (of log returns, not annualised), for scores by tercile and HAR."""
    candle_seconds: int
    feature_set: str
    excluded: Mapping[str, int]
    """Why rows were left out, and how many."""
    dropped: Mapping[str, str] = {}
    """Columns of the feature rows that are no inputs, and why."""

    def __len__(self) -> int:
        return len(self.labels)

    def column(self, name: str) -> F8:
        """One feature by its name."""
        column: F8 = self.features[:, self.names.index(name)]
        return column

    def take(self, rows: NDArray[Any] | slice) -> Dataset:
        """Some of the rows, in their order."""
        cut = ("features", "labels", "timestamp_ms", "key", "close", "realised")
        return msgspec.structs.replace(self, **{name: getattr(self, name)[rows] for name in cut})


class Fitted(Protocol):
    """A model that has learnt. It is a pure function of a row; the same files give the same bits."""

    def predict(self, features: F8) -> F8:
        """For rows x names: returns (price), or probabilities in [0, 1] (the rest)."""
        ...

    def single(self) -> Callable[[F8], float]:
        """The fastest way to predict one row; equal to `predict` to the last bit where the library allows it."""
        ...

    def files(self) -> dict[str, bytes]:
        """The model in its native formats, by file name; deterministic."""
        ...

    def importance(self) -> dict[str, float]:
        """How much each feature is used, in the model's own measure; empty where it means nothing."""
        ...


class Trial(Protocol):
    """What a search hands to `Kind.space`: the ways to ask for a value (Optuna's trial fits)."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """A whole number, both ends included."""
        ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number; `log`: even in its logarithm."""
        ...


class Fold(NamedTuple):
    """Rows (places in the dataset) to learn from, to choose and calibrate by, and to judge by; none overlap."""

    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]
    name: str = ""


class Kind(Protocol):
    """A kind of model: one file in `training/models/`, one row in its table. Stateless.

    `fit` gets a training part and a validation part (for early stopping, never for judging), parameters (defaults where
    none is given) and a seed. `needs` are the feature names without which it can not work.
    """

    @property
    def name(self) -> str:
        """As the command line, bundles and tables write it."""
        ...

    @property
    def tasks(self) -> tuple[TaskName, ...]:
        """What it can learn."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Features without which it can not work."""
        ...

    @property
    def baseline(self) -> bool:
        """True for the naive ones that others must beat."""
        ...

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Fitted:
        """Learn; the same arguments give the same bytes."""
        ...

    def space(self, trial: Trial) -> dict[str, Any]:
        """Parameters to try; an empty dict where there is nothing to search."""
        ...

    def load(self, task: Task, names: tuple[str, ...], files: Mapping[str, bytes]) -> Fitted:
        """The model that `Fitted.files` wrote, or BundleError; never runs code from the files."""
        ...
