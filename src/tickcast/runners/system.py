"""A live system: what was missed, then the sockets, until it is told to stop. `up` is this, and so is `demo`.

check the pairs ─→ compile ─→ recover (journal) ─→ history (REST) ─→ live (sockets, REST for holes)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tickcast.clock import NS_PER_MS, Clock
from tickcast.config import Settings
from tickcast.errors import Stopped, StoreError
from tickcast.runners.collecting import collected_rarely
from tickcast.runners.embedded import Embedded
from tickcast.runners.fetching import Fetching
from tickcast.runners.health import LIVE, Watch
from tickcast.runners.origins import Origins, reached
from tickcast.runners.retraining import Retraining
from tickcast.runners.status import LagSeen, Shown
from tickcast.runners.stopping import Stopping
from tickcast.sources.contract import Feed
from tickcast.sources.live.contract import LiveStatus
from tickcast.sources.venues.names import plan_pairs
from tickcast.store.contract import KINDS
from tickcast.store.duckdb import DuckStore
from tickcast.store.results import store_digest
from tickcast.store.service import QueryServer

if TYPE_CHECKING:
    from tickcast.sources.ccxt.feed import CcxtFeed
    from tickcast.sources.live.feed import LiveFeed

POLL_S = 0.05


class Options(msgspec.Struct, frozen=True):
    """What a command line asks for beside the settings."""

    seconds: float | None = None
    """How long to run once it is live; None: until stopped."""
    any_port: bool = False
    """Whether another port will do when the one of the settings is taken."""
    simulated: bool = False
    """The market is made up: whoever looks is told."""
    speed: float = 1.0
    """Market seconds a second, of a simulated market."""


class Summary(msgspec.Struct):
    """What a run did, for machines."""

    digest: str
    """Of all that is stored, where the run ended by itself; who stops it does not wait for all of that to be read."""
    counts: dict[str, int]
    messages: int
    recovered: int
    seconds: float
    speed: float
    market_ms: int
    quarantined: dict[str, dict[str, int]]
    stages: dict[str, dict[str, int]]
    lag_ms: LagSeen
    live: LiveStatus
    data_dir: str


class System:
    """One run. `on_tick` is called a few times a second with the system itself, for a view to look at."""

    def __init__(self, settings: Settings, options: Options, clock: Clock) -> None:
        self.settings, self.options, self.clock = settings, options, clock
        reached(plan_pairs(settings.exchange, settings.pairs), settings.endpoints)  # what is wrong is said at once
        self.origins: Origins
        flow = msgspec.structs.replace(settings, pairs=())
        self.embedded = Embedded(flow, clock)
        self.watch = Watch(self.embedded, clock, simulated=options.simulated, speed=options.speed)
        self.retraining: Retraining | None = None
        if settings.retrain_hours:
            from tickcast.runners.retrain import check

            check(settings)
            self.retraining = Retraining(settings, clock, speed=options.speed)
        self.recovered = 0
        self.live_since_s: float | None = None
        self.live = LiveStatus()
        """How the live feed stood when it ended."""
        self._sockets: LiveFeed | None = None
        self._streams: list[LiveFeed | CcxtFeed] = []
        self._stopping = Stopping()
        self._on_tick: Callable[[System], None] = lambda system: None

    @property
    def shown(self) -> Shown:
        """The newest look, for a view."""
        return self.watch.shown

    def stop(self) -> None:
        """End after what is under way."""
        self._stopping.ask()

    def run(self, on_tick: Callable[[System], None] = lambda system: None) -> Summary:
        """Check, compile, recover, catch up, go live, end cleanly; what is wrong is said before anything is made."""
        self._on_tick = on_tick
        with ExitStack() as held:
            with self._stopping.at_once():
                self._check(held)
            with self.embedded as embedded, self._server() as server:
                self.watch.address = f"http://{server.host}:{server.port}"
                self._prepare(held)
                self._enter("compiling kernels (half a minute, once on a machine)")
                with self._stopping.at_once():
                    embedded.warm_up()
                with self._stopping.gently():
                    self._enter("recovering")
                    self.recovered = embedded.recover(lambda count: self._recovering())
                    origins = self._connect(held)
                    if origins is not None and not self._stopping.asked:
                        plan = origins.plan.items()
                        self.watch.pairs = tuple((name, pair) for name, pairs in plan for pair in pairs)
                        self._run_until_stopped(origins)
                    embedded.checkpoint()
                    self._enter("ended")
                    return self._summary()

    def _check(self, held: ExitStack) -> None:
        """Whatever can be refused is refused now: nothing is made yet, not even the data directory."""
        self._announce("asking the exchanges for their pairs")
        self.origins = held.enter_context(closing(Origins(self.settings, self.clock)))
        self.watch.notes += self.origins.check()

    def _prepare(self, held: ExitStack) -> None:
        """The data directory is ours, the compiler begins: what can go on beside it is started here."""

    def _connect(self, held: ExitStack) -> Origins | None:  # noqa: ARG002 - a demo opens its exchange here
        """Where the data comes from; None: it was stopped meanwhile."""
        return self.origins

    def _announce(self, phase: str) -> None:
        """Say what is done before there is anything to look at."""
        self.watch.phase = phase
        self.watch.shown = msgspec.structs.replace(self.watch.shown, phase=phase)
        self._on_tick(self)

    def _enter(self, phase: str) -> None:
        self.watch.enter(phase)
        self._on_tick(self)

    def _recovering(self) -> None:
        """Between two blocks: a recovery that is stopped begins anew at the next start, so nothing is lost."""
        self.watch.tick()
        self._on_tick(self)
        if self._stopping.asked:
            raise Stopped

    def _server(self) -> QueryServer:
        settings, watch = self.settings, self.watch
        server = partial(
            QueryServer,
            self.embedded.store,
            settings.data_dir,
            host=settings.host,
            health=watch.health,
            ready=watch.ready,
            metrics=watch.metrics,
        )
        try:
            return server(port=settings.port)
        except StoreError:
            if not self.options.any_port:
                raise
            return server(port=0)

    def _run_until_stopped(self, origins: Origins) -> None:
        """Each pair fetches what it missed, then goes live; the others do not wait for it."""
        watch, fetching = self.watch, Fetching(origins, self.embedded)
        self._streams = [*origins.others(self.embedded.pipeline)]
        watch.live = self._status if self._streams else None
        watch.fetching, watch.hosts, watch.requests = fetching.seen, origins.hosts, origins.requests
        watch.history_share = fetching.share
        if fetching.share is not None:
            self._enter("history")
        try:
            with collected_rarely():
                while not self._is_over(fetching):
                    self._turn(origins, fetching)
        finally:
            if self.retraining is not None:
                self.retraining.stop()
            self.live = watch.look().live or LiveStatus()
            watch.live, watch.fetching = None, tuple
            fetching.close()
            for feed in self._streams:
                feed.close()
        for feed in self._streams:  # what waited for a hole, or came while it was told to end
            while rest := feed.poll(0.0):
                watch.messages += self.embedded.accept(rest)

    def _turn(self, origins: Origins, fetching: Fetching) -> None:
        """Go live with what is ready, ask all feeds once, and go on with what is through."""
        for exchange, pairs in fetching.ready():
            self._stream(origins).add(origins.market(exchange, pairs, self.embedded.pipeline))
        if self.live_since_s is None and not fetching.starting:
            self.live_since_s = self.clock.monotonic_s()
            self._enter(LIVE)
        self._pump(self._streams, fetching.feeds())
        fetching.advance()
        self.watch.history_share = fetching.share
        self.watch.notes += [*fetching.notes(), *origins.notes()]
        for stream in self._streams:
            self.watch.notes += stream.notes()
        if self.retraining is not None and self.live_since_s is not None:
            self.watch.notes += self.retraining.poll()
            self.watch.retraining = self.retraining.seen

    def _pump(self, streams: Sequence[Feed], pasts: Sequence[Feed]) -> None:
        """What is live is waited for; history works meanwhile, on the same loop, and is taken as it comes."""
        watch, embedded = self.watch, self.embedded
        watch.messages += embedded.pump(streams or pasts, POLL_S)
        for feed in pasts if streams else ():
            watch.messages += embedded.accept(feed.poll(0.0))
        watch.notes += embedded.notes()
        watch.tick()
        self._on_tick(self)

    def _stream(self, origins: Origins) -> LiveFeed:
        """The feed of all sockets, from when there is a pair for it."""
        if self._sockets is None:
            self._sockets = origins.live()
            self._streams.insert(0, self._sockets)
            self.watch.live = self._status
        return self._sockets

    def _status(self) -> LiveStatus:
        """Of all streams: those of our sockets, and those that ccxt reads."""
        status = LiveStatus()
        for one in [stream.status() for stream in self._streams]:
            status.connections += one.connections
            status.pairs += one.pairs
            status.lag_ms = max(status.lag_ms, one.lag_ms)
            status.requests |= one.requests
        return status

    def _is_over(self, fetching: Fetching) -> bool:
        seconds = self.options.seconds
        timed_out = seconds is not None and self.live_since_s is not None and self.live_s() >= seconds
        nothing = not fetching.starting and bool(self._streams) and all(feed.ended for feed in self._streams)
        return self._stopping.asked or timed_out or nothing

    def live_s(self) -> float:
        """Seconds since it went live."""
        return 0.0 if self.live_since_s is None else self.clock.monotonic_s() - self.live_since_s

    def _summary(self) -> Summary:
        embedded = self.embedded
        if self.options.seconds is not None and not self._stopping.asked:
            digest, counts = store_digest(embedded.store)
        else:
            digest, counts = "", row_counts(embedded.store)
        return Summary(
            digest,
            counts,
            self.watch.messages,
            self.recovered,
            round(self.live_s(), 3),
            self.options.speed,
            max((state.last_recv_ns for state in embedded.pipeline.framers.values()), default=0) // NS_PER_MS,
            embedded.intake.quarantined(),
            embedded.pipeline.counts(),
            embedded.status.lag(),
            self.live,
            str(self.settings.data_dir),
        )


def row_counts(store: DuckStore) -> dict[str, int]:
    """How many rows each table has, without reading them."""
    wanted = ", ".join(f"(SELECT count(*) FROM {table.name})" for table in KINDS.values())
    return dict(zip(KINDS, store.query(f"SELECT {wanted}").rows[0], strict=True))
