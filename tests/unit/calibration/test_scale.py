from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tickcast.calibration.scale import SCALE_FLOOR, Scale
from tickcast.errors import BundleError, TrainingError

F8 = NDArray[np.float64]
NAMES = ("close", "log_rv_5", "log_range_60", "log_tod", "rsi_14")


def market(rows: int = 4000, seed: int = 1) -> tuple[F8, F8]:
    """Features and returns whose size they know of."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, len(NAMES)))
    features[:, 1:4] -= 7.0
    return features, np.exp(0.7 * features[:, 1] + 0.3 * features[:, 2]) * rng.normal(size=rows)


def test_the_scale_is_the_deviation_that_the_volatility_columns_tell() -> None:
    features, returns = market()
    scale = Scale.fit(NAMES, features, returns)

    truth = np.exp(0.7 * features[:, 1] + 0.3 * features[:, 2])
    assert ("log_rv_5", "log_range_60", "log_tod") == scale.names
    ratio = scale.of(features) / truth
    assert 0.9 < np.median(ratio) < 1.1
    assert 0.05 > np.std(np.log(ratio)[truth > 2e-4])


def test_one_row_has_the_same_bits_as_many() -> None:
    features, returns = market()
    features[::7, 1] = np.nan
    scale = Scale.fit(NAMES, features, returns)

    many = scale.of(features)
    assert [many[row] for row in range(500)] == [scale.one(features[row]) for row in range(500)]
    assert many[:500].tolist() == scale.of(np.asfortranarray(features[:500])).tolist()


def test_what_is_missing_counts_as_the_average_and_what_is_absurd_as_five_deviations() -> None:
    features, returns = market()
    scale = Scale.fit(NAMES, features, returns)
    average = np.full(5, np.nan)

    middle = np.array([np.nan, *features[:, 1:4].mean(axis=0), np.nan])
    assert scale.one(middle) == pytest.approx(scale.one(average), rel=1e-9)
    far, edge = (
        average.copy(),
        average.copy(),
    )
    far[1], edge[1] = 1e9, features[:, 1].mean() + 5 * features[:, 1].std()
    assert scale.one(far) == pytest.approx(scale.one(edge), rel=1e-9)


@pytest.mark.parametrize("names", [("close", "rsi_14", "a", "b", "c"), ("log_rv_5",) * 5])
def test_without_a_column_that_tells_anything_it_is_the_same_for_all(names: tuple[str, ...]) -> None:
    features, returns = market()
    features[:] = [1.0, np.nan, 2.0, 3.0, 4.0] if "log_rv_5" in names else features
    scale = Scale.fit(names, features, returns)

    assert () == scale.names
    assert {scale.one(features[0])} == set(scale.of(features).tolist())
    assert np.median(np.abs(returns)) / 0.6745 == pytest.approx(scale.one(features[0]), rel=1e-3)


def test_columns_that_say_the_same_share_the_weight() -> None:
    features, returns = market()
    doubled = np.column_stack([features[:, 1:4], features[:, 1:4]])
    names = ("log_rv_5", "log_range_60", "log_tod", "log_rv_6", "log_range_61", "log_tod_2")

    alone, twice = Scale.fit(NAMES, features, returns).of(features), Scale.fit(names, doubled, returns).of(doubled)
    assert alone.tolist() == pytest.approx(twice.tolist(), rel=1e-3)


def test_a_market_that_hardly_moves_still_has_a_scale() -> None:
    features, _ = market(100)

    still = Scale.fit(NAMES, features, np.zeros(100)).of(features)
    assert (still >= SCALE_FLOOR).all()
    assert (still < 1e-4).all()


def test_json_keeps_every_bit_and_finds_its_columns_in_another_order() -> None:
    features, returns = market()
    scale = Scale.fit(NAMES, features, returns)
    kept = msgspec.json.decode(msgspec.json.encode(scale.to_json()))

    assert scale.of(features).tolist() == Scale.from_json(kept, NAMES).of(features).tolist()
    turned = Scale.from_json(json.loads(json.dumps(scale.to_json())), NAMES[::-1])
    assert scale.of(features).tolist() == turned.of(features[:, ::-1]).tolist()


def test_what_does_not_fit_is_refused() -> None:
    features, returns = market(100)
    kept = Scale.fit(NAMES, features, returns).to_json()

    with pytest.raises(BundleError, match="log_tod"):
        Scale.from_json(kept, NAMES[:3])
    with pytest.raises(BundleError, match="scale"):
        Scale.from_json(kept | {"weights": "none"}, NAMES)
    with pytest.raises(BundleError, match="length"):
        Scale.from_json(kept | {"weights": [1.0]}, NAMES)
    with pytest.raises(TrainingError, match="30 rows"):
        Scale.fit(NAMES, features[:20], returns[:20])
    features[3, 2] = np.inf
    with pytest.raises(TrainingError, match="infinite"):
        Scale.fit(NAMES, features, returns)
