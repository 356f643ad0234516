"""The gate: may this challenger serve? A pure function of paired outcomes, with a sentence for every answer.

A challenger must beat the naive model and the champion by more than luck: the lower bound of its mean gain, by a block
bootstrap over moments, is above zero against both. Of many candidates that are tried at once the best looks good by
luck alone, so the bound is taken at a stricter level (Bonferroni). A gain that is sure but next to nothing is no reason
to change either.
"""

from __future__ import annotations

import msgspec
import numpy as np

from tickcast.errors import ConfigError
from tickcast.registry.evidence import Paired
from tickcast.scores.compare import bootstrap_gain, diebold_mariano
from tickcast.training.contract import F8, I8

DAY_MS, HOUR_MS = 86_400_000, 3_600_000


class GateRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of a challenger."""

    min_outcomes: int = 500
    min_days: float = 1.0
    level: float = 0.995
    """Of the bounds of the gain, both sides; with K candidates 1 - (1 - level) / K.

    Stricter than the usual 0.95, since the question is asked anew with every retraining: of models of a random walk one
    or two in a hundred passed at 0.95, so that within a season chance alone would have served one.
    """
    skill_min: float = 0.001
    """What share of the naive model's loss must go: less is not worth a change, and noise hardly reaches it."""
    cooldown_hours: float = 24.0
    """How long a champion is left alone after a change."""
    coverage_low: float = 0.87
    coverage_high: float = 0.93
    coverage_wanted: float = 0.9
    coverage_slack: float = 0.01
    """How much further from what is wanted than the champion's it may be."""
    latency_p99_ms: float = 5.0
    missing_rate: float = 0.05
    resamples: int = 2000
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("min_outcomes", "min_days", "cooldown_hours", "skill_min", "coverage_slack"):
            if not getattr(self, name) >= 0:
                raise ConfigError(name, f"was {getattr(self, name)}, nothing was judged", "give zero or more")
        if not 0.5 <= self.level < 1.0:
            raise ConfigError("level", f"was {self.level}, nothing was judged", "give at least 0.5, and less than 1")


class Check(msgspec.Struct, frozen=True):
    """One question and its answer."""

    name: str
    value: float | None
    """None: could not be told."""
    wanted: str
    passed: bool
    sentence: str


class Verdict(msgspec.Struct, frozen=True):
    """All answers; passed when all are good."""

    checks: tuple[Check, ...]
    passed: bool
    sentence: str


