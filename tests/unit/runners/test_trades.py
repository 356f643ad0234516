"""The stored trades are the market's, each once, however often and in whatever order they came."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.runners import kit
from tickcast.clock import ManualClock
from tickcast.errors import StoreError
from tickcast.events import TRADES, Frame
from tickcast.runners.embedded import Embedded
from tickcast.runners.trades import COLUMNS, _Known, stored_trades, write_trades
from tickcast.seen import NEW, new_seen, see
from tickcast.sources import own
from tickcast.sources.contract import Message
from tickcast.sources.history.contract import Part

MINUTE_MS = 60_000


def storm(said: Sequence[Message], seed: int = 3) -> list[Message]:
    """The same messages: some twice, some late, some pieces sent all over again."""
    chance = random.Random(seed)
    delayed: list[Message] = []
    out: list[Message] = []
    for at, message in enumerate(said):
        if chance.random() < 0.1:
            delayed.append(message)
            continue
        out.append(message)
        if chance.random() < 0.1:
            out.append(message)
        if chance.random() < 0.05:
            out += delayed
            delayed = []
        if chance.random() < 0.01:
            out += said[max(0, at - 30) : at]
    return out + delayed


def told(said: Sequence[Message]) -> dict[tuple[str, int], tuple[float, float, int, bool]]:
    """What the raw messages say, read with nothing of ours: by pair and id, the first word of each."""
    found: dict[tuple[str, int], tuple[float, float, int, bool]] = {}
    for message in said:
        body = json.loads(message.raw)
        data = body.get("data", body)
        if data.get("e") == "trade":
            found.setdefault((data["s"], data["t"]), (float(data["p"]), float(data["q"]), data["T"], data["m"]))
    return found


def rows_of(frames: list[Frame]) -> list[tuple[str, int, float, float, int, bool]]:
    names = ("trade_id", "price", "quantity", "timestamp_ms", "is_buyer_maker")
    return [
        (frame.pair, *row)
        for frame in frames
        for row in zip(*(frame.columns[name].tolist() for name in names), strict=True)
    ]


def test_they_are_what_an_independent_reading_of_the_journal_finds(tmp_path: Path) -> None:
    said = kit.market(30)
    kit.carry(tmp_path, storm(said))

    stored = rows_of(list(stored_trades(tmp_path)))

    assert len(stored) == len({row[:2] for row in stored})
    assert sorted((*key, *row) for key, row in told(said).items()) == sorted(stored)


def test_they_are_those_that_the_candles_counted(tmp_path: Path) -> None:
    kit.carry(tmp_path, storm(kit.market(30)))

    counted: dict[tuple[str, int], int] = {}
    for frame in stored_trades(tmp_path):
        for time_ms in frame.columns["timestamp_ms"].tolist():
            window = (frame.pair, time_ms - time_ms % MINUTE_MS)
            counted[window] = counted.get(window, 0) + 1
    with Embedded(kit.settings_for(tmp_path), ManualClock(0)) as embedded:
        sql = "SELECT pair, window_start_ms, trade_count FROM candles WHERE candle_seconds = 60 AND trade_count > 0"
        candles = {(row[0], row[1]): row[2] for row in embedded.store.query(sql).rows}

    newest = {pair: max(start for name, start in counted if name == pair) for pair, _ in counted}
    closed = {key: count for key, count in counted.items() if key[1] < newest[key[0]]}
    assert len(closed) > 40
    assert closed == {key: count for key, count in candles.items() if key[1] < newest[key[0]]}


def test_a_second_reading_gives_the_same_and_so_does_one_while_a_process_runs(tmp_path: Path) -> None:
    kit.carry(tmp_path, storm(kit.market(10)))
    first = rows_of(list(stored_trades(tmp_path)))

    with Embedded(kit.settings_for(tmp_path), ManualClock(0)):
        again = rows_of(list(stored_trades(tmp_path)))

    assert len(first) > 100
    assert first == again


def test_imported_trades_are_among_them_once(tmp_path: Path) -> None:
    said = kit.market(5)
    kit.carry(tmp_path, said)
    live = rows_of(list(stored_trades(tmp_path)))
    newest = [row for row in live if row[0] == "BTCUSDT"][-3:]
    new = ("BTCUSDT", newest[-1][1] + 1, 5.0, 1.0, newest[-1][4], False)
    columns = TRADES.rows(
        {"trade_id": row[1], "first_id": row[1], "price": row[2], "quantity": row[3], "timestamp_ms": row[4]}
        for row in [*newest, new]
    )
    frame = Frame("trades", "binance", "BTCUSDT", new[4], columns)
    kit.carry(tmp_path, [Message(said[-1].recv_ns, "binance", own.frame_message(frame))] * 2)

    stored = rows_of(list(stored_trades(tmp_path)))

    assert [*live, new] == stored


def test_fetched_history_is_among_them_once_with_the_time_of_fetching(tmp_path: Path) -> None:
    """
    live      1  2           5  6
    fetched      2  3  4  5           what the stream did not bring, and both its neighbours
    """
    start_ms = kit.START_MS

    def aggregate(number: int) -> dict[str, object]:
        row: dict[str, object] = {"a": number, "p": f"{100 + number}.0", "q": "1.0", "f": number, "l": number}
        return row | {"T": start_ms + number * 1000, "m": False, "M": True}

    def live(number: int) -> bytes:
        row = {"e": "aggTrade", "E": start_ms + number * 1000, "s": "BTCUSDT", **aggregate(number)}
        return json.dumps({"stream": "btcusdt@aggTrade", "data": row}, separators=(",", ":")).encode()

    page = json.dumps([aggregate(number) for number in range(2, 6)]).encode()
    part = Part("trades", "BTCUSDT", 0, start_ms + 1500, start_ms + 5500, (page,), TRADES.empty(), True, start_ms + 77)
    said = [live(1), live(2), live(5), own.history(part, live=False), live(6)]
    kit.carry(tmp_path, [Message((start_ms + 6000) * 1_000_000, "binance", raw) for raw in said])

    columns = [frame.columns for frame in stored_trades(tmp_path)]
    stored = sorted((row["trade_id"][k], row["recv_ms"][k]) for row in columns for k in range(len(row["trade_id"])))
    came_ms, fetched_ms = start_ms + 6000, start_ms + 77
    assert [(1, came_ms), (2, came_ms), (3, fetched_ms), (4, fetched_ms), (5, came_ms), (6, came_ms)] == stored


def test_only_wanted_keys_are_read_out_and_the_reading_says_how_far_it_is(tmp_path: Path) -> None:
    kit.carry(tmp_path, kit.market(5))
    asked: set[tuple[str, str]] = set()
    shares: list[float] = []

    def wanted(exchange: str, pair: str) -> bool:
        asked.add((exchange, pair))
        return pair == "ADAUSDT"

    stored = list(stored_trades(tmp_path, wanted, advance=shares.append))

    assert {"ADAUSDT"} == {frame.pair for frame in stored}
    assert {("binance", "ADAUSDT"), ("binance", "BTCUSDT")} == asked
    assert (sorted(shares), 1.0) == (shares, shares[-1])


def test_as_a_file_they_are_sorted_by_id_however_they_came(tmp_path: Path) -> None:
    kit.carry(tmp_path / "a", storm(kit.market(20)))
    kit.carry(tmp_path / "b", kit.market(20))

    counts = [write_trades(stored_trades(tmp_path / name), tmp_path / f"{name}.parquet") for name in ("a", "b")]

    one, other = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("a", "b"))
    assert ["exchange", "pair", *COLUMNS] == one.column_names
    assert counts == [len(one), len(other)]
    assert other.equals(one)
    keys = list(zip(one["pair"].to_pylist(), one["trade_id"].to_pylist(), strict=True))
    assert sorted(keys) == keys
    assert ["a", "a.parquet", "b", "b.parquet"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_place_without_a_journal_is_said_to_have_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no journal, so it has no trades"):
        list(stored_trades(tmp_path))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=40),
    st.lists(st.integers(1, 6), min_size=40, max_size=40),
    st.booleans(),
)
def test_however_rows_are_cut_into_frames_the_same_are_new(
    ranges: list[tuple[int, int]], cuts: list[int], linked: bool
) -> None:
    rows = [
        {"trade_id": first + more, "first_id": first if linked else -1, "timestamp_ms": at}
        for at, (first, more) in enumerate(ranges)
    ]
    ids, used, expected = new_seen(), 0, []
    for row in rows:
        verdict, used = see(ids, used, row["first_id"], row["trade_id"], row["timestamp_ms"], 0)
        expected += [row["timestamp_ms"]] if verdict == NEW else []

    known, found, at = _Known(), [], 0
    for size in cuts:
        part = rows[at : at + size]
        at += size
        if part:
            found += known.fresh(Frame("trades", "x", "y", 0, TRADES.rows(part))).columns["timestamp_ms"].tolist()

    assert expected == found
    assert np.array_equal(known._ids[: known._used], ids[:used])


def test_ids_that_begin_anew_are_let_through_once_as_the_candles_count_them() -> None:
    """Time goes on by other proof than trades too, in frames without rows: what is not later than it is a double."""
    known, found = _Known(), []
    spans = [(9, 1_000, 0), (1, 60_000, 0), (2, 60_100, 90_000), (1, 80_000, 90_000), (1, 90_001, 0), (9, 1_000, 0)]
    for number, time_ms, low_ms in spans:
        rows = TRADES.rows([{"trade_id": number, "first_id": number, "timestamp_ms": time_ms}])
        found += known.fresh(Frame("trades", "x", "y", time_ms, rows)).columns["timestamp_ms"].tolist()
        known.fresh(Frame("trades", "x", "y", low_ms, TRADES.empty()))

    assert [1_000, 60_000, 60_100, 90_001] == found
