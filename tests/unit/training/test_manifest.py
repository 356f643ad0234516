"""A dataset on disk is the dataset, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.unit.training.market import PRICE, at, request, walk
from tickcast.errors import TrainingError
from tickcast.training.contract import Dataset
from tickcast.training.dataset import build
from tickcast.training.manifest import (
    MANIFEST_FILE,
    ROWS_FILE,
    code_version,
    content_hash,
    manifest_of,
    read,
    told,
    write,
)


def made(seed: int = 1) -> Dataset:
    rows = walk(120, seed=seed)
    noise = rows.features["noise"].copy()
    noise[40] = np.nan
    eth = walk(90, seed=9, pair="ETHUSDT", partial=(30,))
    return build([rows._replace(features=rows.features | {"noise": noise}), eth], request())


def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    dataset = made()

    written = write(dataset, tmp_path / "set")
    again, manifest = read(tmp_path / "set")

    assert written == manifest
    for name in ("features", "labels", "timestamp_ms", "key", "close", "realised"):
        ours, theirs = getattr(dataset, name), getattr(again, name)
        assert (ours.dtype, ours.tobytes()) == (theirs.dtype, theirs.tobytes())
    assert again.features.flags.c_contiguous
    for name in ("task", "names", "keys", "candle_seconds", "feature_set", "excluded", "dropped"):
        assert getattr(dataset, name) == getattr(again, name)


def test_the_manifest_tells_range_rows_exclusions_and_origin(tmp_path: Path) -> None:
    write(made(), tmp_path)
    found = json.loads((tmp_path / MANIFEST_FILE).read_text())

    assert (at(0), at(118)) == (found["from_ms"], found["to_ms"])
    assert {"binance:BTCUSDT": 119, "binance:ETHUSDT": 87} == found["rows_by_key"]
    assert {"partial": 1, "gap_in_horizon": 1, "no_label_yet": 2} == found["excluded"]
    assert {"close": "a level of price or volume", "spike_threshold": "a level of price or volume"} == found["dropped"]
    assert ({"name": "volatility", "horizon_seconds": 60}, "aaaabbbbcccc", code_version()) == (
        found["task"], found["feature_set"], found["code"],
    )  # fmt: skip
    assert found["rows"] == 206
    assert "206 rows from 2024-08-09 00:01:00 UTC" in told(manifest_of(made()))


def test_the_same_data_has_the_same_hash_and_other_data_another() -> None:
    dataset = made()
    features = dataset.features.copy()
    features[3, 0] = np.nextafter(features[3, 0], np.inf)

    assert content_hash(dataset) == content_hash(made())
    assert content_hash(dataset) != content_hash(msgspec.structs.replace(dataset, features=features))
    assert content_hash(dataset) != content_hash(made(seed=2))
    assert content_hash(dataset) != content_hash(build([walk(120)], request(PRICE)))


def test_every_nan_is_the_same_nan() -> None:
    dataset = made()
    odd = dataset.features.copy()
    odd[np.isnan(odd)] = np.uint64(0xFFF8000000000001).view(np.float64)

    assert content_hash(dataset) == content_hash(msgspec.structs.replace(dataset, features=odd))


def test_the_same_dataset_gives_the_same_files(tmp_path: Path) -> None:
    for place in ("a", "b"):
        write(made(), tmp_path / place)

    for name in (ROWS_FILE, MANIFEST_FILE):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {ROWS_FILE, MANIFEST_FILE} == {path.name for path in (tmp_path / "a").iterdir()}


def test_rows_that_were_changed_are_refused(tmp_path: Path) -> None:
    write(made(), tmp_path / "ours")
    write(made(seed=2), tmp_path / "other")
    (tmp_path / "other" / ROWS_FILE).replace(tmp_path / "ours" / ROWS_FILE)

    with pytest.raises(
        TrainingError, match=r"was changed since it was written: its hash is .*; build the dataset again"
    ):
        read(tmp_path / "ours")


@pytest.mark.parametrize("name", [ROWS_FILE, MANIFEST_FILE])
def test_a_broken_or_missing_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    write(made(), tmp_path)
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(TrainingError, match="holds no dataset that can be read"):
        read(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(TrainingError, match="holds no dataset that can be read"):
        read(tmp_path)


def test_a_place_that_can_not_be_written_to_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="can not be written to"):
        write(made(), tmp_path / "file")
