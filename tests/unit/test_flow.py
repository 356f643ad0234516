"""The map is code, and the code is as the map says."""

from __future__ import annotations

import ast
from pathlib import Path

from tickcast.config import FlowSettings
from tickcast.events import TABLES
from tickcast.flow import FLOW, build

ROOT = Path(__file__).resolve().parents[2]


def test_every_stage_on_the_map_exists_under_its_name() -> None:
    built = build(FlowSettings())

    assert [hop.name for hop in FLOW] == [stage.name for _, stage in built]
    assert [hop.where for hop in FLOW] == [f"{type(stage).__module__}:{type(stage).__name__}" for _, stage in built]


def test_every_stage_folder_is_on_the_map() -> None:
    stages = {path.parent.name for path in (ROOT / "src/tickcast").glob("*/stage.py")}

    assert {hop.name for hop in FLOW} | {"frames"} == stages


def test_every_kind_that_is_read_is_written_before() -> None:
    written = {"trades"}
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


def test_the_readme_and_the_architecture_page_show_the_stages_of_the_map() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()

    assert [] == [hop.name for hop in FLOW if f"`{hop.name}`" not in page]
