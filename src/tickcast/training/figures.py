"""The figures of an evaluation's page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tickcast.training import page
from tickcast.training.buckets import ROWS_MIN, buckets, inside, span_text
from tickcast.training.columns import UNKNOWN, percent, ranked, three
from tickcast.training.contract import Dataset
from tickcast.training.evaluation import Evaluation, Forecasts
from tickcast.training.page import Cell, Html
from tickcast.training.plots import COLOURS, Band, Dot, Line, bar, chart, dots, legend, reliability

DRAWN_MAX = 6
"""More lines than these can not be told apart; what is left out is said."""
COVERAGE_SPANS, TIME_SPANS, IMPORTANT = 48, 110, 15
THIRDS = ("calm", "middle", "wild")


def _whole_percent(value: float) -> str:
    return f"{value * 100:g} %"


def reliability_figures(evaluation: Evaluation, order: Sequence[str]) -> Html:
    """What was said beside what came, a square a model."""
    made = []
    for place, model in enumerate(order):
        scores = evaluation.of(model)
        if scores is None or scores.probability is None:
            continue
        curve = scores.probability.reliability
        said, came = [one.probability for one in curve.bins], [one.share for one in curve.bins]
        told = f"Reliability of {model}: error {curve.error:.3f}"
        drawn = reliability(said, came, [one.rows for one in curve.bins], told=told, colour=place)
        made.append(page.figure(model, drawn, f"error {three(curve.error)}"))
    about = (
        "Across: the probability that was said, in bins of about as many rows each. Up: how often it came. On the "
        "dashed line both agree; the error is their mean distance."
    )
    return (
        page.section("Are probabilities what they say", page.grid(made, "squares"), page.note(about))
        if made
        else Html("")
    )


def coverage_figures(evaluation: Evaluation, dataset: Dataset, told: Sequence[Forecasts]) -> Html:
    """Do intervals hold what they promise: by volatility, and over time."""
    banded = [said for said in told if bool(np.isfinite(said.lower + said.upper).any())]
    if not banded:
        return Html("")
    drawn = banded[:DRAWN_MAX]
    colours = {said.model: place for place, said in enumerate(drawn)}
    level = _whole_percent(round(evaluation.level, 6))
    terciles = _terciles(evaluation, colours)
    figures = [terciles] if terciles else []
    figures.append(_over_time(evaluation, dataset, drawn, colours))
    more = "" if len(drawn) == len(banded) else f" Not drawn: {', '.join(said.model for said in banded[DRAWN_MAX:])}."
    about = f"Dashed: the {level} that intervals promise.{more}"
    return page.section(
        "Do intervals hold what they promise", page.grid(figures), page.note(about), _third_table(evaluation)
    )


def _terciles(evaluation: Evaluation, colours: dict[str, int]) -> Html | None:
    points = []
    for model, colour in colours.items():
        scores = evaluation.of(model)
        for place, third in enumerate(scores.interval.terciles if scores and scores.interval else ()):
            if third.coverage is not None:
                text = f"{model}, {THIRDS[place]}: {percent(third.coverage)} of {third.rows:,} rows"
                points.append(Dot(place, third.coverage, colour, text))
    if not points:
        return None
    drawn = dots(THIRDS, points, told="Coverage by volatility", y_text=_whole_percent, level=evaluation.level)
    named = legend([(model, colour, "line") for model, colour in colours.items()])
    return page.figure("By volatility", drawn + named, "Thirds of the rows by the volatility known at the forecast.")


def _third_table(evaluation: Evaluation) -> Html:
    rows = []
    for scores in ranked(evaluation):
        if scores.interval is None:
            continue
        held = scores.interval
        thirds = [UNKNOWN if one.coverage is None else percent(one.coverage) for one in held.terciles] or [UNKNOWN] * 3
        rolling = UNKNOWN
        if held.rolling_min is not None and held.rolling_max is not None:
            rolling = f"{percent(held.rolling_min)} to {percent(held.rolling_max)}"
        rows.append([scores.model, percent(held.coverage), *thirds, rolling])
    some = next((scores.interval.rolling_rows for scores in ranked(evaluation) if scores.interval), 0)
    return page.table(["model", "coverage", *THIRDS, f"over any {some:,} rows"], rows)


def _over_time(evaluation: Evaluation, dataset: Dataset, drawn: Sequence[Forecasts], colours: dict[str, int]) -> Html:
    lines, span = [], 0.0
    for said in drawn:
        held = inside(dataset, said)
        there = np.isfinite(held)
        parts = buckets(dataset.timestamp_ms[said.rows][there], COVERAGE_SPANS)
        lines.append(Line(said.model, parts.middle_ms, parts.mean(held[there], ROWS_MIN), colours[said.model]))
        span = parts.span_ms
    picture = chart(lines, told="Coverage over time", y_text=_whole_percent, level=evaluation.level)
    caption = f"Each point: a span of {span_text(span)}, UTC; spans of fewer than {ROWS_MIN} rows are left out."
    return page.figure("Over time", picture, caption)


def time_figures(evaluation: Evaluation, dataset: Dataset, told: Sequence[Forecasts]) -> Html:
    """The best model's forecasts beside what came, a figure a pair."""
    naive = {scores.model for scores in evaluation.scores if scores.baseline}
    best = next((said for said in told if said.model not in naive), told[0] if told else None)
    if best is None:
        return Html("")
    made: list[Html] = []
    for place, key in enumerate(dataset.keys):
        mine = dataset.key[best.rows] == place
        if mine.any() and len(made) < DRAWN_MAX:
            some = best._replace(**{n: getattr(best, n)[mine] for n in ("rows", "forecast", "lower", "upper")})
            made.append(
                _returns(key, dataset, some) if dataset.task.sort == "regression" else _chances(key, dataset, some)
            )
    judged = len(set(dataset.key[best.rows].tolist()))
    more = f" {judged - len(made)} more pairs are not drawn." if judged > len(made) else ""
    return (
        page.section(f"Forecasts of {best.model}", page.grid(made), page.note(f"Times are UTC.{more}"))
        if made
        else Html("")
    )


