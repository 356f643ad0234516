"""One row, features in hand: our prepared call beside `booster.predict` of the same 300 trees.

Aim: >= 3 times as fast with values that are equal. The blend does its weighted sum on top; "a loaded bundle" is the
model as the live predictor has it, written to a folder and read back verified.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.table import best_of, show
from benchmarks.tuning import WIDTH, market
from tickcast.registry.bundle import Parts, pack, put, read
from tickcast.registry.manifest import Content, hash_of, sealed
from tickcast.training.contract import F8, Dataset, Fitted
from tickcast.training.models.blend import Both
from tickcast.training.models.lgbm import Trees
from tickcast.training.models.table import kind

TREES, CALLS = 300, 4000


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
    version = f"v1-{hash_of(content)[:12]}"
    manifest = sealed(content, version=version, created_ms=0, created_by="benchmark", note="")
    return read(put(folder / name, manifest, files)).fitted


def each(call: Callable[[F8], float], rows: list[F8]) -> None:
    """One call a row."""
    for row in rows:
        call(row)


def booster_of(fitted: Fitted) -> Trees:
    """The trees of either model."""
    if isinstance(fitted, Both):
        return fitted._second
    assert isinstance(fitted, Trees)
    return fitted


def main() -> None:
    """Print the table."""
    data = market()
    nothing = data.take(slice(0, 0))
    rows = [np.ascontiguousarray(row) for row in data.features[:CALLS]]
    table: list[list[object]] = []
    alone_s = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name in ("lightgbm", "blend"):
            fitted = kind(name).fit(data, nothing, params={"n_estimators": TREES}, seed=1)
            booster = booster_of(fitted).booster
            assert booster.num_trees() == TREES
            if not alone_s:
                alone_s = best_of(lambda b=booster: each(lambda row: b.predict(row.reshape(1, -1))[0], rows))  # type: ignore[misc]
                few_s = best_of(
                    lambda b=booster: each(lambda row: b.predict(row.reshape(1, -1), num_threads=1)[0], rows)
                )  # type: ignore[misc]
                table.append([f"booster.predict, {alone_s / CALLS * 1e6:.1f} µs", CALLS / alone_s, 1.0, ""])
                table.append(
                    [f"booster.predict, one thread, {few_s / CALLS * 1e6:.1f} µs", CALLS / few_s, alone_s / few_s, ""]
                )
            for what, model in (
                (name, fitted),
                (f"{name}, a loaded bundle", bundled(name, fitted, data, Path(folder))),
            ):
                single = model.single()
                far = max(
                    abs(single(row) - value)
                    for row, value in zip(rows, model.predict(data.features[:CALLS]), strict=True)
                )
                spent = best_of(lambda call=single: each(call, rows))  # type: ignore[misc]
                told = f"{what}, {spent / CALLS * 1e6:.1f} µs, {'equal' if far == 0 else f'within {far:.0e}'}"
                table.append([told, CALLS / spent, alone_s / spent, ">= 3"])
    show(f"One row of {WIDTH} features, {TREES} trees", "booster.predict", table)


if __name__ == "__main__":
    main()
