"""Kraken's REST: errors come inside 200, pairs answer to several names, the cursor of trades counts nanoseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tickcast.sources.simulated.exchange import archive
from tickcast.sources.simulated.exchange.archive import Span
from tickcast.sources.simulated.exchange.limits import Bucket
from tickcast.sources.simulated.exchange.rest import bars as candles
from tickcast.sources.simulated.exchange.rest.answers import Answer, Asked, json, one_template, whole, written
from tickcast.sources.simulated.exchange.rest.binance import decimals_of, klines
from tickcast.sources.simulated.exchange.settings import Limits
from tickcast.sources.simulated.exchange.times import iso, rfc1123
from tickcast.sources.simulated.exchange.world import World
from tickcast.sources.simulated.templates import compile_templates

TRADES_MAX, CANDLES_MAX = 1000, 720
MINUTES = (1, 5, 15, 30, 60, 240, 1440)
SECONDS_BELOW = 10**11
"""A cursor under this is a time in seconds, as people write it."""
TRADE = '["<price:5>","<quantity:8>",<time_us:float>,"<maker:s|b>","l","",<id>]'
CANDLE = '[<start_us:s>,"<open:.>","<high:.>","<low:.>","<close:.>","<vwap:.>","<volume:8>",<trades>]'
FLAT = '[<start_us:s>,"<open:.>","<high:.>","<low:.>","<close:.>","0.0","<volume:8>",0]'


class KrakenRest:
    """Answers to `/0/public/...`."""

    def __init__(self, world: World, limits: Limits) -> None:
        self._world = world
        self._limits = limits
        self._buckets: dict[str, Bucket] = {}
        self._known: dict[str, int] = {}
        for at, each in enumerate(world.names):
            for name in (each.kraken_key, each.kraken_alt, each.kraken_ws1, each.kraken, each.base + each.kraken_quote):
                self._known.setdefault(name, at)
        self._trades = [one_template(TRADE, archive.COLUMNS, decimals_of(pair)) for pair in world.pairs]
        self._candles = [
            compile_templates([(CANDLE, decimals_of(pair)), (FLAT, decimals_of(pair))], candles.COLUMNS)
            for pair in world.pairs
        ]

    def answer(self, asked: Asked) -> Answer:
        """One answer; what is wrong is said in `error`."""
        limits = self._limits
        fresh = Bucket(limits.kraken_requests_per_s, limits.kraken_requests_burst)
        if not self._buckets.setdefault(asked.client, fresh).take(asked.real_s):
            return error("EAPI:Rate limit exceeded")
        ways: dict[str, Callable[[Asked], Answer]] = {
            "Trades": self._trade_rows,
            "OHLC": self._candle_rows,
            "AssetPairs": self._asset_pairs,
            "Time": _time,
            "SystemStatus": _status,
        }
        way = ways.get(asked.path.removeprefix("/0/public/"))
        if way is None or not asked.path.startswith("/0/public/"):
            return error("EGeneral:Unknown method")
        try:
            return way(asked)
        except ValueError:
            return error("EGeneral:Invalid arguments")

    def _trade_rows(self, asked: Asked) -> Answer:
        at = self._known.get(asked.params.get("pair", ""))
        if at is None:
            return error("EQuery:Unknown asset pair")
        count = whole(asked.params, "count")
        if count is not None and not 1 <= count <= TRADES_MAX:
            raise ValueError("count")
        since = cursor_ns(asked.params.get("since", ""))
        span = after(self._world.archives[at].between(0, asked.seen_us + 1), since, count or TRADES_MAX)
        last = since or 0
        if span.size:
            time_us = int(span.time_us[-1])
            alike = self._world.archives[at].between(time_us, time_us + 1)
            last = time_us * 1000 + int(np.searchsorted(alike.id, span.id[-1]))
        rows = b",".join(written(self._trades[at], span.rows()))
        return Answer(
            b'{"error":[],"result":{"%b":[%b],"last":"%d"}}' % (self._world.names[at].kraken_key.encode(), rows, last)
        )

    def _candle_rows(self, asked: Asked) -> Answer:
        at = self._known.get(asked.params.get("pair", ""))
        if at is None:
            return error("EQuery:Unknown asset pair")
        minutes = whole(asked.params, "interval") or 1
        if minutes not in MINUTES:
            raise ValueError("interval")
        width_us = minutes * 60_000_000
        found = klines(self._world, at, width_us, CANDLES_MAX, None, None, asked.seen_us)
        committed = asked.seen_us // width_us * width_us - width_us
        since = whole(asked.params, "since") or 0
        begin = int(np.searchsorted(found.start_us, since * 1_000_000, side="right")) if since else 0
        found = candles.cut(found, begin, len(found.start_us))
        rows = b",".join(written(self._candles[at], found.rows(), (found.trades == 0).astype(np.int64)))
        key = self._world.names[at].kraken_key.encode()
        return Answer(b'{"error":[],"result":{"%b":[%b],"last":%d}}' % (key, rows, committed // 1_000_000))

    def _asset_pairs(self, asked: Asked) -> Answer:
        wanted = asked.params.get("pair", "")
        places = [self._known.get(name) for name in wanted.split(",")] if wanted else range(len(self._world.names))
        found: dict[str, Any] = {}
        for at in places:
            if at is None:
                return error("EQuery:Unknown asset pair")
            found[self._world.names[at].kraken_key] = self._listing(at)
        return _result(found)

    def _listing(self, at: int) -> dict[str, Any]:
        """In the venue's order of fields."""
        spelled, pair = self._world.names[at], self._world.pairs[at]
        key, alt = spelled.kraken_key, spelled.kraken_alt
        old = key != alt
        coin = alt.removesuffix(spelled.kraken_quote)
        tick = f"{10**-pair.price.decimals:.{pair.price.decimals}f}"
        return {
            "altname": alt,
            "wsname": spelled.kraken_ws1,
            "aclass_base": "currency",
            "base": f"X{coin}" if old else coin,
            "aclass_quote": "currency",
            "quote": f"Z{spelled.kraken_quote}",
            "lot": "unit",
            "cost_decimals": 5,
            "pair_decimals": pair.price.decimals,
            "lot_decimals": 8,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, 0.4]],
            "fees_maker": [[0, 0.25]],
            "fee_volume_currency": "ZUSD",
            "margin_call": 80,
            "margin_stop": 40,
            "ordermin": f"{10**-pair.quantity.decimals:.{pair.quantity.decimals}f}",
            "costmin": "0.5",
            "tick_size": tick,
            "status": "online",
        }


