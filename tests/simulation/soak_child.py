"""An endless market through the whole system, telling its memory as it goes.

`python -m tests.simulation.soak_child DIR EVENTS` prints a line (events so far, resident bytes) every half million.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

from tickcast.clock import SystemClock
from tickcast.config import Settings
from tickcast.runners.embedded import Embedded
from tickcast.sources.simulated.feed import SimulatedFeed
from tickcast.sources.simulated.settings import MarketSettings, pairs_named

MARK_EVERY = 500_000


def main(root: Path, events: int) -> None:
    clock, process = SystemClock(), psutil.Process()
    market = MarketSettings(seed=3, pairs=pairs_named(("BTCUSDT", "ADAUSDT")), trades_per_second=8.0)
    settings = Settings(data_dir=root, checkpoint_ms=2000, journal_keep_days=1)
    came, marked = 0, 0
    with Embedded(settings, clock) as embedded:
        embedded.recover()
        feed = SimulatedFeed(market, clock=clock)
        while came < events:
            came += embedded.pump([feed], 0.01)
            if came - marked >= MARK_EVERY:
                marked = came
                print(came, process.memory_info().rss, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
