"""Markets of known nature, minute by minute, and the product's road from their candles to a verdict.

    returns of a minute, by chance alone ─→ twelve steps inside it ─→ candle ─→ stages ─→ rows ─→ dataset ─→ gate

What can be foretold of each market is known, so that it can be told whether a model found it, and whether one found
what is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tickcast.config import FlowSettings
from tickcast.events import CANDLES, Columns, Frame
from tickcast.registry import evidence
from tickcast.registry.gate import GateRules, Verdict
from tickcast.registry.gate import judge as gate
from tickcast.runners.candle_files import carried
from tickcast.runners.training import evidence_of
from tickcast.scores.compare import Gain
from tickcast.training.contract import F8, Dataset, Task
from tickcast.training.dataset import Request, build
from tickcast.training.evaluate import Candidate, evaluate
from tickcast.training.evaluation import Evaluation, Forecasts
from tickcast.training.judge import judge
from tickcast.training.labels import horizon_ms
from tickcast.training.models.table import BASELINE, kind
from tickcast.training.rows import Rows, from_frames
from tickcast.training.splits import chronological

START_MS = 1_723_161_600_000
"""2024-08-09 00:00 UTC."""
MINUTE_MS, DAY = 60_000, 1440
PRICE, VOLATILITY = Task("price", 300), Task("volatility", 60)
STEPS = 12
"""Moves of the price inside a minute: enough for a range that is no mere |return|."""
SIGMA = 8e-4
"""What a minute's return deviates by: about 3 % a day."""
PHI = 0.3
"""How much of a minute's return the next one repeats, in a market with a signal."""
FRAME_ROWS = 5000


class Market(NamedTuple):
    """Candles, and what could be known of them beforehand."""

    candles: Columns
    known: F8
    """The best forecast of the return over the next five minutes, made at the end of each."""


def walk(seed: int, minutes: int) -> Market:
    """Nothing can be foretold."""
    return Market(_candles(*_moves(seed, np.full(minutes, SIGMA)), seed), np.zeros(minutes))


def echo(seed: int, minutes: int, phi: float = PHI) -> Market:
    """Each minute repeats some of the one before: r(t) = phi r(t-1) + chance."""
    moves, volume = _moves(seed, np.full(minutes, SIGMA))
    totals = moves.sum(axis=1)
    for minute in range(1, minutes):
        lean = phi * totals[minute - 1]
        totals[minute] += lean
        moves[minute] += lean / STEPS
    return Market(_candles(moves, volume, seed), totals * sum(phi**ahead for ahead in range(1, 6)))


def regimes(seed: int, minutes: int, factor: float = 3.5, stay: float = 0.985) -> Market:
    """Calm and storm take turns by chance, and the day has its hours."""
    chance = np.random.default_rng([seed, 1])
    turns = chance.random(minutes) > stay
    storm = np.cumsum(turns) % 2 == 1
    hours = 1.0 + 0.35 * np.sin(2.0 * np.pi * np.arange(minutes) / DAY)
    size = SIGMA * 0.6 * hours * np.where(storm, factor, 1.0)
    return Market(_candles(*_moves(seed, size), seed), np.zeros(minutes))


def _moves(seed: int, size: F8) -> tuple[F8, F8]:
    """The steps inside each minute, and a volume that grows with their size."""
    chance = np.random.default_rng(seed)
    moves = chance.normal(size=(len(size), STEPS)) * (size / np.sqrt(STEPS))[:, None]
    return moves, np.exp(chance.normal(0.0, 0.5, len(size))) * (0.5 + np.abs(moves).sum(axis=1) / SIGMA)


def _candles(moves: F8, volume: F8, seed: int) -> Columns:
    """One candle a minute, each opened by the close before it."""
    path = 30_000.0 * np.exp(np.cumsum(moves.ravel())).reshape(moves.shape)
    close = path[:, -1]
    opened = np.append(30_000.0, close[:-1])
    starts = START_MS + np.arange(len(close), dtype=np.int64) * MINUTE_MS
    share = np.random.default_rng([seed, 2]).uniform(0.3, 0.7, len(close))
    return CANDLES.rows([{}] * len(close)) | {
        "candle_seconds": np.full(len(close), 60),
        "window_start_ms": starts,
        "window_end_ms": starts + MINUTE_MS,
        "open": opened,
        "high": np.maximum(opened, path.max(axis=1)),
        "low": np.minimum(opened, path.min(axis=1)),
        "close": close,
        "volume": volume,
        "quote_volume": volume * close,
        "buy_volume": volume * share,
        "trade_count": np.ceil(volume * 10).astype(np.int64),
        "known_at_ms": starts + MINUTE_MS,
    }


