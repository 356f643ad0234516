"""The market: seeded, endless, bursty, and unpredictable exactly where it says so."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.sources.simulated.minutes import Minutes, correlation, watch
from tickcast.errors import ConfigError
from tickcast.sources.simulated import kernels as k
from tickcast.sources.simulated.market import Market
from tickcast.sources.simulated.settings import MarketSettings, PairSettings, pairs_named

DAYS = 6
ERRORS_MAX = 4.0
"""How many standard errors a seeded statistic may be off: what is right lies within, what is planted lies far out."""


@pytest.fixture(scope="module")
def fair() -> Minutes:
    return watch(MarketSettings(seed=3), DAYS * 1440)


@pytest.fixture(scope="module")
def planted() -> Minutes:
    return watch(MarketSettings(seed=3, signal=0.3), 2 * DAYS * 1440)


@pytest.fixture(scope="module")
def rows() -> NDArray[np.int64]:
    """Two hours of three pairs."""
    market = Market(MarketSettings(seed=5))
    return np.concatenate([market.block().rows for _ in range(120)])


def digest(settings: MarketSettings, minutes: int) -> str:
    market = Market(settings)
    return hashlib.sha256(b"".join(market.block().rows.astype("<i8").tobytes() for _ in range(minutes))).hexdigest()[
        :16
    ]


# the same, everywhere and always


def test_the_market_is_the_same_on_every_machine() -> None:
    """Pinned: another processor, system or numpy must give these very rows (change it with the model alone)."""
    fair, planted = MarketSettings(seed=1), MarketSettings(seed=1, signal=0.3)

    assert digest(fair, 30) == "5e563843ee79dd75"
    assert digest(planted, 30) == "6cda3fa52ebb5b72"


def test_another_seed_is_another_market() -> None:
    assert digest(MarketSettings(seed=1), 1) != digest(MarketSettings(seed=2), 1)


def test_a_pair_does_not_change_when_another_one_is_added() -> None:
    alone = Market(MarketSettings(pairs=pairs_named(["ETHUSDT"])))
    beside = Market(MarketSettings(pairs=pairs_named(["BTCUSDT", "ETHUSDT"])))

    for _ in range(5):
        expected = np.delete(alone.block().rows, k.PAIR, axis=1)
        rows = beside.block().rows
        actual = np.delete(rows[rows[:, k.PAIR] == 1], k.PAIR, axis=1)

        assert np.array_equal(expected, actual)


def test_skipping_leads_to_the_same_market_as_watching() -> None:
    watched, skipped = Market(MarketSettings(seed=9)), Market(MarketSettings(seed=9))
    events = sum(len(watched.block().rows) for _ in range(90))

    assert events == skipped.skip_to(watched.now_ms + 59_999)
    assert np.array_equal(watched.block().rows, skipped.block().rows)


def test_a_signal_changes_prices_but_not_when_trades_happen() -> None:
    def times(signal: float) -> NDArray[np.int64]:
        market = Market(MarketSettings(signal=signal))
        return np.concatenate([market.block().rows[:, k.TIME_US] for _ in range(20)])

    assert np.array_equal(times(0.0), times(0.3))


# what every row keeps to


def test_rows_are_in_order_of_time_and_inside_their_minute() -> None:
    market = Market(MarketSettings(seed=2))

    for _ in range(60):
        block = market.block()
        times_us = block.rows[:, k.TIME_US]

        assert (np.diff(times_us) >= 0).all()
        assert block.start_ms * 1000 <= times_us[0]
        assert times_us[-1] < block.end_ms * 1000


def test_ids_are_consecutive_from_the_start_id(rows: NDArray[np.int64]) -> None:
    for pair in range(3):
        ids = rows[(rows[:, k.PAIR] == pair) & (rows[:, k.KIND] == k.TRADE), k.ID]
        updates = rows[(rows[:, k.PAIR] == pair) & (rows[:, k.KIND] == k.QUOTE), k.ID]

        assert list(range(1_000_001, 1_000_001 + len(ids))) == ids.tolist()
        assert list(range(1, 1 + len(updates))) == updates.tolist()


def test_a_trade_takes_the_best_price_of_its_side_and_quotes_never_cross(rows: NDArray[np.int64]) -> None:
    trades = rows[rows[:, k.KIND] == k.TRADE]
    met = np.where(trades[:, k.MAKER] == 1, trades[:, k.BID], trades[:, k.ASK])

    assert np.array_equal(met, trades[:, k.PRICE])
    assert (rows[:, k.BID] < rows[:, k.ASK]).all()
    assert (trades[:, k.QUANTITY] >= 1).all()
    assert (rows[:, [k.PRICE, k.BID, k.BID_SIZE, k.ASK_SIZE]] > 0).all()


def test_a_trade_meets_the_last_quote_that_was_told(rows: NDArray[np.int64]) -> None:
    one = rows[rows[:, k.PAIR] == 0]
    best = [k.BID, k.BID_SIZE, k.ASK, k.ASK_SIZE]
    told = np.maximum.accumulate(np.where(one[:, k.KIND] == k.QUOTE, np.arange(len(one)), -1))
    seen = (one[:, k.KIND] == k.TRADE) & (told >= 0)

    assert np.array_equal(one[told[seen]][:, best], one[seen][:, best])


def test_quantities_are_lognormal_around_the_typical_one(rows: NDArray[np.int64]) -> None:
    sizes = rows[(rows[:, k.PAIR] == 0) & (rows[:, k.KIND] == k.TRADE), k.QUANTITY]

    assert abs(np.log(np.median(sizes) / 500)) < 0.05
    assert abs(np.log(sizes).std() - k.SIZES) < 0.05


# how it moves


def test_the_settings_mean_what_they_say(fair: Minutes) -> None:
    """Trades a second, quotes about as many, share of quiet time, and volatility as the truth tells it."""
    rates = fair.trades.mean(axis=1) / 60

    assert np.allclose([3.6, 3.0, 2.4], rates, rtol=0.15)
    assert np.allclose(fair.quotes.mean(axis=1) / 60, rates, rtol=0.05)
    assert np.isclose(0.04, fair.quiet.mean(), atol=0.015)
    for pair in range(3):
        returns = np.diff(np.log(fair.mid[pair]))

        assert np.isclose(returns.std(), (fair.sigma[pair] ** 2).mean() ** 0.5, rtol=0.1)


def test_pairs_go_quiet_for_minutes_and_trade_on_after(fair: Minutes) -> None:
    silent = fair.trades[2] == 0
    edges = np.flatnonzero(np.diff(np.r_[0, silent.astype(int), 0]))
    spells = edges[1::2] - edges[::2]

    assert spells.max() >= 5
    assert 0.005 < silent.mean() < 0.1
    assert not silent.all()


def test_trades_come_in_bursts_of_a_hundred_a_second(fair: Minutes) -> None:
    assert (fair.busiest_second >= 100).any()
    assert fair.busiest_second.max() <= 400
    assert np.median(fair.busiest_second) < 20


def test_without_burst_orders_come_independently() -> None:
    """The Fano factor of orders a second: 1 for a Poisson process, far more for one that excites itself."""

    def fano(burst: float) -> float:
        market = Market(MarketSettings(burst=burst, quiet=0.0, pairs=pairs_named(["BTCUSDT"])))
        counts: list[int] = []
        for _ in range(60):
            trades = market.block().of(0, k.TRADE)
            orders = np.unique(trades[:, k.TIME_US]) // 1_000_000
            counts += np.bincount(orders - orders.min(), minlength=60).tolist()
        return float(np.var(counts) / np.mean(counts))

    assert 0.85 < fano(0.0) < 1.25
    assert fano(0.6) > 2.5


def test_volatility_clusters_by_regimes_that_persist(fair: Minutes) -> None:
    """Size predicts size though sign does not predict sign."""
    returns = np.diff(np.log(fair.mid), axis=1)

    assert correlation(abs(returns[:, 1:]), abs(returns[:, :-1])) > 0.15
    assert set(range(3)) == set(fair.regime.ravel().tolist())
    assert (np.diff(fair.regime, axis=1) == 0).mean() > 0.9
    stds = [returns[fair.regime[:, 1:] == regime].std() for regime in range(3)]
    assert stds[0] * 1.5 < stds[1] < stds[2] / 1.5


def test_the_spread_widens_with_volatility(fair: Minutes) -> None:
    spreads = [np.nanmean(fair.spread[0][fair.regime[0] == regime]) for regime in range(3)]

    assert spreads[0] * 1.5 < spreads[1] < spreads[2] / 1.5


# what can be known of it


def standardised(minutes: Minutes, series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minute returns over their true standard deviation, so that wild minutes do not drown the others."""
    moves: NDArray[np.float64] = np.diff(np.log(series), axis=1) / minutes.sigma[:, 1:]
    return moves


