"""A recording gives the same digest however it is cut, named or packed; and what it can not give is one sentence."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.unit.runners.kit import FLOW, carry, folded, market, settings_for
from tickcast.cli.main import main
from tickcast.config import Settings
from tickcast.errors import BusyError, DataError, StoreError
from tickcast.events import CANDLES, FEATURES, INDICATORS, TICKS
from tickcast.journal.lock import DataDirLock
from tickcast.runners.ask import ask
from tickcast.runners.replay import ReplaySummary, replay
from tickcast.sources.blocks import encode_line
from tickcast.sources.recorded import open_recording

MINUTES = 6


def flow(*pairs: str) -> Settings:
    return Settings(candle_seconds=FLOW.candle_seconds, pairs=pairs)


def replayed(*paths: Path, pairs: tuple[str, ...] = (), out: Path | None = None) -> ReplaySummary:
    return replay(open_recording(list(paths)), flow(*pairs), out=out)


def written(folder: Path, pieces: int, *, packed: bool = False) -> list[Path]:
    """The market's journal lines in so many files."""
    said = market(MINUTES)
    size = -(-len(said) // pieces)
    paths = []
    for number in range(pieces):
        lines = b"".join(encode_line(*one) for one in said[number * size : (number + 1) * size])
        path = folder / f"{number:02}.ndjson{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(lines) if packed else lines)
        paths.append(path)
    return paths


@pytest.mark.parametrize(("pieces", "packed"), [(1, False), (4, True), (7, False)])
def test_the_order_of_files_and_their_cut_do_not_show_in_the_digest(pieces: int, packed: bool, tmp_path: Path) -> None:
    paths = written(tmp_path, pieces, packed=packed)
    random.Random(pieces).shuffle(paths)

    assert folded(market(MINUTES), 1000) == replayed(*paths).digest


def test_a_data_directory_replays_to_the_digest_of_its_store(tmp_path: Path) -> None:
    assert carry(tmp_path, market(MINUTES)) == replayed(tmp_path).digest


def test_the_tables_are_written_with_the_columns_of_the_design(tmp_path: Path) -> None:
    summary = replayed(*written(tmp_path, 2), out=tmp_path / "out")

    for table in (CANDLES, INDICATORS, TICKS, FEATURES):
        found = pq.read_table(tmp_path / "out" / f"{table.name}.parquet")
        assert {"exchange", "pair", *table.columns} <= set(found.column_names)
        assert summary.counts[table.name] == found.num_rows > 0
    assert 5 == len(list((tmp_path / "out").iterdir()))  # and what was fetched
    assert summary.digest == replayed(*written(tmp_path, 1)).digest


def test_only_the_pairs_asked_for_are_computed(tmp_path: Path) -> None:
    paths = written(tmp_path, 1)
    replayed(*paths, pairs=("ADAUSDT",), out=tmp_path / "out")

    assert {"ADAUSDT"} == set(pq.read_table(tmp_path / "out" / "candles.parquet")["pair"].to_pylist())


def test_a_pair_that_is_not_there_is_one_sentence_and_nothing_is_written(tmp_path: Path) -> None:
    paths = written(tmp_path, 1)

    with pytest.raises(DataError, match="ADAUSDT, BTCUSDT"):
        replayed(*paths, pairs=("BTC-USD",), out=tmp_path / "out")
    assert [] == list((tmp_path / "out").rglob("*.parquet"))


def test_what_can_not_be_read_is_counted_by_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    good = b"".join(encode_line(*one) for one in market(1))
    path.write_bytes(good + encode_line(0, "binance", b'{"e":"trade","s":1}') * 3)

    assert [3] == list(replayed(path).quarantined["binance"].values())


def test_a_store_that_is_held_by_a_process_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    carry(tmp_path, market(1))
    with DataDirLock(tmp_path), pytest.raises(BusyError, match=f"process {os.getpid()}"):
        ask(tmp_path, "SELECT 1")
    with pytest.raises(StoreError, match="holds no store"):
        ask(tmp_path / "nothing", "SELECT 1")

    assert [(1,)] == ask(tmp_path, "SELECT 1").rows
    assert settings_for(tmp_path).flow == FLOW


def test_a_data_directory_is_replayed_as_it_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The digest of `demo --candle-seconds 30,60` is that of `replay` of its directory, with no flag named again."""
    made = ["demo", "--data-dir", str(tmp_path / "d"), "--candle-seconds", "30,60", "--seconds", "0", "--port", "0"]
    assert 0 == main([*made, "--pairs", "ADAUSDT", "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert 0 == main(["replay", str(tmp_path / "d"), "--json"])
    again = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert told["counts"]["candles"] > 0
    assert (told["digest"], told["counts"]) == (again["digest"], again["counts"])
