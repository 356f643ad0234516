"""The stages give in QuixStreams what they give in one process, wherever they were stopped.

trades ─→ [candles] ─→ candles ─→ [indicators] ─→ technical_indicators
  four keys, four partitions; stopped in the middle; begun again with nothing but the changelog topics
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conformance.kafka import MockCluster, Sent
from tests.conftest import SHARED_DATA
from tickcast.config import FlowSettings
from tickcast.events import Frame
from tickcast.flow import Hop, Stage, build
from tickcast.frames.stage import Framer
from tickcast.runners import quix
from tickcast.runners.wire import decode_frame, encode_frame
from tickcast.sources.blocks import encode_line, map_block
from tickcast.sources.contract import Block
from tickcast.sources.recorded import open_recording
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated.feed import messages
from tickcast.sources.simulated.settings import MarketSettings, pairs_named
from tickcast.store.digest import Digest

SETTINGS = FlowSettings(candle_seconds=(1, 60), indicators=("ADX:14",))
STAGES = ("candles", "indicators")
MIDNIGHT_MS = 1_735_689_600_000
SIZES = (1, 7, 500)
"""Rows a frame at most."""
CAPTURES = SHARED_DATA / "captures" / "binance_ws"
MARKETS = {"seeded": ("SOLUSDT", "ADAUSDT"), "real": ("BTCUSDT", "ETHUSDT")}


def topic_of(kind: str, size: int) -> str:
    return f"{kind}-{size}"


def seeded_market() -> Iterator[Block]:
    """Twelve minutes around a midnight: 600 seconds before it, so that the day's indicators have their anchor."""
    market = MarketSettings(
        seed=7, pairs=pairs_named(MARKETS["seeded"]), start_ms=MIDNIGHT_MS - 600_000, trades_per_second=1.0
    )
    lines = [encode_line(*message) for message in messages(market, MIDNIGHT_MS + 120_000)]
    for start in range(0, len(lines), 500):
        yield Block("binance", b"".join(lines[start : start + 500]))


def real_market() -> Iterable[Block]:
    """Six minutes of Binance around a midnight."""
    if not CAPTURES.is_dir():
        return []
    return open_recording(sorted(CAPTURES.glob("hftbacktest_*_spot_20240808.gz")))


def framed(blocks: Iterable[Block]) -> Iterator[Frame]:
    framer, recv_ns = Framer(SETTINGS), 0
    state = framer.new()
    for block in blocks:
        rows = map_block(mapper_for(block.exchange), block, recv_ns)
        recv_ns = rows.last_recv_ns
        yield from framer.step(state, block.exchange, rows).frames


def cut(frames: Iterable[Frame], size: int) -> Iterator[Frame]:
    """The same rows in frames of at most so many."""
    for frame in frames:
        for start in range(0, max(len(frame), 1), size):
            stop = min(start + size, len(frame))
            last = stop == len(frame)
            yield frame.slice(start, stop, frame.low_ms if last else int(frame.columns["timestamp_ms"][:stop].max()))


def embedded(hops: Iterable[tuple[Hop, Stage]], frames: Iterable[Frame]) -> list[Frame]:
    """All that the stages give for some frames when they are called one after the other."""
    states: dict[tuple[str, str], Any] = {}
    given: list[Frame] = []
    for frame in frames:
        carried = [frame]
        for hop, stage in hops:
            state = states.setdefault((hop.name, frame.key), stage.new())
            carried = [output for one in carried for output in stage.step(state, one)]
            given += carried
    return given


def digest(frames: Iterable[Frame], market: str) -> str:
    digest = Digest()
    for frame in frames:
        if frame.pair in MARKETS[market]:
            digest.update(frame)
    assert digest.counts()["technical_indicators"] > 100
    return digest.hexdigest()


def values_by_key(sent: Iterable[Sent]) -> dict[str, list[bytes]]:
    values: dict[str, list[bytes]] = {}
    for message in sent:
        values.setdefault(message.key, []).append(message.value)
    return values


class Served(NamedTuple):
    """What lies in the topics after a run, and what was put in."""

    fed: dict[int, list[Frame]]
    outputs: dict[int, dict[str, list[Sent]]]

    def frames(self, size: int) -> list[Frame]:
        return [decode_frame(sent.value) for kind in self.outputs[size].values() for sent in kind]


