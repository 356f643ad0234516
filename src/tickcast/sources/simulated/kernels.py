"""One minute of one pair, event by event. All that changes is in arrays, so a market is saved by copying them.

Within each second the intensities of orders and of quotes are known from the past, so that arrivals are drawn by
thinning (orders excite further orders, and the excitement decays). The mid price, counted in half ticks so that it is
whole, moves in two ways, and both keep it a martingale:

- an order lifts the best price, and the new mid is the price it traded at: the spread is just what the market learns
  from an order. So trade prices are a martingale too, and there is no bounce between bid and ask to earn from;
- between orders quotes move by a normal number, rounded up or down at random so that its mean is kept. They spend what
  orders have left of the regime's variance.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickcast.kernels import kernel, warms
from tickcast.sources.simulated.chance import exp, log, normal, stream, uniform

I8: TypeAlias = NDArray[np.int64]
F8: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint64]

# a row of the market
TIME_US, PAIR, KIND, ID, PRICE, QUANTITY, MAKER, BID, BID_SIZE, ASK, ASK_SIZE = range(11)
WIDTH = 11
TRADE, QUOTE = 1, 2  # as in sources.contract

# whole numbers a pair remembers; after FLOW come 60 seconds of bought and 60 of sold quantity
MID2, NEXT_TRADE, NEXT_UPDATE, REGIME, IS_QUIET, LAST, I_BID, I_BID_SIZE, I_ASK, I_ASK_SIZE, FLOW = range(11)
WHOLE = FLOW + 120
# real numbers a pair remembers, and those that hold for the running second
EXCITED, BUDGET, DRIFT_DUE, PRESSURE, SIGMA, BASE, QUOTES, LEAN, DRIFT, IMBALANCE = range(10)
REAL = 10
# what a pair is
P_SIGMA, P_ORDERS, P_QUOTES, P_TYPICAL, P_JUMP, P_TO_QUIET, P_LEAN, P_DRIFT = range(8)
PARAMS = 8
# what is told of each second
T_SIGMA, T_REGIME, T_QUIET, T_LEAN, T_IMBALANCE, T_DRIFT = range(6)
TRUTH = 6

CALM, NORMAL, WILD = range(3)
VOLATILITY = np.array([0.45, 1.0, 2.2])
ACTIVITY = np.array([0.7, 1.0, 1.9])
LEAVE = np.array([1 / 2400, 1 / 1800, 1 / 480])
"""Chance a second to leave each regime: after 40, 30 and 8 minutes on average."""
UPWARD = np.array([1.0, 0.4, 0.0])
DECAY = 1.5
"""Excitement decays by exp(-1.5) a second."""
FLURRY, FLURRY_CHANCE = 45.0, 1 / 900
"""Now and then one order calls forth this much intensity at once."""
EXCITED_MAX = 150.0
FILLS_AGAIN, FILLS_MAX = 0.375, 12
QUIET_END = 1 / 180
SPREAD = 0.25
"""Of the price's standard deviation in a second: what the spread measures on average, beside its smallest step."""
SIZES = 1.1
DEBT_S = 600.0
"""Orders can spend at most this many seconds' variance in advance; where a price step is coarse they would for ever."""
MID2_MIN = 200
"""A price does not fall below a hundred steps."""


@kernel
def daytime(second_of_day: float) -> float:
    """The day's mood, from -1 at 03:00 to 1 at 15:00 UTC: parabolas, which look like a sine."""
    x = (second_of_day / 43_200.0 - 0.75) % 2.0 - 1.0
    return 4.0 * x * (1.0 - abs(x)) * -1.0


