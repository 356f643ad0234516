"""Live outcomes come from a real store, paired by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tickcast.registry import live
from tickcast.store.contract import QueryResult
from tickcast.store.schema import shared_scripts
from tickcast.training.contract import Task

TASK = Task("price", 300)
MINE, THEIRS = "v2-ridge", "v1-ridge"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(tmp_path / "store.duckdb") as connection:
        for _, script in shared_scripts():
            connection.execute(script)
        yield connection


def forecast(
    store: duckdb.DuckDBPyConnection, version: str, minute: int, loss: float | None, *, abstained: bool = False
) -> None:
    name = f"{version}-{minute}"
    store.execute(
        "INSERT INTO predictions VALUES ('binance', 'BTCUSDT', ?, ?, 'price', 300, 1, 0, 2, NULL, 'ridge', ?, 'ml', "
        "'[]', ?, '', 40, 'ok', 0)",
        [name, minute * 60_000, version, abstained],
    )
    if not abstained:
        store.execute(
            "INSERT INTO outcomes VALUES ('binance', 'BTCUSDT', ?, 1, ?, 2.0, TRUE, 9, 'ok', 0)", [name, loss]
        )


def ask(store: duckdb.DuckDBPyConnection, sql: str) -> QueryResult:
    found = store.execute(sql)
    return QueryResult([column[0] for column in found.description or ()], found.fetchall())


def test_outcomes_of_the_same_rows_are_paired_in_the_order_of_time(store: duckdb.DuckDBPyConnection) -> None:
    for minute in range(5):
        forecast(store, MINE, minute, 1.0 + minute)
    for minute in range(3, 8):
        forecast(store, THEIRS, minute, 10.0 + minute)
    forecast(store, MINE, 6, None)
    forecast(store, MINE, 7, None, abstained=True)
    withheld = ask(store, live.withheld_question(TASK, MINE))
    found = live.paired_of(TASK, ask(store, live.question(TASK, MINE, THEIRS)), withheld, THEIRS)

    assert found is not None
    assert found.champion is not None
    assert [180_000, 240_000] == found.timestamp_ms.tolist()
    assert ([4.0, 5.0], [13.0, 14.0], [2.0, 2.0]) == (
        found.challenger.tolist(), found.champion.tolist(), found.naive.tolist()
    )  # fmt: skip
    assert 1 / 7 == pytest.approx(found.missing)
    alone = live.paired_of(TASK, ask(store, live.question(TASK, MINE, "")), withheld, "")
    assert alone is not None
    assert [1.0, 2.0, 3.0, 4.0, 5.0] == alone.challenger.tolist()


def test_no_outcomes_are_no_evidence(store: duckdb.DuckDBPyConnection) -> None:
    forecast(store, MINE, 1, 1.0)
    withheld = ask(store, live.withheld_question(TASK, "v9-ridge"))

    assert live.paired_of(TASK, ask(store, live.question(TASK, "v9-ridge", "")), withheld, "") is None
