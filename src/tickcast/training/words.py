"""An evaluation in sentences: what was judged, what beat what by how much, and what did not."""

from __future__ import annotations

from typing import Literal

from tickcast.clock import utc_text
from tickcast.training.columns import gain_text, main_column, p_text, percent, ranked, share_of, three
from tickcast.training.evaluation import Against, Evaluation, ModelScores
from tickcast.training.models.table import BASELINE

Verdict = Literal["beat", "was worse than", "could not be told from"]
DAY_MS = 86_400_000


def verdict(against: Against) -> Verdict:
    """By the bounds of the gain: beyond zero on either side, or not."""
    if against.gain.low is not None and against.gain.low > 0:
        return "beat"
    if against.gain.high is not None and against.gain.high < 0:
        return "was worse than"
    return "could not be told from"


def what(evaluation: Evaluation) -> str:
    """What is forecast.

    >>> from types import SimpleNamespace
    >>> from tickcast.training.contract import Task
    >>> what(SimpleNamespace(task=Task("price", 300)))
    'the log return over the next 300 s'
    """
    seconds = evaluation.task.horizon_seconds
    return {
        "price": f"the log return over the next {seconds} s",
        "direction": f"whether the price rises over the next {seconds} s",
        "volatility": f"whether volatility over the next {seconds} s exceeds its trailing threshold",
    }[evaluation.task.name]


def naive_of(evaluation: Evaluation) -> str:
    """The naive model that all others are held to: that of the task, or the best baseline that was judged."""
    judged = [scores.model for scores in ranked(evaluation) if scores.baseline]
    usual = BASELINE.get(evaluation.task.name, "")
    return usual if usual in judged else next(iter(judged), "")


def comparison(evaluation: Evaluation, against: Against) -> str:
    """One comparison as a clause: `blend beat zscore: log loss +12.3 % (95 % bounds …), p < 0.001`."""
    gain = against.gain
    told = f"{against.model} {verdict(against)} {against.baseline}"
    if gain.gain is None or gain.low is None or gain.high is None:
        return f"{told}: {against.measure} can not be compared ({gain.note})"
    size, low, high = (
        gain_text(against, share_of(evaluation, against, value)) for value in (gain.gain, gain.low, gain.high)
    )
    sign = "gain in PR-AUC" if against.measure == "PR-AUC" else f"gain in {against.measure}"
    test = "" if against.test is None else f", Diebold-Mariano p {p_text(against.test.p_value)}"
    pair = f" for {against.key}" if against.key else ""
    return f"{told}{pair}: {sign} {size}, with {gain.level:.0%} bounds {low} to {high}{test}"


def summary(evaluation: Evaluation) -> list[str]:
    """The sentences, the most important ones first."""
    order = ranked(evaluation)
    if not order:
        return ["No model was judged."]
    best = next((scores for scores in order if not scores.baseline), None)
    made = [_judged(evaluation, order[0])]
    made += _verdicts(evaluation)
    made += _ranking(evaluation, order)
    if best is not None:
        made += [
            f"{comparison(evaluation, one)}." for one in evaluation.against if one.model == best.model and not one.key
        ]
        made += _by_pair(evaluation, best)
        made += _interval(best)
    made += _searched(evaluation)
    return made


def _judged(evaluation: Evaluation, scores: ModelScores) -> str:
    from_ms = min((fold.from_ms for fold in evaluation.folds), default=evaluation.from_ms)
    to_ms = max((fold.to_ms for fold in evaluation.folds), default=evaluation.to_ms)
    folds = len(evaluation.folds)
    cut = f"in {folds} folds ({evaluation.window})" if folds > 1 else f"in one piece ({evaluation.window})"
    models = len({one.model for one in evaluation.scores})
    return (
        f"Judged: {what(evaluation)}, by {models} model{'s' * (models > 1)} on the same {scores.rows:,} rows of "
        f"{', '.join(evaluation.keys)}, {utc_text(from_ms)} to {utc_text(to_ms)} "
        f"({(to_ms - from_ms) / DAY_MS:.1f} days), {cut}; no row was judged by a model that had learned from it."
    )


