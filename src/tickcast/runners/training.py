"""`tickcast train` and `tickcast evaluate`: from rows to a judged bundle on the shelf.

rows ─→ dataset ─→ leaks? ─→ 60/20/20 ─→ search, fit, calibrate ─→ judged on the last part ─→ bundle, MLflow
                          └→ walk-forward, every model beside the naive ones ─→ report
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tickcast.clock import DAY_MS
from tickcast.config import FlowSettings, Settings
from tickcast.errors import TrainingError
from tickcast.registry import evidence
from tickcast.registry.bundle import Parts
from tickcast.registry.manifest import Content, Manifest
from tickcast.registry.shelf import Shelf
from tickcast.runners.candle_files import outputs_of
from tickcast.runners.datadir import flow_of
from tickcast.runners.stored import stored
from tickcast.sources.files.result import ReadOptions
from tickcast.training import report, splits
from tickcast.training.contract import Dataset, Fold, Kind, Task, TaskName
from tickcast.training.dataset import Request, build
from tickcast.training.evaluate import Candidate, evaluate
from tickcast.training.evaluation import Evaluation, Forecasts
from tickcast.training.judge import LEVEL, Judged
from tickcast.training.leaks import find_leaks
from tickcast.training.manifest import code_version, content_hash, manifest_of, write
from tickcast.training.models.table import BASELINE, KINDS, kind, kinds_of
from tickcast.training.rows import Rows, from_frames, from_store, until
from tickcast.training.tune import loss_of, tune

PRICE_SECONDS = 300
"""The horizon of price and direction where none is asked for; that of volatility is the setting's."""
LIBRARIES = ("numpy", "numba", "scikit-learn", "lightgbm", "xgboost-cpu", "xgboost", "ta-lib")
STUDIES = "studies"
DATASETS, DATASETS_KEPT = "datasets", 3
SLACK_DAYS = 1.0
"""So much more than the window is read: it is cut at the newest row that can be learned from."""
Told = Callable[[str], None]
Bar = Callable[[str, float, float], None]
"""What is being done, how much of it is done, and of how much."""


class Wanted(NamedTuple):
    """Which rows to learn from, and for what."""

    task: Task
    settings: Settings
    flow: FlowSettings
    files: Sequence[Path] = ()
    """Candles to carry through the stages; none: the data directory's store."""
    keys: Sequence[tuple[str, str]] = ()
    options: ReadOptions | None = None
    candle_seconds: int = 0
    until_ms: int = 0
    """Rows that end later are left out, as if they had not come yet; 0: none."""


class Trained(NamedTuple):
    """What came of a training."""

    manifest: Manifest
    path: Path
    evaluation: Evaluation
    notes: list[str]


def wanted(task: TaskName, settings: Settings, horizon_seconds: int = 0, **more: Any) -> Wanted:
    """What is asked for; a directory's own settings hold for its rows."""
    flow = (None if more.get("files") else flow_of(settings.data_dir)) or settings.flow
    own = flow.volatility_seconds if task == "volatility" else PRICE_SECONDS
    return Wanted(Task(task, horizon_seconds or own), settings, flow, **more)


def rows_of(asked: Wanted, told: Told) -> list[Rows]:
    """From files through the stages, or from the store, also while a process runs on it."""
    if asked.files:
        found = from_frames(
            outputs_of(asked.files, asked.flow, asked.options, told), candle_seconds=asked.candle_seconds
        )
        keys = {(one.exchange, one.pair) for one in found}
        if absent := [key for key in asked.keys if key not in keys]:
            have = ", ".join(":".join(key) for key in sorted(keys))
            raise TrainingError(":".join(absent[0]), f"is not in the files, which hold {have}", "name one of these")
        return [one for one in found if not asked.keys or (one.exchange, one.pair) in asked.keys]
    since_ms = _since_ms(asked)
    with stored(asked.settings.data_dir, since_ms or 0) as tables:
        found = from_store(tables, keys=asked.keys, candle_seconds=asked.candle_seconds, since_ms=since_ms)
    return until(found, asked.until_ms) if asked.until_ms else found


def _since_ms(asked: Wanted) -> int | None:
    """Where the window begins, if its end is known: what is older need not be read at all."""
    days = asked.settings.training_days
    return None if not asked.until_ms or not days else asked.until_ms - round((days + SLACK_DAYS) * DAY_MS)


