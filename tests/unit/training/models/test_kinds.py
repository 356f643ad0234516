"""One suite for every kind of model: a new kind adds a row to the table and is held to this."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import tickcast.training.models as room
from tickcast.errors import BundleError, TrainingError
from tickcast.training.contract import Dataset, Fitted, Kind, Task
from tickcast.training.models.table import BASELINE, DEFAULT, KINDS, kind, kinds_of

TASKS = (Task("price", 300), Task("direction", 300), Task("volatility", 60))
NAMES = (
    "log_range_1",
    "log_range_5",
    "log_range_15",
    "log_rv_5",
    "log_threshold",
    "rel_range_1",
    "rel_ewma",
    "return_1",
    "x",
)
PAIRS = [(task, name) for task in TASKS for name in KINDS if task.name in kind(name).tasks]


def dataset(task: Task, rows: int = 1200, seed: int = 0) -> Dataset:
    """A signal in the first two columns, one column with holes."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, len(NAMES)))
    features[::50, -1] = np.nan
    if task.sort == "regression":
        labels = 1e-4 * features[:, 0] + 1e-3 * rng.normal(size=rows)
    else:
        labels = (features[:, 0] + features[:, 1] ** 2 + rng.normal(size=rows) > 1.5).astype(float)
    return Dataset(
        task=task,
        names=NAMES,
        features=features,
        labels=labels,
        timestamp_ms=np.arange(rows) * 60_000,
        key=np.zeros(rows, dtype=np.int16),
        keys=("binance:BTCUSDT",),
        close=np.full(rows, 100.0),
        realised=np.exp(0.3 * features[:, 0] - 7),
        candle_seconds=60,
        feature_set="abc",
        excluded={},
    )


def small(name: str) -> dict[str, int]:
    """Fewer trees, for tests' sake."""
    return {"n_estimators": 12} if name in {"forest", "xgboost", "lightgbm", "blend"} else {}


def fit(name: str, data: Dataset, seed: int = 1) -> Fitted:
    half = len(data) * 3 // 4
    return kind(name).fit(data.take(slice(0, half)), data.take(slice(half, None)), params=small(name), seed=seed)


@pytest.mark.parametrize(("task", "name"), PAIRS, ids=lambda v: v if isinstance(v, str) else v.name)
def test_files_bring_the_same_model_back(task: Task, name: str) -> None:
    data = dataset(task)
    fitted = fit(name, data)

    loaded = kind(name).load(task, NAMES, fitted.files())

    assert fitted.predict(data.features).tolist() == loaded.predict(data.features).tolist()
    assert fitted.files() == loaded.files()


@pytest.mark.parametrize(("task", "name"), PAIRS, ids=lambda v: v if isinstance(v, str) else v.name)
def test_one_row_gives_the_same_bits_as_many(task: Task, name: str) -> None:
    data = dataset(task, rows=400)
    fitted = fit(name, data)

    one = fitted.single()

    assert fitted.predict(data.features).tolist() == [one(row) for row in data.features]


@pytest.mark.parametrize(("task", "name"), PAIRS, ids=lambda v: v if isinstance(v, str) else v.name)
def test_the_same_rows_and_seed_give_the_same_bytes(task: Task, name: str) -> None:
    data = dataset(task)

    assert fit(name, data).files() == fit(name, data).files()


@pytest.mark.parametrize(("task", "name"), PAIRS, ids=lambda v: v if isinstance(v, str) else v.name)
def test_forecasts_are_finite_and_probabilities_between_zero_and_one(task: Task, name: str) -> None:
    data = dataset(task)
    wild = data.features.copy()
    wild[0], wild[1] = np.nan, 1e9

    forecasts = fit(name, data).predict(wild)

    assert np.isfinite(forecasts).all()
    if task.sort == "classification":
        assert ((forecasts >= 0) & (forecasts <= 1)).all()


@pytest.mark.parametrize("name", [name for name in KINDS if not kind(name).baseline])
def test_what_learns_finds_a_planted_signal(name: str) -> None:
    task = next(task for task in reversed(TASKS) if task.name in kind(name).tasks)
    data = dataset(task, rows=3000)
    fresh = dataset(task, rows=2000, seed=9)

    forecasts = fit(name, data).predict(fresh.features)

    assert np.corrcoef(forecasts, fresh.labels)[0, 1] > (0.05 if task.sort == "regression" else 0.25)


@pytest.mark.parametrize("name", [name for name in KINDS if kind(name).tasks])
def test_an_unknown_parameter_is_refused_by_its_name(name: str) -> None:
    data = dataset(Task(kind(name).tasks[-1], 60))

    with pytest.raises(TrainingError, match="parameter leaves: is not known"):
        kind(name).fit(data, data, params={"leaves": 3}, seed=1)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "forest", "logistic"])
@pytest.mark.parametrize("harm", ["missing", "emptied", "cut", "other names"])
def test_files_that_do_not_fit_are_refused(name: str, harm: str) -> None:
    task = TASKS[2]
    files = fit(name, dataset(task)).files()
    largest = max(files, key=lambda one: len(files[one]))
    if harm == "missing":
        del files[largest]
    elif harm != "other names":
        files[largest] = files[largest][: len(files[largest]) // 3 if harm == "cut" else 0]
    names = tuple(f"other_{n}" for n in NAMES) if harm == "other names" else NAMES
    if name == "forest" and harm == "other names":
        names = NAMES[:1]  # its file holds places; the bundle's manifest holds the names to its feature set

    with pytest.raises(BundleError):
        kind(name).load(task, names, files)


def test_a_forest_gives_the_numbers_of_scikit_learn() -> None:
    from sklearn.ensemble import RandomForestClassifier

    data = dataset(TASKS[2])
    known = np.nan_to_num(data.features)
    params = {"n_estimators": 12, "max_depth": 5, "min_samples_leaf": 10, "max_features": 0.3}
    theirs = RandomForestClassifier(**params, random_state=3).fit(known, data.labels)

    ours = kind("forest").fit(data, data, params=params, seed=3)

    np.testing.assert_allclose(ours.predict(data.features), theirs.predict_proba(known)[:, 1], rtol=0, atol=1e-12)


def test_a_forest_that_leads_in_circles_is_refused() -> None:
    import io

    files = fit("forest", dataset(TASKS[2])).files()
    nodes = np.load(io.BytesIO(files["forest.npy"]))
    inner = int(np.flatnonzero(nodes["feature"] >= 0)[-1])
    nodes["left"][inner] = inner
    held = io.BytesIO()
    np.save(held, nodes)

    with pytest.raises(BundleError, match="holds no trees"):
        kind("forest").load(TASKS[2], NAMES, {**files, "forest.npy": held.getvalue()})


def test_every_kind_has_its_own_file_and_every_task_its_baseline() -> None:
    files = [where.partition(":")[0] for where in KINDS.values()]

    assert len(set(files)) == len(files)
    for task, name in BASELINE.items():
        assert kind(name).baseline
        assert task in kind(name).tasks
    for task, names in DEFAULT.items():
        for name in names.split(","):
            assert not kind(name).baseline
            assert task in kind(name).tasks
    assert ["no-change", "mean"] == [one.name for one in kinds_of("price") if one.baseline]


def test_nothing_in_the_room_can_unpickle() -> None:
    for file in Path(next(iter(room.__path__))).glob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Name)}
        assert not names & {"pickle", "joblib", "skops", "cloudpickle"}


def test_each_kind_names_itself_as_the_table_does() -> None:
    kinds: list[Kind] = [kind(name) for name in KINDS]

    assert list(KINDS) == [one.name for one in kinds]
