"""Which pairs share a connection."""

from __future__ import annotations

from collections.abc import Iterable


def split(pairs: Iterable[str], per_connection: int) -> list[tuple[str, ...]]:
    """As few connections as the limit allows, as even as can be, and the same ones in whatever order pairs are named.

    They are dealt like cards: names that sort together (one coin's pairs) are busy together, and so do not share.

    >>> split(["SOL/USD", "BTC/USD", "ETH/USD", "BTC/EUR", "ADA/USD"], 2)
    [('ADA/USD', 'ETH/USD'), ('BTC/EUR', 'SOL/USD'), ('BTC/USD',)]
    >>> split([], 2)
    []
    """
    if per_connection < 1:
        raise ValueError(f"{per_connection} pairs a connection carry nothing")
    cards = sorted(set(pairs))
    hands = -(-len(cards) // per_connection)
    return [tuple(cards[first::hands]) for first in range(hands)]
