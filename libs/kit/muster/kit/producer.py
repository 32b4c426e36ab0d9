"""The producer: idempotent, and thrown away and made anew when it is wedged.

aiokafka advances the sequence number of a partition when a batch is drained and does not take it back when the batch
fails for good; the broker then refuses everything until the producer is a new one (aiokafka#1017). Whoever publishes
repeats what was not acknowledged, so nothing is lost; nobody relies on order across a replaced producer.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from muster.kit import metrics
from muster.kit.broker import Broker, connection
from muster.kit.closing import closed
from muster.kit.outbox import RECORD_BYTES_MAX, Oversize

STOP_LIMIT_S = 5.0
PUBLISH_LIMIT_S = 30.0
_REQUEST_BYTES_MAX = 4 * 1024 * 1024
_BATCH_BYTES_MAX = 1024 * 1024

log = structlog.get_logger(__name__)


class PublishFailed(Exception):
    """Not everything was acknowledged: publish all of it again, with the same event ids."""


@dataclass(frozen=True, slots=True)
class WireRecord:
    """A record as it goes to Kafka; its key decides the partition, as in every Kafka client."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Producer:
    """Publishes records and waits for all acknowledgements; connects when it is first needed."""

    def __init__(
        self, bootstrap: Broker | str, *, client_id: str = "muster", publish_limit_s: float = PUBLISH_LIMIT_S
    ) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._publish_limit_s = publish_limit_s
        self._inner: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Connect now; PublishFailed when the broker does not answer."""
        await self._connected()

    async def stop(self) -> None:
        """Give back the connection within 5 s, whatever state the broker is in."""
        inner, self._inner = self._inner, None
        if inner is not None:
            await _end(inner)

    async def publish(self, records: Sequence[WireRecord]) -> None:
        """Return when every record is acknowledged by all in-sync replicas, in order for each key.

        Raises Oversize before anything is sent, PublishFailed when one was not acknowledged in time: the producer is
        replaced then, and some records may have been written.
        """
        for record in records:
            if len(record.key) + len(record.value) > RECORD_BYTES_MAX:
                raise Oversize(record.topic, len(record.key) + len(record.value))
        if not records:
            return
        inner = await self._connected()
        try:
            await asyncio.wait_for(_send_all(inner, records), self._publish_limit_s)
        except (KafkaError, OSError, TimeoutError) as error:
            await self._replace(inner, error)
            raise PublishFailed(f"{type(error).__name__}: {error}") from error

    async def _connected(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._inner is None:
                inner = self._new()
                try:
                    await asyncio.wait_for(inner.start(), self._publish_limit_s)
                except (KafkaError, OSError, TimeoutError) as error:
                    await _end(inner)
                    raise PublishFailed(f"no connection to Kafka at {self._bootstrap}: {error}") from error
                except BaseException:
                    await _end(inner)
                    raise
                self._inner = inner
            return self._inner

    async def _replace(self, inner: AIOKafkaProducer, error: Exception) -> None:
        """Retriable errors never come out of an idempotent producer, which repeats those itself: it is wedged."""
        if self._inner is not inner:
            return
        self._inner = None
        reason = "stuck" if isinstance(error, TimeoutError) else type(error).__name__
        metrics.producer_replaced.labels(reason=reason).inc()
        log.warning("producer.replaced", reason=reason, error=str(error))
        await _end(inner)

    def _new(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **connection(self._bootstrap),
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            max_batch_size=_BATCH_BYTES_MAX,
            max_request_size=_REQUEST_BYTES_MAX,
            # aiokafka compresses LZ4 at level 9: 180 us for the 64 KB of a chunk, Snappy 17 us at nearly the size.
            compression_type="snappy",
            request_timeout_ms=20_000,
            retry_backoff_ms=100,
        )


async def _send_all(inner: AIOKafkaProducer, records: Sequence[WireRecord]) -> None:
    pending: list[asyncio.Future[Any]] = []
    for record in records:
        sent = await inner.send(record.topic, record.value, record.key, headers=list(record.headers))
        # Also when we are cancelled here: else each failure is reported as an error that nobody looked at.
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())
        pending.append(sent)
    await asyncio.gather(*pending)


async def _end(inner: AIOKafkaProducer) -> None:
    """In order if the broker lets us: with idempotence, `stop()` alone would wait for it for ever."""
    if await closed(inner.stop(), STOP_LIMIT_S):
        return
    await closed(inner._sender.close(), 1)
    await closed(inner.client.close(), 1)
    # Whoever else waits for records of this producer learns it now, not at the limit.
    inner._message_accumulator.fail_all(KafkaError("the producer was replaced"))
