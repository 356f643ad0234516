"""What every score asks of its rows, once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickcast.errors import DataError

F8 = NDArray[np.float64]
ROWS_MIN = 30
"""With fewer rows than this no test and no bootstrap is made: the answer says so."""


def aligned(where: str, **columns: ArrayLike) -> tuple[F8, ...]:
    """The columns as floats; refused unless they are of one length, have rows, and all of their numbers are finite.

    >>> aligned("MAE", truth=[1, 2], forecast=[1.5, 2.5])[1].tolist()
    [1.5, 2.5]
    """
    made = {name: np.ascontiguousarray(column, dtype=np.float64) for name, column in columns.items()}
    sizes = {name: column.shape for name, column in made.items()}
    if len(set(sizes.values())) > 1 or len(next(iter(sizes.values()))) != 1:
        told = ", ".join(f"{name} {shape}" for name, shape in sizes.items())
        raise DataError(where, f"its columns differ in their rows ({told})", "score the forecasts of the same rows")
    for name, column in made.items():
        if not len(column):
            raise DataError(where, "there is no row to score", "score at least one forecast that has matured")
        strange = ~np.isfinite(column)
        if strange.any():
            first = int(np.argmax(strange))
            what = f"{name} is {column[first]} in row {first} ({int(strange.sum())} such rows)"
            raise DataError(where, what, "leave out rows without a forecast or an outcome, and count them")
    return tuple(made.values())


def outcomes(where: str, outcome: ArrayLike, probability: ArrayLike) -> tuple[F8, F8]:
    """Outcomes of 0 and 1 beside probabilities from 0 to 1.

    >>> outcomes("Brier", [True, False], [0.7, 0.2])[0].tolist()
    [1.0, 0.0]
    """
    truth, said = aligned(where, outcome=outcome, probability=probability)
    for name, wrong, column in (
        ("outcome", (truth != 0.0) & (truth != 1.0), truth),
        ("probability", (said < 0.0) | (said > 1.0), said),
    ):
        if wrong.any():
            first = int(np.argmax(wrong))
            what = f"{name} is {column[first]} in row {first}"
            raise DataError(where, what, "give outcomes as 0 or 1 and probabilities from 0 to 1")
    return truth, said


def skill(loss: float, baseline_loss: float) -> float | None:
    """`1 - loss / baseline loss`; None where the baseline lost nothing, so that no share of it can be saved.

    >>> skill(0.75, 1.0), skill(0.0, 0.0)
    (0.25, None)
    """
    return None if baseline_loss == 0.0 else 1.0 - loss / baseline_loss


def mean(column: NDArray[Any]) -> float:
    """The mean as a plain number."""
    return float(np.mean(column))
