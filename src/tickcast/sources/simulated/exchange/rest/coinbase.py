"""Coinbase Advanced's REST: products with their aliases, a page of trades, candles, the time."""

from __future__ import annotations

from typing import Any

import numpy as np

from tickcast.sources.simulated import kernels
from tickcast.sources.simulated.exchange import archive
from tickcast.sources.simulated.exchange.limits import Bucket
from tickcast.sources.simulated.exchange.rest import bars as candles
from tickcast.sources.simulated.exchange.rest.answers import Answer, Asked, json, one_template, whole, written
from tickcast.sources.simulated.exchange.rest.binance import decimals_of
from tickcast.sources.simulated.exchange.settings import Limits
from tickcast.sources.simulated.exchange.times import iso
from tickcast.sources.simulated.exchange.world import World

TRADES_MAX, CANDLES_MAX = 1000, 350
BASE, MARKET = "/api/v3/brokerage", "/api/v3/brokerage/market/products"
GRANULARITIES_S = {
    "ONE_MINUTE": 60, "FIVE_MINUTE": 300, "FIFTEEN_MINUTE": 900, "THIRTY_MINUTE": 1800, "ONE_HOUR": 3600,
    "TWO_HOUR": 7200, "FOUR_HOUR": 14_400, "SIX_HOUR": 21_600, "ONE_DAY": 86_400,
}  # fmt: skip
TRADE = (
    '{"trade_id":"<id>","product_id":"%s","price":"<price:trim>","size":"<quantity:trim>","time":"<time_us:iso>",'
    '"side":"<maker:BUY|SELL>","bid":"","ask":"","exchange":"coinbase"}'
)
CANDLE = (
    '{"start":"<start_us:s>","low":"<low:trim>","high":"<high:trim>","open":"<open:trim>","close":"<close:trim>",'
    '"volume":"<volume:trim>"}'
)


