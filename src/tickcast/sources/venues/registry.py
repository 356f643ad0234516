"""The venues that we talk to by their own sockets, by name, and where each is reached."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from tickcast.errors import ConfigError
from tickcast.sources.venues.binance import Binance
from tickcast.sources.venues.coinbase import Coinbase
from tickcast.sources.venues.contract import Endpoints, Venue
from tickcast.sources.venues.kraken import Kraken

VENUES = MappingProxyType[str, Venue]({venue.name: venue for venue in (Binance(), Coinbase(), Kraken())})


def venue_of(name: str) -> Venue:
    """The venue of that name.

    >>> venue_of("kraken").name
    'kraken'
    >>> venue_of("Binance")
    Traceback (most recent call last):
    tickcast.errors.ConfigError: exchange: 'Binance' is not an exchange that we know, so nothing was started; ...
    """
    if name in VENUES:
        return VENUES[name]
    near = difflib.get_close_matches(name.lower(), VENUES, n=1)
    hint = f"did you mean {near[0]}" if near else f"known are {', '.join(VENUES)}"
    raise ConfigError("exchange", f"{name!r} is not an exchange that we know, so nothing was started", hint)


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
        near = difflib.get_close_matches(name.lower(), VENUES, n=1)
        hint = f"did you mean {near[0]}" if near else f"an address can be given for {', '.join(VENUES)}"
        return ConfigError("endpoints", f"names an exchange {name!r}, so nothing was started", hint)
    if not base:
        return ConfigError("endpoints", f"{override!r} is no EXCHANGE=URL, so nothing was started", example)
    what = f"{base!r} is not an address that begins with http:// or https:// and names a host"
    return ConfigError("endpoints", f"{what}, so nothing was started", example)
