"""Binance's REST: trades, aggregates, candles, listings and the time, for their weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any

import numpy as np

from tickcast.sources.simulated.exchange import archive
from tickcast.sources.simulated.exchange.archive import Span
from tickcast.sources.simulated.exchange.limits import Weight
from tickcast.sources.simulated.exchange.rest import bars as candles
from tickcast.sources.simulated.exchange.rest.answers import Answer, Asked, json, one_template, whole, written
from tickcast.sources.simulated.exchange.settings import Limits
from tickcast.sources.simulated.exchange.world import World
from tickcast.sources.simulated.market import Pair
from tickcast.sources.simulated.templates import Templates

ROWS_MAX, ROWS_USUAL = 1000, 500
SPAN_MS_MAX = 3_600_000
WEIGHTS = {"aggTrades": 4, "historicalTrades": 25, "trades": 25, "klines": 2, "exchangeInfo": 20, "time": 1, "ping": 1}
INTERVALS_S = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200, "4h": 14_400,
    "6h": 21_600, "8h": 28_800, "12h": 43_200, "1d": 86_400,
}  # fmt: skip
TOO_MUCH = (
    "Too much request weight used; current limit is {} request weight per 1 MINUTE. "
    "Please use WebSocket Streams for live updates to avoid polling the API."
)
AGGREGATE = (
    '{"a":<aggregate>,"p":"<price:8>","q":"<quantity:8>","f":<first>,"l":<id>,"T":<time_us:ms>,'
    '"m":<maker:true|false>,"M":true}'
)
TRADE = (
    '{"id":<id>,"price":"<price:8>","qty":"<quantity:8>","quoteQty":"<quote:8>","time":<time_us:ms>,'
    '"isBuyerMaker":<maker:true|false>,"isBestMatch":true}'
)
KLINE = (
    '[<start_us:ms>,"<open:8>","<high:8>","<low:8>","<close:8>","<volume:8>",<end_us:ms>,"<quote:8>",<trades>,'
    '"<taker:8>","<taker_quote:8>","0"]'
)
COLUMNS = {**archive.COLUMNS, "quote": len(archive.COLUMNS)}


class BinanceRest:
    """Answers to `/api/v3/...`."""

    def __init__(self, world: World, limits: Limits) -> None:
        self._world = world
        self._names = {each.binance: at for at, each in enumerate(world.names)}
        self._limit = limits.binance_weight_per_minute
        self._span_from_end = limits.binance_span_from_end
        self._weights: dict[str, Weight] = {}
        self._weight = partial(Weight, self._limit, limits.binance_ban_after, limits.binance_ban_s)
        self._aggregates = [one_template(AGGREGATE, COLUMNS, decimals_of(pair)) for pair in world.pairs]
        self._trades = [one_template(TRADE, COLUMNS, decimals_of(pair)) for pair in world.pairs]
        self._klines = [one_template(KLINE, candles.COLUMNS, decimals_of(pair)) for pair in world.pairs]
        self._ways: dict[str, Callable[[Asked], Answer]] = {
            "aggTrades": self._agg_trades,
            "historicalTrades": self._historical,
            "trades": self._historical,
            "klines": self._kline_rows,
            "exchangeInfo": self._exchange_info,
            "time": lambda asked: json({"serverTime": asked.now_us // 1000}),
            "ping": lambda asked: json({}),
        }

    def answer(self, asked: Asked) -> Answer:
        """One answer, with the weight that this client has used."""
        name = asked.path.removeprefix("/api/v3/")
        way = self._ways.get(name) if asked.path.startswith("/api/v3/") else None
        if way is None:
            return Answer(b"<html><body><h2>404 Not found</h2></body></html>", 404, type="text/html")
        weight = self._weights.setdefault(asked.client, self._weight())
        status, wait_s = weight.take(WEIGHTS[name], asked.real_s)
        headers = {"x-mbx-used-weight": str(weight.used), "x-mbx-used-weight-1m": str(weight.used)}
        if status != 200:
            wait = {"Retry-After": str(ceil(wait_s))}
            if status == 418:
                until = (
                    f"Way too much request weight used; IP banned until {asked.now_us // 1000 + int(wait_s * 1000)}."
                )
                return json({"code": -1003, "msg": until}, 418, headers | wait)
            return json({"code": -1003, "msg": TOO_MUCH.format(self._limit)}, 429, headers | wait)
        try:
            found = way(asked)
        except ValueError as error:
            code, _, what = str(error).partition(" ")
            found = json({"code": int(code), "msg": what}, 400) if code[1:].isdigit() else _illegal()
        return found._replace(headers={**found.headers, **headers})

    def _pair(self, asked: Asked) -> int:
        name = asked.params.get("symbol", "")
        if not name:
            raise ValueError("-1102 Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if name not in self._names:
            raise ValueError("-1121 Invalid symbol.")
        return self._names[name]

    def _agg_trades(self, asked: Asked) -> Answer:
        pair, count = self._pair(asked), _count(asked)
        kept = self._world.archives[pair]
        from_id, start, end = (whole(asked.params, name) for name in ("fromId", "startTime", "endTime"))
        if from_id is not None and (start is not None or end is not None):
            raise ValueError("-1128 Combination of optional parameters invalid.")
        if start is not None and end is not None and end - start > SPAN_MS_MAX:
            raise ValueError("-1127 More than 1 hours between startTime and endTime.")
        stop_us = _stop_us(asked, end)
        if from_id is not None:
            span = kept.by_aggregate(from_id, count, stop_us)
        elif start is not None:
            first = kept.first_aggregate_at(start * 1000)
            if end is not None and self._span_from_end:
                first = max(first, kept.first_aggregate_at(stop_us) - count)
            span = kept.by_aggregate(first, count, stop_us)
        else:
            newest = kept.first_aggregate_at(stop_us)
            span = kept.by_aggregate(newest - count, count, stop_us)
        return _array(self._aggregates[pair], aggregates_of(span))

    def _historical(self, asked: Asked) -> Answer:
        pair, count = self._pair(asked), _count(asked)
        from_id = whole(asked.params, "fromId")
        kept, stop_us = self._world.archives[pair], asked.seen_us + 1
        span = kept.between(0, stop_us).last(count) if from_id is None else kept.by_id(from_id, count, stop_us)
        return _array(self._trades[pair], trades_of(span))

    def _kline_rows(self, asked: Asked) -> Answer:
        pair, count = self._pair(asked), _count(asked)
        interval = asked.params.get("interval", "")
        if interval not in INTERVALS_S:
            raise ValueError("-1120 Invalid interval.")
        start, end = whole(asked.params, "startTime"), whole(asked.params, "endTime")
        found = klines(self._world, pair, INTERVALS_S[interval] * 1_000_000, count, start, end, asked.seen_us)
        return _array(self._klines[pair], found.rows())

    def _exchange_info(self, asked: Asked) -> Answer:
        wanted = asked.params.get("symbols", "") or asked.params.get("symbol", "")
        names = wanted.strip("[]").replace('"', "").split(",") if wanted else list(self._names)
        if any(name not in self._names for name in names):
            raise ValueError("-1121 Invalid symbol.")
        limits = [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self._limit or 6000},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
        ]
        symbols = [self._symbol(self._names[name]) for name in names]
        head: dict[str, Any] = {"timezone": "UTC", "serverTime": asked.now_us // 1000, "rateLimits": limits}
        return json({**head, "exchangeFilters": [], "symbols": symbols})

    def _symbol(self, at: int) -> dict[str, Any]:
        spelled, pair = self._world.names[at], self._world.pairs[at]
        quote = spelled.binance.removeprefix(spelled.base)
        tick, step = (f"{10**-number.decimals:.8f}" for number in (pair.price, pair.quantity))
        prices = {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick}
        lots = {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000.00000000", "stepSize": step}
        return {
            "symbol": spelled.binance,
            "status": "TRADING",
            "baseAsset": spelled.base,
            "baseAssetPrecision": 8,
            "quoteAsset": quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [prices, lots],
            "permissions": [],
            "permissionSets": [["SPOT"]],
        }


def decimals_of(pair: Pair) -> dict[str, int]:
    """How many decimals each field of a row has."""
    prices = dict.fromkeys(("price", "open", "high", "low", "close", "vwap"), pair.price.decimals)
    sizes = dict.fromkeys(("quantity", "volume", "taker"), pair.quantity.decimals)
    money = dict.fromkeys(("quote", "taker_quote"), pair.price.decimals + pair.quantity.decimals)
    return prices | sizes | money


def aggregates_of(span: Span) -> archive.I8:
    """A row for each aggregate in some trades, with the first of its ids."""
    rows = span.rows()
    if len(rows) == 0:
        return np.empty((0, len(COLUMNS)), np.int64)
    first = np.flatnonzero(np.r_[True, span.aggregate[1:] != span.aggregate[:-1]])
    last = np.r_[first[1:], len(rows)] - 1
    made = rows[last]
    made[:, archive.COLUMNS["quantity"]] = np.add.reduceat(span.quantity, first)
    made[:, archive.COLUMNS["first"]] = span.first[first]
    return np.column_stack((made, np.zeros(len(made), np.int64)))


def trades_of(span: Span) -> archive.I8:
    """A row for each trade, with the money that changed hands."""
    return np.column_stack((span.rows(), span.price * span.quantity))


def klines(
    world: World, pair: int, width_us: int, count: int, start_ms: int | None, end_ms: int | None, seen_us: int
) -> candles.Bars:
    """Candles whose beginning lies from start to end, the running one included; those cut by the archive are not."""
    kept = world.archives[pair]
    oldest_us = -(-world.begun_us // width_us) * width_us
    last_us = min(seen_us, seen_us if end_ms is None else end_ms * 1000) // width_us * width_us
    if start_ms is not None:
        first_us = max(oldest_us, -(-start_ms * 1000 // width_us) * width_us)
        last_us = min(last_us, first_us + (count - 1) * width_us)
    else:
        first_us = max(oldest_us, last_us - (count - 1) * width_us)
    if first_us > last_us:
        return candles.bars(kept.between(0, 0), width_us)
    before = kept.between(max(oldest_us, first_us - width_us * 1000), first_us)
    lead = before.size > 0  # what a flat first candle's price is: the last trade's before it
    from_us = int(before.time_us[-1]) // width_us * width_us if lead else first_us
    span = kept.between(from_us, min(last_us + width_us, seen_us + 1))
    found = candles.filled(candles.bars(span, width_us), width_us, last_us)
    return candles.cut(found, int(np.searchsorted(found.start_us, first_us)), len(found.start_us))


def _array(template: Templates, rows: archive.I8) -> Answer:
    return Answer(b"[" + b",".join(written(template, rows)) + b"]")


def _count(asked: Asked) -> int:
    count = whole(asked.params, "limit")
    return min(ROWS_USUAL if count is None else count, ROWS_MAX) if count is None or count > 0 else _bad_limit()


def _bad_limit() -> int:
    raise ValueError("-1100 Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.")


def _illegal() -> Answer:
    return json({"code": -1100, "msg": "Illegal characters found in a parameter."}, 400)


def _stop_us(asked: Asked, end_ms: int | None) -> int:
    return asked.seen_us + 1 if end_ms is None else min(asked.seen_us + 1, end_ms * 1000 + 1000)
