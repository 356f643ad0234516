"""What is planted for a model to find, exactly, and how much of the future it can explain.

    imbalance(t) = (bought - sold) / (bought + sold) by quantity, over the 60 whole seconds before t; 0 without trades
    the mid price drifts during second t by  drift_per_second * imbalance(t)  (log return)

Imbalance persists: buyers are a share (1 + lean) / 2 of the orders, where lean is a clipped Ornstein-Uhlenbeck process
that forgets half of itself in about six minutes. So with R(d) the autocorrelation of the imbalance at d seconds,

    E[log return over (t, t + 300 s] | imbalance(t)] = drift_per_second * sum R(d), d = 0..299  * imbalance(t)

and `drift_per_second` is chosen so that this linear forecast has R2 = `signal` at the market's mean volatility. Over 60
days with `signal = 0.3`, quiet spells included, the slope was as planted within 2 % in all three default pairs, and R2
was 0.29 for BTCUSDT and ETHUSDT. It was 0.22 for SOLUSDT, which had fallen to a quarter of its price: where a price
step is no longer small beside a second's volatility, orders move the price by more than the regime would.

Who uses more than the last minute's flow (longer flow, past returns) can find a little more; nobody can find it all,
since much of the next five minutes' drift comes from flow that has not happened yet. Drift persists, so over days
prices wander about twice as far as their volatility of a second says.

With `signal = 0` all of these are zero, buyers and sellers are equally likely whatever has happened, and both the mid
price and the price of the next trade are martingales to the last digit: no forecast of the direction can have skill.
(Volatility and activity are predictable at any `signal`.)
"""

from __future__ import annotations

from typing import NamedTuple

FORGET = 0.998
"""What remains of the lean after a second."""
LEAN_SCALE, LEAN_MAX = 0.4, 0.9
HORIZON_S, FLOW_S = 300, 60
_LEAN_VARIANCE = 0.1510
"""Of LEAN_SCALE times a standard normal number, clipped at LEAN_MAX."""
_NOISE_ORDERS = 3.4
"""Variance of the imbalance of orders that lean nowhere, times the orders a minute (measured)."""


class Planted(NamedTuple):
    """The planted relation of one pair."""

    lean_scale: float
    drift_per_second: float
    """Log return a second for an imbalance of 1."""
    beta: float
    """Expected log return of the next five minutes for an imbalance of 1."""
    r2: float
    """The share of the variance of five-minute returns that `beta * imbalance` explains."""


def plant(signal: float, volatility_1s: float, orders_per_minute: float) -> Planted:
    """Find the drift that makes the last minute's imbalance explain a share `signal` of the next five minutes.

    >>> plant(0.0, 1e-4, 100.0).beta
    0.0
    """
    if signal == 0.0:
        return Planted(0.0, 0.0, 0.0, 0.0)
    powers = [1.0]
    for _ in range(HORIZON_S + FLOW_S):
        powers.append(powers[-1] * FORGET)
    smooth = [_smoothed(powers, d) for d in range(HORIZON_S)]
    lean_variance = _LEAN_VARIANCE * smooth[0]
    noise = min(_NOISE_ORDERS / orders_per_minute, 1.0 - lean_variance)
    variance = lean_variance + noise
    persistent = lean_variance / variance
    auto = [
        persistent * smooth[d] / smooth[0] + (1.0 - persistent) * max(0.0, 1.0 - d / FLOW_S) for d in range(HORIZON_S)
    ]
    known = sum(auto)
    total = HORIZON_S + 2.0 * sum((HORIZON_S - d) * auto[d] for d in range(1, HORIZON_S))
    share = signal * HORIZON_S * volatility_1s**2 / (known**2 - signal * total)
    drift = (share / variance) ** 0.5
    return Planted(LEAN_SCALE, drift, drift * known, signal)


def _smoothed(powers: list[float], distance: int) -> float:
    """Autocovariance, at a distance in seconds, of a minute's mean of a process with these autocorrelations."""
    spread = range(-FLOW_S + 1, FLOW_S)
    return sum((FLOW_S - abs(k)) * powers[abs(distance + k)] for k in spread) / FLOW_S**2
