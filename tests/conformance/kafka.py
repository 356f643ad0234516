"""A Kafka for tests without a broker: librdkafka's mock cluster, and what QuixStreams needs to take it for real.

What it can not do, and what therefore needs a real broker: create topics (they come into being when they are first
named, with four partitions), compact, abort transactions. A partition keeps its last 5 MB. A first join takes three
seconds; a member that comes again waits for a second less than its session timeout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread, Timer
from time import monotonic
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from quixstreams import Application
from quixstreams.models import TopicAdmin, TopicConfig, TopicManager

from tickcast.events import Frame
from tickcast.runners import quix
from tickcast.runners.wire import encode_frame

PARTITIONS = 4
"""The mock gives every topic as many."""
RPC_S = 10.0
_POLL_S = 0.02
_QUICK = {"session.timeout.ms": 3500, "heartbeat.interval.ms": 200, "fetch.wait.max.ms": 10}


class Sent(NamedTuple):
    """One message as it lies in a topic."""

    partition: int
    key: str
    value: bytes


class _Admin(TopicAdmin):
    """Answers for a cluster that has no topic administration: naming a topic makes it."""

    def __init__(self, cluster: MockCluster) -> None:
        super().__init__(cluster.address)
        self._cluster = cluster

    def inspect_topics(self, topic_names: list[str], timeout: float = RPC_S) -> dict[str, TopicConfig | None]:
        keeps_all = {"retention.ms": "-1", "retention.bytes": "-1"}
        return {name: TopicConfig(self._cluster.partitions(name), 1, keeps_all) for name in topic_names}


class MockCluster:
    """One broker inside this process; it lives as long as the object."""

    def __init__(self) -> None:
        self._owner = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0})
        brokers = self._owner.list_topics(timeout=RPC_S).brokers.values()
        self.address = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; it comes into being when it is first asked for."""
        return len(self._owner.list_topics(topic, timeout=RPC_S).topics[topic].partitions)

    def application(self, group: str, state_dir: Path, **options: Any) -> Application:
        """Our application, on this cluster."""
        manager = TopicManager(topic_admin=_Admin(self), consumer_group=group)
        ours = {"topic_manager": manager, "consumer_extra_config": _QUICK, "consumer_poll_timeout": _POLL_S}
        return quix.application(self.address, group, state_dir, loglevel="CRITICAL", **(ours | options))

    def feed(self, topic: str, frames: Iterable[Frame]) -> None:
        """Put frames in a topic, as our producers must."""
        producer = Producer({"bootstrap.servers": self.address, "log_level": 0, **quix.PRODUCER})
        for frame in frames:
            producer.produce(topic, encode_frame(frame), frame.key)
            producer.poll(0)
        if producer.flush(RPC_S):
            raise TimeoutError(f"{topic} did not take all frames")

    def read(self, topic: str, deadline_s: float = RPC_S) -> list[Sent]:
        """All messages of a topic; those of one partition in their order."""
        until_s = monotonic() + deadline_s
        with self._consumer("reader") as consumer:
            ends = _ends(consumer, topic)
            consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
            found: list[Sent] = []
            while len(found) < sum(ends.values()):
                if monotonic() > until_s:
                    raise TimeoutError(f"{topic} gave {len(found)} of {sum(ends.values())} messages")
                found.extend(_sent(message) for message in consumer.consume(1000, timeout=_POLL_S))
        return found

    @contextmanager
    def stopped_at(self, app: Application, deadline_s: float = 90.0) -> Iterator[None]:
        """Stop an application that has not ended by itself, so that no test hangs."""
        timer = Timer(deadline_s, app.stop)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def count(self, topic: str) -> int:
        """How many messages a topic has taken so far."""
        with self._consumer("reader") as consumer:
            return sum(_ends(consumer, topic).values())

    def wait_until(self, holds: Callable[[], bool], deadline_s: float = RPC_S) -> None:
        """Ask until the answer is yes."""
        until_s = monotonic() + deadline_s
        while not holds():
            if monotonic() > until_s:
                raise TimeoutError(f"still not so after {deadline_s} s")

    @contextmanager
    def _consumer(self, group: str) -> Iterator[Consumer]:
        settings = {"bootstrap.servers": self.address, "group.id": group, "enable.auto.commit": False, "log_level": 0}
        consumer = Consumer({**settings, **_QUICK})
        try:
            yield consumer
        finally:
            consumer.close()

    def run_to_the_end(self, app: Application, topics: Iterable[str], deadline_s: float = 90.0) -> None:
        """Run until the application has committed all that its input topics hold.

        `topics` come in the order of the flow: a commit says that all outputs are delivered, so when a topic is done
        the next one is complete.
        """
        listed, failure, ended = list(topics), [], Event()

        def watch() -> None:
            try:
                with self._consumer(app.config.consumer_group) as consumer:
                    left = _wait(lambda: _lags(consumer, listed), ended, deadline_s)
                if left and not ended.is_set():
                    failure.append(f"not done after {deadline_s} s, messages left: {left}")
            finally:
                app.stop()

        watcher = Thread(target=watch)
        watcher.start()
        try:
            app.run()
        finally:
            ended.set()
            watcher.join()
        assert not failure, failure


def _wait(lags: Callable[[], Mapping[str, int]], ended: Event, deadline_s: float) -> dict[str, int]:
    """Ask until nothing is left, or the run has ended by itself, or the deadline has passed."""
    until_s = monotonic() + deadline_s
    left = {"": 1}
    while any(left.values()) and not ended.is_set() and monotonic() < until_s:
        left = dict(lags())
        ended.wait(_POLL_S)
    return {topic: lag for topic, lag in left.items() if lag}


def _lags(consumer: Consumer, topics: list[str]) -> dict[str, int]:
    lags: dict[str, int] = {}
    for topic in topics:
        asked = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        done = {place.partition: max(place.offset, 0) for place in consumer.committed(asked, timeout=RPC_S)}
        lags[topic] = sum(end - done[partition] for partition, end in _ends(consumer, topic).items())
        if lags[topic]:
            break
    return lags


def _ends(consumer: Consumer, topic: str) -> dict[int, int]:
    places = (TopicPartition(topic, partition) for partition in range(PARTITIONS))
    return {place.partition: consumer.get_watermark_offsets(place, timeout=RPC_S)[1] for place in places}


def _sent(message: Message) -> Sent:
    error: KafkaError | None = message.error()
    if error is not None:
        raise RuntimeError(str(error))
    return Sent(message.partition(), message.key().decode(), message.value())
