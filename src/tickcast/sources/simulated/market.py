"""The simulated market: numbers alone, a minute at a time, endlessly, in memory that does not grow.

It knows nothing of messages, exchanges or clocks. Each pair draws from a stream of its own (seed and name), so adding
a pair changes nothing in the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.errors import ConfigError
from tickcast.sources.simulated import kernels as k
from tickcast.sources.simulated.chance import stream
from tickcast.sources.simulated.settings import MINUTE_MS, Decimal, MarketSettings, PairSettings, decimal
from tickcast.sources.simulated.signal import Planted, plant

YEAR_S = 31_557_600
FILLS = (1 - k.FILLS_AGAIN**k.FILLS_MAX) / (1 - k.FILLS_AGAIN)
"""Mean fills of an order."""


class Pair(NamedTuple):
    """What a reader of rows has to know of a pair."""

    name: str
    price: Decimal
    """The price at the start, and the decimals of all its prices."""
    quantity: Decimal
    planted: Planted


class Truth(NamedTuple):
    """What nobody in the market can see, for each pair and second (rows: pairs, columns: the 60 seconds)."""

    sigma: NDArray[np.float64]
    """Standard deviation of the second's log return."""
    regime: NDArray[np.int64]
    """0 calm, 1 normal, 2 wild."""
    quiet: NDArray[np.bool_]
    lean: NDArray[np.float64]
    """How much likelier than a sale the next order is a purchase: -1 to 1."""
    imbalance: NDArray[np.float64]
    """Of the 60 seconds before; what the drift follows."""
    drift: NDArray[np.float64]
    """Expected log return of the second."""


class MarketBlock(NamedTuple):
    """One minute of all pairs, in order of time.

    `rows` are whole numbers in the columns of `kernels.TIME_US` and following: prices and quantities count the pair's
    steps. A quote's `id` is its update number and its `price` the last trade's; a trade's bid and ask are those it met.
    """

    start_ms: int
    pairs: tuple[Pair, ...]
    rows: NDArray[np.int64]
    truth: Truth

    @property
    def end_ms(self) -> int:
        """The first moment after the block."""
        return self.start_ms + MINUTE_MS

    def of(self, pair: int, kind: int) -> NDArray[np.int64]:
        """The rows of one pair and one kind, for tests and reports."""
        chosen: NDArray[np.int64] = self.rows[(self.rows[:, k.PAIR] == pair) & (self.rows[:, k.KIND] == kind)]
        return chosen


