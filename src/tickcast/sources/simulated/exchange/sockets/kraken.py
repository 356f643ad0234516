"""Kraken v2 sessions: a status first, an answer for each symbol, ping and pong, a heartbeat a second."""

from __future__ import annotations

from typing import Any

import msgspec

from tickcast.sources.simulated.exchange.archive import COLUMNS
from tickcast.sources.simulated.exchange.hall import Hall
from tickcast.sources.simulated.exchange.rest.answers import one_template, written
from tickcast.sources.simulated.exchange.sockets.link import Link
from tickcast.sources.simulated.exchange.sockets.session import Session, names_in
from tickcast.sources.simulated.exchange.sockets.tellers import COLUMNS as QUOTE_COLUMNS
from tickcast.sources.simulated.exchange.sockets.tellers import QUOTE, TRADE, decimals_of_quote
from tickcast.sources.simulated.exchange.sockets.telling import KRAKEN_QUOTE, KRAKEN_TRADE
from tickcast.sources.simulated.exchange.times import iso

CHANNELS = {"trade": TRADE, "ticker": QUOTE}
SNAPSHOT_TRADES = 50
OTHER_CHANNELS = {"book", "ohlc", "instrument", "level3"}
"""They exist; this exchange has nothing to say in them."""


class KrakenSession(Session):
    """What comes back is what the venue answers, in its order of fields."""

    def __init__(self, link: Link, hall: Hall, real_s: float) -> None:
        self.sends_per_s = hall.limits.kraken_sends_per_s
        super().__init__(link, hall, real_s)
        self._subscribed: set[tuple[str, str]] = set()

    def opened(self) -> None:
        """The system's status comes unasked."""
        self.status("online")

    def status(self, system: str) -> None:
        """`online`, `cancel_only`, `maintenance` or `post_only`."""
        data = {"version": "2.0.10", "system": system, "api_version": "v2"}
        number = self.hall.chance.getrandbits(63)
        self.say({"channel": "status", "type": "update", "data": [data | {"connection_id": number}]})

    def heard(self, raw: bytes, real_s: float) -> None:
        """`{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"],"snapshot":false},"req_id":1}`."""
        if not self.allowed(real_s):
            return
        time_in = self.hall.venue_us()
        try:
            found = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            found = None
        if not isinstance(found, dict):
            self._refuse({"error": "Malformed request", "success": False}, {}, time_in)
            return
        method, params = found.get("method"), found.get("params")
        if method == "ping":
            self._reply({"method": "pong"}, found, time_in)
        elif method in ("subscribe", "unsubscribe") and isinstance(params, dict):
            self._subscribe(method, params, found, time_in)
        else:
            self._refuse({"error": "Method not found", "method": method, "success": False}, found, time_in)

    def _subscribe(self, method: str, params: dict[str, Any], found: dict[str, Any], time_in: int) -> None:
        channel, symbols = params.get("channel"), names_in(params.get("symbol"))
        if channel not in CHANNELS and channel not in OTHER_CHANNELS:
            self._refuse({"error": f"Channel {channel} not found", "method": method, "success": False}, found, time_in)
            return
        for symbol in symbols:
            if symbol not in self.hall.streams:
                what = {"error": f"Currency pair not supported {symbol}", "method": method, "success": False}
                self._refuse(what | {"symbol": symbol}, found, time_in)
                continue
            already = (channel, symbol) in self._subscribed
            if already == (method == "subscribe"):
                text = "Already subscribed" if already else "Subscription Not Found"
                self._refuse({"error": text, "method": method, "success": False, "symbol": symbol}, found, time_in)
                continue
            self._set(str(channel), symbol, method == "subscribe")
            result = {"channel": channel} | self._echo(str(channel), params) | {"symbol": symbol}
            self._reply({"method": method, "result": result, "success": True}, found, time_in)
            if method == "subscribe" and result.get("snapshot"):
                self._snapshot(str(channel), self.hall.streams[symbol])

    def _set(self, channel: str, symbol: str, on: bool) -> None:
        (self._subscribed.add if on else self._subscribed.discard)((channel, symbol))
        if channel in CHANNELS:
            stream = CHANNELS[channel] * len(self.hall.names) + self.hall.streams[symbol]
            self.mask[stream] = on
            if on and self.hall.faults is not None:
                self.hall.faults.revive(self, [stream])

    def _echo(self, channel: str, params: dict[str, Any]) -> dict[str, Any]:
        if channel == "ticker":
            trigger = params.get("event_trigger", "trades")
            return {"event_trigger": trigger, "snapshot": params.get("snapshot", True) is not False}
        return {"snapshot": params.get("snapshot", False) is True}

    def _snapshot(self, channel: str, pair: int) -> None:
        about, name = self.hall.world.pairs[pair], self.hall.names[pair]
        span = self.hall.world.trades(pair)
        if channel == "trade":
            decimals = {"price": about.price.decimals, "quantity": about.quantity.decimals}
            template = one_template(KRAKEN_TRADE % {"name": name}, COLUMNS, decimals)
            rows = span.last(SNAPSHOT_TRADES).rows()
            self.link.say(b'{"channel":"trade","type":"snapshot","data":[' + b",".join(written(template, rows)) + b"]}")
            return
        row = self.hall.world.newest_row(pair, self.hall.world.now_us())
        if row is not None:
            template = one_template(KRAKEN_QUOTE % {"name": name}, QUOTE_COLUMNS, decimals_of_quote(about))
            told = written(template, row[None, :])[0]
            self.link.say(b'{"channel":"ticker","type":"snapshot","data":[' + told + b"]}")

    def _reply(self, value: dict[str, Any], found: dict[str, Any], time_in: int) -> None:
        times = {"time_in": iso(time_in), "time_out": iso(self.hall.venue_us())}
        asked = {"req_id": found["req_id"]} if "req_id" in found else {}
        self.say({"method": value.pop("method")} | asked | value | times if "method" in value else value | times)

    def _refuse(self, value: dict[str, Any], found: dict[str, Any], time_in: int) -> None:
        asked = {"req_id": found["req_id"]} if "req_id" in found else {}
        self.say(value | asked | {"time_in": iso(time_in), "time_out": iso(self.hall.venue_us())})

    def beat(self, real_s: float) -> None:
        """A heartbeat a second once there is a subscription."""
        if self._subscribed and real_s - self.beaten_s >= self.hall.limits.heartbeat_s:
            self.beaten_s = real_s
            self.link.say(b'{"channel":"heartbeat"}')
