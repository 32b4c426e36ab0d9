"""aiokafka's consumer as we use it: made with our settings, and ended whatever state the broker is in."""

import copy
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from muster.kit.broker import Broker, connection
from muster.kit.closing import cancelled, closed
from muster.kit.consumer import lenient
from muster.kit.consumer.settings import ConsumerSettings
from muster.kit.consumer.topic_ids import ASIDE

if TYPE_CHECKING:
    from muster.kit.consumer.loop import Consumer

STOP_LIMIT_S = 5.0

lenient.install()


def new_client(bootstrap: Broker | str, group: str, settings: ConsumerSettings) -> AIOKafkaConsumer:
    """Not started yet; subscribes to nothing."""
    return AIOKafkaConsumer(
        **connection(bootstrap),
        group_id=group,
        client_id=f"muster-{group}",
        enable_auto_commit=False,
        # Where aiokafka resets on its own, the offsets that come show it, and the consumer halts.
        auto_offset_reset="earliest",
        partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_interval_ms,
        rebalance_timeout_ms=settings.rebalance_timeout_ms,
        request_timeout_ms=settings.request_timeout_ms,
        fetch_max_wait_ms=settings.fetch_wait_ms_max,
        max_partition_fetch_bytes=settings.partition_fetch_bytes_max,
        fetch_max_bytes=settings.fetch_bytes_max,
        metadata_max_age_ms=settings.metadata_age_ms_max,
    )


class _Aside:
    """The client, by connections of their own for what `send` sends."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node: int, request: Any) -> Any:
        return await self._client.send(node, request, group=ASIDE)


def ask_aside(kafka: AIOKafkaConsumer) -> None:
    """Ask for offsets by connections of their own, once it is started.

    A broker answers a connection in order: behind a fetch that waits for records, each question waits as long.
    """
    stand_in = copy.copy(kafka._fetcher)
    stand_in._client = _Aside(kafka._client)
    kafka._fetcher._proc_offset_request = stand_in._proc_offset_request


class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells the loop what the group decides, and holds back what comes before it was taken over."""

    def __init__(self, consumer: "Consumer", kafka: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._kafka = kafka

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._consumer.revoke()
        await self._consumer.idle()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._kafka.pause(*assigned)
        self._consumer.assigned(assigned)


async def end_client(kafka: AIOKafkaConsumer) -> None:
    """In order if the broker lets us and nobody hurries; else what would go on trying is ended here."""
    in_order = False
    try:
        in_order = await closed(kafka.stop(), STOP_LIMIT_S)
    finally:
        if not in_order:
            await _cut(kafka)


async def _cut(kafka: AIOKafkaConsumer) -> None:
    if (coordinator := kafka._coordinator) is not None:
        tasks = (coordinator._coordination_task, coordinator._heartbeat_task, coordinator._commit_refresh_task)
        await cancelled(task for task in tasks if task is not None)
    if kafka._fetcher is not None:
        await closed(kafka._fetcher.close(), 1)
    await closed(kafka._client.close(), 1)