def _verdicts(evaluation: Evaluation) -> list[str]:
    """Which models beat the naive one, in the loss of all rows together."""
    naive = naive_of(evaluation)
    baselines = {scores.model for scores in evaluation.scores if scores.baseline}
    found = [
        one
        for one in evaluation.against
        if one.baseline == naive and not one.key and one.measure != "PR-AUC" and one.model not in baselines
    ]
    if not found:
        return (
            [] if naive else ["No naive model was judged beside them: nothing here says that a forecast has any skill."]
        )
    named: dict[Verdict, list[str]] = {"beat": [], "could not be told from": [], "was worse than": []}
    for one in found:
        named[verdict(one)].append(one.model)
    measure = found[0].measure
    if not named["beat"]:
        rest = [f"{' and '.join(models)} {how} it" for how, models in named.items() if models]
        return [f"No model beat {naive} in {measure}: {'; '.join(rest)}. {_otherwise(evaluation, naive, baselines)}"]
    rest = [f"{', '.join(models)} {how} it" for how, models in named.items() if models and how != "beat"]
    return [f"Beat {naive} in {measure}: {', '.join(named['beat'])}{''.join(f'; {one}' for one in rest)}."]


def _otherwise(evaluation: Evaluation, naive: str, baselines: set[str]) -> str:
    """Whether another measure tells another story."""
    others = [one for one in evaluation.against if one.baseline == naive and one.model not in baselines]
    sure = sorted({f"{one.model} in {one.measure}" for one in others if verdict(one) == "beat"})
    if not sure:
        return "There is no skill to speak of."
    return f"Only in other measures or for single pairs is there a gain: {', '.join(sure)}."


def _ranking(evaluation: Evaluation, order: list[ModelScores]) -> list[str]:
    column = main_column(evaluation.task)
    best, naive = order[0], next((scores for scores in order if scores.baseline), None)
    value = column.of(best)
    if value is None:
        return [f"No model has a {column.title}: nothing happened in these rows."]
    mark = " (a naive one)" if best.baseline else ""
    told = f"Highest {column.title}: {best.model}{mark} with {column.write(value)}"
    if naive is not None and naive.model != best.model and (held := column.of(naive)) is not None:
        told += f"; the best of the naive ones, {naive.model}, has {column.write(held)}"
    if best.probability is not None:
        return [f"{told}. A coin has {three(best.probability.prevalence)}, the share of rows in which it happened."]
    return [f"{told}. Skill is the share of the squared error of no change that is saved: zero is none."]


def _by_pair(evaluation: Evaluation, best: ModelScores) -> list[str]:
    """Of several pairs: in how many the gain is beyond doubt."""
    naive = naive_of(evaluation)
    if len(evaluation.keys) < 2 or not naive:
        return []
    made = []
    for measure in ("PR-AUC", "log loss", "squared error"):
        found = [
            one
            for one in evaluation.against
            if (one.model, one.baseline, one.measure) == (best.model, naive, measure) and one.key
        ]
        if found:
            sure = sum(verdict(one) == "beat" for one in found)
            made.append(f"Pair by pair, {best.model} beat {naive} in {measure} in {sure} of {len(found)}.")
    return made


def _interval(best: ModelScores) -> list[str]:
    held = best.interval
    if held is None:
        return []
    told = f"The {held.level:.0%} intervals of {best.model} held {percent(held.coverage)} of what came"
    if held.rolling_min is not None and held.rolling_max is not None:
        told += f", {percent(held.rolling_min)} to {percent(held.rolling_max)} over any {held.rolling_rows:,} rows"
    if held.terciles and held.terciles[-1].coverage is not None:
        told += f", {percent(held.terciles[-1].coverage)} in the most volatile third"
    return [f"{told}."]


def _searched(evaluation: Evaluation) -> list[str]:
    tried = [f"{model} {trials}" for model, trials in sorted(evaluation.trials.items()) if trials]
    if not tried:
        return []
    return [
        f"Sets of parameters that were tried: {', '.join(tried)}. They were chosen on validation rows, never on those "
        "judged here."
    ]
