"""Columns that follow from other columns of the same row: what wanders with the price, made comparable."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.features.names import CANDLE, MEMORY, RELATIVE, TICK, TIME, TRAILING
from tickcast.features.volatility import RATE_FLOOR, THRESHOLD_FLOOR
from tickcast.kernels import kernel, warms

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_KINDS = ("log", "rate", "ratio", "share", "place")
_LOG, _RATE, _RATIO, _SHARE, _PLACE = range(5)
_NAN = float("nan")


class Layout(NamedTuple):
    """Where the parts of a row stand, and what its last columns are made of."""

    indicators: slice
    held: slice
    """What a row that is issued again has from its first time: the tick, and what trails the market."""
    trailing: slice
    memory: slice
    rows: int
    """All but the time's."""
    operations: Ints
    """One row a column: its kind, where it goes, and the columns it is made of."""

    @classmethod
    def of(cls, names: tuple[str, ...]) -> Layout:
        """The layout of feature names, as `names.feature_names` orders them."""
        held, trailing = names.index(TICK[0]), names.index(TRAILING[0])
        memory, relative = names.index(MEMORY[0]), names.index(next(iter(RELATIVE)))
        operations = np.zeros((len(RELATIVE), 5), np.int64)
        for row, (name, (kind, *parts)) in enumerate(RELATIVE.items()):
            operations[row, :2] = _KINDS.index(kind), names.index(name)
            operations[row, 2 : 2 + len(parts)] = [names.index(part) for part in parts]
        return cls(
            slice(len(CANDLE), held), slice(held, memory), slice(trailing, memory), slice(memory, relative),
            len(names) - len(TIME), operations,
        )  # fmt: skip


@kernel
def relate(values: Floats, operations: Ints, horizon_root: float) -> None:
    """Write the relative columns; what can not be divided, or has no logarithm, is NaN, and nothing is infinite."""
    for line in range(len(operations)):
        kind, into, a, b, c = operations[line]
        for row in range(values.shape[1]):
            first, value = values[a, row], _NAN
            if kind == _LOG:
                value = math.log(first + THRESHOLD_FLOOR)
            elif kind == _RATE:
                value = first - math.log(values[b, row] / horizon_root + RATE_FLOOR)
            elif kind == _RATIO:
                if first > 0.0 and values[b, row] > 0.0:
                    value = math.log(first / values[b, row])
            else:
                base = values[b, row] if kind == _PLACE else 0.0
                whole = values[c, row] - base if kind == _PLACE else values[b, row]
                if whole != 0.0:
                    value = (first - base) / whole
            values[into, row] = value if math.isfinite(value) else _NAN


@warms
def _warm() -> None:
    relate(np.ones((2, 1)), np.zeros((1, 5), np.int64), 1.0)
