"""Venues in memory that answer a walk's requests as the real ones do, from trades made of a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np

from tickcast.sources.history.contract import HistoryError, Part, Request
from tickcast.sources.history.dialects import LongWalk
from tickcast.sources.pages.registry import read_page

BEGIN_MS = 1_736_208_000_000


class Row(NamedTuple):
    """One trade, or of Binance one aggregate."""

    aggregate: int
    first: int
    last: int
    us: int
    maker: bool

    @property
    def ms(self) -> int:
        return self.us // 1000


def market(seed: int, count: int, *, bulge: int = 3, step_ms: int = 400, grouped: bool = False) -> list[Row]:
    """Trades in clumps of equal milliseconds, with quiet between; `grouped` ones cover several ids each."""
    chance = random.Random(seed)
    us, last, rows = BEGIN_MS * 1000, 1000, list[Row]()
    for aggregate in range(count):
        if chance.random() > bulge / (bulge + 1):
            us += chance.choice((1, 50, step_ms, step_ms * 10)) * 1000 + chance.randrange(1000)
        size = chance.randrange(1, 4) if grouped else 1
        rows.append(Row(500 + aggregate, last + 1, last + size, us, chance.random() < 0.5))
        last += size
    return rows


class Venue:
    """What a venue knows at a time that goes on with each request."""

    def __init__(self, rows: list[Row], now_ms: int, *, step_ms: int = 40) -> None:
        self.rows, self.now_ms, self.step_ms = rows, now_ms, step_ms
        self.asked: list[Request] = []
        self.spoil: Callable[[int, list[Row]], list[Row]] = lambda number, rows: rows

    def answer(self, request: Request) -> bytes:
        self.asked.append(request)
        self.now_ms += self.step_ms
        params = dict(request.params)
        return self._answer({name: params[name] for name in params}, [row for row in self.rows if row.ms < self.now_ms])

    def _answer(self, params: dict[str, str], seen: list[Row]) -> bytes:
        raise NotImplementedError

    def _spoilt(self, rows: list[Row]) -> list[Row]:
        return self.spoil(len(self.asked), rows)


class BinanceVenue(Venue):
    """aggTrades; of a span of time too full for one page it gives the end, as it did in 2021, or the beginning."""

    counts_from_end = True

    def _answer(self, params: dict[str, str], seen: list[Row]) -> bytes:
        limit = int(params["limit"])
        if "fromId" in params:
            anew = [at for at in range(1, len(seen)) if seen[at].aggregate < seen[at - 1].aggregate]
            newest = seen[anew[-1] :] if anew and int(params["fromId"]) <= seen[-1].aggregate else seen
            found = [row for row in newest if row.aggregate >= int(params["fromId"])][:limit]
        elif "startTime" not in params:
            found = seen[-limit:]
        else:
            low, high = int(params["startTime"]), int(params["endTime"])
            assert high - low < 3_600_000
            inside = [row for row in seen if low <= row.ms <= high]
            found = inside[-limit:] if self.counts_from_end else inside[:limit]
        found = self._spoilt(found)
        return msgspec.json.encode(
            [
                {"a": r.aggregate, "p": "2.5", "q": "4", "f": r.first, "l": r.last, "T": r.ms, "m": r.maker, "M": True}
                for r in found
            ]
        )


class CoinbaseVenue(Venue):
    """Pages of trades, newest first."""

    inclusive_end = False

    def _answer(self, params: dict[str, str], seen: list[Row]) -> bytes:
        low, high = int(params["start"]) * 1000, int(params["end"]) * 1000
        inside = [row for row in seen if low <= row.ms < high + self.inclusive_end]
        found = self._spoilt(inside[::-1][: int(params["limit"])])
        return msgspec.json.encode(
            {
                "trades": [
                    {
                        "trade_id": str(row.last),
                        "product_id": "BTC-USD",
                        "price": "2.5",
                        "size": "4",
                        "time": str(np.datetime64(row.us, "us")) + "Z",
                        "side": "BUY" if row.maker else "SELL",
                    }
                    for row in found
                ]
            }
        )


class KrakenVenue(Venue):
    """Trades behind a cursor of nanoseconds; those of one microsecond have nanoseconds of their own."""

    def _answer(self, params: dict[str, str], seen: list[Row]) -> bytes:
        since = int(params["since"])
        inside = [row for row in seen if self._ns(row) > since][: int(params["count"])]
        last = self._ns(inside[-1]) if inside else since
        rows = [
            [
                "2.5",
                "4",
                msgspec.Raw(b"%d.%06d" % divmod(row.us, 1_000_000)),
                "s" if row.maker else "b",
                "l",
                "",
                row.last,
            ]
            for row in self._spoilt(inside)
        ]
        return msgspec.json.encode({"error": [], "result": {"XXBTZUSD": rows, "last": str(last)}})

    def _ns(self, row: Row) -> int:
        first = next(one for one in self.rows if one.us == row.us)
        return row.us * 1000 + row.last - first.last


def drive(walk: LongWalk, venue: Venue, steps_max: int = 2000) -> list[Part]:
    """All parts of a walk."""
    parts: list[Part] = []
    for _ in range(steps_max):
        request = walk.request
        if request is None:
            return parts
        asked_ms = venue.now_ms
        try:
            part = walk.take(venue.answer(request), asked_ms)
        except HistoryError:
            continue
        if part is not None:
            parts.append(part)
    raise AssertionError(f"the walk does not end: {venue.asked[-3:]}")


def ids(parts: list[Part]) -> list[int]:
    """All new ids, in order."""
    return [ident for part in parts for ident in part.rows["trade_id"].tolist()]


def check(exchange: str, parts: list[Part], rows: list[Row], from_ms: int) -> None:
    """What every Part promises: whole in its time by its own pages alone, and joined to the one before."""
    at_ms = from_ms
    for part in parts:
        assert part.from_ms <= at_ms
        assert part.to_ms >= part.from_ms
        at_ms = part.to_ms
        told = {
            ident
            for page in part.pages
            for ident in read_page(exchange, "trades", part.pair, 0, page)["trade_id"].tolist()
        }
        inside = {row.last for row in rows if part.from_ms <= row.ms < part.to_ms}
        if part is parts[0] and from_ms % 1000:  # no window begins there, so known trades may be left out
            inside -= {row.last for row in rows if row.ms == from_ms}
        assert inside - told == set()
        assert set(part.rows["trade_id"].tolist()) <= told
    found = ids(parts)
    assert found == sorted(set(found))
