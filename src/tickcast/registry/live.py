"""Matured live outcomes of champion and challenger as evidence: the question to the store, and what its answer means.

The tables `predictions` and `outcomes` hold the loss of each forecast and of the naive one on the same row.
"""

from __future__ import annotations

import numpy as np

from tickcast.registry.evidence import Paired, known
from tickcast.store.contract import QueryResult
from tickcast.training.contract import F8, Task

_OF_ONE = """
    SELECT p.exchange, p.pair, p.timestamp_ms, p.latency_us, o.loss, o.baseline_loss, o.covered
    FROM predictions AS p
    JOIN outcomes AS o ON o.exchange = p.exchange AND o.pair = p.pair AND o.prediction_id = p.prediction_id
    WHERE p.task = '{task}' AND p.prediction_horizon_seconds = {seconds} AND p.model_version = '{version}'
        AND NOT p.abstained AND o.loss IS NOT NULL AND o.baseline_loss IS NOT NULL
"""


def question(task: Task, version: str, champion: str) -> str:
    """SQL for the newest outcomes of a version, beside the champion's of the same rows where there is one."""
    mine = _OF_ONE.format(task=task.name, seconds=task.horizon_seconds, version=version)
    if not champion:
        return (
            "SELECT timestamp_ms, loss, baseline_loss, covered, latency_us, NULL AS champion_loss, "
            f"NULL AS champion_covered FROM ({mine}) AS c ORDER BY timestamp_ms DESC, exchange, pair"
        )
    theirs = _OF_ONE.format(task=task.name, seconds=task.horizon_seconds, version=champion)
    return (
        "SELECT c.timestamp_ms, c.loss, c.baseline_loss, c.covered, c.latency_us, s.loss AS champion_loss, "
        f"s.covered AS champion_covered FROM ({mine}) AS c JOIN ({theirs}) AS s ON s.exchange = c.exchange "
        "AND s.pair = c.pair AND s.timestamp_ms = c.timestamp_ms ORDER BY c.timestamp_ms DESC, c.exchange, c.pair"
    )


def withheld_question(task: Task, version: str) -> str:
    """SQL for the share of forecasts that the version withheld."""
    return (
        "SELECT AVG(CASE WHEN abstained THEN 1.0 ELSE 0.0 END) FROM predictions WHERE "
        f"task = '{task.name}' AND prediction_horizon_seconds = {task.horizon_seconds} AND model_version = '{version}'"
    )


def paired_of(task: Task, answer: QueryResult, withheld: QueryResult, champion: str) -> Paired | None:
    """The answers as evidence; None where nothing has matured."""
    if not answer.rows:
        return None
    columns = dict(zip(answer.columns, zip(*reversed(answer.rows), strict=True), strict=True))

    def floats(name: str) -> F8:
        return np.array(columns[name], dtype=np.float64)

    intervals, share = task.sort == "regression", withheld.rows[0][0] if withheld.rows else None
    return Paired(
        np.array(columns["timestamp_ms"], dtype=np.int64),
        floats("loss"),
        floats("baseline_loss"),
        champion=floats("champion_loss") if champion else None,
        covered=known(floats("covered")) if intervals else None,
        champion_covered=known(floats("champion_covered")) if champion and intervals else None,
        latency_us=floats("latency_us"),
        missing=None if share is None else float(share),
    )
