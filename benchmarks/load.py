"""One process under load, as `tickcast up` runs it: sockets, journal, all stages, store. Nothing may be lost.

    python -m benchmarks.load [--seconds 60] [--rate 50000] [--bursts 10]

A local exchange in a process of its own tells ten pairs' trades and best prices at that rate, and now and then ten
times as much for a second. Printed is what came, how late, and what it cost; at the end every trade that was stored
is compared with what happened. "Lag" is from the venue's own time of a trade until it is journaled and all that
follows from it is computed, of the oldest and the newest of each batch; the exchange tells every 10 ms, which is in it.
"Said" is the most that the feed's own status stated in that time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import psutil

from tickcast.clock import SystemClock
from tickcast.config import Settings
from tickcast.sources.contract import Message
from tickcast.sources.simulated.exchange.settings import (
    BUSY_NAMES,
    UNLIMITED,
    ExchangeSettings,
    busy_market,
    market_before,
)

VENUE = "binance"
ROW_S = 5.0
BURST_AFTER_S, BURST_EVERY_S, BURST_S = 20.0, 20.0, 1.0
BACKLOG_BYTES = 1 << 30
"""What the exchange keeps for a reader that is behind: a real venue would cut us, and leave a hole to fetch."""


# --- the exchange, in a process of its own


def serve(rate: float, times: float, after_s: float) -> None:
    """Tell a busy market until the parent has ended."""
    import msgspec

    from tickcast.sources.simulated.exchange.exchange import Exchange
    from tickcast.sources.simulated.exchange.making import Made, Squeezed
    from tickcast.sources.simulated.exchange.server import Server
    from tickcast.sources.simulated.market import Market

    class Bursts(Squeezed):
        """A rate, and a multiple of it for a second now and then."""

        def next(self) -> Made | None:
            since_s = (self._at_us - began_us) / 1e6 - after_s
            self._per_s = rate * times if since_s >= 0 and since_s % BURST_EVERY_S < BURST_S else rate
            return super().next()

    now_ns = time.time_ns()
    now_ms, began_us = now_ns // 1_000_000, now_ns // 1000
    limits = msgspec.structs.replace(UNLIMITED, backlog_bytes=BACKLOG_BYTES)
    settings = ExchangeSettings(
        market=market_before(busy_market(1), now_ms, 0.0),
        venues=(VENUE,), live_from_ms=now_ms, live_at_ns=now_ns, load=rate, limits=limits,
    )  # fmt: skip

    async def work() -> None:
        exchange = Exchange(settings, SystemClock(), Bursts(Market(settings.market), rate, began_us))
        async with Server(exchange) as server:
            print(server.address, flush=True)
            parent = os.getppid()
            while os.getppid() == parent:
                await asyncio.sleep(0.5)

    asyncio.run(work())


@contextmanager
def exchange(rate: float, times: float, after_s: float) -> Iterator[tuple[str, psutil.Process]]:
    """Its address, and its process."""
    words = ["serve", str(rate), str(times), str(after_s)]
    child = subprocess.Popen([sys.executable, "-m", "benchmarks.load", *words], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        address = child.stdout.readline().decode().strip()
        assert address, "the exchange did not start"
        yield address, psutil.Process(child.pid)
    finally:
        child.kill()
        child.wait()


# --- what is seen of the process under load


class Row(NamedTuple):
    """Some seconds of it."""

    at_s: float
    messages: int
    busiest: int
    """Messages of the busiest second."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    said_ms: float
    """The most that the feed's own status stated."""
    cpu: float
    exchange_cpu: float
    machine_cpu: float
    """Of all cores, by whoever."""
    resident_mb: float


class Meter:
    """Looks at what is accepted, and draws a line every few seconds."""

    def __init__(self, sender: psutil.Process) -> None:
        self.rows: list[Row] = []
        self.total = 0
        self._ours, self._sender = psutil.Process(), sender
        self._lags: list[tuple[float, int]] = []
        self._seconds: dict[int, int] = {}
        self._began_s = self._row_s = time.monotonic()
        self._cpu = self._cpus()
        self._said_ms = 0.0
        psutil.cpu_percent()  # from now on

    def _cpus(self) -> tuple[float, float]:
        spent = [sum(process.cpu_times()[:2]) for process in (self._ours, self._sender)]
        return spent[0], spent[1]

    def take(self, messages: Sequence[Message]) -> None:
        """Some messages are through."""
        now_ns = time.time_ns()
        ends = (next(_event_times(messages), 0), next(_event_times(messages[::-1]), 0))
        self._lags += [(now_ns / 1e6 - ms, len(messages)) for ms in ends if ms]
        second = now_ns // 1_000_000_000
        self._seconds[second] = self._seconds.get(second, 0) + len(messages)
        self.total += len(messages)

    def tick(self, said_ms: float) -> None:
        """Draw a line if it is time."""
        self._said_ms = max(self._said_ms, said_ms)
        now_s = time.monotonic()
        spent_s = now_s - self._row_s
        if spent_s < ROW_S:
            return
        lags = np.repeat([lag for lag, _ in self._lags] or [0.0], [count for _, count in self._lags] or [1])
        cpu = self._cpus()
        row = Row(
            now_s - self._began_s,
            sum(self._seconds.values()),
            max(self._seconds.values(), default=0),
            float(np.percentile(lags, 50)),
            float(np.percentile(lags, 99)),
            float(lags.max()),
            self._said_ms,
            (cpu[0] - self._cpu[0]) / spent_s,
            (cpu[1] - self._cpu[1]) / spent_s,
            psutil.cpu_percent() / 100,
            self._ours.memory_info().rss / 2**20,
        )
        self.rows.append(row)
        print(
            f"{row.at_s:>6.0f}{row.messages:>12,}{row.messages / spent_s:>11,.0f}{row.busiest:>11,}{row.p50_ms:>9.0f}"
            f"{row.p99_ms:>9.0f}{row.max_ms:>9.0f}{row.said_ms:>9.0f}{row.cpu:>8.0%}{row.exchange_cpu:>10.0%}{row.machine_cpu:>9.0%}{row.resident_mb:>9.0f}",
            flush=True,
        )
        self._lags, self._seconds, self._row_s, self._cpu, self._said_ms = [], {}, now_s, cpu, 0.0


