"""Every error a user can meet, as one tree.

Each message is one sentence that says what happened, where, what we did and what the reader can do.

    TickcastError
    ├── ConfigError         a setting is wrong; nothing was started
    ├── DataError           bytes or rows that can not be read
    │   ├── WireError       one message of a venue; it goes to quarantine, the flow goes on
    │   ├── ImportRowError  one row of a file to import
    │   └── SnapshotError   a stage's saved state that this version can not read
    ├── JournalError        the journal can not be read or written
    ├── StoreError          the store can not be read or written
    ├── BusyError           another process works on this data directory
    ├── VerifyError         what was served differs from what a recomputation gives
    ├── TrainingError       the data or the request can not give a model worth keeping
    └── BundleError         a model bundle that must not be served
"""

from __future__ import annotations


class TickcastError(Exception):
    """The root: catch this to catch all that Tickcast raises on purpose.

    >>> str(ConfigError("candle_seconds", "was 0", "give whole seconds from 1 to 86400, for example 60"))
    'candle_seconds: was 0; give whole seconds from 1 to 86400, for example 60.'
    """

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where, self.what, self.remedy = where, what, remedy
        super().__init__(f"{where}: {what}; {remedy}.")


class ConfigError(TickcastError):
    """A setting is wrong; nothing was started."""


class DataError(TickcastError):
    """Bytes or rows that can not be read."""


class WireError(DataError):
    """One message of a venue that no mapper can read; the flow goes on without it."""


class ImportRowError(DataError):
    """One row of a file that can not be true."""


class SnapshotError(DataError):
    """A stage's saved state that this version can not read."""


class JournalError(TickcastError):
    """The journal can not be read or written."""


class StoreError(TickcastError):
    """The store can not be read or written."""


class BusyError(TickcastError):
    """Another process works on this data directory."""


class VerifyError(TickcastError):
    """What was served differs from what a recomputation gives."""


class TrainingError(TickcastError):
    """The data or the request can not give a model worth keeping; nothing was registered."""


class BundleError(TickcastError):
    """A model bundle that must not be served."""


class Stopped(KeyboardInterrupt):
    """Somebody asked for the end by a signal, and gets it in our way.

    Not KeyboardInterrupt itself: Python remembers that one wherever it leaves an `exec`, as in a compiler, and lets
    `python -m tickcast` end by the signal after all, whoever caught it.
    """
