"""Binance's sessions: streams in the URL or by SUBSCRIBE, a ping every 20 s, five messages a second, a day at most."""

from __future__ import annotations

from typing import Any

import msgspec

from tickcast.sources.simulated.exchange.hall import Hall
from tickcast.sources.simulated.exchange.sockets.link import Link
from tickcast.sources.simulated.exchange.sockets.session import Session, names_in
from tickcast.sources.simulated.exchange.sockets.tellers import AGGREGATE, QUOTE, TRADE, Told

CHANNELS = {"trade": TRADE, "bookTicker": QUOTE, "aggTrade": AGGREGATE}


class BinanceSession(Session):
    """A stream that nobody has is subscribed to without a word, as the venue does; nothing ever comes of it."""

    def __init__(self, link: Link, hall: Hall, real_s: float, *, path: str = "/stream", query: str = "") -> None:
        self.sends_per_s = hall.limits.binance_sends_per_s
        super().__init__(link, hall, real_s)
        bare = path.startswith("/ws")
        self.enveloped = bare  # bare messages are unwrapped for this connection alone
        names = path.removeprefix("/ws").strip("/") if bare else query
        self._asked = dict.fromkeys(name for name in names.split("/") if name)
        self._pinged_s, self._unanswered_s = real_s, 0.0

    def opened(self) -> None:
        """Streams of the URL are told without an answer."""
        self._choose()
        if 0 < self.hall.limits.binance_streams < len(self._asked):
            self.link.close(1008, "Too many streams")

    def heard(self, raw: bytes, real_s: float) -> None:
        """`{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}`."""
        if not self.allowed(real_s) or len(raw) > self.hall.limits.binance_message_bytes:
            return
        try:
            found = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            self.say({"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"})
            return
        if not isinstance(found, dict) or not isinstance(found.get("method"), str):
            self.say({"code": 2, "msg": "Invalid request: missing field `method`"})
            return
        self._answer(found, found["method"], names_in(found.get("params")))

    def _answer(self, found: dict[str, Any], method: str, names: list[str]) -> None:
        ident = found.get("id")
        result: Any = None
        if method == "SUBSCRIBE":
            if 0 < self.hall.limits.binance_streams < len(self._asked | dict.fromkeys(names)):
                self.say({"code": 4, "msg": "Invalid request: too many streams", "id": ident})
                return
            self._asked |= dict.fromkeys(names)
        elif method == "UNSUBSCRIBE":
            self._asked = {name: None for name in self._asked if name not in names}
        elif method == "LIST_SUBSCRIPTIONS":
            result = list(self._asked)
        elif method == "SET_PROPERTY" and found.get("params", [""])[0] == "combined":
            self.enveloped = not found["params"][-1]
        elif method == "GET_PROPERTY":
            result = not self.enveloped
        else:
            what = f"Invalid request: unknown variant `{method}`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`"
            self.say({"code": 2, "msg": what, "id": ident})
            return
        self._choose()
        self.say({"result": result, "id": ident})
        if method == "SUBSCRIBE":
            self.resubscribed(names)

    def resubscribed(self, names: list[str]) -> None:
        """A stalled pair goes on where it is asked for anew."""
        if self.hall.faults is not None:
            self.hall.faults.revive(self, self._streams(names))

    def _streams(self, names: list[str]) -> list[int]:
        low = {name.lower(): at for name, at in self.hall.streams.items()}
        count = len(self.hall.names)
        found = []
        for name in names:
            pair, _, channel = name.partition("@")
            if pair in low and channel in CHANNELS:
                found.append(CHANNELS[channel] * count + low[pair])
        return found

    def _choose(self) -> None:
        self.mask[:] = False
        self.mask[self._streams(list(self._asked))] = True

    def beat(self, real_s: float) -> None:
        """Ping, and end who does not answer or has been here for a day."""
        limits = self.hall.limits
        if self.link.pongs:
            self.link.pongs.clear()
            self._unanswered_s = 0.0
        if self._unanswered_s and real_s - self._unanswered_s > limits.binance_pong_within_s:
            self.link.close(1008, "Pong timeout")
        elif real_s - self._pinged_s >= limits.binance_ping_s:
            self._pinged_s = real_s
            self._unanswered_s = self._unanswered_s or real_s
            self.link.ping(b"%d" % (self.hall.venue_us() // 1000))
        if 0 < limits.binance_max_age_s < real_s - self.opened_s:
            self.link.close(1001, "Connection has been open for too long")

    def texts(self, told: Told, picks: list[int] | None) -> list[bytes]:
        """Bare where it was asked for so: without `{"stream":...,"data":` and the last brace."""
        texts = super().texts(told, picks)
        return texts if not self.enveloped else [text[text.index(b'"data":') + 7 : -1] for text in texts]
