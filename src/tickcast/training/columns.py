"""Which scores a table has, how they are written, and which of them is the best one: for the page and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from tickcast.training.contract import Task
from tickcast.training.evaluation import Against, Evaluation, ModelScores

Better = Literal["high", "low", "level", ""]
UNKNOWN = "–"


class Column(NamedTuple):
    """A score: where it is found, how it is written, and what is better."""

    title: str
    of: Callable[[ModelScores], float | None]
    write: Callable[[float], str]
    better: Better = ""


def three(value: float) -> str:
    """Three digits behind the point.

    >>> three(0.12345), three(-0.0001)
    ('0.123', '0.000')
    """
    return f"{round(value, 3) + 0.0:.3f}"


def percent(value: float) -> str:
    """A share as a percentage.

    >>> percent(0.1234), percent(-0.0004)
    ('12.3 %', '0.0 %')
    """
    return f"{round(value * 100, 1) + 0.0:.1f} %"


def gained(value: float) -> str:
    """A change as a percentage with its sign, finer where it is small.

    >>> gained(0.123), gained(-0.00012), gained(0.0)
    ('+12.3 %', '-0.01 %', '0.00 %')
    """
    if abs(value) >= 0.0995:
        return f"{value * 100:+.1f} %"
    text = f"{value * 100:+.2f} %"
    return text[1:] if float(text[:-2]) == 0.0 else text


def bps(value: float) -> str:
    """A return in hundredths of a percent.

    >>> bps(0.00123)
    '12.30'
    """
    return f"{value * 1e4:.2f}"


def written(column: Column, scores: ModelScores) -> str:
    """A score as text."""
    value = column.of(scores)
    return UNKNOWN if value is None else column.write(value)


def _at(path: str) -> Callable[[ModelScores], float | None]:
    """What stands at a path; None where something on the way is None."""

    def found(scores: ModelScores) -> float | None:
        value: Any = scores
        for name in path.split("."):
            value = None if value is None else getattr(value, name)
        return None if value is None else float(value)

    return found


_CHANCES = (
    Column("PR-AUC", _at("probability.pr_auc"), three, "high"),
    Column("prevalence", _at("probability.prevalence"), three),
    Column("ROC-AUC", _at("probability.roc_auc"), three, "high"),
    Column("log loss", _at("probability.log_loss"), lambda v: f"{v:.4f}", "low"),
    Column("Brier", _at("probability.brier"), lambda v: f"{v:.4f}", "low"),
    Column("Brier skill", _at("probability.brier_skill"), three, "high"),
    Column("F1", _at("probability.at.f1"), three, "high"),
    Column("precision", _at("probability.at.precision"), three),
    Column("recall", _at("probability.at.recall"), three),
    Column("calib. error", _at("probability.reliability.error"), three, "low"),
    Column("QLIKE", _at("qlike"), three, "low"),
)
_RETURNS = (
    Column("skill (MSE)", _at("point.skill_mse"), gained, "high"),
    Column("skill (MAE)", _at("point.skill_mae"), gained, "high"),
    Column("RMSE, bps", _at("point.rmse"), bps, "low"),
    Column("MAE, bps", _at("point.mae"), bps, "low"),
    Column("bias, bps", _at("point.bias"), bps),
    Column("direction", _at("point.direction_accuracy"), percent, "high"),
    Column("coverage", _at("interval.coverage"), percent, "level"),
    Column("width, bps", _at("interval.width"), bps),
    Column("Winkler, bps", _at("interval.winkler"), bps, "low"),
)
SHORT = ("PR-AUC", "prevalence", "Brier skill", "log loss", "F1", "skill (MSE)", "MAE, bps", "direction", "coverage")
"""What the terminal shows."""


def columns_of(evaluation: Evaluation) -> list[Column]:
    """Those of the task that at least one model has."""
    found = _RETURNS if evaluation.task.sort == "regression" else _CHANCES
    return [column for column in found if any(column.of(scores) is not None for scores in evaluation.scores)]


def main_column(task: Task) -> Column:
    """The score by which models are ranked: it does not depend on a threshold."""
    return _RETURNS[0] if task.sort == "regression" else _CHANCES[0]


def ranked(evaluation: Evaluation, *, fold: str = "", key: str = "") -> list[ModelScores]:
    """Models by their main score, the best first; those that have none come last."""
    of = main_column(evaluation.task).of
    there = [scores for scores in evaluation.scores if (scores.fold, scores.key) == (fold, key)]
    values = {scores.model: of(scores) for scores in there}
    return sorted(there, key=lambda scores: (values[scores.model] is None, -(values[scores.model] or 0.0)))


def best_of(column: Column, models: Sequence[ModelScores], level: float) -> set[str]:
    """The models whose score is written the same as the best one; none where all are alike."""
    if not column.better:
        return set()

    def far(value: float) -> float:
        return {"high": -value, "low": value, "level": abs(value - level)}[column.better]

    values = {scores.model: value for scores in models if (value := column.of(scores)) is not None}
    if not values:
        return set()
    best = column.write(values[min(values, key=lambda model: far(values[model]))])
    found = {model for model, value in values.items() if column.write(value) == best}
    return found if len(found) < len(models) else set()


def share_of(evaluation: Evaluation, against: Against, value: float) -> float:
    """A gain as a share of the baseline's loss; that of a PR-AUC as it is."""
    base = evaluation.of(against.baseline, key=against.key)
    if against.measure == "squared error" and base is not None and base.point is not None:
        return value / (base.point.rmse**2 or 1.0)
    if against.measure == "log loss" and base is not None and base.probability is not None:
        return value / (base.probability.log_loss or 1.0)
    return value


def gain_text(against: Against, share: float) -> str:
    """A gain that `share_of` gave.

    Losses as percentages, PR-AUC in its own unit.
    """
    return f"{share:+.3f}" if against.measure == "PR-AUC" else gained(share)


def p_text(value: float | None) -> str:
    """A p-value.

    >>> p_text(0.0004), p_text(0.25), p_text(None)
    ('< 0.001', '0.250', '–')
    """
    return UNKNOWN if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
