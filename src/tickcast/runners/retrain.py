"""Learning again: what is due is trained as its predecessor was; a challenger, and champion by the gate alone.

    due? ─→ rows up to the cut ─→ train ─→ shelf, MLflow ─→ challenger ─→ gate ─→ champion

It may be killed anywhere: a bundle is on the shelf whole or not at all, a search goes on where it stopped, and what
else was begun lies in one folder, which the next one empties.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import msgspec

from tickcast.config import Settings
from tickcast.errors import BundleError, BusyError, TickcastError, TrainingError
from tickcast.filelock import try_lock
from tickcast.registry import audit
from tickcast.registry.manifest import Content, Manifest
from tickcast.registry.promote import promote
from tickcast.registry.shelf import Shelf
from tickcast.registry.tracking import tracker_for
from tickcast.runners import training
from tickcast.runners.ask import ask
from tickcast.runners.datadir import flow_of
from tickcast.runners.schedule import Due, Reach, due
from tickcast.runners.training import Bar, Told
from tickcast.sources.venues.names import plan_pairs
from tickcast.store.schema import quoted
from tickcast.training.contract import Task, TaskName
from tickcast.training.models.table import DEFAULT, KINDS, kind

WORK, LOCK_FILE, SCRATCH = ".retraining", "lock", "tmp"
NOTE = "retrained"
CHALLENGERS = 3
"""So many run beside the champion at most; an older one goes."""
KEPT = 10
"""Bundles of retraining that are kept beside champions, former ones and challengers; older ones are deleted."""
USUAL_SECONDS = 60
_VERDICTS = ("promoted", "refused", "forced")
STUDY_BYTES_MAX = 16 << 20
"""A study that was never brought to its end begins anew beyond this."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one task."""

    task: str
    due: bool
    sentence: str
    wait_s: float | None = None
    """How much of the market's time is to pass before it is worth asking again; None: for ever."""
    version: str = ""
    hash: str = ""
    promoted: bool = False
    error: str = ""
    notes: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True):
    """What is to be learned: the predecessor's question again, or the usual one."""

    task: Task
    candle_seconds: int
    keys: tuple[tuple[str, str], ...]
    newest_ms: int | None
    """The end of the predecessor's data."""


def check(settings: Settings) -> None:
    """Refuse what can not be trained before anything is started."""
    for name in settings.retrain_models:
        if name != "all":
            kind(name)


def models_for(names: Sequence[str], task: TaskName) -> list[str]:
    """Those of the named models that learn the task; the usual one where none does.

    >>> models_for(("ridge", "logistic"), "price"), models_for((), "price")
    (['ridge'], ['ridge'])
    """
    if "all" in names:
        return training.names_of("all", task, "")
    fitting = [name for name in names if name in KINDS and task in kind(name).tasks]
    return training.names_of(",".join(fitting), task, DEFAULT[task])


def retrain(
    settings: Settings,
    shelf: Shelf,
    *,
    regardless: bool = False,
    promoting: bool = False,
    seed: int = 0,
    tracking: bool = True,
    told: Told = lambda text: None,
    bar: Bar = lambda what, done, of: None,
) -> list[Outcome]:
    """Train each configured task that is due, or all; a task that fails does not keep the next from its turn."""
    check(settings)
    outcomes = []
    with alone(settings.models) as work:
        for name in dict.fromkeys(settings.retrain_tasks):
            try:
                asked = question(settings, shelf, cast(TaskName, name))
                there = reach(settings, asked)
                found = due(asked.newest_ms, there, settings.retrain_hours)
                outcome = Outcome(
                    task=name, due=False, sentence=f"{name} is not due: {found.why}", wait_s=_known(found)
                )
                made: Manifest | None = None
                if found.is_due or regardless:
                    given = _train(settings, shelf, asked, found, work, seed, tracking, told, bar)
                    made = given.manifest
                    outcome = _judged(shelf, made, given.notes, settings, promoting, tracking)
                elif made := left_unjudged(shelf, name, promoting):
                    told(f"{name}: {made.version} was trained and never judged to the end, and is taken up")
                    _forget(work / training.STUDIES, name)
                    outcome = _judged(shelf, made, [], settings, promoting, tracking)
                if made:
                    rest = due(made.content.to_ms, there, settings.retrain_hours)
                    outcome = msgspec.structs.replace(outcome, wait_s=_known(rest))
            except TickcastError as exc:
                outcome = Outcome(task=name, due=True, sentence=f"{name} was not trained: {exc}", error=str(exc))
            outcomes.append(outcome)
    return outcomes


