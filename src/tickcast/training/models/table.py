"""The kinds of models by name; a new one is its file beside this and a row here."""

from __future__ import annotations

import difflib
from importlib import import_module

from tickcast.errors import TrainingError
from tickcast.training.contract import Kind, TaskName

KINDS = {
    "no-change": "nochange:NoChange",
    "mean": "mean:Mean",
    "zscore": "zscore:ZScore",
    "ewma": "ewma:Ewma",
    "har": "har:Har",
    "logistic": "logistic:Logistic",
    "ridge": "ridge:Ridge",
    "forest": "forest:Forest",
    "xgboost": "xgb:XGBoost",
    "lightgbm": "lgbm:LightGBM",
    "blend": "blend:Blend",
}
"""Name → module in this folder and class; imported only when asked for."""

BASELINE = {"price": "no-change", "direction": "mean", "volatility": "zscore"}
"""The naive model of each task: what is served must beat it."""
DEFAULT = {"price": "ridge", "direction": "logistic", "volatility": "blend"}
"""What `tickcast train` learns where no model is named. On real minutes the blend is never much worse than the best."""


def kind(name: str) -> Kind:
    """The kind of that name.

    >>> kind("ridge").tasks
    ('price',)
    >>> kind("lightgmb")
    Traceback (most recent call last):
        ...
    tickcast.errors.TrainingError: model lightgmb: is not known, nothing was trained; did you mean lightgbm.
    """
    if name not in KINDS:
        near = difflib.get_close_matches(name, KINDS, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"give one of {', '.join(KINDS)}"
        raise TrainingError(f"model {name}", "is not known, nothing was trained", remedy.rstrip("?"))
    module, _, attribute = KINDS[name].partition(":")
    found: Kind = getattr(import_module(f"{__package__}.{module}"), attribute)()
    return found


def kinds_of(task: TaskName) -> list[Kind]:
    """All that can learn a task, in the order of the table."""
    return [found for found in map(kind, KINDS) if task in found.tasks]
