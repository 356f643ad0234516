"""One row, features in hand: our prepared call beside `booster.predict` of the same 300 trees.

Aim: >= 3 times as fast with values that are equal. The blend does its weighted sum on top; "a loaded bundle" is the
model as the live predictor has it, written to a folder and read back verified.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import show
from benchmarks.tuning import WIDTH, market
from tickcast.registry.bundle import Parts, pack, put, read
from tickcast.registry.manifest import Content, sealed
from tickcast.training.contract import F8, Dataset, Fitted
from tickcast.training.models.blend import Both
from tickcast.training.models.lgbm import Trees
from tickcast.training.models.table import kind

TREES, CALLS, TURNS = 300, 40, 60
THREADED = "booster.predict, its usual threads"


def bundled(name: str, fitted: Fitted, data: Dataset, folder: Path) -> Fitted:
    """Write it, read it back."""
    content = Content(
        task=data.task,
        candle_seconds=60,
        kind=name,
        params={"n_estimators": TREES},
        seed=1,
        trials=0,
        feature_set=data.feature_set,
        names=data.names,
        keys=data.keys,
        from_ms=0,
        to_ms=int(data.timestamp_ms[-1]),
        rows=len(data),
        dataset_hash="ab" * 32,
        metrics={},
        level=None,
        threshold=0.5,
        libraries={},
        code_version="benchmark",
    )
    content, files = pack(content, Parts(fitted.files()))
    version = f"v1-{name}"
    manifest = sealed(content, version=version, created_ms=0, created_by="benchmark", note="")
    return read(put(folder / name, manifest, files)).fitted


def seconds(calls: dict[str, Callable[[F8], float]], rows: list[F8]) -> dict[str, float]:
    """A call's seconds, the fastest of many short turns: on a busy machine long ones are never undisturbed."""
    best = dict.fromkeys(calls, math.inf)
    for turn in range(TURNS):
        for name, call in calls.items():
            if name == THREADED and turn > 4:
                continue  # two threads that wait for each other take a thousand times as long where cores are busy
            started = time.perf_counter()
            for row in rows:
                call(row)
            best[name] = min(best[name], (time.perf_counter() - started) / len(rows))
    return best


def plain(booster: Any, **more: Any) -> Callable[[F8], float]:
    """What one writes without thinking about it."""
    return lambda row: booster.predict(row.reshape(1, -1), **more)[0]


def booster_of(fitted: Fitted) -> Trees:
    """The trees of either model."""
    if isinstance(fitted, Both):
        return fitted._second
    assert isinstance(fitted, Trees)
    return fitted


def main() -> None:
    """Print the table."""
    data = market(4000)
    nothing, some = data.take(slice(0, 0)), data.features[:CALLS]
    rows = [np.ascontiguousarray(row) for row in some]
    fitted = {
        name: kind(name).fit(data, nothing, params={"n_estimators": TREES}, seed=1) for name in ("lightgbm", "blend")
    }
    booster = booster_of(fitted["lightgbm"]).booster
    assert booster.num_trees() == TREES
    calls: dict[str, Callable[[F8], float]] = {
        "booster.predict, one thread": plain(booster, num_threads=1),
        THREADED: plain(booster),
    }
    far = {}
    with tempfile.TemporaryDirectory() as folder:
        loaded = {f"{name}, loaded": bundled(name, model, data, Path(folder)) for name, model in fitted.items()}
    for name, model in (fitted | loaded).items():
        calls[name] = single = model.single()
        far[name] = float(np.max(np.abs(np.array([single(row) for row in rows]) - model.predict(some))))
    spent = seconds(calls, rows)
    alone_s = spent["booster.predict, one thread"]
    table = []
    for name, each_s in spent.items():
        same = "" if name not in far else ", equal" if far[name] == 0.0 else f", within {far[name]:.0e}"
        table.append(
            [f"{name}, {each_s * 1e6:.1f} µs{same}", 1 / each_s, alone_s / each_s, ">= 3" if name in far else ""]
        )
    show(f"One row of {WIDTH} features, {TREES} trees", "booster.predict", table)


if __name__ == "__main__":
    main()
