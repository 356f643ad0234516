"""A short simulated market, and the ways in which runners are fed with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tickcast.clock import ManualClock
from tickcast.config import FlowSettings, Settings
from tickcast.runners.embedded import Embedded
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.sources.blocks import encode_line
from tickcast.sources.contract import Block, Message
from tickcast.sources.simulated.feed import messages
from tickcast.sources.simulated.settings import MarketSettings, pairs_named
from tickcast.store.results import Results, store_digest

DAY_MS = 86_400_000
START_MS = 1_735_689_600_000
"""2025-01-01, a midnight."""
PAIRS = ("BTCUSDT", "ADAUSDT")
FLOW = FlowSettings(candle_seconds=(10, 60))


@lru_cache(maxsize=8)
def market(minutes: int, *, exchange: str = "binance", start_ms: int = START_MS, seed: int = 5) -> tuple[Message, ...]:
    """All messages of some minutes."""
    names = {"kraken": ("BTC/USD", "ADA/USD"), "coinbase": ("BTC-USD", "ADA-USD")}.get(exchange, PAIRS)
    settings = MarketSettings(seed=seed, start_ms=start_ms, pairs=pairs_named(names), trades_per_second=0.5)
    return tuple(messages(settings, start_ms + minutes * 60_000, exchange))


def blocks(said: Sequence[Message], size: int) -> Iterator[Block]:
    """Journal blocks of so many lines, for messages of one exchange."""
    for at in range(0, len(said), size):
        part = said[at : at + size]
        yield Block(part[0].exchange, b"".join(encode_line(*one) for one in part))


def folded(said: Sequence[Message], size: int, *, restart_every: int = 0) -> str:
    """The digest of some messages in blocks of a size, starting anew from bytes after every k-th block."""
    intake, digest = Intake(Pipeline(FLOW)), Results()
    for number, block in enumerate(blocks(said, size), start=1):
        for frame in intake.take(block).frames:
            digest.write(frame)
        if restart_every and number % restart_every == 0:
            kept = intake.pipeline.snapshots()
            intake = Intake(Pipeline(FLOW))
            intake.pipeline.restore(kept)
    return digest.hexdigest()


def settings_for(root: Path, **more: object) -> Settings:
    """Settings whose clock-driven parts are out of the way."""
    chosen: dict[str, Any] = {
        "data_dir": root,
        "candle_seconds": FLOW.candle_seconds,
        "fsync_ms": 0,
        "checkpoint_ms": 600_000,
        **more,
    }
    return Settings(**chosen)


def carry(root: Path, said: Sequence[Message], *, size: int = 300, checkpoint_every: int = 3, **more: object) -> str:
    """Messages through a data directory, from where it was to a clean end; gives the store's digest."""
    with Embedded(settings_for(root, **more), ManualClock(said[-1].recv_ns)) as embedded:
        embedded.recover()
        for number, at in enumerate(range(0, len(said), size), start=1):
            embedded.accept(said[at : at + size])
            if number % checkpoint_every == 0:
                embedded.checkpoint()
        embedded.checkpoint()
        return store_digest(embedded.store)[0]
