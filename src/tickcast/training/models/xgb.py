"""XGBoost: gradient-boosted trees by histogram, tuned over the same space as LightGBM as far as it has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tickcast.errors import BundleError
from tickcast.training.contract import F8, Dataset, Task, TaskName, Trial
from tickcast.training.models.base import merged
from tickcast.training.models.files import need, number, read_json, write_json
from tickcast.training.models.lgbm import SCALE_FILE, STOP_AFTER, THREADS, scale_of, target_of
from tickcast.training.models.ubj import is_whole

if TYPE_CHECKING:
    import xgboost

FILE = "xgboost.ubj"
BINS = 64
DEFAULTS: dict[str, Any] = {
    "max_leaves": 20,
    "learning_rate": 0.03,
    "n_estimators": 400,
    "min_child_weight": 20.0,
    "reg_alpha": 0.0,
    "reg_lambda": 5.0,
}
FIXED: dict[str, Any] = {
    "tree_method": "hist",
    "max_bin": BINS,
    "grow_policy": "lossguide",
    "max_depth": 0,
    "colsample_bytree": 0.5,
    "subsample": 0.7,
    "nthread": THREADS,
    "verbosity": 0,
}


class Trees:
    """A booster that has learnt; `scale` turns what it gives for prices back into returns."""

    def __init__(self, booster: xgboost.Booster, scale: float, names: tuple[str, ...]) -> None:
        self._booster, self._scale, self._names = booster, scale, names

    def predict(self, features: F8) -> F8:
        """Returns, or probabilities."""
        out = np.asarray(self._booster.inplace_predict(features, validate_features=False), dtype=np.float64)
        return out * self._scale

    def single(self) -> Callable[[F8], float]:
        """One row; XGBoost has no shorter way than its own."""
        return lambda row: float(self.predict(row.reshape(1, -1))[0])

    def files(self) -> dict[str, bytes]:
        """XGBoost's binary JSON, and the scale."""
        return {FILE: bytes(self._booster.save_raw("ubj")), SCALE_FILE: write_json({"scale": self._scale})}

    def importance(self) -> dict[str, float]:
        """The gain of each feature's splits."""
        gains = self._booster.get_score(importance_type="total_gain")
        return {name: float(gains.get(name, 0.0)) for name in self._names}  # type: ignore[arg-type]


class XGBoost:
    """See the module."""

    name = "xgboost"
    tasks: tuple[TaskName, ...] = ("price", "direction", "volatility")
    needs: tuple[str, ...] = ()
    baseline = False

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Trees:
        """Boost until the validation loss gets no better; without validation rows all rounds."""
        import xgboost

        given = merged(self.name, DEFAULTS, params)
        scale = scale_of(train)
        told = {**FIXED, **{name: value for name, value in given.items() if name != "n_estimators"}, "seed": seed}
        told["objective"] = "binary:logistic" if train.task.sort == "classification" else "reg:squarederror"
        told["eval_metric"] = "logloss" if train.task.sort == "classification" else "rmse"
        names = list(train.names)
        rows = xgboost.QuantileDMatrix(
            train.features, target_of(train, scale), feature_names=names, nthread=THREADS, max_bin=BINS
        )
        more: dict[str, Any] = {}
        if len(valid):
            held = xgboost.QuantileDMatrix(
                valid.features, target_of(valid, scale), feature_names=names, ref=rows, max_bin=BINS
            )
            more = {"evals": [(held, "valid")], "early_stopping_rounds": STOP_AFTER, "verbose_eval": False}
        booster = xgboost.train(told, rows, given["n_estimators"], **more)
        if len(valid):
            booster = booster[: booster.best_iteration + 1]
        return _reread(bytes(booster.save_raw("ubj")), scale, train.names)

    def space(self, trial: Trial) -> dict[str, Any]:
        """The design's space in XGBoost's words; a child's weight stands for its rows."""
        return {
            "max_leaves": trial.suggest_int("max_leaves", 20, 150),
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
            "n_estimators": trial.suggest_int("n_estimators", 100, 1000),
            "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 100.0, log=True),
            "reg_alpha": trial.suggest_float("reg_alpha", 0.0, 10.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 0.0, 10.0),
        }

    def load(self, task: Task, names: tuple[str, ...], files: Mapping[str, bytes]) -> Trees:  # noqa: ARG002
        """XGBoost reads its own bytes."""
        model = _reread(need(files, FILE), number(read_json(files, SCALE_FILE), "scale"), names)
        if tuple(model._booster.feature_names or ()) != names:
            raise BundleError(FILE, "was made for other features than the bundle names", "take another version")
        return model


def _reread(data: bytes, scale: float, names: tuple[str, ...]) -> Trees:
    """The model as its file says, so that what was judged and what is served are the same."""
    import xgboost

    if not is_whole(data):
        raise BundleError(FILE, "is cut short or no UBJSON, the model was not loaded", "take another version")
    booster = xgboost.Booster({"nthread": THREADS})
    try:
        booster.load_model(bytearray(data))
    except (xgboost.core.XGBoostError, ValueError) as exc:
        told = str(exc).strip().splitlines()[0][:120]
        raise BundleError(FILE, f"can not be read ({told}), the model was not loaded", "take another version") from exc
    return Trees(booster, scale, names)