def judge(
    paired: Paired,
    rules: GateRules,
    *,
    horizon_ms: int,
    step_ms: int,
    candidates: int = 1,
    hours_since_change: float | None = None,
) -> Verdict:
    """The verdict; `horizon_ms`: how far a forecast reaches, `step_ms`: how far rows are apart."""
    checks = [*_enough(paired, rules), *_cooled(hours_since_change, rules)]
    level = 1.0 - (1.0 - rules.level) / max(candidates, 1)
    horizon = -(-horizon_ms // step_ms)
    checks.append(_gain("gain over naive", paired, paired.naive, rules, level, horizon, candidates))
    checks.append(_skill(paired, rules))
    if paired.champion is None:
        told = "no champion serves yet, so there is none to beat"
        checks.append(Check("gain over champion", None, "no champion", True, told))
    else:
        checks.append(_gain("gain over champion", paired, paired.champion, rules, level, horizon, candidates))
    checks += _coverage(paired, rules)
    checks += _budgets(paired, rules)
    return verdict_of(checks)


def verdict_of(checks: list[Check]) -> Verdict:
    """All answers together."""
    failed = [check.sentence for check in checks if not check.passed]
    told = "; ".join(failed) if failed else "all checks passed"
    return Verdict(tuple(checks), not failed, told)


def by_moment(timestamp_ms: I8, values: F8) -> F8:
    """The mean of each moment: pairs that stand side by side move together and count as one.

    >>> by_moment(np.array([1, 1, 2]), np.array([1.0, 3.0, 5.0])).tolist()
    [2.0, 5.0]
    """
    _, place = np.unique(timestamp_ms, return_inverse=True)
    means: F8 = np.bincount(place, weights=values) / np.bincount(place)
    return means


def _enough(paired: Paired, rules: GateRules) -> list[Check]:
    rows = len(paired)
    days = float(np.ptp(paired.timestamp_ms)) / DAY_MS if rows else 0.0
    many, long = rows >= rules.min_outcomes, days >= rules.min_days
    return [
        Check(
            "outcomes", rows, f">= {rules.min_outcomes:,}", many,
            f"{rows:,} outcomes are {'enough' if many else f'too few, {rules.min_outcomes:,} are needed'}",
        ),
        Check(
            "days", days, f">= {rules.min_days:g}", long,
            f"they span {days:.1f} days, {'enough' if long else f'and {rules.min_days:g} are needed'}",
        ),
    ]  # fmt: skip


def _cooled(hours: float | None, rules: GateRules) -> list[Check]:
    if hours is None:
        return []
    passed = hours >= rules.cooldown_hours
    told = f"the champion changed {hours:.1f} hours ago, {'long enough' if passed else 'too lately for another change'}"
    return [Check("cool-down", hours, f">= {rules.cooldown_hours:g} h", passed, told)]


def _gain(name: str, paired: Paired, other: F8, rules: GateRules, level: float, horizon: int, candidates: int) -> Check:
    whom = name.removeprefix("gain over ")
    if len(paired) == 0:
        return Check(name, None, "> 0", False, f"there are no outcomes to hold against the {whom}")
    mine, base = (by_moment(paired.timestamp_ms, losses) for losses in (paired.challenger, other))
    found = bootstrap_gain(mine, base, seed=rules.seed, horizon=horizon, resamples=rules.resamples, level=level)
    test = diebold_mariano(mine, base, horizon=horizon)
    if found.low is None or found.gain is None:
        return Check(name, None, "> 0", False, f"whether it beats the {whom} can not be told: {found.note}")
    share = f"{found.gain / float(base.mean()):+.2%} of its loss" if base.mean() > 0 else f"{found.gain:+.3g}"
    luck = "" if test.p_value is None else f", Diebold-Mariano p = {test.p_value:.3g}"
    several = f", one of {candidates} candidates" if candidates > 1 else ""
    said = (
        f"gain over the {whom} {found.gain:+.3g} ({share}), at {level:.2%} between {found.low:+.3g} and "
        f"{found.high:+.3g}{luck}{several}"
    )
    passed = found.low > 0.0
    return Check(name, found.low, "> 0", passed, f"{said}: {'more than luck' if passed else 'not more than luck'}")


def _skill(paired: Paired, rules: GateRules) -> Check:
    base = float(paired.naive.mean()) if len(paired) else 0.0
    if base <= 0.0:
        return Check("skill", None, f">= {rules.skill_min:g}", False, "the naive model loses nothing to win back")
    skill = 1.0 - float(paired.challenger.mean()) / base
    passed = skill >= rules.skill_min
    told = f"skill against the naive model {skill:+.2%}, {'enough' if passed else 'too little'} to be worth a change"
    return Check("skill", skill, f">= {rules.skill_min:g}", passed, told)


def _coverage(paired: Paired, rules: GateRules) -> list[Check]:
    if paired.covered is None:
        return []
    mine = float(np.nanmean(paired.covered))
    low, high = rules.coverage_low, rules.coverage_high
    inside = low <= mine <= high
    told = f"intervals held {mine:.1%} of the outcomes, {'within' if inside else 'outside of'} {low:.0%} to {high:.0%}"
    checks = [Check("coverage", mine, f"{low:g} to {high:g}", inside, told)]
    if paired.champion_covered is not None:
        theirs = float(np.nanmean(paired.champion_covered))
        off, limit = abs(mine - rules.coverage_wanted), abs(theirs - rules.coverage_wanted) + rules.coverage_slack
        fine = off <= limit
        told = f"its coverage of {mine:.1%} is {'no worse' if fine else 'worse'} than the champion's {theirs:.1%}"
        checks.append(Check("coverage beside champion", off, f"<= {limit:.3g}", fine, told))
    return checks


def _budgets(paired: Paired, rules: GateRules) -> list[Check]:
    checks = []
    if paired.latency_us is not None and len(paired.latency_us):
        p99 = float(np.quantile(paired.latency_us, 0.99)) / 1000.0
        fast = p99 <= rules.latency_p99_ms
        told = f"a forecast takes {p99:.3g} ms at the 99th percentile, {'fast enough' if fast else 'too slow'}"
        checks.append(Check("latency p99 ms", p99, f"<= {rules.latency_p99_ms:g}", fast, told))
    if paired.missing is not None:
        few = paired.missing <= rules.missing_rate
        told = f"{paired.missing:.1%} of its inputs or forecasts were missing, {'few enough' if few else 'too many'}"
        checks.append(Check("missing", paired.missing, f"<= {rules.missing_rate:g}", few, told))
    return checks
