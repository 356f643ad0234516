"""Binance's files of whole days, with their checksums: zips of CSV without a header, made when they are asked for."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.sources.simulated.exchange.rest import bars as candles
from tickcast.sources.simulated.exchange.rest.answers import Answer, one_template, written
from tickcast.sources.simulated.exchange.rest.binance import (
    COLUMNS,
    INTERVALS_S,
    aggregates_of,
    decimals_of,
    klines,
    trades_of,
)
from tickcast.sources.simulated.exchange.times import day_us
from tickcast.sources.simulated.exchange.world import World
from tickcast.sources.simulated.templates import Templates

DAY_US = 86_400_000_000
MICROSECONDS_FROM_US = 1_735_689_600_000_000
"""2025-01-01: files of this day and later hold microseconds, older ones milliseconds."""
FILES_KEPT = 8
_PATH = re.compile(
    r"/data/spot/daily/(?P<kind>trades|aggTrades|klines)/(?P<pair>[A-Z0-9]+)/(?:(?P<folder>\w+)/)?"
    r"(?P=pair)-(?P<what>trades|aggTrades|\w+)-(?P<day>\d{4}-\d\d-\d\d)\.zip(?P<sum>\.CHECKSUM)?"
)
_LINES = {
    "aggTrades": "<aggregate>,<price:8>,<quantity:8>,<first>,<id>,<time_us{}>,<maker:True|False>,True\n",
    "trades": "<id>,<price:8>,<quantity:8>,<quote:8>,<time_us{}>,<maker:True|False>,True\n",
    "klines": "<start_us{}>,<open:8>,<high:8>,<low:8>,<close:8>,<volume:8>,<end_us{}>,<quote:8>,<trades>,"
    "<taker:8>,<taker_quote:8>,0\n",
}
NOT_THERE = Answer(
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
    b"<Message>The specified key does not exist.</Message></Error>",
    404,
    type="application/xml",
)


class Day(NamedTuple):
    """A file that is there and has yet to be written: all that this takes, so that a thread can do it."""

    name: str
    template: Templates
    rows: NDArray[np.int64]
    checksum: bool


class Bulk:
    """Files of days that have ended and are still whole in the archive; the last few are kept."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._made: OrderedDict[str, bytes] = OrderedDict()

    def find(self, path: str, seen_us: int) -> Answer | Day:
        """A file that was made before, what it is made from, or 404."""
        found = _PATH.fullmatch(path)
        pair = self._world.pair_at("binance", found["pair"]) if found else -1
        if not found or pair < 0:
            return NOT_THERE
        kind, what = found["kind"], found["what"]
        fits = what == found["folder"] and what in INTERVALS_S if kind == "klines" else what == kind
        try:
            from_us = day_us(found["day"])
        except ValueError:
            return NOT_THERE
        if not fits or from_us < self._world.begun_us or from_us + DAY_US > seen_us:
            return NOT_THERE
        name = path.rpartition("/")[2].removesuffix(".CHECKSUM")
        if name in self._made:
            return _answer(name, self._made[name], bool(found["sum"]))
        unit = "" if from_us >= MICROSECONDS_FROM_US else ":ms"
        line, decimals = _LINES[kind].format(unit, unit), decimals_of(self._world.pairs[pair])
        if kind == "klines":
            rows = self._klines(pair, INTERVALS_S[what] * 1_000_000, from_us).rows()
            return Day(name, one_template(line, candles.COLUMNS, decimals), rows, bool(found["sum"]))
        span = self._world.archives[pair].between(from_us, from_us + DAY_US)
        rows = aggregates_of(span) if kind == "aggTrades" else trades_of(span)
        return Day(name, one_template(line, COLUMNS, decimals), rows, bool(found["sum"]))

    def keep(self, day: Day, content: bytes) -> Answer:
        """Remember a file that was packed, and answer with it."""
        self._made[day.name] = content
        while len(self._made) > FILES_KEPT:
            self._made.popitem(last=False)
        return _answer(day.name, content, day.checksum)

    def _klines(self, pair: int, width_us: int, from_us: int) -> candles.Bars:
        end_us = from_us + DAY_US - 1
        return klines(self._world, pair, width_us, DAY_US // width_us, from_us // 1000, end_us // 1000, end_us)


def pack(day: Day) -> bytes:
    """The file; equal rows give equal bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        inside = zipfile.ZipInfo(day.name.removesuffix(".zip") + ".csv")  # dated 1980, always
        inside.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(inside, b"".join(written(day.template, day.rows)))
    return packed.getvalue()


def _answer(name: str, content: bytes, checksum: bool) -> Answer:
    if checksum:
        return Answer(f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode(), type="binary/octet-stream")
    return Answer(content, type="application/zip")
