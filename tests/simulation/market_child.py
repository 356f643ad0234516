"""A process to be killed: carries a seeded market into a data directory, and goes on where it was.

`python -m tests.simulation.market_child DIR SEED MINUTES` prints the store's digest when it has come to the end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tickcast.clock import SystemClock
from tickcast.config import Settings
from tickcast.runners.embedded import Embedded
from tickcast.sources.simulated.feed import SimulatedFeed
from tickcast.sources.simulated.settings import MarketSettings, pairs_named
from tickcast.store.results import store_digest

EXCHANGE = "binance"
START_MS = 1_735_689_600_000 - 9 * 3_600_000
"""Nine hours before a midnight, so that indicators have their anchor from that midnight on."""


def market(seed: int) -> MarketSettings:
    return MarketSettings(
        seed=seed, start_ms=START_MS, pairs=pairs_named(("BTCUSDT", "ADAUSDT")), trades_per_second=0.5
    )


def main(root: Path, seed: int, minutes: int) -> None:
    clock = SystemClock()
    settings = Settings(data_dir=root, candle_seconds=(60, 300), checkpoint_ms=40, fsync_ms=10)
    with Embedded(settings, clock) as embedded:
        embedded.recover()
        feed = SimulatedFeed(market(seed), EXCHANGE, clock=clock, until_ms=START_MS + minutes * 60_000)
        feed.resume_after(embedded.pipeline.last_recv_ns(EXCHANGE))
        print("running", flush=True)
        while not feed.ended:
            embedded.pump([feed], 0.01)
        embedded.checkpoint()
        digest, counts = store_digest(embedded.store)
    print(json.dumps({"digest": digest, "counts": counts}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
