"""MLflow knows every model, and nothing waits for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest

from tests.unit.registry.making import NAMES, content, parts
from tickcast.clock import ManualClock
from tickcast.config import Settings
from tickcast.registry import bundle, tracking
from tickcast.registry.manifest import Manifest
from tickcast.registry.shelf import Aliases, Shelf
from tickcast.registry.tracking import RunRecord, Tracker, tracker_for
from tickcast.training.contract import TaskName


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models", clock=ManualClock(10**18), who="ann")


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    """One real MLflow on SQLite; making its tables takes seconds."""
    return tracker_for(Settings(data_dir=tmp_path_factory.mktemp("mlflow")))


def client(tracker: Tracker) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=tracker.uri, registry_uri=tracker.uri)


def record(shelf: Shelf, made: Manifest, **more: Any) -> RunRecord:
    return RunRecord(manifest=made, directory=shelf.path(made.task, made.version), **more)


def test_a_run_tells_all_of_a_bundle_and_the_bundle_can_be_had_from_it(
    tracker: Tracker, shelf: Shelf, tmp_path: Path
) -> None:
    made = shelf.add(content(), parts(), note="first")
    told = tracker.track(record(shelf, made, dataset=b"{}", artifacts={"plot.svg": b"<svg/>"}, tags={"why": "test"}))
    mlflow = client(tracker)
    run = mlflow.get_run(told.run_id)

    assert ("", False) == (told.fault, told.known)
    assert "FINISHED" == run.info.status
    assert ("ridge", "1", "60") == tuple(run.data.params[name] for name in ("kind", "model.alpha", "candle_seconds"))
    assert {"skill": 0.25, "folds.0": 1.0, "folds.1": 2.5} == run.data.metrics
    assert (made.hash, "test", "0.1.0+abc") == tuple(
        run.data.tags[name] for name in ("bundle_hash", "why", "code_version")
    )
    assert made.content.dataset_hash[:32] == run.inputs.dataset_inputs[0].dataset.digest
    files = Path(mlflow.download_artifacts(told.run_id, "", str(tmp_path)))
    assert b"{}" == (files / "dataset" / "dataset.json").read_bytes()
    assert {"plot.svg", "report.html"} == {path.name for path in (files / "report").iterdir()}
    assert made == bundle.read(files / "model" / "bundle").manifest


def test_the_model_has_a_signature_that_mlflow_reads(tracker: Tracker, shelf: Shelf, tmp_path: Path) -> None:
    from mlflow.models import Model

    made = shelf.add(content(seed=11), parts())
    told = tracker.track(record(shelf, made))
    version = client(tracker).get_model_version("tickcast-price", told.model_version)
    model = Model.load(str(Path(url2pathname(urlparse(version.source).path))))

    assert list(NAMES) == model.signature.inputs.input_names()
    assert ["log_return"] == model.signature.outputs.input_names()
    assert made.hash == model.flavors["tickcast"]["bundle_hash"]


def test_mlflow_loads_the_verified_bundle_as_a_function(tracker: Tracker, shelf: Shelf) -> None:
    import mlflow
    import numpy as np
    import pandas as pd  # type: ignore[import-untyped]

    made = shelf.add(content(seed=13), parts()._replace(calibration=None))
    told = tracker.track(record(shelf, made))
    rows = np.random.default_rng(1).normal(size=(5, len(NAMES)))
    source = client(tracker).get_model_version("tickcast-price", told.model_version).source

    loaded = mlflow.pyfunc.load_model(source)

    frame = pd.DataFrame(rows, columns=list(NAMES))[list(reversed(NAMES))]
    assert shelf.load("price", made.version).predict(rows).tolist() == loaded.predict(frame).tolist()


def test_a_bundle_is_logged_once(tracker: Tracker, shelf: Shelf) -> None:
    made = shelf.add(content(seed=12), parts())
    first, second = tracker.track(record(shelf, made)), tracker.track(record(shelf, made))

    assert (False, True) == (first.known, second.known)
    assert (first.run_id, first.model_version) == (second.run_id, second.model_version)


def test_aliases_follow_ours(tracker: Tracker, shelf: Shelf) -> None:
    task: TaskName = "volatility"
    versions = [shelf.add(content(task, "mean", seed=seed), parts(task, "mean")) for seed in range(3)]
    for made in versions:
        tracker.track(record(shelf, made))
    names = [made.version for made in versions]

    def aliases() -> dict[str, str]:
        return dict(client(tracker).get_registered_model("tickcast-volatility").aliases)

    assert "" == tracker.follow(task, Aliases(names[0], (names[1], names[2])))
    assert {"champion": "1", "challenger": "2", "challenger-2": "3"} == {n: str(v) for n, v in aliases().items()}
    assert "" == tracker.follow(task, Aliases(names[2], (names[0],)))
    assert {"champion": "3", "challenger": "1"} == {name: str(version) for name, version in aliases().items()}
    assert "MLflow has no v9-mean of volatility" in tracker.follow(task, Aliases("v9-mean"))
    assert {} == aliases()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server.getsockname()[1]


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_down_is_one_sentence(shelf: Shelf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    made = shelf.add(content(), parts())
    told = Tracker(f"http://127.0.0.1:{port}").track(record(shelf, made))

    assert told.fault.startswith("price/v1-ridge was not logged to MLflow (")
    assert told.fault.endswith("bring it in later with `tickcast models register`")
    assert "\n" not in told.fault


@pytest.mark.usefixtures("impatient")
def test_a_server_that_says_nothing_is_not_waited_for(shelf: Shelf, mute: int) -> None:
    made = shelf.add(content(), parts())
    asked = Tracker(f"http://127.0.0.1:{mute}")

    assert "was not logged to MLflow" in asked.track(record(shelf, made)).fault
    assert "aliases of price were not set in MLflow" in asked.follow("price", Aliases("v1-ridge"))


def test_a_server_that_trickles_is_left_when_the_time_is_over(
    shelf: Shelf, mute: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    made = shelf.add(content(), parts())

    assert (
        "it did not answer within 0.5 s"
        in Tracker(f"http://127.0.0.1:{mute}", limit_s=0.5).track(record(shelf, made)).fault
    )


def test_a_database_that_can_not_be_opened_is_one_sentence(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database at all, and long enough to be seen as none" * 100)
    made = shelf.add(content(), parts())
    told = tracker_for(Settings(data_dir=tmp_path)).track(record(shelf, made))

    assert "was not logged to MLflow" in told.fault
    assert "\n" not in told.fault


def test_a_damaged_bundle_is_not_logged(tracker: Tracker, shelf: Shelf) -> None:
    made = shelf.add(content(seed=21), parts())
    (shelf.path("price", made.version) / "linear.json").write_bytes(b"{}")

    assert "other bytes than its manifest tells" in tracker.track(record(shelf, made)).fault


def test_the_settings_say_where_mlflow_is(tmp_path: Path) -> None:
    assert "http://mlflow:5000" == tracker_for(Settings(mlflow_uri="http://mlflow:5000")).uri
    assert f"sqlite:///{tmp_path}/mlflow.db" == tracker_for(Settings(data_dir=tmp_path)).uri


def test_nothing_is_sent_home(tracker: Tracker, shelf: Shelf) -> None:
    tracker.track(record(shelf, shelf.add(content(seed=31), parts())))
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()
    assert "true" == tracking.ENVIRONMENT["MLFLOW_DISABLE_TELEMETRY"]
