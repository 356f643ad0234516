"""Style is a test: what the design forbids can not come in unnoticed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src" / "tickcast"
FILES = sorted(SRC.rglob("*.py"))

PURE = ("candles", "indicators", "ticks", "features", "frames", "seen.py", "snapshot.py", "events.py", "flow.py")
"""Rooms in which a number is made: nothing there may know of time, chance, files or engines."""
UNCLEAN = {
    "time", "random", "os", "asyncio", "threading", "socket", "subprocess", "pathlib", "io", "secrets", "uuid",
    "duckdb", "quixstreams", "pyarrow", "datetime", "logging", "tempfile", "shutil", "urllib", "http",
}  # fmt: skip
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 450


def imports_of(tree: ast.AST) -> set[str]:
    """The first names of all imported modules, wherever in the file they stand."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def tickcast_imports_of(tree: ast.AST) -> set[str]:
    """The modules of ours that a file imports, `tickcast.x.y` as `x`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[1] for name in names if name.startswith("tickcast.")}


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {str(path.relative_to(SRC)): ast.parse(path.read_text()) for path in FILES}


def test_no_function_is_longer_than_a_screen(trees: dict[str, ast.Module]) -> None:
    long = [
        f"{name}:{node.lineno} {node.name}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]

    assert [] == long


def test_no_file_is_too_long_to_read_in_one_go() -> None:
    long = [path.name for path in FILES if len(path.read_text().splitlines()) > FILE_LINES_MAX]

    assert [] == long


def test_stages_know_no_clock_no_chance_no_files_and_no_engine(trees: dict[str, ast.Module]) -> None:
    unclean = {
        name: sorted(imports_of(tree) & UNCLEAN)
        for name, tree in trees.items()
        if name.split("/")[0] in PURE and imports_of(tree) & UNCLEAN
    }

    assert {} == unclean


def test_mappers_do_no_input_or_output(trees: dict[str, ast.Module]) -> None:
    mappers = ("sources/binance.py", "sources/coinbase.py", "sources/kraken.py", "sources/blocks.py", "sources/own.py")
    unclean = {name: found for name in mappers if (found := sorted(imports_of(trees[name]) & UNCLEAN - {"datetime"}))}

    assert {} == unclean


def test_only_the_clock_reads_the_time(trees: dict[str, ast.Module]) -> None:
    readers = {name for name, tree in trees.items() if "time" in imports_of(tree)}

    assert {"clock.py"} == readers


def test_only_the_configuration_reads_the_environment(trees: dict[str, ast.Module]) -> None:
    readers = {
        name
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }

    assert {"config.py"} == readers


def test_stages_do_not_import_runners_stores_or_commands(trees: dict[str, ast.Module]) -> None:
    rooms = {"runners", "store", "cli", "journal", "clock"}
    upward = {
        name: sorted(tickcast_imports_of(tree) & rooms)
        for name, tree in trees.items()
        if name.split("/")[0] in {"candles", "indicators", "ticks", "features"} and tickcast_imports_of(tree) & rooms
    }

    assert {} == upward


def test_nothing_but_the_command_line_imports_the_command_line(trees: dict[str, ast.Module]) -> None:
    importers = {name for name, tree in trees.items() if "cli" in tickcast_imports_of(tree)}

    assert {name for name in importers if not name.startswith("cli/")} == {"__main__.py"}
