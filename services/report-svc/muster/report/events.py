"""Wire to domain: columns for a statement each, one entry for a message."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from muster.events.personal import PERSONAL_TYPES, Gone
from muster.events.v1.bulk_pb2 import (
    BulkSmsAccounted,
    BulkSmsControlled,
    BulkSmsPaced,
    BulkSmsRequested,
    BulkSmsWithdrawn,
)
from muster.events.v1.recipients_pb2 import BulkRecipientsAttached, SmsReceived
from muster.events.v1.replies_pb2 import OptOutReceived, ReplyReceived
from muster.events.v1.sms_pb2 import SmsDispatched, SmsStatusChanged
from muster.kit.consumer import Received
from muster.kit.pg import array, texts

HEARD: Final = (
    "bulk-sms",
    "bulk-progress",
    "bulk-pace",
    "sms",
    "replies",
    "bulk-recipients",
    "bulk-recipients-small",
    "inbound",
    "suppressions",
)
BulkKey = tuple[UUID, UUID]


def at(unix_ms: int) -> datetime | None:
    """A time of the wire; None where there is none."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC) if unix_ms else None


def bulk_of(message: Any) -> BulkKey:
    """Tenant and send of a message; ValueError for an id that is none."""
    return UUID(message.tenant_id), UUID(message.bulk_id)


def waves(batch: Sequence[Received[Any]]) -> list[list[Any]]:
    """Messages in groups that a statement can take: each chunk once in a group, in order."""
    found: list[list[Any]] = []
    seen: dict[tuple[str, int], int] = {}
    for received in batch:
        message = received.message
        key = (message.bulk_id, message.chunk)
        turn = seen.get(key, -1) + 1
        seen[key] = turn
        if turn == len(found):
            found.append([])
        found[turn].append(message)
    return found


