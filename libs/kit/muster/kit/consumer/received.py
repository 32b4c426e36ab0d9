"""What a handler gets: one event of the log, decoded, with where it came from."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from muster.kit.pg import Tx

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """An event as it was read. Copy scalars out of `message`: keeping a part of it keeps the whole in memory."""

    message: M
    event_id: UUID
    tenant_id: UUID
    correlation: str
    causation: str
    time_unix_ms: int
    topic: str
    partition: int
    offset: int
    key: bytes
    traceparent: str = ""


Handler = Callable[[Tx, Sequence[Received[Any]]], Awaitable[None]]
"""Applies a run of consecutive events of one type, in order, within the transaction that also stores the offset."""


class Poison(Exception):
    """This event can never be applied; it is parked in the dead-letter topic with this reason."""
