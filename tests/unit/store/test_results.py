"""Results and Parquet: what counts is the final rows, not the way in which they came."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickcast.store.series as series
from tests.unit.store.kit import WIDE, candle, filled, frame, one_of_each, ticks
from tickcast.errors import StoreError
from tickcast.events import CANDLES, FEATURES, INDICATORS, TICKS, Columns, Frame
from tickcast.store.contract import KINDS
from tickcast.store.parquet import ParquetSink
from tickcast.store.results import Results


def digest_of(frames: list[Frame]) -> str:
    digest = Results()
    for one in frames:
        digest.write(one)
    return digest.hexdigest()


def files_of(frames: list[Frame], directory: Path) -> dict[str, bytes]:
    with ParquetSink(directory) as sink:
        for one in frames:
            sink.write(one)
    assert sorted(path.name for path in directory.iterdir()) == sorted(f"{kind}.parquet" for kind in KINDS)
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def cut(whole: Frame, places: list[int]) -> list[Frame]:
    edges = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [whole.slice(start, stop, 0) for start, stop in pairwise(edges)]


def shuffled_keys(keys: list[list[Frame]], seed: int) -> list[Frame]:
    """The frames of all keys in some interleaving that keeps the order of each key."""
    rng = np.random.default_rng(seed)
    left = [list(frames) for frames in keys]
    out = []
    while any(left):
        out.append(left[rng.choice([place for place, frames in enumerate(left) if frames])].pop(0))
    return out


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows become final, and are spooled, after a few."""
    monkeypatch.setattr(series, "HELD_ROWS", 4)
    monkeypatch.setattr(series, "SETTLE_ROWS", 8)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(5))
def test_cuts_and_interleaving_change_neither_digest_nor_files(tmp_path: Path, seed: int) -> None:
    keys = [[whole] for pair in ("BTCUSDT", "ETHUSDT") for whole in one_of_each(40, pair)]
    rng = np.random.default_rng(seed)
    pieces = [cut(whole, rng.integers(0, 41, 7).tolist()) for (whole,) in keys]
    mixed = shuffled_keys(pieces, seed)
    whole_frames = [whole for (whole,) in keys]

    assert digest_of(whole_frames) == digest_of(mixed)
    assert files_of(whole_frames, tmp_path / "whole") == files_of(mixed, tmp_path / "mixed")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_revisions_in_any_order_leave_the_highest(found: list[tuple[int, int]], places: list[int]) -> None:
    """Against the plain rule: a dict, in which a row replaces one of a lower or equal revision."""
    truth: dict[int, tuple[int, float]] = {}
    rows = []
    for n, (minute, revision) in enumerate(found):
        if revision >= truth.get(minute, (0, 0.0))[0]:
            truth[minute] = (revision, float(n))
        rows.append({"window_start_ms": minute * 60_000, "revision": revision, "close": float(n)})
    sent = frame(CANDLES, CANDLES.rows(rows))
    final = [
        {"window_start_ms": minute * 60_000, "revision": revision, "close": close}
        for minute, (revision, close) in sorted(truth.items())
    ]

    assert digest_of([frame(CANDLES, CANDLES.rows(final))]) == digest_of(cut(sent, places) if len(sent) else [])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("size", [1, 3, 50])
def test_disorder_across_what_is_final_and_what_waits_is_put_right(tmp_path: Path, size: int) -> None:
    """
    window    0  1  0'  2  1'  3  2'  ...   each candle comes again, revised, after the next one
    """
    rows: list[dict[str, float]] = []
    for n in range(50):
        rows.append({"window_start_ms": n * 60_000, "close": float(n)})
        if n:
            rows.append({"window_start_ms": (n - 1) * 60_000, "close": n + 0.5, "revision": 1})
    final = sorted(
        (row for row in rows if row.get("revision") or row["close"] == 49.0), key=lambda r: r["window_start_ms"]
    )
    came, clean = frame(CANDLES, CANDLES.rows(rows)), frame(CANDLES, CANDLES.rows(final))

    assert digest_of([clean]) == digest_of(cut(came, list(range(0, len(came), size))))
    assert files_of([clean], tmp_path / "a") == files_of(cut(came, list(range(0, len(came), size))), tmp_path / "b")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["close"].__setitem__(0, 1.5),
        lambda c: c["close"].__setitem__(0, np.nextafter(1.5, 2)),
        lambda c: c["revision"].__setitem__(3, 7),
        lambda c: c["quality"].__setitem__(3, (c["quality"][3] + 1) % 3),
        lambda c: c["volume"].__setitem__(slice(0, 2), [0.0, 0.5]),
        lambda c: c["volume"].__setitem__(slice(0, 2), [-0.0, 0.5]),
        lambda c: c["window_start_ms"].__setitem__(39, 0),
    ],
)
def test_any_changed_bit_changes_the_digest(change: Callable[[Columns], None]) -> None:
    columns = filled(CANDLES, 40)
    before = digest_of([frame(CANDLES, columns)])
    changed: Columns = {name: column.copy() for name, column in columns.items()}
    change(changed)

    assert before != digest_of([frame(CANDLES, changed)])


