"""Resamples of rows in blocks: how often each row is drawn, from a seed alone, the same with any library's version."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tickcast.kernels import kernel, warms
from tickcast.scores.rows import F8

I4 = NDArray[np.int32]
I8 = NDArray[np.int64]
U8 = NDArray[np.uint64]

_STEP, _MIX_A, _MIX_B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 2.0**-53


@kernel
def _uniform(state: U8) -> float:
    """The next number in [0, 1): SplitMix64."""
    state[0] += _STEP
    z = state[0]
    z = (z ^ (z >> _S30)) * _MIX_A
    z = (z ^ (z >> _S27)) * _MIX_B
    return float((z ^ (z >> _S31)) >> _S11) * _UNIT


@kernel
def _draw(state: U8, block: float, varying: bool, counts: I4) -> None:
    """Fill in how often each row is drawn, in blocks that go on at the first row after the last, all rows in number.

    `varying`: lengths are geometric with the mean `block` (stationary bootstrap); else all are `block` (circular).
    """
    rows = len(counts)
    counts[:] = 0
    stay = math.log(1.0 - 1.0 / block) if block > 1.0 else 0.0
    left = rows
    while left > 0:
        start = int(_uniform(state) * rows)
        length = int(block)
        if varying:
            length = 1
            if block > 1.0:
                length = 1 + int(min(math.log(1.0 - _uniform(state)) / stay, float(rows)))
        length = min(length, left)
        left -= length
        for place in range(start, min(start + length, rows)):
            counts[place] += 1
        for place in range(start + length - rows):
            counts[place] += 1


@kernel
def _means(values: F8, block: float, varying: bool, state: U8, out: F8) -> None:
    counts = np.empty(len(values), np.int32)
    for resample in range(len(out)):
        _draw(state, block, varying, counts)
        total = 0.0
        for row in range(len(values)):
            total += counts[row] * values[row]
        out[resample] = total / len(values)


@kernel
def _precision(order: I4, last: NDArray[np.bool_], truth: F8, counts: I4) -> float:
    """Average precision of rows that count `counts` times; `order`: highest first; `last`: of its probability."""
    hits, alarms, seen, total = 0.0, 0.0, 0.0, 0.0
    for place in range(len(order)):
        row = order[place]
        hits += counts[row] * truth[row]
        alarms += counts[row]
        if last[place] and hits > seen:
            total += (hits - seen) * hits / alarms
            seen = hits
    return total / hits if hits > 0.0 else math.nan


@kernel
def _precisions(
    order: I4,
    last: NDArray[np.bool_],
    base_order: I4,
    base_last: NDArray[np.bool_],
    truth: F8,
    block: float,
    varying: bool,
    state: U8,
    out: F8,
) -> None:
    counts = np.empty(len(truth), np.int32)
    for resample in range(len(out)):
        _draw(state, block, varying, counts)
        model = _precision(order, last, truth, counts)
        out[resample] = model - _precision(base_order, base_last, truth, counts)


def _state(seed: int) -> U8:
    return np.array([seed % 2**64], dtype=np.uint64)


def resampled_counts(rows: int, *, seed: int, block: float, varying: bool, resamples: int) -> I4:
    """How often each row is drawn in each resample; the same draws as the other functions here make.

    >>> resampled_counts(5, seed=1, block=2, varying=False, resamples=3).sum(axis=1).tolist()
    [5, 5, 5]
    """
    out, state = np.empty((resamples, rows), np.int32), _state(seed)
    for counts in out:
        _draw(state, float(block), varying, counts)
    return out


def resampled_means(values: F8, *, seed: int, block: float, varying: bool, resamples: int) -> F8:
    """The mean of each resample."""
    out = np.empty(resamples)
    _means(np.ascontiguousarray(values), float(block), varying, _state(seed), out)
    return out


def _falling(probability: F8) -> tuple[I4, NDArray[np.bool_]]:
    order = np.argsort(-probability, kind="stable").astype(np.int32)
    last = np.append(np.diff(probability[order]) != 0.0, True)
    return order, last


def resampled_precision_gains(
    truth: F8, probability: F8, baseline: F8, *, seed: int, block: float, varying: bool, resamples: int
) -> F8:
    """The gain in average precision of each resample; NaN where a resample drew no one."""
    out = np.empty(resamples)
    model, base = _falling(probability), _falling(baseline)
    _precisions(*model, *base, np.ascontiguousarray(truth), float(block), varying, _state(seed), out)
    return out


@warms
def _warm() -> None:
    few = np.array([1.0, 0.0])
    resampled_counts(2, seed=1, block=1, varying=True, resamples=1)
    resampled_means(few, seed=1, block=1, varying=True, resamples=1)
    resampled_precision_gains(few, few, few, seed=1, block=1, varying=True, resamples=1)
