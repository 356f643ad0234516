"""Which column plays which role: by its name, by what the user said, and for files without names by values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tickcast.errors import DataError

_NAMES: Mapping[str, str] = {
    "time": "opentime time timestamp timestampms timems times timeus timens ts tsms unix unixtime unixtimestamp "
    "windowstartms windowstart start starttime startms transacttime tradetime executedat createdat datetime date "
    "timestampns tsevent localtimestamp",
    "open": "open o openprice priceopen",
    "high": "high h highprice pricehigh max",
    "low": "low lowprice pricelow min",
    "close": "close c closeprice priceclose",
    "volume": "volume vol v basevolume volumebase volumefrom quantity qty amount size",
    "quote_volume": "quotevolume quoteassetvolume quotevol volumequote volumeto turnover",
    "buy_volume": "buyvolume takerbuyvolume takerbuybasevolume takerbuybaseassetvolume",
    "trade_count": "tradecount count trades numberoftrades numtrades tradescount",
    "end": "closetime windowendms windowend endtime",
    "price": "price p tradeprice rate",
    "quantity": "quantity qty amount size volume vol q basevolume tradeqty tradevolume",
    "side": "side takerside aggressorside direction tradetype",
    "maker_side": "makerside",
    "is_buyer_maker": "isbuyermaker buyermaker isbuyermakers buyerismaker",
    "trade_id": "tradeid aggtradeid id tid agg_trade_id",
    "first_id": "firstid firsttradeid",
    "last_id": "lastid lasttradeid",
    "bid": "bid bidprice bestbid bestbidprice",
    "ask": "ask askprice bestask bestaskprice",
    "exchange": "exchange venue market",
    "symbol": "symbol pair instrument product productid instrumentid coinpair",
    "candle_seconds": "candleseconds",
    "revision": "revision",
    "quality": "quality",
}
_LETTERS_CANDLES = {
    "t": "time", "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume", "n": "trade_count", "T": "end",
}  # fmt: skip
_LETTERS_TRADES = {
    "a": "trade_id", "t": "trade_id", "p": "price", "q": "quantity", "f": "first_id", "l": "last_id", "T": "time",
    "m": "is_buyer_maker", "s": "symbol",
}  # fmt: skip
_MONEY = ("usd", "usdt", "usdc", "busd", "fdusd", "eur", "gbp", "jpy")

CANDLE_ROLES = (
    "time", "open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "trade_count", "end",
    "candle_seconds", "revision", "quality", "exchange", "symbol",
)  # fmt: skip
TRADE_ROLES = (
    "time", "price", "quantity", "side", "maker_side", "is_buyer_maker", "trade_id", "first_id", "last_id", "bid",
    "ask", "exchange", "symbol",
)  # fmt: skip
_NEEDED = {"candles": ("time", "open", "high", "low", "close", "volume"), "trades": ("time", "price", "quantity")}


class Roles(NamedTuple):
    """What the file holds, and the place of the column that plays each role."""

    what: str
    at: dict[str, int]


def assign(path: Path, names: list[str], what: str, asked: Mapping[str, str]) -> Roles:
    """Roles of named columns; what the user asked for wins.

    >>> assign(Path("a.csv"), ["time_ms", "side", "price", "amount"], "", {})
    Roles(what='trades', at={'time': 0, 'price': 2, 'quantity': 3, 'side': 1})
    """
    said = {role: _place(path, names, role, column) for role, column in asked.items()}
    what = what or _told(names, set(said))
    if not what:
        if (_has(names, "bid") and _has(names, "ask")) or "bid_open" in names:
            remedy = "give the file of trades or of candles instead"
            raise DataError(str(path), "holds best bids and asks, which are not imported", remedy)
        raise DataError(
            str(path),
            f"has the columns {_listed(names)}, which are neither candles nor trades",
            "say which is which, for example --columns time=1,price=2,quantity=3",
        )
    roles = CANDLE_ROLES if what == "candles" else TRADE_ROLES
    wrong = [role for role in said if role not in roles]
    if wrong:
        raise DataError("--columns", f"{wrong[0]} is not a column of {what}", f"known are {', '.join(roles)}")
    letters = _letters(names)
    found = {role: said[role] if role in said else _find(names, role, letters) for role in roles}
    at = {role: place for role, place in found.items() if place >= 0}
    missing = [role for role in _NEEDED[what] if role not in at]
    if missing:
        raise DataError(
            str(path),
            f"has no column for {' and '.join(missing)} among {_listed(names)}, so no {what} were read",
            f"say which it is, for example --columns {missing[0]}={names[-1]}",
        )
    return Roles(what, at)


def _told(names: list[str], said: set[str]) -> str:
    letters = _letters(names)
    for what, needed in (("candles", ("open", "high", "low", "close")), ("trades", ("price", "quantity"))):
        if all(role in said or _find(names, role, letters) >= 0 for role in needed):
            return what
    return ""


def _letters(names: list[str]) -> Mapping[str, str]:
    """Venues that save letters differ in what `l` and `t` mean; the others beside them tell."""
    if {"o", "h", "l", "c"} <= set(names):
        return _LETTERS_CANDLES
    return _LETTERS_TRADES if {"p", "q"} <= set(names) else {}


def _find(names: list[str], role: str, letters: Mapping[str, str]) -> int:
    for at, name in enumerate(names):
        if letters.get(name) == role:
            return at
    if letters:
        return -1
    known = [_plain(name) for name in names]
    for word in _NAMES[role].split():
        if word in known:
            return known.index(word)
    if role in ("volume", "quote_volume"):  # `Volume BTC`, `Volume USDT`: in the coin, and in money
        for at, name in enumerate(known):
            coin = name.removeprefix("volume")
            if coin and coin != name and coin.isalpha() and (coin in _MONEY) == (role == "quote_volume"):
                return at
    return -1


def _has(names: list[str], role: str) -> bool:
    return _find(names, role, {}) >= 0


def _place(path: Path, names: list[str], role: str, column: str) -> int:
    if column in names:
        return names.index(column)
    if column.isdigit() and 1 <= int(column) <= len(names):
        return int(column) - 1
    raise DataError(str(path), f"has no column {column} for {role}", f"it has {_listed(names)}")


def _plain(name: str) -> str:
    return "".join(one for one in name.lower() if one.isalnum())


def _listed(names: list[str]) -> str:
    return ", ".join(name[:30] for name in names[:20]) + ("..." if len(names) > 20 else "")
