"""Real trades: candles counted out naively with decimals must be ours, to the last digit."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.unit.candles.tape import (
    Row,
    cut,
    forgetting_everything_between_frames,
    frame,
    in_one_process,
    joined,
    rows_of,
)
from tickcast.candles.stage import Candles
from tickcast.config import FlowSettings
from tickcast.events import COMPLETE

Raw = tuple[int, int, Decimal, Decimal, bool]
"""Time, id, price, quantity, whether the taker sold."""


def binance(shared_data: Path) -> list[Raw]:
    path = shared_data / "captures/binance_ws/hftbacktest_btcusdt_spot_20240808.gz"
    with gzip.open(path) as lines:
        trades = [json.loads(line.split(b" ", 1)[1])["data"] for line in lines if b'@trade"' in line]
    return [(m["T"], m["t"], Decimal(m["p"]), Decimal(m["q"]), m["m"]) for m in trades]


def kraken(shared_data: Path) -> list[Raw]:
    answer = json.loads((shared_data / "rest/kraken/Trades_XBTUSDT_20251110.json").read_text())
    return [
        (int(Decimal(str(time)) * 1000), number, Decimal(price), Decimal(size), side == "s")
        for price, size, time, side, _, _, number in answer["result"]["XBTUSDT"]
    ]


def naive(trades: list[Raw], seconds: int) -> dict[int, dict[str, Any]]:
    windows: dict[int, list[Raw]] = defaultdict(list)
    for raw in trades:
        windows[raw[0] // (seconds * 1000) * seconds * 1000].append(raw)
    candles = {}
    for start, inside in windows.items():
        inside.sort()
        prices = [price for _, _, price, _, _ in inside]
        candles[start] = {
            "open": float(prices[0]),
            "high": float(max(prices)),
            "low": float(min(prices)),
            "close": float(prices[-1]),
            "volume": float(sum(size for *_, size, _ in inside)),
            "quote_volume": float(sum(price * size for _, _, price, size, _ in inside)),
            "buy_volume": float(sum(size for *_, size, sold in inside if not sold)),
            "trade_count": len(inside),
        }
    return candles


def tape(trades: list[Raw]) -> list[Row]:
    return [
        {
            "trade_id": number, "first_id": number, "price": float(price), "quantity": float(size),
            "timestamp_ms": time, "recv_ms": time, "is_buyer_maker": sold,
        }
        for time, number, price, size, sold in trades
    ]  # fmt: skip


def check(trades: list[Raw], lengths: tuple[int, ...]) -> int:
    rows = tape(trades)
    end = rows[-1]["timestamp_ms"] + 300_000
    frames = [*cut(frame(*rows), range(0, len(rows), 97)), frame(low=end)]
    checked = 0
    for way in (in_one_process, forgetting_everything_between_frames):
        out, counts = way(lambda: Candles(FlowSettings(lengths)), frames)
        assert counts == {"duplicates": 0, "overlapping": 0, "late": 0, "too_late": 0, "restarts": 0, "missing_ids": 0}
        issued = rows_of(joined(out))
        for seconds in lengths:
            expected = naive(trades, seconds)
            ours = {row["window_start_ms"]: row for row in issued if row["candle_seconds"] == seconds}
            traded = {start: row for start, row in ours.items() if row["trade_count"]}
            assert expected == {s: {name: row[name] for name in expected[s]} for s, row in traded.items()}
            assert all(row["quality"] == COMPLETE for row in list(ours.values())[1:])
            checked += len(expected)
    return checked


def test_candles_of_a_binance_capture_are_exact_to_the_last_digit(shared_data: Path) -> None:
    trades = binance(shared_data)

    assert len(trades) == 9757
    assert check(trades, (1, 60, 300)) > 300


def test_candles_of_a_kraken_answer_are_exact_although_trades_share_their_milliseconds(shared_data: Path) -> None:
    trades = kraken(shared_data)

    assert sum(a[0] == b[0] for a, b in pairwise(trades)) == 457
    assert check(trades, (60, 900)) > 100
