"""Benchmarks that nobody runs rot: each one's parts run on a little input; no time is asserted."""

from __future__ import annotations

from pathlib import Path

from benchmarks import __main__ as everything
from benchmarks import quix, single_row, spine, tuning

from tickcast.training.models.table import kind


def test_every_benchmark_has_a_main() -> None:
    from importlib import import_module

    assert all(callable(import_module(f"benchmarks.{name}").main) for name in everything.HOPS)


def test_the_contenders_of_the_whole_way_see_the_same_trades() -> None:
    lines = spine.journal(2_000)

    assert spine.decode_alone(lines) == 2_000
    assert spine.ours(lines, 1 << 20) == spine.ours(lines, 4_000)
    assert spine.usual(lines) > 2_000


def test_our_side_of_the_quix_benchmark_runs_in_any_frame_size() -> None:
    columns = quix.trades(500)
    quix.ours(columns, 16)
    quix.ours(columns, 500)

    assert len(columns["price"]) == 500


def test_both_searches_of_the_tuning_benchmark_find_a_loss_below_that_of_a_coin() -> None:
    data = tuning.market(400, 6)
    train, valid = data.take(slice(0, 300)), data.take(slice(300, 400))

    found = [tuning.ours(train, valid, 2), *(tuning.plain(train, valid, pruning=p, trials=2) for p in (False, True))]

    assert all(0.0 < loss < 0.69 for loss in found)


def test_a_row_alone_and_through_a_bundle_gives_what_the_booster_gives(tmp_path: Path) -> None:
    data = tuning.market(400, 6)
    fitted = kind("lightgbm").fit(data, data.take(slice(0, 0)), params={"n_estimators": 5}, seed=1)
    alone = single_row.plain(single_row.booster_of(fitted).booster)
    loaded = single_row.bundled("lightgbm", fitted, data, tmp_path).single()

    assert [alone(row) for row in data.features[:20]] == [loaded(row) for row in data.features[:20]]