class Columns:
    """Arguments of a statement: arrays with an entry for each chunk, then arrays with an entry for each message, of
    which the first says in which chunk it is, counted from 1. What a chunk's messages share is not said of each: it
    would cost more than all the rest.

    What there is of messages are array literals: Python and the server together take half as long for the text of one
    as for the array that the driver writes, number by number.
    """

    def __init__(self) -> None:
        self._chunks: list[tuple[Any, ...]] = []
        self._numbers: list[list[int]] = []
        self._words: list[list[str]] = []

    def add(
        self, chunk: tuple[Any, ...], numbers: Sequence[Sequence[int]], words: Sequence[Sequence[str]] = ()
    ) -> None:
        """A chunk and its messages; ValueError where an array has not an entry for each."""
        count = len(numbers[0])
        if any(len(more) != count for more in (*numbers, *words)):
            raise ValueError("arrays of different lengths")
        self._chunks.append(chunk)
        _extend(self._numbers, ([len(self._chunks)] * count, *numbers))
        _extend(self._words, words)

    @property
    def messages(self) -> int:
        """How many there are."""
        return len(self._numbers[0]) if self._numbers else 0

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Nothing where there is no chunk."""
        literals = ("{" + repr(column)[1:-1] + "}" for column in self._numbers)
        return (*zip(*self._chunks, strict=True), *literals, *map(texts, self._words))


def _extend(columns: list[Any], more: Sequence[Sequence[Any]]) -> None:
    if not columns:
        columns += [[] for _ in more]
    for column, values in zip(columns, more, strict=True):
        column.extend(values)


def dispatched(messages: Iterable[SmsDispatched], numbers: dict[BulkKey, int]) -> Columns:
    """tenant, bulk_no, chunk, sent_at, country; chunk, seq, version, credits, error, left, accepted, parts."""
    columns = Columns()
    for m in messages:
        key = bulk_of(m)
        columns.add(
            (key[0], numbers[key], m.chunk, at(m.at_unix_ms), m.country),
            (m.seq, m.version, m.credits, m.error, m.left, m.accepted, m.parts),
        )
    return columns


def receipts(messages: Iterable[SmsStatusChanged], numbers: dict[BulkKey, int]) -> Columns:
    """tenant, bulk_no, chunk; chunk, seq, version, unix_ms, receipt, error."""
    columns = Columns()
    for m in messages:
        key = bulk_of(m)
        columns.add((key[0], numbers[key], m.chunk), (m.seq, m.version, m.done_at_unix_ms, m.receipt), (m.error,))
    return columns


def times_of(messages: Iterable[SmsDispatched], numbers: dict[BulkKey, int]) -> list[tuple[int, datetime]]:
    """When messages of each send left: (send, time), one for each event that has a time."""
    return [(numbers[bulk_of(m)], time) for m in messages if (time := at(m.at_unix_ms)) is not None]


def requested(received: Received[BulkSmsRequested]) -> tuple[Any, ...]:
    """tenant, bulk, kind, class, sender, recipients, requested_at, credits asked for."""
    m = received.message
    return *bulk_of(m), m.kind, m.message_class, m.sender, m.recipients, at(m.requested_at_unix_ms), m.credits


def accounted(received: Received[BulkSmsAccounted]) -> tuple[Any, ...]:
    """tenant, bulk, version, closed; credits refunded, used, released, held."""
    m = received.message
    return *bulk_of(m), m.version, m.closed, m.refunded, m.used, m.released, m.held


def controlled(received: Received[BulkSmsControlled]) -> tuple[Any, ...]:
    """tenant, bulk, version, control, reason."""
    m = received.message
    return *bulk_of(m), m.control_version, m.control, m.reason


def paced(received: Received[BulkSmsPaced]) -> tuple[Any, ...]:
    """tenant, bulk, version, control_version, at, why, parts left, parts a second, finish, promised, promised finish,
    finished, credits reserved. ValueError for a rate that is none: no document could show it."""
    m = received.message
    if not math.isfinite(m.parts_per_second):
        raise ValueError("parts_per_second is not finite")
    return (
        *(*bulk_of(m), m.version, m.control_version, at(m.at_unix_ms), m.why, m.parts_left, m.parts_per_second),
        *(at(m.finish_unix_ms), at(m.promised_at_unix_ms), at(m.promised_finish_unix_ms), at(m.finished_unix_ms)),
        m.credits_reserved,
    )


def withdrawn(received: Received[BulkSmsWithdrawn]) -> tuple[Any, ...]:
    """As `accounted`, of a send that ended before it was requested: nobody accounts for it."""
    return *bulk_of(received.message), 1, True, 0, 0, 0, 0


def recipients(received: Received[BulkRecipientsAttached], bulk_no: int, gone: Gone) -> tuple[Any, ...]:
    """A row of the table recipients, its arrays as texts, without those who were erased since the send was begun;
    ValueError where one has not an entry for each."""
    m = received.message
    if gone:
        PERSONAL_TYPES["BulkRecipientsAttached"](m, gone)
    n = len(m.seq)
    if len(m.number) != n or len(m.customer_id) not in (0, n) or len(m.text_index) not in (0, n):
        raise ValueError("arrays of different lengths")
    if n and max(m.text_index, default=0) >= len(m.text):
        raise ValueError("an index of no text")
    return (
        *(received.tenant_id, bulk_no, m.chunk, array(m.seq), array(m.number), array(m.customer_id)),
        *(texts(m.text), array(m.text_index)),
    )


def replied(received: Received[ReplyReceived]) -> tuple[Any, ...]:
    """tenant, inbound, bulk or None, seq, verdict, rule, received_at, number_hash."""
    m = received.message
    bulk_id = UUID(m.bulk_id) if m.bulk_id else None
    told = (bulk_id, m.seq, m.verdict, m.rule, at(m.received_at_unix_ms), m.number_hash)
    return UUID(m.tenant_id), UUID(m.inbound_id), *told


def opted(received: Received[OptOutReceived]) -> tuple[Any, ...]:
    """tenant, inbound, opted_out."""
    m = received.message
    return UUID(m.tenant_id), UUID(m.inbound_id), m.opted_out


def written(received: Received[SmsReceived], gone: Gone) -> tuple[Any, ...]:
    """tenant, inbound, text (None of who was erased since), received_at, number_hash."""
    m = received.message
    text = None if gone and PERSONAL_TYPES["SmsReceived"](m, gone) else m.text
    return UUID(m.tenant_id), UUID(m.inbound_id), text, at(m.received_at_unix_ms), m.number_hash