def dataset_of(asked: Wanted, told: Told) -> Dataset:
    """The rows to learn from, refused where a feature knows the future."""
    threshold = asked.flow.volatility_seconds if asked.task.name == "volatility" else 0
    days = asked.settings.training_days
    request = Request(task=asked.task, training_days=days, threshold_seconds=threshold)
    dataset = build(rows_of(asked, told), request)
    if leaks := find_leaks(dataset).leaks:
        raise TrainingError(
            f"feature {leaks[0].feature}", f"knows the future ({leaks[0].what}), nothing was trained", "leave it out"
        )
    return dataset


def kept(dataset: Dataset, folder: Path) -> Path:
    """Write a dataset as Parquet with its manifest, under its hash; of each task the last few stay."""
    task = dataset.task.name
    place = folder / f"{task}-{content_hash(dataset)[:12]}"
    write(dataset, place)
    of_task = sorted(folder.glob(f"{task}-*"), key=lambda one: (one.stat().st_mtime_ns, one.name))
    for old in of_task[:-DATASETS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)  # the next one tries again
    return place


def train(
    asked: Wanted,
    models: Sequence[str],
    shelf: Shelf,
    *,
    seed: int = 0,
    told: Told = lambda text: None,
    bar: Bar = lambda what, done, of: None,
    note: str = "",
    studies: Path | None = None,
) -> Trained:
    """Learn, judge beside the naive models, and put the best by its validation rows on the shelf.

    `studies`: where searches are kept until they are through; None: beside the models.
    """
    studies = studies or asked.settings.models / STUDIES
    with shelf.writing():
        pass  # a shelf that can not be written to is told before the work
    dataset = dataset_of(asked, told)
    told(f"the dataset, {len(dataset):,} rows, is {kept(dataset, asked.settings.data_dir / DATASETS)}")
    fold = splits.chronological(dataset)
    candidates = [_searched(dataset, fold, kind(name), asked.settings.trials, seed, studies, bar) for name in models]
    naive = [Candidate(one) for one in kinds_of(asked.task.name) if one.baseline and _can(one, dataset)]
    judged_with = [*naive, *(one for one in candidates if not one.kind.baseline)]
    evaluation, forecasts, judged = evaluate(
        dataset,
        [fold],
        judged_with,
        window="chronological",
        seed=seed,
        progress=lambda done, of, what: bar(what, done, of),
    )
    best = min(candidates, key=lambda one: _valid_loss(dataset, fold, judged[one.kind.name]))
    said = {one.model: one for one in forecasts}
    content = _content(dataset, best, evaluation, judged[best.kind.name], seed, len(candidates))
    naive_said = said[BASELINE[asked.task.name] if BASELINE[asked.task.name] in said else naive[0].kind.name]
    parts = Parts(
        model=judged[best.kind.name].fitted.files(),
        calibration=judged[best.kind.name].calibration.to_json(),
        evaluation=evidence.write(evidence_of(dataset, said[best.kind.name], naive_said)),
        reports={
            "evaluation.json": report.json_of(evaluation),
            "report.html": report.html_of(evaluation, dataset, forecasts),
            "dataset.json": msgspec.json.format(msgspec.json.encode(manifest_of(dataset), order="sorted"), indent=1),
        },
    )
    manifest = shelf.add(content, parts, note=note)
    return Trained(manifest, shelf.path(manifest.task, manifest.version), evaluation, [])


def tracked(made: Trained, settings: Settings) -> list[str]:
    """Log a bundle to MLflow; answers what came of it. A MLflow that is down costs a sentence, never the model."""
    from tickcast.registry.tracking import RunRecord, told_of, tracker_for

    dataset = (made.path / "dataset.json").read_bytes()
    came = tracker_for(settings).track(RunRecord(manifest=made.manifest, directory=made.path, dataset=dataset))
    return [told_of(came, made.manifest)]


def _can(one: Kind, dataset: Dataset) -> bool:
    """Whether the dataset has what a baseline needs; HAR can not judge where there are no lags."""
    return all(name in dataset.names for name in one.needs)


