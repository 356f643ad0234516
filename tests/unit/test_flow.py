"""The map is code, and the code is as the map says."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.runners.kit import START_MS, blocks, market
from tickcast.config import FlowSettings
from tickcast.events import CANDLES, TABLES, TICK_MEASURES, TICK_SPANS, Frame
from tickcast.features.names import TIME
from tickcast.flow import FLOW, Hop, Stage, build
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.store.results import Results

ROOT = Path(__file__).resolve().parents[2]


def test_every_stage_on_the_map_exists_under_its_name() -> None:
    built = build(FlowSettings())

    assert [hop.name for hop in FLOW] == [stage.name for _, stage in built]
    assert [hop.where for hop in FLOW] == [f"{type(stage).__module__}:{type(stage).__name__}" for _, stage in built]


def test_every_stage_folder_is_on_the_map() -> None:
    stages = {path.parent.name for path in (ROOT / "src/tickcast").glob("*/stage.py")}

    assert {hop.name for hop in FLOW} | {"frames"} == stages


def test_every_kind_that_is_read_is_written_before() -> None:
    written = {"trades", "venue_candles"}  # the framer's, and what was fetched or imported
    written.add("fetched")  # the list of what came from history, which no stage reads
    for hop in FLOW:
        assert set(hop.reads) <= written, hop.name
        written.add(hop.writes)

    assert written == set(TABLES)


def test_a_stage_names_only_kinds_that_the_map_gives_it() -> None:
    for hop in FLOW:
        folder = ROOT / "src" / "tickcast" / hop.name
        named = {
            node.value
            for path in folder.glob("*.py")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in TABLES
        }

        assert named <= {*hop.reads, hop.writes, hop.name}, hop.name


class Spied:
    """A stage that writes down which kinds it was given and which it gave; one kind can be kept from it."""

    def __init__(self, stage: Stage, without: str = "") -> None:
        self.stage, self.without = stage, without
        self.read: set[str] = set()
        self.wrote: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stage, name)

    def step(self, state: Any, frame: Frame) -> list[Frame]:
        self.read.add(frame.kind)
        frames = [] if frame.kind == self.without else self.stage.step(state, frame)
        self.wrote |= {one.kind for one in frames}
        return frames


def carried(name: str, without: str = "") -> tuple[Spied, str]:
    """A short market through the flow with one stage watched: that stage, and the digest of what it gave."""
    pipeline, digest = Pipeline(FlowSettings(candle_seconds=(10,))), Results()
    stages = [(hop, Spied(stage, without) if hop.name == name else stage) for hop, stage in pipeline.stages]
    pipeline.stages = cast(Any, stages)
    [spied] = [stage for _, stage in stages if isinstance(stage, Spied)]
    intake = Intake(pipeline)
    told = [{"candle_seconds": 10, "window_start_ms": START_MS - 10_000, "window_end_ms": START_MS, "close": 1.0}]
    outputs = pipeline.push_frame(Frame("candles", "binance", "BTCUSDT", START_MS, CANDLES.rows(told)))
    for block in blocks(market(2), 100):
        outputs += intake.take(block).frames
    for frame in outputs:
        if frame.kind in spied.wrote:
            digest.write(frame)
    return spied, digest.hexdigest()


@pytest.mark.parametrize("hop", FLOW, ids=lambda hop: hop.name)
def test_a_stage_reads_and_writes_what_the_map_says_and_needs_all_of_it(hop: Hop) -> None:
    spied, digest = carried(hop.name)

    assert (set(hop.reads), {hop.writes}) == (spied.read, spied.wrote)
    for kind in hop.reads:
        assert digest != carried(hop.name, without=kind)[1], f"{hop.name} does without {kind}"


def test_the_architecture_page_shows_the_map() -> None:
    """| `candles` | trades | candles of any set of lengths | `candles/` |"""
    page = (ROOT / "ARCHITECTURE.md").read_text()
    rows = {cells[1].strip(" `"): cells[2:5] for line in page.splitlines() if len(cells := line.split("|")) == 6}
    shown_as = {"trades": "trades", "venue_candles": "venue candles"} | {hop.writes: hop.name for hop in FLOW}

    for hop in FLOW:
        reads, _, where = rows[hop.name]
        assert [shown_as[kind] for kind in hop.reads] == [word.strip() for word in reads.split(",")], hop.name
        assert hop.where.split(".")[1] == where.strip(" `/"), hop.name
    assert [hop.name for hop in FLOW] == [name for name in rows if name in {hop.name for hop in FLOW}]


def test_the_page_of_meanings_names_every_column_and_every_count() -> None:
    page = (ROOT / "docs" / "event-semantics.md").read_text()
    spans = {f"{measure}_{span}" for measure in TICK_MEASURES for span in TICK_SPANS}
    plain = {"open", "high", "low", "close", "recv_ms", "exchange", "pair"}  # in words, or in every sentence
    columns = {name for table in TABLES.values() for name in table.columns} - spans - plain
    settings = FlowSettings()
    counts = {name for _, stage in build(settings) for name in stage.counts(stage.new())}

    assert [] == sorted(name for name in columns | counts | set(TICK_MEASURES) | set(TIME) if f"`{name}`" not in page)
    assert [] == [span for span in TICK_SPANS if f"`_{span}`" not in page]
