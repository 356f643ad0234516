"""An evaluation as one page, as JSON, and as tables for the terminal: the same bytes for the same input."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import msgspec

from tickcast.clock import utc_text
from tickcast.training import page
from tickcast.training.backtest_report import backtest_html_of, backtest_text_of
from tickcast.training.columns import (
    SHORT,
    UNKNOWN,
    best_of,
    columns_of,
    gain_text,
    main_column,
    p_text,
    ranked,
    share_of,
    three,
    written,
)
from tickcast.training.contract import Dataset
from tickcast.training.evaluation import Against, Evaluation, Forecasts
from tickcast.training.figures import coverage_figures, importance_figures, reliability_figures, time_figures
from tickcast.training.page import Cell, Html
from tickcast.training.plots import whisker
from tickcast.training.words import naive_of, summary, verdict, what

__all__ = ["backtest_html_of", "backtest_text_of", "html_of", "json_of", "text_of"]


def json_of(evaluation: Evaluation) -> bytes:
    """All of it, names sorted; what is no number is null."""
    return msgspec.json.format(msgspec.json.encode(evaluation, order="sorted"), indent=1) + b"\n"


def html_of(evaluation: Evaluation, dataset: Dataset, forecasts: Sequence[Forecasts]) -> bytes:
    """One file: no network, no script, light and dark, wide and narrow."""
    name = evaluation.task.name.capitalize()
    order = [scores.model for scores in ranked(evaluation)]
    told = sorted(
        (said for said in forecasts if said.model in order and len(said.rows)), key=lambda said: order.index(said.model)
    )
    return page.page(
        f"{name} over {evaluation.task.horizon_seconds} s: evaluation",
        f"{', '.join(evaluation.keys)} · candles of {evaluation.candle_seconds} s · dataset "
        f"{evaluation.dataset_hash[:12]}",
        page.section("What came out", page.words(summary(evaluation)), *map(page.note, evaluation.notes)),
        page.section("Scores", _scores(evaluation), page.note(_about_scores(evaluation))),
        page.section("Against the naive ones", _gains(evaluation), page.note(_ABOUT_GAINS)),
        page.section("Fold by fold", _by_fold(evaluation)),
        page.section("Pair by pair", _by_pair(evaluation)),
        reliability_figures(evaluation, order),
        coverage_figures(evaluation, dataset, told),
        time_figures(evaluation, dataset, told),
        importance_figures(evaluation, order),
        page.section("Data", _data(evaluation)),
        page.section("Folds", _folds(evaluation)),
        page.section("Parameters", _params(evaluation, order)),
    )


_ABOUT_GAINS = (
    "Above zero, the model is better. Losses as shares of the baseline's loss, PR-AUC in its own unit. Bounds are of a "
    "block bootstrap, which allows for neighbouring rows being alike; p is of the two-sided Diebold-Mariano test. Many "
    "comparisons stand here: a single p of 0.05 among them means little."
)


def _about_scores(evaluation: Evaluation) -> str:
    if evaluation.task.sort == "regression":
        return (
            "Best marked. Skill: the share of no change's loss that is saved, zero is none. bps: hundredths of a "
            "percent."
        )
    return (
        "Best marked. A coin has a PR-AUC of the prevalence. Brier skill: against saying the prevalence in every row. "
        "F1, precision and recall: at the threshold that was chosen on validation rows."
    )


def _scores(evaluation: Evaluation) -> Html:
    order, columns = ranked(evaluation), columns_of(evaluation)
    best = {column.title: best_of(column, order, evaluation.level) for column in columns}
    rows: list[list[str]] = []
    for scores in order:
        tag = Html(f'{page.inner(scores.model)}<span class="tag">naive</span>') if scores.baseline else scores.model
        cells = [
            Cell(written(column, scores), "best" if scores.model in best[column.title] else "") for column in columns
        ]
        rows.append([Cell(tag), f"{scores.rows:,}", *cells])
    tones = ["naive" if scores.baseline else "" for scores in order]
    return page.table(["model", "rows", *(column.title for column in columns)], rows, tones)


def _gains(evaluation: Evaluation) -> Html:
    """Models against the naive ones on all rows; single pairs, and the naive ones among themselves, for who asks."""
    naive = {scores.model for scores in evaluation.scores if scores.baseline}
    main = [one for one in evaluation.against if not one.key and one.model not in naive]
    rest = [one for one in evaluation.against if one not in main]
    if not main:
        return _gain_tables(evaluation, rest)
    more = page.folded("Single pairs, and the naive ones among themselves", _gain_tables(evaluation, rest))
    return Html(_gain_tables(evaluation, main) + more)


def _gain_tables(evaluation: Evaluation, against: Sequence[Against]) -> Html:
    """One table a measure: each row a comparison, drawn and in numbers."""
    made = []
    order = [scores.model for scores in ranked(evaluation)]
    for measure in dict.fromkeys(one.measure for one in against):
        found = [one for one in against if one.measure == measure]
        found.sort(
            key=lambda one: (one.key, one.baseline, order.index(one.model) if one.model in order else len(order))
        )
        bounds = [
            share_of(evaluation, one, value)
            for one in found
            for value in (one.gain.low, one.gain.high)
            if value is not None
        ]
        span = min([0.0, *bounds]), max([0.0, *bounds])
        keyed = any(one.key for one in found)
        rows = [_gain_row(evaluation, one, span, keyed) for one in found]
        pair = [Cell("pair", "left")] if keyed else []
        head = ["model", Cell("against", "left"), *pair, "", "gain", "bounds", "p", Cell("verdict", "left")]
        made.append(f"<h3>{page.inner(measure)}</h3>{page.table(head, rows)}")
    return Html("".join(made))


def _gain_row(evaluation: Evaluation, one: Against, span: tuple[float, float], keyed: bool) -> list[str]:
    gain = one.gain
    pair = [Cell(one.key or "all", "left")] if keyed else []
    if gain.gain is None or gain.low is None or gain.high is None:
        size = UNKNOWN if gain.gain is None else gain_text(one, share_of(evaluation, one, gain.gain))
        return [one.model, Cell(one.baseline, "left"), *pair, "", size, UNKNOWN, UNKNOWN, Cell(gain.note, "say")]
    low, middle, high = (share_of(evaluation, one, value) for value in (gain.low, gain.gain, gain.high))
    bounds = f"{gain_text(one, low)} to {gain_text(one, high)}"
    told = {"beat": "better", "was worse than": "worse", "could not be told from": "no difference to be seen"}
    p = UNKNOWN if one.test is None else p_text(one.test.p_value)
    cells = [Html(whisker(low, middle, high, span)), gain_text(one, middle), bounds, p]
    return [one.model, Cell(one.baseline, "left"), *pair, *cells, Cell(told[verdict(one)], "left")]


def _matrix(evaluation: Evaluation, names: Sequence[tuple[str, str, str]]) -> Html:
    """The main score of each model (rows) in parts of the test rows (columns: title, fold, pair)."""
    column = main_column(evaluation.task)
    order = ranked(evaluation)
    rows: list[list[str]] = []
    parts = [ranked(evaluation, fold=fold, key=key) for _, fold, key in names]
    best = [best_of(column, part, evaluation.level) for part in parts]
    for scores in order:
        found = [evaluation.of(scores.model, fold=fold, key=key) for _, fold, key in names]
        cells = [
            Cell(UNKNOWN if one is None else written(column, one), "best" if scores.model in mark else "")
            for one, mark in zip(found, best, strict=True)
        ]
        rows.append([scores.model, *cells])
    tones = ["naive" if scores.baseline else "" for scores in order]
    firsts = [part[0] if part else None for part in parts]
    if evaluation.task.sort == "classification":
        chances = [one.probability if one else None for one in firsts]
        rows.append(["prevalence", *(three(one.prevalence) if one else UNKNOWN for one in chances)])
        tones.append("naive")
    rows.append(["rows", *(f"{one.rows:,}" if one else UNKNOWN for one in firsts)])
    tones.append("naive")
    return page.table([column.title, *(title for title, _, _ in names)], rows, tones)


def _by_fold(evaluation: Evaluation) -> Html:
    """Only where there are several."""
    if len(evaluation.folds) < 2:
        return Html("")
    named = [(f"{place}: {utc_text(f.from_ms)[:10]}", f.name, "") for place, f in enumerate(evaluation.folds, start=1)]
    return _matrix(evaluation, named)


def _by_pair(evaluation: Evaluation) -> Html:
    return Html("") if len(evaluation.keys) < 2 else _matrix(evaluation, [(key, "", key) for key in evaluation.keys])


def _data(evaluation: Evaluation) -> Html:
    left_out = sum(evaluation.excluded.values())
    reasons = [f"{count:,} {why}" for why, count in sorted(evaluation.excluded.items()) if count]
    dropped = [f"{name} ({why})" for name, why in sorted(evaluation.dropped.items())]
    return page.facts(
        [
            ("Forecast", what(evaluation)),
            ("Pairs", ", ".join(evaluation.keys)),
            ("Range", f"{utc_text(evaluation.from_ms)} to {utc_text(evaluation.to_ms)}"),
            ("Rows", f"{evaluation.rows:,}"),
            ("Left out", f"{left_out:,}: {'; '.join(reasons)}" if reasons else "none"),
            ("Columns that are no inputs", "; ".join(dropped) or "none"),
            ("Dataset", Html(f"<code>{page.inner(evaluation.dataset_hash)}</code>")),
            ("Window", evaluation.window),
            ("Seed", str(evaluation.seed)),
        ]
    )


def _folds(evaluation: Evaluation) -> Html:
    rows = [
        [fold.name, f"{fold.train_rows:,}", f"{fold.valid_rows:,}", f"{fold.test_rows:,}", utc_text(fold.from_ms),
         utc_text(fold.to_ms)]
        for fold in evaluation.folds
    ]  # fmt: skip
    return page.table(["fold", "learned from", "chosen by", "judged by", "from", "to"], rows) if rows else Html("")


def _params(evaluation: Evaluation, order: Sequence[str]) -> Html:
    rows = []
    for model in order:
        params = evaluation.params.get(model) or {}
        told = ", ".join(f"{name} {json.dumps(value)}" for name, value in sorted(params.items()))
        rows.append([model, f"{evaluation.trials.get(model, 0):,}", Cell(told or "as built in", "say")])
    return page.table(["model", "sets tried", "parameters"], rows)


def text_of(evaluation: Evaluation, *, width: int = 100, colour: bool = False) -> str:
    """Tables for the terminal, and the sentences before them."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    order = ranked(evaluation)
    columns = [column for column in columns_of(evaluation) if column.title in SHORT]
    drawn = Table(title="Scores on the same rows", title_justify="left", header_style="bold")
    drawn.add_column("model")
    for column in columns:
        drawn.add_column(column.title, justify="right")
    best = {column.title: best_of(column, order, evaluation.level) for column in columns}
    for scores in order:
        cells = [
            Text(written(column, scores), style="bold green" if scores.model in best[column.title] else "")
            for column in columns
        ]
        drawn.add_row(Text(scores.model, style="dim" if scores.baseline else ""), *cells)
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=colour, color_system="standard" if colour else None)
    for sentence in summary(evaluation):
        console.print(Text(sentence))
    console.print(drawn)
    if naive := naive_of(evaluation):
        console.print(Text(f"Naive: {naive}.", style="dim"))
    return file.getvalue()
