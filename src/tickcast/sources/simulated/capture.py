"""A simulated market as a journal file, for benchmarks and tests."""

from __future__ import annotations

from pathlib import Path

from tickcast.sources.simulated.feed import messages
from tickcast.sources.simulated.settings import MarketSettings


def write_capture(path: Path, settings: MarketSettings, seconds: int, exchange: str = "binance") -> int:
    """Write the journal lines of a market's first seconds; says how many.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "market.ndjson"
    ...     write_capture(path, MarketSettings(seed=3), 1) == len(path.read_bytes().splitlines())
    True
    """
    lines = 0
    with path.open("wb") as file:
        for message in messages(settings, settings.start_ms + 1000 * seconds, exchange):
            file.write(b'{"r":%d,"x":"%b","m":%b}\n' % (message.recv_ns, exchange.encode(), message.raw))
            lines += 1
    return lines
