"""The future, planted into a feature, is reported; features that are honest are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.training.market import PRICE, VOLATILITY, candles, features, request
from tickcast.events import Columns
from tickcast.training.contract import Dataset, Task
from tickcast.training.dataset import build
from tickcast.training.leaks import LeakReport, find_leaks, remade
from tickcast.training.rows import Rows

F8 = NDArray[np.float64]
Plant = Callable[[F8], F8]


def bars(count: int = 3000) -> Columns:
    """A market whose volatility comes and goes, so that there is something to know before."""
    chance = np.random.default_rng(3)
    calm = 0.0005 * np.exp(np.sin(np.arange(count) / 90.0))
    return candles(100.0 * np.exp(np.cumsum(chance.normal(size=count) * calm)))


def honest(close: F8) -> dict[str, F8]:
    """A row's last return, its size, and the size of the last ten."""
    moved = np.diff(np.log(close), prepend=np.nan)
    sizes = np.array([np.abs(moved[max(0, at - 9) : at + 1]).mean() for at in range(len(moved))])
    return {"moved": moved, "size": np.abs(moved), "sizes": sizes}


def stages(plant: Plant | None) -> Callable[[Rows], Rows]:
    def make(cut: Rows) -> Rows:
        close = cut.candles["close"]
        more = {} if plant is None else {"planted": plant(close)}
        return cut._replace(features=features(cut.candles, **honest(close), **more, spike_threshold=0.0012))

    return make


def look(plant: Plant | None, task: Task, *, by_structure: bool) -> LeakReport:
    make = stages(plant)
    whole = make(Rows("binance", "BTCUSDT", 60, bars(), {}))
    return find_leaks(build([whole], request(task)), remade([whole], make) if by_structure else None)


def next_return(close: F8) -> F8:
    return np.append(np.diff(np.log(close)), np.nan)


def blurred(column: F8) -> F8:
    return column + np.random.default_rng(1).normal(0.0, 0.0003, len(column))


def next_returns(close: F8) -> F8:
    return np.append(np.log(close[5:] / close[:-5]), np.full(5, np.nan))


def centred_mean(close: F8) -> F8:
    """Half of its window lies ahead: too little to show in statistics, enough to be a lie."""
    mean: F8 = np.convolve(close, np.ones(3) / 3.0, mode="same")
    return close / mean


def scaled_by_all(close: F8) -> F8:
    """A scale that was taken from all the data."""
    size = honest(close)["size"]
    scaled: F8 = (size - np.nanmean(size)) / np.nanstd(size)
    return scaled


@pytest.mark.parametrize("plant", [next_return, next_returns, centred_mean, scaled_by_all])
@pytest.mark.parametrize("task", [PRICE, VOLATILITY])
def test_what_saw_later_rows_differs_where_these_are_cut_off(plant: Plant, task: Task) -> None:
    report = look(plant, task, by_structure=True)

    assert {"planted"} == {leak.feature for leak in report.leaks if leak.how == "structure"}
    assert "nothing after" in report.sentence
    assert report.moments == 6


@pytest.mark.parametrize(
    ("plant", "task"),
    [
        (next_returns, PRICE),
        (next_return, PRICE),
        (lambda close: np.abs(next_return(close)), VOLATILITY),
        (lambda close: blurred(np.abs(next_return(close))), VOLATILITY),
        (lambda close: np.abs(next_returns(close)), PRICE),
    ],
)  # fmt: skip
def test_what_knows_the_outcome_better_than_the_past_is_reported_without_its_source(plant: Plant, task: Task) -> None:
    report = look(plant, task, by_structure=False)

    assert ["planted"] == [leak.feature for leak in report.leaks]
    assert "planted (statistics: it" in report.sentence


@pytest.mark.parametrize("task", [PRICE, VOLATILITY])
def test_honest_features_are_not_reported(task: Task) -> None:
    report = look(None, task, by_structure=True)

    assert () == report.leaks
    assert () == report.unchecked
    assert report.sentence.startswith("no feature knows the future (3 features, ")


def test_what_the_recomputation_does_not_give_is_told() -> None:
    whole = stages(None)(Rows("binance", "BTCUSDT", 60, bars(), {}))

    def without_size(cut: Rows) -> Rows:
        made = stages(None)(cut)
        return made._replace(features={name: column for name, column in made.features.items() if name != "size"})

    assert ("size",) == find_leaks(build([whole], request(PRICE)), remade([whole], without_size)).unchecked


def test_the_same_seed_looks_at_the_same_moments() -> None:
    assert look(centred_mean, PRICE, by_structure=True) == look(centred_mean, PRICE, by_structure=True)


def test_after_a_market_that_stood_still_what_knows_the_past_is_no_leak_and_the_label_is() -> None:
    rng = np.random.default_rng(4)
    lively = np.arange(3000) > 2000
    label = (lively & (rng.random(3000) > 0.001)).astype(np.float64)
    size = np.append(0.0, (label * rng.random(3000))[:-1])

    report = find_leaks(
        Dataset(
            task=VOLATILITY,
            names=("size", "planted"),
            features=np.column_stack([size, label]),
            labels=label,
            timestamp_ms=np.arange(3000) * 60_000,
            key=np.zeros(3000, np.int16),
            keys=("binance:BTCUSDT",),
            close=np.ones(3000),
            realised=label * rng.random(3000),
            candle_seconds=60,
            feature_set="some",
            excluded={},
        )
    )

    assert ["planted"] == [leak.feature for leak in report.leaks]