def _searched(dataset: Dataset, fold: Fold, one: Kind, trials: int, seed: int, studies: Path, bar: Bar) -> Candidate:
    """A kind with the best parameters found on the validation rows; the blend's trees are searched as LightGBM."""
    searched = kind("lightgbm") if one.name == "blend" else one
    if trials < 2 or one.baseline:
        return Candidate(one)
    found = tune(
        searched,
        dataset.take(fold.train),
        dataset.take(fold.valid),
        trials=trials,
        seed=seed,
        study=studies / f"{dataset.task.name}-{searched.name}.journal",
        progress=lambda done, of, best: bar(f"{one.name}: parameters, best loss {best:.5g}", done, of),
    )
    return Candidate(one, found.params, found.trials)


def _valid_loss(dataset: Dataset, fold: Fold, judged: Judged) -> float:
    """The loss on the rows that models are chosen by; the last part is for judging alone."""
    valid = dataset.take(fold.valid)
    return loss_of(dataset.task.sort, valid.labels, judged.fitted.predict(valid.features))


def _content(
    dataset: Dataset, best: Candidate, evaluation: Evaluation, judged: Judged, seed: int, candidates: int
) -> Content:
    """What the bundle's hash is of: nothing of when and where."""
    scores = evaluation.of(best.kind.name)
    threshold = judged.forecasts.threshold
    metrics: dict[str, Any] = {} if scores is None else msgspec.to_builtins(scores)
    metrics["candidates"] = candidates
    return Content(
        task=dataset.task,
        candle_seconds=dataset.candle_seconds,
        kind=best.kind.name,
        params=dict(best.params),
        seed=seed,
        trials=best.trials,
        feature_set=dataset.feature_set,
        names=dataset.names,
        keys=dataset.keys,
        from_ms=int(dataset.timestamp_ms[0]),
        to_ms=int(dataset.timestamp_ms[-1]),
        rows=len(dataset),
        dataset_hash=content_hash(dataset),
        metrics=metrics,
        level=LEVEL if dataset.task.sort == "regression" else None,
        threshold=None if np.isnan(threshold) else threshold,
        libraries=libraries(),
        code_version=code_version(),
    )


def libraries() -> dict[str, str]:
    """The versions of what numbers depend on."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # one of the two names that XGBoost has
    return found


def evidence_of(dataset: Dataset, said: Forecasts, naive: Forecasts) -> evidence.Forecasts:
    """The forecasts of the rows that nothing was learned from, for the gate."""
    rows = dataset.take(said.rows)
    inside = (rows.labels >= said.lower) & (rows.labels <= said.upper)
    return evidence.Forecasts(
        timestamp_ms=rows.timestamp_ms,
        key=np.array(dataset.keys, dtype=np.object_)[rows.key],
        label=rows.labels,
        forecast=said.forecast,
        naive=naive.forecast,
        lower=said.lower,
        upper=said.upper,
        covered=np.where(np.isnan(said.lower), np.nan, inside.astype(np.float64)),
        missing=np.isnan(rows.features).mean(axis=1),
    )


def walk(
    dataset: Dataset,
    models: Sequence[str],
    *,
    folds: int = 5,
    window: str = "expanding",
    train_days: float = 0.0,
    seed: int = 0,
    bar: Bar = lambda what, done, of: None,
) -> tuple[Evaluation, list[Forecasts]]:
    """Judge models walk-forward, with their default parameters, beside every naive one of the task."""
    if window not in ("expanding", "sliding"):
        raise TrainingError("--window", f"was {window}", "give expanding or sliding")
    parts = splits.walk_forward(
        dataset, folds, "sliding" if window == "sliding" else "expanding", train_days=train_days
    )
    chosen = [one for one in kinds_of(dataset.task.name) if (one.baseline and _can(one, dataset)) or one.name in models]
    found, forecasts, _ = evaluate(
        dataset,
        parts,
        [Candidate(one) for one in chosen],
        window=window,
        seed=seed,
        progress=lambda done, of, what: bar(what, done, of),
    )
    return found, forecasts


def names_of(text: str, task: TaskName, default: str) -> list[str]:
    """The models that are asked for: names, or `all` that learn.

    >>> names_of("ridge,lightgbm", "price", "ridge")
    ['ridge', 'lightgbm']
    """
    if text == "all":
        return [one.name for one in kinds_of(task) if not one.baseline]
    names = [part.strip() for part in (text.strip(" ,") or default).split(",") if part.strip()]
    for name in names:
        if task not in kind(name).tasks:
            can = ", ".join(one for one in KINDS if task in kind(one).tasks)
            raise TrainingError(f"model {name}", f"does not learn {task}, nothing was trained", f"give one of {can}")
    return list(dict.fromkeys(names))
