"""Raw messages out of the shared captures, whatever way a capture is written down; enough for tests, no more."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

BTC = "captures/binance_ws/hftbacktest_btcusdt_spot_20240808.gz"
ETH = "captures/binance_ws/hftbacktest_ethusdt_spot_20240808.gz"
BINANCE_2021 = "captures/binance_ws/cryptofeed_BINANCE.ws_20210417.txt"
COINBASE_2021 = "captures/coinbase_exchange_ws/cryptofeed_COINBASE.ws_20210417_part1.txt"
COINBASE_2026 = "captures/coinbase_exchange_ws/flashbook_live-btc-eth_20260707_part1.ndjson"
COINBASE_ADVANCED = "unlicensed/captures/coinbase_advanced_ws/fastmm_l2_heartbeat_trades_20260930.jsonl"
COINBASE_TICKER = "unlicensed/captures/coinbase_advanced_ws/ticker_subscriptions_20260614.jsonl"
KRAKEN_V1 = "captures/kraken_ws_v1/cryptofeed_KRAKEN.ws_{}_20210417.txt"
KRAKEN_V2 = "captures/kraken_ws_v2/flashbook_live-btc-eth_20260707_part1.ndjson"
KRAKEN_PAGE = "rest/kraken/Trades_XBTUSDT_20251110.json"


def messages(path: Path) -> Iterator[tuple[int, bytes]]:
    """(receive time in ns or 0, raw message); what the recorder itself sent, and its first line, are left out."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if path.suffix == ".json":
        yield 0, data
        return
    for line in data.splitlines():
        stamp, _, raw = line.partition(b" ")
        if line[:1] in (b"{", b"["):
            yield 0, line
        elif stamp.isdigit():
            yield int(stamp), raw
        elif stamp.endswith(b":") and b"<" not in line[:60]:
            yield int(float(stamp[:-1]) * 1e9), raw


def raws(path: Path) -> list[bytes]:
    """The messages alone."""
    return [raw for _, raw in messages(path)]
