"""Settings: file, then environment, then flags, in rising order; what is wrong is said before anything starts."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tickcast.config import FlowSettings, Settings, load
from tickcast.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tickcast.toml"
    path.write_text('data_dir = "from-file"\npairs = ["A"]\ncandle_seconds = [1, 60]\nport = 1\n')
    return path


def test_the_environment_outranks_the_file_and_flags_outrank_both(file: Path) -> None:
    environ = {"TICKCAST_PORT": "2", "TICKCAST_PAIRS": "B, C", "TICKCAST_DATA_DIR": "from-environment"}

    settings = load({"data_dir": "from-flag", "port": None}, file=file, environ=environ)

    assert (Path("from-flag"), 2, ("B", "C"), (1, 60)) == (
        settings.data_dir, settings.port, settings.pairs, settings.candle_seconds,
    )  # fmt: skip


def test_a_commands_own_default_stands_only_where_nothing_is_said(file: Path) -> None:
    assert Path("d") == load({"data_dir": None}, environ={}, file=None, defaults={"data_dir": "d"}).data_dir
    assert Path("from-file") == load({}, environ={}, file=file, defaults={"data_dir": "d"}).data_dir


def test_names_of_other_documents_work_and_our_own_outrank_them() -> None:
    environ = {"PAIRS": "A,B", "KAFKA_BROKER": "k:9092", "TICKCAST_PAIRS": "C"}
    learning = {"TRAINING_DATA_HORIZON_DAYS": "30", "HYPERPARAM_SEARCH_TRIALS": "7", "TICKCAST_TRIALS": "8"}
    settings = load({}, environ=environ | learning)

    assert (("C",), "k:9092") == (settings.pairs, settings.kafka_broker)
    assert (30.0, 8) == (settings.training_days, settings.trials)


def test_the_file_in_the_working_directory_is_read_unasked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)

    assert 1 == load({}, environ={}).port


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"TICKCAST_CANDLE_SECOND": "60"}, "did you mean candle_seconds"),
        ({"TICKCAST_PORT": "99999"}, "port: was 99999, so nothing was started"),
        ({"TICKCAST_PORT": "http"}, "port"),
        ({"TICKCAST_FSYNC_MS": "-1"}, "fsync_ms: was -1"),
        ({"TICKCAST_CHECKPOINT_MS": "0"}, "checkpoint_ms: was 0"),
        ({"TICKCAST_JOURNAL_KEEP_DAYS": "-3"}, "journal_keep_days: was -3"),
        ({"TICKCAST_GRACE_MS": "60001"}, "grace_ms: was 60001"),
        ({"TICKCAST_SPIKE_PERCENTILE": "1.0"}, "spike_percentile: was 1.0"),
        ({"TICKCAST_SPIKE_PERCENTILE": "nan"}, "spike_percentile: was nan"),
        ({"TICKCAST_SPIKE_DAYS": "31"}, "spike_days: was 31"),
        ({"TICKCAST_VOLATILITY_SECONDS": "0"}, "volatility_seconds: was 0"),
        (
            {"TICKCAST_VOLATILITY_SECONDS": "3600", "TICKCAST_CANDLE_SECONDS": "1,60"},
            "volatility_seconds: was 3600, with candles of 1 s; give seconds from 1 to 1440",
        ),
        ({"TICKCAST_CANDLE_SECONDS": "7"}, "candle_seconds: was 7"),
        ({"TICKCAST_CANDLE_SECONDS": "1,x"}, "candle_seconds"),
        ({"TICKCAST_HOLD_MS": "60001"}, "hold_ms: was 60001, so nothing was started; give a number from 0 to 60000"),
        ({"TICKCAST_HOLD_MS": "-1"}, "hold_ms: was -1"),
        ({"TICKCAST_HISTORY_DAYS": "-0.5"}, "history_days: was -0.5"),
        ({"TICKCAST_HISTORY_DAYS": "nan"}, "history_days: was nan"),
        ({"TICKCAST_HISTORY": "klines"}, "history: was klines, so nothing was started; give candles or trades"),
        ({"TRAINING_DATA_HORIZON_DAYS": "-1"}, "training_days: was -1"),
        ({"HYPERPARAM_SEARCH_TRIALS": "0"}, "trials: was 0, so nothing was started; give a number from 1 to 100000"),
        ({"TICKCAST_WS_CLIENT": "curl"}, "ws_client: was curl, so nothing was started; give picows or aiohttp, or"),
    ],
)
def test_what_can_not_be_is_refused_by_name(environ: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load({}, environ=environ)

    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_endpoints_are_given_in_every_way_that_settings_are(tmp_path: Path) -> None:
    path = tmp_path / "tickcast.toml"
    path.write_text('endpoints = ["binance=http://127.0.0.1:9000/binance", "kraken=https://[::1]:9/kraken"]\n')

    assert ("binance=http://127.0.0.1:9000/binance", "kraken=https://[::1]:9/kraken") == load(
        {}, file=path, environ={}
    ).endpoints
    environ = {"TICKCAST_ENDPOINTS": "binance=http://a:1, kraken=http://b:2"}
    assert ("binance=http://a:1", "kraken=http://b:2") == load({}, file=path, environ=environ).endpoints
    assert ("binance=http://c:3",) == load({"endpoints": "binance=http://c:3"}, file=path, environ=environ).endpoints


def test_history_and_holding_are_settings_too() -> None:
    environ = {"TICKCAST_HISTORY_DAYS": "0.25", "TICKCAST_HISTORY": "trades", "TICKCAST_WS_CLIENT": "aiohttp"}
    settings = load({"hold_ms": "0"}, environ=environ)

    assert (0, 0.25, "trades", "aiohttp") == (
        settings.hold_ms, settings.history_days, settings.history, settings.ws_client,
    )  # fmt: skip


def test_what_a_spike_is_can_be_set_and_reaches_the_stages() -> None:
    environ = {"TICKCAST_SPIKE_PERCENTILE": "0.95", "TICKCAST_SPIKE_DAYS": "14", "TICKCAST_VOLATILITY_SECONDS": "300"}
    flow = load({}, environ=environ).flow

    assert (0.95, 14, 300) == (flow.spike_percentile, flow.spike_days, flow.volatility_seconds)


def test_lengths_are_kept_in_order_and_once() -> None:
    assert (1, 60, 300) == FlowSettings(candle_seconds=(300, 1, 60, 300)).candle_seconds


@pytest.mark.parametrize("content", [b"data_dir = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match="is not TOML"):
        load({}, file=path, environ={})


@pytest.mark.parametrize("name", ["nothing.toml", "."])
def test_a_file_that_can_not_be_read_is_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can not be read"):
        load({}, file=tmp_path / name, environ={})


def test_the_example_file_shows_every_setting_of_today_with_its_default() -> None:
    shown = tomllib.loads((ROOT / "tickcast.example.toml").read_text())
    later = {"kafka_broker"}  # of Kafka

    assert set(Settings.__struct_fields__) - later == set(shown)
    assert Settings() == load({}, file=ROOT / "tickcast.example.toml", environ={})
