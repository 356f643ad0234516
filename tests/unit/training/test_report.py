"""The report: one file that needs nothing, says what came out, and never more than that."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest

from tests.unit.training.models.test_kinds import NAMES
from tickcast.scores.compare import Gain
from tickcast.training import report
from tickcast.training.backtest import Rules, backtest
from tickcast.training.contract import Dataset, Task
from tickcast.training.evaluate import Candidate, evaluate
from tickcast.training.evaluation import Against, Evaluation, Forecasts
from tickcast.training.models.table import kind
from tickcast.training.splits import walk_forward
from tickcast.training.words import summary

Judged = tuple[Evaluation, Dataset, list[Forecasts]]
EVIL = '<script>alert("x")</script>'


def market(task: Task, signal: float, rows: int = 2400, seed: int = 4) -> Dataset:
    """Two pairs side by side; the first column knows the label as well as the signal is strong."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, len(NAMES)))
    if task.sort == "regression":
        labels = 1e-3 * (signal * features[:, 0] + rng.normal(size=rows))
    else:
        labels = (signal * features[:, 0] + rng.normal(size=rows) > 1.0).astype(float)
    return Dataset(
        task=task,
        names=NAMES,
        features=features,
        labels=labels,
        timestamp_ms=np.arange(rows) // 2 * 60_000,
        key=(np.arange(rows) % 2).astype(np.int16),
        keys=("binance:BTCUSDT", "binance:ETHUSDT"),
        close=100 * np.exp(np.cumsum(rng.normal(0, 1e-3, rows))),
        realised=np.exp(rng.normal(size=rows) - 7),
        candle_seconds=60,
        feature_set="abc",
        excluded={"gap": 17, EVIL: 3},
        dropped={"obv": "wanders with the price"},
    )


def judged(task: Task, signal: float, *names: str) -> Judged:
    data = market(task, signal)
    some = [Candidate(kind(name)) for name in names]
    found, forecasts, _ = evaluate(data, walk_forward(data, 2), some, window="expanding")
    return found, data, forecasts


@pytest.fixture(scope="module")
def price() -> Judged:
    return judged(Task("price", 60), 0.0, "no-change", "mean", "ridge")


@pytest.fixture(scope="module")
def direction() -> Judged:
    return judged(Task("direction", 60), 1.5, "mean", "logistic")


