"""Real minutes of a live market, through the stages into datasets."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.unit.training.market import DIRECTION, PRICE
from tickcast.config import FlowSettings
from tickcast.events import CANDLES, Frame, concat
from tickcast.runners.candle_files import carried
from tickcast.sources.files.reader import read_file
from tickcast.sources.files.result import ReadOptions
from tickcast.training.dataset import Request, build
from tickcast.training.leaks import find_leaks, remade
from tickcast.training.rows import Rows, from_frames

MINUTES = 6000


def stages(cut: Rows) -> Rows:
    low_ms = int(cut.candles["window_end_ms"][-1])
    return from_frames(carried([Frame(CANDLES.name, cut.exchange, cut.pair, low_ms, cut.candles)], FlowSettings()))[0]


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[Rows]:
    found = []
    for pair in ("BTC", "ETH"):
        path = shared_data / "history" / "binance_1m_202104-05" / f"{pair}_USDT-1m.json.gz"
        frames = list(islice(read_file(path, options=ReadOptions(exchange="binance", batch_rows=MINUTES)).frames(), 1))
        candles = {name: column[:MINUTES] for name, column in concat([one.columns for one in frames]).items()}
        found.append(stages(Rows("binance", frames[0].pair, 60, candles, {})))
    return found


def test_every_minute_is_a_row_or_is_counted(rows: list[Rows]) -> None:
    dataset = build(rows, Request(task=DIRECTION))

    assert 2 * MINUTES == len(dataset) + sum(dataset.excluded.values())
    assert 0.4 < dataset.labels.mean() < 0.6
    assert dataset.excluded["no_label_yet"] == 10


def test_no_feature_of_the_flow_knows_the_future(rows: list[Rows]) -> None:
    dataset = build(rows, Request(task=PRICE))

    report = find_leaks(dataset, remade(rows, stages), moments=3)

    assert ((), ()) == (report.leaks, report.unchecked)
    assert report.rows > 1000
