"""Every model in MLflow too: a run, its numbers and files, a registered version, and aliases that follow ours.

Serving never asks MLflow: if it is down or slow, what was not logged is told in a sentence, and
`tickcast models register` brings it in later. A bundle is known by its hash, so nothing is logged twice.
"""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tickcast import config
from tickcast.clock import Clock, SystemClock
from tickcast.registry import bundle
from tickcast.registry.manifest import MANIFEST_FILE, Content, Manifest, written
from tickcast.registry.mlmodel import MLMODEL_FILE, mlmodel
from tickcast.registry.shelf import Aliases

LIMIT_S = 120.0
"""How long all of one bundle may take; then training goes on without it."""
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""What MLflow is told where the user has not told it otherwise: nothing sent home, and no minutes of waiting."""
_TEXT_MAX, _BATCH = 500, 90
_NAME = str.maketrans(dict.fromkeys("()[]{}<>=,;:'\"\\%&?!@#$^*+|~` ", "_"))


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle to log, and what is told with it."""

    manifest: Manifest
    directory: Path
    """Where the bundle is."""
    dataset: bytes = b""
    """The manifest of its dataset."""
    artifacts: Mapping[str, bytes] = {}
    """Plots and reports that are not in the bundle, by file name."""
    tags: Mapping[str, str] = {}


class Tracked(msgspec.Struct, frozen=True):
    """What came of it."""

    run_id: str = ""
    model_version: str = ""
    fault: str = ""
    """One sentence where something was not logged; empty: all is there."""
    known: bool = False
    """It was there already."""