@kernel
def begin_second(rng: U8, whole: I8, real: F8, p: F8, second: int, second_of_day: int) -> None:
    """Let regime, quiet, lean and drift of the coming second follow from what was."""
    if uniform(rng) < LEAVE[whole[REGIME]]:
        whole[REGIME] += 1 if uniform(rng) < UPWARD[whole[REGIME]] else -1
    if whole[IS_QUIET]:
        whole[IS_QUIET] = uniform(rng) >= QUIET_END
    else:
        whole[IS_QUIET] = uniform(rng) < p[P_TO_QUIET]
    mood = daytime(float(second_of_day))
    real[SIGMA] = p[P_SIGMA] * VOLATILITY[whole[REGIME]] * (1.0 + 0.15 * mood)
    activity = ACTIVITY[whole[REGIME]] * (1.0 + 0.3 * mood)
    real[BASE], real[QUOTES] = p[P_ORDERS] * activity, p[P_QUOTES] * activity
    if whole[IS_QUIET]:
        real[BASE], real[EXCITED], real[QUOTES] = 0.0, 0.0, 0.2 * p[P_QUOTES]
    bought, sold = whole[FLOW : FLOW + 60].sum(), whole[FLOW + 60 : FLOW + 120].sum()
    real[IMBALANCE] = (bought - sold) / (bought + sold) if bought + sold > 0 else 0.0
    whole[FLOW + second] = whole[FLOW + 60 + second] = 0
    real[PRESSURE] = 0.998 * real[PRESSURE] + 0.06321392251711643 * normal(rng)  # sqrt(1 - 0.998**2)
    real[LEAN] = min(max(p[P_LEAN] * real[PRESSURE], -0.9), 0.9)
    real[DRIFT] = p[P_DRIFT] * real[IMBALANCE]


@kernel
def lots(rng: U8, typical: float) -> int:
    """A lognormal quantity on the lot step."""
    return max(1, int(np.floor(typical * exp(SIZES * normal(rng)) + 0.5)))


@kernel
def move(rng: U8, whole: I8, half_ticks: float) -> None:
    """Move the mid price; what is not whole is rounded at random, so that the mean is kept."""
    moved = whole[MID2] + int(np.floor(half_ticks + uniform(rng)))
    whole[MID2] = max(moved, MID2_MIN)


@kernel
def requote(rng: U8, whole: I8, real: F8, p: F8) -> None:
    """Put bid and ask around the mid price; the spread has the mid's parity, so that both are whole ticks."""
    spread = 1 + int(np.floor(SPREAD * real[SIGMA] * whole[MID2] * uniform(rng) + uniform(rng) * 0.5))
    if (spread ^ whole[MID2]) & 1:
        spread += 1 if spread == 1 else -1
    whole[I_BID], whole[I_ASK] = (whole[MID2] - spread) >> 1, (whole[MID2] + spread) >> 1
    whole[I_BID_SIZE], whole[I_ASK_SIZE] = lots(rng, 6.0 * p[P_TYPICAL]), lots(rng, 6.0 * p[P_TYPICAL])


@kernel
def write(whole: I8, row: I8, time_us: int, kind: int, ident: int) -> None:
    """What every row says: the time, and the best prices as they were when it came."""
    row[TIME_US], row[KIND], row[ID], row[PRICE] = time_us, kind, ident, whole[LAST]
    row[QUANTITY], row[MAKER] = 0, 0
    row[BID], row[BID_SIZE], row[ASK], row[ASK_SIZE] = (
        whole[I_BID],
        whole[I_BID_SIZE],
        whole[I_ASK],
        whole[I_ASK_SIZE],
    )


@kernel
def order(rng: U8, whole: I8, real: F8, p: F8, out: I8, n: int, time_us: int, second: int) -> int:
    """One order takes the best price, in one fill or some; then the market knows more. Returns the next free row."""
    buys = uniform(rng) < 0.5 + 0.5 * real[LEAN]
    side = 1 if buys else -1
    whole[LAST] = whole[I_ASK] if buys else whole[I_BID]
    flow = FLOW + second + (0 if buys else 60)
    for _ in range(FILLS_MAX):
        write(whole, out[n], time_us, TRADE, whole[NEXT_TRADE])
        out[n, QUANTITY], out[n, MAKER] = lots(rng, p[P_TYPICAL]), 0 if buys else 1
        whole[flow] += out[n, QUANTITY]
        whole[NEXT_TRADE] += 1
        n += 1
        if uniform(rng) >= FILLS_AGAIN:
            break
    spread = whole[I_ASK] - whole[I_BID]
    move(rng, whole, spread * (side - real[LEAN]))  # what was expected of it teaches nothing
    real[BUDGET] -= spread * spread * (1.0 - real[LEAN] * real[LEAN])
    real[EXCITED] += p[P_JUMP]
    if p[P_JUMP] > 0.0 and uniform(rng) < FLURRY_CHANCE:
        real[EXCITED] += FLURRY
    real[EXCITED] = min(real[EXCITED], EXCITED_MAX)
    return quote(rng, whole, real, p, out, n, time_us)