@pytest.mark.parametrize("lag", [1, 2, 3, 5, 10])
def test_without_signal_past_returns_tell_nothing(fair: Minutes, lag: int) -> None:
    for series in (fair.mid, fair.price):
        moves = standardised(fair, series)

        assert abs(correlation(moves[:, lag:], moves[:, :-lag])) < ERRORS_MAX / moves.size**0.5


@pytest.mark.parametrize("minutes_ahead", [1, 5])
def test_without_signal_past_flow_tells_nothing(fair: Minutes, minutes_ahead: int) -> None:
    moves = standardised(fair, fair.mid)
    ahead = np.lib.stride_tricks.sliding_window_view(moves, minutes_ahead, axis=1).sum(axis=2)
    flow = fair.imbalance[:, : ahead.shape[1]]

    assert abs(correlation(flow, ahead)) < ERRORS_MAX * (minutes_ahead / moves.size) ** 0.5


def test_without_signal_not_even_the_next_trade_can_be_guessed(rows: NDArray[np.int64]) -> None:
    """Neither the last trade's side nor the last move predicts the next move: there is no bounce to earn from."""
    for pair in range(3):
        trades = rows[(rows[:, k.PAIR] == pair) & (rows[:, k.KIND] == k.TRADE)]
        price, side = trades[:, k.PRICE].astype(float), 1.0 - 2.0 * trades[:, k.MAKER]
        step = np.diff(price)
        for known in (side[:-1], np.r_[0.0, np.sign(step[:-1])]):
            gain = known * step

            assert abs(gain.mean()) < ERRORS_MAX * gain.std() / len(gain) ** 0.5


