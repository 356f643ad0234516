"""Kernels compile at the start, say nothing that no source says any more, and never in the first live minute."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPILED_LATER = """
import json, sys
from pathlib import Path
from numba.core.dispatcher import Dispatcher
from tickcast.clock import ManualClock
from tickcast.config import Settings
from tickcast.runners.demo import Demo
from tickcast.runners.embedded import Embedded
from tickcast.sources.simulated.feed import SimulatedFeed
from tickcast.sources.simulated.settings import MarketSettings

def signatures():
    import gc
    found = {}
    for one in gc.get_objects():
        if isinstance(one, Dispatcher) and one.py_func.__module__.startswith("tickcast"):
            found[f"{one.py_func.__module__}.{one.py_func.__name__}"] = len(one.signatures)
    return found

clock = ManualClock(0)
embedded = Embedded(Settings(data_dir=Path(sys.argv[1])), clock)
embedded.warm_up()
before = signatures()
with embedded:
    embedded.recover()
    market = MarketSettings()
    feed = SimulatedFeed(market, clock=clock, until_ms=market.start_ms + 20 * 60_000)
    while not feed.ended:
        embedded.pump([feed], 0.01)
after = signatures()
print(json.dumps(sorted(name for name in after if after[name] != before.get(name))))
"""


def test_nothing_is_compiled_once_the_market_flows(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COMPILED_LATER, str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert 0 == ran.returncode, ran.stderr[-2000:]

    assert [] == json.loads(ran.stdout.splitlines()[-1])


def test_a_changed_source_gets_a_cache_of_its_own(tmp_path: Path) -> None:
    copy = tmp_path / "src"
    subprocess.run(["cp", "-r", str(ROOT / "src"), str(copy)], check=True)
    script = "import tickcast.kernels as k; print(k.numba.config.CACHE_DIR)"

    def cache_of() -> str:
        environment = {"PYTHONPATH": str(copy), "XDG_CACHE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        ran = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        return ran.stdout.strip()

    before = cache_of()
    command_line = copy / "tickcast" / "cli" / "demo.py"
    command_line.write_text(command_line.read_text() + "\n# a word\n")
    untouched = cache_of()
    helper = copy / "tickcast" / "seen.py"
    helper.write_text(helper.read_text() + "\n# a word\n")

    assert before == untouched
    assert before != cache_of()
