"""One way to read any venue's pages of history.

>>> page = b'[{"a":1,"p":"2.5","q":"4","f":7,"l":8,"T":1723161255342,"m":true,"M":true}]'
>>> read_page("binance", "trades", "BTCUSDT", 0, page)["trade_id"].tolist()
[8]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tickcast.errors import WireError
from tickcast.events import CANDLES, TRADES, Columns
from tickcast.sources.pages import binance, coinbase, kraken
from tickcast.sources.pages.columns import guarded_page

_Reader = Callable[[str, str, int, bytes], Columns]
_READERS: Mapping[str, _Reader] = {"binance": binance.read, "coinbase": coinbase.read, "kraken": kraken.read}


def read_page(exchange: str, what: str, pair: str, seconds: int, raw: bytes) -> Columns:
    """What a page says: columns of `events.TRADES` or `events.CANDLES`, ascending by id or window, each row once.

    Of trades bid and ask are unknown, and `recv_ms` is 0. Raises WireError where the page is none.
    """
    reader = _READERS.get(exchange)
    if reader is None:
        known = ", ".join(_READERS)
        raise WireError(f"{exchange}/page", "no reader knows this exchange's pages", f"known are {known}")
    if what not in (TRADES.name, CANDLES.name):
        raise WireError(f"{exchange}/page", f"a page of {what!r}", "ask for trades or for candles")
    return guarded_page(exchange, lambda page: reader(what, pair, seconds, page), raw)
