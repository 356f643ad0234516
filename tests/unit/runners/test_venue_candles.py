"""A venue's own candles on the whole road: indicators and features follow what stands, and the store agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.runners.kit import START_MS, settings_for
from tests.unit.runners.test_history import PAIR, S, agg, alive, history
from tickcast.clock import ManualClock
from tickcast.errors import StoreError
from tickcast.events import CANDLES
from tickcast.runners.embedded import Embedded
from tickcast.runners.replay import replay
from tickcast.runners.verify import verify
from tickcast.sources import own
from tickcast.sources.contract import Message
from tickcast.sources.history.contract import Part
from tickcast.sources.recorded import open_recording
from tickcast.store.duckdb import DuckStore
from tickcast.store.results import store_digest

MINUTE_MS = 60_000
Said = tuple[bytes, float]


def bars(*minutes: int) -> bytes:
    """Candles of some minutes as Binance's REST gives them; their closes are no trade's."""
    rows = [
        [at, "900.0", "990.0", "800.0", f"{900 + minute}.0", "7.0", at + MINUTE_MS - 1, "6300.0", 4, "3.0", "0", "0"]
        for minute in minutes
        for at in [START_MS + minute * MINUTE_MS]
    ]
    since, until = START_MS + min(minutes) * MINUTE_MS, START_MS + (max(minutes) + 1) * MINUTE_MS
    part = Part("candles", PAIR, 60, since, until, (msgspec.json.encode(rows),), CANDLES.empty(), True, 77)
    return own.history(part, live=False)


def live(*numbers: int, every_s: int = 30) -> list[Said]:
    """Trades as a socket brings them, one each half minute, then the proof that the last window has passed."""
    said: list[Said] = [(agg(k, k * every_s), k * every_s) for k in numbers]
    return [*said, (alive((max(numbers) + 2) * every_s), (max(numbers) + 2) * every_s)]


SAID = live(*range(12), *range(15, 110))
"""Ids 12 to 14 are missing: minutes 5 to 7 are partial, and have left the ring at the end."""
MENDING = (bars(5, 6, 7, 52), 3400.0)
IMPORTED = (own.frame_message(own.read_history("binance", MENDING[0]).frame), 0.0)
"""The same from a user's file, which may come at any time."""
LATER = (history(240, 540, *((k, k * 30) for k in range(8, 18))), 3500.0)


def rows(store: DuckStore, table: str, names: str) -> list[tuple[Any, ...]]:
    order = "window_start_ms" if table != "features" else "timestamp_ms"
    return store.query(f"SELECT {names} FROM {table} WHERE candle_seconds = 60 ORDER BY {order}").rows


def accept(embedded: Embedded, said: list[Said], every: int = 0) -> None:
    for count, (raw, at) in enumerate(said, 1):
        embedded.accept([Message(round((START_MS / S + at) * 1e9), "binance", raw)])
        if every and count % every == 0:
            embedded.checkpoint()


def agreeing(store: DuckStore) -> dict[int, tuple[float, str]]:
    """Close and label of each minute; candles, indicators and features tell the same."""
    candles = rows(store, "candles", "close, quality")
    assert rows(store, "technical_indicators", "close, quality") == candles
    assert rows(store, "technical_indicators", "candle_revision") == rows(store, "candles", "revision")
    features = rows(store, "features", 'names, "values", quality')
    read = msgspec.json.decode
    assert [(read(values)[read(names).index("close")], label) for names, values, label in features] == candles
    minutes = [(start - START_MS) // MINUTE_MS for (start,) in rows(store, "candles", "window_start_ms")]
    return dict(zip(minutes, candles, strict=True))


@pytest.mark.parametrize("before", [False, True])
def test_a_partial_candle_gives_way_to_the_venues_and_indicators_and_features_follow(
    tmp_path: Path, before: bool
) -> None:
    with Embedded(settings_for(tmp_path, candle_seconds=(60,)), ManualClock()) as embedded:
        embedded.recover()
        accept(embedded, [IMPORTED, *SAID] if before else [*SAID, MENDING], every=9)
        embedded.checkpoint()
        found = agreeing(embedded.store)

    label = "complete" if before else "repaired"
    assert [(905.0, label), (906.0, label), (907.0, label)] == [found[minute] for minute in (5, 6, 7)]
    assert (205.0, "complete") == found[52]
    verdict = verify(tmp_path)
    assert verdict.holds, verdict.sentence


@pytest.mark.parametrize("places", [(0, 0), (0, 90), (50, 108), (108, 108), (108, 20)])
def test_trades_that_come_after_all_take_their_place_whatever_came_first(
    tmp_path: Path, places: tuple[int, int]
) -> None:
    said = list(SAID)
    for place, one in zip(places, (IMPORTED, LATER), strict=True):
        said.insert(place, one)
    with Embedded(settings_for(tmp_path, candle_seconds=(60,)), ManualClock()) as embedded:
        embedded.recover()
        accept(embedded, said, every=9)
        embedded.checkpoint()
        found = agreeing(embedded.store)
        expected = store_digest(embedded.store)[0]

    assert [111.0, 113.0, 115.0] == [found[minute][0] for minute in (5, 6, 7)]
    assert "partial" not in {found[minute][1] for minute in (5, 6, 7)}
    assert expected == replay(open_recording([tmp_path]), settings_for(tmp_path, candle_seconds=(60,))).digest
    assert verify(tmp_path).holds


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, len(SAID)), min_size=2, max_size=2), st.integers(1, 40), st.integers(0, len(SAID)))
def test_a_kill_anywhere_leaves_the_same_store(
    tmp_path_factory: pytest.TempPathFactory, places: list[int], every: int, killed: int
) -> None:
    said = list(SAID)
    for place, one in zip(places, (IMPORTED, LATER), strict=True):
        said.insert(place, one)
    digests = []
    for stops in ([], [killed]):
        root = tmp_path_factory.mktemp("data")
        for start, stop in zip([0, *stops], [*stops, len(said)], strict=True):
            try:
                with Embedded(settings_for(root, candle_seconds=(60,)), ManualClock()) as embedded:
                    embedded.recover()
                    accept(embedded, said[start:stop], every=every)
                    if stop < len(said):
                        raise StoreError("here", "was killed", "start again")
                    embedded.checkpoint()
                    digests.append(store_digest(embedded.store)[0])
            except StoreError:
                assert stop == killed

    assert digests[0] == digests[1]


def test_a_window_that_only_the_venue_tells_of_is_stored_as_it_told_it(tmp_path: Path) -> None:
    with Embedded(settings_for(tmp_path, candle_seconds=(60,)), ManualClock()) as embedded:
        embedded.recover()
        accept(embedded, [(bars(0, 1, 2), 300), (bars(1, 2, 3), 301)])
        embedded.checkpoint()
        found = agreeing(embedded.store)

    assert {minute: (900.0 + minute, "complete") for minute in range(4)} == found
