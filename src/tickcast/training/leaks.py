"""Which features know the future: told by what they are made of, and by what they know too well.

- Structure: the input is cut off at a moment, the stages run on what is left, and every row up to that moment must be
  the very row of the full run, bit for bit. A value that differs saw something later.
- Statistics: a feature is held against what came of its row and against what had come of it by then: the outcome of a
  horizon ago. What has to do with the future much more than with the past, or tells the classes apart without fault,
  is not a forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.clock import utc_text
from tickcast.training.contract import F8, Dataset
from tickcast.training.labels import horizon_ms
from tickcast.training.rows import Rows

Recompute = Callable[[str, int], Rows | None]
"""For a key and a time: the rows that the stages make of what ended by then; None where nothing did."""

PERFECT = 0.98
"""From this strength on (2 AUC - 1, or a rank correlation) a feature is no forecast, unless it knew the past nearly as
well: after a market that stood still, anything tells which hours were which."""
STRONG, MARGIN = 0.3, 0.15
"""A feature that is this strong, and so much stronger for the future than for the past, is reported."""
ROWS_MIN = 200


class Leak(msgspec.Struct, frozen=True):
    """A feature that knows the future, and how it shows."""

    feature: str
    how: str
    """`structure` or `statistics`."""
    what: str


class LeakReport(msgspec.Struct, frozen=True):
    """What was looked at and what was found."""

    leaks: tuple[Leak, ...]
    features: int
    moments: int
    """How often the input was cut off."""
    rows: int
    """Rows that were compared with those of a cut input."""
    unchecked: tuple[str, ...] = ()
    """Features that the recomputation does not give."""

    @property
    def sentence(self) -> str:
        """What was found, in one line."""
        looked = f"{self.features} features, {self.rows:,} rows compared at {self.moments} moments"
        if not self.leaks:
            return f"no feature knows the future ({looked})"
        told = "; ".join(f"{leak.feature} ({leak.how}: {leak.what})" for leak in self.leaks)
        return f"{len({leak.feature for leak in self.leaks})} features know the future: {told} ({looked})"


def find_leaks(dataset: Dataset, recompute: Recompute | None = None, *, moments: int = 6, seed: int = 0) -> LeakReport:
    """Look for features that know the future; without `recompute` by statistics alone."""
    structural: list[Leak] = []
    compared, cut, given = 0, 0, set(dataset.names)
    if recompute is not None and len(dataset):
        chance = np.random.default_rng(seed)
        for place in np.sort(chance.choice(len(dataset), min(moments, len(dataset)), replace=False)).tolist():
            key, until_ms = int(dataset.key[place]), int(dataset.timestamp_ms[place])
            again = recompute(dataset.keys[key], until_ms)
            if again is None or not len(again.features["timestamp_ms"]):
                continue
            cut += 1
            given &= again.features.keys()
            count, found = _differences(dataset, key, until_ms, again)
            compared += count
            known = {leak.feature for leak in structural}
            structural += [leak for leak in found if leak.feature not in known]
    return LeakReport(
        leaks=(*structural, *_suspicious(dataset)),
        features=len(dataset.names),
        moments=cut,
        rows=compared,
        unchecked=tuple(name for name in dataset.names if name not in given)
        if recompute is not None
        else dataset.names,
    )


def _differences(dataset: Dataset, key: int, until_ms: int, again: Rows) -> tuple[int, list[Leak]]:
    """Compare a key's rows up to a moment with those made of a cut input."""
    ours = np.flatnonzero((dataset.key == key) & (dataset.timestamp_ms <= until_ms))
    times = dataset.timestamp_ms[ours]
    theirs = np.minimum(again.features["timestamp_ms"].searchsorted(times), len(again.features["timestamp_ms"]) - 1)
    both = again.features["timestamp_ms"][theirs] == times
    found = []
    for place, name in enumerate(dataset.names):
        if name not in again.features:
            continue
        full, alone = dataset.features[ours[both], place], again.features[name][theirs[both]]
        other = np.flatnonzero((full != alone) & ~(np.isnan(full) & np.isnan(alone)))
        if len(other):
            at = other[-1]
            found.append(
                Leak(
                    name,
                    "structure",
                    f"at {utc_text(int(times[both][at]))} it is {full[at]:g}, and {alone[at]:g} where nothing after "
                    f"{utc_text(until_ms)} is known; {len(other):,} rows differ",
                )
            )
    return int(both.sum()), found


