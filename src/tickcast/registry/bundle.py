"""Bundles: a model with all that is needed to serve it, in a folder that appears whole and is read verified.

    fit ─→ pack ─→ put (temporary folder, fsync, rename) ─→ models/<task>/<version>/ ─→ read (hash, check, load)

The bytes that are hashed are the bytes that are loaded: every file is read once. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tickcast.calibration import whole as calibrations
from tickcast.config import FlowSettings
from tickcast.errors import BundleError, TrainingError
from tickcast.registry import disk
from tickcast.registry import manifest as manifests
from tickcast.registry.manifest import CALIBRATION_FILE, EVALUATION_FILE, MANIFEST_FILE, Content, FileEntry, Manifest
from tickcast.training.contract import F8, Fitted

PART = ".part-"
"""How the names of folders begin that are not whole yet; nobody reads them, the next writer takes them away."""


class Parts(NamedTuple):
    """What goes into a bundle beside its manifest."""

    model: Mapping[str, bytes]
    """What `Fitted.files` gave."""
    calibration: Mapping[str, Any] | None = None
    """One JSON object."""
    evaluation: bytes | None = None
    """Forecasts of the walk-forward test: see `evidence`."""
    reports: Mapping[str, bytes] = {}


class Bundle(NamedTuple):
    """A verified bundle, in memory: its folder may go."""

    manifest: Manifest
    fitted: Fitted
    calibration: dict[str, Any]
    """Empty where the model has none."""

    def predict(self, features: F8) -> F8:
        """For rows x names, in the order of the manifest's names: returns, or probabilities."""
        return self.fitted.predict(features)

    def single(self) -> Callable[[F8], float]:
        """The fastest way to predict one row."""
        return self.fitted.single()


def pack(content: Content, parts: Parts) -> tuple[Content, dict[str, bytes]]:
    """The content with its files told, and the files; BundleError where they could not be read back."""
    files: dict[str, tuple[manifests.Role, bytes]] = {name: ("model", data) for name, data in parts.model.items()}
    extra: dict[str, tuple[manifests.Role, bytes]] = {name: ("report", data) for name, data in parts.reports.items()}
    if parts.calibration is not None:
        extra[CALIBRATION_FILE] = ("calibration", manifests.canonical(parts.calibration) + b"\n")
    if parts.evaluation is not None:
        extra[EVALUATION_FILE] = ("evaluation", parts.evaluation)
    if twice := sorted(files.keys() & extra.keys()):
        raise BundleError(twice[0], "would be two files of one bundle, so nothing was written", "give it another name")
    told = {
        name: FileEntry(len(data), role, hashlib.sha256(data).hexdigest())
        for name, (role, data) in sorted((files | extra).items())
    }
    return msgspec.structs.replace(content, files=told), {name: data for name, (_, data) in (files | extra).items()}


