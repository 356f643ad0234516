"""What tests of REST answers ask for and expect."""

from __future__ import annotations

import numpy as np

from tests.unit.sources.simulated.exchange.local import START_MS
from tickcast.events import Columns

HOUR_MS = 3_600_000
LIVE_MS = START_MS + HOUR_MS
MARKET = "/api/v3/brokerage/market/products"


def bars_of(true: Columns, seconds: int) -> dict[int, tuple[float, ...]]:
    """Open, high, low, close, volume and count of each window with a trade, from rounded sums."""
    found: dict[int, tuple[float, ...]] = {}
    width_ms = seconds * 1000
    windows = true["timestamp_ms"] // width_ms
    for window in np.unique(windows):
        price, size = true["price"][windows == window], true["quantity"][windows == window]
        volume = round(float(size.sum()), 8)
        found[int(window) * width_ms] = (
            price[0].item(), price.max().item(), price.min().item(), price[-1].item(), volume, len(price),
        )  # fmt: skip
    return found
