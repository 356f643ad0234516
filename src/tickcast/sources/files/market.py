"""One file, one market: rows of other pairs, exchanges or candle lengths beside the one asked for are left out.

A file that holds several is refused unless a flag chooses: nothing is ever mixed into one market.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tickcast.errors import DataError
from tickcast.sources.files.naming import same_pair, spelled
from tickcast.sources.files.numbers import texts
from tickcast.sources.files.result import ReadOptions
from tickcast.sources.files.tables import Hints

_FLAG = {"exchange": "--exchange", "symbol": "--pair", "candle_seconds": "--candle-seconds"}
_CALLED = {"exchange": "exchanges", "symbol": "pairs", "candle_seconds": "lengths of candles"}


class Market(NamedTuple):
    """What the rows are of; `chosen` are the values that the file's own columns must have."""

    exchange: str
    pair: str
    candle_seconds: int
    chosen: dict[str, str]


def find_market(path: Path, columns: dict[str, pa.Array], options: ReadOptions, hints: Hints) -> Market | None:
    """The market of a file from its first rows; None: the one asked for is not among these rows."""
    asked = {"exchange": options.exchange, "symbol": options.pair, "candle_seconds": str(options.candle_seconds or "")}
    chosen: dict[str, str] = {}
    for role, wanted in asked.items():
        if role in columns:
            values = list(dict.fromkeys(text.strip() for text in texts(pa.chunked_array([columns[role]]).unique())))
            one = _choose(path, role, values, wanted)
            if one is None:
                return None
            chosen[role] = one
    exchange = options.exchange or chosen.get("exchange", "").lower() or hints.exchange
    if not exchange:
        raise DataError(str(path), "does not say which exchange it is from", "say it, for example --exchange binance")
    pair = options.pair or spelled(chosen.get("symbol", "") or hints.pair or options.pair_unsaid, exchange)
    if not pair:
        raise DataError(str(path), "does not say which pair it is of", "say it, for example --pair BTCUSDT")
    seconds = chosen.get("candle_seconds", "")
    return Market(exchange, pair, int(seconds) if seconds.isdigit() else 0, chosen)


def _choose(path: Path, role: str, values: list[str], wanted: str) -> str | None:
    if wanted:
        for value in values:
            if value.lower() == wanted.lower() or (role == "symbol" and same_pair(value, wanted)):
                return value
        # one exchange's file under another name is the user's choice; one pair's never is
        return values[0] if role == "exchange" and len(values) == 1 else None
    if len(values) == 1:
        return values[0]
    some = ", ".join(values[:5]) + ("..." if len(values) > 5 else "")
    raise DataError(str(path), f"holds several {_CALLED[role]} ({some})", f"choose one with {_FLAG[role]}")


def of_market(path: Path, columns: dict[str, pa.Array], market: Market, options: ReadOptions) -> NDArray[np.bool_]:
    """True for the rows of the market; another one that no flag ruled out is an error, wherever it comes."""
    kept = np.ones(len(columns["time"]), np.bool_)
    asked = {"exchange": options.exchange, "symbol": options.pair, "candle_seconds": options.candle_seconds}
    for role, value in market.chosen.items():
        values = np.array([text.strip() for text in texts(columns[role])], np.object_)
        mask: NDArray[np.bool_] = values == value
        if not mask.all() and not asked[role]:
            _choose(path, role, [value, str(values[~mask][0])], "")
        kept &= mask
    return kept
