"""The exchanges that have a mapper, by name, and how to tell one's messages from another's."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

import msgspec

from tickcast.errors import ConfigError, WireError
from tickcast.sources import own
from tickcast.sources.binance import Binance
from tickcast.sources.coinbase import TYPE_NOISE, Coinbase
from tickcast.sources.contract import Event, Mapper
from tickcast.sources.kraken import Kraken

_MAPPERS: dict[str, Callable[[], Mapper]] = {"binance": Binance, "coinbase": Coinbase, "kraken": Kraken}
EXCHANGES = tuple(_MAPPERS)
_COINBASE_TYPES = TYPE_NOISE | {"match", "last_match", "ticker", "heartbeat", "error"}


class OnlyOurs:
    """For exchanges of which we know rows that a user imported, and no dialect."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange

    def map_message(self, raw: bytes) -> Sequence[Event]:  # noqa: ARG002
        """Refuse: what is ours never comes here."""
        raise WireError(f"{self.exchange}/message", "no mapper reads this exchange's messages", "import its files")


def mapper_for(exchange: str) -> Mapper:
    """Make the mapper of an exchange.

    >>> mapper_for("kraken").exchange
    'kraken'
    >>> mapper_for("binnance")
    Traceback (most recent call last):
    tickcast.errors.ConfigError: exchange: 'binnance' has no mapper, so nothing was started; did you mean binance.
    """
    if exchange in _MAPPERS:
        return _MAPPERS[exchange]()
    near = difflib.get_close_matches(exchange.lower(), EXCHANGES, n=1)
    hint = f"did you mean {near[0]}" if near else f"known are {', '.join(EXCHANGES)}"
    raise ConfigError("exchange", f"{exchange!r} has no mapper, so nothing was started", hint)


def sniff(raw: bytes) -> str | None:
    """Tell which exchange a raw message is from, or None; for captures that do not say.

    >>> sniff(b'{"channel":"heartbeat"}'), sniff(b'{"type":"heartbeat"}'), sniff(b'{"result":null,"id":1}')
    ('kraken', 'coinbase', 'binance')
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
