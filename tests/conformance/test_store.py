"""One suite for every store; a new one adds a line to STORES."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.store.kit import bits, candle, filled, frame, one_of_each, ticks
from tickcast.errors import StoreError
from tickcast.events import CANDLES, FEATURES, INDICATORS, TICKS, Columns, Frame
from tickcast.store.contract import KINDS, Checkpoint, Store
from tickcast.store.duckdb import DuckStore
from tickcast.store.resolve import join
from tickcast.store.results import Results, store_digest

STORES: dict[str, Callable[[Path], Store]] = {"duckdb": lambda directory: DuckStore(directory / "store.duckdb")}


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest) -> Callable[[Path], Store]:
    return STORES[request.param]


@pytest.fixture
def store(opened: Callable[[Path], Store], tmp_path: Path) -> Iterator[Store]:
    store = opened(tmp_path)
    yield store
    store.close()


def closes(store: Store, pair: str = "BTCUSDT") -> list[float]:
    parts = list(store.rows("candles", exchange="binance", pair=pair))
    return join(parts)["close"].tolist() if parts else []


def test_a_new_store_is_empty(store: Store) -> None:
    assert Checkpoint() == store.load_checkpoint()
    assert store.keys("candles") == []
    assert closes(store) == []


@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_back_bit_for_bit(store: Store, kind: str) -> None:
    sent = next(f for f in one_of_each(500) if f.kind == kind)

    store.commit([sent], None)

    got = join(list(store.rows(kind, exchange="binance", pair="BTCUSDT")))
    assert bits(sent.columns) == bits(got)
    assert {name: c.dtype for name, c in sent.columns.items()} == {name: c.dtype for name, c in got.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_read_columns_are_owned_and_writable(store: Store, kind: str) -> None:
    store.commit(one_of_each(3), None)

    (got,) = store.rows(kind, exchange="binance", pair="BTCUSDT")

    assert all(column.flags.writeable for column in got.values())


def test_every_float_there_is_survives(opened: Callable[[Path], Store], tmp_path: Path) -> None:
    store = opened(tmp_path)
    any_bits = st.integers(0, 2**64 - 1).map(lambda word: struct.unpack("<d", struct.pack("<Q", word))[0])
    revisions = count(10)
    number = st.one_of(any_bits, st.floats(allow_subnormal=True), st.floats(-1e-300, 1e-300))

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(number, min_size=1, max_size=40))
    def check(values: list[float]) -> None:
        column = np.array(values)
        for table, name in ((CANDLES, "close"), (INDICATORS, "adx_14"), (TICKS, "midprice"), (FEATURES, "close")):
            columns = filled(table, len(values)) | {name: column}
            if "revision" in columns:
                columns["revision"][:] = next(revisions)
            store.commit([frame(table, columns)], None)
            got = join(list(store.rows(table.name, exchange="binance", pair="BTCUSDT")))
            assert bits({name: column})[name] == bits(got)[name][: len(values)]

    check()
    store.close()


def test_the_same_frames_twice_change_nothing(store: Store) -> None:
    frames = one_of_each(50) + one_of_each(50, pair="ETHUSDT", seed=1)
    store.commit(frames, None)
    once = store_digest(store)

    store.commit(frames, None)
    store.commit(frames[2:5], None)

    assert once == store_digest(store)


def test_a_lower_revision_never_replaces_a_higher_one(store: Store) -> None:
    store.commit([candle(0, 101.0, revision=1)], None)
    store.commit([candle(0, 100.0, revision=0)], None)

    assert closes(store) == [101.0]


def test_a_higher_revision_replaces_and_an_equal_one_overwrites(store: Store) -> None:
    store.commit([candle(0, 100.0, revision=0)], None)
    store.commit([candle(0, 101.0, revision=1)], None)
    assert closes(store) == [101.0]

    store.commit([candle(0, 102.0, revision=1)], None)
    assert closes(store) == [102.0]


def test_of_several_revisions_in_one_commit_the_highest_wins(store: Store) -> None:
    """
    revision   1    2    0
    close    101  102  100   all of the same window, in one commit
    """
    store.commit([candle(0, 101.0, revision=1), candle(0, 102.0, revision=2), candle(0, 100.0, revision=0)], None)

    assert closes(store) == [102.0]


def test_rows_are_in_the_order_of_their_ids_however_they_came(store: Store) -> None:
    store.commit([candle(2, 3.0), candle(0, 1.0)], None)
    store.commit([candle(1, 2.0), candle(0, 0.5, seconds=1)], None)

    assert closes(store) == [0.5, 1.0, 2.0, 3.0]


def test_keys_do_not_mix(store: Store) -> None:
    store.commit([candle(0, 1.0, pair="BTC/USD"), candle(0, 2.0, pair="BTC-USD"), candle(0, 3.0, pair="o'BTC")], None)

    assert store.keys("candles") == [("binance", "BTC-USD"), ("binance", "BTC/USD"), ("binance", "o'BTC")]
    assert [closes(store, pair) for _, pair in store.keys("candles")] == [[2.0], [1.0], [3.0]]


def test_a_checkpoint_adds_to_those_before(store: Store) -> None:
    store.commit([], Checkpoint({"binance": ("20240809", 7)}, {("candles", "a:b"): b"one", ("ticks", "a:b"): b"two"}))
    store.commit([candle(0)], Checkpoint({"kraken": ("20240809", 9)}, {("candles", "a:b"): b"three"}))

    expected = Checkpoint(
        {"binance": ("20240809", 7), "kraken": ("20240809", 9)},
        {("candles", "a:b"): b"three", ("ticks", "a:b"): b"two"},
    )
    assert expected == store.load_checkpoint()


def test_large_states_survive_reopening(opened: Callable[[Path], Store], tmp_path: Path) -> None:
    states = {("ticks", f"k:{i}"): np.random.default_rng(i).bytes(70_000 + i) for i in range(20)}
    store = opened(tmp_path)
    store.commit([], Checkpoint({}, states))
    store.commit([], Checkpoint({}, {("ticks", "k:3"): b""}))
    store.close()

    again = opened(tmp_path)

    assert states | {("ticks", "k:3"): b""} == again.load_checkpoint().snapshots
    again.close()


def test_rows_of_an_unknown_kind_are_refused_and_nothing_is_kept(store: Store) -> None:
    with pytest.raises(StoreError, match="no table for rows of kind trades"):
        store.commit([candle(0), Frame("trades", "binance", "BTCUSDT", 0, {"trade_id": np.array([1])})], None)

    assert closes(store) == []


def test_empty_frames_only_move_time(store: Store) -> None:
    store.commit([frame(table, table.empty()) for table in KINDS.values()], None)

    assert [[]] * len(KINDS) == [store.keys(kind) for kind in KINDS]


def test_reading_sees_one_moment_while_commits_go_on(store: Store) -> None:
    total = 40_000
    store.commit([frame(CANDLES, filled(CANDLES, total))], None)
    reading = store.rows("candles", exchange="binance", pair="BTCUSDT")
    seen = len(next(reading)["close"])

    store.commit([candle(minute, seconds=1) for minute in range(10)], None)

    assert total == seen + sum(len(part["close"]) for part in reading)


def test_closing_twice_is_harmless(store: Store) -> None:
    store.close()
    store.close()


def cut(frame_: Frame, size: int) -> list[Frame]:
    return [frame_.slice(start, start + size, 0) for start in range(0, len(frame_), size)]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_store_has_the_digest_of_the_frames_that_were_committed_to_it(store: Store, size: int) -> None:
    frames = one_of_each(60) + one_of_each(60, pair="ETH/USD", seed=5)
    digest = Results()
    for whole in frames:
        digest.write(whole)

    for whole in frames:
        store.commit(cut(whole, size), None)

    assert (digest.hexdigest(), digest.counts()) == store_digest(store)


def test_digest_and_store_agree_on_revisions_and_on_ticks_of_one_millisecond(store: Store) -> None:
    first = ticks(1, 2, 3)
    same_ms: Columns = {name: column.copy() for name, column in first.columns.items()}
    same_ms["timestamp_ms"][:] = first.columns["timestamp_ms"][0]
    same_ms["trade_id"][:] = [9, 4, 6]
    frames = [frame(TICKS, same_ms), candle(0, 1.0), candle(1, 2.0), candle(0, 3.0, revision=1), candle(0, 9.0)]
    digest = Results()
    for one in frames:
        digest.write(one)
        store.commit([one], None)

    assert (digest.hexdigest(), digest.counts()) == store_digest(store)
    assert {kind: n for kind, n in digest.counts().items() if n} == {"candles": 2, "ticks_features": 3}
