"""A bundle is served as it was written, or refused with the reason."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.registry.making import CALIBRATION, FLOW, NAMES, content, dataset, parts
from tickcast.clock import ManualClock
from tickcast.config import FlowSettings
from tickcast.errors import BundleError
from tickcast.registry import bundle, manifest
from tickcast.registry.bundle import Parts
from tickcast.registry.manifest import MANIFEST_FILE, Content, FileEntry
from tickcast.registry.shelf import Shelf
from tickcast.training.contract import Task
from tickcast.training.models.table import kind


def put(folder: Path, told: Content | None = None, made: Parts | None = None) -> Path:
    """A bundle that need not be a good one: it is sealed all the same."""
    packed, files = bundle.pack(told or content(), made or parts())
    sealed = manifest.sealed(packed, version=f"v1-{packed.kind}", created_ms=5, created_by="me", note="")
    return bundle.put(folder, sealed, files)


def reseal(path: Path, change: Callable[[Content], Content], version: str = "") -> None:
    """What somebody does who knows how: another manifest, with hash and seal that are right."""
    old = bundle.read_manifest(path)
    made = manifest.sealed(change(old.content), version=version or old.version, created_ms=5, created_by="me", note="")
    (path / MANIFEST_FILE).write_bytes(manifest.written(made))


@pytest.mark.parametrize(("task", "name"), [("price", "ridge"), ("price", "lightgbm"), ("volatility", "logistic")])
def test_a_bundle_forecasts_what_the_model_forecast_that_was_put_into_it(task: Any, name: str, tmp_path: Path) -> None:
    rows = dataset(task)
    fitted = kind(name).fit(rows, rows.take(slice(0, 0)), params={}, seed=3)
    path = put(tmp_path, content(task, name), Parts(fitted.files(), CALIBRATION))

    read = bundle.read(path, flow=FLOW)

    assert fitted.predict(rows.features).tolist() == read.predict(rows.features).tolist()
    assert fitted.single()(rows.features[0]) == read.single()(rows.features[0])
    assert CALIBRATION == read.calibration
    shutil.rmtree(path)
    assert fitted.predict(rows.features).tolist() == read.predict(rows.features).tolist()


def test_the_same_data_configuration_and_seed_give_the_same_hash_on_another_day_and_in_another_folder(
    tmp_path: Path,
) -> None:
    first = Shelf(tmp_path / "here", clock=ManualClock(0), who="ann")
    second = Shelf(tmp_path / "there", clock=ManualClock(86_400_000_000_000), who="bob")
    one, two = (shelf.add(content(), parts(), note=shelf.who) for shelf in (first, second))

    assert one.hash == two.hash
    assert (0, "ann", "ann") == (one.created_ms, one.created_by, one.note)
    assert (86_400_000, "bob", "bob") == (two.created_ms, two.created_by, two.note)
    assert one.hash != first.add(content(seed=4), parts()).hash
    assert one.hash != first.add(content(), parts(seed=8)).hash


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_of_any_file_is_refused(data: st.DataObject, sample: Path) -> None:
    path = data.draw(st.sampled_from(sorted(sample.iterdir())))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        path.write_bytes(changed)
        with pytest.raises(BundleError):
            bundle.read(sample)
    finally:
        path.write_bytes(whole)
    assert 3 == bundle.read(sample).manifest.content.seed


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put(tmp_path_factory.mktemp("sample"))


@pytest.mark.parametrize("length", [0, 1, 100])
def test_a_file_cut_short_or_grown_is_refused(length: int, tmp_path: Path) -> None:
    for name in ("linear.json", MANIFEST_FILE):
        path = put(tmp_path / name) / name
        whole = path.read_bytes()
        for data in (whole[:length], whole + b" "):
            path.write_bytes(data)
            with pytest.raises(BundleError):
                bundle.read(path.parent)


def missing(path: Path) -> None:
    (path / "linear.json").unlink()


def extra(path: Path) -> None:
    (path / "notes.txt").write_text("x")


def no_manifest(path: Path) -> None:
    (path / MANIFEST_FILE).unlink()


def pickled(path: Path) -> None:
    (path / MANIFEST_FILE).write_bytes(b"\x80\x04]\x94.")


def linked(path: Path) -> None:
    outside = path.parent / "outside.json"
    (path / "linear.json").rename(outside)
    (path / "linear.json").symlink_to(outside)


def piped(path: Path) -> None:
    (path / "linear.json").unlink()
    os.mkfifo(path / "linear.json")


def folder(path: Path) -> None:
    (path / "linear.json").unlink()
    (path / "linear.json").mkdir()


def huge(path: Path) -> None:
    with (path / MANIFEST_FILE).open("ab") as opened:
        opened.truncate(manifest.MANIFEST_BYTES_MAX + 1)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (missing, "has no file linear.json"),
        (extra, "has notes.txt, which its manifest does not tell"),
        (no_manifest, "has no file manifest.json"),
        (pickled, "holds no manifest of a bundle"),
        (linked, "can not open linear.json"),
        (piped, "is no plain file"),
        (folder, "linear.json"),
        (huge, "where at most 4,000,000 may be"),
        (shutil.rmtree, "is no folder"),
    ],
)
def test_a_folder_that_is_not_as_it_was_written_is_refused_with_the_reason(
    harm: Callable[[Path], None], told: str, tmp_path: Path
) -> None:
    path = put(tmp_path)
    harm(path)

    with pytest.raises(BundleError, match=told) as caught:
        bundle.read(path)

    assert str(path) in caught.value.where


def entry(**changes: Any) -> Callable[[Content], Content]:
    """Another entry for the model's file."""

    def change(old: Content) -> Content:
        told = msgspec.structs.replace(old.files["linear.json"], **changes)
        return msgspec.structs.replace(old, files=old.files | {"linear.json": told})

    return change


