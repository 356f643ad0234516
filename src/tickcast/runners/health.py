"""Is it alive, and can its data be trusted now: for /health, /ready and all that watches over a running system.

    Embedded, LiveStatus ─→ Watch.look (the runner's thread) ─→ Shown ─→ health, ready, metrics (any thread)

A look is taken between two pumps, so that nobody reads what is being changed; what is asked later is answered from it.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tickcast.clock import NS_PER_MS, Clock
from tickcast.runners.embedded import Embedded
from tickcast.runners.metrics import metrics
from tickcast.runners.retraining import RetrainingSeen
from tickcast.runners.status import (
    DiskSeen,
    FetchSeen,
    Shown,
    current,
    data_age_ms,
    fetching_text,
    offset_of,
    pairs_read,
    requests_of,
)
from tickcast.sources.history.budget import HostUse
from tickcast.sources.live.contract import LiveStatus, PairStatus

LIVE = "live"
"""The phase in which all that is waited for is through."""
NOTES_KEPT = 20
LOOKS_S = 0.2
"""How often `tick` looks."""
SLOW_LOOKS_S = 1.0
"""How often the disk and the stages are asked at most; the rest is cheap."""
RUNNER_STALE_S = 15.0
STORE_STALE_S = 60.0
JOURNAL_STALE_S = 15.0
CONNECTION_STALE_S = 60.0
"""The feed ends a silent connection itself, long before; this is for a feed that does not."""
DATA_SLACK_MS = 15_000
"""How far a pair's time may stand behind beside what its candles ask for."""
LAG_MAX_MS = 5_000
DISK_FREE_MIN_BYTES = 200 << 20


class Check(msgspec.Struct, frozen=True):
    """One thing that must hold, and how it is."""

    name: str
    ok: bool
    detail: str
    age_s: float | None = None
    """Of what it was judged by; None: it has no age."""


