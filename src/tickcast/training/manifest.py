"""What a dataset is, in one small file, and the hash by which it is known.

The hash is of the content: the same rows give the same hash, whatever wrote the file and whenever.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tickcast import __version__
from tickcast.clock import utc_text
from tickcast.errors import TrainingError
from tickcast.store.digest import canonical, labelled
from tickcast.training.contract import Dataset, Task

FORMAT = 1
ROWS_FILE, MANIFEST_FILE = "dataset.parquet", "dataset.json"
ROOMS = (
    "calibration", "candles", "events.py", "features", "flow.py", "frames", "indicators", "kernels.py", "scores",
    "seen.py", "snapshot.py", "ticks", "training",
)  # fmt: skip
"""Where numbers are made: with these sources unchanged, the same input gives the same dataset and the same model."""
_ARRAYS = ("labels", "timestamp_ms", "key", "close", "realised", "features")
_OWN = ("key", "timestamp_ms", "label", "close", "realised")
"""Columns of the file before the features."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset, told without its rows."""

    format: int = FORMAT
    hash: str
    task: Task
    rows: int
    from_ms: int
    to_ms: int
    keys: tuple[str, ...]
    rows_by_key: dict[str, int]
    candle_seconds: int
    feature_set: str
    names: tuple[str, ...]
    dropped: dict[str, str]
    excluded: dict[str, int]
    base_rate: float | None
    """The share of rows of the upper class; None for a price."""
    code: str


def manifest_of(dataset: Dataset) -> Manifest:
    """Tell of a dataset."""
    by_key = np.bincount(dataset.key, minlength=len(dataset.keys)).tolist()
    return Manifest(
        hash=content_hash(dataset),
        task=dataset.task,
        rows=len(dataset),
        from_ms=int(dataset.timestamp_ms[0]),
        to_ms=int(dataset.timestamp_ms[-1]),
        keys=dataset.keys,
        rows_by_key=dict(zip(dataset.keys, by_key, strict=True)),
        candle_seconds=dataset.candle_seconds,
        feature_set=dataset.feature_set,
        names=dataset.names,
        dropped=dict(dataset.dropped),
        excluded=dict(dataset.excluded),
        base_rate=float(dataset.labels.mean()) if dataset.task.sort == "classification" else None,
        code=code_version(),
    )


def content_hash(dataset: Dataset) -> str:
    """SHA-256 of what a model could learn from: task, keys, names, and every row's bits."""
    told = [FORMAT, dataset.task, dataset.keys, dataset.names, dataset.candle_seconds, dataset.feature_set]
    total = hashlib.sha256(msgspec.json.encode(told, order="deterministic"))
    for name in _ARRAYS:
        array = getattr(dataset, name)
        total.update(labelled(name) + str(array.shape).encode())
        total.update(canonical(np.ascontiguousarray(array)))
    return total.hexdigest()


def code_version() -> str:
    """The package's version, and a hash of the sources that make numbers: `0.1.0+3f2a...`."""
    home = Path(__file__).parents[1]
    total = hashlib.sha256()
    for room in ROOMS:
        place = home / room
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place] * place.is_file():
            total.update(labelled(path.relative_to(home).as_posix()) + path.read_bytes())
    return f"{__version__}+{total.hexdigest()[:12]}"


def write(dataset: Dataset, directory: Path) -> Manifest:
    """Write rows and manifest; each file appears whole, the manifest last."""
    manifest = manifest_of(dataset)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        scratch = directory / f"{ROWS_FILE}.part"
        pq.write_table(_table(dataset), scratch, compression="zstd", compression_level=3)
        _settle(scratch, directory / ROWS_FILE)
        scratch = directory / f"{MANIFEST_FILE}.part"
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        _settle(scratch, directory / MANIFEST_FILE)
    except OSError as exc:
        raise TrainingError(
            str(directory),
            f"can not be written to ({exc.strerror or exc}), so the dataset was not kept",
            "name a writable place with space",
        ) from exc
    return manifest


def read(directory: Path) -> tuple[Dataset, Manifest]:
    """The dataset that `write` wrote; TrainingError unless it is so to the last bit."""
    try:
        manifest = msgspec.json.decode((directory / MANIFEST_FILE).read_bytes(), type=Manifest)
        table = pq.read_table(directory / ROWS_FILE)
        dataset = _dataset(table, manifest)
    except (OSError, msgspec.MsgspecError, pa.ArrowException, KeyError, ValueError) as exc:
        told = str(exc).strip().partition("\n")[0].rstrip(".") or type(exc).__name__
        raise TrainingError(
            str(directory), f"holds no dataset that can be read ({told})", "build the dataset again"
        ) from exc
    found = content_hash(dataset)
    if found != manifest.hash:
        raise TrainingError(
            str(directory / ROWS_FILE),
            f"was changed since it was written: its hash is {found[:12]}, not {manifest.hash[:12]}",
            "build the dataset again",
        )
    return dataset, manifest


def told(manifest: Manifest) -> str:
    """One line for people."""
    rate = "" if manifest.base_rate is None else f", base rate {manifest.base_rate:.1%}"
    return (
        f"{manifest.task.name} over {manifest.task.horizon_seconds} s of {', '.join(manifest.keys)}: {manifest.rows:,} "
        f"rows from {utc_text(manifest.from_ms)} to {utc_text(manifest.to_ms)}, {len(manifest.names)} features{rate}, "
        f"dataset {manifest.hash[:12]}"
    )


def _settle(scratch: Path, path: Path) -> None:
    with scratch.open("rb") as written:
        os.fsync(written.fileno())
    scratch.replace(path)


def _table(dataset: Dataset) -> Any:
    columns: dict[str, Any] = {
        "key": pa.DictionaryArray.from_arrays(pa.array(dataset.key), pa.array(dataset.keys, pa.string())),
        "timestamp_ms": pa.array(dataset.timestamp_ms),
        "label": pa.array(dataset.labels),
        "close": pa.array(dataset.close),
        "realised": pa.array(dataset.realised),
    }
    for place, name in enumerate(dataset.names):
        own = f"feature_{name}" if name in _OWN else name
        columns[own] = pa.array(dataset.features[:, place], from_pandas=True)
    return pa.table(columns)


def _dataset(table: Any, manifest: Manifest) -> Dataset:
    def floats(name: str) -> Any:
        return np.array(table[name].to_numpy(), dtype=np.float64)

    keys = {key: place for place, key in enumerate(manifest.keys)}
    features = np.empty((len(table), len(manifest.names)))
    for place, name in enumerate(manifest.names):
        features[:, place] = floats(f"feature_{name}" if name in _OWN else name)
    return Dataset(
        task=manifest.task,
        names=manifest.names,
        features=features,
        labels=floats("label"),
        timestamp_ms=np.array(table["timestamp_ms"].to_numpy(), dtype=np.int64),
        key=np.array([keys[key] for key in table["key"].to_pylist()], dtype=np.int16),
        keys=manifest.keys,
        close=floats("close"),
        realised=floats("realised"),
        candle_seconds=manifest.candle_seconds,
        feature_set=manifest.feature_set,
        excluded=manifest.excluded,
        dropped=manifest.dropped,
    )
