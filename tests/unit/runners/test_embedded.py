"""One data directory at work: what is journaled is never lost, and what is kept is kept together."""
# ruff: noqa: PT012 - what ends a process here has a story before it

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.unit.runners.kit import DAY_MS, START_MS, carry, market, settings_for
from tickcast.clock import ManualClock, utc_day
from tickcast.errors import BusyError, ConfigError, JournalError, StoreError
from tickcast.events import Frame
from tickcast.journal.journal import Journal
from tickcast.runners import embedded as module
from tickcast.runners.datadir import STORE_FILE, expired_until_ms
from tickcast.runners.embedded import Embedded
from tickcast.runners.verify import verify
from tickcast.sources.contract import Message
from tickcast.sources.own import alive
from tickcast.store.contract import Checkpoint
from tickcast.store.duckdb import DuckStore
from tickcast.store.results import store_digest

MINUTES = 6


def opened(root: Path, **more: object) -> Embedded:
    return Embedded(settings_for(root, **more), ManualClock(START_MS * 1_000_000))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of an undisturbed run."""
    return carry(tmp_path_factory.mktemp("calm"), market(MINUTES))


def feed(embedded: Embedded, said: Sequence[Message], size: int = 300) -> None:
    for at in range(0, len(said), size):
        embedded.accept(said[at : at + size])


class Planted(Exception):
    """What a test throws."""


@pytest.mark.parametrize("thrown", [Planted, KeyboardInterrupt, JournalError, StoreError])
def test_what_was_journaled_after_the_checkpoint_is_read_again(
    thrown: type[BaseException], expected: str, tmp_path: Path
) -> None:
    """
    accept --- checkpoint --- accept --- x     recover: from the checkpoint on     accept ---
    """
    said = market(MINUTES)
    half, more = len(said) // 2, len(said) * 3 // 4
    error = thrown("a", "b", "c")
    with pytest.raises(thrown), opened(tmp_path) as embedded:
        feed(embedded, said[:half])
        embedded.checkpoint()
        feed(embedded, said[half:more])
        raise error
    with opened(tmp_path) as embedded:
        assert more - half == embedded.recover()
        feed(embedded, said[more:])
        embedded.checkpoint()

        assert expected == store_digest(embedded.store)[0]


def test_ctrl_c_in_the_middle_of_a_message_loses_nothing(
    expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is in the journal, the stages have seen half of it: a checkpoint there would skip the other half."""
    said = market(MINUTES)
    half = len(said) // 2
    with pytest.raises(KeyboardInterrupt), opened(tmp_path) as embedded:
        feed(embedded, said[:half])
        push = embedded.pipeline.push_frame

        def interrupted(frame: Frame) -> list[Frame]:
            push(frame)
            raise KeyboardInterrupt

        monkeypatch.setattr(embedded.pipeline, "push_frame", interrupted)
        feed(embedded, said[half:])

    assert expected == carry(tmp_path, said[half + 300 :], size=300)


def test_no_checkpoint_is_written_over_a_message_half_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as embedded:
        with monkeypatch.context() as patch, pytest.raises(Planted):
            patch.setattr(embedded.pipeline, "push_rows", lambda *_: (_ for _ in ()).throw(Planted))
            embedded.accept(market(1)[:50])
        with pytest.raises(StoreError, match="in the middle of a message"):
            embedded.checkpoint()
        embedded._half_taken = False
        embedded._moved.clear()


