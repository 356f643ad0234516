"""The search for parameters: Optuna over a kind's space, on validation rows alone.

A study is a file of its own, so that a search that was ended goes on where it stopped. The sampler of each trial is
seeded by how many were tried: a search in two parts tries what one in a single part would have tried. LightGBM's rows
are put into bins once for all trials, which is most of what a trial of plain Optuna and LightGBM repeats.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tickcast.errors import TrainingError
from tickcast.training.contract import F8, Dataset, Fitted, Kind
from tickcast.training.models.lgbm import STOP_AFTER, LightGBM, parameters, scale_of, target_of
from tickcast.training.study import remembered

if TYPE_CHECKING:
    import optuna

PRUNE_EVERY = 20
"""Rounds between two looks at whether a trial is worth going on with."""
_EPSILON = 1e-12


class Found(NamedTuple):
    """What a search gave; `trials` goes into every report beside the score it was the best of."""

    params: dict[str, Any]
    loss: float
    trials: int
    pruned: int


def loss_of(task_sort: str, labels: F8, forecasts: F8) -> float:
    """Log loss, or the mean squared error: what the search makes small.

    >>> round(loss_of("classification", np.array([1.0, 0.0]), np.array([0.5, 0.5])), 6)
    0.693147
    """
    if task_sort == "regression":
        return float(np.mean((labels - forecasts) ** 2))
    p = np.clip(forecasts, _EPSILON, 1 - _EPSILON)
    return float(-np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p)))


def tune(
    kind: Kind,
    train: Dataset,
    valid: Dataset,
    *,
    trials: int,
    seed: int,
    study: Path | None = None,
    progress: Callable[[int, int, float], None] = lambda done, of, best: None,
) -> Found:
    """Try `trials` sets of parameters, those of an earlier part of the same study included; give the best.

    `study` is the file that remembers (None: nothing is kept); searches over other rows may be in it too.
    """
    import optuna

    if not len(valid):
        raise TrainingError("search for parameters", "has no validation rows", "give a longer range")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("optuna").setLevel(logging.ERROR)
    name = f"{kind.name}-{train.task.name}-{_mark(kind, train, valid, seed)}"
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2 * PRUNE_EVERY)
    with remembered(study, name, pruner) as held:
        measure = _lightgbm(train, valid, seed) if isinstance(kind, LightGBM) else _any(kind, train, valid, seed)
        return _search(held, measure, kind, trials, seed, progress)


def _search(
    held: optuna.Study,
    measure: Callable[[Any, dict[str, Any]], float],
    kind: Kind,
    trials: int,
    seed: int,
    progress: Callable[[int, int, float], None],
) -> Found:
    """Go on until so many were tried; what was given up half way counts for nothing."""
    import optuna

    state = optuna.trial.TrialState
    done = len(held.get_trials(deepcopy=False, states=(state.COMPLETE, state.PRUNED)))
    while done < trials:
        own = (seed * 100_003 + done) % 2**32
        held.sampler = optuna.samplers.TPESampler(seed=own, n_startup_trials=10, multivariate=True)
        trial = held.ask()
        try:
            held.tell(trial, measure(trial, kind.space(trial)))
        except optuna.TrialPruned:
            held.tell(trial, state=state.PRUNED)
        done += 1
        progress(done, trials, _best(held))
    if not math.isfinite(_best(held)):
        raise TrainingError("search for parameters", "found none that gives a finite loss", "look at the features")
    states = [trial.state for trial in held.get_trials(deepcopy=False)]
    return Found(_params(held), _best(held), done, states.count(state.PRUNED))


def _mark(kind: Kind, train: Dataset, valid: Dataset, seed: int) -> str:
    """A study is for these rows, this kind and this seed; others begin their own."""
    from hashlib import blake2b

    mark = blake2b(digest_size=8)
    for part in (train, valid):
        for array in (part.features, part.labels, part.timestamp_ms):
            mark.update(np.ascontiguousarray(array).tobytes())
    mark.update(repr((kind.name, train.names, seed)).encode())
    return mark.hexdigest()


def _best(study: optuna.Study) -> float:
    finished = [t.value for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE" and t.value is not None]
    return min(finished, default=math.inf)


def _params(study: optuna.Study) -> dict[str, Any]:
    """Those of the best trial, rounds as they were needed."""
    best = study.best_trial
    return {**best.params, **best.user_attrs.get("used", {})}


def _any(kind: Kind, train: Dataset, valid: Dataset, seed: int) -> Callable[[Any, dict[str, Any]], float]:
    """Fit and judge, whatever the kind."""

    def measure(trial: optuna.Trial, params: Mapping[str, Any]) -> float:  # noqa: ARG001
        fitted: Fitted = kind.fit(train, valid, params=params, seed=seed)
        return loss_of(train.task.sort, valid.labels, fitted.predict(valid.features))

    return measure


def _lightgbm(train: Dataset, valid: Dataset, seed: int) -> Callable[[Any, dict[str, Any]], float]:
    """Boost on rows that were put into bins once, and give up early what falls behind the median trial."""
    import lightgbm

    scale = scale_of(train)
    told = parameters(train.task, {}, seed)
    rows = lightgbm.Dataset(train.features, target_of(train, scale), params=told, free_raw_data=True).construct()
    held = rows.create_valid(valid.features, target_of(valid, scale), params=told).construct()

    def measure(trial: optuna.Trial, params: Mapping[str, Any]) -> float:
        import optuna as opt

        losses: list[float] = []

        def look(env: Any) -> None:
            losses.append(float(env.evaluation_result_list[0][2]))
            if env.iteration % PRUNE_EVERY == PRUNE_EVERY - 1:
                trial.report(min(losses), env.iteration)
                if trial.should_prune():
                    raise opt.TrialPruned

        stop: Callable[..., Any] = lightgbm.early_stopping(STOP_AFTER, verbose=False)
        told = parameters(train.task, params, seed)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Overriding the parameters")  # which is what a search does
            lightgbm.train(told, rows, params["n_estimators"], valid_sets=[held], callbacks=[look, stop])
        return min(losses)

    return measure
