"""What a simulated market is made from. Equal settings give equal bytes, on every machine."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from tickcast.errors import ConfigError

MINUTE_MS = 60_000
PAIRS_MAX = 20
TRADES_PER_SECOND_MAX = 50.0
SIGNAL_MAX = 0.4
_DECIMAL = re.compile(r"(?P<whole>\d{1,9})(\.(?P<part>\d{1,8}))?")


class Decimal(msgspec.Struct, frozen=True):
    """A number as a venue writes it: `mantissa / 10**decimals`."""

    mantissa: int
    decimals: int


def decimal(where: str, text: str) -> Decimal:
    """Read a positive number and how many decimals it was written with.

    >>> decimal("price", "61837.60")
    Decimal(mantissa=6183760, decimals=2)
    """
    found = _DECIMAL.fullmatch(text)
    part = (found["part"] or "") if found else ""
    mantissa = int(found["whole"] + part) if found else 0
    if mantissa == 0:
        raise ConfigError(where, f"was {text!r}", "give a positive number with at most 8 decimals, for example 0.01")
    return Decimal(mantissa, len(part))


class PairSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pair. The decimals of `price` are its price step, those of `typical` its quantity step."""

    name: str
    price: str = "100.00"
    """What it costs at the start, written with the venue's decimals."""
    typical: str = "5.000"
    """The median quantity of a trade, written with the venue's decimals."""
    volatility: float = 0.8
    """Standard deviation of a year's log return, over all regimes."""
    activity: float = 1.0
    """How busy it is beside the market's mean."""
    first_trade_id: int = 1_000_001

    def __post_init__(self) -> None:
        where = f"simulated pair {self.name!r}"
        if not re.fullmatch(r"[A-Z0-9]{1,12}[-/]?[A-Z0-9]{1,12}", self.name):
            raise ConfigError(where, "is no name of a pair", "write it as the venue does: BTCUSDT, BTC-USD or BTC/USD")
        if decimal(f"{where}, price", self.price).mantissa < 1000:
            raise ConfigError(
                where, f"costs {self.price}, under 1000 price steps", "write the price with more decimals"
            )
        decimal(f"{where}, typical", self.typical)
        if not 0.01 <= self.volatility <= 5.0:
            raise ConfigError(where, f"has volatility {self.volatility}", "give a share a year from 0.01 to 5")
        if not 0.01 <= self.activity <= 10.0:
            raise ConfigError(where, f"has activity {self.activity}", "give a factor from 0.01 to 10")
        if not 1 <= self.first_trade_id <= 1 << 52:
            raise ConfigError(where, f"starts with trade id {self.first_trade_id}", "give an id from 1 to 2**52")


_KNOWN = {
    "BTC": PairSettings("BTC", "61837.63", "0.00500", 0.5, 1.2),
    "ETH": PairSettings("ETH", "2683.80", "0.1000", 0.65, 1.0),
    "SOL": PairSettings("SOL", "152.47", "1.500", 0.8, 0.8),
    "XRP": PairSettings("XRP", "0.6123", "400.0", 0.8, 0.7),
    "ADA": PairSettings("ADA", "0.3467", "500.0", 0.85, 0.5),
    "DOGE": PairSettings("DOGE", "0.10121", "2000", 0.95, 0.7),
    "LTC": PairSettings("LTC", "61.52", "2.000", 0.75, 0.4),
}


def pair_settings(name: str) -> PairSettings:
    """The pair of that name: like the real one where it is a well-known coin, else like a small one.

    >>> pair_settings("BTC-USD").price, pair_settings("FOOUSDT").price
    ('61837.63', '100.00')
    """
    for coin, known in _KNOWN.items():
        if re.fullmatch(rf"{coin}[-/]?(USDT?|USDC|EUR|FDUSD)", name):
            return msgspec.structs.replace(known, name=name)
    return PairSettings(name)


def pairs_named(names: Iterable[str]) -> tuple[PairSettings, ...]:
    """Settings of several pairs by name."""
    return tuple(pair_settings(name) for name in names)


class MarketSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole market. Two runs with equal settings and seed see the same trades at the same times."""

    seed: int = 1
    pairs: tuple[PairSettings, ...] = pairs_named(("BTCUSDT", "ETHUSDT", "SOLUSDT"))
    start_ms: int = 1_735_689_600_000
    """The first moment of the market, on a whole minute; 2025-01-01 unless told otherwise."""
    trades_per_second: float = 3.0
    """Mean of a pair of activity 1, quiet spells and bursts together."""
    signal: float = 0.0
    """The share of a 5-minute return's variance that the last minute's flow explains; 0: nothing does (signal.py)."""
    quiet: float = 0.04
    """The share of time in which a pair does not trade at all, in spells of three minutes on average."""
    burst: float = 0.6
    """How many further orders each order calls forth, on average; 0: they come independently."""

    def __post_init__(self) -> None:
        names = [pair.name for pair in self.pairs]
        if not 1 <= len(names) <= PAIRS_MAX or len(set(names)) != len(names):
            raise ConfigError(
                "pairs", f"were {','.join(names) or 'none'}", f"give 1 to {PAIRS_MAX} different pairs to simulate"
            )
        if self.start_ms < 0 or self.start_ms % MINUTE_MS:
            raise ConfigError("start_ms", f"was {self.start_ms}", "give a whole minute in milliseconds since the epoch")
        if not 0 <= self.seed < 1 << 63:
            raise ConfigError("seed", f"was {self.seed}", "give a whole number from 0 to 2**63 - 1")
        for name, low, high in (
            ("trades_per_second", 0.01, TRADES_PER_SECOND_MAX),
            ("signal", 0.0, SIGNAL_MAX),
            ("quiet", 0.0, 0.5),
            ("burst", 0.0, 0.85),
        ):
            value: float = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(name, f"was {value}", f"give a number from {low:g} to {high:g}")
        busiest = max(pair.activity for pair in self.pairs) * self.trades_per_second
        if busiest > TRADES_PER_SECOND_MAX:
            raise ConfigError("activity", f"makes {busiest:g} trades a second", f"stay under {TRADES_PER_SECOND_MAX:g}")