def naming(name: str) -> Callable[[Content], Content]:
    return lambda old: msgspec.structs.replace(old, files=old.files | {name: FileEntry(2, "model", "0" * 64)})


def being(**changes: Any) -> Callable[[Content], Content]:
    return lambda old: msgspec.structs.replace(old, **changes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (naming("../price.json"), "no plain name inside its folder"),
        (naming("/etc/passwd"), "no plain name inside its folder"),
        (naming("a/b"), "no plain name inside its folder"),
        (naming(".."), "no plain name inside its folder"),
        (naming("a\\b"), "no plain name inside its folder"),
        (naming("a\n"), "no plain name inside its folder"),
        (naming(""), "no plain name inside its folder"),
        (naming(MANIFEST_FILE), "no plain name inside its folder"),
        (entry(bytes=-1), "gives no hash and size"),
        (entry(sha256="x"), "gives no hash and size"),
        (entry(bytes=manifest.FILES_BYTES_MAX), "a bundle may have 200,000,000"),
        (entry(role="report"), "linear.json"),
        (being(format=2), "is of format 2, and this version reads format 1"),
        (being(names=()), "names no inputs"),
        (being(names=("rsi_14", "rsi_14", "hour_sin")), "one of them twice"),
        (being(names=("rsi_14", "hour_sin", "tomorrow")), "needs 1 features that the flow does not make"),
        (being(feature_set="0123"), "learned from feature set 0123"),
        (being(candle_seconds=300), "learned from candles of 300 s"),
        (being(task=Task("volatility", 60)), "which that kind can not do"),
        (being(task=Task("price", 0)), "of no length"),
    ],
)
def test_a_manifest_that_is_sealed_but_can_not_be_right_is_refused(
    change: Callable[[Content], Content], told: str, tmp_path: Path
) -> None:
    path = put(tmp_path)
    reseal(path, change)

    with pytest.raises(BundleError, match=told):
        bundle.read(path, flow=FLOW)


def test_a_kind_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path)
    reseal(path, being(kind="oracle"), "v1-oracle")

    with pytest.raises(BundleError, match="is of kind oracle, which is not known"):
        bundle.read(path)