def test_without_signal_half_of_all_orders_are_purchases(rows: NDArray[np.int64]) -> None:
    trades = rows[rows[:, k.KIND] == k.TRADE]
    orders = np.unique(trades[:, [k.PAIR, k.TIME_US, k.MAKER]], axis=0)

    assert abs(orders[:, 2].mean() - 0.5) < ERRORS_MAX * 0.5 / len(orders) ** 0.5


def test_a_planted_signal_is_found_with_the_slope_and_share_that_were_planted(planted: Minutes) -> None:
    """
    |-- flow of a minute --|-------- return of five minutes --------|
    """
    market = Market(MarketSettings(signal=0.3))
    for pair in range(3):
        mid, flow = np.log(planted.mid[pair]), planted.imbalance[pair]
        ahead, known = mid[5:] - mid[:-5], flow[:-5]
        slope = (ahead * known).mean() / (known * known).mean()

        assert np.isclose(market.pairs[pair].planted.beta, slope, rtol=0.12)
        assert 0.22 < correlation(ahead, known) ** 2 < 0.36


def test_the_truth_says_what_the_drift_follows() -> None:
    """The drift of a second is the planted factor times the imbalance of the sixty seconds before it."""
    market = Market(MarketSettings(signal=0.2))
    first, second = market.block(), market.block()
    pair, at_s = 0, 17
    trades = np.concatenate([first.of(pair, k.TRADE), second.of(pair, k.TRADE)])
    now_us = (second.start_ms + 1000 * at_s) * 1000
    before = trades[(trades[:, k.TIME_US] < now_us) & (trades[:, k.TIME_US] >= now_us - 60_000_000)]
    signed = np.where(before[:, k.MAKER] == 1, -before[:, k.QUANTITY], before[:, k.QUANTITY])
    imbalance = signed.sum() / before[:, k.QUANTITY].sum()

    assert np.isclose(imbalance, second.truth.imbalance[pair, at_s], rtol=1e-12)
    assert np.isclose(
        market.pairs[pair].planted.drift_per_second * imbalance, second.truth.drift[pair, at_s], rtol=1e-12
    )