def put(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Path:
    """Write a bundle into its task's folder under its version; it appears whole, or not at all.

    A version that is there is never written again. Call it under the lock of the shelf.
    """
    raw = manifests.written(manifest)
    manifests.parse(raw, manifest.version)  # what could not be read is not written
    if len(raw) > manifests.MANIFEST_BYTES_MAX:
        what = f"has a manifest of {len(raw):,} bytes where {manifests.MANIFEST_BYTES_MAX:,} may be; no bundle was kept"
        raise BundleError(manifest.version, what, "give a shorter note")
    target = folder / manifest.version
    if target.exists():
        raise BundleError(str(target), "is there already and versions never change", "write another version")
    scratch: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=PART, dir=folder))
        scratch.chmod(0o755)
        for name, data in files.items():
            disk.write_synced(scratch / name, data)
        disk.write_synced(scratch / MANIFEST_FILE, raw)
        disk.sync_folder(scratch)
        scratch.rename(target)
        disk.sync_folder(folder)
    except OSError as exc:
        told = exc.strerror or str(exc)
        what = f"can not be written ({told}), so no bundle was kept"
        raise BundleError(str(target), what, "name a writable place with space") from exc
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)  # gone already where all went well
    return target


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a bundle, checked; its files are not looked at."""
    if not directory.is_dir():
        raise BundleError(str(directory), "is no folder, so no bundle was read", "name the folder of a bundle")
    raw = disk.read_bounded(directory / MANIFEST_FILE, manifests.MANIFEST_BYTES_MAX, str(directory))
    return manifests.parse(raw, str(directory / MANIFEST_FILE))


def read_file(directory: Path, manifest: Manifest, name: str) -> bytes:
    """One file of a bundle, verified."""
    where, entry = str(directory), manifest.content.files.get(name)
    if entry is None:
        raise BundleError(where, f"has no file {name} in its manifest", "train again to have it")
    data = disk.read_bounded(directory / name, entry.bytes, where)
    if len(data) != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
        what = f"has {name} with other bytes than its manifest tells, so the bundle was refused"
        raise BundleError(where, what, disk.RESTORE)
    return data


def read(directory: Path, *, flow: FlowSettings | None = None, version: str = "", task: str = "") -> Bundle:
    """The bundle in a folder, or BundleError with the reason.

    `flow`: the settings of the flow whose rows it is to serve; it must have learned from such rows. `version` and
    `task`: what the folder's place says.
    """
    manifest = read_manifest(directory)
    where, content = str(directory), manifest.content
    if (version and version != manifest.version) or (task and task != manifest.task):
        what = f"holds {manifest.task}/{manifest.version}, which belongs elsewhere, so it was refused"
        raise BundleError(where, what, "restore the folder, or bring it in with `tickcast models register`")
    if flow is not None:
        _fits(content, flow, where)
    files = read_files(directory, manifest)
    model = {name: data for name, data in files.items() if content.files[name].role == "model"}
    calibration = {}
    if CALIBRATION_FILE in files:
        try:
            calibration = msgspec.json.decode(files[CALIBRATION_FILE], type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError) as exc:
            raise BundleError(where, f"has a calibration that is no JSON object ({exc})", disk.RESTORE) from exc
        if calibration:
            calibrations.from_json(calibration, content.names)  # what could not serve is refused before it does
    return Bundle(manifest, _load(content, model, where), calibration)


def read_files(directory: Path, manifest: Manifest) -> dict[str, bytes]:
    """All files but the manifest, each read once and verified; nothing may miss and nothing may be beside them."""
    told = manifest.content.files
    try:
        found = {path.name for path in directory.iterdir()}
    except OSError as exc:
        raise BundleError(str(directory), "went away while it was read", "take another version") from exc
    if extra := sorted(found - told.keys() - {MANIFEST_FILE}):
        what = f"has {extra[0]}, which its manifest does not tell, so the bundle was refused"
        raise BundleError(str(directory), what, "take that file away")
    return {name: read_file(directory, manifest, name) for name in sorted(told)}


def _fits(content: Content, flow: FlowSettings, where: str) -> None:
    """Whether rows of that flow are what the model learned from."""
    from tickcast.features.names import feature_names, feature_set  # brings TA-Lib, which takes seconds

    known = feature_names(flow)
    if unknown := [name for name in content.names if name not in known]:
        what = f"needs {len(unknown)} features that the flow does not make ({', '.join(unknown[:3])})"
        raise BundleError(where, f"{what}, so it was refused", "set the same indicators, or train again")
    if content.feature_set != feature_set(flow):
        what = f"learned from feature set {content.feature_set}, the flow makes {feature_set(flow)}, so it was refused"
        raise BundleError(where, what, "use the settings it was trained with, or train again")
    if content.candle_seconds not in flow.candle_seconds:
        what = f"learned from candles of {content.candle_seconds} s, which the flow does not make, so it was refused"
        raise BundleError(where, what, "add that length to candle_seconds, or train again")


def _load(content: Content, files: Mapping[str, bytes], where: str) -> Fitted:
    """The model, shown to answer one row."""
    from tickcast.training.models.table import kind

    try:
        made = kind(content.kind)
    except TrainingError as exc:
        what = f"is of kind {content.kind}, which is not known, so it was refused"
        raise BundleError(where, what, "upgrade tickcast, or take another version") from exc
    if content.task.name not in made.tasks:
        what = f"is a {content.kind} for {content.task.name}, which that kind can not do, so it was refused"
        raise BundleError(where, what, disk.RESTORE)
    try:
        fitted: Fitted = made.load(content.task, content.names, files)
        answer = np.asarray(fitted.predict(np.zeros((1, len(content.names)))))
    except BundleError as exc:
        raise BundleError(f"{where}, {exc.where}", exc.what, exc.remedy) from exc
    except (
        ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, MemoryError, RecursionError
    ) as exc:  # fmt: skip
        what = f"holds no {content.kind} that works ({str(exc)[:200].rstrip('.')}), so it was refused"
        raise BundleError(where, what, disk.RESTORE) from exc
    probability = content.task.sort == "classification"
    if answer.shape != (1,) or not np.isfinite(answer[0]) or (probability and not 0.0 <= answer[0] <= 1.0):
        raise BundleError(where, "does not answer a row with a number, so it was refused", disk.RESTORE)
    return fitted
