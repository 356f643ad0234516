"""docs/metrics.md and the table in the code say the same, in both directions."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.unit.runners.looks import TAKEN_S, shown
from tickcast.runners.health import health, ready
from tickcast.runners.metrics import METRICS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def table() -> str:
    """The table as it must stand on the page."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels) or '-'} | {metric.help} |" for metric in METRICS
    ]
    return "\n".join(["| name | type | labels | what it says |", "|---|---|---|---|", *rows])


def test_the_page_shows_every_metric_as_the_code_has_it() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown_table = "\n".join(line for line in text.splitlines() if line.startswith(("| `tickcast_", "| name", "|---|")))

    assert table() == shown_table


def test_every_name_in_its_examples_is_one() -> None:
    names = {metric.name for metric in METRICS}

    assert set(re.findall(r"\btickcast_\w+", PAGE.read_text(encoding="utf-8"))) == names


def test_the_keys_of_health_and_ready_are_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    said = ready(shown(), TAKEN_S)

    for key in (*health(shown(), TAKEN_S), *said, *said["checks"][0]):
        assert f"`{key}`" in text, key
    [example] = re.findall(r"```json\n(.*?)```", text, flags=re.S)
    assert json.loads(example) in [{name: check[name] for name in json.loads(example)} for check in said["checks"]]