def test_a_field_that_no_format_has_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path) / MANIFEST_FILE
    path.write_bytes(path.read_bytes().replace(b'"seed"', b'"sead"'))

    with pytest.raises(BundleError, match="does not fit its format"):
        bundle.read(path.parent)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"created_by": "me"', b'"created_by": "it"'),
        (b'"created_ms": 5', b'"created_ms": 6'),
        (b'"note": ""', b'"note": "good"'),
        (b'"version": "v1-ridge"', b'"version": "v2-ridge"'),
        (b'"seed": 3', b'"seed":  3'),
        (b'"trials": 0', b'"trials": 0, "trials": 0'),
    ],
)
def test_what_is_not_in_the_hash_is_under_the_seal(old: bytes, new: bytes, tmp_path: Path) -> None:
    path = put(tmp_path) / MANIFEST_FILE
    whole = path.read_bytes()
    path.write_bytes(whole.replace(old, new))

    assert old in whole
    with pytest.raises(BundleError, match="was changed since it was written"):
        bundle.read(path.parent)


@pytest.mark.parametrize("model", [{}, {"linear.json": b"[]"}, {"linear.json": b"\x80\x04."}, {"linear.json": b"{}"}])
def test_a_model_that_does_not_load_is_refused_whatever_its_seal_says(model: dict[str, bytes], tmp_path: Path) -> None:
    path = put(tmp_path, made=Parts(model))

    with pytest.raises(BundleError):
        bundle.read(path)


def test_a_flow_with_other_indicators_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path)

    with pytest.raises(BundleError, match="the flow makes"):
        bundle.read(path, flow=FlowSettings(indicators=("ADX:14",)))
    assert NAMES == bundle.read(path, flow=FLOW).manifest.content.names


def test_what_is_hashed_is_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever swaps a file between the check and the use comes too late: there is one read a file."""
    path = put(tmp_path)
    true_open, opened = os.open, []

    def counting(name: Any, *args: Any, **kwargs: Any) -> int:
        opened.append(Path(name).name)
        return true_open(name, *args, **kwargs)

    monkeypatch.setattr(os, "open", counting)
    bundle.read(path)

    assert sorted(file.name for file in path.iterdir()) == sorted(opened)


def test_a_version_is_never_written_again(tmp_path: Path) -> None:
    path = put(tmp_path)
    before = hashlib.sha256((path / MANIFEST_FILE).read_bytes()).hexdigest()

    with pytest.raises(BundleError, match="versions never change"):
        put(tmp_path, content(seed=9))

    assert before == hashlib.sha256((path / MANIFEST_FILE).read_bytes()).hexdigest()
    assert [path] == list(tmp_path.iterdir())


def test_a_name_that_leads_out_is_not_even_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no plain name"):
        put(tmp_path / "price", made=Parts({"../evil.json": b"{}"}))

    assert [] == list(tmp_path.rglob("*"))


def test_a_disk_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def failing(handle: int) -> None:
        written.append(handle)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(BundleError, match="No space left on device"):
        put(tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_numbers_that_mean_the_same_are_written_the_same() -> None:
    """`level` was given as 1 and is a float: read back it is 1.0, and the seal must hold."""
    made = manifest.sealed(content(), version="v1-ridge", created_ms=1, created_by="", note="")

    assert made == manifest.parse(manifest.written(made), "here")
    assert np.isclose(1.0, made.content.level or 0.0)


def test_a_manifest_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, clock=ManualClock(0))

    with pytest.raises(BundleError, match=r"has a manifest of 5,0.*give a shorter note"):
        shelf.add(content(), parts(), note="x" * 5_000_000)

    assert [] == shelf.versions("price")


def test_a_model_nested_too_deep_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path)
    (path / "linear.json").write_bytes(deep := b'{"a":' * 100_000)
    entry = FileEntry(len(deep), "model", hashlib.sha256(deep).hexdigest())
    reseal(path, lambda old: msgspec.structs.replace(old, files={**old.files, "linear.json": entry}))

    with pytest.raises(BundleError):
        bundle.read(path)


@pytest.mark.parametrize("calibration", [{"calibrator": {"type": "evil"}, "threshold": 0.1}, {"scale": {}}])
def test_a_calibration_that_could_not_serve_is_refused(calibration: dict[str, Any], tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, clock=ManualClock(10**18), who="ann")
    made = shelf.add(content(), parts()._replace(calibration=calibration))

    with pytest.raises(BundleError):
        shelf.load("price", made.version)


def test_a_model_that_is_refused_is_told_with_its_bundle(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, clock=ManualClock(10**18), who="ann")
    made = shelf.add(content(), parts()._replace(model={"linear.json": b"{}"}))

    with pytest.raises(BundleError, match=made.version):
        shelf.load("price", made.version)
