"""Benchmarks that nobody runs rot: each one's parts run on a little input; no time is asserted."""

from __future__ import annotations

from benchmarks import __main__ as everything
from benchmarks import quix, spine


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
