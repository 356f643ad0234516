"""A block of journal lines to rows: by a venue's kernel where it has one, else line by line."""

from __future__ import annotations

from tickcast.sources.blocks import map_lines
from tickcast.sources.contract import Block, Mapper, MarketRows

SCANNED = ("binance", "coinbase", "kraken")
"""The exchanges that have a kernel."""


def map_block(mapper: Mapper, block: Block, last_recv_ns: int = 0) -> MarketRows:
    """Read a block of journal lines of the mapper's exchange; `last_recv_ns` is the answer's of the block before.

    >>> from tickcast.sources import own
    >>> from tickcast.sources.blocks import encode_line
    >>> from tickcast.sources.kraken import Kraken
    >>> line = encode_line(0, "kraken", own.alive(1_723_161_600_000))
    >>> map_block(Kraken(), Block("kraken", line)).columns["timestamp_ms"].tolist()
    [1723161600000]
    """
    if mapper.exchange in SCANNED:
        from tickcast.sources.scan_lines import scan_lines

        return scan_lines(mapper, block.lines, last_recv_ns)
    return map_lines(mapper, block.lines, last_recv_ns)
