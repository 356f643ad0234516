"""`tickcast backfill` over real sockets: whole, once, resumable, and the same candles as the market's own."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tickcast.cli.main import main
from tickcast.clock import SystemClock
from tickcast.config import Settings
from tickcast.runners import backfill as module
from tickcast.runners.backfill import Backfill, BackfillRange, BackfillSummary
from tickcast.runners.datadir import STORE_FILE
from tickcast.runners.exchange import ExchangeProcess
from tickcast.runners.trades import stored_trades
from tickcast.runners.verify import verify
from tickcast.sources.history.contract import HistoryError
from tickcast.sources.history.rest import PATIENT
from tickcast.sources.simulated.exchange.settings import UNLIMITED, ExchangeSettings
from tickcast.sources.simulated.settings import MarketSettings, pairs_named
from tickcast.store.duckdb import DuckStore

MINUTE_MS = 60_000
START_MS = 1_735_689_600_000
LIVE_MS = START_MS + 90 * MINUTE_MS
PAIRS = {"binance": "BTCUSDT", "coinbase": "BTC-USD", "kraken": "BTC/USD"}


@pytest.fixture(scope="module")
def exchange() -> Iterator[ExchangeProcess]:
    market = MarketSettings(seed=3, start_ms=START_MS, pairs=pairs_named(["BTCUSDT"]), trades_per_second=1.0)
    settings = ExchangeSettings(market, live_from_ms=LIVE_MS, speed=0.001, limits=UNLIMITED)
    with ExchangeProcess(settings) as running:
        yield running


def settings_for(root: Path, exchange: ExchangeProcess, venue: str) -> Settings:
    return Settings(
        data_dir=root,
        exchange=venue,
        pairs=(PAIRS[venue],),
        endpoints=(f"{venue}={exchange.base(venue)}",),
        journal_keep_days=0,
        fsync_ms=0,
    )


def fetch(settings: Settings, from_minute: int, to_minute: int, what: str = "trades") -> BackfillSummary:
    wanted = BackfillRange(what, START_MS + from_minute * MINUTE_MS, START_MS + to_minute * MINUTE_MS)
    return Backfill(settings, wanted, SystemClock()).run()


def ids_stored(settings: Settings) -> list[tuple[int, int]]:
    return [
        (first, last)
        for frame in stored_trades(settings.data_dir)
        for first, last in zip(
            frame.columns["first_id"].tolist(), frame.columns["trade_id"].tolist(), strict=True
        )
    ]  # fmt: skip


def truth(exchange: ExchangeProcess, venue: str, from_minute: int, to_minute: int) -> list[int]:
    """Every trade's id, as the market knows it."""
    span = (START_MS + from_minute * MINUTE_MS, START_MS + to_minute * MINUTE_MS)
    return list(exchange.truth(venue, PAIRS[venue], *span)["trade_id"])


def candles(settings: Settings) -> list[tuple[Any, ...]]:
    store = DuckStore(settings.data_dir / STORE_FILE, read_only=True)
    try:
        rows = store.query(
            "SELECT window_start_ms, close, volume, trade_count, quality, revision FROM candles ORDER BY 1"
        )
    finally:
        store.close()
    return rows.rows


@pytest.mark.parametrize("venue", PAIRS)
def test_every_trade_of_the_range_is_stored_once(venue: str, exchange: ExchangeProcess, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, exchange, venue)

    summary = fetch(settings, 10, 40)

    stored = [one for first, last in ids_stored(settings) for one in range(first, last + 1)]
    assert truth(exchange, venue, 10, 40) == stored[: len(truth(exchange, venue, 10, 40))]
    assert len(set(stored)) == len(stored)
    assert [] == summary.missing
    assert {"complete"} == {quality for *_, quality, _ in candles(settings)}
    assert 29 <= len(candles(settings))


def test_what_was_fetched_is_not_asked_for_again(exchange: ExchangeProcess, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, exchange, "binance")
    fetch(settings, 10, 30)
    asked = exchange.ask("/status")

    again = fetch(settings, 10, 30)

    assert asked is not None
    assert {"binance:BTCUSDT": 0} == again.rows
    assert {} == again.counts


def test_two_ranges_with_a_third_between_them_end_as_one(exchange: ExchangeProcess, tmp_path: Path) -> None:
    """
    first 10-20, then 30-40, then 10-40: only 20-30 is asked for, and its windows are rebuilt behind the others
    """
    pieces, whole = (settings_for(tmp_path / name, exchange, "binance") for name in ("pieces", "whole"))
    fetch(pieces, 10, 20)
    fetch(pieces, 30, 40)
    between = fetch(pieces, 10, 40)
    fetch(whole, 10, 40)

    expected = {row[0]: row[1:4] for row in candles(whole)}
    assert expected == {row[0]: row[1:4] for row in candles(pieces)}
    assert 0 < between.rows["binance:BTCUSDT"] < 2000
    assert "partial" not in {row[4] for row in candles(pieces)}
    assert verify(pieces.data_dir).holds