def _caption(span_ms: float, rows: float, text: str) -> str:
    return f"Each point: a span of {span_text(span_ms)} with {rows:.0f} rows on average. {text}"


def _returns(key: str, dataset: Dataset, said: Forecasts) -> Html:
    parts = buckets(dataset.timestamp_ms[said.rows], TIME_SPANS)
    low, high = parts.extremes(dataset.labels[said.rows])
    x = parts.middle_ms
    bands = [Band("lowest to highest return", x, low, high, -1)]
    lines = [Line("forecast, mean", x, parts.mean(said.forecast), 0)]
    if np.isfinite(said.lower + said.upper).all():
        bounds = [parts.mean(said.lower), parts.mean(said.upper)]
        lines = [Line("bounds, mean", x, bounds[0], 1), Line("", x, bounds[1], 1), *lines]
    drawn = chart(lines, bands=bands, told=f"Returns of {key}", y_text=lambda v: f"{round(v * 1e4, 6):g}")
    text = "In hundredths of a percent. Single returns lie outside of mean bounds by design."
    return page.figure(key, drawn, _caption(parts.span_ms, len(said.rows) / max(int((parts.rows > 0).sum()), 1), text))


def _chances(key: str, dataset: Dataset, said: Forecasts) -> Html:
    parts = buckets(dataset.timestamp_ms[said.rows], TIME_SPANS)
    low, high = parts.extremes(said.forecast)
    x = parts.middle_ms
    lines = [
        Line("came, share", x, parts.mean(dataset.labels[said.rows]), 1),
        Line("said, mean", x, parts.mean(said.forecast), 0),
    ]
    band = Band("said, lowest to highest", x, low, high, 0)
    drawn = chart(lines, bands=[band], told=f"Probabilities of {key}", y_text=lambda v: f"{v:g}", y_range=(0.0, 1.0))
    rows = len(said.rows) / max(int((parts.rows > 0).sum()), 1)
    return page.figure(key, drawn, _caption(parts.span_ms, rows, ""))


def importance_figures(evaluation: Evaluation, order: Sequence[str]) -> Html:
    """The most important features of each model that has some."""
    made = []
    for place, model in enumerate(order):
        shares = sorted(evaluation.importance.get(model, {}).items(), key=lambda item: (-item[1], item[0]))[:IMPORTANT]
        if len(shares) < 2:
            continue
        top = max(share for _, share in shares) or 1.0
        rows = [[name, Cell(Html(bar(share / top, place % COLOURS)), "left"), percent(share)] for name, share in shares]
        made.append(page.figure(model, page.table(["feature", "", "share"], rows)))
    about = "In each model's own measure, as it learned the last fold: not to be compared between models."
    return page.section("What models look at", page.grid(made), page.note(about)) if made else Html("")
