"""One pair of one exchange: its joiner, its pace, and what is counted of it."""

from __future__ import annotations

import math

from tickcast.sources.live.contract import PairStatus
from tickcast.sources.live.joiner import Joiner
from tickcast.sources.live.pace import Pace

RATE_S = 5.0
"""Over about how long the rate of messages is measured."""

TRADES_MEANWHILE = 5
"""Messages with trades that must have come since the last best prices, before these can be said to have stalled."""


class Lane:
    """What the live feed keeps of one pair."""

    __slots__ = (
        "_messages_before",
        "_quotes_before",
        "_rate",
        "_seen_s",
        "_ticked_s",
        "_trades_at_quote",
        "_trades_before",
        "joiner",
        "last_ns",
        "looks",
        "number",
        "pace",
        "pair",
        "progress",
        "quote_pace",
        "quote_stalls",
        "quotes",
        "refused",
        "resubscribed_s",
        "stalls",
        "stalls_in_row",
        "trades",
        "up",
        "verdict",
    )

    def __init__(self, pair: str, joiner: Joiner, number: int) -> None:
        self.pair, self.joiner, self.number = pair, joiner, number
        self.pace, self.quote_pace = Pace(), Pace()
        self.quote_stalls = 0
        """How often in a row its best prices alone had stalled."""
        self.trades = self.quotes = 0
        """Messages that the stream brought."""
        self.last_ns = 0
        """When the last one of them came."""
        self.up = False
        """Its connection stands, and the pair is subscribed in it."""
        self.refused = ""
        """The venue's words, where it refuses the pair."""
        self.stalls = self.stalls_in_row = 0
        self.looks = 0
        """How often in a row its silence was only quiet."""
        self.verdict: tuple[float, int] | None = None
        """History knew more than the stream: until when the stream may still bring it, and how much it had brought."""
        self.resubscribed_s = math.nan
        self.progress = 0
        """Answers of history so far."""
        self._trades_before = self._messages_before = self._quotes_before = self._trades_at_quote = 0
        self._seen_s = self._ticked_s = math.nan
        self._rate = 0.0

    @property
    def state(self) -> str:
        """`live`, `joining`, `suspect` or `down`."""
        if self.up:
            return self.joiner.state
        return "down" if self.joiner.caught_up else "joining"

    def tick(self, now_s: float) -> None:
        """Learn the pair's pace; to be called a few times a second."""
        if self.trades != self._trades_before:
            self._trades_before = self.trades
            self.stalls_in_row = self.looks = 0
            self.pace.heard(now_s)
        if self.quotes != self._quotes_before:
            self._quotes_before, self._trades_at_quote = self.quotes, self.trades
            self.quote_stalls = 0
            self.quote_pace.heard(now_s)
        messages = self.trades + self.quotes
        came = messages - self._messages_before
        if came:
            self._messages_before, self._seen_s = messages, now_s
        passed_s = now_s - self._ticked_s
        if passed_s > 0.0:
            self._rate += -math.expm1(-passed_s / RATE_S) * (came / passed_s - self._rate)
        self._ticked_s = now_s

    def lacks_quotes(self, now_s: float) -> bool:
        """Whether trades go on and best prices, which came before, do not: each time twice as long is waited."""
        if not self.quotes or self.trades - self._trades_at_quote < TRADES_MEANWHILE:
            return False
        return self.quote_pace.silent_s(now_s) > self.quote_pace.limit_s * 2.0 ** min(self.quote_stalls, 6)

    def begin(self, now_s: float) -> None:
        """Its stream is listened to from now on."""
        self.pace.begin(now_s)
        self.quote_pace.begin(now_s)
        self._trades_at_quote = self.trades

    def status(self, exchange: str, now_s: float) -> PairStatus:
        """What there is to say of it now."""
        counts = self.joiner.counts
        return PairStatus(
            exchange=exchange,
            pair=self.pair,
            state=self.state,
            last_message_ms=self.last_ns // 1_000_000,
            age_s=now_s - self._seen_s if self._seen_s == self._seen_s else 0.0,
            rate=self._rate,
            gaps_found=counts.found,
            gaps_repaired=counts.repaired,
            gaps_open=len(self.joiner.holes),
            gaps_lost=counts.lost,
            trades_repaired=counts.trades,
            held=self.joiner.held,
            stalls=self.stalls,
        )
