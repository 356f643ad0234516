"""Rows into equal spans of time, for plots that must not show more than they can and must not hide extremes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tickcast.training.contract import F8, I8, Dataset
from tickcast.training.evaluation import Forecasts

ROWS_MIN = 20
"""A share of fewer rows than this is not drawn."""


class Buckets(NamedTuple):
    """Which span each row is in; spans without rows give NaN."""

    place: I8
    rows: I8
    middle_ms: F8
    span_ms: float

    def mean(self, values: F8, rows_min: int = 1) -> F8:
        """The mean of each span."""
        sums = np.bincount(self.place, values, minlength=len(self.rows))
        return np.where(self.rows >= rows_min, sums / np.maximum(self.rows, 1), math.nan)

    def extremes(self, values: F8) -> tuple[F8, F8]:
        """The lowest and the highest of each span."""
        low, high = np.full((2, len(self.rows)), math.nan)
        np.fmin.at(low, self.place, values)
        np.fmax.at(high, self.place, values)
        return low, high


def buckets(times: I8, spans: int) -> Buckets:
    """Equal spans from the first moment to the last.

    >>> buckets(np.array([0, 1, 8, 9]), 3).rows.tolist()
    [2, 0, 2]
    """
    first, last = int(times.min()), int(times.max())
    span = max((last - first) / spans, 1.0)
    place = np.minimum(((times - first) / span).astype(np.int64), spans - 1)
    middle = first + (np.arange(spans) + 0.5) * span
    return Buckets(place, np.bincount(place, minlength=spans), np.asarray(middle), span)


def inside(dataset: Dataset, said: Forecasts) -> F8:
    """Whether what came lies within the bounds, as 1 and 0; NaN without bounds."""
    truth = dataset.labels[said.rows]
    held = ((truth >= said.lower) & (truth <= said.upper)).astype(np.float64)
    held[~np.isfinite(said.lower + said.upper)] = math.nan
    return held


def span_text(span_ms: float) -> str:
    """A span for people.

    >>> span_text(90 * 60_000), span_text(36 * 3_600_000)
    ('90 min', '36 h')
    """
    minutes = span_ms / 60_000
    return f"{minutes:.0f} min" if minutes < 180 else f"{minutes / 60:.0f} h"