class Market:
    """A market and where it stands.

    >>> market = Market(MarketSettings(seed=7))
    >>> market.block().start_ms == market.settings.start_ms, market.now_ms - market.settings.start_ms
    (True, 60000)
    """

    def __init__(self, settings: MarketSettings) -> None:
        self.settings = settings
        self.now_ms = settings.start_ms
        count = len(settings.pairs)
        params = [_params(settings, pair) for pair in settings.pairs]
        self.pairs: tuple[Pair, ...] = tuple(pair for pair, _ in params)
        self._params = np.array([row for _, row in params])
        self._rng = np.stack([stream(settings.seed, pair.name) for pair in settings.pairs])
        self._whole = np.zeros((count, k.WHOLE), np.int64)
        self._real = np.zeros((count, k.REAL))
        for at, pair in enumerate(self.pairs):
            mid = pair.price.mantissa
            self._whole[at, [k.MID2, k.LAST, k.I_BID, k.I_ASK]] = 2 * mid, mid, mid - 1, mid + 1
            self._whole[at, [k.NEXT_TRADE, k.NEXT_UPDATE]] = settings.pairs[at].first_trade_id, 1
            self._whole[at, [k.I_BID_SIZE, k.I_ASK_SIZE]] = pair.quantity.mantissa
            self._whole[at, k.REGIME] = k.NORMAL
        busiest = max(pair.activity for pair in settings.pairs) * settings.trades_per_second
        self._limit = 8192 + int(1500 * busiest)
        self._out = np.zeros((count * self._limit, k.WIDTH), np.int64)
        self._truth = np.zeros((count, 60, k.TRUTH))

    def block(self) -> MarketBlock:
        """The next minute."""
        start_ms = self.now_ms
        filled = k.run_minute(
            self._rng, self._whole, self._real, self._params, start_ms // 1000, self._limit, self._out, self._truth
        )
        order = np.argsort(self._out[:filled, k.TIME_US], kind="stable")
        self.now_ms += MINUTE_MS
        t = self._truth
        truth = Truth(
            t[:, :, k.T_SIGMA].copy(),
            t[:, :, k.T_REGIME].astype(np.int64),
            t[:, :, k.T_QUIET].astype(np.bool_),
            t[:, :, k.T_LEAN].copy(),
            t[:, :, k.T_IMBALANCE].copy(),
            t[:, :, k.T_DRIFT].copy(),
        )
        return MarketBlock(start_ms, self.pairs, self._out[order], truth)

    def skip(self, minutes: int) -> int:
        """Let minutes pass unseen; says how many events were in them."""
        events = k.run_minutes(
            self._rng,
            self._whole,
            self._real,
            self._params,
            self.now_ms // 1000,
            self._limit,
            self._out,
            self._truth,
            minutes,
        )
        self.now_ms += minutes * MINUTE_MS
        return int(events)

    def skip_to(self, time_ms: int) -> int:
        """Go to the minute that holds a time, so that the next block tells of it; says how many events were passed."""
        minutes = (time_ms - self.now_ms) // MINUTE_MS
        if minutes < 0:
            raise ConfigError(
                "simulated market",
                f"stands at {self.now_ms} ms and can not go back to {time_ms} ms",
                "make a new market of the same settings",
            )
        return self.skip(minutes)

    def digits(self, pair: int, column: Sequence[int] | NDArray[np.int64], of: str = "price") -> list[float]:
        """Whole numbers of steps as the floats that a reader of the venue's texts gets."""
        scale = 10 ** (self.pairs[pair].price if of == "price" else self.pairs[pair].quantity).decimals
        return [int(value) / scale for value in column]


def _params(settings: MarketSettings, pair: PairSettings) -> tuple[Pair, list[float]]:
    """A pair's constants, so that over all regimes its means are what the settings say."""
    price = decimal(f"simulated pair {pair.name!r}, price", pair.price)
    quantity = decimal(f"simulated pair {pair.name!r}, typical", pair.typical)
    shares = _regime_shares()
    mean_activity = float((shares * k.ACTIVITY).sum())
    volatility_1s = pair.volatility / YEAR_S**0.5
    orders = settings.trades_per_second * pair.activity / FILLS
    children = settings.burst + (k.FLURRY / k.DECAY * k.FLURRY_CHANCE if settings.burst > 0 else 0.0)
    to_quiet = k.QUIET_END * settings.quiet / (1.0 - settings.quiet)
    planted = plant(settings.signal, volatility_1s, 60.0 * orders)
    params = [0.0] * k.PARAMS
    params[k.P_SIGMA] = volatility_1s / float((shares * k.VOLATILITY * k.VOLATILITY).sum()) ** 0.5
    params[k.P_ORDERS] = orders * (1.0 - children) / mean_activity / (1.0 - settings.quiet)
    params[k.P_QUOTES] = orders * (FILLS - 1.0) / mean_activity
    params[k.P_TYPICAL] = float(quantity.mantissa)
    params[k.P_JUMP] = settings.burst * k.DECAY
    params[k.P_TO_QUIET] = to_quiet
    params[k.P_LEAN] = planted.lean_scale
    params[k.P_DRIFT] = planted.drift_per_second
    return Pair(pair.name, price, quantity, planted), params


def _regime_shares() -> NDArray[np.float64]:
    """How much of the time each regime holds in the long run: what goes up comes down as often."""
    to_normal = k.LEAVE[k.CALM]
    calm = k.LEAVE[k.NORMAL] * (1.0 - k.UPWARD[k.NORMAL]) / to_normal
    wild = k.LEAVE[k.NORMAL] * k.UPWARD[k.NORMAL] / k.LEAVE[k.WILD]
    weights = np.array([calm, 1.0, wild])
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares
