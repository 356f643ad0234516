"""What a joiner takes and gives: its limits, what it wants fetched, what goes out."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from tickcast.events import TRADES
from tickcast.sources.contract import Message
from tickcast.sources.history.contract import After, Part
from tickcast.sources.history.parts import merged

UNTOLD_MAX = 64
"""Of longer walks through nothing the beginning is not told; it stays in doubt, and is asked for as whole windows."""
UNKNOWN = -2
"""The next id, where none can be told."""


class Joined(NamedTuple):
    """History to write down here."""

    part: Part
    live: bool
    """Nothing can be missing between it and the stream."""


class Unseen(NamedTuple):
    """From here on the stream goes on without proof that nothing is missing since then."""

    from_ms: int


Out = Message | Joined | Unseen


def quiet(pair: str, from_ms: int, to_ms: int, learned_ms: int) -> Joined:
    """Word that nothing was traded in that time, and that nothing is missing between it and the stream."""
    return Joined(Part(TRADES.name, pair, 0, from_ms, to_ms, (), TRADES.empty(), True, learned_ms), True)


class Limits(NamedTuple):
    """How long and how much may wait."""

    hold_s: float = 3.0
    first_hold_s: float = 30.0
    """Until a pair has been live nobody misses its messages yet: its beginning may take longer to be joined."""
    held_max: int = 20_000
    reorder_s: float = 0.15
    """What is missing may only be late: history is not asked before."""
    audit_s: float = 0.5
    """After a cut a busy pair's next trade tells whether anything is missing: only quiet ones need to be asked for."""
    align_ms: int = 60_000
    """The longest window: what comes late begins and ends on a whole one, so that closed windows can be made anew."""
    young_ms: int = 30_000
    """Trades no older than this can still be folded into their windows one by one, however short those are."""
    overlap_ms: int = 2000
    """Ids that are not consecutive do not tell which trades were late: so much is asked for again."""


class Want(msgspec.Struct):
    """What to ask history for; the same object comes back with each of its answers."""

    after: After
    until_ms: int = 0
    """0: to the newest there is. Else whole windows are wanted, and the answers joined to them (`parts.Gatherer`)."""
    subscribed: int = -1
    """In which life of the stream it was asked; -1: there was none."""
    reach: int = UNKNOWN
    """Up to which id (exclusive) its answers have told all."""
    before: Part | None = None
    """Its last answer, where whole windows are wanted."""
    suspected: bool = False
    fresh: int = 0
    """How many trades its answers brought that the stream should have brought."""

    untold: list[Part] = msgspec.field(default_factory=list)
    """Its answers since the last one that told anything new."""

    def since(self, part: Part, *, told: bool) -> Part:
        """An answer, with those before it that brought nothing: what was quiet is told by whoever tells more."""
        if not told:
            self.untold = [*self.untold, part][-UNTOLD_MAX:]
            return part
        untold, self.untold = self.untold, []
        return merged([*untold, part]) if untold else part

    @property
    def urgent(self) -> bool:
        """Messages wait for it, or the proof that nothing is missing."""
        return self.until_ms == 0


class Counts(msgspec.Struct):
    """What happened to one pair's gaps since the start."""

    found: int = 0
    repaired: int = 0
    lost: int = 0
    trades: int = 0
    """That history brought."""
