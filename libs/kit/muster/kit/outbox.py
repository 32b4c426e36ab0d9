"""The outbox: facts are stored in the transaction that made them true, and a relay publishes them afterwards."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from muster.events import topic_of
from muster.kit import clock, trace
from muster.kit.ids import parse_uuid, uuid7
from muster.kit.pg import Tx, array

RECORD_BYTES_MAX = 2 * 1024 * 1024
"""Of key and value of one record. Topics take batches of twice that."""

_INSERT = """
INSERT INTO outbox (lane, event_id, tenant_id, topic, key, value, type, time_unix_ms, subject, correlation, causation,
                    traceparent)
SELECT lane, event_id, tenant_id, topic, key, value, type, $12, subject, correlation, causation, traceparent
FROM unnest($1::text::smallint[], $2::text::uuid[], $3::text::uuid[], $4::text[], $5::bytea[], $6::bytea[],
            $7::text[], $8::text[], $9::text[], $10::text[], $11::text[]) WITH ORDINALITY
    AS f (lane, event_id, tenant_id, topic, key, value, type, subject, correlation, causation, traceparent, n)
ORDER BY n
"""

_INSERT_RAW = """
INSERT INTO outbox (lane, event_id, tenant_id, topic, key, value, type, time_unix_ms, causation, headers)
VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


class Lane(IntEnum):
    """Facts of large sends have an outbox lane and a relay of their own, so that small ones never wait for them."""

    SMALL = 1
    LARGE = 2


class Oversize(ValueError):
    """A record is larger than its topic takes. Raised before anything is stored or sent."""

    def __init__(self, topic: str, size_bytes: int) -> None:
        super().__init__(f"a record for {topic} has {size_bytes} bytes; at most {RECORD_BYTES_MAX} are taken")
        self.topic = topic


@dataclass(frozen=True, slots=True)
class Fact:
    """What happened, to be told: a protobuf message of the catalog with its `tenant_id`, and the key of its topic.
    `traceparent`: the trace context that it belongs to, where that is not the one of what this task does."""

    message: Message
    key: bytes
    correlation: str = ""
    causation: str = ""
    lane: Lane = Lane.SMALL
    subject: str = ""
    topic: str | None = None
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Raw:
    """A record that is passed on as it came, in the small lane: how poison reaches a dead-letter topic."""

    topic: str
    key: bytes
    value: bytes
    type: str
    tenant_id: UUID
    causation: str
    headers: Mapping[str, str]


async def emit(tx: Tx, *facts: Fact) -> None:
    """Store facts for publication, in this order within a lane; their event ids are made here.

    Raises ValueError for a message without a tenant, KeyError for a type that no topic is registered for, Oversize.
    """
    if not facts:
        return
    lanes, event_ids, tenant_ids, *others = zip(*map(_row, facts), strict=True)
    columns = (array(lanes), array(event_ids), array(tenant_ids), *map(list, others))
    await tx.execute(_INSERT, *columns, clock.unix_ms())


async def emit_raw(tx: Tx, record: Raw) -> None:
    """Store one record as it is, with its own headers besides ours."""
    _refuse_oversize(record.topic, record.key, record.value)
    await tx.execute(
        _INSERT_RAW,
        *(uuid7(), record.tenant_id, record.topic, record.key, record.value, record.type, clock.unix_ms()),
        *(record.causation, json.dumps(dict(record.headers))),
    )


def _row(fact: Fact) -> tuple[Any, ...]:
    event_type = fact.message.DESCRIPTOR.name
    topic = fact.topic or topic_of(event_type, fact.lane)
    value = fact.message.SerializeToString()
    _refuse_oversize(topic, fact.key, value)
    # Every message of the catalog has the field; protobuf's base class does not know it.
    tenant_id: str = getattr(fact.message, "tenant_id", "")
    if not tenant_id:
        raise ValueError(f"{event_type} has no tenant_id")
    return (
        *(int(fact.lane), uuid7(), parse_uuid(tenant_id), topic, fact.key, value, event_type),
        *(fact.subject, fact.correlation, fact.causation, fact.traceparent or trace.of(fact.correlation)),
    )


def _refuse_oversize(topic: str, key: bytes, value: bytes) -> None:
    if len(key) + len(value) > RECORD_BYTES_MAX:
        raise Oversize(topic, len(key) + len(value))
