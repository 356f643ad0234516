"""A training in a process of its own: what its bundle is, and how much memory it took.

- `once CANDLES MODELS TASK MODEL TRIALS DAYS` prints the hash of what was trained, on the shelf MODELS, so many days
  from now.
- `memory DAYS TRIALS` prints the most bytes that a search on so many days of one pair's minutes took, and its rows.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path


def once(candles: str, models: str, task: str, model: str, trials: str, days: str) -> None:
    """`tickcast train` on another day, onto the shelf that is named."""
    now_s, now_ns, away_s = time.time, time.time_ns, int(days) * 86_400
    time.time, time.time_ns = lambda: now_s() + away_s, lambda: now_ns() + away_s * 10**9
    import msgspec

    from tickcast.clock import SystemClock
    from tickcast.config import Settings
    from tickcast.registry.manifest import hash_of
    from tickcast.registry.shelf import Shelf
    from tickcast.runners.training import train, wanted
    from tickcast.sources.files.result import ReadOptions

    settings = Settings(models_dir=models, trials=int(trials))
    options = ReadOptions(what="candles", exchange="binance")
    asked = wanted(task, settings, files=[Path(candles)], options=options)  # type: ignore[arg-type]
    made = train(asked, [model], Shelf(Path(models), clock=SystemClock(), who="test"), seed=7)
    assert hash_of(made.manifest.content) == made.manifest.hash
    files = {name: entry.sha256 for name, entry in made.manifest.content.files.items()}
    told = {"hash": made.manifest.hash, "files": files, "created_ms": made.manifest.created_ms}
    print(msgspec.json.encode(told, order="sorted").decode())


def memory(days: str, trials: str) -> None:
    """From candles to a searched model."""
    from tests.simulation import markets
    from tickcast.training.models.table import kind
    from tickcast.training.splits import chronological
    from tickcast.training.tune import tune

    market = markets.regimes(1, int(days) * markets.DAY)
    dataset = markets.dataset_of(market, markets.VOLATILITY)
    fold = chronological(dataset)
    lightgbm = kind("lightgbm")
    found = tune(lightgbm, dataset.take(fold.train), dataset.take(fold.valid), trials=int(trials), seed=1)
    assert found.trials == int(trials)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, len(dataset))


if __name__ == "__main__":
    {"once": once, "memory": memory}[sys.argv[1]](*sys.argv[2:])  # type: ignore[operator]
