"""Settings: `tickcast.toml`, then the environment, then flags, in rising order; nothing else reads the environment.

The names that other systems' documents use work as environment variables (`PAIRS`, `KAFKA_BROKER`); every setting also
answers to its own name behind `TICKCAST_` (`TICKCAST_CANDLE_SECONDS=1,60`), which outranks them.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tickcast.errors import ConfigError


class FlowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the stages are built from; two flows with equal settings give equal bytes for equal input."""

    candle_seconds: tuple[int, ...] = (60,)
    indicators: tuple[str, ...] = ()
    """TA-Lib functions beside the design's set, by name and parameters: `ADX:14`."""
    grace_ms: int = 1000
    """How far behind a venue's other messages its trades may come before they count as late."""
    spike_percentile: float = 0.9
    """Volatility is a spike above this quantile of its own last days."""
    spike_days: int = 7
    volatility_seconds: int = 60
    """Over how long volatility is measured, rounded up to whole candles."""

    def __post_init__(self) -> None:
        seconds = self.candle_seconds
        if not seconds or any(not 1 <= s <= 86_400 or 86_400 % s for s in seconds):
            raise ConfigError(
                "candle_seconds",
                f"was {','.join(map(str, seconds)) or 'empty'}",
                "give whole seconds that divide a day, for example 1,60,300",
            )
        if len(set(seconds)) != len(seconds) or list(seconds) != sorted(seconds):
            msgspec.structs.force_setattr(self, "candle_seconds", tuple(sorted(set(seconds))))
        if not 0 <= self.grace_ms <= 60_000:
            raise ConfigError("grace_ms", f"was {self.grace_ms}", "give milliseconds from 0 to 60000")
        if not 0.0 < self.spike_percentile < 1.0:
            raise ConfigError("spike_percentile", f"was {self.spike_percentile}", "give a number between 0 and 1")
        if not 1 <= self.spike_days <= 30:
            raise ConfigError("spike_days", f"was {self.spike_days}", "give whole days from 1 to 30")
        longest = min(86_400, 1440 * min(seconds))
        if not 1 <= self.volatility_seconds <= longest:
            raise ConfigError(
                "volatility_seconds",
                f"was {self.volatility_seconds}, with candles of {min(seconds)} s",
                f"give seconds from 1 to {longest}: at most 1440 candles, at most a day",
            )


_RANGES = (
    ("fsync_ms", 0, 60_000),
    ("checkpoint_ms", 1, 600_000),
    ("journal_keep_days", 0, 36_500),
    ("port", 0, 65_535),
    ("hold_ms", 0, 60_000),
    ("history_days", 0, 3_650),
    ("training_days", 0, 36_500),
    ("trials", 1, 100_000),
    ("retrain_hours", 0, 87_600),
)
"""The least and the greatest that each of these may be; 0 days keep the journal for ever, port 0 is any free one."""
TASKS = ("volatility", "price", "direction")
"""What can be learned."""
_CHOICES = (("history", ("candles", "trades")), ("ws_client", ("", "picows", "aiohttp")))


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of a run."""

    data_dir: Path = Path("tickcast-data")
    exchange: str = ""
    pairs: tuple[str, ...] = ()
    candle_seconds: tuple[int, ...] = (60,)
    indicators: tuple[str, ...] = ()
    grace_ms: int = 1000
    spike_percentile: float = 0.9
    spike_days: int = 7
    volatility_seconds: int = 60
    fsync_ms: int = 100
    checkpoint_ms: int = 1000
    journal_keep_days: int = 30
    host: str = "127.0.0.1"
    port: int = 8000
    kafka_broker: str = ""
    endpoints: tuple[str, ...] = ()
    """Where an exchange is reached instead of its usual address: `binance=https://data-api.binance.vision`."""
    hold_ms: int = 3000
    """How long live messages wait at most for a hole before them to be fetched."""
    history_days: float = 0.0
    """How far back the start fetches for a pair that was never seen; 0: what the indicators' anchor needs."""
    history: str = "candles"
    """What it fetches for those days: `candles` or `trades`."""
    ws_client: str = ""
    """`picows` or `aiohttp`; empty: the faster one that is there."""
    training_days: float = 60.0
    """How far back from the newest row models learn; 0: from all there is."""
    trials: int = 50
    """How many sets of parameters a search tries."""
    models_dir: str = ""
    """Where bundles live; empty: `models` under the data directory."""
    mlflow_uri: str = ""
    """Where MLflow keeps its runs; empty: a SQLite file under the data directory."""
    retrain_hours: float = 0.0
    """How old the data of the newest bundle may become, by the newest row; 0: nothing is retrained by itself."""
    retrain_tasks: tuple[str, ...] = ("volatility", "price")
    retrain_models: tuple[str, ...] = ()
    """Kinds of models, or `all`; of each task those that learn it. Empty: the usual one of each."""
    retrain_promote: bool = False
    """Whether the gate may promote what a retraining gave."""

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(name, f"was {value}, so nothing was started", f"give a number from {low} to {high}")
        for name, known in _CHOICES:
            if (text := getattr(self, name)) not in known:
                remedy = f"give {' or '.join(filter(None, known))}{', or leave it out' * ('' in known)}"
                raise ConfigError(name, f"was {text or 'empty'}, so nothing was started", remedy)
        for task in self.retrain_tasks:
            if task not in TASKS:
                remedy = f"give some of {', '.join(TASKS)}"
                raise ConfigError("retrain_tasks", f"named {task}, so nothing was started", remedy)

    @property
    def flow(self) -> FlowSettings:
        """The part that the stages are built from."""
        return FlowSettings(**{name: getattr(self, name) for name in FlowSettings.__struct_fields__})

    @property
    def models(self) -> Path:
        """The folder of all bundles."""
        return Path(self.models_dir) if self.models_dir else self.data_dir / "models"


