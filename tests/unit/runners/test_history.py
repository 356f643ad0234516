"""What a live feed says in the journal: history, blindness, proof of life for some pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.unit.candles.tape import revision_of
from tests.unit.runners.kit import FLOW, START_MS, settings_for
from tickcast.clock import ManualClock
from tickcast.events import QUALITY, TRADES, Frame
from tickcast.runners.embedded import Embedded
from tickcast.runners.intake import Intake
from tickcast.runners.pipeline import Pipeline
from tickcast.runners.replay import replay
from tickcast.runners.verify import verify
from tickcast.sources import own
from tickcast.sources.blocks import encode_line
from tickcast.sources.contract import Block, Message
from tickcast.sources.history.contract import Part
from tickcast.sources.recorded import open_recording
from tickcast.store.results import Results, store_digest

S = 1000
PAIR = "BTCUSDT"


def page(*trades: tuple[int, int]) -> bytes:
    """A Binance REST page of single trades: (id, seconds after the start)."""
    rows = [
        {"a": k, "p": f"{100 + k}.00", "q": "1.0", "f": k, "l": k, "T": START_MS + s * S, "m": False, "M": True}
        for k, s in trades
    ]
    return msgspec.json.encode(rows)


def history(since_s: int, until_s: int, *trades: tuple[int, int], live: bool = False) -> bytes:
    part = Part(
        "trades", PAIR, 0, START_MS + since_s * S, START_MS + until_s * S, (page(*trades),), TRADES.empty(), True, 77
    )
    return own.history(part, live=live)


def agg(number: int, second: int) -> bytes:
    row = {"e": "aggTrade", "E": START_MS + second * S, "s": PAIR, "a": number, "p": f"{100 + number}.00", "q": "1.0"}
    row |= {"f": number, "l": number, "T": START_MS + second * S, "m": False, "M": True}
    return msgspec.json.encode({"stream": "btcusdt@aggTrade", "data": row})


def alive(second: int, *pairs: str) -> bytes:
    return own.alive(START_MS + second * S + FLOW.grace_ms, pairs)


class Road:
    """Messages in, frames out, one block each or all in one: (message, second it was received)."""

    def __init__(self) -> None:
        self.intake = Intake(Pipeline(FLOW))
        self.frames: list[Frame] = []

    def take(self, *messages: tuple[bytes, float]) -> Road:
        lines = b"".join(encode_line(round((START_MS / S + at) * 1e9), "binance", raw) for raw, at in messages)
        self.frames += self.intake.take(Block("binance", lines)).frames
        return self

    def candles(self, seconds: int = 60) -> list[tuple[int, float, str, int]]:
        """Minute, close, quality, revision (as `revision_of`) of what was issued, in order."""
        found: list[tuple[int, float, str, int]] = []
        for frame in self.frames:
            if frame.kind == "candles":
                columns = {name: column.tolist() for name, column in frame.columns.items()}
                for k, width in enumerate(columns["candle_seconds"]):
                    if width == seconds:
                        minute = (columns["window_start_ms"][k] - START_MS) // 60_000
                        label = QUALITY[columns["quality"][k]]
                        found.append(
                            (minute, columns["close"][k], label, revision_of({"revision": columns["revision"][k]}))
                        )
        return found


def digest_of(frames: list[Frame]) -> str:
    results = Results()
    for frame in frames:
        results.write(frame)
    return results.hexdigest()


def test_history_then_the_live_stream_join_without_a_seam() -> None:
    road = Road().take(
        (history(0, 70, (1, 5), (2, 65), live=True), 70), (agg(3, 71), 71), (agg(4, 119), 119), (alive(121), 121)
    )

    assert [(0, 101.0, "complete", 0), (1, 104.0, "complete", 0)] == road.candles()


def test_history_that_does_not_reach_the_live_stream_leaves_a_doubt_until_the_ids_join() -> None:
    """history to 1:10 | nobody watched | alive at 2:01: partial | trade 4 follows 3: it was quiet after all"""
    road = Road().take((history(0, 70, (1, 5), (2, 65), (3, 69)), 70), (alive(121, PAIR), 121))
    doubtful = road.candles()

    road.take((agg(4, 125), 125))

    assert [(0, 101.0, "complete", 0), (1, 103.0, "partial", 0)] == doubtful
    assert [(1, 103.0, "repaired", 0)] == road.candles()[2:]


def test_the_proof_of_life_of_some_pairs_says_nothing_of_the_others() -> None:
    road = Road().take((agg(1, 5), 5), (alive(6), 6), (alive(61, "ETHUSDT"), 61))
    before = road.candles()

    road.take((alive(61, "ETHUSDT", PAIR), 61))

    assert [] == before
    assert [(0, 101.0, "partial", 0)] == road.candles()  # its beginning was not seen


def test_a_feed_that_did_not_see_says_so_and_the_candles_are_partial_until_ids_join() -> None:
    """No silence of a minute is in the journal: only the feed knows that one of its connections was away."""
    start = [(history(0, 5, live=True), 5), (agg(1, 6), 6)]
    road = Road().take(*start, (own.blind(PAIR, START_MS + 20 * S), 40), (alive(61, PAIR), 61))
    doubtful = road.candles()

    road.take((agg(2, 65), 65))

    assert [(0, 101.0, "partial", 0)] == doubtful
    assert [(0, 101.0, "repaired", 0)] == road.candles()[1:]


def test_history_of_the_blind_time_makes_it_whole_before_it_is_issued() -> None:
    road = Road().take(
        (history(0, 5, live=True), 5),
        (agg(1, 6), 6),
        (own.blind(PAIR, START_MS + 20 * S), 40),
        (history(6, 41, (2, 30), live=True), 41),
        (alive(61, PAIR), 61),
    )

    assert [(0, 102.0, "complete", 0)] == road.candles()


def test_a_restart_after_an_hour_is_whole_once_history_has_told_of_it() -> None:
    before = [(history(0, 5, live=True), 5), (agg(1, 6), 6)]
    gap = [(3600 + k, (k, 60 * k)) for k in range(2, 60)]

    road = Road().take(*before).take((history(6, 3600, *(trade for _, trade in gap), live=True), 3600))
    road.take((agg(60, 3601), 3601), (alive(3661), 3661))

    assert {"complete"} == {quality for _, _, quality, _ in road.candles()}
    assert 61 == len(road.candles())


def test_history_enters_whole_however_the_journal_is_cut() -> None:
    said = [
        (agg(1, 5), 5), (agg(9, 130), 130), (history(0, 180, *((k, 14 * k) for k in range(1, 10))), 131),
        (agg(10, 140), 140), (alive(185, PAIR), 185),
    ]  # fmt: skip
    once, each = Road().take(*said), Road()
    for message in said:
        each.take(message)

    assert once.candles() == each.candles()
    assert digest_of(once.frames) == digest_of(each.frames)


def test_late_trades_that_are_still_the_newest_ticks_give_the_same_rows_however_the_journal_is_cut() -> None:
    """
    6 s: trade | the venue's time passes 61 s: the minute closes | trades of 50, 55, 62 and 130 s come, perhaps together

    Each of the first two changes the minute's candle, which is issued again with the tick of 6 s that it had.
    """
    said = [
        (history(0, 5, live=True), 5), (agg(1, 6), 6), (alive(61, PAIR), 61), (agg(2, 50), 62), (agg(3, 55), 62),
        (agg(4, 62), 63), (agg(5, 130), 130), (alive(185, PAIR), 185),
    ]  # fmt: skip
    once, each = Road().take(*said), Road()
    for message in said:
        each.take(message)

    assert digest_of(once.frames) == digest_of(each.frames)


def test_what_was_fetched_is_a_table() -> None:
    road = Road().take((history(0, 70, (1, 5), (2, 65)), 70), (history(70, 90), 90))

    found: list[dict[str, Any]] = [
        {name: column[0].item() for name, column in frame.columns.items()}
        for frame in road.frames
        if frame.kind == "fetched"
    ]

    assert [(START_MS, START_MS + 70 * S, 1, 2, 2, 77), (START_MS + 70 * S, START_MS + 90 * S, -1, -1, 0, 77)] == [
        tuple(row[name] for name in ("from_ms", "to_ms", "first_id", "last_id", "row_count", "fetched_ms"))
        for row in found
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"tickcast":"history"}',
        b'{"tickcast":"history","what":"news","pair":"A","seconds":0,"from_ms":1,"to_ms":2,"fetched_ms":3,"live":true,"pages":[]}',
        b'{"tickcast":"history","what":"trades","pair":"","seconds":0,"from_ms":1,"to_ms":2,"fetched_ms":3,"live":true,"pages":[]}',
        b'{"tickcast":"history","what":"trades","pair":"A","seconds":0,"from_ms":9,"to_ms":2,"fetched_ms":3,"live":true,"pages":[]}',
        b'{"tickcast":"history","what":"trades","pair":"A","seconds":0,"from_ms":1,"to_ms":2,"fetched_ms":3,"live":true,"pages":[7]}',
        b'{"tickcast":"blind","pair":"A","from_ms":-1}',
        b'{"tickcast":"blind","pair":7}',
        b'{"tickcast":"alive","venue_ms":5,"pairs":[7]}',
        b'{"tickcast":"other"}',
    ],
)
def test_a_line_of_ours_that_was_changed_by_hand_goes_to_quarantine(raw: bytes) -> None:
    road = Road().take((raw, 5))

    assert {"binance"} == set(road.intake.quarantined())


def test_a_venue_s_message_with_our_mark_is_not_taken_for_ours() -> None:
    road = Road().take((own.from_venue(own.alive(START_MS + 61 * S)), 5))

    assert [] == road.frames
    assert {"binance"} == set(road.intake.quarantined())


def test_verify_holds_over_history_and_blindness(tmp_path: Any) -> None:
    said = [
        (history(0, 5, live=True), 5), (agg(1, 6), 6), (agg(5, 70), 70), (own.blind(PAIR, START_MS + 80 * S), 100),
        (alive(185, PAIR), 185), (history(0, 240, *((k, 14 * k) for k in range(1, 6)), live=True), 240),
    ]  # fmt: skip
    with Embedded(settings_for(tmp_path), ManualClock()) as embedded:
        embedded.recover()
        for raw, at in said:
            embedded.accept([Message(round((START_MS / S + at) * 1e9), "binance", raw)])

    verdict = verify(tmp_path)

    assert verdict.holds, verdict.sentence
    assert 2 == verdict.tables["fetched"].same


@pytest.mark.parametrize("out", [False, True])
def test_a_journal_whose_history_was_fetched_hours_later_replays_to_the_digest_of_its_store(
    tmp_path: Path, out: bool
) -> None:
    """The repaired candles lie more rows behind than a replay holds back before it writes."""
    hours_s = 4 * 3600
    said = [
        (history(0, 5, live=True), 5), (agg(1, 6), 6), (agg(3, 50), 50), (alive(hours_s, PAIR), hours_s),
        (history(0, 60, (1, 6), (2, 30), (3, 50)), hours_s),
    ]  # fmt: skip
    settings = settings_for(tmp_path / "data", candle_seconds=(1, 60))
    with Embedded(settings, ManualClock()) as embedded:
        embedded.recover()
        for raw, at in said:
            embedded.accept([Message(round((START_MS / S + at) * 1e9), "binance", raw)])
        embedded.checkpoint()
        expected = store_digest(embedded.store)[0]

    summary = replay(open_recording([tmp_path / "data"]), settings, out=tmp_path / "out" if out else None)

    assert expected == summary.digest
    if out:
        table = pq.read_table(tmp_path / "out" / "candles.parquet")
        assert {"repaired"} == set(table.filter(pc.field("revision") > 0)["quality"].to_pylist())