class Watch:
    """What a runner says of itself: it sets counts, adds notes, enters phases and ticks between two pumps.

    All this belongs to the runner's thread; `shown`, `health`, `ready` and `metrics` may be asked by any. The first
    look needs an open data directory.

        watch = Watch(embedded, clock)
        with embedded, QueryServer(..., health=watch.health, ready=watch.ready, metrics=watch.metrics):
            watch.enter("recovering")
            ...
            watch.live = feed.status
            watch.enter("live")
            while ...:
                watch.messages += embedded.pump([feed], 0.05)
                watch.notes += embedded.notes()
                watch.tick()
    """

    def __init__(self, embedded: Embedded, clock: Clock, *, simulated: bool = False, speed: float = 1.0) -> None:
        self.embedded, self.clock, self.simulated, self.speed = embedded, clock, simulated, speed
        self.phase = "starting"
        self.address = ""
        self.messages = 0
        self.history_share: float | None = None
        self.live: Callable[[], LiveStatus] | None = None
        """Asked at every look, once there are sockets."""
        self.fetching: Callable[[], tuple[FetchSeen, ...]] = tuple
        self.hosts: Callable[[], tuple[HostUse, ...]] = tuple
        self.requests: Callable[[], dict[str, int]] = dict
        """These are asked at every look too, once there is history to fetch."""
        self.pairs: tuple[tuple[str, str], ...] = ()
        """The pairs that are read, by exchange, where the sockets do not know them all (ccxt)."""
        self.retraining: RetrainingSeen | None = None
        """How the training beside the flow stands; None: there is none."""
        self.notes: deque[str] = deque(maxlen=NOTES_KEPT)
        """The newest of what was repaired, sealed, deleted or could not be done."""
        self._began_s = clock.monotonic_s()
        self._slow_s = float("-inf")
        self._slow: tuple[int, dict[str, dict[str, int]]] = (0, {})
        self.shown = Shown(self.phase, self._began_s, clock.now_ns() // NS_PER_MS, simulated=simulated, speed=speed)

    def enter(self, phase: str) -> None:
        """Begin something else, and let it be seen at once."""
        self.phase = phase
        self.look()

    def tick(self) -> None:
        """Look if the last look is old; call it as often as you like."""
        if self.clock.monotonic_s() - self.shown.taken_s >= LOOKS_S:
            self.look()

    def look(self) -> Shown:
        """Take in how all of it is now."""
        embedded, now_s = self.embedded, self.clock.monotonic_s()
        status, pipeline, journal = embedded.status, embedded.pipeline, embedded.journal
        flow = embedded.settings.flow
        if now_s - self._slow_s >= SLOW_LOOKS_S:
            self._slow_s, self._slow = now_s, (_free_bytes(embedded), pipeline.counts())
        disk = DiskSeen(
            self._slow[0], now_s - journal.synced_s, journal.unsynced_s(), max(0.0, now_s - embedded.committed_s)
        )
        self.shown = Shown(
            self.phase,
            now_s,
            self.clock.now_ns() // NS_PER_MS,
            simulated=self.simulated,
            address=self.address,
            data_dir=str(embedded.settings.data_dir),
            uptime_s=now_s - self._began_s,
            speed=self.speed,
            history_share=self.history_share,
            fetching=self.fetching(),
            hosts=self.hosts(),
            requests=self.requests(),
            wait_ms=min(flow.candle_seconds) * 1000 + flow.grace_ms,
            market_ms=max((state.last_recv_ns for state in pipeline.framers.values()), default=0) // NS_PER_MS,
            messages=self.messages,
            rate=status.rate(self.messages),
            received=dict(embedded.intake.messages),
            lag=status.lag(),
            rows=dict(status.rows),
            candles=tuple(status.candles.values()),
            closes={key: tuple(closes) for key, closes in status.closes.items()},
            volatility=dict(status.volatility),
            qualities=dict(status.qualities),
            quarantined=embedded.intake.quarantined(),
            stages=self._slow[1],
            pairs=self.pairs,
            lows=pipeline.lows(),
            disk=disk,
            notes=tuple(self.notes),
            live=None if self.live is None else self.live(),
            retraining=self.retraining,
        )
        return self.shown

    def health(self) -> dict[str, Any]:
        """For GET /health."""
        return health(self.shown, self.clock.monotonic_s())

    def ready(self) -> dict[str, Any]:
        """For GET /ready."""
        return ready(self.shown, self.clock.monotonic_s())

    def metrics(self) -> str:
        """For GET /metrics."""
        now_s = self.clock.monotonic_s()
        return metrics(self.shown, now_s, ready=all(check.ok for check in checks(self.shown, now_s)))


def _free_bytes(embedded: Embedded) -> int:
    try:
        return shutil.disk_usage(embedded.settings.data_dir).free
    except OSError:  # gone under our feet: no room is what it means
        return 0


def health(shown: Shown, now_s: float) -> dict[str, Any]:
    """That it is alive, what it does and what it has done; says nothing of whether its data can be trusted."""
    live = shown.live or LiveStatus()
    return {
        "status": "ok",
        "phase": shown.phase,
        "simulated": shown.simulated,
        "uptime_s": round(shown.uptime_s + now_s - shown.taken_s, 3),
        "age_s": round(now_s - shown.taken_s, 3),
        "messages": shown.messages,
        "messages_per_second": round(shown.rate, 3),
        "notes": list(shown.notes),
        "rows": shown.rows,
        "quarantined": sum(sum(reasons.values()) for reasons in shown.quarantined.values()),
        "lag_ms": msgspec.to_builtins(shown.lag),
        "waiting_ms": round(live.lag_ms, 3),
        "candles": [msgspec.to_builtins(seen) for seen in shown.candles],
        "connections": [msgspec.to_builtins(one) for one in live.connections],
        "pairs": [msgspec.to_builtins(one) for one in live.pairs],
        "history": [msgspec.to_builtins(one) for one in shown.fetching],
        "hosts": [one._asdict() for one in shown.hosts],
        "requests": requests_of(shown),
        "retraining": _retraining(shown, now_s),
    }


def _retraining(shown: Shown, now_s: float) -> dict[str, Any] | None:
    if shown.retraining is None:
        return None
    told = msgspec.to_builtins(shown.retraining)
    told["next_s"] = round(max(0.0, told["next_s"] - now_s), 3)
    return dict(told)


def ready(shown: Shown, now_s: float) -> dict[str, Any]:
    """Whether the data are whole and fresh, and all that this hangs on."""
    found = [msgspec.to_builtins(check) for check in checks(shown, now_s)]
    return {"ready": all(check["ok"] for check in found), "phase": shown.phase, "checks": found}


def checks(shown: Shown, now_s: float) -> list[Check]:
    """Each dependency with its state; all must be ok before forecasts may be trusted."""
    return [
        *_machine(shown, now_s - shown.taken_s),
        *_connections(shown, now_s - shown.taken_s),
        *_pairs(shown, now_s - shown.taken_s),
        *_histories(shown, now_s - shown.taken_s),
        *_clocks(shown),
    ]


def _machine(shown: Shown, age_s: float) -> Iterator[Check]:
    """This process, its store and its journal."""
    yield Check("phase", shown.phase == LIVE, shown.phase)
    yield Check("runner", age_s <= RUNNER_STALE_S, f"looked at itself {age_s:.1f} s ago", round(age_s, 3))
    committed_s = shown.disk.committed_age_s + age_s
    text = f"last checkpoint {committed_s:.1f} s ago"
    yield Check("store", committed_s <= STORE_STALE_S, text, round(committed_s, 3))
    free, unsynced_s = shown.disk.free_bytes, shown.disk.unsynced_s + age_s * (shown.disk.unsynced_s > 0)
    text = f"{free / (1 << 30):.1f} GiB free, synced {shown.disk.synced_age_s + age_s:.1f} s ago"
    fine = free >= DISK_FREE_MIN_BYTES and unsynced_s <= JOURNAL_STALE_S
    if unsynced_s:
        text += f", oldest line waits for {unsynced_s:.1f} s"
    yield Check("journal", fine, text, round(shown.disk.synced_age_s + age_s, 3))
    if shown.live is not None:
        lag_ms = shown.live.lag_ms
        yield Check("lag", lag_ms <= LAG_MAX_MS, f"the oldest message that came waited {lag_ms:,.0f} ms", None)


def _connections(shown: Shown, age_s: float) -> Iterator[Check]:
    if shown.live is None:
        return
    for one in current(shown.live.connections):
        silent_s = one.age_s + age_s if one.age_s >= 0 else None
        fine = one.state == "open" and silent_s is not None and silent_s <= CONNECTION_STALE_S
        detail = one.state
        if one.state == "waiting":
            detail += f", dials again in {max(0.0, one.next_dial_s - age_s):.1f} s"
        if one.state != "open" and one.why:
            detail += f" ({one.why})"
        detail += ", no byte yet" if silent_s is None else f", last byte {silent_s:.1f} s ago"
        age = None if silent_s is None else round(silent_s, 3)
        yield Check(f"connection {one.exchange}/{one.number}", fine, detail, age)


def _pairs(shown: Shown, age_s: float) -> Iterator[Check]:
    known = {} if shown.live is None else {(one.exchange, one.pair): one for one in shown.live.pairs}
    keys = pairs_read(shown)
    if not keys:
        yield Check("pairs", False, "none yet")
    for exchange, pair in keys:
        behind_ms = data_age_ms(shown, exchange, pair, age_s)
        fresh = behind_ms is not None and behind_ms <= shown.wait_ms + DATA_SLACK_MS * max(1.0, shown.speed)
        seen = known.get((exchange, pair))
        detail = "no data yet" if behind_ms is None else f"data {max(0.0, behind_ms) / 1000:.1f} s behind"
        fine = fresh and (seen is None or seen.state == "live")
        if seen is not None:
            detail = f"{_pair_text(seen, age_s)}, {detail}"
        age = None if behind_ms is None else round(behind_ms / 1000, 3)
        yield Check(f"pair {exchange}/{pair}", fine, detail, age)


def _histories(shown: Shown, age_s: float) -> Iterator[Check]:
    """What is not all there: until then indicators are null, or the pair is not live at all."""
    for one in shown.fetching:
        yield Check(f"history {one.exchange}/{one.pair}", False, fetching_text(one, age_s))


def _pair_text(seen: PairStatus, age_s: float) -> str:
    """A pair's state in words.

    >>> _pair_text(PairStatus("kraken", "BTC/USD", "joining", 1, 2.0, held=12), 0.0)
    'joining, 12 messages wait for a hole to be fetched, last message 2.0 s ago'
    """
    waiting = f", {seen.held:,} messages wait for a hole to be fetched" if seen.held else ""
    holes = f", {seen.gaps_open} hole{'s' * (seen.gaps_open > 1)} open" if seen.gaps_open else ""
    last = f", last message {seen.age_s + age_s:.1f} s ago" if seen.last_message_ms else ", no message yet"
    return f"{seen.state}{waiting}{holes}{last}"


def _clocks(shown: Shown) -> Iterator[Check]:
    """Told, and never a reason not to be ready: nothing is bucketed or dropped by the local clock."""
    if shown.live is None:
        return
    for exchange in sorted({one.exchange for one in shown.live.connections}):
        offset = offset_of(shown.live, exchange)
        if offset is None:
            yield Check(f"clock {exchange}", True, "not measured yet")
            continue
        by_ms, error_ms = offset
        where = "ahead of" if by_ms >= 0 else "behind"
        sure = "" if error_ms == float("inf") else f", give or take {error_ms:,.0f} ms"
        yield Check(f"clock {exchange}", True, f"the venue is {abs(by_ms):,.0f} ms {where} this machine{sure}")
