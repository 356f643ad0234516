"""Promotion, rollback and comparison: evidence is gathered, the gate judges, the trail is written, the alias moves.

live outcomes, else walk-forward forecasts of both bundles ─→ gate ─→ audit line ─→ champion
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from tickcast.clock import Clock
from tickcast.config import FlowSettings
from tickcast.errors import BundleError, DataError
from tickcast.registry import audit, bundle, evidence
from tickcast.registry.audit import Action
from tickcast.registry.bundle import Bundle
from tickcast.registry.evidence import Forecasts, Paired
from tickcast.registry.gate import HOUR_MS, Check, GateRules, Verdict, by_moment, judge, verdict_of
from tickcast.registry.manifest import EVALUATION_FILE
from tickcast.registry.shelf import Aliases, Shelf
from tickcast.training.contract import F8

LATENCY_CALLS = 300


class Promotion(msgspec.Struct, frozen=True):
    """What came of a request to promote."""

    task: str
    version_from: str
    version_to: str
    promoted: bool
    forced: bool
    evidence: str
    """Where the outcomes are from."""
    verdict: Verdict


class Gathered(NamedTuple):
    """Evidence, or why there is none."""

    paired: Paired | None
    source: str
    fault: str = ""


class Comparison(msgspec.Struct, frozen=True):
    """Two versions on the rows that both were tested on."""

    task: str
    first: str
    second: str
    rows: int
    loss_first: float
    loss_second: float
    loss_naive: float
    coverage_first: float | None
    coverage_second: float | None
    gain: float
    """Mean loss of the first minus that of the second: above zero, the second is better."""
    gain_low: float | None
    gain_high: float | None
    p_value: float | None
    note: str


def promote(
    shelf: Shelf,
    task: str,
    version: str,
    *,
    rules: GateRules | None = None,
    live: Paired | None = None,
    candidates: int = 1,
    force_reason: str = "",
    flow: FlowSettings | None = None,
) -> Promotion:
    """Run the gate; on its word, or by force with a reason, the version becomes champion. All is recorded."""
    rules = rules or GateRules()
    before = shelf.aliases(task).champion
    if version == before:
        raise BundleError(f"{task}/{version}", "is the champion already, so nothing was changed", "name another")
    made = shelf.load(task, version, flow=flow)  # a damaged bundle is never promoted, by force neither
    gathered = gather(shelf, made, before, rules, live)
    verdict = _verdict(shelf, made, gathered, rules, candidates)
    forced = not verdict.passed and bool(force_reason.strip())
    result = Promotion(task, before, version, verdict.passed or forced, forced, gathered.source, verdict)
    with shelf.writing():
        aliases = shelf.aliases(task)
        if aliases.champion != before:
            what = f"was judged beside {before or 'no champion'}, which has changed meanwhile; nothing was changed"
            raise BundleError(f"{task}/{version}", what, "promote again")
        told = tuple(check.sentence for check in verdict.checks)
        action, reason = _line(result, force_reason.strip())
        shelf.record(action, task, version_from=before, version_to=version, reason=reason, verdict=told)
        if result.promoted:
            rest = tuple(other for other in aliases.challengers if other != version)
            shelf.set_aliases(task, Aliases(version, rest))
    return result


def rollback(shelf: Shelf, task: str, reason: str, *, flow: FlowSettings | None = None) -> Promotion:
    """Put the champion before this one back; one that can not be served is passed over, and that is recorded."""
    if not reason.strip():
        raise BundleError(f"{task}", "was not rolled back: no reason was given", "say why with --reason")
    with shelf.writing():
        aliases = shelf.aliases(task)
        passed_over: list[str] = []
        for version in audit.champions(audit.read(shelf.root).entries, task, aliases.champion):
            try:
                shelf.load(task, version, flow=flow)
            except BundleError as exc:
                passed_over.append(f"{version} was passed over: {exc.what}")
                continue
            shelf.record(
                "rolled back", task, version_from=aliases.champion, version_to=version, reason=reason.strip(),
                verdict=tuple(passed_over),
            )  # fmt: skip
            rest = tuple(other for other in aliases.challengers if other != version)
            shelf.set_aliases(task, Aliases(version, rest))
            told = "; ".join(passed_over) or "the champion before it"
            verdict = Verdict((), True, told)
            return Promotion(task, aliases.champion, version, True, False, "the audit trail", verdict)
    told = "; ".join(passed_over) or "the audit trail knows of no champion before this one"
    raise BundleError(f"{task}", f"was not rolled back: {told}", "promote a version, with --force if need be")


def gather(shelf: Shelf, made: Bundle, champion: str, rules: GateRules, live: Paired | None) -> Gathered:
    """Live outcomes where there are enough of them, else the forecasts of the walk-forward tests."""
    if live is not None and len(live) >= rules.min_outcomes:
        return Gathered(live, f"{len(live):,} matured live outcomes")
    task, where = made.manifest.content.task, f"{made.manifest.task}/{made.manifest.version}"
    few = f"; only {len(live):,} live outcomes have matured" if live is not None else ""
    try:
        mine = forecasts(shelf, where)
        paired = evidence.alone(task, mine)
        if champion:
            paired = evidence.pair(task, mine, _champions(shelf, made, champion), where)
            if len(paired) < rules.min_outcomes:
                fault = (
                    f"{where} and the champion {champion} were tested on only {len(paired):,} common rows, and the "
                    "champion can not be run on other rows here"
                )
                return Gathered(None, "no evidence", fault + few)
    except (BundleError, DataError) as exc:
        return Gathered(None, "no evidence", f"{exc.where}: {exc.what}{few}")
    latency_us = measured_us(made, shelf.clock)
    return Gathered(paired.but(latency_us=latency_us), f"{len(paired):,} walk-forward forecasts{few}")


def forecasts(shelf: Shelf, where: str) -> Forecasts:
    """What a version, as `task/version`, forecast when it was tested."""
    task, _, version = where.partition("/")
    told = shelf.manifest(task, version)
    path = shelf.path(task, version)
    return evidence.read(bundle.read_file(path, told, EVALUATION_FILE), str(path / EVALUATION_FILE))


def compare(shelf: Shelf, task: str, first: str, second: str, rules: GateRules | None = None) -> Comparison:
    """Both on the rows of the walk-forward tests that both have."""
    from tickcast.scores.compare import bootstrap_gain, diebold_mariano

    rules = rules or GateRules()
    content = shelf.manifest(task, second).content
    _same_question(shelf, task, first, second)
    paired = evidence.pair(
        content.task, forecasts(shelf, f"{task}/{second}"), forecasts(shelf, f"{task}/{first}"), f"{task}/{second}"
    )
    if paired.champion is None or len(paired) == 0:
        what = f"and {first} were tested on no common rows, so they can not be compared"
        raise BundleError(f"{task}/{second}", what, "train both on the same range")
    mine, theirs = (by_moment(paired.timestamp_ms, one) for one in (paired.challenger, paired.champion))
    horizon = -(-content.task.horizon_seconds // content.candle_seconds)
    found = bootstrap_gain(mine, theirs, seed=rules.seed, horizon=horizon, level=rules.level)
    test = diebold_mariano(mine, theirs, horizon=horizon)
    return Comparison(
        task=task, first=first, second=second, rows=len(paired),
        loss_first=float(paired.champion.mean()), loss_second=float(paired.challenger.mean()),
        loss_naive=float(paired.naive.mean()),
        coverage_first=_mean(paired.champion_covered), coverage_second=_mean(paired.covered),
        gain=float(theirs.mean() - mine.mean()), gain_low=found.low, gain_high=found.high,
        p_value=test.p_value, note=found.note,
    )  # fmt: skip


def measured_us(made: Bundle, clock: Clock) -> F8:
    """How long single forecasts take here, in microseconds; a row of zeros is as long as any."""
    one, row = made.single(), np.zeros(len(made.manifest.content.names))
    one(row)
    spans = np.empty(LATENCY_CALLS)
    for place in range(LATENCY_CALLS):
        began_s = clock.monotonic_s()
        one(row)
        spans[place] = (clock.monotonic_s() - began_s) * 1e6
    return spans


def _line(result: Promotion, force_reason: str) -> tuple[Action, str]:
    """What the trail calls it, and why."""
    if result.verdict.passed:
        return "promoted", f"passed the gate on {result.evidence}"
    return ("forced", force_reason) if result.forced else ("refused", result.verdict.sentence)


def _verdict(shelf: Shelf, made: Bundle, gathered: Gathered, rules: GateRules, candidates: int) -> Verdict:
    content = made.manifest.content
    if gathered.paired is None:
        return verdict_of([Check("evidence", None, "paired outcomes", False, gathered.fault)])
    last_ms = audit.last_change_ms(audit.read(shelf.root).entries, made.manifest.task)
    return judge(
        gathered.paired,
        rules,
        horizon_ms=content.task.horizon_seconds * 1000,
        step_ms=content.candle_seconds * 1000,
        candidates=candidates,
        hours_since_change=None if last_ms is None else (shelf.now_ms() - last_ms) / HOUR_MS,
    )


def _champions(shelf: Shelf, made: Bundle, champion: str) -> Forecasts:
    _same_question(shelf, made.manifest.task, champion, made.manifest.version)
    return forecasts(shelf, f"{made.manifest.task}/{champion}")


def _same_question(shelf: Shelf, task: str, first: str, second: str) -> None:
    """Two versions can be compared when they forecast the same thing over the same time."""
    one, two = (shelf.manifest(task, version).content for version in (first, second))
    if (one.task, one.candle_seconds) != (two.task, two.candle_seconds):
        what = (
            f"forecasts over {two.task.horizon_seconds} s on candles of {two.candle_seconds} s, {first} over "
            f"{one.task.horizon_seconds} s on candles of {one.candle_seconds} s, so they can not be compared"
        )
        raise BundleError(f"{task}/{second}", what, "train both for the same horizon and candles")


def _mean(covered: F8 | None) -> float | None:
    return None if covered is None else float(np.nanmean(covered))
