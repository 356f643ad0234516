"""Where a search for parameters is remembered: a file that one process writes, and that a crash can not spoil.

Optuna appends a line for each step. A line that a crash or a full disk has torn is cut off; a file that can not be read
all the same begins anew, and so does one that has grown large with searches of other days.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tickcast.filelock import try_lock

if TYPE_CHECKING:
    import optuna

BYTES_MAX = 4_000_000
"""A larger file that knows nothing of this search begins anew."""
_UNREADABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError)
"""What Optuna raises at lines that it did not write."""


@contextmanager
def remembered(file: Path | None, name: str, pruner: optuna.pruners.BasePruner) -> Iterator[optuna.Study]:
    """The study of that name, new or gone on with; what an ended process had begun is given up.

    While another process searches in the file, and where there is none, the study is kept in memory: it tries the same.
    """
    if file is None:
        yield _study(None, name, pruner)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file.with_name(f"{file.name}.held"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _on_disk(file, name, pruner) if try_lock(handle) else _study(None, name, pruner)
    finally:
        os.close(handle)


def _on_disk(file: Path, name: str, pruner: optuna.pruners.BasePruner) -> optuna.Study:
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)  # Optuna's own, of a process that is no more
    _mend(file, name)
    try:
        return _study(file, name, pruner)
    except _UNREADABLE:
        file.unlink()
        return _study(file, name, pruner)


def _mend(file: Path, name: str) -> None:
    """Cut off a torn line; take away what is too large to be read for nothing."""
    if not file.exists():
        return
    raw = file.read_bytes()
    if len(raw) > BYTES_MAX and name.encode() not in raw:
        file.unlink()
    elif (whole := raw.rfind(b"\n") + 1) < len(raw):
        os.truncate(file, whole)


def _study(file: Path | None, name: str, pruner: optuna.pruners.BasePruner) -> optuna.Study:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    storage = None if file is None else optuna.storages.JournalStorage(JournalFileBackend(str(file)))
    held = optuna.create_study(
        storage=storage, study_name=name, load_if_exists=True, direction="minimize", pruner=pruner
    )
    for trial in held.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        held.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return held
