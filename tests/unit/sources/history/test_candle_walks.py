"""Walks through candles: closed ones only, all of the time that was asked for, and what is no longer kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.unit.sources.history.memory import BEGIN_MS
from tickcast.sources.history import binance, coinbase, kraken
from tickcast.sources.history.contract import HistoryError, Part, Request
from tickcast.sources.history.dialects import LongWalk
from tickcast.sources.history.steps import NotKept

MINUTE_MS = 60_000
ASKED_MS = BEGIN_MS + 5000 * MINUTE_MS + 30_000


def starts(request: Request, first: str, last: str, unit_ms: int) -> range:
    """The minutes that a request asks for, up to what the venue's clock allows."""
    params = dict(request.params)
    low = -(-int(params[first]) * unit_ms // MINUTE_MS) * MINUTE_MS
    return range(low, min(int(params[last]) * unit_ms, ASKED_MS) + 1, MINUTE_MS)


def klines(request: Request, missing: frozenset[int] = frozenset()) -> bytes:
    found = [ms for ms in starts(request, "startTime", "endTime", 1) if ms not in missing][:1000]
    bar = ["1.5", "2.5", "0.5", "2.0", "7.0"]
    return msgspec.json.encode([[ms, *bar, ms + MINUTE_MS - 1, "14.0", 3, "4.0", "8.0", "0"] for ms in found])


def coinbase_candles(request: Request, missing: frozenset[int] = frozenset()) -> bytes:
    found = [ms for ms in starts(request, "start", "end", 1000) if ms not in missing]
    assert len(found) <= 350
    bar = {"low": "0.5", "high": "2.5", "open": "1.5", "close": "2.0", "volume": "7.0"}
    return msgspec.json.encode({"candles": [{"start": str(ms // 1000), **bar} for ms in found[::-1]]})


def ohlc() -> bytes:
    """The newest 720 bars, the running one included."""
    running = ASKED_MS // MINUTE_MS * 60
    rows = [[running - 60 * back, "1.5", "2.5", "0.5", "2.0", "1.7", "7.0", 3] for back in range(719, -1, -1)]
    return msgspec.json.encode({"error": [], "result": {"XXBTZUSD": rows, "last": running - 60}})


Walks = Callable[[str, int, int, int], LongWalk]
Answers = Callable[..., bytes]


def windows(parts: list[Part]) -> list[int]:
    return [ms for part in parts for ms in part.rows["window_start_ms"].tolist()]


@pytest.mark.parametrize(
    ("walk", "answer"),
    [(binance.CandlesWalk, klines), (coinbase.CandlesWalk, coinbase_candles)],
    ids=["binance", "coinbase"],
)
def test_all_closed_candles_come_and_the_running_one_does_not(walk: Walks, answer: Answers) -> None:
    steps: LongWalk = walk("BTC", 60, BEGIN_MS - 1, ASKED_MS + MINUTE_MS)
    parts: list[Part] = []
    while (request := steps.request) is not None:
        part = steps.take(answer(request), ASKED_MS)
        parts += [part] if part else []

    assert list(range(BEGIN_MS, ASKED_MS - MINUTE_MS, MINUTE_MS)) == windows(parts)
    assert [BEGIN_MS, *(part.to_ms for part in parts[:-1])] == [part.from_ms for part in parts]
    assert ASKED_MS // MINUTE_MS * MINUTE_MS == parts[-1].to_ms
    assert [part.reached_end for part in parts] == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize(
    ("walk", "answer"),
    [(binance.CandlesWalk, klines), (coinbase.CandlesWalk, coinbase_candles)],
    ids=["binance", "coinbase"],
)
def test_missing_candles_are_asked_for_once_more_and_then_believed(walk: Walks, answer: Answers) -> None:
    gone = frozenset((BEGIN_MS, BEGIN_MS + MINUTE_MS))
    steps: LongWalk = walk("BTC", 60, BEGIN_MS, BEGIN_MS + 10 * MINUTE_MS)
    request = steps.request
    assert request is not None

    first, second = (steps.take(answer(request, gone), ASKED_MS) for _ in range(2))

    assert first is None
    assert second is not None
    assert [BEGIN_MS + at * MINUTE_MS for at in range(2, 10)] == windows([second])
    assert steps.request is None


def test_kraken_gives_what_it_keeps_and_says_how_to_get_the_rest() -> None:
    steps = kraken.CandlesWalk("BTC/USD", 60, BEGIN_MS, ASKED_MS)

    part = steps.take(ohlc(), ASKED_MS)

    closed_ms = ASKED_MS // MINUTE_MS * MINUTE_MS
    assert part is not None
    assert list(range(closed_ms - 719 * MINUTE_MS, closed_ms, MINUTE_MS)) == windows([part])
    assert (closed_ms - 719 * MINUTE_MS, closed_ms, True) == (part.from_ms, part.to_ms, part.reached_end)
    assert steps.request is None
    assert isinstance(steps.refusal, NotKept)
    assert "--what trades" in str(steps.refusal)


def test_kraken_gives_only_the_time_that_was_asked_for() -> None:
    low_ms = ASKED_MS // MINUTE_MS * MINUTE_MS - 100 * MINUTE_MS
    steps = kraken.CandlesWalk("BTC/USD", 60, low_ms, low_ms + 5 * MINUTE_MS)

    part = steps.take(ohlc(), ASKED_MS)

    assert part is not None
    assert [low_ms + at * MINUTE_MS for at in range(5)] == windows([part])
    assert steps.refusal is None
    assert not part.reached_end


@pytest.mark.parametrize("module", [binance, coinbase, kraken])
def test_a_length_that_the_venue_does_not_have_is_refused_at_once(module: Any) -> None:
    with pytest.raises(HistoryError, match=r"no candles of 7 seconds; ask for one of"):
        module.CandlesWalk("BTC", 7, BEGIN_MS, ASKED_MS)
