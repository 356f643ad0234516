"""A random forest: scikit-learn grows it, and its trees are kept as one plain array.

Why not skops or ONNX: skops names its parts by their addresses in memory, so the same forest gives other bytes each
time, and its trees are raw nodes that it does not trust itself; a scikit-learn forest takes milliseconds for one row.
One array of nodes is checked when it is read, is the same bytes for the same forest, and a kernel walks it in
microseconds; a test holds its numbers to scikit-learn's.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickcast.errors import BundleError
from tickcast.kernels import kernel
from tickcast.training.contract import F8, Dataset, Task, TaskName, Trial
from tickcast.training.models.base import merged
from tickcast.training.models.files import need, number, read_json, write_json
from tickcast.training.models.lgbm import SCALE_FILE, scale_of, target_of

FILE = "forest.npy"
WORKERS = 2
NODE = np.dtype([("feature", "<i4"), ("left", "<i4"), ("right", "<i4"), ("threshold", "<f8"), ("value", "<f8")])
"""A leaf has feature -1; a root of a tree is a node that no other names. Children stand behind their parents."""
_FIELDS = ("feature", "left", "right", "threshold", "value")
LIMIT = 3.0e38
"""What a number of 32 bits holds: scikit-learn compares in these."""
DEFAULTS: dict[str, Any] = {"n_estimators": 100, "max_depth": 10, "min_samples_leaf": 50, "max_features": 0.3}


@kernel
def walk(features: F8, feature: Any, left: Any, right: Any, threshold: F8, value: F8, roots: Any, out: F8) -> None:
    """The mean over the trees of the leaf that each row falls into; what is not known counts as 0."""
    for row in range(features.shape[0]):
        total = 0.0
        for root in roots:
            node = root
            while feature[node] >= 0:
                x = features[row, feature[node]]
                single = np.float32(0.0 if x != x else min(max(x, -3.0e38), 3.0e38))
                node = left[node] if single <= threshold[node] else right[node]
            total += value[node]
        out[row] = total / len(roots)


class Trees:
    """The nodes of all trees."""

    def __init__(self, nodes: NDArray[Any], scale: float, names: tuple[str, ...]) -> None:
        self._nodes, self._scale, self._names = nodes, scale, names
        named = np.concatenate([nodes["left"][nodes["feature"] >= 0], nodes["right"][nodes["feature"] >= 0]])
        self._roots = np.setdiff1d(np.arange(len(nodes), dtype=np.int32), named)
        feature, left, right, threshold, value = (np.ascontiguousarray(nodes[field]) for field in _FIELDS)
        self._parts = (feature, left, right, threshold, value, self._roots)

    def predict(self, features: F8) -> F8:
        """Returns, or probabilities."""
        out = np.empty(len(features))
        walk(np.ascontiguousarray(features, dtype=np.float64), *self._parts, out)
        return out * self._scale

    def single(self) -> Callable[[F8], float]:
        """One row through the same kernel."""
        out = np.empty(1)

        def one(row: F8) -> float:
            walk(row.reshape(1, -1), *self._parts, out)
            return float(out[0] * self._scale)

        return one

    def files(self) -> dict[str, bytes]:
        """The array of nodes, and the scale."""
        held = io.BytesIO()
        np.save(held, self._nodes, allow_pickle=False)
        return {FILE: held.getvalue(), SCALE_FILE: write_json({"scale": self._scale})}

    def importance(self) -> dict[str, float]:
        """How many splits ask for each feature."""
        asked = self._nodes["feature"][self._nodes["feature"] >= 0]
        counts = np.bincount(asked, minlength=len(self._names)).astype(float).tolist()
        return dict(zip(self._names, counts, strict=True))


class Forest:
    """See the module."""

    name = "forest"
    tasks: tuple[TaskName, ...] = ("price", "direction", "volatility")
    needs: tuple[str, ...] = ()
    baseline = False

    def fit(self, train: Dataset, valid: Dataset, *, params: Mapping[str, Any], seed: int) -> Trees:  # noqa: ARG002
        """Grow the trees, each on rows and features of its own."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        given = merged(self.name, DEFAULTS, params)
        scale = scale_of(train)
        grower = RandomForestRegressor if train.task.sort == "regression" else RandomForestClassifier
        known = np.clip(np.nan_to_num(train.features, nan=0.0), -LIMIT, LIMIT)
        forest = grower(**given, random_state=seed, n_jobs=WORKERS).fit(known, target_of(train, scale))
        return Trees(_nodes_of(forest), scale, train.names)

    def space(self, trial: Trial) -> dict[str, Any]:
        """Size and depth."""
        return {
            "n_estimators": trial.suggest_int("n_estimators", 50, 200),
            "max_depth": trial.suggest_int("max_depth", 4, 14),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 20, 200),
            "max_features": trial.suggest_float("max_features", 0.1, 0.8),
        }

    def load(self, task: Task, names: tuple[str, ...], files: Mapping[str, bytes]) -> Trees:  # noqa: ARG002
        """The nodes, once they are shown to be trees."""
        try:
            nodes = np.load(io.BytesIO(need(files, FILE)), allow_pickle=False)
        except (ValueError, EOFError, OSError) as exc:
            raise BundleError(
                FILE, f"can not be read ({exc}), the model was not loaded", "take another version"
            ) from exc
        _check(nodes, len(names))
        return Trees(nodes, number(read_json(files, SCALE_FILE), "scale"), names)


def _nodes_of(forest: Any) -> NDArray[Any]:
    """Scikit-learn's trees one behind the other."""
    parts, start = [], 0
    for estimator in forest.estimators_:
        tree = estimator.tree_
        part = np.zeros(tree.node_count, dtype=NODE)
        inner = tree.children_left >= 0
        part["feature"] = np.where(inner, tree.feature, -1)
        part["left"] = np.where(inner, tree.children_left + start, -1)
        part["right"] = np.where(inner, tree.children_right + start, -1)
        part["threshold"] = np.where(inner, tree.threshold, 0.0)
        value = tree.value[:, 0, :]
        if value.shape[1] == 1:
            part["value"] = value[:, 0]
        else:  # the share of the second class, as predict_proba has it
            part["value"] = value[:, 1] / value.sum(axis=1)
        parts.append(part)
        start += tree.node_count
    return np.concatenate(parts)


def _check(nodes: Any, width: int) -> None:
    """Nodes that would lead out of the array, in circles or to a feature that is not there are refused."""
    ok = isinstance(nodes, np.ndarray) and nodes.dtype == NODE and nodes.ndim == 1 and len(nodes) > 0
    if ok:
        at = np.arange(len(nodes))
        inner = nodes["feature"] >= 0
        children = np.concatenate([nodes["left"][inner], nodes["right"][inner]])
        parents = np.concatenate([at[inner], at[inner]])
        ok = bool((nodes["feature"] < width).all() and (children > parents).all() and (children < len(nodes)).all())
        ok = ok and len(np.unique(children)) == len(children)
        ok = ok and bool(np.isfinite(nodes["threshold"]).all() and np.isfinite(nodes["value"]).all())
    if not ok:
        raise BundleError(FILE, "holds no trees, the model was not loaded", "take another version")
