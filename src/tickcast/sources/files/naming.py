"""Which market a file is of: said by its rows, its format or its name, in falling order; flags stand above all."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from tickcast.sources.files.tables import Hints

# fmt: off
_EXCHANGES = (
    "binance", "coinbase", "kraken", "bitstamp", "bitfinex", "okx", "bybit", "kucoin", "gemini", "huobi", "bitmex",
    "deribit",
)
_QUOTES = (
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "GBP", "JPY", "TRY", "BRL", "XBT", "BTC", "ETH", "BNB",
)
# fmt: on
_LEAN = re.compile(r"(\d{8})_(?:([a-z0-9]+)_)?(?:(second|minute|tick)_)?(trade|quote)")
_KRAKEN_OLD = re.compile(r"[XZ]([A-Z]{3})[XZ]([A-Z]{3})")
_KRAKEN_COINS = {"XBT": "BTC", "XDG": "DOGE"}
_SPAN = re.compile(r"(?:^|[-_ .])(\d+)(s|m|h|d|min)(?=[-_ .]|$)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


def hints_of(path: Path, inner: str) -> Hints:
    """What the names of a file, of what it wraps and of its folders say.

    >>> hints_of(Path("coinbase/minute/btcusd/20180404_trade.zip"), "20180404_btcusd_minute_trade.csv")[:4]
    ('coinbase', 'BTC-USD', 'candles', 60)
    """
    exchange = _exchange(path)
    lean = _LEAN.match(inner) or _LEAN.match(path.name)
    folders = [one.lower() for one in path.parts]
    if lean and (lean[2] or {"second", "minute", "tick"} & {*folders}):
        span = lean[3] or next(one for one in ("second", "minute", "tick") if one in folders)
        what = "" if lean[4] == "quote" else "trades" if span == "tick" else "candles"
        day = datetime.strptime(lean[1], "%Y%m%d").replace(tzinfo=UTC)
        pair = spelled((lean[2] or path.parent.name).upper(), exchange)
        seconds = {"second": 1, "minute": 60, "tick": 0}[span]
        return Hints(exchange, pair, what, seconds, int(day.timestamp()) * 1000, quiet_gaps=True)
    return Hints(exchange, _pair(inner, exchange) or _pair(path.name, exchange))


def span_in_name(name: str) -> int:
    """The seconds of a candle that a file's name speaks of, or 0.

    >>> span_in_name("BTCUSDT-1h-2024-10-28.csv"), span_in_name("BTC_USDT.csv")
    (3600, 0)
    """
    found = _SPAN.search(name)
    return int(found[1]) * _SECONDS[found[2]] if found else 0


def spelled(symbol: str, exchange: str) -> str:
    """A pair as its exchange writes it.

    >>> spelled("XXBTZUSD", "kraken"), spelled("btc_usdt", "binance"), spelled("BTCUSD", "coinbase")
    ('BTC/USD', 'BTCUSDT', 'BTC-USD')
    """
    known = exchange in ("binance", "coinbase", "kraken")
    parts = _parted(symbol)
    if not known or parts is None:
        return symbol
    base, quote = parts
    if exchange == "kraken":
        return f"{_KRAKEN_COINS.get(base, base)}/{_KRAKEN_COINS.get(quote, quote)}"
    return f"{base}-{quote}" if exchange == "coinbase" else f"{base}{quote}"


def same_pair(one: str, other: str) -> bool:
    """Whether two spellings mean one pair.

    >>> same_pair("BTC/USDT", "btcusdt"), same_pair("XBT/USD", "BTC-USD"), same_pair("ETHUSD", "BTCUSD")
    (True, True, False)
    """
    return _bare(one) == _bare(other)


def _bare(symbol: str) -> str:
    parts = _parted(symbol)
    return "".join(_KRAKEN_COINS.get(part, part) for part in parts) if parts else symbol.upper()


def _parted(symbol: str) -> tuple[str, str] | None:
    upper = symbol.upper()
    old = _KRAKEN_OLD.fullmatch(upper)
    if old and old[1] in {*_KRAKEN_COINS, "ETH", "LTC", "XRP", "ETC", "XLM", "XMR", "ZEC", "REP", "MLN"}:
        return old[1], old[2]
    halves = re.split(r"[-_/]", upper)
    if len(halves) == 2 and all(half.isalnum() for half in halves):
        return halves[0], halves[1]
    if upper.isalnum():
        for quote in _QUOTES:
            if upper.endswith(quote) and len(upper) - len(quote) >= 2:
                return upper.removesuffix(quote), quote
    return None


def _exchange(path: Path) -> str:
    for part in [path.name, *reversed(path.parts[-5:-1])]:
        words = re.split(r"[^a-z]+", part.lower())
        found = [one for one in _EXCHANGES if one in words]
        if len(found) == 1:
            return found[0]
        if found:
            return ""
    return ""


def _pair(name: str, exchange: str) -> str:
    """The first word (or two neighbours) of a file's name that is a pair of well-known money."""
    words = re.split(r"[^A-Za-z0-9]+", name.split(".")[0])
    for at, word in enumerate(words):
        after = words[at + 1].upper() if at + 1 < len(words) else ""
        if word.isalpha() and after in _QUOTES and 2 <= len(word) <= 6 and word.lower() not in _EXCHANGES:
            return spelled(f"{word.upper()}_{after}", exchange)
        if word.isalnum() and not word.isdigit() and word.upper().endswith(_QUOTES) and len(word) >= 5:
            return spelled(word.upper(), exchange)
    return ""
