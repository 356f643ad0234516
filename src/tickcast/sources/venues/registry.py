"""The venues that we talk to by their own sockets, by name, and where each is reached."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from tickcast.errors import ConfigError
from tickcast.sources.venues.binance import Binance
from tickcast.sources.venues.coinbase import Coinbase
from tickcast.sources.venues.contract import Endpoints, Venue
from tickcast.sources.venues.kraken import Kraken

_ALL = (Binance(), Coinbase(), Kraken())
VENUES = MappingProxyType[str, Venue]({venue.name: venue for venue in _ALL})
SEPARATORS = MappingProxyType({venue.name: venue.separator for venue in _ALL})
"""What stands between the two currencies of a pair."""


_CCXT = """
alpaca apex aster backpack bequant bigone binancecoinm binanceus binanceusdm bingx bit2c bitbank bitbns bitfinex
bitflyer bitget bithumb bitopro bitrue bitso bitstamp bitteam bittrade bitvavo blockchaincom blofin btcbox
btcmarkets btcturk btse bullish bybit bybiteu bybitid bydfi cex coinbaseexchange coinbaseinternational coincheck
coinmate coinone coinsph coinspot cryptocom cryptomus deepcoin delta deribit derive digifinex dydx extended
fmfwio foxbit gate gateeu gemini grvt hashkey hibachi hitbtc hollaex htx hyperliquid independentreserve indodax
krakenfutures kucoin kucoinfutures latoken lbank lighter luno mercado mexc modetrade mudrex myokx nado ndax okx
okxus onetrading p2b pacifica paradex paymium phemex poloniex polymarket revolutx tokocrypto toobit upbit weex
whitebit woo woofipro xt zaif zebpay
"""
CCXT_IDS = frozenset(_CCXT.split())
"""What the extra `ccxt` calls the exchanges that it reads and we do not; where it is installed, it knows better."""


def has_ccxt() -> bool:
    """Whether the extra is installed; it is not imported for that."""
    return _ccxt() is not None


def _ccxt() -> ModuleSpec | None:
    return importlib.util.find_spec("ccxt")


def in_ccxt(name: str) -> bool:
    """Whether the ccxt that is installed has an exchange of that name; it is not imported for that.

    >>> in_ccxt("../os")
    False
    """
    spec = _ccxt()
    if spec is None or not name.isalnum():
        return False
    return any(Path(folder, f"{name}.py").is_file() for folder in spec.submodule_search_locations or ())


def known_exchange(name: str) -> str:
    """The name, if we can read that exchange here: by our own sockets, or through ccxt where that is installed.

    >>> known_exchange("kraken")
    'kraken'
    >>> known_exchange("Binance")
    Traceback (most recent call last):
    tickcast.errors.ConfigError: exchange: 'Binance' is not an exchange that we know, ...; did you mean binance.
    """
    if name in VENUES or in_ccxt(name):
        return name
    if name in CCXT_IDS and not has_ccxt():
        what = f"{name} is read through the extra ccxt, which is not installed, so nothing was started"
        raise ConfigError("exchange", what, "install tickcast[ccxt], for example with pip install 'tickcast[ccxt]'")
    near = nearest(name, VENUES) or nearest(name, CCXT_IDS - {name})
    hint = f"did you mean {near}" if near else f"known are {', '.join(VENUES)}, and those of the extra ccxt"
    raise ConfigError("exchange", f"{name!r} is not an exchange that we know, so nothing was started", hint)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like one, or nothing.

    >>> nearest("Binnance", VENUES), nearest("x", VENUES)
    ('binance', '')
    """
    return next(iter(difflib.get_close_matches(name.lower(), known, n=1)), "")


def venue_of(name: str) -> Venue:
    """The venue of that name.

    >>> venue_of("kraken").name
    'kraken'
    """
    venue = VENUES.get(name)
    if venue is None:
        known_exchange(name)
        what = f"{name} is read through ccxt and not by a socket of ours, so nothing was started"
        raise ConfigError("exchange", what, f"name one of {', '.join(VENUES)}")
    return venue


def endpoints_for(venue: Venue, overrides: Sequence[str]) -> Endpoints:
    """Where a venue is reached: as the setting `endpoints` says, else its usual address.

    A base that is one of the venue's own hosts chooses all the addresses that go with it.

    >>> endpoints_for(venue_of("kraken"), ["kraken=http://127.0.0.1:9000/kraken"]).ws
    'ws://127.0.0.1:9000/kraken/v2'
    >>> endpoints_for(venue_of("binance"), ["binance=https://data-api.binance.vision"]).ws
    'wss://data-stream.binance.vision/stream'
    """
    bases: dict[str, str] = {}
    for override in overrides:
        name, _, base = (part.strip() for part in override.partition("="))
        if name not in VENUES or not _is_base(base):
            raise _wrong(override, name, base)
        if name in bases:
            raise ConfigError("endpoints", f"names {name} twice, so nothing was started", "keep one of them")
        bases[name] = base.rstrip("/")
    if venue.name not in bases:
        return venue.endpoints[0]
    base = bases[venue.name]
    host = urlsplit(base).hostname
    for known in venue.endpoints:
        if host in (urlsplit(known.rest).hostname, urlsplit(known.ws).hostname):
            return known
    return venue.at(base)


def _is_base(text: str) -> bool:
    if any(char.isspace() or not char.isprintable() for char in text):
        return False
    try:
        url = urlsplit(text)
        _ = url.port  # raises for one beyond 65535
    except ValueError:
        return False
    plain = not (url.query or url.fragment or url.username or url.password)
    return url.scheme in ("http", "https") and bool(url.hostname) and plain


def _wrong(override: str, name: str, base: str) -> ConfigError:
    example = "write it like binance=http://127.0.0.1:9000/binance"
    if base and name not in VENUES:
        near = nearest(name, VENUES)
        hint = f"did you mean {near}" if near else f"an address can be given for {', '.join(VENUES)}"
        return ConfigError("endpoints", f"names an exchange {name!r}, so nothing was started", hint)
    if not base:
        return ConfigError("endpoints", f"{override!r} is no EXCHANGE=URL, so nothing was started", example)
    if "@" in base:  # it may hold a password: not shown
        what = f"the address of {name} holds a user or a password, which market data needs nowhere"
    elif "?" in base or "#" in base:
        what = f"{base!r} holds a question mark or a #, which no base may have"
    else:
        what = f"{base!r} is not an address that begins with http:// or https:// and names a host"
    return ConfigError("endpoints", f"{what}, so nothing was started", example)
