"""The library itself: one of its exchanges, opened; imported only then, for that takes seconds."""

from __future__ import annotations

import difflib
from asyncio import AbstractEventLoop
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from tickcast.errors import ConfigError
from tickcast.sources.venues.registry import VENUES, known_exchange

TRADES_KEPT = 20_000
"""Trades of one pair that ccxt keeps for us between two looks; beyond, it forgets the oldest without a word."""
KEEP_ALIVE_MS = 10_000
"""How often ccxt asks a connection for a sign of life; most of its exchanges would wait for 30 seconds and more."""


def open_exchange(exchange: str, loop: AbstractEventLoop, options: Mapping[str, Any]) -> Any:
    """One exchange of the library, which is imported now; `options` are its own, and outrank ours."""
    if known_exchange(exchange) in VENUES:  # its journal is read by its own mapper, to which ccxt's lines are noise
        what = f"{exchange} is read by a socket of ours and not through ccxt, so nothing was started"
        raise ConfigError("exchange", what, "use its own feed")
    try:
        streams, pages = import_module("ccxt.pro"), import_module("ccxt.async_support")
    except ImportError as exc:
        what = f"{exchange} is read through the extra ccxt, which can not be loaded ({exc}), so nothing was started"
        raise ConfigError("exchange", what, "pip install 'tickcast[ccxt]'") from exc
    home = streams if exchange in streams.exchanges else pages
    if exchange not in home.exchanges:
        raise ConfigError("exchange", f"ccxt has no {exchange!r}, so nothing was started", "name one that it has")
    ours = {
        "asyncio_loop": loop,
        "enableRateLimit": True,
        "newUpdates": True,
        "options": {"tradesLimit": TRADES_KEPT, "ws": {"keepAlive": KEEP_ALIVE_MS}},
    }
    opened = getattr(home, exchange)(home.Exchange.deep_extend(ours, dict(options)))
    if not any(opened.has.get(what) for what in ("watchTrades", "fetchTrades")):
        raise ConfigError(f"exchange {exchange}", "gives no public trades through ccxt", "choose another exchange")
    return opened


def check_pairs(exchange: str, pairs: Iterable[str], markets: Mapping[str, Any]) -> None:
    """Refuse a pair that the exchange does not trade, with the nearest right spelling."""
    for pair in pairs:
        if pair in markets:
            continue
        plain = {_plain(name): name for name in sorted(markets, reverse=True)}
        near = [plain[_plain(pair)]] if _plain(pair) in plain else difflib.get_close_matches(pair.upper(), markets, n=1)
        hint = f"did you mean {near[0]}" if near else "write it as ccxt does, for example BTC/USDT"
        raise ConfigError("pairs", f"{exchange} does not trade {pair!r}, so nothing was started", hint)


def _plain(pair: str) -> str:
    return "".join(letter for letter in pair.upper() if letter.isalnum())
