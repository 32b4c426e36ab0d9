"""A record of the log as an event, and what is known about a record that is none."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from uuid import UUID

from aiokafka import ConsumerRecord
from google.protobuf.message import DecodeError

from muster.events import TOPICS, TYPES
from muster.kit import clock
from muster.kit.consumer.received import Poison, Received
from muster.kit.ids import parse_uuid

Headers = dict[str, bytes]
T = TypeVar("T")


def headers_of(record: ConsumerRecord) -> Headers:
    """The headers by name; the last of a name counts, and one with a null value is one that is not there."""
    pairs: Iterable[tuple[str, bytes | None]] = record.headers
    return {name: value for name, value in pairs if value is not None}


def type_of(headers: Headers) -> str:
    """The event type; Poison without one."""
    return _text(headers, "ce_type")


def event_id_of(record: ConsumerRecord) -> UUID | None:
    """The event id, or None where there is none or it is no UUID."""
    try:
        return parse_uuid(_text(headers_of(record), "ce_id"))
    except (Poison, ValueError):
        return None


def decode(record: ConsumerRecord) -> Received[Any]:
    """The event of a record of a registered type; Poison with the reason for a record that does not hold one."""
    headers = headers_of(record)
    event_type = type_of(headers)
    if event_type not in TYPES:
        raise Poison("an event type that is not in the catalog")
    if record.topic in TOPICS and event_type not in TOPICS[record.topic].events:
        # Who may write this topic need not be who may say this: each topic has one producing service.
        raise Poison(f"{event_type} is not said on {record.topic}")
    if not record.key:
        raise Poison("no key")
    message: Any = TYPES[event_type]()
    try:
        message.ParseFromString(record.value or b"")
    except DecodeError as error:
        raise Poison(f"not a {event_type}") from error
    event_id, tenant_id = _parsed(headers, "ce_id", parse_uuid), _parsed(headers, "tenant", parse_uuid)
    time_unix_ms = _parsed(headers, "ce_time", clock.parse_rfc3339)
    if message.tenant_id != str(tenant_id):
        raise Poison("the tenant of the header is not the tenant of the message")
    return Received(
        message=message,
        event_id=event_id,
        tenant_id=tenant_id,
        correlation=_optional(headers, "correlation"),
        causation=_optional(headers, "causation"),
        time_unix_ms=time_unix_ms,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        traceparent=_optional(headers, "traceparent"),
    )


def _text(headers: Headers, name: str) -> str:
    if name not in headers:
        raise Poison(f"no header {name}")
    return _optional(headers, name)


def _parsed(headers: Headers, name: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(_text(headers, name))
    except ValueError as error:
        raise Poison(f"header {name} is not what it should be") from error


def _optional(headers: Headers, name: str) -> str:
    try:
        return headers.get(name, b"").decode()
    except UnicodeDecodeError as error:
        raise Poison(f"header {name} is not UTF-8") from error