def frames(candles: Columns, pair: str = "BTCUSDT", rows: int = FRAME_ROWS) -> Iterable[Frame]:
    """The candles as an import gives them to the stages."""
    for start in range(0, len(candles["close"]), rows):
        part = {name: column[start : start + rows] for name, column in candles.items()}
        yield Frame(CANDLES.name, "binance", pair, int(part["window_end_ms"][-1]), part)


def rows_of(candles: Columns, pair: str = "BTCUSDT", flow: FlowSettings | None = None) -> list[Rows]:
    """Through the stages, as live."""
    return from_frames(carried(frames(candles, pair), flow or FlowSettings()))


def dataset_of(market: Market, task: Task, **more: Any) -> Dataset:
    """What learning sees of a market."""
    return build(rows_of(market.candles), Request(task=task, **more))


class Judged(NamedTuple):
    """Models beside the naive ones on the same rows, and what the gate says of each that learns."""

    evaluation: Evaluation
    forecasts: dict[str, Forecasts]
    verdicts: dict[str, Verdict]

    def gain(self, model: str, baseline: str, measure: str) -> Gain:
        """How much better one is than another."""
        wanted = (model, baseline, measure, "")
        found = self.evaluation.against
        return next(one.gain for one in found if (one.model, one.baseline, one.measure, one.key) == wanted)


def judged(dataset: Dataset, learning: Sequence[str], naive: Sequence[str] = (), seed: int = 0) -> Judged:
    """What `tickcast train` and `promote` do, without files: learn, judge, ask the gate for each that learned."""
    base = BASELINE[dataset.task.name]
    candidates = [Candidate(kind(name)) for name in dict.fromkeys((base, *naive, *learning))]
    found, said, _ = evaluate(dataset, [chronological(dataset)], candidates, window="chronological", seed=seed)
    forecasts = {one.model: one for one in said}
    verdicts = {name: asked(dataset, forecasts[name], forecasts[base], len(learning)) for name in learning}
    return Judged(found, forecasts, verdicts)


def verdicts_of(dataset: Dataset, learning: Sequence[str], seed: int = 0) -> dict[str, Verdict]:
    """The same without scores; each is asked for as if it were the only candidate."""
    fold = chronological(dataset)
    base, *said = (
        judge(dataset, fold, kind(name), params={}, seed=seed).forecasts
        for name in (BASELINE[dataset.task.name], *learning)
    )
    return {one.model: asked(dataset, one, base) for one in said}


def asked(dataset: Dataset, said: Forecasts, naive: Forecasts, candidates: int = 1) -> Verdict:
    """The gate's word on a model, from the file that its bundle would keep; no champion serves yet."""
    kept = evidence.read(evidence.write(evidence_of(dataset, said, naive)), "evidence")
    return gate(
        evidence.alone(dataset.task, kept),
        GateRules(),
        horizon_ms=horizon_ms(dataset.task, dataset.candle_seconds),
        step_ms=dataset.candle_seconds * 1000,
        candidates=candidates,
    )


def known_at(market: Market, dataset: Dataset, rows: Any) -> F8:
    """The best forecast of some of the dataset's rows."""
    places = np.searchsorted(market.candles["window_end_ms"], dataset.timestamp_ms[rows])
    found: F8 = market.known[places]
    return found


def skill(truth: F8, forecast: F8) -> float:
    """The share of the squared return that a forecast takes away."""
    return 1.0 - float(np.mean((truth - forecast) ** 2) / np.mean(truth**2))


def written(path: Path, candles: Columns, minutes: slice = slice(None)) -> Path:
    """The candles as a file that anyone might have."""
    names = ("window_start_ms", "open", "high", "low", "close", "volume")
    rows = zip(*(candles[name][minutes].tolist() for name in names), strict=True)
    lines = [",".join(map(repr, row)) for row in rows]
    path.write_text("\n".join(["time,open,high,low,close,volume", *lines]) + "\n")
    return path
