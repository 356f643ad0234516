"""Kinds that rest on one score: its logistic curve is all they learn."""

from __future__ import annotations

import numpy as np

from tickcast.errors import TrainingError
from tickcast.training.contract import Dataset, Fitted
from tickcast.training.models.linear import Odds, constant
from tickcast.training.models.scaled import Linear, even
from tickcast.training.models.squash import fit_score, margin_of


def first_known(name: str, train: Dataset, wanted: tuple[str, ...]) -> str:
    """The first of some features that the rows have; without any there is nothing to learn from."""
    for one in wanted:
        if one in train.names:
            return one
    raise TrainingError(
        f"model {name}", f"needs one of {', '.join(wanted)}, none is in the dataset", "take another model"
    )


def fit_column(train: Dataset, column: str) -> Fitted:
    """The logistic curve through one column."""
    places = np.array([train.names.index(column)], dtype=np.int64)
    centre, scale, z = even(train.features, places)
    if not z.any():
        return constant(train.task, margin_of(float(train.labels.mean())), train.names)
    slope, intercept = fit_score(z[:, 0], train.labels)
    return Odds(Linear(places, centre, scale, np.array([slope]), intercept), train.names)
