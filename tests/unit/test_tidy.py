"""Style is a test: what the design forbids can not come in unnoticed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "tickcast"
FILES = sorted(SRC.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

PURE = (
    "candles",
    "indicators",
    "ticks",
    "features",
    "frames",
    "scores",
    "calibration",
    "seen.py",
    "snapshot.py",
    "events.py",
    "flow.py",
)
"""Rooms in which a number is made: nothing there may know of time, chance, files or engines."""
MAPPERS = (
    "binance.py",
    "binance_scan.py",
    "blocks.py",
    "coinbase.py",
    "coinbase_scan.py",
    "decimals.py",
    "kraken.py",
    "kraken_scan.py",
    "own.py",
    "scan_bytes.py",
    "scan_lines.py",
    "scan_rows.py",
)
UNCLEAN = {
    "time", "random", "os", "asyncio", "threading", "socket", "subprocess", "pathlib", "io", "secrets", "uuid",
    "duckdb", "quixstreams", "pyarrow", "datetime", "logging", "tempfile", "shutil", "urllib", "http",
    "sys", "multiprocessing", "concurrent", "ctypes", "sqlite3", "zoneinfo", "locale", "getpass", "platform",
}  # fmt: skip
CALLS = {"open", "input", "print", "eval", "exec", "__import__"}
CLOCK_READS = {
    "now",
    "utcnow",
    "today",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "SystemClock",
    "random",
}
"""Names that nothing pure may take from anything: `datetime.now`, `np.random`, a clock of our own..."""
MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
WRITES = {"append", "add", "update", "clear", "pop", "popitem", "setdefault", "extend", "insert", "remove", "discard"}
ENVIRONMENT = ("environ", "environb", "getenv")
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 450


def imports_of(tree: ast.AST) -> set[str]:
    """The first names of all imported modules, wherever in the file they stand."""
    return {name.partition(".")[0] for name in modules_of(tree)}


def modules_of(tree: ast.AST) -> set[str]:
    """All that is imported, as `a.b.c`: modules, and what is taken from them."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their modules in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tickcast_imports_of(tree: ast.AST) -> set[str]:
    """The modules of ours that a file imports, `tickcast.x.y` as `x`; `from tickcast import x` too."""
    return {name.split(".")[1] for name in modules_of(tree) if name.startswith("tickcast.")}


