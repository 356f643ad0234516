"""Coinbase Advanced sessions: one channel a message, numbers over all of a connection's messages, snapshots first."""

from __future__ import annotations

from typing import Any

import msgspec

from tickcast.sources.simulated.exchange.archive import COLUMNS
from tickcast.sources.simulated.exchange.hall import Hall
from tickcast.sources.simulated.exchange.rest.answers import one_template, written
from tickcast.sources.simulated.exchange.sockets.link import Link
from tickcast.sources.simulated.exchange.sockets.session import Session, names_in
from tickcast.sources.simulated.exchange.sockets.tellers import COLUMNS as QUOTE_COLUMNS
from tickcast.sources.simulated.exchange.sockets.tellers import QUOTE, TRADE, Told, decimals_of_quote
from tickcast.sources.simulated.exchange.sockets.telling import COINBASE_QUOTE, COINBASE_TRADE
from tickcast.sources.simulated.exchange.times import go_time, iso

CHANNELS = {"market_trades": TRADE, "ticker": QUOTE}
OTHER_CHANNELS = {"heartbeats", "level2", "candles", "status", "ticker_batch"}
SNAPSHOT_TRADES = 100


class CoinbaseSession(Session):
    """Frames are keyed with the product's own name, also where an alias was asked for."""

    enveloped = True

    def __init__(self, link: Link, hall: Hall, real_s: float) -> None:
        self.sends_per_s = hall.limits.coinbase_sends_per_s
        super().__init__(link, hall, real_s)
        self._sequence = 0
        self._beats = 0
        self._subscribed: dict[str, list[str]] = {}
        self._known = dict(hall.streams)
        self._known |= {each.coinbase_alias: at for at, each in enumerate(hall.world.names) if each.coinbase_alias}

    def heard(self, raw: bytes, real_s: float) -> None:
        """`{"type":"subscribe","product_ids":["BTC-USD"],"channel":"market_trades"}`."""
        if not self.allowed(real_s):
            return
        try:
            found = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            found = None
        if not isinstance(found, dict) or found.get("type") not in ("subscribe", "unsubscribe"):
            self._error("failure to parse the message")
            return
        channel, products = found.get("channel"), names_in(found.get("product_ids"))
        if not isinstance(channel, str) or (channel not in CHANNELS and channel not in OTHER_CHANNELS):
            self._error("channel is not valid")
            return
        unknown = [product for product in products if product not in self._known]
        if unknown or (not products and channel != "heartbeats"):
            named = ",".join(unknown) or "no product"
            self._error("failure to subscribe", f"{named} is not a valid product")
            return
        if found["type"] == "subscribe":
            self._subscribe(channel, products)
        else:
            self._unsubscribe(channel, products)
        self._send("subscriptions", msgspec.json.encode({"subscriptions": self._subscribed}))

    def _subscribe(self, channel: str, products: list[str]) -> None:
        have = self._subscribed.setdefault(channel, [])
        fresh = [product for product in products if product not in have]
        have += fresh
        if channel not in CHANNELS:
            return
        streams = self._streams(channel, products)
        self.mask[streams] = True
        if self.hall.faults is not None:
            self.hall.faults.revive(self, streams)
        for pair in dict.fromkeys(self._known[product] for product in fresh):
            (self._snapshot if channel == "market_trades" else self._ticker_snapshot)(pair)

    def _unsubscribe(self, channel: str, products: list[str]) -> None:
        left = [product for product in self._subscribed.get(channel, []) if product not in products]
        self._subscribed.pop(channel, None)
        if left and products:
            self._subscribed[channel] = left
        if channel in CHANNELS:
            count = len(self.hall.names)
            self.mask[CHANNELS[channel] * count : (CHANNELS[channel] + 1) * count] = False
            self.mask[self._streams(channel, left if products else [])] = True

    def _streams(self, channel: str, products: list[str]) -> list[int]:
        return [CHANNELS[channel] * len(self.hall.names) + self._known[product] for product in products]

    def _snapshot(self, pair: int) -> None:
        about, span = self.hall.world.pairs[pair], self.hall.world.trades(pair)
        decimals = {"price": about.price.decimals, "quantity": about.quantity.decimals}
        template = one_template(COINBASE_TRADE % {"name": self.hall.names[pair]}, COLUMNS, decimals)
        texts = written(template, span.last(SNAPSHOT_TRADES).rows())[::-1]
        self._send("market_trades", b'{"type":"snapshot","trades":[' + b",".join(texts) + b"]}")

    def _ticker_snapshot(self, pair: int) -> None:
        row = self.hall.world.newest_row(pair, self.hall.world.now_us())
        if row is not None:
            text = COINBASE_QUOTE % {"name": self.hall.names[pair]}
            template = one_template(text, QUOTE_COLUMNS, decimals_of_quote(self.hall.world.pairs[pair]))
            told = written(template, row[None, :])[0]
            self._send("ticker", b'{"type":"snapshot","tickers":[' + told + b"]}")

    def _error(self, message: str, reason: str = "") -> None:
        self.say({"type": "error", "message": message} | ({"reason": reason} if reason else {}))

    def _send(self, channel: str, event: bytes) -> None:
        stamp = iso(self.hall.venue_us()).encode()
        self.link.say(
            b'{"channel":"%b","timestamp":"%b","sequence_num":%d,"events":[%b]}'
            % (channel.encode(), stamp, self._sequence, event)
        )
        self._sequence += 1

    def too_many(self) -> None:
        """Say so, then close."""
        self._error("rate limit exceeded")
        self.link.close(1008, "rate limit exceeded")

    def texts(self, told: Told, picks: list[int] | None) -> list[bytes]:
        """In this connection's envelopes."""
        chosen = range(len(told)) if picks is None else picks
        trades = len(self.hall.names)
        streams, texts, times = told.streams.tolist(), told.texts, told.stamps(self.hall.wrong_us)
        begin = self._sequence
        self._sequence += len(chosen)
        return [
            b'{"channel":"%b","timestamp":"%b","sequence_num":%d,"events":[%b]}'
            % (b"market_trades" if streams[i] < trades else b"ticker", times[i], number, texts[i])
            for number, i in enumerate(chosen, begin)
        ]

    def beat(self, real_s: float) -> None:
        """A heartbeat a second; who has not subscribed in time, or hears nothing for long, is closed."""
        limits = self.hall.limits
        if "heartbeats" in self._subscribed and real_s - self.beaten_s >= limits.heartbeat_s:
            self.beaten_s = self.said_s = real_s
            self._beats += 1
            what: dict[str, Any] = {"current_time": go_time(self.hall.venue_us()), "heartbeat_counter": self._beats}
            self._send("heartbeats", msgspec.json.encode(what))
        if not self._subscribed and real_s - self.opened_s > limits.coinbase_subscribe_within_s:
            self.link.close(1008, "no subscription in time")
        elif real_s - self.said_s > limits.coinbase_idle_s:
            self.link.close(1000, "idle")
