"""Data that nothing can be learned from: one sentence each, with the cause and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.simulation import markets
from tests.simulation.markets import PRICE, VOLATILITY
from tickcast.cli.main import main
from tickcast.config import FlowSettings
from tickcast.errors import TrainingError
from tickcast.events import Columns
from tickcast.training.contract import Task
from tickcast.training.dataset import Request, build
from tickcast.training.rows import Rows

DIRECTION = Task("direction", 300)
MINUTES = 2500
Shape = Callable[[Columns], Columns]


def whole(seed: int = 1, minutes: int = MINUTES) -> Columns:
    return markets.walk(seed, minutes).candles


def every_fifth_missing(of: Columns) -> Columns:
    kept = np.arange(len(of["close"])) % 5 != 0
    return {name: column[kept] for name, column in of.items()}


def few(of: Columns) -> Columns:
    return {name: column[:600] for name, column in of.items()}


def rising(of: Columns) -> Columns:
    """Prices that only rise, by more or less."""
    steps = np.abs(np.diff(np.log(of["close"]), prepend=np.log(of["close"][0]))) + 1e-5
    close = 100.0 * np.exp(np.cumsum(steps))
    opened = np.append(100.0, close[:-1])
    return of | {"open": opened, "low": opened, "high": close, "close": close}


def flat(of: Columns) -> Columns:
    level = np.full(len(of["close"]), 100.0)
    return of | dict.fromkeys(("open", "high", "low", "close"), level)


def sentence(task: Task, rows: list[Rows], **more: Any) -> str:
    with pytest.raises(TrainingError) as refused:
        build(rows, Request(task=task, **more))
    told = str(refused.value)
    assert "\n" not in told
    return told


@pytest.mark.parametrize(
    ("shape", "task", "cause", "remedy"),
    [
        (every_fifth_missing, PRICE, "with a missing or partial candle in their future", "tickcast backfill"),
        (few, PRICE, "rows of 600 where at least 1,000 are needed", "import or collect more"),
        (few, VOLATILITY, "before the trailing threshold of volatility was known", "history"),
        (rising, DIRECTION, "are of one class (above)", "give a longer or livelier time"),
        (flat, PRICE, "have the same return (0)", "give a longer or livelier time"),
        (flat, DIRECTION, "whose price did not move", "import or collect more"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or getattr(value, "name", None),
)
def test_the_sentence_names_the_cause_and_the_remedy(shape: Shape, task: Task, cause: str, remedy: str) -> None:
    told = sentence(task, markets.rows_of(shape(whole())))

    assert cause in told
    assert remedy in told.rpartition("; ")[2]


def test_an_infinity_is_named_by_its_feature_row_and_time() -> None:
    (rows,) = markets.rows_of(whole())
    spoilt = rows.features["rsi_14"].copy()
    spoilt[2000] = np.inf

    told = sentence(PRICE, [rows._replace(features=rows.features | {"rsi_14": spoilt})])

    assert "feature rsi_14, row" in told
    assert "binance:BTCUSDT at 2024-08-10 09:21:00 UTC" in told
    assert "is inf" in told


def test_a_feature_that_never_changes_is_left_out_and_told() -> None:
    (rows,) = markets.rows_of(whole())
    still = np.full(len(rows.features["rsi_14"]), 50.0)

    dataset = build([rows._replace(features=rows.features | {"rsi_14": still})], Request(task=PRICE))

    assert "rsi_14" not in dataset.names
    assert "constant" == dataset.dropped["rsi_14"]


def test_a_pair_of_another_feature_set_is_refused() -> None:
    ours = markets.rows_of(whole())
    theirs = markets.rows_of(whole(2), "ETHUSDT", FlowSettings(indicators=("ADX:14",)))

    told = sentence(PRICE, ours + theirs)

    assert "binance:ETHUSDT has" in told
    assert "a model learns from one set only" in told
    assert "tickcast replay" in told


def test_a_pair_with_other_columns_under_the_same_name_is_refused() -> None:
    ours = markets.rows_of(whole())
    (theirs,) = markets.rows_of(whole(2), "ETHUSDT")
    columns = {name: column for name, column in theirs.features.items() if name != "rsi_14"}

    told = sentence(PRICE, [*ours, theirs._replace(features=columns)])

    assert "has other features than binance:BTCUSDT (rsi_14)" in told


def infinite(of: Columns) -> Columns:
    volume = of["volume"].copy()
    volume[1500] = np.inf
    return of | {"volume": volume}


@pytest.mark.parametrize(
    ("shape", "task", "cause"),
    [
        (few, "price", "at least 1,000 are needed"),
        (rising, "direction", "are of one class"),
        (flat, "price", "have the same return (0)"),
        (infinite, "price", "line 1502: volume inf is not a number, in this and 0 more rows"),
        (every_fifth_missing, "price", "candle"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_the_command_says_it_in_its_last_line(
    shape: Shape, task: str, cause: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = markets.written(tmp_path / "binance-BTCUSDT-1m.csv", shape(whole()))

    words = ["train", "--task", task, "--trials", "1", "--no-tracking", "--exchange", "binance"]
    code = main([*words, "--candles", str(path), "--data-dir", str(tmp_path / "data")])

    told = capsys.readouterr().err.strip().splitlines()
    assert code != 0
    assert cause in told[-1]
    assert "; " in told[-1]
    assert not list((tmp_path / "data").rglob("manifest.json"))
