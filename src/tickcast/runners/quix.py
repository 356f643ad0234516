"""The other runner: stages of the map hosted by QuixStreams, each between two Kafka topics.

    trades ─→ [candles] ─→ candles ─→ [indicators] ─→ technical_indicators
                 ⇅ state of a key: the stage's snapshot, in RocksDB and a changelog topic

Kafka is the log, Quix carries messages and keeps states, the stage makes every number. A key's messages are in one
partition and in order, frames say themselves how far time has come, and a snapshot is all that a stage remembers:
so topics hold what the default runner gives for the same frames, bit for bit. After a crash some messages come twice;
they have the ids and revisions of before, so whoever upserts sees no difference.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickcast.errors import ConfigError, WireError
from tickcast.flow import Hop, Stage
from tickcast.runners.wire import decode_frame, encode_frame

if TYPE_CHECKING:
    from quixstreams import Application
    from quixstreams.dataframe import StreamingDataFrame
    from quixstreams.models import Topic
    from quixstreams.state import State

COMMIT_S = 0.2
"""How long outputs of an exactly-once application wait, and what an at-least-once one may do again."""
STATE_CACHE_BYTES = 64 << 20
"""RocksDB's block cache; Quix would take 1 GiB."""
KEYS_MAX = 4096
"""States that a host keeps beside the store, so that it need not restore one for each frame."""

PRODUCER = {
    "partitioner": "murmur2",  # Quix's and Java's; librdkafka's own would tear keys from their states
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "zstd",
}
"""What everybody who produces to our topics must set."""

Call = Callable[[bytes, Any, int, Any, "State[str, Any]"], list[bytes]]


def application(broker: str, group: str, state_dir: Path, **options: Any) -> Application:
    """A QuixStreams application with our settings; `options` are passed on and win."""
    try:
        from quixstreams import Application
        from quixstreams.state.rocksdb import RocksDBOptions
    except ImportError as exc:
        raise ConfigError(
            "runner quix",
            f"needs QuixStreams, which can not be imported here ({exc})",
            "run `pip install 'tickcast[kafka]'`, or leave the broker out to run in one process",
        ) from exc
    ours: dict[str, Any] = {
        "auto_offset_reset": "earliest",
        "commit_interval": COMMIT_S,
        "auto_create_topics": False,
        "auto_recover_from_source_offset_out_of_range": False,  # it would throw states away
        "rocksdb_options": RocksDBOptions(block_cache_size=STATE_CACHE_BYTES),
        "producer_extra_config": PRODUCER,
    }
    return Application(broker, consumer_group=group, state_dir=state_dir, **(ours | options))


def topic(app: Application, name: str) -> Topic:
    """A topic of frames: keys are texts, values are ours to read and write."""
    return app.topic(
        name, key_deserializer="str", key_serializer="str", value_deserializer="bytes", value_serializer="bytes"
    )


def host(app: Application, hop: Hop, stage: Stage, input_topic: Topic, output_topic: Topic) -> StreamingDataFrame:
    """Put a stage between two topics. Frames without rows go on too: they move time for a quiet pair.

    An application reads a topic once, so two stages that read the same one (candles and ticks) take two applications.
    """
    frames = app.dataframe(input_topic).apply(
        call(hop, stage, input_topic.name), stateful=True, expand=True, metadata=True
    )
    return frames.to_topic(output_topic)


def call(hop: Hop, stage: Stage, where: str) -> Call:
    """What is done for one message: state from the store, one step, state to the store, frames as messages.

    A live state is used again only while the store holds the very bytes that were written for it; a rebalance, a
    recovery or a failed step therefore ends in `restore`.
    """
    live: dict[str, tuple[bytes, Any]] = {}

    def step(value: bytes, key: Any, _timestamp: int, _headers: Any, store: State[str, Any]) -> list[bytes]:
        frame = decode_frame(value or b"")
        if key != frame.key or frame.kind not in hop.reads:
            raise WireError(
                f"topic {where}",
                f"has {frame.kind} of {frame.key} under the key {key}, where {hop.name} reads {', '.join(hop.reads)}",
                "let only tickcast write to its topics, keyed `exchange:pair`",
            )
        saved = store.get_bytes(stage.name)
        known, state = live.pop(key, (None, None))
        if saved is None:
            state = stage.new()
        elif saved != known:
            state = stage.restore(saved)
        outputs = stage.step(state, frame)
        saved = stage.snapshot(state)
        store.set_bytes(stage.name, saved)
        live[key] = (saved, state)
        if len(live) > KEYS_MAX:
            del live[next(iter(live))]  # the one that was used longest ago
        return [encode_frame(output) for output in outputs]

    return step
