"""Bundles for tests: small, of real kinds."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from tickcast.config import FlowSettings
from tickcast.features.names import feature_names, feature_set
from tickcast.registry.bundle import Parts
from tickcast.registry.evidence import Forecasts
from tickcast.registry.manifest import Content
from tickcast.training.contract import Dataset, Task, TaskName
from tickcast.training.models.table import kind

FLOW = FlowSettings()
CALIBRATION = {"calibrator": {"type": "none", "floor": 0.01}, "threshold": 0.5}
NAMES = ("rsi_14", "hour_sin", "hour_cos")


def dataset(task: TaskName = "price", rows: int = 300, seed: int = 7) -> Dataset:
    """Rows of noise with a little in them."""
    assert set(NAMES) <= set(feature_names(FLOW))
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, len(NAMES)))
    labels = 0.001 * (features[:, 0] + random.normal(size=rows))
    if task != "price":
        labels = (labels > 0).astype(np.float64)
    return Dataset(
        task=Task(task, 300),
        names=NAMES,
        features=features,
        labels=labels,
        timestamp_ms=np.arange(rows, dtype=np.int64) * 60_000,
        key=np.zeros(rows, dtype=np.int16),
        keys=("binance:BTCUSDT",),
        close=np.full(rows, 100.0),
        realised=np.full(rows, 0.001),
        candle_seconds=60,
        feature_set=feature_set(FLOW),
        excluded={},
    )


def content(task: TaskName = "price", kind_name: str = "ridge", **changes: Any) -> Content:
    """What a trainer tells of a model."""
    made = Content(
        task=Task(task, 300),
        candle_seconds=60,
        kind=kind_name,
        params={"alpha": 1},
        seed=3,
        trials=0,
        feature_set=feature_set(FLOW),
        names=NAMES,
        keys=("binance:BTCUSDT",),
        from_ms=0,
        to_ms=18_000_000,
        rows=300,
        dataset_hash="ab" * 32,
        metrics={"skill": 0.25, "folds": [1, 2.5]},
        level=1,
        threshold=None,
        libraries={"numpy": np.__version__},
        code_version="0.1.0+abc",
    )
    return msgspec.structs.replace(made, **changes)


def parts(task: TaskName = "price", kind_name: str = "ridge", seed: int = 7, evaluation: bytes = b"forecasts") -> Parts:
    """A model that has learnt."""
    rows = dataset(task, seed=seed)
    fitted = kind(kind_name).fit(rows, rows.take(slice(0, 0)), params={}, seed=3)
    return Parts(fitted.files(), CALIBRATION, evaluation, {"report.html": b"<p>"})


def forecasts(skill: float, *, first: int = 0, rows: int = 3000, coverage: float = 0.9) -> Forecasts:
    """Tests of a price model that sees so much of what comes; two with the same rows meet the same truth."""
    places = np.arange(first, first + rows)
    signal, noise = (np.random.default_rng(seed).normal(size=20_000)[places] for seed in (1, 2))
    label = 0.001 * (signal + 2.0 * noise)
    forecast = 0.001 * skill * signal
    covered = (places % 100 < 100 * coverage).astype(np.float64)
    return Forecasts(
        timestamp_ms=places.astype(np.int64) * 60_000,
        key=np.full(rows, "binance:BTCUSDT"),
        label=label,
        forecast=forecast,
        naive=np.zeros(rows),
        lower=forecast - 0.003,
        upper=forecast + 0.003,
        covered=covered,
        missing=np.zeros(rows),
    )