def _suspicious(dataset: Dataset) -> list[Leak]:
    """Features that know what comes better than what came."""
    outcomes = {"the label": dataset.labels, "the volatility to come": dataset.realised}
    if dataset.task.sort == "regression":
        outcomes["the size of the move"] = np.abs(dataset.labels)
    before = _a_horizon_ago(dataset)
    if int((before >= 0).sum()) < ROWS_MIN:
        return []
    kept = before >= 0
    found: dict[str, Leak] = {}
    for what, future in outcomes.items():
        past = future[before[kept]]
        classes = what == "the label" and dataset.task.sort == "classification"
        for place, name in enumerate(dataset.names):
            column = dataset.features[kept, place]
            ahead, behind = (abs(_strength(column, one, classes)) for one in (future[kept], past))
            perfect = ahead > PERFECT and 1.0 - ahead < (1.0 - behind) / 2.0
            if name not in found and (perfect or (ahead > STRONG and ahead > behind + MARGIN)):
                measure = "tells apart" if classes else "follows"
                told = (
                    f"it {measure} {what} with strength {ahead:.2f}, and what had come of it by then with {behind:.2f}"
                )
                found[name] = Leak(name, "statistics", told)
    return list(found.values())


def _a_horizon_ago(dataset: Dataset) -> NDArray[np.int64]:
    """For each row, the row of the same key whose outcome was just known; -1 where there is none."""
    back_ms = horizon_ms(dataset.task, dataset.candle_seconds)
    found = np.full(len(dataset), -1, dtype=np.int64)
    for key in range(len(dataset.keys)):
        rows = np.flatnonzero(dataset.key == key)
        times = dataset.timestamp_ms[rows]
        at = np.minimum(times.searchsorted(times - back_ms), max(len(rows) - 1, 0))
        there = times[at] == times - back_ms
        found[rows[there]] = rows[at[there]]
    return found


def _strength(column: F8, outcome: F8, classes: bool) -> float:
    """From -1 to 1: 2 AUC - 1 for classes, else the rank correlation; rows where either is not known do not count."""
    known = ~(np.isnan(column) | np.isnan(outcome))
    if int(known.sum()) < ROWS_MIN:
        return 0.0
    ranks, values = _ranks(column[known]), outcome[known]
    if classes:
        above = values > 0.5
        ups, downs = int(above.sum()), int((~above).sum())
        if not ups or not downs:
            return 0.0
        return 2.0 * (float(ranks[above].sum()) - ups * (ups + 1) / 2.0) / (ups * downs) - 1.0
    others = _ranks(values)
    spread = float(ranks.std() * others.std())
    return float(((ranks - ranks.mean()) * (others - others.mean())).mean()) / spread if spread else 0.0


def _ranks(column: F8) -> F8:
    """Ranks from 1; equal values share their middle.

    >>> _ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: F8 = (last - (counts - 1) / 2.0)[inverse]
    return ranks


def cut_at(rows: Rows, until_ms: int) -> Rows:
    """The candles that had ended by a time, without features: what a recomputation begins with."""
    kept = rows.candles["window_end_ms"] <= until_ms
    return rows._replace(candles={name: column[kept] for name, column in rows.candles.items()}, features={})


def remade(parts: Sequence[Rows], stages: Callable[[Rows], Rows | None]) -> Recompute:
    """A recomputation from rows in memory: `stages` makes features of candles that were cut off at a time."""
    by_key = {one.key: one for one in parts}

    def recompute(key: str, until_ms: int) -> Rows | None:
        cut = cut_at(by_key[key], until_ms)
        return stages(cut) if len(cut.candles["window_end_ms"]) else None

    return recompute