def test_without_signal_the_truth_knows_no_drift_and_no_lean() -> None:
    block = Market(MarketSettings()).block()

    assert not block.truth.drift.any()
    assert not block.truth.lean.any()


# limits


def test_millions_of_events_take_no_more_memory_than_the_first() -> None:
    market = Market(MarketSettings(trades_per_second=20))
    market.skip(1)
    market.block()
    tracemalloc.start()
    events = market.skip(180)
    events += sum(len(market.block().rows) for _ in range(60))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert events > 1_000_000
    assert kept < 100_000


def test_a_minute_that_is_full_goes_silent_and_the_next_one_goes_on() -> None:
    """Eighty rows a minute are allowed; what would be more does not happen, and nothing is broken by it."""
    market = Market(MarketSettings(pairs=pairs_named(["BTCUSDT"])))
    market._limit = 80
    blocks = [market.block() for _ in range(30)]
    ids = np.concatenate([block.of(0, k.TRADE)[:, k.ID] for block in blocks])

    assert max(len(block.rows) for block in blocks) <= 80
    assert min(len(block.rows) for block in blocks) > 0
    assert (np.diff(ids) == 1).all()


def test_the_price_of_a_collapsing_coin_stays_above_zero() -> None:
    pair = PairSettings("FOOUSDT", "0.1000", "10", volatility=5.0)
    market = Market(MarketSettings(pairs=(pair,)))
    market.skip(20 * 1440)
    rows = market.block().rows

    assert (rows[:, k.BID] > 0).all()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"signal": 0.9}, "signal: was 0.9"),
        ({"signal": float("nan")}, "signal: was nan"),
        ({"quiet": -0.1}, "quiet: was -0.1"),
        ({"burst": 1.0}, "burst: was 1.0"),
        ({"trades_per_second": 0.0}, "trades_per_second: was 0.0"),
        ({"start_ms": 1_735_689_600_001}, "start_ms: was 1735689600001"),
        ({"seed": -1}, "seed: was -1"),
        ({"pairs": ()}, "pairs: were none"),
        ({"pairs": pairs_named(["BTCUSDT", "BTCUSDT"])}, "pairs: were BTCUSDT,BTCUSDT"),
        ({"trades_per_second": 45.0}, "activity: makes 54 trades"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=f"^{named}"):
        MarketSettings(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "btc usdt"},
        {"price": "-1.0"},
        {"price": "9.99"},
        {"price": "1e5"},
        {"typical": "0.000"},
        {"typical": "1.123456789"},
        {"volatility": 0.0},
        {"activity": float("inf")},
        {"first_trade_id": 0},
    ],
)
def test_a_wrong_pair_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="simulated pair"):
        PairSettings(**{"name": "FOOUSDT", **wrong})


def test_a_market_can_not_go_back() -> None:
    market = Market(MarketSettings())
    market.skip(2)

    with pytest.raises(ConfigError, match="can not go back"):
        market.skip_to(market.settings.start_ms)
