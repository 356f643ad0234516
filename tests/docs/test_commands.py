"""What is not run rots: every command in the pages a reader meets first is run, in the order in which they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tickcast.cli.main import COMMANDS, parser_for

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md",)
FENCE = re.compile(r"```(?:sh|console)\n(.*?)```", re.DOTALL)


def commands_of(page: str) -> list[str]:
    text = (ROOT / page).read_text()
    return [line.strip() for block in FENCE.findall(text) for line in block.splitlines() if line.strip()]


def shortened(words: list[str]) -> list[str]:
    """The same command, but for the demo, which must end by itself and not ask for a fixed port."""
    if words[0] == "demo":
        return [*words, "--seconds", "2", "--speed", "30", "--port", "0"]
    return words


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_runs_as_written(page: str, tmp_path: Path) -> None:
    for line in commands_of(page):
        words = shlex.split(line)
        assert ["uv", "run"] == words[:2], line
        if words[2] in ("pytest", "python"):
            continue  # this suite; the benchmarks have a test of their own
        assert "tickcast" == words[2], line
        command = [sys.executable, "-m", "tickcast", *shortened(words[3:])]
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
