"""A dataset holds only what was known, says what it leaves out, and refuses what teaches nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.training.market import DIRECTION, PRICE, START_MS, at, candles, features, request, walk
from tickcast.errors import TrainingError
from tickcast.training.contract import Task
from tickcast.training.dataset import build
from tickcast.training.manifest import content_hash
from tickcast.training.rows import Rows


def with_columns(rows: Rows, **columns: object) -> Rows:
    return rows._replace(features=rows.features | {name: np.asarray(value) for name, value in columns.items()})


def test_rows_are_in_the_order_of_time_and_key_whatever_order_they_were_given_in() -> None:
    btc, eth = walk(50, seed=1), walk(50, seed=2, pair="ETHUSDT")

    one, other = build([btc, eth], request()), build([eth, btc], request())

    assert ("binance:BTCUSDT", "binance:ETHUSDT") == one.keys
    assert [0, 1, 0, 1] == one.key[:4].tolist()
    assert bool((np.diff(one.timestamp_ms) >= 0).all())
    assert content_hash(one) == content_hash(other)


def test_each_pair_is_labelled_by_its_own_candles() -> None:
    btc, eth = walk(50, seed=1), walk(40, seed=2, pair="ETHUSDT")

    both = build([btc, eth], request(PRICE))

    for place, rows in enumerate([btc, eth]):
        alone = build([rows], request(PRICE))
        assert alone.labels.tolist() == both.labels[both.key == place].tolist()
        assert alone.column("noise").tolist() == both.column("noise")[both.key == place].tolist()


def test_a_row_that_was_known_late_is_left_out_and_counted() -> None:
    rows = walk(50)
    known = rows.features["known_at_ms"].copy()
    known[10], known[11] = known[10] + 60_001, known[11] + 60_000

    dataset = build([with_columns(rows, known_at_ms=known)], request())

    assert {"known_late": 1, "no_label_yet": 1} == dataset.excluded
    assert at(10) not in dataset.timestamp_ms
    assert at(11) in dataset.timestamp_ms


def test_every_row_is_a_row_of_the_dataset_or_counted_once() -> None:
    rows = walk(200, partial=(50, 51), missing=(80, 81, 82))
    threshold = rows.features["spike_threshold"].copy()
    threshold[:20] = np.nan
    sets = rows.features["feature_set"].copy()
    sets[:5] = "older0000000"

    dataset = build(
        [with_columns(rows, spike_threshold=threshold, feature_set=sets)], request(training_days=198 / 1440)
    )

    assert 197 == len(dataset) + sum(dataset.excluded.values())
    expected = {
        "older": 1,
        "other_feature_set": 4,
        "partial": 2,
        "gap_in_horizon": 2,
        "no_threshold": 15,
        "no_label_yet": 1,
    }
    assert expected == dataset.excluded


def test_the_training_horizon_counts_back_from_the_newest_row() -> None:
    dataset = build([walk(100)], request(training_days=30 / 1440))

    assert at(99) - 30 * 60_000 == dataset.timestamp_ms[0]


def test_rows_whose_memory_has_not_filled_are_left_out() -> None:
    rows = walk(100)
    noise = rows.features["noise"].copy()
    noise[:30] = np.nan

    dataset = build([with_columns(rows, noise=noise)], request(required=("noise",)))

    assert {"missing_features": 30, "no_label_yet": 1} == dataset.excluded
    assert at(30) == dataset.timestamp_ms[0]


def test_a_price_that_does_not_move_has_no_direction() -> None:
    bars = candles([100.0, 101.0] * 20 + [102.0] * 20)
    rows = Rows("x", "P", 60, bars, features(bars, a=np.random.default_rng(0).normal(size=60)))

    dataset = build([rows], request(DIRECTION))

    assert 15 == dataset.excluded["zero_return"]
    assert {0.0, 1.0} == {*dataset.labels.tolist()}


def _too_few() -> list[Rows]:
    return [walk(40)]


def _gaps() -> list[Rows]:
    return [walk(400, missing=tuple(range(2, 400, 2)))]


def _one_class() -> list[Rows]:
    return [with_columns(walk(200), spike_threshold=np.full(200, 9.0))]


def _constant() -> list[Rows]:
    bars = walk(200)
    return [bars._replace(features=features(bars.candles, flat=1.0, spike_threshold=0.001))]


def _infinite() -> list[Rows]:
    rows = walk(200)
    noise = rows.features["noise"].copy()
    noise[7] = np.inf
    return [with_columns(rows, noise=noise)]


def _another_schema() -> list[Rows]:
    other = walk(200, pair="ETHUSDT")
    return [walk(200), with_columns(other, feature_set=np.full(200, "ffffeeeedddd", dtype=np.object_))]


def _more_names() -> list[Rows]:
    return [walk(200), with_columns(walk(200, pair="ETHUSDT"), extra=np.arange(200.0))]


def _two_lengths() -> list[Rows]:
    return [walk(200), walk(200, pair="ETHUSDT", seconds=300)]


def _no_threshold() -> list[Rows]:
    rows = walk(200)
    return [rows._replace(features={name: c for name, c in rows.features.items() if name != "spike_threshold"})]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (_too_few, "training data: gives 39 rows of 40 where at least 100 are needed, .*: 1 so near"),
        (_gaps, "gives 1 rows of 201 .* 199 with a missing .*; fill the gaps with `tickcast backfill`"),
        (_one_class, r"volatility: all 199 rows are of one class \(never above\).*; give a longer"),
        (_constant, "has no feature that tells anything: flat is constant; check that the market"),
        (_infinite, "noise, row 7 of binance:BTCUSDT at 2024-08-09 00:08:00 UTC: is inf, .*; correct that"),
        (_another_schema, "feature set: aaaabbbbcccc is wanted and binance:ETHUSDT has ffffeeeedddd"),
        (_more_names, r"binance:ETHUSDT: has other features than binance:BTCUSDT \(extra\)"),
        (_two_lengths, "candle_seconds: the rows are of 60 and 300 seconds, and a model learns from one length only"),
        (_no_threshold, "feature spike_threshold: is not in the rows, so nothing says what a spike is"),
    ],
)  # fmt: skip
def test_what_teaches_nothing_is_refused_in_one_sentence(made: Callable[[], list[Rows]], told: str) -> None:
    with pytest.raises(TrainingError, match=told) as raised:
        build(made(), request(rows_min=100))

    assert "\n" not in str(raised.value)


def test_a_threshold_of_another_horizon_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"is 300 s and the rows' spike threshold is for 60 s"):
        build([walk(200)], request(Task("volatility", 300), threshold_seconds=60))


def test_infinity_in_what_is_left_out_is_no_matter() -> None:
    assert 199 == len(build(_infinite(), request(leave_out=("noise",))))


def test_the_feature_set_that_is_asked_for_must_be_that_of_the_rows() -> None:
    with pytest.raises(TrainingError, match="000000000000 is wanted and binance:BTCUSDT has aaaabbbbcccc"):
        build([walk(200)], request(feature_set="000000000000"))


def test_nothing_after_a_rows_time_but_its_label_is_in_it() -> None:
    """Rows of the first half are the same, whatever comes after their horizons."""
    long, start = walk(200, seed=5), START_MS
    half = long._replace(
        candles={name: column[:100] for name, column in long.candles.items()},
        features={name: column[:100] for name, column in long.features.items()},
    )

    whole, short = build([long], request(PRICE)), build([half], request(PRICE))

    assert start < whole.timestamp_ms[0]
    assert short.labels.tolist() == whole.labels[: len(short)].tolist()
    assert short.features.tolist() == whole.features[: len(short)].tolist()
