"""The stages give in QuixStreams what they give in one process, wherever they were stopped.

trades ─→ [candles] ─→ candles ─→ [indicators] ─→ technical_indicators
  four keys, four partitions; stopped in the middle; begun again with nothing but the changelog topics
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.kafka import MockCluster, Sent
from tests.conftest import SHARED_DATA
from tickcast.config import FlowSettings
from tickcast.events import Frame
from tickcast.flow import Hop, Stage, build
from tickcast.frames.stage import Framer
from tickcast.runners import quix
from tickcast.runners.wire import decode_frame, encode_frame
from tickcast.sources.blocks import encode_line
from tickcast.sources.contract import Block
from tickcast.sources.mapping import map_block
from tickcast.sources.recorded import open_recording
from tickcast.sources.registry import mapper_for
from tickcast.sources.simulated.feed import messages
from tickcast.sources.simulated.settings import MarketSettings, pairs_named
from tickcast.store.results import Results

SETTINGS = FlowSettings(candle_seconds=(1, 60), indicators=("ADX:14",))
STAGES = ("candles", "indicators")
MIDNIGHT_MS = 1_735_689_600_000
SIZES = (1, 40)
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
    digest = Results()
    for frame in frames:
        if frame.pair in MARKETS[market]:
            digest.write(frame)
    assert digest.counts()["technical_indicators"] > 100
    return digest.hexdigest()


def values_by_key(sent: Iterable[Sent]) -> dict[str, list[bytes]]:
    values: dict[str, list[bytes]] = {}
    for message in sent:
        values.setdefault(message.key, []).append(message.value)
    return values


class Boom(Exception):
    """A crash in the middle of a step."""


class Service:
    """The two stages as one application, begun again and again, each time on an empty state directory."""

    def __init__(self, sizes: tuple[int, ...], room: Path) -> None:
        self.cluster = MockCluster()
        self._sizes, self._room, self._runs = sizes, room, 0
        self._hops = build(SETTINGS, STAGES)
        self._inputs = [topic_of(kind, size) for kind in ("trades", "candles") for size in sizes]

    def run_to_the_end(self) -> None:
        self.cluster.run_to_the_end(self._application(), self._inputs)

    def crash(self, *, committed: int, after: int) -> None:
        """Die at a message, with outputs delivered for which no input was committed; then the broker hears no more."""
        seen, delivered, candles = 0, 0, topic_of("candles", self._sizes[0])

        def on_message(*_: object) -> None:
            nonlocal seen, delivered
            seen += 1
            if seen == committed + 1:
                delivered = self.cluster.count(candles)
            if seen == after:
                self.cluster.wait_until(lambda: self.cluster.count(candles) > delivered)
                raise Boom

        app = self._application(on_message_processed=on_message, commit_every=committed, commit_interval=3600.0)
        with pytest.raises(Boom), self.cluster.stopped_at(app):
            app.run()

    def outputs(self) -> dict[int, dict[str, list[Sent]]]:
        """What lies in the output topics, by size and kind."""
        kinds = ("candles", "technical_indicators")
        return {size: {kind: self.cluster.read(topic_of(kind, size)) for kind in kinds} for size in self._sizes}

    def _application(self, **options: Any) -> Any:
        self._runs += 1
        app = self.cluster.application("tickcast", self._room / str(self._runs), **options)
        for size in self._sizes:
            for hop, stage in self._hops:
                read, write = (quix.topic(app, topic_of(kind, size)) for kind in (hop.reads[0], hop.writes))
                quix.host(app, hop, stage, read, write)
        return app


def halves(frames: list[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Of every key the first half of its frames, and the second."""
    total, seen = Counter(frame.key for frame in frames), Counter[str]()
    parts: tuple[list[Frame], list[Frame]] = [], []
    for frame in frames:
        parts[2 * seen[frame.key] >= total[frame.key]].append(frame)
        seen[frame.key] += 1
    return parts


def sent_frames(outputs: dict[str, list[Sent]]) -> list[Frame]:
    return [decode_frame(sent.value) for kind in outputs.values() for sent in kind]


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return [*framed(seeded_market()), *framed(real_market())]


@pytest.fixture(scope="module")
def stopped(frames: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, list[Sent]]]:
    """Each size in topics of its own, all in one application: stopped when all keys were half through, begun again."""
    service = Service(SIZES, tmp_path_factory.mktemp("states"))
    for half in (0, 1):
        for size in SIZES:
            service.cluster.feed(topic_of("trades", size), halves(list(cut(frames, size)))[half])
        service.run_to_the_end()
    return service.outputs()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("market", MARKETS)
def test_stopped_and_begun_again_on_an_empty_directory_gives_the_embedded_digest(
    stopped: dict[int, dict[str, list[Sent]]],
    frames: list[Frame],
    market: str,
    size: int,
    request: pytest.FixtureRequest,
) -> None:
    if market == "real":
        request.getfixturevalue("shared_data")
    expected = embedded(build(SETTINGS, STAGES), frames)

    assert digest(expected, market) == digest(sent_frames(stopped[size]), market)


@pytest.mark.parametrize("size", SIZES)
def test_after_a_stop_in_good_order_the_topics_hold_the_embedded_messages_and_none_twice(
    stopped: dict[int, dict[str, list[Sent]]], frames: list[Frame], size: int
) -> None:
    outputs = embedded(build(SETTINGS, STAGES), cut(frames, size))

    for kind, sent in stopped[size].items():
        expected = [Sent(0, frame.key, encode_frame(frame)) for frame in outputs if frame.kind == kind]
        assert values_by_key(expected) == values_by_key(sent)


def test_the_keys_are_spread_over_partitions_and_each_stays_in_its_own(
    stopped: dict[int, dict[str, list[Sent]]],
) -> None:
    for sent in stopped[1].values():
        homes = {(message.key, message.partition) for message in sent}

        assert len({key for key, _ in homes}) == len(homes)
        assert len({partition for _, partition in homes}) > 1


def test_after_a_crash_messages_come_twice_and_the_digest_is_the_same(frames: list[Frame], tmp_path: Path) -> None:
    """
    |-- 900 messages, committed --|== 600, delivered but never committed ==X
                                  |-- the same again, and the rest --|
    """
    service = Service((7,), tmp_path)
    service.cluster.feed(topic_of("trades", 7), cut(frames, 7))
    service.crash(committed=900, after=1500)
    service.run_to_the_end()

    outputs = service.outputs()[7]
    expected = embedded(build(SETTINGS, STAGES), frames)
    once = embedded(build(SETTINGS, ("candles",)), cut(frames, 7))
    assert len(outputs["candles"]) > len(once)
    for market in MARKETS if CAPTURES.is_dir() else ("seeded",):
        assert digest(expected, market) == digest(sent_frames(outputs), market)
