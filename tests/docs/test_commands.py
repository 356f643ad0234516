"""What is not run rots: every command in the pages a reader meets first is run, in the order in which they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tickcast.cli.main import COMMANDS, parser_for
from tickcast.clock import NS_PER_MS, SystemClock
from tickcast.runners.exchange import ExchangeProcess
from tickcast.sources.simulated.exchange.settings import UNLIMITED, ExchangeSettings, market_before
from tickcast.sources.simulated.settings import MarketSettings

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md",)
QUARTERS = ("--candle-seconds", "900")
"""Of such candles Kraken keeps enough at all hours: of less (of five minutes, from 16:40 on) it would have to be
trades, a page a second."""
FENCE = re.compile(r"```(?:sh|console)\n(.*?)```", re.DOTALL)


def commands_of(page: str) -> list[str]:
    text = (ROOT / page).read_text()
    return [line.strip() for block in FENCE.findall(text) for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def venues() -> Iterator[str]:
    """Exchanges on loopback, as the setting `endpoints` names them."""
    live_ms = SystemClock().now_ns() // NS_PER_MS
    market = market_before(MarketSettings(), live_ms, 12.0)
    with ExchangeProcess(ExchangeSettings(market, live_from_ms=live_ms, limits=UNLIMITED)) as exchange:
        yield ",".join(f"{name}={exchange.base(name)}" for name in ("binance", "coinbase", "kraken"))


def shortened(words: list[str], venues: str) -> list[str]:
    """The same command, but what runs for ever must end by itself, and the venues are ours."""
    if words[0] == "demo":
        return [*words, "--seconds", "2", "--speed", "30", "--port", "0"]
    if words[0] == "up":
        return [*words, "--seconds", "2", "--port", "0", *QUARTERS, "--endpoints", venues]
    if words[0] == "backfill":
        return [*words, *QUARTERS, "--endpoints", venues]
    return words


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_runs_as_written(page: str, tmp_path: Path, venues: str) -> None:
    for line in commands_of(page):
        words = shlex.split(line)
        assert ["uv", "run"] == words[:2], line
        if words[2] in ("pytest", "python"):
            continue  # this suite; the benchmarks have a test of their own
        assert "tickcast" == words[2], line
        command = [sys.executable, "-m", "tickcast", *shortened(words[3:], venues)]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)

        assert ran.returncode == 0, f"{line}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
        assert ran.stdout.strip(), line


def test_the_readme_says_what_to_run_before_anything_else() -> None:
    lines = commands_of("README.md")

    assert ["uv run tickcast demo", "uv run pytest"] == lines[:2]


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()

    assert [] == [name for name in COMMANDS if f"tickcast {name}" not in text]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(name: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tickcast", name, "--help"], capture_output=True, text=True, timeout=60, check=True
    )

    assert f"tickcast {name}" in ran.stdout.partition("example")[2]


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert [] == dead


def test_every_command_on_every_page_is_one_that_the_parser_knows() -> None:
    """Placeholders and all: a flag that was renamed shows here, wherever it is still written."""
    written = [
        (page.name, found)
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
        for found in re.findall(r"(?:^|`|uv run )tickcast ([a-z]+[^`\n#]*)", page.read_text(), re.MULTILINE)
    ]
    unknown = []
    for page, line in written:
        words = shlex.split(line)
        try:
            parser_for(words).parse_args(words)
        except SystemExit:
            unknown.append(f"{page}: {line}")

    assert len(written) > 10
    assert [] == unknown
