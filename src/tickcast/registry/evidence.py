"""What a model forecast on rows that it had not learned from, and what came: the file `evaluation.parquet` of a bundle.

Two such files are paired on the rows that both have, by time and key, so that a hard day counts for both alike.
"""

from __future__ import annotations

import io
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tickcast.errors import BundleError
from tickcast.training.contract import F8, I8, Task

COLUMNS = ("timestamp_ms", "key", "label", "forecast", "naive", "lower", "upper", "covered", "missing")


class Forecasts(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the walk-forward test, of all its folds; NaN where a column means nothing."""

    timestamp_ms: I8
    key: NDArray[Any]
    """`exchange:pair`, as text."""
    label: F8
    forecast: F8
    naive: F8
    """What the baseline of the task said of the same row."""
    lower: F8
    upper: F8
    covered: F8
    """1.0 where the interval held the outcome, 0.0 where it did not."""
    missing: F8
    """The share of inputs that were not known in the row."""


class Paired(msgspec.Struct, frozen=True):
    """Losses of the same rows, in the order of time; what the gate judges by. None: there is none, or not measured."""

    timestamp_ms: I8
    challenger: F8
    naive: F8
    champion: F8 | None = None
    covered: F8 | None = None
    champion_covered: F8 | None = None
    latency_us: F8 | None = None
    missing: float | None = None
    """The share of inputs that were not known, or of forecasts that were withheld."""

    def __len__(self) -> int:
        return len(self.timestamp_ms)

    def but(self, **changes: Any) -> Paired:
        """The same with some columns changed."""
        return msgspec.structs.replace(self, **changes)


def write(forecasts: Forecasts) -> bytes:
    """The file's bytes; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    order = np.lexsort((forecasts.key, forecasts.timestamp_ms))
    table = pa.table({name: pa.array(getattr(forecasts, name)[order]) for name in COLUMNS})
    held = io.BytesIO()
    pq.write_table(table, held, compression="zstd", compression_level=3)
    return held.getvalue()


def read(raw: bytes, where: str) -> Forecasts:
    """The rows of a file, or BundleError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(raw), columns=list(COLUMNS))
        columns = {name: table[name].to_numpy() for name in COLUMNS}
        floats = {name: columns[name].astype(np.float64) for name in COLUMNS[2:]}
        times, keys = columns["timestamp_ms"].astype(np.int64), columns["key"].astype(str)
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as exc:
        told = str(exc).partition("\n")[0].rstrip(".") or type(exc).__name__
        raise BundleError(where, f"holds no forecasts that can be read ({told})", "train again") from exc
    if len(times) == 0 or not all(np.isfinite(floats[name]).all() for name in ("label", "forecast", "naive")):
        raise BundleError(where, "holds no forecasts, or some that are no numbers", "train again")
    if len(set(zip(times.tolist(), keys.tolist(), strict=True))) < len(times):
        raise BundleError(where, "holds forecasts of one row twice, so they prove nothing", "train again")
    return Forecasts(timestamp_ms=times, key=keys, **floats)


def losses(task: Task, label: F8, forecast: F8) -> F8:
    """Squared errors of returns, the log loss of probabilities."""
    from tickcast.scores.point import squared_losses
    from tickcast.scores.probability import log_losses

    if len(label) == 0:
        return np.empty(0)
    return (squared_losses if task.sort == "regression" else log_losses)(label, forecast)


def alone(task: Task, found: Forecasts) -> Paired:
    """A model beside the naive one."""
    return Paired(
        found.timestamp_ms,
        losses(task, found.label, found.forecast),
        losses(task, found.label, found.naive),
        covered=known(found.covered),
        missing=_share(found.missing),
    )


def pair(task: Task, challenger: Forecasts, champion: Forecasts, where: str) -> Paired:
    """Both on the rows that both have; BundleError where these have different truths."""
    mine, theirs = common(challenger, champion)
    apart = int((~np.isclose(challenger.label[mine], champion.label[theirs], rtol=1e-9, atol=1e-12)).sum())
    if apart:
        what = f"and the champion were tested on other truths: {apart:,} of {len(mine):,} common rows differ"
        raise BundleError(where, what, "train both with the same settings, or let both run live")
    one = alone(task, take(challenger, mine))
    return one.but(
        champion=losses(task, champion.label[theirs], champion.forecast[theirs]),
        champion_covered=known(champion.covered[theirs]),
    )


def common(one: Forecasts, two: Forecasts) -> tuple[I8, I8]:
    """The places of the rows that both have, in the order of time."""
    keys = {key: place for place, key in enumerate(sorted({*one.key.tolist(), *two.key.tolist()}))}

    def marks(of: Forecasts) -> I8:
        places = np.array([keys[key] for key in of.key.tolist()], dtype=np.int64)
        return of.timestamp_ms * len(keys) + places

    _, mine, theirs = np.intersect1d(marks(one), marks(two), return_indices=True)
    return mine, theirs


def take(found: Forecasts, rows: I8) -> Forecasts:
    """Some of the rows."""
    return Forecasts(**{name: getattr(found, name)[rows] for name in COLUMNS})


def known(covered: F8) -> F8 | None:
    """Whether the intervals held, or None where there were none."""
    return None if np.isnan(covered).all() else covered


def _share(missing: F8) -> float | None:
    return None if np.isnan(missing).all() else float(np.nanmean(missing))
