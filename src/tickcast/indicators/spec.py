"""What the configuration may name: any TA-Lib function of a candle's prices and volume, `ADX:14`, `STOCH:5:3:3`.

Numbers follow TA-Lib's order of parameters, kinds of moving average left out; any parameter may be given by name:
`STOCH:5:3:3:slowk_matype=1`. What is not given is TA-Lib's default, and the column is named by all of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from tickcast.errors import ConfigError

ANCHOR = 512
"""Candles before a UTC midnight on which that day's indicators stand."""

_SERIES = ("open", "high", "low", "close", "volume")

_IN_NAMES = {ord("."): "p", ord("-"): "m", ord("+"): None}
"""How numbers are written where only letters and digits may stand."""

_DESIGN = {
    ("SMA", (7,)), ("SMA", (14,)), ("SMA", (21,)), ("EMA", (12,)), ("EMA", (26,)), ("RSI", (14,)),
    ("MACD", (12, 26, 9)), ("BBANDS", (20, 2.0, 2.0, 0)), ("OBV", ()), ("VWAP", ()), ("ATR", (14,)),
}  # fmt: skip
"""In every frame already, under the names of `events.INDICATORS`."""


class Spec(NamedTuple):
    """One configured indicator."""

    function: str
    parameters: dict[str, int | float]
    inputs: tuple[int, ...]
    """Positions of its series in (open, high, low, close, volume)."""
    columns: tuple[str, ...]


def parse(entries: Iterable[str]) -> tuple[Spec, ...]:
    """Read the configured indicators; those of the design's set, and repetitions, add nothing.

    >>> [spec.columns for spec in parse(["ADX:14", "STOCH:5:3:3", "SMA:7", "adx"])]
    [('adx_14',), ('stoch_5_3_3_slowk', 'stoch_5_3_3_slowd')]
    """
    found: dict[tuple[str, ...], Spec] = {}
    for entry in entries:
        spec = _parse(entry)
        if (spec.function, tuple(spec.parameters.values())) not in _DESIGN:
            found.setdefault(spec.columns, spec)
    return tuple(found.values())


def columns(entries: Iterable[str]) -> tuple[str, ...]:
    """Names of the columns that the configured indicators add.

    >>> columns(("BBANDS:20:2.5:2.5",))
    ('bbands_20_2p5_2p5_upperband', 'bbands_20_2p5_2p5_middleband', 'bbands_20_2p5_2p5_lowerband')
    """
    return tuple(name for spec in parse(entries) for name in spec.columns)


def _talib() -> Any:
    """TA-Lib, whose own types leave out what is asked of it here; imported by those who name indicators only."""
    import talib.abstract
    import talib.stream

    return talib


def _parse(entry: str) -> Spec:
    talib = _talib()
    where = f"indicators, {entry!r}"
    name, *given = (part.strip() for part in entry.split(":"))
    name = name.upper()
    if name not in talib.get_functions():
        near = difflib.get_close_matches(name, talib.get_functions(), n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]}" if near else "name a TA-Lib function, for example ADX:14"
        raise ConfigError(where, f"TA-Lib has no function {name or 'without a name'}; nothing was started", remedy)
    function = talib.abstract.Function(name)
    inputs = _inputs(where, function)
    parameters = _parameters(where, dict(function.parameters), given)
    _try(where, name, inputs, parameters)
    return Spec(name, parameters, inputs, _columns(name, parameters, dict(function.parameters), function.output_names))


def _inputs(where: str, function: Any) -> tuple[int, ...]:
    series: list[str] = []
    for key, value in function.input_names.items():
        if key in ("price0", "price1", "periods"):
            raise ConfigError(
                where,
                "needs series of its own beside one candle's prices and volume; nothing was started",
                "name a function of open, high, low, close and volume",
            )
        series += [value] if isinstance(value, str) else value
    return tuple(_SERIES.index(one) for one in series)


def _parameters(where: str, defaults: dict[str, int | float], given: list[str]) -> dict[str, int | float]:
    ordered = [name for name in defaults if not name.endswith("matype")]
    chosen, position = dict(defaults), 0
    for text in given:
        name, by_name, value = text.partition("=")
        if not by_name:
            if position == len(ordered):
                takes = ", ".join(ordered) or "no numbers"
                raise ConfigError(where, "has more numbers than parameters; nothing was started", f"give {takes}")
            name, value, position = ordered[position], text, position + 1
        if name not in defaults:
            known = ", ".join(defaults) or "none"
            raise ConfigError(where, f"has no parameter {name!r}; nothing was started", f"its parameters are: {known}")
        kind = type(defaults[name])
        try:
            chosen[name] = kind(value)
        except ValueError:
            needs = "a whole number" if kind is int else "a number"
            raise ConfigError(where, f"{name} was {value!r}; nothing was started", f"give {needs}") from None
    return chosen


def _try(where: str, name: str, inputs: tuple[int, ...], parameters: dict[str, int | float]) -> None:
    """Open a handle on as many candles as a day's anchor has: TA-Lib knows best what it takes."""
    talib = _talib()
    wave = 100.0 + 10.0 * np.sin(np.arange(ANCHOR) / 7.0)
    bars = (wave, wave + 1.0, wave - 1.0, wave + 0.5, np.ones(ANCHOR))
    try:
        getattr(talib.stream, name)(*(bars[at] for at in inputs), **parameters)
    except talib.InsufficientHistory as exc:
        raise ConfigError(
            where, f"needs more than the {ANCHOR} candles of an anchor; nothing was started", "give shorter periods"
        ) from exc
    except Exception as exc:  # TA-Lib raises bare exceptions, and Python its own for what C can not hold
        told = ", ".join(f"{key}={value}" for key, value in parameters.items())
        raise ConfigError(
            where, f"TA-Lib refuses {told}; nothing was started", f"see TA-Lib's limits for {name}"
        ) from exc


def _columns(
    name: str, parameters: dict[str, int | float], defaults: dict[str, int | float], outputs: list[str]
) -> tuple[str, ...]:
    numbers = [value for key, value in parameters.items() if not key.endswith("matype")]
    words = [name.lower(), *(f"{value:.15g}".translate(_IN_NAMES) for value in numbers)]
    for key, value in parameters.items():
        if key.endswith("matype") and value != defaults[key]:
            words.append(f"{key.replace('_', '')}{value}")
    stem = "_".join(words)
    return (stem,) if len(outputs) == 1 else tuple(f"{stem}_{output}" for output in outputs)
