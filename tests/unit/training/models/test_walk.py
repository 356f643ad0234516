"""LightGBM's trees, walked by our kernel: its bits, whatever the row."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.errors import BundleError
from tickcast.training.models.walk import read_walk, single_row

WIDTH = 6
ODD = (0.0, -0.0, 1e-36, -1e-36, np.nan, np.inf, -np.inf, 1e300)


def grown(seed: int, objective: str, **more: object) -> lightgbm.Booster:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(800, WIDTH)).round(2)
    features[::3, 1], features[::4, 2] = np.nan, 0.0
    labels = (np.nan_to_num(features[:, 0] * features[:, 1]) + rng.normal(size=800) > 0).astype(float)
    told = {"objective": objective, "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, **more}
    return lightgbm.train(told, lightgbm.Dataset(features, labels), 15)


@pytest.mark.parametrize("objective", ["binary", "regression"])
@pytest.mark.parametrize("more", [{}, {"use_missing": False}, {"num_leaves": 2}], ids=str)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 3), drawn=st.integers(0, 2**32))
def test_a_row_gives_the_bits_of_the_library(objective: str, more: dict[str, object], seed: int, drawn: int) -> None:
    booster = grown(seed, objective, **more)
    rng = np.random.default_rng(drawn)
    rows = rng.normal(size=(20, WIDTH)).round(2)
    rows[rng.random(rows.shape) < 0.3] = rng.choice(ODD)
    theirs = np.asarray(booster.predict(rows, num_threads=1))
    margins = np.asarray(booster.predict(rows, raw_score=True, num_threads=1))
    walk = read_walk(booster.model_to_string())

    assert margins.tolist() == [single_row(walk, raw=True)(row) for row in rows]
    assert theirs.tolist() == [single_row(walk, raw=objective == "regression")(row) for row in rows]


def test_a_tree_without_a_split_is_its_leaf() -> None:
    booster = lightgbm.train(
        {"objective": "regression", "verbosity": -1, "min_data_in_leaf": 500},
        lightgbm.Dataset(np.ones((100, 2)), np.arange(100.0)),
        3,
    )
    row = np.zeros(2)

    assert booster.predict(row[None])[0] == single_row(read_walk(booster.model_to_string()), raw=True)(row)


@pytest.mark.parametrize("more", [{"linear_tree": True}, {"zero_as_missing": True}], ids=str)
def test_trees_that_we_never_make_are_refused(more: dict[str, object]) -> None:
    features = np.random.default_rng(1).normal(size=(200, 2))
    told = {"objective": "regression", "verbosity": -1, **more}
    booster = lightgbm.train(told, lightgbm.Dataset(features, np.arange(200.0), params=more), 2)

    with pytest.raises(BundleError, match="of another kind"):
        read_walk(booster.model_to_string())