class Boom(Exception):
    """A crash in the middle of a step."""


class Service:
    """The two stages as one application, begun again and again, each time on an empty state directory."""

    def __init__(self, cluster: MockCluster, sizes: tuple[int, ...], room: Callable[[], Path]) -> None:
        self._cluster, self._sizes, self._room = cluster, sizes, room
        self._hops = build(SETTINGS, STAGES)
        self._inputs = [topic_of(kind, size) for kind in ("trades", "candles") for size in sizes]

    def stopped_after(self, count: int) -> None:
        """Run, and stop in good order after so many messages."""
        seen = 0

        def on_message(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen == count:
                app.stop()

        app = self._application(on_message_processed=on_message)
        app.run()
        assert seen == count

    def crashed_after(self, count: int) -> None:
        """Run, and die after so many messages without a word to the broker: nothing of it was committed."""
        seen = 0

        def on_message(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen == count:
                raise Boom

        with pytest.raises(Boom):
            self._application(on_message_processed=on_message, commit_interval=3600.0).run()

    def run_to_the_end(self) -> None:
        self._cluster.run_to_the_end(self._application(), self._inputs)

    def _application(self, **options: Any) -> Any:
        app = self._cluster.application("tickcast", self._room(), **options)
        for size in self._sizes:
            for hop, stage in self._hops:
                read, write = (quix.topic(app, topic_of(kind, size)) for kind in (hop.reads[0], hop.writes))
                quix.host(app, hop, stage, read, write)
        return app


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return [*framed(seeded_market()), *framed(real_market())]


@pytest.fixture
def room(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("state")


def serve(
    frames: list[Frame], sizes: tuple[int, ...], room: Callable[[], Path], script: Callable[[Service], None]
) -> Served:
    cluster = MockCluster()
    fed = {size: list(cut(frames, size)) for size in sizes}
    for size in sizes:
        cluster.feed(topic_of("trades", size), fed[size])
    script(Service(cluster, sizes, room))
    kinds = ("candles", "technical_indicators")
    return Served(fed, {size: {kind: cluster.read(topic_of(kind, size)) for kind in kinds} for size in sizes})


@pytest.fixture(scope="module")
def stopped(frames: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Each size in topics of its own, all in one application: stopped in the middle, begun again on nothing."""

    def script(service: Service) -> None:
        service.stopped_after(9_000)
        service.run_to_the_end()

    return serve(frames, SIZES, lambda: tmp_path_factory.mktemp("state"), script)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("market", MARKETS)
def test_stopped_and_begun_again_on_an_empty_directory_gives_the_embedded_digest(
    stopped: Served, frames: list[Frame], market: str, size: int, request: pytest.FixtureRequest
) -> None:
    if market == "real":
        request.getfixturevalue("shared_data")
    expected = embedded(build(SETTINGS, STAGES), frames)

    assert digest(expected, market) == digest(stopped.frames(size), market)


@pytest.mark.parametrize("size", SIZES)
def test_after_a_stop_in_good_order_the_topics_hold_the_embedded_messages_and_none_twice(
    stopped: Served, size: int
) -> None:
    outputs = embedded(build(SETTINGS, STAGES), stopped.fed[size])

    for kind, sent in stopped.outputs[size].items():
        expected = [Sent(0, frame.key, encode_frame(frame)) for frame in outputs if frame.kind == kind]
        assert values_by_key(expected) == values_by_key(sent)


def test_the_keys_are_spread_over_partitions_and_each_stays_in_its_own(stopped: Served) -> None:
    for kind in stopped.outputs[1].values():
        homes = {(sent.key, sent.partition) for sent in kind}

        assert len({key for key, _ in homes}) == len(homes)
        assert len({partition for _, partition in homes}) > 1


def test_after_a_crash_messages_come_twice_and_the_digest_is_the_same(
    frames: list[Frame], room: Callable[[], Path]
) -> None:
    """
    |-- 900 messages --|== 700, never committed ==X
                       |-- the same again, and the rest --|
    """

    def script(service: Service) -> None:
        service.stopped_after(900)
        service.crashed_after(700)
        service.run_to_the_end()

    served = serve(frames, (7,), room, script)
    expected = embedded(build(SETTINGS, STAGES), frames)

    for market in MARKETS if CAPTURES.is_dir() else ("seeded",):
        assert digest(expected, market) == digest(served.frames(7), market)
