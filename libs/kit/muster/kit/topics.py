"""Creates the topics of the registry, and the dead-letter topic of each consumer: `python -m muster.kit.topics`.

Safe to repeat. What exists otherwise than registered is named and left as it is: partitions cannot be changed without
moving keys, and a retention that is shorter than registered may already have cost records.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from muster.events.catalog import Topic, read_registry
from muster.kit.broker import Broker, connection
from muster.kit.settings import KafkaSettings, load

RECORD_BATCH_BYTES_MAX = 4 * 1024 * 1024
# No longer than the topics that they come from: they hold what those do. The table of dead letters keeps them.
DEAD_LETTERS_KEPT_MS = 60 * 3_600_000
DEAD_LETTERS_SEGMENT_MS = 6 * 3_600_000
CONNECT_LIMIT_S = 30.0
REPLICAS = 3  # in a cluster


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be at the broker."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


def wanted_topics(registry: Mapping[str, Topic], *, laptop: bool, replicas: int = 0) -> list[Wanted]:
    """The registered topics and `<group>-dlq` for each consumer in it. `replicas`: not as the size has it."""
    size = "laptop" if laptop else "cluster"
    replication = replicas or (1 if laptop else REPLICAS)
    durable = {} if replication < REPLICAS else {"min.insync.replicas": "2"}
    registered = [
        Wanted(topic.name, topic.partitions[size], replication, _config(topic) | durable) for topic in registry.values()
    ]
    groups = sorted({consumer for topic in registry.values() for consumer in topic.consumers})
    letters = {
        "cleanup.policy": "delete",
        "retention.ms": str(DEAD_LETTERS_KEPT_MS),
        "segment.ms": str(DEAD_LETTERS_SEGMENT_MS),
        **_limits(),
    }
    return registered + [Wanted(f"{group}-dlq", 1, replication, letters | durable) for group in groups]


def _limits() -> dict[str, str]:
    return {"max.message.bytes": str(RECORD_BATCH_BYTES_MAX)}


def _config(topic: Topic) -> dict[str, str]:
    config = _limits() | {"cleanup.policy": "compact" if topic.compacted else "delete"}
    if topic.retention_ms is not None:
        config["retention.ms"] = str(topic.retention_ms)
    if topic.segment_ms is not None:
        config["segment.ms"] = str(topic.segment_ms)
    return config


async def ensure(bootstrap: Broker | str, wanted: Sequence[Wanted]) -> list[str]:
    """Create what is missing; returns how what was there before differs from what is wanted, empty if it does not.

    Raises KafkaError when the broker does not answer within 30 s or refuses a topic.
    """
    admin = await _connect(bootstrap)
    try:
        await _create(admin, wanted)
        partitions = await _partitions(admin, wanted)
        configs = await _configs(admin, [topic.name for topic in wanted])
        return [line for topic in wanted for line in _differences(topic, partitions[topic.name], configs[topic.name])]
    finally:
        await admin.close()


async def is_small(bootstrap: Broker | str) -> bool:
    """Whether a cluster has too few brokers for all replicas; KafkaError when none answers within 30 s."""
    admin = await _connect(bootstrap)
    try:
        return len((await admin.describe_cluster())["brokers"]) < REPLICAS
    finally:
        await admin.close()


async def _connect(bootstrap: Broker | str) -> AIOKafkaAdminClient:
    deadline = time.monotonic() + CONNECT_LIMIT_S
    while True:
        admin = AIOKafkaAdminClient(**connection(bootstrap))
        try:
            await admin.start()
            return admin
        except (KafkaError, OSError):
            await admin.close()
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)


async def _create(admin: AIOKafkaAdminClient, wanted: Iterable[Wanted]) -> None:
    new = [
        NewTopic(topic.name, topic.partitions, topic.replication, topic_configs=dict(topic.config)) for topic in wanted
    ]
    response = await admin.create_topics(new)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"topic {name}: {message}")


async def _partitions(admin: AIOKafkaAdminClient, wanted: Iterable[Wanted]) -> dict[str, int]:
    """By topic. A topic that was just made may take a moment to be known, and to have leaders."""
    names = [topic.name for topic in wanted]
    deadline = time.monotonic() + CONNECT_LIMIT_S
    while True:
        found = await admin.describe_topics(names)
        ready = all(
            topic["error_code"] == 0 and all(part["leader"] >= 0 for part in topic["partitions"]) for topic in found
        )
        if ready or time.monotonic() > deadline:
            return {topic["topic"]: len(topic["partitions"]) for topic in found}
        await asyncio.sleep(0.1)


async def _configs(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for response in responses
        for resource in response.resources
    }


def _differences(topic: Wanted, partitions: int, config: Mapping[str, str]) -> list[str]:
    lines = []
    if partitions != topic.partitions:
        lines.append(f"{topic.name}: {partitions} partitions, {topic.partitions} wanted")
    for name, value in topic.config.items():
        if config.get(name) != value:
            lines.append(f"{topic.name}: {name} is {config.get(name)}, {value} wanted")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 with a line for each difference, or with why it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m muster.kit.topics", description=__doc__)
    parser.add_argument("registry", type=Path, help="topics.yaml")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--laptop", action="store_true", help="few partitions and one replica")
    size.add_argument("--fitting", action="store_true", help=f"the same where there are fewer than {REPLICAS} brokers")
    parser.add_argument("--replicas", type=int, default=0, choices=range(REPLICAS + 1), help="0 is as the size has it")
    parser.add_argument(
        "--kafka", help="host:port in place of MUSTER_KAFKA; how it is spoken to is read as services do"
    )
    options = parser.parse_args(arguments)
    registry = read_registry(options.registry.read_text(encoding="utf-8"))
    broker = load(KafkaSettings).broker
    broker = replace(broker, addresses=options.kafka or broker.addresses)
    try:
        laptop = options.laptop or (options.fitting and asyncio.run(is_small(broker)))
        wanted = wanted_topics(registry, laptop=laptop, replicas=options.replicas)
        differences = asyncio.run(ensure(broker, wanted))
    except (KafkaError, OSError) as error:
        differences = [f"Kafka at {broker}: {error}"]
    for line in differences:
        sys.stderr.write(f"{line}\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
