"""Which topic it is: a topic that was deleted and made again has the same name, and another id.

aiokafka speaks of topics by name alone: its position in the topic that was is read on in the one that is, and where
that has grown beyond it nothing shows. Ids come with version 10 of the metadata request (Kafka 2.8), which it does not
have.
"""

from collections.abc import Iterable
from io import BytesIO
from typing import Any
from uuid import UUID

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NodeNotReadyError
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from muster.kit import metrics
from muster.kit.broker import Broker, connection

_API_KEY, _API_VERSION = 3, 10
ASIDE = 2  # aiokafka keeps a connection for each of its groups 0 and 1, and for any other that it is given
_NAME = CompactString("utf-8")

log = structlog.get_logger(__name__)


class _Uuid(AbstractType[UUID]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class _Answer(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = _API_KEY, _API_VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("node_id", Int32), ("host", _NAME), ("port", Int32), ("rack", _NAME), ("tags", TaggedFields)),
        ),
        ("cluster_id", _NAME),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _NAME),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _Asked(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION = _API_KEY, _API_VERSION
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _NAME), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _TopicIds(Request[_Asked]):  # type: ignore[misc]
    API_KEY = _API_KEY

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_Asked]) -> _Asked:
        none = UUID(int=0)
        return request_struct_class([(none, name, {}) for name in self._topics], False, False, False, {})  # noqa: FBT003


async def topic_ids(client: Any, topics: Iterable[str]) -> dict[str, UUID]:
    """The id of each of the topics that the broker knows, by a connected AIOKafkaClient; KafkaError without an answer.

    Empty where the broker is older than ids.
    """
    failed: KafkaError = NodeNotReadyError("no broker is known")
    for node in _nodes(client):
        try:
            answer = await client.send(node, _TopicIds(topics), group=ASIDE)
        except NotImplementedError:
            return {}
        except KafkaError as error:
            failed = error
        else:
            return {name: topic_id for code, name, topic_id, *_ in answer.topics if code == 0}
    raise failed


def _nodes(client: Any) -> list[int]:
    """Those first that are connected: one that is down costs a time-out."""
    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    connected = {node for (node, _), connection in client._conns.items() if connection.connected()}
    return sorted(nodes, key=lambda node: node not in connected)


class TopicWatch:
    """Looks again and again which topics are there, and says which are not."""

    def __init__(self, group: str, topics: Iterable[str]) -> None:
        self._group = group
        self._topics = tuple(topics)
        self._missing: set[str] = set()

    async def look_at(self, bootstrap: Broker | str) -> dict[str, UUID]:
        """As `look`, by a connection of its own."""
        client = AIOKafkaClient(**connection(bootstrap))
        try:
            await client.bootstrap()
            return await self.look(client)
        finally:
            await client.close()

    async def look(self, client: Any) -> dict[str, UUID]:
        """As topic_ids."""
        ids = await topic_ids(client, self._topics)
        missing = set(self._topics) - ids.keys() if ids else set()
        for topic in sorted(missing - self._missing):
            log.error("consumer.topic_missing", group=self._group, topic=topic)
        self._missing = missing
        for topic in self._topics:
            metrics.consumer_topics_missing.labels(group=self._group, topic=topic).set(topic in missing)
        return ids
