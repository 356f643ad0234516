"""The exchanges and pairs of a configuration: which exchange reads which pair, and whether it trades it at all.

    --exchange binance,kraken --pairs BTCUSDT,BTC/USD,kraken:ETH/USD  ─→  {"binance": (...), "kraken": (...)}

First without asking anyone (`plan_pairs`), then against the venue's own list (`check_pairs`). What is wrong is refused
with the right spelling; nothing is guessed, because a pair that was guessed wrong looks like a quiet market.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tickcast.errors import ConfigError
from tickcast.sources.venues.contract import Listing
from tickcast.sources.venues.registry import known_exchange
from tickcast.sources.venues.spelling import DOLLARS, has_shape, spelled, split_pair

_NOTHING = "so nothing was started"
_USDC_OF_THEIR_OWN = ("USDT-USDC", "EURC-USDC")


def exchanges_of(exchange: str) -> tuple[str, ...]:
    """The exchanges that a setting names.

    >>> exchanges_of("binance, kraken")
    ('binance', 'kraken')
    """
    names = [name.strip() for name in exchange.split(",") if name.strip()]
    if not names:
        raise ConfigError("exchange", f"none was named, {_NOTHING}", "name one, for example binance")
    for name in names:
        known_exchange(name)
        if names.count(name) > 1:
            raise ConfigError("exchange", f"{name} is named twice, {_NOTHING}", "name it once")
    return tuple(names)


def plan_pairs(exchange: str, pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Which exchange reads which pairs, in the order in which they are named.

    >>> plan_pairs("binance,kraken", ["BTCUSDT", "BTC/USD", "kraken:ETH/USD"])
    {'binance': ('BTCUSDT',), 'kraken': ('BTC/USD', 'ETH/USD')}
    >>> plan_pairs("binance", ["BTC-USD"])
    Traceback (most recent call last):
    tickcast.errors.ConfigError: pairs: 'BTC-USD' is not how binance writes a pair, ...; write BTCUSDT.
    """
    exchanges = exchanges_of(exchange)
    plan: dict[str, list[str]] = {name: [] for name in exchanges}
    for text in pairs:
        owner, pair = _owner(text.strip(), exchanges)
        if pair in plan[owner]:
            raise ConfigError("pairs", f"{pair} of {owner} is named twice, {_NOTHING}", "name it once")
        plan[owner].append(pair)
    for owner, own in plan.items():
        if not own:
            example = spelled(owner, "BTC", "USD")
            prefix = f"{owner}:" if len(exchanges) > 1 else ""
            raise ConfigError(
                "pairs", f"none is named for {owner}, {_NOTHING}", f"name one, for example {prefix}{example}"
            )
    _refuse_doubles(plan.get("coinbase", ()))
    return {owner: tuple(own) for owner, own in plan.items()}


def _owner(text: str, exchanges: tuple[str, ...]) -> tuple[str, str]:
    """The exchange of a pair, and the pair without its prefix."""
    name, colon, pair = text.partition(":")
    if colon and _BETWEEN_CURRENCIES & set(name):
        raise ConfigError("pairs", f"{text!r} is not a spot pair, {_NOTHING}", f"write {name}")
    if colon:
        if name not in exchanges:
            known_exchange(name)
            what = f"{text!r} names {name}, which is not among the exchanges ({', '.join(exchanges)}), {_NOTHING}"
            raise ConfigError("pairs", what, f"add {name} to the exchanges, or leave the pair out")
        if not has_shape(name, pair):
            raise _misspelled(text, pair, (name,), len(exchanges) > 1)
        return name, pair
    owners = tuple(name for name in exchanges if has_shape(name, text))
    if len(owners) == 1:
        return owners[0], text
    if not owners:
        raise _misspelled(text, text, exchanges, len(exchanges) > 1)
    choices = " or ".join(f"{name}:{text}" for name in owners)
    raise ConfigError("pairs", f"{text!r} could be of {' or '.join(owners)}, {_NOTHING}", f"write {choices}")


_BETWEEN_CURRENCIES = {"/", "-"}


def _misspelled(text: str, pair: str, exchanges: tuple[str, ...], prefixed: bool) -> ConfigError:
    what = f"{text!r} is not how {' or '.join(exchanges)} writes a pair, {_NOTHING}"
    parts = split_pair(pair) or ("BTC", "USD")
    right = [f"{name}:" * prefixed + spelled(name, *parts) for name in exchanges]
    fits = all(has_shape(name, spelled(name, *parts)) for name in exchanges)
    verb = "write" if fits and split_pair(pair) else "write it like"
    return ConfigError("pairs", what, f"{verb} {' or '.join(right)}")


def _refuse_doubles(pairs: Sequence[str]) -> None:
    """Coinbase's X-USDC is X-USD under another name, where the list of all pairs can not be had too."""
    for pair in pairs:
        if pair.endswith("-USDC") and pair[:-1] in pairs and pair not in _USDC_OF_THEIR_OWN:
            raise _double("coinbase", pair, pair[:-1])


def _double(exchange: str, alias: str, pair: str) -> ConfigError:
    what = f"{alias} of {exchange} is another name of {pair}: with both, every trade would count twice, {_NOTHING}"
    return ConfigError("pairs", what, f"leave {alias} out")


def check_pairs(exchange: str, pairs: Sequence[str], listings: Sequence[Listing]) -> None:
    """Refuse what the venue does not list, does not trade, or only lends another pair's data to.

    >>> check_pairs("binance", ["BTCUSD"], [Listing("BTCUSDT", "BTC", "USDT")])
    Traceback (most recent call last):
    tickcast.errors.ConfigError: pairs: binance does not list BTCUSD, so nothing was started; did you mean BTCUSDT.
    """
    known = {listing.pair: listing for listing in listings}
    for pair in pairs:
        listing = known.get(pair)
        near = nearest_pair(pair, listings)
        if listing is None:
            hint = f"did you mean {near}" if near else f"leave it out; {exchange} lists {len(known)} other pairs"
            raise ConfigError("pairs", f"{exchange} does not list {pair}, {_NOTHING}", hint)
        if listing.alias_of in pairs:
            raise _double(exchange, pair, listing.alias_of)
        if listing.alias_of:
            what = f"{pair} of {exchange} is another name of {listing.alias_of}, under which its data comes, {_NOTHING}"
            raise ConfigError("pairs", what, f"write {listing.alias_of}")
        if not listing.trading:
            hint = f"leave it out, or write {near}" if near else "leave it out"
            raise ConfigError("pairs", f"{exchange} lists {pair} but does not trade it now, {_NOTHING}", hint)


def nearest_pair(pair: str, listings: Sequence[Listing]) -> str:
    """The pair of a list that was most likely meant: the same two, the same against another dollar, then by letters.

    >>> listings = [Listing(f"{one}/{two}", one, two) for one, two in (("BTC", "USD"), ("ETH", "EUR"), ("SOL", "USD"))]
    >>> [nearest_pair(pair, listings) for pair in ("XBTUSD", "SOLUSDT", "ETC/EUR", "NOTHING")]
    ['BTC/USD', 'SOL/USD', 'ETH/EUR', '']
    """
    good = {listing.pair: listing for listing in listings if listing.trading and not listing.alias_of}
    parts = split_pair(pair)
    if parts is not None:
        base, quote = parts
        quotes = (quote, *(DOLLARS if quote in DOLLARS else ()))
        found = {(one.base, one.quote): name for name, one in reversed(good.items())}
        for wanted in quotes:
            if (base, wanted) in found:
                return found[base, wanted]
    return next(iter(difflib.get_close_matches(pair.upper(), good, n=1)), "")
