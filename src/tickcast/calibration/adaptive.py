"""Intervals that learn from their misses: adaptive conformal inference over the last scores that came true.

    threshold = the (1 - alpha) quantile of the last `window` scores        (score = |return - mean| / sigma)
    alpha += gamma * ((1 - level) - missed)                                 when an outcome is known

An outcome is known a horizon after its forecast, and changes only what is forecast from then on. A miss is counted
against the threshold of its own forecast, not against today's. While alpha is not cut, the share of misses in the
first T outcomes is within `(max(alpha_1, 1 - alpha_1) + gamma) / (gamma T)` of `1 - level`, whatever the market does
(Gibbs and Candès 2021; with outcomes that are late by d forecasts, gamma counts d times more). The cut keeps the
intervals finite, and gives that promise up for the time for which alpha lies on it.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tickcast.errors import DataError
from tickcast.kernels import kernel, warms
from tickcast.snapshot import pack, unpack

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

SNAPSHOT_VERSION = 1
SEEDS_MAX = 2000
"""As many calibration scores as a bundle keeps."""
_GOLDEN = 0.6180339887498949


@kernel
def _threshold(ordered: F8, count: int, alpha: float) -> float:
    """The score at rank ceil((count + 1)(1 - alpha)), at most the largest one."""
    if alpha <= 0.0 or count == 0:
        return math.inf
    if alpha >= 1.0:
        return -1.0
    at = math.ceil((count + 1) * (1.0 - alpha) * (1.0 - 1e-12))
    return float(ordered[min(max(at, 1), count) - 1])


@kernel
def _place(ordered: F8, count: int, score: float) -> int:
    """Before how many scores lie that are below this one."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < score:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _mature(ring: F8, ordered: F8, places: I8, alpha: F8, score: float, missed: bool, rule: F8) -> None:
    """Take one score in, the oldest out where all places are taken, and move alpha.

    `places`: where the next score goes, and how many there are; `rule`: 1 - level, gamma, lowest and highest alpha.
    """
    at, count = places
    if count == len(ring):
        gone = _place(ordered, count, ring[at])
        for place in range(gone, count - 1):
            ordered[place] = ordered[place + 1]
        count -= 1
    to = _place(ordered, count, score)
    for place in range(count, to, -1):
        ordered[place] = ordered[place - 1]
    ordered[to] = score
    ring[at] = score
    places[0], places[1] = (at + 1) % len(ring), count + 1
    alpha[0] = min(max(alpha[0] + rule[1] * (rule[0] - (1.0 if missed else 0.0)), rule[2]), rule[3])


@kernel
def _run(
    at_ms: I8,
    due_ms: I8,
    following: I8,
    pending: I8,
    key: I8,
    scores: F8,
    rings: F8,
    ordered: F8,
    places: I8,
    alphas: F8,
    rule: F8,
    out: F8,
) -> None:
    for row in range(len(scores)):
        k = key[row]
        while pending[k] != row and due_ms[pending[k]] <= at_ms[row]:
            due = pending[k]
            missed = scores[due] > out[due]
            _mature(rings[k], ordered[k], places[k], alphas[k], scores[due], missed, rule)
            pending[k] = following[due]
        out[row] = _threshold(ordered[k], places[k, 1], alphas[k, 0])


class State:
    """What is known of one key: its last scores, in order of maturity and of size, and its alpha."""

    __slots__ = ("_alpha", "_ordered", "_places", "_ring")

    def __init__(self, window: int, alpha: float) -> None:
        self._ring, self._ordered = np.zeros(window), np.zeros(window)
        self._places, self._alpha = np.zeros(2, np.int64), np.array([alpha])

    @property
    def alpha(self) -> float:
        """The share of misses it now aims at."""
        return float(self._alpha[0])

    @property
    def scores(self) -> F8:
        """The scores in the window, the oldest first."""
        at, count = self._places
        return np.roll(self._ring, -at) if count == len(self._ring) else self._ring[:count].copy()

    def _fill(self, scores: F8) -> None:
        count = len(scores)
        self._ring[:count], self._ordered[:count] = scores, np.sort(scores)
        self._places[:] = count % len(self._ring), count


