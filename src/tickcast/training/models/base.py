"""What most kinds share: no parameters to search, and a file with a weighted sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tickcast.errors import TrainingError
from tickcast.training.contract import Fitted, Task, TaskName, Trial
from tickcast.training.models import linear


class LinearKind:
    """A kind whose file is a weighted sum."""

    name = ""
    tasks: tuple[TaskName, ...] = ()
    needs: tuple[str, ...] = ()
    baseline = False

    def space(self, trial: Trial) -> dict[str, Any]:  # noqa: ARG002 - there is nothing to search
        """Nothing to search."""
        return {}

    def load(self, task: Task, names: tuple[str, ...], files: Mapping[str, bytes]) -> Fitted:
        """The weighted sum."""
        return linear.read(task, names, files)


def merged(name: str, defaults: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults with what was given over them; an unknown name is refused.

    >>> merged("ridge", {"alpha": 1.0}, {"alpha": 3.0})
    {'alpha': 3.0}
    """
    for given in params:
        if given not in defaults:
            remedy = f"known are {', '.join(defaults)}" if defaults else "it has none"
            raise TrainingError(f"model {name}, parameter {given}", "is not known, nothing was trained", remedy)
    return {**defaults, **params}
