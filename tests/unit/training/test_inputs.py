"""What a model sees of a feature row."""

from __future__ import annotations

import numpy as np
import pytest

from tickcast.config import FlowSettings
from tickcast.errors import TrainingError
from tickcast.features.names import feature_names
from tickcast.training.inputs import choose, is_level, too_sparse

CHANCE = np.random.default_rng(1)


def test_levels_of_the_design_are_no_inputs_and_what_is_relative_is() -> None:
    names = feature_names(FlowSettings(indicators=("ADX:14", "SMA:50", "BBANDS:20:2.5:2.5", "LINEARREG_ANGLE:14")))
    kept = [name for name in names if not is_level(name)]

    assert {"rsi_14", "bollinger_width", "adx_14", "linearreg_angle_14", "hour_sin", "n_30s", "rolling_vol_60s"} <= {
        *kept
    }
    assert not {"close", "volume", "sma_7", "ema_26", "macd_signal", "bollinger_upper", "obv", "vwap", "atr_14"} & {
        *kept
    }
    assert not {"midprice", "spread", "sma_50", "bbands_20_2p5_2p5_upperband"} & {*kept}


@pytest.mark.parametrize(
    "name",
    ["sma_7_rel", "vwap_rel", "macd_rel", "macd_signal_rel", "macd_histogram_rel", "atr_14_rel", "bollinger_place",
     "spread_rel", "close_place", "log_threshold", "volume_1_60", "minute_5", "log_range_60", "buy_share_5"],
)  # fmt: skip
def test_what_stands_against_the_price_is_an_input(name: str) -> None:
    assert not is_level(name)


def test_columns_that_tell_nothing_are_dropped_with_the_reason() -> None:
    nulls = np.where(np.arange(10) < 7, np.nan, 1.0 + np.arange(10))
    found = choose(
        {"a": CHANCE.normal(size=10), "flat": np.full(10, 2.0), "nulls": nulls, "b": CHANCE.normal(size=10)},
        leave_out=["b"],
    )

    assert ("a",) == found.names
    assert {"flat": "constant", "nulls": "null in 70% of the rows", "b": "left out on request"} == found.dropped


@pytest.mark.parametrize(
    ("required", "told"),
    [
        ("flat", "feature flat: is needed by the model and is constant"),
        ("gone", "gone: is needed by the model and is not in"),
    ],
)
def test_a_required_feature_that_tells_nothing_is_refused(required: str, told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        choose({"a": CHANCE.normal(size=10), "flat": np.full(10, 2.0)}, required=[required])


def test_a_level_may_be_required_by_name() -> None:
    assert ("close",) == choose({"close": CHANCE.normal(size=10)}, required=["close"]).names


def test_constant_columns_alone_are_refused() -> None:
    with pytest.raises(TrainingError, match="has no feature that tells anything: flat is constant"):
        choose({"flat": np.full(10, 2.0), "close": np.arange(10.0)})


def test_a_row_needs_what_is_required_and_half_of_the_rest() -> None:
    nan = np.nan
    columns = {"a": np.array([1.0, nan, 1.0]), "b": np.array([1.0, 2.0, nan]), "c": np.array([1.0, 2.0, nan])}
    inputs = choose({name: np.append(column, [3.0, 4.0]) for name, column in columns.items()})

    assert [False, False, True] == too_sparse(columns, inputs, ()).tolist()
    assert [False, True, True] == too_sparse(columns, inputs, ("a",)).tolist()
