"""The exchanges' mappers, by name, and how to tell one's messages from another's."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tickcast.sources import own
from tickcast.sources.binance import Binance
from tickcast.sources.ccxt.mapper import Ccxt
from tickcast.sources.coinbase import TYPE_NOISE, Coinbase
from tickcast.sources.contract import Mapper
from tickcast.sources.kraken import Kraken

_MAPPERS: dict[str, Callable[[], Mapper]] = {"binance": Binance, "coinbase": Coinbase, "kraken": Kraken}
EXCHANGES = tuple(_MAPPERS)
_COINBASE_TYPES = TYPE_NOISE | {"match", "last_match", "ticker", "heartbeat", "error"}


def mapper_for(exchange: str) -> Mapper:
    """Make the mapper of an exchange: its own, or that of what ccxt says of it.

    >>> mapper_for("kraken").exchange
    'kraken'
    >>> mapper_for("binnance")
    Traceback (most recent call last):
    tickcast.errors.ConfigError: exchange: 'binnance' is not an exchange that we know, ...; did you mean binance.
    """
    if exchange not in _MAPPERS:
        from tickcast.sources.venues.registry import known_exchange

        known_exchange(exchange)
    return reader_for(exchange)


def reader_for(exchange: str) -> Mapper:
    """The mapper for what is in a journal already, whatever its exchange: no library is needed to read it again.

    >>> reader_for("somewhere").exchange
    'somewhere'
    """
    return _MAPPERS[exchange]() if exchange in _MAPPERS else Ccxt(exchange)


def sniff(raw: bytes) -> str | None:
    """Tell which exchange a raw message is from, or None; for captures that do not say.

    >>> sniff(b'{"channel":"heartbeat"}'), sniff(b'{"type":"heartbeat"}'), sniff(b'{"result":null,"id":1}')
    ('kraken', 'coinbase', 'binance')
    >>> sniff(b'{"ccxt":"trade","symbol":"BTC/USDT","id":"1"}')
    """
    if raw.startswith(own.MARK):
        return None
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(found, list):
        return _whose_array(found)
    return _whose_object(found) if isinstance(found, dict) else None


def _whose_array(parts: list[object]) -> str | None:
    if len(parts) >= 4 and isinstance(parts[-2], str) and isinstance(parts[-1], str):
        return "kraken"
    first = parts[0] if parts else None
    return "binance" if isinstance(first, dict) and first.keys() >= {"a", "p", "q"} else None


def _whose_object(found: dict[str, object]) -> str | None:
    keys = found.keys()
    if "ccxt" in keys:  # of any exchange: the journal says of which
        return None
    if keys & {"stream", "e", "lastUpdateId", "params"} or keys >= {"u", "s", "b", "a"}:
        return "binance"
    if keys & {"method", "event"}:
        return "kraken"
    if "channel" in keys:
        return "coinbase" if keys & {"events", "sequence_num"} else "kraken"
    if found.get("type") in _COINBASE_TYPES or keys >= {"trades", "best_bid", "best_ask"}:
        return "coinbase"
    if isinstance(found.get("error"), list):
        return "kraken"
    return "binance" if "id" in keys or keys >= {"code", "msg"} else None
