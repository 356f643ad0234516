"""Files of whole days: held to their checksums, told in parts that stand alone, in little memory."""

from __future__ import annotations

import asyncio
import itertools
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.sources.history.files import DAY_2024_MS, DAY_2025_MS, Files, day_of, lines, zipped
from tests.unit.sources.history.memory import Row, check, ids
from tickcast.clock import DAY_MS
from tickcast.sources.history import bulk
from tickcast.sources.history.bulk import BulkDays, DayMissing
from tickcast.sources.history.contract import HistoryError, Part

DAY = "2025-01-07"


def with_files(work: Callable[[Files], Awaitable[None]], rows: list[Row] | None = None) -> None:
    async def run() -> None:
        async with asyncio.timeout(30.0), Files(rows or [], DAY_2025_MS + 2 * DAY_MS) as files:
            await work(files)

    asyncio.run(run())


async def fetch(files: Files, day_ms: int = DAY_2025_MS, what: str = "trades", seconds: int = 0) -> list[Part]:
    return [part async for part in BulkDays(files.history()).parts(what, "XBT", seconds, day_ms)]


@pytest.mark.parametrize(("day", "day_ms", "unit"), [(DAY, DAY_2025_MS, 1), ("2024-01-02", DAY_2024_MS, 1000)])
@pytest.mark.parametrize("lines_max", [7, 100, 50_000])
def test_a_day_is_told_whole_in_parts_that_never_halve_a_millisecond(
    monkeypatch: pytest.MonkeyPatch, day: str, day_ms: int, unit: int, lines_max: int
) -> None:
    monkeypatch.setattr(bulk, "LINES_MAX", lines_max)
    rows = day_of(day_ms, 650)

    async def work(files: Files) -> None:
        files.add(day, zipped(lines(rows, unit)))
        parts = await fetch(files, day_ms)

        check("binance", parts, rows, day_ms)
        assert [row.last for row in rows] == ids(parts)
        assert [day_ms, *(part.to_ms for part in parts[:-1])] == [part.from_ms for part in parts]
        assert day_ms + DAY_MS == parts[-1].to_ms
        assert max(len(part.rows["trade_id"]) for part in parts) <= lines_max
        assert all(part.fetched_ms for part in parts)
        for one, other in itertools.pairwise(parts):
            assert one.rows["timestamp_ms"][-1] < one.to_ms <= other.rows["timestamp_ms"][0]
            assert one.to_ms % 60_000 == 0 or lines_max == 7  # whole windows, where they are not too large

    with_files(work)


def test_a_header_is_not_taken_for_a_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LINES_MAX", 20)
    rows = day_of(DAY_2025_MS, 50)
    header = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,is_best_match\n"

    async def work(files: Files) -> None:
        files.add(DAY, zipped(header + lines(rows, 1)))

        assert [row.last for row in rows] == ids(await fetch(files))

    with_files(work)


def test_more_trades_in_one_millisecond_than_a_part_holds_are_told_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LINES_MAX", 10)
    rows = day_of(DAY_2025_MS, 35, clump=35)

    async def work(files: Files) -> None:
        files.add(DAY, zipped(lines(rows, 1)))

        assert [row.last for row in rows] == ids(await fetch(files))

    with_files(work)


def test_klines_of_a_day_come_as_candles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LINES_MAX", 500)
    step_us, bar = 60_000_000, "1.5,2.5,0.5,2.0,7.0"
    text = "".join(
        f"{DAY_2025_MS * 1000 + at * step_us},{bar},{DAY_2025_MS * 1000 + (at + 1) * step_us - 1},14.0,3,4.0,8.0,0\n"
        for at in range(1440)
    )

    async def work(files: Files) -> None:
        files.add(DAY, zipped(text), "candles", 60)
        parts = await fetch(files, what="candles", seconds=60)

        starts = [ms for part in parts for ms in part.rows["window_start_ms"].tolist()]
        assert [DAY_2025_MS + at * 60_000 for at in range(1440)] == starts
        assert [DAY_2025_MS, *(part.to_ms for part in parts[:-1])] == [part.from_ms for part in parts]
        assert [part.to_ms % 60_000 for part in parts] == [0] * len(parts)
        assert DAY_2025_MS + DAY_MS == parts[-1].to_ms

    with_files(work)


def test_a_file_that_was_rewritten_meanwhile_is_fetched_once_more() -> None:
    rows = day_of(DAY_2025_MS, 50)

    async def work(files: Files) -> None:
        path = files.add(DAY, zipped(lines(rows, 1)))
        files.spoil = lambda number, asked, content: content + b"x" if number == 2 else content

        assert [row.last for row in rows] == ids(await fetch(files))
        assert [f"{path}.CHECKSUM", path] * 2 == files.asked

    with_files(work)


def test_a_file_that_never_fits_its_checksum_is_not_used() -> None:
    async def work(files: Files) -> None:
        files.add(DAY, zipped(lines(day_of(DAY_2025_MS, 50), 1)))
        files.spoil = lambda number, path, content: content if path.endswith("CHECKSUM") else content[:-1]

        with pytest.raises(HistoryError, match="does not have the checksum that the venue names, twice"):
            await fetch(files)
        assert 4 == len(files.asked)

    with_files(work)


@pytest.mark.parametrize("gone", ["", ".CHECKSUM"])
def test_a_day_without_a_file_is_missing(gone: str) -> None:
    async def work(files: Files) -> None:
        path = files.add(DAY, zipped(""))
        del files.files[path + gone]

        with pytest.raises(DayMissing, match="REST has what there is"):
            await fetch(files)

    with_files(work)


def test_a_day_without_a_trade_is_whole_and_empty() -> None:
    async def work(files: Files) -> None:
        files.add(DAY, zipped(""))

        (part,) = await fetch(files)

        assert (DAY_2025_MS, DAY_2025_MS + DAY_MS, 0) == (part.from_ms, part.to_ms, len(part.rows["trade_id"]))
        assert (b'""',) == part.pages

    with_files(work)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no zip at all", "not a zip"),
        (zipped("1,2,3\n"), "too few parts"),
        (zipped(lines(day_of(DAY_2025_MS + DAY_MS, 5), 1)), "rows of another day than 2025-01-07"),
        (zipped("", "a.csv", "b.csv"), "has 2 tables"),
        (zipped(lines(day_of(DAY_2025_MS, 5), 1))[:-60], "not a zip"),
    ],
)
def test_a_file_that_is_no_such_day_is_not_used(content: bytes, reason: str) -> None:
    async def work(files: Files) -> None:
        files.add(DAY, content)
        with pytest.raises(HistoryError, match=rf"can not be read .*{reason}"):
            await fetch(files)

    with_files(work)


def test_a_large_day_needs_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LINES_MAX", 2_000)
    text = lines(day_of(DAY_2025_MS, 120_000), 1)

    async def work(files: Files) -> None:
        files.add(DAY, zipped(text))
        count = 0
        tracemalloc.start()
        try:
            async for part in BulkDays(files.history()).parts("trades", "XBT", 0, DAY_2025_MS):
                count += len(part.rows["trade_id"])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert 120_000 == count
        assert peak < len(text) / 2

    with_files(work)
