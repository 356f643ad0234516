"""Blocks of journal lines in, outputs of all stages out: the part that live, recovery, replay and verify share."""

from __future__ import annotations

from collections import Counter

from tickcast.runners.pipeline import Outputs, Pipeline
from tickcast.sources.blocks import map_block
from tickcast.sources.contract import Block, Mapper
from tickcast.sources.registry import mapper_for

REASONS_MAX = 100
"""Distinct reasons that are counted by name; what comes beyond is counted as "other"."""


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
            mapper = self._mappers[exchange] = mapper_for(exchange)
        rows = map_block(mapper, block, last_recv_ns=self.pipeline.last_recv_ns(exchange))
        self.messages[exchange] = self.messages.get(exchange, 0) + rows.messages
        self.pairs_seen.update(rows.pairs)
        outputs = self.pipeline.push_rows(exchange, rows)
        self._count(exchange, outputs)
        return outputs

    def finish(self) -> Outputs:
        """The input has ended for good."""
        return self.pipeline.finish()

    def quarantined(self) -> dict[str, dict[str, int]]:
        """How many messages were set aside, by exchange and reason."""
        return {exchange: dict(reasons) for exchange, reasons in self._reasons.items() if reasons}

    def _count(self, exchange: str, outputs: Outputs) -> None:
        reasons = self._reasons.setdefault(exchange, Counter())
        for reject in outputs.rejects:
            known = reject.reason in reasons or len(reasons) < REASONS_MAX
            reasons[reject.reason if known else "other"] += 1
