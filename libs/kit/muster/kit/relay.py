"""The relay: publishes the outbox of one database, one lane each by one process at a time.

Lowest ids first, wait for all acknowledgements, delete exactly those, commit. Not `id > last`: ids commit out of order
and that loses events. Not NOTIFY: a lock at each commit. Not SKIP LOCKED: readers beside each other break the order.
A crash between acknowledgement and delete publishes the same events again, with the same ids.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg
import structlog

from muster.kit import clock, failpoint, metrics, spans
from muster.kit.clock import rfc3339
from muster.kit.closing import cancelled
from muster.kit.outbox import Lane
from muster.kit.pg import RETRIABLE, Database, Record
from muster.kit.producer import Producer, PublishFailed, WireRecord
from muster.kit.spans import Kind, Of

if TYPE_CHECKING:
    Connection = asyncpg.Connection[Record]

ROWS_MAX = 500
BYTES_MAX = 2 * 1024 * 1024
POLL_MIN_S, POLL_MAX_S = 0.005, 0.2
# What follows a batch of the large lane is let gather: a batch of one costs its readers as much as one of fifty, and
# nobody waits for a single event of a large send.
GATHER_S = 0.05
RETRY_MIN_S, RETRY_MAX_S = 0.2, 5.0
LOCK_POLL_S = 1.0
# What a producer had sent that was replaced may still be written: behind what its successor has written until then.
LATE_WRITE_S = 60.0
_MEASURE_S = 5.0
_LOCK_SPACE = 1_870_816_354
_SPEC_VERSION = ("ce_specversion", b"1.0")

log = structlog.get_logger(__name__)

# octet_length of a value that is stored out of line reads no value.
_LOWEST = """
SELECT * FROM (
    SELECT *, sum(octet_length(value)) OVER (ORDER BY id) - octet_length(value) AS bytes_before
    FROM (SELECT * FROM outbox WHERE lane = $1 ORDER BY id LIMIT $2) lowest
) summed WHERE bytes_before < $3 ORDER BY id
"""
# allow ordered-locks: who publishes a lane holds its advisory lock, and nobody else touches what is in an outbox
_DELETE = "DELETE FROM outbox WHERE lane = $1 AND id = ANY($2::bigint[])"
_PENDING = "SELECT count(*) AS n, min(time_unix_ms) AS oldest FROM outbox WHERE lane = $1"
_LOCK = "SELECT pg_try_advisory_lock($1, $2)"


class Relay:
    """Publishes the given lanes of a service's outbox; several processes may run one, each lane is held by one."""

    def __init__(
        self,
        db: Database,
        producer: Producer,
        lanes: Sequence[Lane],
        *,
        source: str = "",
        on_lead: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """`source` is the `ce_source` of what is published: the database's name unless said.

        `on_lead` is called when this process begins to publish the small lane. Whoever led before may still publish
        what it had read, behind what is newer: the owner of a compacted topic says its recent keys again here. So may
        a producer that was replaced: it is called once the next one works, and again when nothing can be late any more.
        """
        self._db = db
        self._producer = producer
        self._source = source
        self._on_lead = on_lead
        self._awake = {lane: asyncio.Event() for lane in lanes}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Publish until `stop` is called. What fails for a time is tried again; a bug ends it."""
        async with asyncio.TaskGroup() as lanes:
            for lane in self._awake:
                lanes.create_task(self._serve(lane))

    async def stop(self) -> None:
        """Let each lane end after the batch it has in hand."""
        self._stopping.set()
        self.wake()

    def wake(self) -> None:
        """Facts were stored by this process: look now, not at the next poll."""
        for awake in self._awake.values():
            awake.set()

    async def _serve(self, lane: Lane) -> None:
        pause = RETRY_MIN_S
        while not self._stopping.is_set():
            try:
                async with self._db.dedicated() as connection:
                    if await connection.fetchval(_LOCK, _LOCK_SPACE, int(lane)):
                        pause = RETRY_MIN_S
                        await self._lead(connection, lane)
                    else:
                        await self._stand_by(connection, lane)
            except RETRIABLE as error:
                log.warning("relay.database_lost", lane=lane.name, error=str(error))
                await self._sleep(lane, pause)
                pause = min(pause * 2, RETRY_MAX_S)
            finally:
                metrics.relay_leader.labels(lane=lane.name).set(0)
                _forget_measures(lane)

    async def _stand_by(self, connection: "Connection", lane: Lane) -> None:
        """Ask again and again: a statement that waits for the lock would keep vacuum from the whole database."""
        while not self._stopping.is_set():
            await self._sleep(lane, LOCK_POLL_S, wakeful=False)
            if await connection.fetchval(_LOCK, _LOCK_SPACE, int(lane)):
                await self._lead(connection, lane)
                return

    async def _lead(self, connection: "Connection", lane: Lane) -> None:
        """The lock lives in this connection, which also reads and deletes: without it nothing is published."""
        metrics.relay_leader.labels(lane=lane.name).set(1)
        await self._begin(lane)
        source = self._source or await connection.fetchval("SELECT current_database()")
        poll, pause, measured = POLL_MIN_S, RETRY_MIN_S, -_MEASURE_S
        again: list[float] | None = []
        while not self._stopping.is_set():
            if clock.monotonic() - measured >= _MEASURE_S:
                await _measure(connection, lane)
                measured = clock.monotonic()
            if again and clock.monotonic() >= again[0]:
                del again[0]
                await self._begin(lane)
            self._awake[lane].clear()
            rows = await connection.fetch(_LOWEST, int(lane), ROWS_MAX, BYTES_MAX)
            if not rows:
                await self._sleep(lane, poll)
                poll = min(poll * 2, POLL_MAX_S)
                continue
            poll = POLL_MIN_S
            try:
                await self._publish(connection, lane, rows, source)
                pause = RETRY_MIN_S
                if again is None:
                    again = [clock.monotonic(), clock.monotonic() + LATE_WRITE_S]
                if lane is Lane.LARGE and _is_small(rows):
                    await self._sleep(lane, GATHER_S, wakeful=False)
            except PublishFailed as error:
                again = None
                metrics.outbox_failures.labels(lane=lane.name).inc()
                log.warning("relay.not_published", lane=lane.name, rows=len(rows), error=str(error))
                await self._sleep(lane, pause, wakeful=False)
                pause = min(pause * 2, RETRY_MAX_S)

    async def _begin(self, lane: Lane) -> None:
        if self._on_lead is not None and lane is Lane.SMALL:
            await self._on_lead()

    async def _publish(self, connection: "Connection", lane: Lane, rows: Sequence[Record], source: str) -> None:
        failpoint.hit("relay.before_send")
        with _publishing(rows) as contexts:
            await self._send(connection, lane, [to_wire(*pair, source) for pair in zip(rows, contexts, strict=True)])
        failpoint.hit("relay.after_ack")
        await connection.execute(_DELETE, int(lane), [row["id"] for row in rows])
        for topic, n in Counter(row["topic"] for row in rows).items():
            metrics.outbox_published.labels(topic=topic).inc(n)

    async def _send(self, connection: "Connection", lane: Lane, records: Sequence[WireRecord]) -> None:
        """Until all are acknowledged."""
        publishing = asyncio.ensure_future(self._producer.publish(records))
        try:
            # A broker that hangs is just when somebody looks at what waits.
            while not (await asyncio.wait((publishing,), timeout=_MEASURE_S))[0]:
                await _measure(connection, lane)
            publishing.result()
        finally:
            await cancelled((publishing,))

    async def _sleep(self, lane: Lane, seconds: float, *, wakeful: bool = True) -> None:
        """Until the time is over or somebody wakes or stops us."""
        event = self._awake[lane] if wakeful else self._stopping
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return


def _is_small(rows: Sequence[Record]) -> bool:
    """Whether a batch took all there was, with room to spare."""
    return len(rows) < ROWS_MAX and sum(len(row["value"]) for row in rows) < BYTES_MAX // 2


@contextmanager
def _publishing(rows: Sequence[Record]) -> Iterator[list[str]]:
    """A step for each fact, from when it was stored until all are acknowledged; the contexts that they travel with."""
    made = [
        spans.begin(
            f"say {row['type']}",
            Kind.PRODUCER,
            parent=row["traceparent"],
            about={Of.EVENT: row["type"], Of.TOPIC: row["topic"]},
            at_ms=row["time_unix_ms"],
        )
        for row in rows
    ]
    with spans.ending(made):
        yield [step.traceparent for step in made]


def to_wire(row: Record, traceparent: str, source: str) -> WireRecord:
    """A row of the outbox as a record: bare protobuf with CloudEvents binary headers."""
    headers = [
        _SPEC_VERSION,
        ("ce_id", str(row["event_id"]).encode()),
        ("ce_type", row["type"].encode()),
        ("ce_source", source.encode()),
        ("ce_time", rfc3339(row["time_unix_ms"]).encode()),
        ("tenant", str(row["tenant_id"]).encode()),
    ]
    optional = (("ce_subject", "subject"), ("correlation",) * 2, ("causation",) * 2)
    headers += [(header, row[column].encode()) for header, column in optional if row[column]]
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    if row["headers"]:
        headers += [(name, value.encode()) for name, value in json.loads(row["headers"]).items()]
    return WireRecord(row["topic"], row["key"], row["value"], headers)


def _forget_measures(lane: Lane) -> None:
    """What waits is told by who leads: an old figure of another process would hide that nobody does."""
    for metric in (metrics.outbox_pending, metrics.outbox_oldest_seconds):
        if (lane.name,) in metric._metrics:
            metric.remove(lane.name)


async def _measure(connection: "Connection", lane: Lane) -> None:
    row = await connection.fetchrow(_PENDING, int(lane))
    assert row is not None
    age_s = max(0.0, (clock.unix_ms() - row["oldest"]) / 1000) if row["n"] else 0.0
    metrics.outbox_pending.labels(lane=lane.name).set(row["n"])
    metrics.outbox_oldest_seconds.labels(lane=lane.name).set(age_s)
