"""Every test of the candles runs both ways."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.candles.tape import WAYS, Row, Way, joined, rows_of
from tickcast.candles.stage import Candles
from tickcast.config import FlowSettings
from tickcast.events import QUALITY, Frame


class Run:
    """Frames in, candles as dicts out; remembers what was counted."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.counts: dict[str, int] = {}

    def __call__(self, *frames: Frame, candle_seconds: tuple[int, ...] = (60,)) -> list[Row]:
        out, self.counts = self.way(lambda: Candles(FlowSettings(candle_seconds)), frames)
        rows = rows_of(joined(out))
        for row in rows:
            row["quality"] = QUALITY[row["quality"]]
        return rows


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def run(request: pytest.FixtureRequest) -> Callable[..., list[Row]]:
    return Run(request.param)
