"""The map: each stage, what it reads and what it writes. Both runners are built from it; a test holds it to the code.

                   candles of venues ──→ ┐
    journal lines ─→ frames ─→ trades ─┬→ candles ─→ indicators ─┐
                                       └→ ticks ─────────────────┴→ features

A stage is pure: `step(state, frame) -> frames`, one state a key, no clock, no I/O, no randomness, no look-ups of
configuration inside. Its settings come with its construction, its state goes in and out as bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from tickcast.config import FlowSettings
from tickcast.events import Frame


class Stage(Protocol):
    """What a runner hosts: it keeps one state a key, hands frames in, and carries frames on.

    `step` may change the state it is given and nothing else. Rows that a stage refuses (a trade too late to re-issue
    its candle, say) are counted in its state and reported by `counts`, never dropped in silence.
    """

    @property
    def name(self) -> str:
        """The stage's name in the map, in checkpoints and in topics."""
        ...

    @property
    def version(self) -> int:
        """Raised when a saved state of before would be misread."""
        ...

    def new(self) -> Any:
        """The state of a key that was never seen."""
        ...

    def step(self, state: Any, frame: Frame) -> list[Frame]:
        """Fold one frame in; return what follows from it."""
        ...

    def snapshot(self, state: Any) -> bytes:
        """The state as bytes; equal states give equal bytes."""
        ...

    def restore(self, data: bytes) -> Any:
        """The state that `snapshot` wrote, or SnapshotError."""
        ...

    def counts(self, state: Any) -> dict[str, int]:
        """What was counted on the way (late, doubled, refused...)."""
        ...


class Hop(NamedTuple):
    """One stage's place in the flow: `module.attribute` of the stage class, the kinds it reads and writes."""

    name: str
    where: str
    reads: tuple[str, ...]
    writes: str


FLOW = (
    Hop("candles", "tickcast.candles.stage:Candles", ("trades", "venue_candles"), "candles"),
    Hop("indicators", "tickcast.indicators.stage:Indicators", ("candles",), "technical_indicators"),
    Hop("ticks", "tickcast.ticks.stage:Ticks", ("trades",), "ticks_features"),
    Hop(
        "features",
        "tickcast.features.stage:Features",
        ("candles", "technical_indicators", "ticks_features"),
        "features",
    ),
)
"""In an order in which every stage stands after all that it reads from."""


def build(settings: FlowSettings, names: tuple[str, ...] = ()) -> list[tuple[Hop, Stage]]:
    """Construct the named stages (none named: all) in the order of the map; their modules are imported only here."""
    from importlib import import_module

    built: list[tuple[Hop, Stage]] = []
    for hop in FLOW:
        if not names or hop.name in names:
            module, _, attribute = hop.where.partition(":")
            built.append((hop, getattr(import_module(module), attribute)(settings)))
    return built
