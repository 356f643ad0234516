"""The search for parameters beside plain Optuna and LightGBM, as people write it: trials a second.

The plain one makes a new lightgbm.Dataset each trial. Same space, trials, seed, early stopping, threads, and the same
determinism asked of LightGBM. Aim: no slower; both give the loss of their best trial, so that speed is not bought.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import optuna

from tickcast.training.contract import Dataset, Task
from tickcast.training.models.lgbm import FIXED, STOP_AFTER, LightGBM
from tickcast.training.models.table import kind
from tickcast.training.tune import tune

ROWS, WIDTH, TRIALS, SEED = 20_000, 57, 12, 7


def market(rows: int = ROWS, width: int = WIDTH, seed: int = SEED) -> Dataset:
    """Rows of which a few columns tell something of the label."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, width))
    pull = features[:, 0] + features[:, 1] * features[:, 2] + 0.5 * features[:, 3] ** 2
    return Dataset(
        task=Task("volatility", 60),
        names=tuple(f"x{place}" for place in range(width)),
        features=features,
        labels=(pull + 1.5 * rng.normal(size=rows) > 2.0).astype(np.float64),
        timestamp_ms=np.arange(rows) * 60_000,
        key=np.zeros(rows, dtype=np.int16),
        keys=("binance:BTCUSDT",),
        close=np.full(rows, 100.0),
        realised=np.ones(rows),
        candle_seconds=60,
        feature_set="benchmark",
        excluded={},
    )


def ours(train: Dataset, valid: Dataset, trials: int = TRIALS) -> float:
    """The search that `tickcast train` makes."""
    return tune(kind("lightgbm"), train, valid, trials=trials, seed=SEED).loss


def plain(train: Dataset, valid: Dataset, *, pruning: bool, trials: int = TRIALS) -> float:
    """What a tutorial has."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.MedianPruner(n_warmup_steps=40) if pruning else optuna.pruners.NopPruner()
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=SEED), pruner=pruner)
    told = {**FIXED, "objective": "binary", "metric": "binary_logloss", "seed": SEED}

    def objective(trial: optuna.Trial) -> float:
        params: dict[str, Any] = {**told, **LightGBM().space(trial)}
        rounds = params.pop("n_estimators")
        rows = lightgbm.Dataset(train.features, train.labels)
        held = rows.create_valid(valid.features, valid.labels)
        callbacks: list[Any] = [lightgbm.early_stopping(STOP_AFTER, verbose=False)]

        def look(env: Any) -> None:
            trial.report(env.evaluation_result_list[0][2], env.iteration)
            if trial.should_prune():
                raise optuna.TrialPruned

        booster = lightgbm.train(params, rows, rounds, valid_sets=[held], callbacks=[look] * pruning + callbacks)
        return float(booster.best_score["valid_0"]["binary_logloss"])

    study.optimize(objective, n_trials=trials)
    return float(study.best_value)


def main() -> None:
    """Print the table."""
    data = market()
    train, valid = data.take(slice(0, ROWS * 3 // 4)), data.take(slice(ROWS * 3 // 4, None))
    ours(train.take(slice(0, 500)), valid.take(slice(0, 200)))  # imports
    found: dict[str, tuple[float, float, float]] = {}
    works: dict[str, Callable[[], float]] = {
        "plain Optuna + LightGBM, no pruning": lambda: plain(train, valid, pruning=False),
        "plain Optuna + LightGBM, median pruner": lambda: plain(train, valid, pruning=True),
        "ours": lambda: ours(train, valid),
    }
    for name, work in works.items():
        started = time.process_time(), time.perf_counter()
        loss = work()
        found[name] = time.process_time() - started[0], time.perf_counter() - started[1], loss
    base_cpu, base_s, _ = found["plain Optuna + LightGBM, no pruning"]
    print(f"\n{TRIALS} trials on {len(train):,} x {WIDTH} rows, judged by {len(valid):,}")
    print(f"{'':44}{'trials a second':>16}{'of plain':>10}{'of its CPU':>12}{'best loss':>11}  aim")
    for name, (cpu, spent, loss) in found.items():
        aim = ">= 1" if name == "ours" else ""
        print(f"{name:44}{TRIALS / spent:>16.2f}{base_s / spent:>10.2f}{base_cpu / cpu:>12.2f}{loss:>11.5f}  {aim}")


if __name__ == "__main__":
    main()
