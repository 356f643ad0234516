"""Timing and a table of ratios, for all benchmarks."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence


def best_of(work: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest run: the machine's other work can only slow one down."""
    spent = []
    for _ in range(times):
        gc.collect()
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return min(spent)


def show(title: str, reference: str, rows: Sequence[Sequence[object]]) -> None:
    """Print rows of (what, rate a second, ratio to the reference, aim)."""
    print(f"\n{title}")
    print(f"{'':58}{'a second':>14}  {'of ' + reference:>24}  aim")
    for what, rate, ratio, aim in rows:
        print(f"{what!s:58}{rate:>14,.0f}  {ratio:>24.2f}  {aim}")
