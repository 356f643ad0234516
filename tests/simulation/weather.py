"""A live system in bad weather: a local exchange that fails on command, and the proof that nothing came of it.

truth (the exchange's own archive) ─→ candles of an undisturbed run ─┐
system against failing sockets ─→ journal, store ────────────────────┴→ equal, or the seed is printed
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tickcast.candles.stage import Candles
from tickcast.clock import PacedClock, SystemClock
from tickcast.config import Settings
from tickcast.events import QUALITY, TRADES, Columns, Frame
from tickcast.runners.datadir import STORE_FILE
from tickcast.runners.exchange import ExchangeProcess
from tickcast.runners.system import Options, Summary, System
from tickcast.runners.trades import stored_trades
from tickcast.runners.verify import verify
from tickcast.sources.simulated.exchange.faults.kinds import Fault, lines_of
from tickcast.sources.simulated.exchange.names import spelling
from tickcast.sources.simulated.exchange.settings import ExchangeSettings, Limits
from tickcast.sources.simulated.settings import MarketSettings, PairSettings, pairs_named
from tickcast.store.duckdb import DuckStore

VENUES = ("binance", "coinbase", "kraken")
BUSY, QUIET = "BTCUSDT", "LTCUSDT"
START_MS = 1_735_689_600_000
HISTORY_MS = 20 * 60_000
TRUTH = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "trade_count")
LENGTHS = (1, 60)
PATIENCE_S = 90.0
"""How long a system may take to be whole again after a fault has passed."""
FAST_REST = Limits(kraken_requests_per_s=50.0, kraken_requests_burst=50.0)
"""Kraken answers once a second; that is true, and would make each of these tests take minutes."""


def market(seed: int) -> MarketSettings:
    """Two pairs that are always busy, and one that trades once in a while."""
    import msgspec

    names = pairs_named([BUSY, "ETHUSDT", QUIET])
    quiet: PairSettings = msgspec.structs.replace(names[2], activity=0.02)
    return MarketSettings(seed=seed, start_ms=START_MS, pairs=(*names[:2], quiet), trades_per_second=3.0)


class Voyage:
    """One system, live against an exchange of its own, with faults on the way."""

    def __init__(
        self, root: Path, *, seed: int = 1, venues: Sequence[str] = VENUES, speed: float = 5.0, hold_ms: int = 3000,
        client: str = "",
    ) -> None:  # fmt: skip
        self.root, self.venues = root, tuple(venues)
        self.seed, self.speed, self.hold_ms, self.client = seed, speed, hold_ms, client
        self.pairs = {venue: tuple(spelling(pair.name).of(venue) for pair in market(seed).pairs) for venue in venues}
        self.log: list[str] = []

    def sail(self, *weathers: Sequence[Fault]) -> Summary:
        """Go live, meet each weather in turn, be whole again after each, and stop."""
        live_ms = START_MS + HISTORY_MS
        settings = ExchangeSettings(market(self.seed), live_from_ms=live_ms, speed=self.speed, limits=FAST_REST)
        with ExchangeProcess(settings) as exchange:
            self.exchange = exchange
            clock = PacedClock(SystemClock())
            clock.pace(self.speed, int(exchange.ask("/status")["now_ms"]) * 1_000_000)
            self.system = System(self._settings(exchange), Options(simulated=True, speed=self.speed), clock)
            course = self._course(weathers)

            def on_tick(system: System) -> None:
                if next(course, None) is None:
                    system.stop()

            summary = self.system.run(on_tick)
            self._check()
        return summary

    def _settings(self, exchange: ExchangeProcess) -> Settings:
        return Settings(
            data_dir=self.root,
            exchange=",".join(self.venues),
            pairs=tuple(f"{venue}:{pair}" for venue in self.venues for pair in self.pairs[venue]),
            candle_seconds=LENGTHS,
            endpoints=tuple(f"{venue}={exchange.base(venue)}" for venue in self.venues),
            hold_ms=self.hold_ms,
            ws_client=self.client,
            port=0,
            fsync_ms=1000,
            journal_keep_days=0,
        )

    def _course(self, weathers: Sequence[Sequence[Fault]]) -> Iterator[bool]:
        """What to do between two pumps: True is to go on."""
        yield from self._until(lambda: self._whole_again(0), "live")
        for faults in weathers:
            self.exchange.inject(*faults)
            lasts_s = max(fault.after_s + fault.seconds for fault in faults) + 0.3
            over_s = self._now_s() + lasts_s
            yield from self._until(lambda over_s=over_s: self._now_s() >= over_s, "over")  # type: ignore[misc]
            self.exchange.calm()
            market_ms = int(self.exchange.ask("/status")["now_ms"])
            said = lines_of(faults).decode().replace("\n", " ")
            yield from self._until(lambda market_ms=market_ms: self._whole_again(market_ms), f"whole after {said}")  # type: ignore[misc]

    def _until(self, reached: Callable[[], bool], what: str) -> Iterator[bool]:
        deadline_s = self._now_s() + PATIENCE_S
        while not reached():
            if self._now_s() > deadline_s:
                status = self.system.shown.live
                raise AssertionError(f"not {what} within {PATIENCE_S:g} s: {status}\n{self.system.shown.notes}")
            yield True

    def _now_s(self) -> float:
        return SystemClock().monotonic_s()

    def _whole_again(self, since_ms: int) -> bool:
        """Every pair is live, no hole is open, and all candles of that time are closed."""
        live = self.system.shown.live
        if live is None or not live.pairs or any(pair.state != "live" or pair.gaps_open for pair in live.pairs):
            return False
        lows = self.system.shown.lows
        wanted = [f"{venue}:{pair}" for venue in self.venues for pair in self.pairs[venue]]
        return all(lows.get(key, 0) > since_ms + 1000 for key in wanted)

    # ---- what must be true afterwards

    def _check(self) -> None:
        """Every stored trade is the market's, each once; every candle is an undisturbed run's; verify holds."""
        stored: dict[tuple[str, str], list[Columns]] = {}
        for frame in stored_trades(self.root):
            stored.setdefault((frame.exchange, frame.pair), []).append(frame.columns)
        store = DuckStore(self.root / STORE_FILE, read_only=True)
        try:
            for venue in self.venues:
                for pair in self.pairs[venue]:
                    ids = _ids(stored.get((venue, pair), []))
                    truth = self.exchange.truth(venue, pair)
                    _same_trades(f"{venue}:{pair}", ids, truth)
                    _same_candles(f"{venue}:{pair}", store, (venue, pair), truth, int(ids[0]))
        finally:
            store.close()
        verdict = verify(self.root)
        assert verdict.holds, verdict.sentence


def _ids(parts: list[Columns]) -> Any:
    spans = [
        (first, last)
        for part in parts
        for first, last in zip(part["first_id"].tolist(), part["trade_id"].tolist(), strict=True)
    ]
    found = np.array([one for first, last in spans for one in range(first, last + 1)], dtype=np.int64)
    assert len(found) == len(np.unique(found)), "a trade was stored twice"
    return np.sort(found)


def _same_trades(key: str, ids: Any, truth: dict[str, list[Any]]) -> None:
    known = np.array(truth["trade_id"], dtype=np.int64)
    assert len(ids), key
    expected = known[(known >= ids[0]) & (known <= ids[-1])]
    missing = np.setdiff1d(expected, ids)
    assert np.array_equal(expected, ids), f"{key}: {len(missing)} of {len(expected)} trades are missing: {missing[:9]}"


def _same_candles(key: str, store: DuckStore, where: tuple[str, str], truth: dict[str, Any], first_id: int) -> None:
    """All windows that were stored, against the fold of the truth from the first stored trade on."""
    rows = {name: np.array(truth[name]) for name in ("trade_id", "first_id", "price", "quantity", "timestamp_ms")}
    rows["is_buyer_maker"] = np.array(truth["is_buyer_maker"], dtype=np.bool_)
    kept = rows["trade_id"] >= first_id
    columns: Columns = TRADES.rows([{}] * int(kept.sum())) | {name: column[kept] for name, column in rows.items()}
    stage = Candles(_flow())
    since_ms = int(columns["timestamp_ms"][0]) // 60_000 * 60_000
    low_ms = int(columns["timestamp_ms"][-1])
    whole = Frame("trades", *where, low_ms, columns, whole_from_ms=since_ms)
    expected = {_window(row): row for row in _rows(stage.step(stage.new(), whole)[0].columns)}
    found = {
        _window(row): row
        for columns in store.rows("candles", exchange=where[0], pair=where[1])
        for row in _rows(columns)
    }
    compared = expected.keys() & found.keys()
    assert len(compared) > 60, key
    first = min(start for seconds, start in expected if seconds == 1)
    last = max(start for seconds, start in found if seconds == 1)
    gaps = [start for start in range(first, last, 1000) if (1, start) not in found]
    assert not gaps, f"{key}: windows are missing: {gaps[:5]} of {first} to {last}"
    for window in sorted(compared):
        left, right = expected[window], found[window]
        assert [left[name] for name in TRUTH] == [right[name] for name in TRUTH], f"{key} {window}: {left} {right}"
        if window[1] > since_ms + 60_000:
            assert QUALITY[right["quality"]] != "partial", f"{key} {window}: {right}"


def _flow() -> Any:
    from tickcast.config import FlowSettings

    return FlowSettings(candle_seconds=LENGTHS)


def _window(row: dict[str, Any]) -> tuple[int, int]:
    return int(row["candle_seconds"]), int(row["window_start_ms"])


def _rows(columns: Columns) -> list[dict[str, Any]]:
    return [{name: column[k].item() for name, column in columns.items()} for k in range(len(columns["revision"]))]


class Met(NamedTuple):
    """One fault alone, and how it is called in a test's name."""

    fault: Fault
    name: str
