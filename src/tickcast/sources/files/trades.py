"""Rows of a file to trades: ids as the file has them, or made from time, place and values where it has none."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tickcast.events import Columns
from tickcast.sources.files.numbers import Parsed, floats, sides, times_us, truths, wholes
from tickcast.sources.files.result import Rejects
from tickcast.sources.files.rules import Roled, Rule, in_range, readable, sift

RUN = np.dtype(
    [
        ("time_us", "i8"),
        ("place", "i8"),
        ("trade_id", "i8"),
        ("first_id", "i8"),
        ("price", "f8"),
        ("quantity", "f8"),
        ("is_buyer_maker", "?"),
        ("bid", "f8"),
        ("ask", "f8"),
    ]
)
_TAKERS = ("is_buyer_maker", "side", "maker_side")
MADE = -1
"""Stands for an id that the file does not have, until rows are in order."""


class IdRule(NamedTuple):
    """How a file's ids are used: `aggregate`, `consecutive`, `ordered` or `made`; and why, for the notes."""

    name: str
    note: str


def id_rule(columns: dict[str, pa.Array]) -> IdRule:
    """What the first rows say of a file's ids.

    >>> id_rule({"trade_id": pa.array(["7", "8", "9"]), "time": pa.array(["1700000000"] * 3)}).name
    'consecutive'
    """
    if "trade_id" not in columns and "last_id" not in columns:
        return IdRule("made", "the file has no trade ids; they were made from the times")
    ids = wholes(columns.get("last_id", columns.get("trade_id")))
    if (ids.unreadable | ids.missing).mean() > 0.5:
        return IdRule("made", "the trade ids are not whole numbers; ids were made from the times")
    if "first_id" in columns and "last_id" in columns:
        return IdRule("aggregate", "")
    time = times_us(columns["time"])
    good = ~(ids.unreadable | ids.missing | time.unreadable | time.missing)
    order = np.lexsort((ids.values[good], time.values[good]))
    steps = np.diff(ids.values[good][order])
    if not len(steps) or (steps == 1).mean() > 0.5:
        return IdRule("consecutive", "")
    if (steps >= 0).mean() > 0.99:
        return IdRule("ordered", "the trade ids are not consecutive, so a missing trade can not be seen")
    return IdRule("made", "the trade ids do not follow time; ids were made from the times")


def read_rows(rows: Roled, unit: str, day_ms: int, ids: IdRule, rejects: Rejects, place: str) -> Any:
    """The rows that can be true, as a structured array."""
    columns = rows.columns
    time = times_us(columns["time"], unit, day_ms)
    price, quantity = floats(columns["price"]), floats(columns["quantity"])
    quotes = {role: floats(columns[role]) for role in ("bid", "ask") if role in columns}
    maker = _maker(columns)
    rules = in_range(time) + readable("price", price) + readable("quantity", quantity)
    rules += [
        Rule(price.values <= 0, "price {price} is not above 0"),
        Rule(quantity.values < 0, "quantity {quantity} is negative"),
    ]
    if maker is not None:
        told_by = next(role for role in _TAKERS if role in columns)
        rules += readable(told_by, maker, kind="buy or sell" if "side" in told_by else "true or false")
    last, first, of_ids = _ids(columns, ids)
    kept = sift(rows, rules + of_ids, rejects, place)
    run = np.empty(int(kept.sum()), RUN)
    run["time_us"], run["place"] = time.values[kept], rows.numbers[kept]
    run["trade_id"], run["first_id"] = last[kept], first[kept]
    run["price"], run["quantity"] = price.values[kept], quantity.values[kept]
    run["is_buyer_maker"] = maker.values[kept] if maker is not None else False
    for role in ("bid", "ask"):
        run[role] = quotes[role].values[kept] if role in quotes else np.nan
    return run


