"""LightGBM: gradient-boosted trees, tuned over the design's space; one row at a time by a kernel (`walk.py`).

`booster.predict` spends most of its time on the way to C and back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tickcast.errors import BundleError
from tickcast.training.contract import F8, Dataset, Task, TaskName, Trial
from tickcast.training.models.base import merged
from tickcast.training.models.files import need, number, read_json, write_json
from tickcast.training.models.walk import read_walk, single_row

if TYPE_CHECKING:
    import lightgbm

FILE, SCALE_FILE = "lightgbm.txt", "scale.json"
THREADS = 1
"""One: on two cores that also serve, threads wait for each other at every split. Measured beside other work, two took
thirty times as long as one."""
STOP_AFTER = 50
"""Rounds without a better validation loss after which it stops."""
DEFAULTS: dict[str, Any] = {
    "num_leaves": 20,
    "learning_rate": 0.03,
    "n_estimators": 400,
    "min_child_samples": 100,
    "reg_alpha": 0.0,
    "reg_lambda": 5.0,
}
FIXED: dict[str, Any] = {
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "verbosity": -1,
    "deterministic": True,
    "force_col_wise": True,
    "max_bin": 63,
    "num_threads": THREADS,
    "feature_pre_filter": False,
}
_WINSOR = 5.0


class Trees:
    """A booster that has learnt; `scale` turns what it gives for prices back into returns."""

    def __init__(self, booster: lightgbm.Booster, scale: float, task: Task) -> None:
        self.booster, self.scale, self._task = booster, scale, task
        self.walk = read_walk(booster.model_to_string(num_iteration=-1))

    def margins(self, features: F8) -> F8:
        """The sum of the trees."""
        raw: F8 = np.asarray(self.booster.predict(features, raw_score=True, num_threads=THREADS))
        return raw

    def predict(self, features: F8) -> F8:
        """Returns, or probabilities."""
        out: F8 = np.asarray(self.booster.predict(features, num_threads=THREADS))
        return out * self.scale if self._task.sort == "regression" else out

    def single(self) -> Callable[[F8], float]:
        """One row through the kernel."""
        one = single_row(self.walk, raw=self._task.sort == "regression")
        if self._task.sort == "classification":
            return one
        scale = self.scale
        return lambda row: one(row) * scale

    def files(self) -> dict[str, bytes]:
        """LightGBM's own text, and the scale."""
        text = self.booster.model_to_string(num_iteration=-1)
        return {FILE: text.encode(), SCALE_FILE: write_json({"scale": self.scale})}

    def importance(self) -> dict[str, float]:
        """The gain of each feature's splits."""
        gains = self.booster.feature_importance("gain").tolist()
        return dict(zip(self.booster.feature_name(), map(float, gains), strict=True))


def parameters(task: Task, params: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """All that LightGBM is told, number of rounds apart."""
    objective = {"objective": "binary", "metric": "binary_logloss"}
    if task.sort == "regression":
        objective = {"objective": "regression", "metric": "l2"}
    given = {name: value for name, value in params.items() if name != "n_estimators"}
    return {**FIXED, **objective, **given, "seed": seed}


def target_of(dataset: Dataset, scale: float) -> F8:
    """Labels, or returns in deviations and cut: a crash is to be covered by the interval, not learnt by heart."""
    if dataset.task.sort == "classification":
        return dataset.labels
    return np.clip(dataset.labels / scale, -_WINSOR, _WINSOR)


def scale_of(train: Dataset) -> float:
    """The deviation of the returns; 1 for probabilities."""
    return (float(train.labels.std()) or 1.0) if train.task.sort == "regression" else 1.0


class LightGBM:
    """See the module."""

    name = "lightgbm"
    tasks: tuple[TaskName, ...] = ("price", "direction", "volatility")
    needs: tuple[str, ...] = ()
    baseline = False

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Trees:
        """Boost until the validation loss gets no better; without validation rows all rounds."""
        import lightgbm

        given = merged(self.name, DEFAULTS, params)
        scale = scale_of(train)
        told = parameters(train.task, given, seed)
        names = list(train.names)
        rows = lightgbm.Dataset(train.features, target_of(train, scale), feature_name=names, params=told)
        callbacks: list[Callable[..., Any]] = []
        sets: list[lightgbm.Dataset] = []
        if len(valid):
            sets = [rows.create_valid(valid.features, target_of(valid, scale))]
            callbacks = [lightgbm.early_stopping(STOP_AFTER, verbose=False)]
        booster = lightgbm.train(told, rows, given["n_estimators"], valid_sets=sets, callbacks=callbacks)
        best = max(booster.best_iteration, 1) if sets else given["n_estimators"]
        return _reread(booster.model_to_string(num_iteration=best), scale, train.task)

    def space(self, trial: Trial) -> dict[str, Any]:
        """The design's space."""
        return {
            "num_leaves": trial.suggest_int("num_leaves", 20, 150),
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
            "n_estimators": trial.suggest_int("n_estimators", 100, 1000),
            "min_child_samples": trial.suggest_int("min_child_samples", 5, 100),
            "reg_alpha": trial.suggest_float("reg_alpha", 0.0, 10.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 0.0, 10.0),
        }

    def load(self, task: Task, names: tuple[str, ...], files: Mapping[str, bytes]) -> Trees:
        """LightGBM reads its own text."""
        model = _reread(
            need(files, FILE).decode("utf-8", "replace"), number(read_json(files, SCALE_FILE), "scale"), task
        )
        if tuple(model.booster.feature_name()) != names:
            raise BundleError(FILE, "was made for other features than the bundle names", "take another version")
        return model


def is_whole(text: str) -> bool:
    """Whether the text has all the trees that its head announces: LightGBM ends the whole process on less.

    >>> is_whole("tree\\ntree_sizes=9\\n\\nTree=0\\na\\nend of trees\\n"), is_whole("tree\\ntree_sizes=9\\n\\nTree")
    (True, False)
    """
    head, _, body = text.partition("\n\n")
    sizes = next((line[11:].split() for line in head.splitlines() if line.startswith("tree_sizes=")), None)
    if not head.startswith("tree\n") or sizes is None or not all(size.isdigit() for size in sizes):
        return False
    at = 0
    for count, size in enumerate(map(int, sizes)):
        if not body.startswith(f"Tree={count}\n", at):
            return False
        at += size
    return body.startswith("end of trees\n", at)


def _reread(text: str, scale: float, task: Task) -> Trees:
    """The model as its file says, so that what was judged and what is served are the same."""
    import lightgbm

    if not is_whole(text):
        raise BundleError(FILE, "is cut short or no LightGBM text, the model was not loaded", "take another version")
    try:
        booster = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as exc:
        raise BundleError(FILE, f"can not be read ({exc}), the model was not loaded", "take another version") from exc
    return Trees(booster, scale, task)
