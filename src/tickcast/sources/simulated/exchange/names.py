"""One market under three spellings, and the further names that Kraken's REST has for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tickcast.errors import ConfigError

VENUES = ("binance", "coinbase", "kraken")
_DOLLARS = {"USD", "USDT", "USDC", "FDUSD", "TUSD", "BUSD"}
_KRAKEN_COINS = {"BTC": "XBT", "DOGE": "XDG"}
_KRAKEN_OLD = {"XBT", "ETH", "XRP", "LTC"}
"""Assets with an X before them, and a Z before the money, in the names of their pairs."""


class Spelling(NamedTuple):
    """A pair as each venue writes it."""

    base: str
    quote: str
    binance: str
    coinbase: str
    kraken: str

    @property
    def kraken_alt(self) -> str:
        """`XBTUSD`: Kraken's short REST name."""
        return _KRAKEN_COINS.get(self.base, self.base) + self.kraken_quote

    @property
    def kraken_key(self) -> str:
        """`XXBTZUSD`: what answers are keyed with."""
        coin = _KRAKEN_COINS.get(self.base, self.base)
        old = coin in _KRAKEN_OLD and self.kraken_quote in ("USD", "EUR", "GBP")
        return f"X{coin}Z{self.kraken_quote}" if old else coin + self.kraken_quote

    @property
    def kraken_ws1(self) -> str:
        """`XBT/USD`: what AssetPairs calls `wsname`."""
        return f"{_KRAKEN_COINS.get(self.base, self.base)}/{self.kraken_quote}"

    @property
    def kraken_quote(self) -> str:
        """The money it is priced in."""
        return self.kraken.partition("/")[2]

    @property
    def coinbase_alias(self) -> str:
        """`BTC-USDC`: another name for the same product; empty where there is none."""
        return f"{self.base}-USDC" if self.coinbase.endswith("-USD") else ""

    def of(self, venue: str) -> str:
        """As that venue writes it."""
        return str(getattr(self, venue))


def spelling(name: str) -> Spelling:
    """How the venues write a pair that is given as any of them does; dollars are each venue's own.

    >>> spelling("BTCUSDT")[2:], spelling("ETH/EUR")[2:]
    (('BTCUSDT', 'BTC-USD', 'BTC/USD'), ('ETHEUR', 'ETH-EUR', 'ETH/EUR'))
    >>> spelling("BTC-USD").kraken_key, spelling("SOLUSDT").kraken_key
    ('XXBTZUSD', 'SOLUSD')
    """
    base, quote = _split(name)
    dollar = quote in _DOLLARS
    theirs = "USD" if dollar else quote
    tether = "USDT" if quote == "USD" else quote
    return Spelling(base, quote, base + tether, f"{base}-{theirs}", f"{base}/{theirs}")


def spellings(names: Sequence[str], venues: Sequence[str] = VENUES) -> tuple[Spelling, ...]:
    """The same for several; two that one of these venues would write alike are refused."""
    found = tuple(spelling(name) for name in names)
    for venue in venues:
        written = [each.of(venue) for each in found]
        for name, text in zip(names, written, strict=True):
            if written.count(text) > 1:
                raise ConfigError("pairs", f"had {name} and another that {venue} calls {text}", "give one of them")
    return found


def _split(name: str) -> tuple[str, str]:
    from tickcast.sources.venues.spelling import split_pair

    found = split_pair(name)
    if found is None:
        raise ConfigError("pairs", f"had {name!r}, whose two coins can not be told apart", "write it like BTC-USD")
    return found