class Tracker:
    """One MLflow: a SQLite file, a server, or whatever else its URI says."""

    def __init__(
        self, uri: str, *, artifacts: Path | None = None, clock: Clock | None = None, limit_s: float = LIMIT_S
    ) -> None:
        self.uri = uri
        self._artifacts = artifacts
        self._clock = clock or SystemClock()
        self._limit_s = limit_s

    def track(self, record: RunRecord) -> Tracked:
        """Log a bundle; never raises, never takes longer than the limit."""
        manifest = record.manifest
        what = f"{manifest.task}/{manifest.version} was not logged to MLflow"
        result, fault = self._bounded(lambda: self._track(record), what)
        return result if result is not None else Tracked(fault=fault)

    def follow(self, task: str, aliases: Aliases) -> str:
        """Let MLflow's aliases say what ours say; a sentence where they do not, empty where all is well."""
        result, fault = self._bounded(lambda: self._follow(task, aliases), f"aliases of {task} were not set in MLflow")
        return fault if result is None else result

    def _bounded(self, work: Callable[[], Any], what: str) -> tuple[Any, str]:
        """What the work gives, or a sentence. A server that trickles can not be waited for in this thread."""
        given: list[Any] = []
        faults: list[str] = []

        def attempt() -> None:
            try:
                given.append(work())
            except Exception as exc:  # noqa: BLE001 - whatever MLflow and its databases raise, training must end
                faults.append(str(exc).strip().partition("\n")[0][:300].rstrip(".") or type(exc).__name__)

        worker = threading.Thread(target=attempt, name="mlflow", daemon=True)
        worker.start()
        worker.join(self._limit_s)
        if given:
            return given[0], ""
        told = faults[0] if faults else f"it did not answer within {self._limit_s:g} s"
        return None, f"{what} ({told}); bring it in later with `tickcast models register`"

    def _client(self) -> Any:
        config.environment_defaults(ENVIRONMENT)
        from mlflow.tracking import MlflowClient

        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def _track(self, record: RunRecord) -> Tracked:
        files = bundle.read_files(record.directory, record.manifest)
        client, manifest, content = self._client(), record.manifest, record.manifest.content
        if (known := _registered(client, manifest)) is not None:
            return Tracked(known.run_id, str(known.version), known=True)
        run = client.create_run(
            self._experiment(client, manifest.task),
            run_name=manifest.version,
            start_time=manifest.created_ms,
            tags=_tags(manifest) | dict(record.tags),
        )
        run_id = str(run.info.run_id)
        try:
            _numbers(client, run_id, content, manifest.created_ms)
            _dataset(client, run_id, content)
            self._files(client, run_id, record, files)
            version = _register(client, run, manifest)
        except BaseException:
            client.set_terminated(run_id, status="FAILED")
            raise
        client.set_terminated(run_id, end_time=self._clock.now_ns() // 1_000_000)
        return Tracked(run_id, version)

    def _experiment(self, client: Any, task: str) -> str:
        name = f"tickcast-{task}"
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = None if self._artifacts is None else (self._artifacts / task).absolute().as_uri()
        return str(client.create_experiment(name, artifact_location=place))

    def _files(self, client: Any, run_id: str, record: RunRecord, files: Mapping[str, bytes]) -> None:
        """The bundle as it is under `model/bundle`, its signature beside it, reports where MLflow shows them."""
        with tempfile.TemporaryDirectory(prefix="tickcast-mlflow-") as scratch:
            root = Path(scratch)
            placed = {f"model/bundle/{name}": data for name, data in files.items()}
            placed[f"model/bundle/{MANIFEST_FILE}"] = written(record.manifest)
            placed[f"model/{MLMODEL_FILE}"] = mlmodel(record.manifest, run_id)
            entries = record.manifest.content.files
            placed |= {f"report/{name}": data for name, data in files.items() if entries[name].role == "report"}
            placed |= {f"report/{name}": data for name, data in record.artifacts.items()}
            if record.dataset:
                placed["dataset/dataset.json"] = record.dataset
            for name, data in placed.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            client.log_artifacts(run_id, str(root))

    def _follow(self, task: str, aliases: Aliases) -> str:
        client, name = self._client(), f"tickcast-{task}"
        wanted = {"champion": aliases.champion} if aliases.champion else {}
        for place, version in enumerate(aliases.challengers, start=1):
            wanted["challenger" if place == 1 else f"challenger-{place}"] = version
        versions = {one.tags.get("version"): str(one.version) for one in client.search_model_versions(f"name='{name}'")}
        missing = sorted(version for version in wanted.values() if version not in versions)
        held = dict(client.get_registered_model(name).aliases) if versions else {}
        for alias in held:
            if alias.startswith(("champion", "challenger")) and wanted.get(alias) not in versions:
                client.delete_registered_model_alias(name, alias)
        for alias, version in wanted.items():
            if version in versions and str(held.get(alias)) != versions[version]:
                client.set_registered_model_alias(name, alias, versions[version])
        if missing:
            return f"MLflow has no {', '.join(missing)} of {task}; bring them in with `tickcast models register`"
        return ""


def tracker_for(settings: config.Settings) -> Tracker:
    """The MLflow of the settings: a server, or a file under the data directory with its artifacts beside it."""
    if settings.mlflow_uri:
        return Tracker(settings.mlflow_uri)
    place = settings.data_dir.absolute()
    return Tracker(f"sqlite:///{place / 'mlflow.db'}", artifacts=place / "mlartifacts")


def flat(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """All finite numbers of nested metrics, by names that MLflow takes.

    >>> flat({"skill": 0.5, "fold": [{"rows": 3}, None], "why": "text"})
    {'skill': 0.5, 'fold.0.rows': 3.0}
    """
    found: dict[str, float] = {}
    for name, value in metrics.items():
        told = f"{prefix}{str(name).translate(_NAME)}"
        if isinstance(value, list | tuple):
            value = {str(place): part for place, part in enumerate(value)}
        if isinstance(value, Mapping):
            found |= flat(value, f"{told}.")
        elif isinstance(value, int | float) and math.isfinite(value):
            found[told] = float(value)
    return found


def _tags(manifest: Manifest) -> dict[str, str]:
    content = manifest.content
    return {
        "bundle_hash": manifest.hash,
        "version": manifest.version,
        "task": manifest.task,
        "kind": content.kind,
        "code_version": content.code_version,
        "dataset_hash": content.dataset_hash,
        "mlflow.user": manifest.created_by,
        "mlflow.note.content": manifest.note,
    }


def _numbers(client: Any, run_id: str, content: Content, at_ms: int) -> None:
    from mlflow.entities import Metric, Param

    told = {
        "kind": content.kind, "seed": content.seed, "trials": content.trials, "feature_set": content.feature_set,
        "features": len(content.names), "horizon_seconds": content.task.horizon_seconds,
        "candle_seconds": content.candle_seconds, "rows": content.rows, "from_ms": content.from_ms,
        "to_ms": content.to_ms, "keys": ",".join(content.keys),
    } | {f"model.{name}".translate(_NAME): value for name, value in content.params.items()}  # fmt: skip
    params = [Param(name, str(value)[:_TEXT_MAX]) for name, value in told.items()]
    metrics = [Metric(name, value, at_ms, 0) for name, value in flat(content.metrics).items()]
    for start in range(0, len(params), _BATCH):
        client.log_batch(run_id, params=params[start : start + _BATCH])
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _BATCH])


def _dataset(client: Any, run_id: str, content: Content) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    told = msgspec.json.encode({"rows": content.rows, "from_ms": content.from_ms, "to_ms": content.to_ms}).decode()
    dataset = Dataset(
        name=f"tickcast-{content.task.name}", digest=content.dataset_hash[:32], source_type="tickcast",
        source=",".join(content.keys), profile=told,
    )  # fmt: skip
    client.log_inputs(run_id, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def _registered(client: Any, manifest: Manifest) -> Any:
    """The registered version of this very bundle, or None."""
    asked = f"name='tickcast-{manifest.task}' and tag.bundle_hash='{manifest.hash}'"
    return next((one for one in client.search_model_versions(asked) if one.status == "READY"), None)


def _register(client: Any, run: Any, manifest: Manifest) -> str:
    from mlflow.exceptions import MlflowException

    name = f"tickcast-{manifest.task}"
    try:
        client.create_registered_model(name)
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        name, source=f"{run.info.artifact_uri}/model", run_id=run.info.run_id, description=manifest.note or None,
        tags={"bundle_hash": manifest.hash, "version": manifest.version, "kind": manifest.content.kind},
    )  # fmt: skip
    return str(made.version)


def told_of(tracked: Tracked, manifest: Manifest) -> str:
    """One line for people."""
    name = f"{manifest.task}/{manifest.version}"
    if tracked.fault:
        return tracked.fault
    return f"{name} {'was' if tracked.known else 'is now'} in MLflow as version {tracked.model_version}"
