"""What a run gave, gathered once for the digest, the counts and the Parquet files.

frames ─→ series by (table, key, candle length) ─→ final rows ─┬→ hash
                                                               └→ spool (only where files are to be written)
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple, Protocol

from tickcast.events import Columns, Frame
from tickcast.store.contract import KINDS, Store
from tickcast.store.digest import SeriesDigest, labelled
from tickcast.store.series import Series, split


class Place(NamedTuple):
    """One series' place in the result; results are sorted by it."""

    kind: str
    exchange: str
    pair: str
    candle_seconds: int


class Spool(Protocol):
    """Where final rows wait for the end of the run."""

    def put(self, place: Place, columns: Columns) -> None:
        """Keep rows that follow those that were put at this place before."""
        ...


class _Part(NamedTuple):
    series: Series
    digest: SeriesDigest


class Results:
    """Rows in as frames, in any cut and interleaving of keys; digest, counts and final rows out."""

    def __init__(self, spool: Spool | None = None) -> None:
        self._spool = spool
        self._parts: dict[Place, _Part] = {}

    def write(self, frame: Frame) -> None:
        """Take the rows of one frame; kinds that are not a result's (trades) are passed over."""
        table = KINDS.get(frame.kind)
        if table is None or not len(frame):
            return
        for seconds, columns in split(table, frame.columns):
            place = Place(frame.kind, frame.exchange, frame.pair, seconds)
            part = self._parts.get(place)
            if part is None:
                part = self._parts[place] = _Part(Series(f"{frame.kind} of {frame.key}", table), SeriesDigest())
            final = part.series.add(columns)
            if final is not None:
                part.digest.add(final)
                if self._spool is not None:
                    self._spool.put(place, final)

    def rest(self) -> Iterator[tuple[Place, Columns]]:
        """The rows that were not spooled yet, by place in order."""
        for place in sorted(self._parts):
            columns = self._parts[place].series.rest()
            if columns is not None:
                yield place, columns

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        total = blake2b(digest_size=16)
        for place, digest in self._whole():
            total.update(labelled(place.kind) + labelled(place.exchange) + labelled(place.pair))
            total.update(place.candle_seconds.to_bytes(8, "little") + digest.digest())
        return total.hexdigest()

    def counts(self) -> dict[str, int]:
        """How many final rows each table has so far."""
        counts = dict.fromkeys(KINDS, 0)
        for place, digest in self._whole():
            counts[place.kind] += digest.rows
        return counts

    def _whole(self) -> Iterator[tuple[Place, SeriesDigest]]:
        rest = dict(self.rest())
        for place in sorted(self._parts):
            digest = self._parts[place].digest.copy()
            if place in rest:
                digest.add(rest[place])
            yield place, digest


def store_digest(store: Store) -> tuple[str, dict[str, int]]:
    """Digest and counts of what a store holds: the same as those of the frames that were committed to it."""
    results = Results()
    for kind in KINDS:
        for exchange, pair in store.keys(kind):
            for columns in store.rows(kind, exchange=exchange, pair=pair):
                results.write(Frame(kind, exchange, pair, 0, columns))
    return results.hexdigest(), results.counts()