def _event_times(messages: Sequence[Message]) -> Iterator[int]:
    """The venue's times of trades, in the order given; best prices have none."""
    for message in messages:
        at = message.raw.find(b'"E":')
        if at > 0:
            yield int(message.raw[at + 4 : at + 17])


def run(root: Path, address: str, sender: psutil.Process, seconds: float) -> tuple[Meter, Any]:
    """The system at that exchange, for so long."""
    from tickcast.runners.system import Options, System

    settings = Settings(
        data_dir=root, exchange=VENUE, pairs=BUSY_NAMES, endpoints=(f"{VENUE}={address}/{VENUE}",), port=0
    )
    system = System(settings, Options(seconds, any_port=True), SystemClock())
    meter: Meter | None = None
    accept = system.embedded.accept

    def accepting(messages: Sequence[Message]) -> int:
        count = accept(messages)
        if meter is not None and messages:
            meter.take(messages)
        return count

    def look(seen: System) -> None:
        nonlocal meter
        if seen.live_since_s is not None and meter is None:
            meter = Meter(sender)
        if meter is not None:
            meter.tick(seen.shown.live.lag_ms if seen.shown.live else 0.0)

    system.embedded.accept = accepting  # type: ignore[method-assign]
    summary = system.run(look)
    assert meter is not None, "it was never live"
    for note in system.watch.notes:
        print(note)
    return meter, summary


# --- what happened, and what was stored


def compare(root: Path, address: str) -> tuple[int, int, int]:
    """(stored, missing, different) of all trades between the first and the last that were stored, by pair."""
    from tickcast.runners.trades import stored_trades

    columns = ("trade_id", "first_id", "price", "quantity", "timestamp_ms", "is_buyer_maker")
    parts: dict[str, list[dict[str, Any]]] = {}
    for frame in stored_trades(root):
        parts.setdefault(frame.pair, []).append(frame.columns)
    stored = missing = different = 0
    for pair, frames in parts.items():
        mine = {name: np.concatenate([part[name] for part in frames]) for name in columns}
        order = np.argsort(mine["trade_id"])
        with urlopen(f"{address}/truth/{VENUE}/{quote(pair)}?aggregates=1") as answer:
            told = json.load(answer)
        truth = {name: np.array(told[name]) for name in columns}
        within = (truth["trade_id"] >= mine["trade_id"].min()) & (truth["trade_id"] <= mine["trade_id"].max())
        kept = np.isin(truth["trade_id"], mine["trade_id"])
        stored += len(order)
        missing += int(np.count_nonzero(within & ~kept))
        same = np.isin(mine["trade_id"][order], truth["trade_id"])
        for name in columns:
            close = np.isclose(mine[name][order][same], truth[name][kept], rtol=1e-12, atol=0)
            different += int(np.count_nonzero(~close))
        different += int(np.count_nonzero(~same))
    return stored, missing, different


def measure(rate: float, seconds: float, times: float) -> tuple[Meter, tuple[int, int, int], Any]:
    """Run it and print it."""
    after_s = BURST_AFTER_S if times > 1 else 1e9
    with tempfile.TemporaryDirectory() as folder, exchange(rate, max(times, 1.0), after_s) as (address, sender):
        print(
            f"{rate:,.0f} messages a second for {seconds:.0f} s"
            + (f", {times:.0f} times that for a second every {BURST_EVERY_S:.0f} s" if times > 1 else "")
            + f"; load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n"
        )
        print(
            f"{'s':>6}{'messages':>12}{'a second':>11}{'busiest s':>11}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}"
            f"{'said ms':>9}{'CPU':>8}{'exchange':>10}{'machine':>9}{'MB':>9}"
        )
        meter, summary = run(Path(folder), address, sender, seconds)
        found = compare(Path(folder), address)
    stored, missing, different = found
    pairs = summary.live.pairs
    print(
        f"\n{meter.total:,} messages; {stored:,} trades stored, {missing:,} missing, {different:,} different; "
        f"{sum(pair.gaps_found for pair in pairs)} gaps found, {sum(pair.gaps_repaired for pair in pairs)} repaired; "
        f"reconnects {sum(one.reconnects for one in summary.live.connections)}"
    )
    return meter, found, summary


def main() -> None:
    """Measure without bursts, then with."""
    if sys.argv[1:2] == ["serve"]:
        serve(*(float(word) for word in sys.argv[2:5]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=50_000.0)
    parser.add_argument("--bursts", type=float, default=10.0, help="how many times the rate; 1: none")
    args = parser.parse_args()
    measure(args.rate, args.seconds, 1.0)
    if args.bursts > 1:
        print()
        measure(args.rate, args.seconds, args.bursts)


if __name__ == "__main__":
    main()