class Tags(HTMLParser):
    """Every tag is closed in its order, and all that it says is kept."""

    EMPTY = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.seen: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.addresses += [name for name, _ in attrs if name in {"src", "href"} or name.startswith("on")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(page: bytes) -> Tags:
    tags = Tags()
    tags.feed(page.decode())
    assert [] == tags.open
    return tags


@pytest.mark.parametrize("name", ["price", "direction"])
def test_the_page_is_one_file_that_asks_for_nothing(name: str, request: pytest.FixtureRequest) -> None:
    found: Judged = request.getfixturevalue(name)
    page = report.html_of(*found)

    tags = parsed(page)

    assert not {"script", "link", "img", "iframe", "object"} & tags.seen
    assert [] == tags.addresses
    assert not re.search(rb"https?:|url\(|@import", page)
    assert b"prefers-color-scheme:dark" in page
    assert b"nan" not in re.sub(rb"[a-z]nan|nan[a-z]", b"", page.split(b"</style>")[1].lower())
    assert len(page) < 300_000


def test_the_same_evaluation_gives_the_same_bytes(price: Judged) -> None:
    again = judged(Task("price", 60), 0.0, "no-change", "mean", "ridge")

    assert report.html_of(*price) == report.html_of(*again)
    assert report.json_of(price[0]) == report.json_of(again[0])


def test_what_others_wrote_is_text(price: Judged) -> None:
    found, data, forecasts = price
    found = msgspec.structs.replace(
        found, notes=(EVIL,), window=EVIL, dropped={EVIL: EVIL}, params={"ridge": {EVIL: EVIL}}
    )

    tags = parsed(report.html_of(found, data, forecasts))

    assert "script" not in tags.seen
    assert EVIL in tags.text


def test_no_skill_is_said_to_be_none(price: Judged) -> None:
    said = " ".join(summary(price[0]))

    assert "No model beat no-change in squared error" in said
    assert "There is no skill to speak of." in said
    assert "intervals of ridge held" in said


def test_skill_is_told_with_its_bounds_beside_the_prevalence(direction: Judged) -> None:
    said = " ".join(summary(direction[0]))

    assert "Beat mean in log loss: logistic." in said
    assert re.search(r"logistic beat mean: gain in log loss \+\d+\.\d %, with 95% bounds \+\d", said)
    assert "logistic beat mean in PR-AUC in 2 of 2" in said
    assert re.search(r"A coin has 0\.\d{3}, the share of rows", said)


def test_a_model_without_a_naive_one_beside_it_has_no_skill_to_show() -> None:
    found, *_ = judged(Task("direction", 60), 1.5, "logistic")

    assert "nothing here says that a forecast has any skill" in " ".join(summary(found))


def test_a_gain_that_can_not_be_told_says_why(price: Judged) -> None:
    found, data, forecasts = price
    few = Gain(3, 0.1, None, None, 0.95, 1.0, 0, 0, "3 rows are too few, 30 are needed")
    found = msgspec.structs.replace(found, against=(Against("ridge", "no-change", "squared error", "", few, None),))

    assert "3 rows are too few, 30 are needed" in " ".join(summary(found))
    assert "3 rows are too few, 30 are needed" in parsed(report.html_of(found, data, forecasts)).text


def test_every_score_stands_beside_its_baselines_prevalence_and_data(direction: Judged) -> None:
    found, data, forecasts = direction
    text = parsed(report.html_of(found, data, forecasts)).text
    scores = found.of("logistic")

    assert scores is not None
    assert scores.probability is not None
    for told in ("logistic", "mean", "PR-AUC", "prevalence", found.dataset_hash):
        assert told in text
    assert "17 gap" in " ".join(text)
    assert f"{scores.probability.pr_auc:.3f}" in text
    assert f"{scores.probability.prevalence:.3f}" in text
    assert "obv (wanders with the price)" in text


def test_the_json_is_all_of_it_sorted(direction: Judged) -> None:
    raw = report.json_of(direction[0])
    told = json.loads(raw)

    assert list(told) == sorted(told)
    assert msgspec.json.decode(raw, type=Evaluation) == direction[0]


def test_the_terminal_gets_sentences_and_a_row_a_model(direction: Judged) -> None:
    text = report.text_of(direction[0], width=90)

    assert max(map(len, text.splitlines())) <= 90
    assert re.search(r"│ logistic +│ +0\.\d{3} │ +0\.\d{3} │", text)
    assert "\x1b" not in text
    assert "\x1b[" in report.text_of(direction[0], colour=True)


def test_a_backtest_has_a_page_and_a_table(price: Judged) -> None:
    _, data, forecasts = price
    tested = backtest(data, forecasts[-1]._replace(forecast=forecasts[-1].forecast + 0.01), Rules(shorts=True))

    page = report.backtest_html_of(tested)
    tags = parsed(page)

    assert page == report.backtest_html_of(tested)
    assert "The money over time" in tags.text
    assert "binance:ETHUSDT" in tags.text
    assert "after costs" in report.backtest_text_of(tested)


def test_a_backtest_without_trades_says_so(price: Judged) -> None:
    _, data, forecasts = price

    text = report.backtest_text_of(backtest(data, forecasts[0], Rules()))

    assert "nothing was traded" in text


def test_forecasts_that_are_missing_in_places_still_draw(price: Judged) -> None:
    found, data, forecasts = price
    holes = forecasts[-1].lower.copy()
    holes[::3] = math.nan

    parsed(report.html_of(found, data, [forecasts[-1]._replace(lower=holes)]))
    parsed(report.html_of(found, data, []))
