"""Train, evaluate and backtest as a person runs them, on real minutes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tickcast.cli.main import main
from tickcast.registry.shelf import Shelf
from tickcast.training.manifest import read

MINUTES = 2600


@pytest.fixture(scope="module")
def candles(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with gzip.open(shared_data / "history" / "binance_1m_202104-05" / "BTC_USDT-1m.json.gz") as file:
        rows = json.load(file)[:MINUTES]
    path = tmp_path_factory.mktemp("candles") / "BTC_USDT-1m.json"
    path.write_text(json.dumps(rows))
    return path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    code = main([*words, "--json"])
    out, err = capsys.readouterr()
    return code, (json.loads(out.splitlines()[-1]) if out.strip() else None), err


def test_training_puts_a_verified_bundle_on_the_shelf_and_says_how_good_it_is(
    candles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--task", "volatility", "--model", "logistic,har", "--trials", "2", "--no-tracking"]
    words += ["--candles", str(candles), "--exchange", "binance", "--data-dir", str(tmp_path)]

    code, told, _ = run(capsys, *words)
    _, again, _ = run(capsys, *words)

    assert code == 0
    assert (told["version"], again["version"]) == ("v1-logistic", "v2-logistic")
    assert told["hash"] == again["hash"]
    bundle = Shelf(tmp_path / "models").load("volatility", "v1-logistic")
    assert bundle.manifest.content.metrics["probability"]["pr_auc"] > told["metrics"]["probability"]["prevalence"]
    (kept,) = (tmp_path / "datasets").iterdir()
    assert bundle.manifest.content.dataset_hash == read(kept)[1].hash
    assert b"<html" in Path(told["report"]).read_bytes()[:200]


def test_a_model_of_prices_on_the_shelf_is_refused_by_the_gate_for_its_lack_of_skill(
    candles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "train", "--task", "price", "--trials", "1", "--no-tracking", "--candles", str(candles),
        "--exchange", "binance", "--data-dir", str(tmp_path))  # fmt: skip

    code = main(["models", "promote", "price", "v1", "--data-dir", str(tmp_path)])

    assert code == 1
    assert Shelf(tmp_path / "models").aliases("price").champion in (None, "")


def test_an_evaluation_writes_a_page_and_one_json(
    candles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told, _ = run(capsys, "evaluate", "--task", "price", "--model", "ridge", "--folds", "2", "--out",
                        str(tmp_path / "out"), "--candles", str(candles), "--exchange", "binance")  # fmt: skip

    assert code == 0
    assert {"no-change", "mean", "ridge"} == {one["model"] for one in told["evaluation"]["scores"]}
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["task"]["name"] == "price"


def test_a_backtest_tells_what_is_left_after_fees(
    candles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["backtest", "--model", "ridge", "--folds", "2", "--candles", str(candles), "--exchange", "binance"]

    _, dear, _ = run(capsys, *words, "--fee", "10", "--out", str(tmp_path / "a"))
    _, free, _ = run(capsys, *words, "--fee", "0", "--spread", "0", "--out", str(tmp_path / "b"))

    assert free["worth"]["trades"] > 0
    assert free["worth"]["total_return"] == pytest.approx(free["worth"]["free_return"])
    assert dear["worth"]["total_return"] < dear["worth"]["free_return"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "--model", "lightgmb"], "did you mean lightgbm"),
        (["train", "--task", "price", "--model", "har"], "does not learn price"),
        (["train", "--pairs", "ETHUSDT", "--exchange", "binance"], "is not in the files, which hold binance:BTCUSDT"),
        (["backtest", "--task", "volatility"], "tells no direction"),
        (["backtest", "--fee", "nan"], "--fee: was nan"),
        (["evaluate", "--folds", "0"], "fold"),
        (["train", "--horizon", "-5"], "horizon"),
        (["train", "--training-days", "0.1"], "training_days"),
    ],
)
def test_what_can_not_be_learned_is_one_sentence(
    words: list[str], told: str, candles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange = [] if "--exchange" in words else ["--exchange", "binance"]

    code = main([*words, "--candles", str(candles), "--data-dir", str(tmp_path), *exchange])

    err = capsys.readouterr().err.strip().splitlines()
    assert code != 0
    assert told in err[-1]


def test_an_empty_directory_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["train", "--data-dir", str(tmp_path / "nothing")])

    assert code != 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train", "--horizon", "-5"), "--horizon: was -5"),
        (("train", "--horizon", "99999999999999999999999"), "--horizon: was 9999"),
        (("train", "--seed", "-1"), "--seed: was -1"),
        (("evaluate", "--window", "sliding", "--train-days", "nan"), "--train-days: was nan"),
        (("evaluate", "--window", "sliding", "--train-days", "inf"), "--train-days: was inf"),
        (("evaluate", "--train-days", "3"), "--train-days: is of a sliding window"),
        (("evaluate", "--folds", "0"), "--folds: was 0"),
        (("backtest", "--latency-ms", "-1"), "--latency-ms: was -1"),
    ],
)
def test_numbers_that_mean_nothing_are_refused_before_anything_is_read(
    words: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([*words, "--data-dir", str(tmp_path / "none"), "--candles", str(tmp_path / "none.csv")])

    assert (2, True) == (code, says in capsys.readouterr().err)


def test_no_names_of_models_mean_the_default() -> None:
    from tickcast.runners.training import names_of

    assert ["ridge"] == names_of(",", "price", "ridge")


@pytest.mark.parametrize(
    "words", [("train", "--trials", "2", "--note"), ("evaluate", "--folds", "2", "--out"), ("backtest", "--out")]
)
def test_a_place_that_can_not_be_written_to_is_told_before_the_work(
    words: tuple[str, ...],
    candles: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TICKCAST_MODELS_DIR", str(tmp_path / "file" / "place"))
    for name in ("tune", "evaluate"):
        monkeypatch.setattr(f"tickcast.runners.training.{name}", lambda *_, **__: pytest.fail("it began to work"))
    words = (*words, str(tmp_path / "file" / "place"), "--candles", str(candles), "--exchange", "binance")

    assert 2 == main([*words, "--task", "price", "--data-dir", str(tmp_path)])
    assert str(tmp_path / "file") in capsys.readouterr().err
