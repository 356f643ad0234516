"""Blocks of journal lines in, outputs of all stages out: the part that live, recovery, replay and verify share."""

from __future__ import annotations

from collections import Counter

from tickcast.runners.pipeline import Outputs, Pipeline
from tickcast.sources import own
from tickcast.sources.contract import Block, Mapper
from tickcast.sources.mapping import map_block
from tickcast.sources.registry import reader_for

REASONS_MAX = 100
"""Distinct reasons that are counted by name; what comes beyond is counted as "other"."""


def runs_of(block: Block) -> list[Block]:
    """The block, cut so that a line of fetched or imported rows stands alone: it must not overtake those before it.

    A cut too many is harmless, so whatever might be such a line counts as one.

    >>> [len(run.lines) for run in runs_of(Block("x", b'{"r":1,"x":"x","m":{}}\\n'))]
    [23]
    """
    first = block.lines.find(own.MARK)
    if first < 0 or block.lines.count(own.MARK, first) == block.lines.count(own.ALIVE_MARK, first):
        return [block]
    runs: list[list[bytes]] = [[]]
    for line in block.lines.split(b"\n"):
        if line.count(own.MARK) != line.count(own.ALIVE_MARK):
            runs += [[line], []]
        elif line:
            runs[-1].append(line)
    return [Block(block.exchange, b"\n".join(run) + b"\n") for run in runs if run]


class Intake:
    """Maps blocks and hands them to a pipeline; counts what came and what could not be read."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.messages: dict[str, int] = {}
        self.pairs_seen: set[str] = set()
        self._mappers: dict[str, Mapper] = {}
        self._reasons: dict[str, Counter[str]] = {}

    def take(self, block: Block) -> Outputs:
        """Carry one block through; nothing in it can stop the flow."""
        exchange = block.exchange
        mapper = self._mappers.get(exchange)
        if mapper is None:
            mapper = self._mappers[exchange] = reader_for(exchange)
        outputs = Outputs([], [])
        for run in runs_of(block):
            rows = map_block(mapper, run, last_recv_ns=self.pipeline.last_recv_ns(exchange))
            self.messages[exchange] = self.messages.get(exchange, 0) + rows.messages
            self.pairs_seen.update(rows.pairs)
            pushed = self.pipeline.push_rows(exchange, rows)
            outputs.frames.extend(pushed.frames)
            outputs.rejects.extend(pushed.rejects)
        self._count(exchange, outputs)
        return outputs

    def finish(self) -> Outputs:
        """The input has ended for good."""
        outputs = Outputs([], [])
        for exchange in sorted(self.messages):
            ended = self.pipeline.finish(exchange)
            self._count(exchange, ended)
            outputs.frames.extend(ended.frames)
            outputs.rejects.extend(ended.rejects)
        return outputs

    def quarantined(self) -> dict[str, dict[str, int]]:
        """How many messages were set aside, by exchange and reason."""
        return {exchange: dict(reasons) for exchange, reasons in self._reasons.items() if reasons}

    def _count(self, exchange: str, outputs: Outputs) -> None:
        reasons = self._reasons.setdefault(exchange, Counter())
        for reject in outputs.rejects:
            known = reject.reason in reasons or len(reasons) < REASONS_MAX
            reasons[reject.reason if known else "other"] += 1