def error(text: str) -> Answer:
    """What Kraken says when it says no."""
    return json({"error": [text]})


def _time(asked: Asked) -> Answer:
    return _result({"unixtime": asked.now_us // 1_000_000, "rfc1123": rfc1123(asked.now_us)})


def _status(asked: Asked) -> Answer:
    return _result({"status": "online", "timestamp": iso(asked.now_us)[:19] + "Z"})


def _result(value: object) -> Answer:
    return json({"error": [], "result": value})


def cursor_ns(text: str) -> int | None:
    """Where to go on: the `last` of an answer, or a time in seconds; ValueError for anything else.

    >>> cursor_ns("1762820035982277754"), cursor_ns("1762820035"), cursor_ns("")
    (1762820035982277754, 1762820035000000000, None)
    """
    if not text:
        return None
    if "." in text:
        return round(float(text) * 1e9)
    number = int(text)
    return number if number >= SECONDS_BELOW else number * 1_000_000_000


def after(span: Span, since_ns: int | None, count: int) -> Span:
    """The trades behind a cursor, at most so many; the newest, where there is none.

    Trades of one microsecond have nanoseconds by their order in it, so a page may end between the fills of an order.
    """
    if since_ns is None:
        return span.last(count)
    time_us, place = divmod(min(max(since_ns, 0), 1 << 62), 1000)
    begin, end = (int(np.searchsorted(span.time_us, time_us, side=side)) for side in ("left", "right"))
    begin = min(begin + place + 1, end)
    return Span(*(column[begin : begin + count] for column in span))