class CoinbaseRest:
    """Answers to `/api/v3/brokerage/...`."""

    def __init__(self, world: World, limits: Limits) -> None:
        self._world = world
        self._limits = limits
        self._buckets: dict[str, Bucket] = {}
        self._names = {each.coinbase: at for at, each in enumerate(world.names)}
        self._known = self._names | {each.coinbase_alias: at for at, each in enumerate(world.names)}
        self._known.pop("", None)
        self._trades = [
            one_template(TRADE % each.coinbase, archive.COLUMNS, decimals_of(pair))
            for each, pair in zip(world.names, world.pairs, strict=True)
        ]
        self._candles = [one_template(CANDLE, candles.COLUMNS, decimals_of(pair)) for pair in world.pairs]

    def answer(self, asked: Asked) -> Answer:
        """One answer."""
        limits = self._limits
        fresh = Bucket(limits.coinbase_requests_per_s, limits.coinbase_requests_burst)
        if not self._buckets.setdefault(asked.client, fresh).take(asked.real_s):
            return _error(429, "RESOURCE_EXHAUSTED", "rate limit exceeded")
        if asked.path == f"{BASE}/time":
            seconds = asked.now_us // 1_000_000
            times = {"iso": iso(asked.now_us), "epochSeconds": str(seconds)}
            return json(times | {"epochMillis": str(asked.now_us // 1000)})
        if asked.path == MARKET:
            products = [self._product(at, name) for name, at in self._known.items()]
            return json({"products": products, "num_products": len(products), "pagination": None})
        product, _, what = asked.path.removeprefix(f"{MARKET}/").partition("/")
        if not asked.path.startswith(f"{MARKET}/") or what not in ("", "ticker", "candles"):
            return Answer(b"404 page not found\n", 404, type="text/plain")
        if product not in self._known:
            return _error(404, "NOT_FOUND", "valid product_id is required")
        at = self._known[product]
        try:
            if what == "ticker":
                return self._ticker(at, asked)
            return self._candle_rows(at, asked) if what else json(self._product(at, product))
        except ValueError as error:
            return _error(400, "INVALID_ARGUMENT", str(error))

    def _ticker(self, at: int, asked: Asked) -> Answer:
        limit, start, end = (whole(asked.params, name) for name in ("limit", "start", "end"))
        if limit is None or limit < 1:
            raise ValueError("limit must be a positive number")
        stop_us = asked.seen_us + 1 if end is None else min(asked.seen_us + 1, end * 1_000_000)
        span = self._world.archives[at].between((start or 0) * 1_000_000, stop_us)
        texts = written(self._trades[at], span.last(min(limit, TRADES_MAX)).rows())[::-1]
        bid, ask = self._best(at, asked.seen_us)
        return Answer(b'{"trades":[%b],"best_bid":"%b","best_ask":"%b"}' % (b",".join(texts), bid, ask))

    def _best(self, at: int, seen_us: int) -> tuple[bytes, bytes]:
        row = self._world.newest_row(at, seen_us)
        if row is None:
            return b"", b""
        template = one_template("<price:trim>", {"price": 0}, {"price": self._world.pairs[at].price.decimals})
        bid, ask = written(template, np.array([[row[kernels.BID]], [row[kernels.ASK]]]))
        return bid, ask

    def _candle_rows(self, at: int, asked: Asked) -> Answer:
        width_s = GRANULARITIES_S.get(asked.params.get("granularity", ""), 0)
        if not width_s:
            raise ValueError("granularity argument is invalid")
        start, end, limit = (whole(asked.params, name) for name in ("start", "end", "limit"))
        if limit is not None:  # its presence makes the venue forget start and end
            end = asked.seen_us // 1_000_000
            start = end - min(limit, CANDLES_MAX) * width_s
        if start is None or end is None:
            raise ValueError("start and end argument is invalid")
        if (end - start) // width_s > CANDLES_MAX:
            raise ValueError(
                f"start and end argument is invalid - number of candles requested should be less than {CANDLES_MAX}"
            )
        width_us = width_s * 1_000_000
        first_us = max(-(-start // width_s) * width_us, -(-self._world.begun_us // width_us) * width_us)
        stop_us = min(asked.seen_us + 1, (end // width_s + 1) * width_us)
        found = candles.bars(self._world.archives[at].between(first_us, stop_us), width_us)
        newest_first = candles.cut(found, max(0, len(found.start_us) - CANDLES_MAX), len(found.start_us)).rows()[::-1]
        texts = written(self._candles[at], np.ascontiguousarray(newest_first))
        return Answer(b'{"candles":[%b]}' % b",".join(texts))

    def _product(self, at: int, name: str) -> dict[str, Any]:
        """In the venue's order of fields; a day's figures are left empty."""
        spelled, pair = self._world.names[at], self._world.pairs[at]
        alias = spelled.coinbase if name != spelled.coinbase else ""
        quote = name.partition("-")[2]
        steps = [f"{10**-number.decimals:.{number.decimals}f}" for number in (pair.quantity, pair.price)]
        price = f"{pair.price.mantissa / 10**pair.price.decimals:.{pair.price.decimals}f}"
        flags = ("is_disabled", "new", "cancel_only", "limit_only", "post_only", "trading_disabled", "auction_mode")
        return {
            "product_id": name,
            "price": price,
            "volume_24h": "",
            "base_increment": steps[0],
            "quote_increment": steps[1],
            "base_min_size": steps[0],
            "base_name": spelled.base,
            "quote_name": "US Dollar" if quote == "USD" else quote,
            **dict.fromkeys(flags, False),
            "status": "online",
            "product_type": "SPOT",
            "quote_currency_id": quote,
            "base_currency_id": spelled.base,
            "alias": alias,
            "alias_to": [spelled.coinbase_alias] if spelled.coinbase_alias and not alias else [],
            "base_display_symbol": spelled.base,
            "quote_display_symbol": "USD" if alias else quote,
            "view_only": False,
            "price_increment": steps[1],
            "display_name": name,
            "product_venue": "CBE",
        }


def _error(status: int, kind: str, details: str) -> Answer:
    return json({"error": kind, "error_details": details, "message": details}, status)