def _known(found: Due) -> float | None:
    return None if found.wait_s == float("inf") else found.wait_s


@contextmanager
def alone(models: Path) -> Iterator[Path]:
    """A folder to work in, for one retraining at a time; what killed ones have left there is taken away."""
    work = models / WORK
    scratch, before = work / SCRATCH, tempfile.tempdir
    work.mkdir(parents=True, exist_ok=True)
    handle = os.open(work / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not try_lock(handle):
            raise BusyError(str(models), "is being retrained by another process, so nothing was trained", "wait for it")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        for study in (work / training.STUDIES).glob("*.journal"):
            if study.stat().st_size > STUDY_BYTES_MAX:
                study.unlink()
        tempfile.tempdir = str(scratch.absolute())
        yield work
    finally:
        tempfile.tempdir = before
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(handle)


def question(settings: Settings, shelf: Shelf, task: TaskName) -> Question:
    """The newest bundle's question again, over the pairs that are configured now."""
    shelf.aliases(task)  # if these can not be read, nothing is trained that nobody could use
    flow = flow_of(settings.data_dir) or settings.flow
    told = _newest(shelf, task)
    usual = USUAL_SECONDS if USUAL_SECONDS in flow.candle_seconds else max(flow.candle_seconds)
    if told is None or told.candle_seconds not in flow.candle_seconds:
        asked = training.wanted(task, settings)
        return Question(asked.task, usual, _keys(settings), None if told is None else told.to_ms)
    return Question(told.task, told.candle_seconds, _keys(settings), told.to_ms)


def _newest(shelf: Shelf, task: str) -> Content | None:
    """What the newest bundle that can be read tells of itself."""
    for version in reversed(shelf.versions(task)):
        try:
            return shelf.manifest(task, version).content
        except BundleError:  # a damaged one is no reason never to learn again; `models list` shows it
            continue
    return None


def _keys(settings: Settings) -> tuple[tuple[str, str], ...]:
    """The configured pairs that have rows; all that have some where none is configured."""
    answer = ask(settings.data_dir, "SELECT DISTINCT exchange, pair FROM features ORDER BY ALL", limit=100_000)
    held = [(str(row[0]), str(row[1])) for row in answer.rows]
    if settings.pairs:
        named = [pair.partition(":")[0] for pair in settings.pairs if ":" in pair]
        plan = plan_pairs(settings.exchange or ",".join(dict.fromkeys(named)), settings.pairs)
        held = [key for key in held if key[1] in plan.get(key[0], ())]
    elif settings.exchange:
        held = [key for key in held if key[0] in settings.exchange.split(",")]
    return tuple(held)


def reach(settings: Settings, asked: Question) -> Reach:
    """How far the rows of a question reach."""
    if not asked.keys:
        return Reach(0, 0, 0, asked.candle_seconds)
    of_keys = " OR ".join(f"(exchange = {quoted(one)} AND pair = {quoted(pair)})" for one, pair in asked.keys)
    new = f"FILTER (timestamp_ms > {0 if asked.newest_ms is None else asked.newest_ms})"
    sql = f"SELECT max(timestamp_ms), count(*) {new} FROM features WHERE candle_seconds = {asked.candle_seconds}"
    last_ms, rows = ask(settings.data_dir, f"{sql} AND ({of_keys})").rows[0]
    return Reach(int(last_ms or 0), int(rows), len(asked.keys), asked.candle_seconds)


def _train(
    settings: Settings,
    shelf: Shelf,
    asked: Question,
    found: Due,
    work: Path,
    seed: int,
    tracking: bool,
    told: Told,
    bar: Bar,
) -> training.Trained:
    """One training over the sliding window that ends at the cut."""
    name = asked.task.name
    if not asked.keys:
        raise TrainingError("training data", "holds no feature rows of the configured pairs", "collect or import some")
    told(f"{name}: {found.why if found.is_due else 'is trained as you asked, due or not'}")
    wanted = training.wanted(
        name,
        settings,
        asked.task.horizon_seconds,
        keys=asked.keys,
        candle_seconds=asked.candle_seconds,
        until_ms=found.until_ms,
    )
    studies = work / training.STUDIES
    try:
        made = training.train(
            wanted, models_for(settings.retrain_models, name), shelf, seed=seed, told=told, bar=bar, note=NOTE,
            studies=studies,
        )  # fmt: skip
    finally:  # whoever is killed does not come here, and goes on with the search
        _forget(studies, name)
    if tracking:
        made.notes.extend(training.tracked(made, settings))
    return made


def _forget(studies: Path, task: str) -> None:
    """Searches that are through."""
    for left in studies.glob(f"{task}-*"):
        left.unlink(missing_ok=True)


def left_unjudged(shelf: Shelf, task: str, promoting: bool) -> Manifest | None:
    """The newest bundle of a retraining that was killed after it was on the shelf and before all was done with it."""
    newest = shelf.newest(task)
    try:
        made = None if newest is None else shelf.manifest(task, newest)
    except BundleError:
        return None
    if made is None or made.note != NOTE:
        return None
    entries = [entry for entry in audit.read(shelf.root).entries if entry.task == task]
    beside = any(entry.action == "aliased" and made.version in entry.version_to.split(", ") for entry in entries)
    judged = any(entry.version_to == made.version and entry.action in _VERDICTS for entry in entries)
    return None if judged or (beside and not promoting) else made


def _judged(
    shelf: Shelf, made: Manifest, said: Sequence[str], settings: Settings, promoting: bool, tracking: bool
) -> Outcome:
    """A challenger from now on; champion if it is asked for and the gate says so."""
    task, version = made.task, made.version
    beside = [old for old in shelf.aliases(task).challengers if old in shelf.versions(task)]
    shelf.challenge(task, tuple(dict.fromkeys((version, *beside)))[:CHALLENGERS], NOTE)
    sentence, promoted = f"{task} {version} was trained and is a challenger", False
    if promoting:
        found = promote(shelf, task, version, flow=flow_of(settings.data_dir) or settings.flow)
        promoted = found.promoted
        sentence = (
            f"{task} {version} was trained and is champion" if promoted else f"{sentence}: {found.verdict.sentence}"
        )
    notes = [*said, *tidy(shelf, task)]
    if tracking and (fault := tracker_for(settings).follow(task, shelf.aliases(task))):
        notes.append(fault)
    return Outcome(
        task=task, due=True, sentence=sentence, version=version, hash=made.hash, promoted=promoted, notes=tuple(notes)
    )


def tidy(shelf: Shelf, task: str) -> list[str]:
    """Delete the oldest bundles of retraining that nobody needs; what served, serves or runs beside it stays."""
    aliases = shelf.aliases(task)
    needed = {aliases.champion, *aliases.challengers}
    needed |= set(audit.champions(audit.read(shelf.root).entries, task, aliases.champion))
    spare = []
    for version in shelf.versions(task):
        try:
            if version not in needed and shelf.manifest(task, version).note == NOTE:
                spare.append(version)
        except BundleError:  # what is damaged is looked at by people
            continue
    gone = spare[:-KEPT]
    for version in gone:
        shelf.delete(task, version, f"the oldest of more than {KEPT} retrained ones that nobody needs")
    return [f"deleted {task} {version}, one of more than {KEPT} retrained ones that nobody needs" for version in gone]