@kernel
def quote(rng: U8, whole: I8, real: F8, p: F8, out: I8, n: int, time_us: int) -> int:
    """Tell of new best prices. Returns the next free row."""
    requote(rng, whole, real, p)
    write(whole, out[n], time_us, QUOTE, whole[NEXT_UPDATE])
    whole[NEXT_UPDATE] += 1
    return n + 1


@kernel
def run_second(rng: U8, whole: I8, real: F8, p: F8, out: I8, n: int, limit: int, start_us: int, second: int) -> int:
    """All events of a second. Returns the next free row; a minute that is full stays silent until its end."""
    now = 0.0
    variance = real[SIGMA] * whole[MID2]
    variance *= variance
    while True:
        bound = real[BASE] + real[EXCITED] + real[QUOTES]
        wait = -log(uniform(rng)) / bound
        wait = min(wait, 1.0 - now)
        now += wait
        real[EXCITED] *= exp(-DECAY * wait)
        real[BUDGET] += variance * wait
        real[DRIFT_DUE] += real[DRIFT] * whole[MID2] * wait
        if now >= 1.0 or n + FILLS_MAX + 1 >= limit:
            return n
        pick = uniform(rng) * bound
        time_us = start_us + min(int(now * 1e6), 999_999)
        if pick < real[QUOTES]:
            spent = np.sqrt(max(real[BUDGET], 0.0)) * normal(rng)
            move(rng, whole, spent + real[DRIFT_DUE])
            real[BUDGET], real[DRIFT_DUE] = max(min(real[BUDGET], 0.0), -DEBT_S * variance), 0.0
            n = quote(rng, whole, real, p, out, n, time_us)
        elif pick < real[QUOTES] + real[BASE] + real[EXCITED]:
            n = order(rng, whole, real, p, out, n, time_us, second)


@kernel
def run_minute(rng: U8, whole: I8, real: F8, params: F8, start_s: int, limit: int, out: I8, truth: F8) -> int:
    """The next minute of every pair, one pair after the other. Returns how many rows of `out` are filled."""
    n = 0
    for pair in range(rng.shape[0]):
        r, w, x, p = rng[pair], whole[pair], real[pair], params[pair]
        first = n
        for second in range(60):
            begin_second(r, w, x, p, second, (start_s + second) % 86_400)
            told = truth[pair, second]
            told[T_SIGMA], told[T_REGIME], told[T_QUIET] = x[SIGMA], w[REGIME], w[IS_QUIET]
            told[T_LEAN], told[T_IMBALANCE], told[T_DRIFT] = x[LEAN], x[IMBALANCE], x[DRIFT]
            n = run_second(r, w, x, p, out, n, first + limit, (start_s + second) * 1_000_000, second)
        out[first:n, PAIR] = pair
    return n


@kernel
def run_minutes(
    rng: U8, whole: I8, real: F8, params: F8, start_s: int, limit: int, out: I8, truth: F8, minutes: int
) -> int:
    """Many minutes of which nobody needs the rows. Returns how many events there were."""
    total = 0
    for minute in range(minutes):
        total += run_minute(rng, whole, real, params, start_s + 60 * minute, limit, out, truth)
    return total


@warms
def _warm() -> Any:
    rng = stream(0, "warm")[None, :]
    whole, real = np.zeros((1, WHOLE), np.int64), np.zeros((1, REAL))
    whole[0, MID2] = 20_000
    out, truth = np.zeros((100, WIDTH), np.int64), np.zeros((1, 60, TRUTH))
    params = np.full((1, PARAMS), 0.01)
    run_minute(rng, whole, real, params, 0, 100, out, truth)
    return run_minutes(rng, whole, real, params, 60, 100, out, truth, 1)
