"""The registry of topics, read from `topics.yaml`, and the event types, read from the generated modules."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, resources
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any
from uuid import UUID

import yaml
from google.protobuf.message import Message

from muster.events import v1
from muster.events.v1 import common_pb2

NIL_TENANT = UUID(int=0)
"""The tenant of facts about the platform itself: rates, routes, senders."""

_SANDBOX_VERSION = 8


def is_sandbox(tenant_id: UUID) -> bool:
    """Whether a tenant is a sandbox, whose messages never reach a carrier: its id says so, a UUID of version 8.

    So nobody has to hear of it first, nothing can change it, and a constraint can hold it in any database.
    """
    return tenant_id.version == _SANDBOX_VERSION


_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LANES: Mapping[int, str] = {common_pb2.LANE_SMALL: "bulk-recipients-small", common_pb2.LANE_LARGE: "bulk-recipients"}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the registry. Times are in milliseconds; `retention_ms` is None where it is compacted."""

    name: str
    events: tuple[str, ...]
    key: str
    retention_ms: int | None
    segment_ms: int | None
    producer: str
    consumers: tuple[str, ...]
    personal: str
    internal: bool
    partitions: Mapping[str, int]

    @property
    def compacted(self) -> bool:
        """Whether the broker keeps only the last record of each key."""
        return self.retention_ms is None


def duration_ms(written: str) -> int:
    """Milliseconds of a duration such as `60h` or `400d`; ValueError for anything else."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d)", written)
    if match is None:
        raise ValueError(f"not a duration: {written!r} (a number and one of {', '.join(_MS)})")
    return int(match[1]) * _MS[match[2]]


def read_registry(text: str) -> dict[str, Topic]:
    """The topics of a registry in YAML, by name; KeyError or ValueError where an entry is incomplete or wrong."""
    registry = yaml.safe_load(text)
    partitions = MappingProxyType(dict(registry["partitions"]))
    return {name: _topic(name, entry, partitions) for name, entry in registry["topics"].items()}


def _topic(name: str, entry: Mapping[str, Any], partitions: Mapping[str, int]) -> Topic:
    kept = entry["retention"]
    return Topic(
        name=name,
        events=tuple(entry["events"]),
        key=entry["key"],
        retention_ms=None if kept == "compact" else duration_ms(kept),
        segment_ms=duration_ms(entry["segment"]) if "segment" in entry else None,
        producer=entry["producer"],
        consumers=tuple(entry["consumers"]),
        personal=entry["personal"],
        internal=entry.get("internal", False),
        partitions=partitions,
    )


def _message_types() -> dict[str, type[Message]]:
    """Every event type that the generated modules define and the registry names."""
    named = {event for topic in TOPICS.values() for event in topic.events}
    found: dict[str, type[Message]] = {}
    for info in iter_modules(v1.__path__):
        module = import_module(f"muster.events.v1.{info.name}")
        found |= {name: getattr(module, name) for name in module.DESCRIPTOR.message_types_by_name if name in named}
    return found


TOPICS: Mapping[str, Topic] = MappingProxyType(
    read_registry(resources.files("muster.events").joinpath("topics.yaml").read_text(encoding="utf-8"))
)
TYPES: Mapping[str, type[Message]] = MappingProxyType(_message_types())
_TOPIC_BY_EVENT = {event: topic.name for topic in TOPICS.values() for event in topic.events}


def topic_of(event_type: str, lane: int | None = None) -> str:
    """The topic an event type is said on; BulkRecipientsAttached needs its lane (`Lane` of common.proto).

    KeyError for a type that the registry does not name.
    """
    if event_type == "BulkRecipientsAttached":
        return _LANES[lane or 0]
    return _TOPIC_BY_EVENT[event_type]


def produced_by(service: str) -> tuple[Topic, ...]:
    """The topics a service (`customer`, `credit` ...) says something on."""
    return tuple(topic for topic in TOPICS.values() if topic.producer in (service, "all"))


def consumed_by(service: str) -> tuple[Topic, ...]:
    """The topics a service hears."""
    return tuple(topic for topic in TOPICS.values() if service in topic.consumers)


def key_of_tenant(tenant_id: UUID) -> bytes:
    """Record key of topics keyed by tenant."""
    return str(tenant_id).encode()


def key_of_bulk(bulk_id: UUID) -> bytes:
    """Record key of topics keyed by bulk send."""
    return str(bulk_id).encode()


def key_of_number(tenant_id: UUID, number_hash: bytes) -> bytes:
    """Record key of topics keyed by a tenant's number."""
    return tenant_id.bytes + number_hash