def _maker(columns: dict[str, pa.Array]) -> Parsed | None:
    """True where the buyer was resting: the taker sold, or the maker bought."""
    if "is_buyer_maker" in columns:
        return truths(columns["is_buyer_maker"])
    if "side" in columns:
        return sides(columns["side"])
    if "maker_side" in columns:
        parsed = sides(columns["maker_side"])
        return parsed._replace(values=~parsed.values)
    return None


def _ids(columns: dict[str, pa.Array], ids: IdRule) -> tuple[NDArray[np.int64], NDArray[np.int64], list[Rule]]:
    if ids.name == "made":
        count = len(columns["time"])
        return np.full(count, MADE, np.int64), np.full(count, -1, np.int64), []
    if ids.name == "aggregate":
        first, last = wholes(columns["first_id"]), wholes(columns["last_id"])
        rules = readable("first_id", first, kind="a whole number") + readable("last_id", last, kind="a whole number")
        rules.append(Rule(first.values < 0, "first_id {first_id} is negative"))
        rules.append(Rule(first.values > last.values, "first_id {first_id} is above last_id {last_id}"))
        return last.values, first.values, rules
    role = "trade_id" if "trade_id" in columns else "last_id"
    only = wholes(columns[role])
    rules = readable(role, only, kind="a whole number")
    rules.append(Rule(only.values < 0, f"{role} {{{role}}} is negative"))
    return only.values, only.values if ids.name == "consecutive" else np.full(len(only.values), -1), rules


class IdMaker:
    """Ids for trades without: microseconds << 12 | place within them << 8 | eight bits of the values.

    They rise with time and with the order of the file. More than 16 trades of one stamp (Kraken's files are stamped in
    seconds) run on into the microseconds after it.
    """

    def __init__(self) -> None:
        self._last_slot = -1

    def fill(self, rows: Any) -> None:
        """Give ids to the rows that have none; rows must be in the order of time, over all calls."""
        at = np.flatnonzero(rows["trade_id"] == MADE)
        if not len(at):
            return
        steps = np.arange(len(at), dtype=np.int64)
        slots = rows["time_us"][at] * 16 - steps
        slots[0] = max(slots[0], self._last_slot + 1)
        slots = np.maximum.accumulate(slots) + steps
        self._last_slot = int(slots[-1])
        rows["trade_id"][at] = slots << 8 | _hash8(rows[at])


def _hash8(rows: Any) -> NDArray[np.int64]:
    """Eight bits of a trade's values: the same rows give the same ids on every machine."""
    price = np.ascontiguousarray(rows["price"]).view(np.uint64)
    quantity = np.ascontiguousarray(rows["quantity"]).view(np.uint64)
    mixed = price * np.uint64(0x9E3779B97F4A7C15) ^ quantity * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed = (mixed ^ rows["is_buyer_maker"].astype(np.uint64)) * np.uint64(0x165667B19E3779F9)
    hashed: NDArray[np.int64] = (mixed >> np.uint64(56)).astype(np.int64)
    return hashed


def same(rows: Any, others: Any) -> NDArray[np.bool_]:
    """Where two rows of one id say the same of the market."""
    alike = np.ones(len(rows), np.bool_)
    for name in ("time_us", "price", "quantity", "is_buyer_maker"):
        alike &= rows[name] == others[name]
    return alike


def to_columns(rows: Any) -> Columns:
    """Columns of `events.TRADES`."""
    names = ("trade_id", "first_id", "price", "quantity", "is_buyer_maker", "bid", "ask")
    made = {name: np.ascontiguousarray(rows[name]) for name in names}
    return {
        "trade_id": made["trade_id"],
        "first_id": made["first_id"],
        "price": made["price"],
        "quantity": made["quantity"],
        "timestamp_ms": rows["time_us"] // 1000,
        "recv_ms": np.zeros(len(rows), np.int64),
        "is_buyer_maker": made["is_buyer_maker"],
        "bid": made["bid"],
        "ask": made["ask"],
    }
