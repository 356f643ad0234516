"""Intervals of the price on real minutes, crash included: do they hold what they promise, fold by fold?"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tickcast.calibration.adaptive import Adaptive, thinned
from tickcast.calibration.scale import Scale
from tickcast.scores.interval import IntervalScores, score_interval
from tickcast.scores.probability import average_precision

F8 = NDArray[np.float64]
HORIZON, MINUTE_MS, LEVEL = 5, 60_000, 0.9
MEMORIES = (1, 2, 3, 5, 10, 15, 30, 60, 120, 240, 480, 1440)
RANGES = (1, 5, 15, 60, 240, 1440)
WILD = f"log_range_{60}"


def trailing(values: F8, rows: int) -> F8:
    """The mean of the last rows; NaN while there are fewer, or where one is missing."""
    total = np.concatenate([[0.0], np.cumsum(np.nan_to_num(values))])
    missing = np.concatenate([[0], np.cumsum(np.isnan(values))])
    out = np.full(len(values), np.nan)
    out[rows - 1 :] = np.where(missing[rows:] > missing[:-rows], np.nan, (total[rows:] - total[:-rows]) / rows)
    return out


class Minutes:
    """One pair on a grid of minutes: features and what came; NaN where the exchange was away."""

    def __init__(self, path: Path) -> None:
        with gzip.open(path) as file:
            rows = np.array(json.load(file), dtype=np.float64)
        place = ((rows[:, 0] - rows[0, 0]) // MINUTE_MS).astype(int)
        grid = np.full((place[-1] + 1, 5), np.nan)
        grid[place] = rows[:, 1:6]
        close = np.log(grid[:, 3])
        change = np.concatenate([[np.nan], np.diff(close)])
        spans = np.log(grid[:, 1] / grid[:, 2]) ** 2 / (4 * np.log(2))
        columns = {f"log_rv_{n}": trailing(change**2, n) for n in MEMORIES}
        columns |= {f"log_range_{n}": trailing(spans, n) for n in RANGES}
        columns = {name: np.log(np.sqrt(np.maximum(one, 0.0)) + 1e-5) for name, one in columns.items()}
        came = np.full(len(close), np.nan)
        came[:-HORIZON] = close[HORIZON:] - close[:-HORIZON]
        came[np.isnan(trailing(np.roll(close, -HORIZON), HORIZON))] = np.nan
        known = np.flatnonzero(np.isfinite(came) & np.isfinite(columns[WILD]))
        self.names, self.features = tuple(columns), np.column_stack(list(columns.values()))[known]
        self.returns, self.at_ms = came[known], known * MINUTE_MS


def folds(minutes: Minutes, count: int = 4) -> list[IntervalScores]:
    """Walk forward: fit the scale, calibrate on what follows, judge on what follows that."""
    made, size = [], len(minutes.returns) // (count + 2)
    for fold in range(count):
        cut, end = (fold + 1) * size, (fold + 2) * size
        train, calibration, test = slice(0, cut - HORIZON), slice(cut, end - HORIZON), slice(end, end + size)
        scale = Scale.fit(minutes.names, minutes.features[train], minutes.returns[train])
        seeds = thinned(np.abs(minutes.returns[calibration]) / scale.of(minutes.features[calibration]))
        sigma, came = scale.of(minutes.features[test]), minutes.returns[test]
        at_ms = minutes.at_ms[test]
        issued = Adaptive(level=LEVEL).run(
            at_ms, np.zeros(len(came), int), np.abs(came) / sigma, HORIZON * MINUTE_MS, seeds
        )
        known = minutes.features[test][:, minutes.names.index(WILD)]
        made.append(score_interval(came, -issued * sigma, issued * sigma, level=LEVEL, volatility=known))
    return made


@pytest.fixture(scope="module")
def bitcoin(shared_data: Path) -> Minutes:
    return Minutes(shared_data / "history/binance_1m_202104-05/BTC_USDT-1m.json.gz")


def test_intervals_cover_what_they_promise_on_every_fold_the_crash_included(bitcoin: Minutes) -> None:
    found = folds(bitcoin)

    assert 4 == len(found)
    assert all(0.88 <= one.coverage <= 0.92 for one in found), [one.coverage for one in found]


def test_intervals_hold_in_the_wildest_third_too(bitcoin: Minutes) -> None:
    wild = [one.terciles[-1].coverage or 0.0 for one in folds(bitcoin)]

    assert all(0.85 <= coverage <= 0.95 for coverage in wild), wild


def test_the_scale_knows_large_moves_beforehand(bitcoin: Minutes) -> None:
    half = len(bitcoin.returns) // 2
    scale = Scale.fit(bitcoin.names, bitcoin.features[:half], bitcoin.returns[:half])
    sizes = np.abs(bitcoin.returns[half:])

    area = average_precision(sizes > np.quantile(sizes, 0.9), np.clip(scale.of(bitcoin.features[half:]), 0.0, 1.0))
    assert (area or 0.0) > 0.25