@pytest.mark.parametrize("venue", PAIRS)
def test_the_venue_s_candles_are_those_that_its_trades_make(
    venue: str, exchange: ExchangeProcess, tmp_path: Path
) -> None:
    told, made = (settings_for(tmp_path / name, exchange, venue) for name in ("told", "made"))
    fetch(told, 20, 60, "candles")
    fetch(made, 20, 60)

    by_minute = {row[0]: row for row in candles(made)}
    assert len(candles(told)) >= 35
    for start_ms, close, volume, *_ in candles(told):
        if start_ms in by_minute:
            assert (close, volume) == by_minute[start_ms][1:3]


def test_stopped_in_the_middle_it_goes_on_where_it_was(
    exchange: ExchangeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path, exchange, "binance")
    wanted = BackfillRange("trades", START_MS, START_MS + 60 * MINUTE_MS)

    class Stopped(Exception):
        pass

    def stop_soon(found: list[Any]) -> None:
        if found[0][1].rows >= 1000:
            raise Stopped

    with pytest.raises(Stopped):
        Backfill(settings, wanted, SystemClock()).run(stop_soon)
    summary = Backfill(settings, wanted, SystemClock()).run()

    stored = [one for first, last in ids_stored(settings) for one in range(first, last + 1)]
    assert truth(exchange, "binance", 0, 60) == stored[: len(truth(exchange, "binance", 0, 60))]
    assert len(set(stored)) == len(stored)
    assert [] == summary.missing
    assert verify(tmp_path).holds


def test_what_the_venue_does_not_keep_is_said(exchange: ExchangeProcess, tmp_path: Path, capsys: Any) -> None:
    arguments = ["backfill", "--exchange", "binance", "--pairs", "BTCUSD", "--data-dir", str(tmp_path)]

    code = main([*arguments, "--endpoints", f"binance={exchange.base('binance')}"])

    assert 2 == code
    assert "did you mean BTCUSDT" in capsys.readouterr().err


def test_the_command_ends_with_json(exchange: ExchangeProcess, tmp_path: Path, capsys: Any) -> None:
    arguments = ["backfill", "--exchange", "kraken", "--pairs", "BTC/USD", "--data-dir", str(tmp_path), "--json"]
    times = ["--from", "2025-01-01T00:20", "--to", "2025-01-01T00:30"]

    code = main([*arguments, *times, "--endpoints", f"kraken={exchange.base('kraken')}"])

    assert 0 == code
    assert {"kraken:BTC/USD"} == json.loads(capsys.readouterr().out)["rows"].keys()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--days", "0"], "days"), (["--days", "2", "--from", "2025-01-01"], "--from"),
        (["--from", "nonsense"], "from"),
        (["--from", "2025-01-02", "--to", "2025-01-01"], "end"),
    ],
)  # fmt: skip
def test_a_range_that_is_none_is_refused(flags: list[str], said: str, tmp_path: Path, capsys: Any) -> None:
    common = ["backfill", "--exchange", "binance", "--pairs", "BTCUSDT", "--data-dir", str(tmp_path / "none")]

    assert 2 == main([*common, *flags])
    assert said in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_an_exchange_that_does_not_answer_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickcast.runners.backfill.PATIENT", _impatient())
    settings = Settings(
        data_dir=tmp_path, exchange="binance", pairs=("BTCUSDT",), endpoints=("binance=http://127.0.0.1:9/binance",)
    )

    summary = fetch(settings, 0, 10)

    assert 1 == len(summary.missing)
    assert "binance" in summary.missing[0]
    assert not issubclass(HistoryError, KeyboardInterrupt)


def _impatient() -> Any:
    from tickcast.sources.history.rest import PATIENT

    return PATIENT._replace(attempts=1, backoff_s=0.01)


def test_an_exchange_that_is_away_is_told_of_while_it_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENT", PATIENT._replace(attempts=2, backoff_s=0.01))
    said: list[str] = []
    asked_again: list[bool] = []
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        settings = Settings(data_dir=tmp_path, exchange="binance", pairs=("BTCUSDT",), endpoints=(f"binance={base}",))
        wanted = BackfillRange("trades", START_MS, START_MS + MINUTE_MS)

        summary = Backfill(settings, wanted, SystemClock()).run(
            lambda progress: asked_again.append(any("it is asked again" in note for note in said)), said.append
        )

    assert said == summary.notes
    assert "the pairs of binance could not be checked" in said[0]
    assert asked_again[-1], said
    assert 1 == len(summary.missing), summary.missing


def test_progress_never_goes_back_however_many_lengths_and_exchanges_there_are(
    exchange: ExchangeProcess, tmp_path: Path
) -> None:
    settings = Settings(
        data_dir=tmp_path, exchange="binance,coinbase", pairs=("binance:BTCUSDT", "coinbase:BTC-USD"),
        endpoints=tuple(f"{name}={exchange.base(name)}" for name in ("binance", "coinbase")),
        candle_seconds=(60, 300), fsync_ms=0,
    )  # fmt: skip
    seen: dict[tuple[str, str], float] = {}
    bar: list[float] = []

    def told(found: list[Any]) -> None:
        seen.update({(name, one.pair): one.done_share for name, one in found})
        bar.append(sum(seen.values()) / len(seen))

    Backfill(settings, BackfillRange("candles", START_MS, START_MS + 60 * MINUTE_MS), SystemClock()).run(told)

    assert sorted(bar) == bar
    assert (0.0, 1.0) == (bar[0], bar[-1])
