"""Faults of requests and dials: statuses, torn pages, late answers, pages that lag behind."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

from tickcast.sources.simulated.exchange.faults.board import Board, Running
from tickcast.sources.simulated.exchange.faults.kinds import Fault
from tickcast.sources.simulated.exchange.names import VENUES
from tickcast.sources.simulated.exchange.rest.answers import Answer, Asked, Params, json
from tickcast.sources.simulated.exchange.rest.kraken import error as kraken_error
from tickcast.sources.simulated.exchange.world import World

ROWS = {"limit": 500, "count": 1000}
"""Parameters that say how many rows are wanted, and what they are where they are not given."""
PAGES = {"binance": "limit", "coinbase": "limit", "kraken": "count"}
GEO = {
    "code": 0,
    "msg": "Service unavailable from a restricted location according to 'b. Eligibility' in the terms of use.",
}


class Bent(NamedTuple):
    """What happens to one request before it is answered."""

    asked: Asked
    answer: Answer | None = None
    """Instead of the true one."""
    delay_s: float = 0.0


class Torn(NamedTuple):
    """An answer as it goes out: a body that may be shorter than what its header promises."""

    answer: Answer
    promised: int


class Requests:
    """What faults do to requests."""

    def __init__(self, board: Board, world: World) -> None:
        self._board, self._world = board, world

    def before(self, venue: str, asked: Asked) -> Bent:
        """What a request meets before it is answered."""
        refused = self._refused(venue, asked)
        delay = self._hit(venue, "slow", asked)
        delay_s = delay.usual("ms") / 1000 if delay else 0.0
        for found in self._board.of(venue, "clock"):
            if found.fault.usual("how") != "messages":
                asked = asked._replace(now_us=asked.now_us + 1000 * found.fault.usual("ms"))
        lag = self._hit(venue, "lag", asked)
        if lag is not None:
            asked = asked._replace(seen_us=asked.seen_us - 1000 * lag.usual("ms"))
        if self._hit(venue, "fewer", asked) is not None:
            asked = asked._replace(params=_halved(asked.params, PAGES[venue]))
        return Bent(asked, refused, delay_s)

    def after(self, venue: str, asked: Asked, answer: Answer) -> Torn:
        """What happens to an answer on its way."""
        body = answer.body
        if asked.path.endswith(".zip") and answer.status == 200 and self._hit(venue, "checksum", asked):
            body = body[:-1] + bytes((body[-1] ^ 1,))
        promised = len(body)
        torn = self._hit(venue, "truncated", asked) if answer.status == 200 else None
        if torn is not None:
            body = body[: len(body) * 2 // 3]
            promised = len(body) if torn.usual("how") == "json" else promised
        return Torn(answer._replace(body=body), promised)

    def door(self, venue: str) -> Answer | None:
        """What a dial is refused with; a status of 0 is a reset."""
        if any(True for _ in self._board.of(venue, "maintenance")):
            return Answer(b"Service Unavailable", 503, type="text/plain")
        if self._board.hit(venue, "geo"):
            return json(GEO, 451)
        fault = self._board.hit(venue, "refuse")
        if fault is None:
            return None
        if fault.usual("how") == "reset":
            return Answer(b"", 0)
        code = fault.usual("code")
        return Answer(b"refused", code, {"Retry-After": str(ceil(fault.ms / 1000) or 1)}, "text/plain")

    def no_handshake(self) -> bool:
        """Whether TLS fails now: before anyone can say which venue is meant."""
        return any(self._board.hit(venue, "tls") is not None for venue in VENUES)

    def _refused(self, venue: str, asked: Asked) -> Answer | None:
        if any(True for _ in self._board.of(venue, "maintenance")):
            return _status(venue, 503, 1)
        if self._hit(venue, "geo", asked) is not None:
            return json(GEO, 451)
        fault = self._hit(venue, "status", asked)
        return None if fault is None else _status(venue, fault.usual("code"), ceil(fault.usual("ms") / 1000))

    def _hit(self, venue: str, kind: str, asked: Asked) -> Fault | None:
        for found in self._board.of(venue, kind):
            if self._meets(found, asked) and found.hit():
                return found.fault
        return None

    def _meets(self, found: Running, asked: Asked) -> bool:
        """A fault of one pair meets requests that name it."""
        if found.pair < 0:
            return True
        each = self._world.names[found.pair]
        names = {each.binance, each.coinbase, each.coinbase_alias, each.kraken, each.kraken_alt, each.kraken_key} - {""}
        words = {*asked.path.split("/"), *asked.params.values()}
        return not names.isdisjoint(words)


def _halved(params: Params, name: str) -> Mapping[str, str]:
    text = params.get(name, "")
    wanted = int(text) if text.isdecimal() else ROWS[name]
    return {**params, name: str(max(1, wanted // 2))}


def _status(venue: str, code: int, wait_s: int) -> Answer:
    """A refusal in the venue's own way."""
    wait = {"Retry-After": str(wait_s)}
    if venue == "kraken" and code in (429, 503):
        return kraken_error("EAPI:Rate limit exceeded" if code == 429 else "EService:Unavailable")
    if venue == "binance" and code in (418, 429):
        return json({"code": -1003, "msg": "Too many requests."}, code, wait)
    if code == 429:
        return json({"error": "RESOURCE_EXHAUSTED", "message": "rate limit exceeded"}, code, wait)
    html = b"<html><head><title>%d</title></head><body>unavailable</body></html>" % code
    return Answer(html, code, wait if code == 503 else {}, "text/html")
