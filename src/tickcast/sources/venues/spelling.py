"""How venues write pairs: any spelling taken apart, and put together again as one venue writes it."""

from __future__ import annotations

import re

from tickcast.sources.venues.registry import SEPARATORS, VENUES

DOLLARS = ("USD", "USDT", "USDC", "FDUSD", "TUSD", "BUSD")
"""What stands for a dollar; the one before the other where a venue has several."""
_QUOTES = (
    *DOLLARS,
    *("EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "TRY", "BRL", "KRW", "INR", "MXN", "ARS", "ZAR", "PLN", "UAH", "RUB"),
    *("BTC", "XBT", "ETH", "BNB", "SOL", "DAI", "EURC", "EURI", "USD1"),
)
_BY_LENGTH = sorted(_QUOTES, key=len, reverse=True)
_OTHER_NAMES = {"XBT": "BTC", "XDG": "DOGE"}
_BETWEEN = re.compile(r"[-/_ ]")
_KRAKEN_OLD = re.compile(r"X([A-Z]{3})([XZ])([A-Z]{3})")
_CCXT_SHAPE = re.compile(r"[A-Z0-9][A-Z0-9.]{0,29}x?/[A-Z0-9]{1,30}")


def split_pair(text: str) -> tuple[str, str] | None:
    """Base and quote, whoever writes the pair; None: it can not be told where one ends.

    >>> [split_pair(text) for text in ("btcusdt", "XBT/USD", "eth-btc", "XXBTZUSD", "BTCFDUSD", "HELLO")]
    [('BTC', 'USDT'), ('BTC', 'USD'), ('ETH', 'BTC'), ('BTC', 'USD'), ('BTC', 'FDUSD'), None]
    """
    text = text.strip().upper()
    parts = _BETWEEN.split(text)
    if len(parts) == 1:
        old = _KRAKEN_OLD.fullmatch(text)
        if old and (old[2] == "X" or old[3] in _QUOTES):
            parts = [old[1], old[3]]
        else:
            quote = next((quote for quote in _BY_LENGTH if text.endswith(quote)), "")
            parts = [text.removesuffix(quote), quote]
    if len(parts) != 2 or not all(part.isalnum() for part in parts):
        return None
    base, quote = (_OTHER_NAMES.get(part, part) for part in parts)
    return base, quote


def spelled(exchange: str, base: str, quote: str) -> str:
    """A pair as an exchange writes it; Binance's dollar is USDT.

    >>> spelled("binance", "BTC", "USD"), spelled("coinbase", "BTC", "USD"), spelled("kraken", "BTC", "USD")
    ('BTCUSDT', 'BTC-USD', 'BTC/USD')
    """
    if exchange == "binance" and quote == "USD":
        quote = "USDT"
    return base + SEPARATORS.get(exchange, "/") + quote


def has_shape(exchange: str, pair: str) -> bool:
    """Whether a name is written as this exchange (ours or ccxt's) writes pairs."""
    if exchange in VENUES:
        return VENUES[exchange].shape(pair)
    return _CCXT_SHAPE.fullmatch(pair) is not None