_ALIASES = {
    "PAIRS": "pairs",
    "KAFKA_BROKER": "kafka_broker",
    "TRAINING_DATA_HORIZON_DAYS": "training_days",
    "HYPERPARAM_SEARCH_TRIALS": "trials",
    "MLFLOW_TRACKING_URI": "mlflow_uri",
}
_PREFIX = "TICKCAST_"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "ARROW_NUM_THREADS")
_LISTS = {"pairs", "candle_seconds", "indicators", "endpoints", "retrain_tasks", "retrain_models"}


def load(
    flags: Mapping[str, Any],
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from the file, the environment and the flags that were given (None: not given).

    `defaults` stand where none of these says anything.

    >>> load({"candle_seconds": "1,60"}, environ={"PAIRS": "BTCUSDT,ETHUSDT"}).pairs
    ('BTCUSDT', 'ETHUSDT')
    """
    merged = dict(defaults or {}) | _from_file(file) | _from_environment(os.environ if environ is None else environ)
    merged |= {name: value for name, value in flags.items() if value is not None}
    for name in merged:
        if name not in Settings.__struct_fields__:
            near = difflib.get_close_matches(name, Settings.__struct_fields__, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(Settings.__struct_fields__)}"
            raise ConfigError(name, "is not a setting, so nothing was started", hint.rstrip("?"))
    if merged.get("data_dir") == "":
        raise ConfigError("data_dir", "was empty, so nothing was started", "name a directory, or . for this one")
    for name in _LISTS & merged.keys():
        if isinstance(merged[name], str):
            merged[name] = [part.strip() for part in merged[name].split(",") if part.strip()]
    try:
        settings = msgspec.convert(merged, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as exc:
        raise ConfigError("settings", str(exc), "correct the value named above, then start again") from exc
    _ = settings.flow  # its own checks
    return settings


def _path(kind: type, value: Any) -> Any:
    """Paths come as text from files, flags and the environment."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"Expected text, got {type(value).__name__}")


def _from_file(file: Path | None) -> dict[str, Any]:
    path = file or Path("tickcast.toml")
    if file is None and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(str(path), f"can not be read ({exc.strerror})", "name a readable file with --config") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(str(path), f"is not TOML ({exc})", "correct that line; nothing was started") from exc


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {setting: environ[name] for name, setting in _ALIASES.items() if environ.get(name)}
    ours = {name.removeprefix(_PREFIX).lower(): value for name, value in environ.items() if name.startswith(_PREFIX)}
    return found | {name: value for name, value in ours.items() if value}


def cache_dir() -> Path:
    """Where compiled kernels are kept when the package's own folder is read-only."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tickcast"


def child_environment() -> dict[str, str]:
    """The environment of a child that works beside a live flow: as ours, and its libraries take one core each.

    >>> child_environment()["OMP_NUM_THREADS"]
    '1'
    """
    return {**os.environ, **dict.fromkeys(_THREADS, "1")}


def user() -> str:
    """Who runs this, as the system knows them; for the trail of what was changed.

    >>> user() != ""
    True
    """
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def environment_defaults(values: Mapping[str, str]) -> None:
    """Settings of a library that knows no other door; what the user has set stays."""
    for name, value in values.items():
        os.environ.setdefault(name, value)
