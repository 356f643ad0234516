"""What kernels tell of a usual message: all that joining it takes."""

from __future__ import annotations

from typing import TypeAlias

NO_TRADE = -1
Told: TypeAlias = tuple[int, int, int, int, int, int, int, int]
"""The pair's name as two words, first and last id (of best prices `NO_TRADE`), the last time of a trade, when it was
sent (0: it does not say), its number in the connection (-1: it has none), the place after it (0: not certain)."""