def test_a_store_that_fails_once_keeps_all_or_nothing_and_the_next_checkpoint_keeps_the_rest(
    expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = market(MINUTES)
    third = len(said) // 3
    with opened(tmp_path) as embedded:
        feed(embedded, said[:third])
        embedded.checkpoint()
        before = embedded.store.load_checkpoint()
        feed(embedded, said[third : 2 * third])

        def refuse(frames: Sequence[Frame], checkpoint: Checkpoint | None) -> None:
            raise StoreError("store", "is full, so nothing of it was kept", "free some space")

        with monkeypatch.context() as patch, pytest.raises(StoreError):
            patch.setattr(embedded.store, "commit", refuse)
            embedded.checkpoint()
        assert before == embedded.store.load_checkpoint()
        # one pair is quiet from now on: its state was touched before the failure only
        embedded.accept([Message(said[2 * third].recv_ns, "binance", b'{"result":null,"id":1}')])
        embedded.checkpoint()

    assert expected == carry(tmp_path, said[2 * third :])


def test_a_journal_that_refuses_stops_cleanly_with_nothing_half_taken(
    expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = market(MINUTES)
    half = len(said) // 2
    with pytest.raises(JournalError), opened(tmp_path) as embedded:
        feed(embedded, said[:half])
        embedded.checkpoint()

        def refuse(messages: Sequence[Message]) -> None:
            raise JournalError("raw", "can not be written, so none of these messages were", "free some space")

        monkeypatch.setattr(embedded.journal, "append", refuse)
        embedded.accept(said[half:])
    monkeypatch.undo()

    assert expected == carry(tmp_path, said[half:])


def test_outputs_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PENDING_ROWS_MAX", 500)
    said = market(MINUTES)

    class Recording:
        exchange, ended = "binance", False
        at = 0

        def poll(self, timeout_s: float) -> list[Message]:
            given = list(said[self.at : self.at + 100])
            self.at += 100
            return given

        def close(self) -> None: ...

    worst, recording = 0, Recording()
    with opened(tmp_path) as embedded:
        while recording.at < len(said):
            embedded.pump([recording], 0.0)
            worst = max(worst, embedded._pending_rows)

    assert 0 < worst < 500


def test_a_long_recovery_stays_within_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: str) -> None:
    with pytest.raises(Planted), opened(tmp_path) as embedded:
        feed(embedded, market(MINUTES))
        raise Planted
    monkeypatch.setattr(module, "PENDING_ROWS_MAX", 50)
    settled = 0
    with opened(tmp_path) as embedded:
        write = embedded._write

        def count(checkpoint: Checkpoint | None) -> None:
            nonlocal settled
            settled += checkpoint is None
            write(checkpoint)

        monkeypatch.setattr(embedded, "_write", count)
        embedded.recover()

        assert settled > 0
        assert expected == store_digest(embedded.store)[0]


def test_a_second_process_is_told_who_works_there(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(BusyError, match=str(os.getpid())), opened(tmp_path):
        raise AssertionError("must not start")


def test_other_settings_than_the_directorys_are_refused_and_the_lock_is_let_go(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with pytest.raises(ConfigError, match=r"candle_seconds .* was 10,60 when this directory was made and is 60 now"):
        opened(tmp_path, candle_seconds=(60,)).__enter__()
    with opened(tmp_path):
        pass


def test_a_store_that_can_not_be_opened_lets_go_of_the_lock(tmp_path: Path) -> None:
    (tmp_path / STORE_FILE).mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(StoreError, match="is a directory"):
            opened(tmp_path).__enter__()


def days(root: Path, exchange: str) -> list[str]:
    return sorted(path.name for path in (root / "raw" / exchange).iterdir())


def live_on(embedded: Embedded, exchange: str, day: int) -> None:
    """A few messages of a day, and the chores that follow."""
    recv_ms = START_MS + day * DAY_MS + 1000
    embedded.accept([Message(recv_ms * 1_000_000, exchange, alive(recv_ms))])
    embedded.checkpoint()
    if embedded._housework is not None:
        embedded._housework.join()


def test_a_new_day_seals_the_one_before_and_retention_takes_the_oldest(tmp_path: Path) -> None:
    with opened(tmp_path, journal_keep_days=2) as embedded:
        for day in range(5):
            live_on(embedded, "binance", day)
        told = embedded.notes()

        assert [] == embedded.notes()
    first = utc_day(START_MS)
    assert {f"sealed binance/{first}", f"deleted binance/{first}, as retention asks"} <= set(told)
    kept = [f"{utc_day(START_MS + day * DAY_MS)}.ndjson" for day in range(2, 5)]
    assert [kept[0] + ".zst", kept[1] + ".zst", kept[2]] == [
        name for name in days(tmp_path, "binance") if name.endswith(("zst", "ndjson"))
    ]
    assert START_MS + 2 * DAY_MS == expired_until_ms(tmp_path)


def test_the_mark_of_expired_days_is_written_before_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path, journal_keep_days=2) as embedded:
        for day in range(3):
            live_on(embedded, "binance", day)

        def die(today: str) -> list[str]:
            raise JournalError("raw", "was shot", "start again")

        monkeypatch.setattr(embedded.journal, "expire", die)
        live_on(embedded, "binance", 3)
        told = embedded.notes()

    assert [one for one in told if "was shot" in one]
    assert START_MS + DAY_MS == expired_until_ms(tmp_path)


def test_one_chore_that_fails_does_not_keep_the_others_from_their_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk can not seal; retention, which would free some, must run all the same."""
    with opened(tmp_path, journal_keep_days=1) as embedded:
        for day in range(3):
            live_on(embedded, "binance", day)

        def full(today: str, **more: object) -> list[str]:
            raise JournalError("raw", "no space left", "free some space")

        monkeypatch.setattr(embedded.journal, "seal_closed", full)
        live_on(embedded, "binance", 3)
        told = embedded.notes()

    assert any("no space left" in one for one in told)
    assert f"deleted binance/{utc_day(START_MS + DAY_MS)}, as retention asks" in told


def test_an_exchange_that_never_comes_again_keeps_no_day_from_being_sealed(tmp_path: Path) -> None:
    """
    kraken   |day 0|                          imported once
    binance  |day 0|day 1|day 2|day 3         goes on: its days are sealed, one day later at most
    """
    with opened(tmp_path) as embedded:
        live_on(embedded, "kraken", 0)
        for day in range(4):
            live_on(embedded, "binance", day)

    sealed = [name for name in days(tmp_path, "binance") if name.endswith(".zst")]
    assert [f"{utc_day(START_MS + day * DAY_MS)}.ndjson.zst" for day in (0, 1)] == sealed


def test_all_that_is_journaled_is_computed_whatever_pairs_are_asked_for(tmp_path: Path) -> None:
    """What a feed brings is for the feed to know; verify knows the journal alone."""
    carry(tmp_path, market(2), pairs=("BTCUSDT",))
    with DuckStore(tmp_path / STORE_FILE, read_only=True) as store:
        assert [("binance", "ADAUSDT"), ("binance", "BTCUSDT")] == store.keys("candles")

    assert verify(tmp_path).holds


def test_what_was_repaired_is_told(tmp_path: Path) -> None:
    carry(tmp_path, market(1))
    [path] = (tmp_path / "raw" / "binance").glob("*.ndjson")
    with path.open("ab") as file:
        file.write(b'{"r":17')
    with opened(tmp_path) as embedded:
        [told] = embedded.notes()

    assert "ended in the middle of a line" in told


def test_what_no_mapper_reads_is_kept_counted_and_stops_nothing(tmp_path: Path) -> None:
    said = list(market(1))
    broken = [Message(said[0].recv_ns, "binance", raw) for raw in (b"not JSON", b'{"e":"trade"}', b"\xff\n\x00")]
    carry(tmp_path, [*broken, *said])
    kept = [line for path in (tmp_path / "quarantine").rglob("*.ndjson") for line in path.read_bytes().splitlines()]

    assert 3 == len(kept)
    assert verify(tmp_path).holds


def test_an_end_does_not_wait_for_housework_and_the_next_start_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sealing that would go on for ever, unless it is put down."""
    begun = threading.Event()
    seal = Journal.seal_closed

    def for_ever(self: Journal, today: str, goes_on: Callable[[], bool]) -> list[str]:
        begun.set()
        while goes_on():
            pass
        raise JournalError("a day", "was not finished", "the next start seals it")

    monkeypatch.setattr(Journal, "seal_closed", for_ever)
    with opened(tmp_path) as embedded:
        for day in range(2):
            recv_ms = START_MS + day * DAY_MS + 1000
            embedded.accept([Message(recv_ms * 1_000_000, "binance", alive(recv_ms))])
        embedded.checkpoint()
        assert begun.wait(20)
    monkeypatch.setattr(Journal, "seal_closed", seal)
    first = utc_day(START_MS)
    assert f"{first}.ndjson" in days(tmp_path, "binance")

    with opened(tmp_path) as embedded:
        embedded.recover()
        assert embedded._housework is not None
        embedded._housework.join()

    assert f"{first}.ndjson.zst" in days(tmp_path, "binance")
    assert verify(tmp_path).holds