def long_functions(tree: ast.AST) -> list[str]:
    return [
        f"{node.name}:{node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]


def impurities(tree: ast.Module) -> list[str]:
    """What a pure file must not do: import the world, call for it, read a clock, keep state beside its arguments."""
    found = [f"imports {name}" for name in sorted(imports_of(tree) & UNCLEAN)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            found.append(f"calls {node.func.id}")
        elif isinstance(node, ast.Attribute) and node.attr in CLOCK_READS:
            found.append(f"reads {node.attr}")
        elif isinstance(node, ast.ImportFrom):
            found += [f"takes {alias.name}" for alias in node.names if alias.name in CLOCK_READS]
        elif isinstance(node, ast.Global):
            found.append(f"has global {', '.join(node.names)}")
    return found + [f"changes {name}" for name in sorted(changed_globals(tree))]


def changed_globals(tree: ast.Module) -> set[str]:
    """Tables of a module that one of its functions writes to."""
    tables: set[str] = set()
    for top in tree.body:
        if isinstance(top, ast.Assign | ast.AnnAssign) and isinstance(top.value, MUTABLE):
            targets = top.targets if isinstance(top, ast.Assign) else [top.target]
            tables |= {target.id for target in targets if isinstance(target, ast.Name)}
    written: set[str] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
                    written |= {node.value.id} if isinstance(node.value, ast.Name) else set()
                elif isinstance(node, ast.Attribute) and node.attr in WRITES and isinstance(node.value, ast.Name):
                    written.add(node.value.id)
    return tables & written


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {str(path.relative_to(SRC)): ast.parse(path.read_text()) for path in FILES}


def test_no_function_is_longer_than_a_screen(trees: dict[str, ast.Module]) -> None:
    long = {name: found for name, tree in trees.items() if (found := long_functions(tree))}

    assert {} == long


def test_no_file_is_too_long_to_read_in_one_go() -> None:
    long = [
        str(path.relative_to(ROOT)) for path in [*FILES, *TESTS] if len(path.read_text().splitlines()) > FILE_LINES_MAX
    ]

    assert [] == long


def test_stages_know_no_clock_no_chance_no_files_no_engine_and_no_state_beside_their_own(
    trees: dict[str, ast.Module],
) -> None:
    pure = {name: tree for name, tree in trees.items() if name.split("/")[0] in PURE}
    unclean = {name: found for name, tree in pure.items() if (found := impurities(tree))}

    assert {} == unclean
    assert {"candles", "indicators", "ticks", "features", "frames", "scores", "calibration"} <= {
        name.split("/")[0] for name in pure
    }


def test_mappers_do_no_input_or_output(trees: dict[str, ast.Module]) -> None:
    """They may read times that are written as text, and nothing else of the world."""
    found = {name: impurities(trees[f"sources/{name}"]) for name in MAPPERS}
    unclean = {name: sorted(set(what) - {"imports datetime"}) for name, what in found.items()}

    assert {} == {name: what for name, what in unclean.items() if what}


def test_only_the_clock_reads_the_time(trees: dict[str, ast.Module]) -> None:
    readers = {name for name, tree in trees.items() if "time" in imports_of(tree)}
    askers = {
        name
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today") and name != "clock.py"
    }

    assert {"clock.py"} == readers
    assert set() == askers


def test_only_the_configuration_reads_the_environment(trees: dict[str, ast.Module]) -> None:
    readers = {
        name
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT
    }
    takers = {name for name, tree in trees.items() if {f"os.{what}" for what in ENVIRONMENT} & modules_of(tree)}

    assert {"config.py"} == readers
    assert set() == takers


def test_stages_do_not_import_runners_stores_or_commands(trees: dict[str, ast.Module]) -> None:
    rooms = {"runners", "store", "cli", "journal", "clock", "training", "registry"}
    allowed = {"tickcast.clock.DAY_MS"}  # a number, not a clock
    upward = {
        name: found
        for name, tree in trees.items()
        if name.split("/")[0] in PURE
        and (
            found := sorted(
                one for one in modules_of(tree) - allowed if one.startswith("tickcast.") and one.split(".")[1] in rooms
            )
        )
    }

    assert {} == upward


def test_nothing_but_the_command_line_imports_the_command_line(trees: dict[str, ast.Module]) -> None:
    importers = {name for name, tree in trees.items() if "cli" in tickcast_imports_of(tree)}

    assert {name for name in importers if not name.startswith("cli/")} == {"__main__.py"}


# --- the tests above can fail: each thing that they forbid, planted


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", "imports time"),
        ("def f():\n    import time as clock", "imports time"),
        ("from time import time_ns", "imports time"),
        ("import numpy as np\ndef f():\n    return np.random.rand()", "reads random"),
        ("def f():\n    return open('x')", "calls open"),
        ("from tickcast.clock import SystemClock", "takes SystemClock"),
        ("import tickcast.clock\ndef f():\n    return tickcast.clock.SystemClock()", "reads SystemClock"),
        ("def f(at):\n    return at.now()", "reads now"),
        ("def f():\n    global seen", "has global seen"),
        ("_SEEN = {}\ndef f(key):\n    _SEEN[key] = 1", "changes _SEEN"),
        ("_SEEN: list[int] = []\ndef f(key):\n    _SEEN.append(key)", "changes _SEEN"),
        ("import duckdb", "imports duckdb"),
        ("def f():\n    return __import__('time')", "calls __import__"),
    ],
)
def test_what_is_planted_in_a_stage_is_found(source: str, found: str) -> None:
    assert found in impurities(ast.parse(source))


def test_a_function_of_one_line_too_many_is_found() -> None:
    sixty = "def f():\n" + "    x = 1\n" * (FUNCTION_LINES_MAX - 1)

    assert [] == long_functions(ast.parse(sixty))
    assert ["f:1"] == long_functions(ast.parse(sixty + "    x = 1\n"))
    assert ["f:2"] == long_functions(
        ast.parse("class C:\n" + "".join(f"    {x}\n" for x in (sixty + "    x = 1").splitlines()))
    )


@pytest.mark.parametrize(
    "source", ["from tickcast import clock", "import tickcast.clock", "from tickcast.clock import X"]
)
def test_an_import_of_ours_is_found_however_it_is_written(source: str) -> None:
    assert {"clock"} == tickcast_imports_of(ast.parse(source))