class Adaptive(msgspec.Struct, frozen=True):
    """The rule, and what it does with the state of one key.

    A forecast takes `threshold(state)` and keeps it; its interval is `mean -+ threshold * sigma`. When its outcome is
    known, and before anything is forecast at that moment, `mature(state, score, issued)` hands both back, in the order
    of maturity.

    >>> adaptive = Adaptive()
    >>> state = adaptive.new(np.linspace(0.0, 2.0, 201))
    >>> issued = adaptive.threshold(state)
    >>> adaptive.mature(state, 5.0, issued)
    >>> round(issued, 6), round(state.alpha, 6), adaptive.threshold(state) > issued
    (1.81, 0.0955, True)
    """

    level: float = 0.9
    gamma: float = 0.005
    window: int = 2000
    alpha_min: float = 0.005
    """Alpha is kept from here on, so that an interval stays finite; `-inf` and `inf` for no cut."""
    alpha_max: float = 0.5

    def __post_init__(self) -> None:
        if not (0.0 < self.level < 1.0 and self.gamma >= 0.0 and self.window > 0 and self.alpha_min < self.alpha_max):
            raise DataError("adaptive", f"{self} can not be", "give a level between 0 and 1, and a window of 1 or more")

    def new(self, seeds: ArrayLike = ()) -> State:
        """The state of a key that has seen no outcome, from its bundle's calibration scores (the last of them)."""
        known = _checked(seeds)
        state = State(self.window, self._start())
        state._fill(known[-self.window :])
        return state

    def _start(self) -> float:
        return min(max(1.0 - self.level, self.alpha_min), self.alpha_max)

    def _rule(self) -> F8:
        return np.array([1.0 - self.level, self.gamma, self.alpha_min, self.alpha_max])

    def threshold(self, state: State) -> float:
        """How many scales the interval reaches to each side, now; infinite where nothing is known at all."""
        return float(_threshold(state._ordered, int(state._places[1]), state.alpha))

    def mature(self, state: State, score: float, issued: float) -> None:
        """Learn one outcome: its score, and the threshold that was issued with its forecast."""
        if not 0.0 <= score < math.inf or math.isnan(issued):
            what = f"a score of {score} beside a threshold of {issued}"
            raise DataError("adaptive", what, "close forecasts whose outcome never came, without a score")
        _mature(
            state._ring, state._ordered, state._places, state._alpha, float(score), bool(score > issued), self._rule()
        )

    def snapshot(self, state: State) -> bytes:
        """The state as bytes; equal states give equal bytes."""
        return pack("adaptive", SNAPSHOT_VERSION, {"alpha": state.alpha, "scores": state.scores})

    def restore(self, data: bytes) -> State:
        """The state that gave these bytes. Where the window has become shorter, the last scores stay."""
        parts = unpack("adaptive", SNAPSHOT_VERSION, data)
        state = State(self.window, float(parts["alpha"]))
        state._fill(parts["scores"][-self.window :])
        return state

    def run(
        self, timestamp_ms: I8, key: NDArray[np.integer], scores: ArrayLike, horizon_ms: int, seeds: ArrayLike = ()
    ) -> F8:
        """The threshold each row would have been given live: rows of all keys in the order of time.

        A row's outcome is known `horizon_ms` after it, by time and not by place; it is taken in before what is forecast
        at that very moment. The same bits as one by one.
        """
        known = _checked(scores)
        keys = np.ascontiguousarray(key, dtype=np.int64)
        at_ms = np.ascontiguousarray(timestamp_ms, dtype=np.int64)
        if not len(known) == len(keys) == len(at_ms) or horizon_ms < 1 or (np.diff(at_ms) < 0).any():
            what = f"{len(known)} scores, {len(keys)} keys and {len(at_ms)} times, or not in the order of time"
            raise DataError("adaptive", what, "give rows in the order of time, and a horizon above zero")
        states = [self.new(seeds) for _ in range(int(keys.max(initial=-1)) + 1)]
        out = np.empty(len(known))
        if not states:
            return out
        rings, ordered = (np.array([getattr(one, name) for one in states]) for name in ("_ring", "_ordered"))
        places, alphas = (np.array([getattr(one, name) for one in states]) for name in ("_places", "_alpha"))
        following, first = _chain(keys, len(states))
        due_ms, rule = at_ms + horizon_ms, self._rule()
        _run(at_ms, due_ms, following, first, keys, known, rings, ordered, places, alphas, rule, out)
        return out


def _chain(keys: I8, many: int) -> tuple[I8, I8]:
    """Each row's next row of the same key, and each key's first row."""
    following, first = np.zeros(len(keys), np.int64), np.zeros(many, np.int64)
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    following[order[:-1][same]] = order[1:][same]
    first[keys[order[::-1]]] = order[::-1]
    return following, first


def _checked(scores: ArrayLike) -> F8:
    known = np.ascontiguousarray(scores, dtype=np.float64)
    fit = (known >= 0.0) & (known < np.inf)
    if not fit.all():
        first = int(np.argmin(fit))
        what = f"score {first} is {known[first]}"
        raise DataError("adaptive", what, "give sizes, and leave out rows without a forecast or an outcome")
    return known


def thinned(scores: ArrayLike, at_most: int = SEEDS_MAX) -> F8:
    """Calibration scores for a bundle: all, or evenly spread quantiles of them; deterministic.

    Their order is mixed so that however many of them the live scores have pushed out, those that are left are still
    spread over the whole range.

    >>> thinned(np.arange(10.0), 5).tolist()
    [1.0, 7.0, 3.0, 9.0, 5.0]
    """
    known = np.sort(_checked(scores))
    if len(known) > at_most:
        known = known[((np.arange(at_most) + 0.5) / at_most * len(known)).astype(np.int64)]
    return known[np.argsort(np.argsort(np.arange(len(known)) * _GOLDEN % 1.0, kind="stable"), kind="stable")]


@warms
def _warm() -> None:
    adaptive = Adaptive(window=2)
    adaptive.threshold(adaptive.new())
    adaptive.run(np.array([0, 1, 2]), np.zeros(3, np.int64), np.ones(3), 1)
    adaptive.mature(adaptive.new(), 1.0, 1.0)