def test_zero_and_minus_zero_differ_but_every_nan_is_the_same() -> None:
    def with_close(value: float) -> str:
        return digest_of([frame(CANDLES, CANDLES.rows([{"close": value}]))])

    strange = np.frombuffer(np.uint64(0xFFF8_0000_0000_1234).tobytes(), dtype=np.float64)[0]

    assert with_close(0.0) != with_close(-0.0)
    assert with_close(np.nan) == with_close(float(strange))


def test_rows_of_another_key_or_column_are_another_result() -> None:
    columns = filled(INDICATORS, 5, wide=("adx_14",))
    renamed = {("cci_14" if name == "adx_14" else name): column for name, column in columns.items()}
    all_of = [
        frame(INDICATORS, columns),
        frame(INDICATORS, columns, pair="OTHER"),
        frame(INDICATORS, columns, exchange="kraken"),
        frame(INDICATORS, renamed),
    ]

    assert len({digest_of([one]) for one in all_of}) == 4


def test_asking_for_the_digest_does_not_end_it() -> None:
    digest = Results()
    digest.write(candle(0))
    first = digest.hexdigest()
    digest.write(candle(1))

    assert (first, digest.hexdigest()) == (digest_of([candle(0)]), digest_of([candle(0), candle(1)]))
    assert digest.counts() == dict.fromkeys(KINDS, 0) | {"candles": 2}


def test_trades_are_no_result() -> None:
    assert digest_of([Frame("trades", "a", "b", 0, {"trade_id": np.array([1])})]) == digest_of([])


@pytest.mark.usefixtures("small")
def test_files_hold_the_rows_sorted_with_labels_and_nulls(tmp_path: Path) -> None:
    frames = [candle(n, float(n), pair=pair) for n in range(30) for pair in ("B", "A")]
    frames += [candle(29, 99.0, revision=1, pair="B"), candle(0, np.nan, seconds=1, pair="B")]
    files_of(frames, tmp_path)

    table = pq.read_table(tmp_path / "candles.parquet")

    assert table.column_names[:5] == ["exchange", "pair", "key", "candle_seconds", "window_start_ms"]
    assert table.column_names[3:] == list(CANDLES.columns)
    assert table["key"].to_pylist() == ["binance:A"] * 30 + ["binance:B"] * 31
    assert table["close"].to_pylist()[30:] == [None, *map(float, range(29)), 99.0]
    assert set(table["quality"].to_pylist()) == {"complete"}


@pytest.mark.usefixtures("small")
def test_features_have_names_and_values_and_wide_columns(tmp_path: Path) -> None:
    sent = frame(FEATURES, filled(FEATURES, 40, wide=WIDE["features"]))
    files_of([sent], tmp_path)

    table = pq.read_table(tmp_path / "features.parquet")

    names = ["close", "rsi_14", "hour_sin"]
    assert table.column_names == ["exchange", "pair", "key", *FEATURES.columns, "names", "values", *names]
    assert table["names"].to_pylist() == [names] * 40
    wide = [table[name].to_pylist() for name in names]
    assert table["values"].to_pylist() == [list(row) for row in zip(*wide, strict=True)]
    assert wide[0] == [None if np.isnan(v) else v for v in sent.columns["close"].tolist()]


def test_files_exist_with_their_columns_even_when_nothing_came(tmp_path: Path) -> None:
    files_of([], tmp_path)

    assert [pq.read_table(tmp_path / f"{kind}.parquet").num_rows for kind in KINDS] == [0] * len(KINDS)
    assert pq.read_schema(tmp_path / "ticks_features.parquet").names[3:] == list(TICKS.columns)


@pytest.mark.usefixtures("small")
def test_a_column_that_comes_later_is_null_before(tmp_path: Path) -> None:
    """The configuration changed in between: rows of both kinds are in one file."""
    early, late = filled(INDICATORS, 60), filled(INDICATORS, 60, wide=("adx_14",))
    frames = cut(frame(INDICATORS, {k: v[:30] for k, v in early.items()}), [3, 9, 20])
    frames += cut(frame(INDICATORS, {k: v[30:] for k, v in late.items()}), [3, 9, 20])
    files_of(frames, tmp_path)

    values = pq.read_table(tmp_path / "technical_indicators.parquet")["adx_14"].to_pylist()

    assert (values[:30], len(values)) == ([None] * 30, 60)
    assert digest_of(frames) == digest_of([frame(INDICATORS, early).slice(0, 30, 0), *frames[4:]])


@pytest.mark.usefixtures("small")
def test_rows_that_come_far_too_late_are_refused_rather_than_misplaced() -> None:
    digest = Results()
    digest.write(ticks(*range(10, 40)))

    digest.write(ticks(1))

    with pytest.raises(StoreError, match=r"ticks_features of binance:BTCUSDT: the row .* came after more than 4 newer"):
        digest.hexdigest()


def test_an_aborted_run_leaves_the_files_of_the_last_one(tmp_path: Path) -> None:
    before = files_of([candle(0)], tmp_path)

    def interrupted() -> None:
        with ParquetSink(tmp_path) as sink:
            sink.write(candle(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_in_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")

    with pytest.raises(StoreError) as caught:
        ParquetSink(tmp_path / "out")

    assert str(caught.value) == f"{tmp_path / 'out'}: is a file, so nothing was written; name a directory with --out."
    assert (tmp_path / "out").read_text() == "mine"
