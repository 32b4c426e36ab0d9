"""What the tests of report-svc share: events of one send, and its rows."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

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
from muster.kit import clock
from muster.kit.ids import uuid7
from muster.kit.pg import Database

SUBMITTING, ACCEPTED, UNKNOWN, REJECTED, STOPPED, SUPPRESSED = range(1, 7)
DELIVERED, UNDELIVERED, EXPIRED, REJECTED_LATER = range(1, 5)
TIME_MS = 1_780_000_000_000


class Send:
    """A send of a tenant, and what the other services say about it."""

    def __init__(self, tenant: UUID | None = None, bulk: UUID | None = None) -> None:
        self.tenant, self.bulk = tenant or uuid4(), bulk or uuid4()
        self.ids = {"tenant_id": str(self.tenant), "bulk_id": str(self.bulk)}

    def requested(self, recipients: int, kind: int = 1) -> BulkSmsRequested:
        return BulkSmsRequested(
            **self.ids,
            recipients=recipients,
            credits=2 * recipients,
            kind=kind,
            message_class=2,
            sender="Muster",
            requested_at_unix_ms=TIME_MS,
        )

    def withdrawn(self) -> BulkSmsWithdrawn:
        return BulkSmsWithdrawn(**self.ids, reason="stopped", at_unix_ms=TIME_MS)

    def dispatched(
        self, lefts: Sequence[int], version: int = 1, *, first: int = 1, at_ms: int = TIME_MS, **replace: Any
    ) -> SmsDispatched:
        n = len(lefts)
        values: dict[str, Any] = {
            "chunk": 1,
            "country": "AU",
            "seq": range(first, first + n),
            "left": lefts,
            "accepted": [2 if left == ACCEPTED else 1 for left in lefts],
            "version": [version] * n,
            "parts": [1] * n,
            "credits": [2 if left == ACCEPTED else 0 for left in lefts],
            "error": [0x45 if left == REJECTED else 0 for left in lefts],
            "at_unix_ms": at_ms,
        }
        return SmsDispatched(**self.ids, **values | replace)

    def receipts(self, states: Sequence[int], version: int = 1, *, first: int = 1) -> SmsStatusChanged:
        n = len(states)
        return SmsStatusChanged(
            **self.ids,
            chunk=1,
            seq=range(first, first + n),
            receipt=states,
            version=[version] * n,
            error=["" if state == DELIVERED else "00A" for state in states],
            done_at_unix_ms=[TIME_MS + 5_000 + version] * n,
        )

    def recipients(self, numbers: Sequence[int], texts: Sequence[str] = ("hi",)) -> BulkRecipientsAttached:
        n = len(numbers)
        index = [min(at, len(texts) - 1) for at in range(n)]
        return BulkRecipientsAttached(
            **self.ids,
            chunk=1,
            lane=1,
            seq=range(1, n + 1),
            number=numbers,
            customer_id=range(901, 901 + n),
            text=texts,
            text_index=index,
        )

    def accounted(self, version: int, *, closed: bool, refunded: int = 0, **credits: int) -> BulkSmsAccounted:
        return BulkSmsAccounted(**self.ids, version=version, closed=closed, refunded=refunded, **credits)

    def controlled(self, version: int, control: int, reason: str = "") -> BulkSmsControlled:
        return BulkSmsControlled(**self.ids, control_version=version, control=control, reason=reason)

    def paced(self, version: int, control_version: int = 0, **members: Any) -> BulkSmsPaced:
        return BulkSmsPaced(**self.ids, version=version, control_version=control_version, **members)

    def answers(self, inbound: UUID, seq: int = 1) -> tuple[SmsReceived, ReplyReceived, OptOutReceived]:
        """A customer's STOP: what was written, what it answers, and that it is an opt-out."""
        ids = {"tenant_id": str(self.tenant), "inbound_id": str(inbound), "received_at_unix_ms": TIME_MS + 60_000}
        answered = {**ids, "bulk_id": str(self.bulk), "seq": seq, "rule": "stop"}
        return (
            SmsReceived(**ids, text="STOP"),
            ReplyReceived(**answered, verdict=2),
            OptOutReceived(**answered, opted_out=True),
        )


def headers_of(message: Any) -> list[tuple[str, bytes]]:
    """The headers of an event on the wire."""
    headers = {
        "ce_id": str(uuid7()),
        "ce_type": message.DESCRIPTOR.name,
        "ce_time": clock.rfc3339(clock.unix_ms()),
        "tenant": message.tenant_id,
    }
    return [(name, value.encode()) for name, value in headers.items()]


async def rows_of(db: Database, table: str, *leave: str) -> list[dict[str, Any]]:
    """All rows of a table without the columns that the order of events may decide."""
    async with db.worker() as tx:
        rows = await tx.fetch(f"SELECT * FROM {table}")
    kept = [{name: value for name, value in row.items() if name not in leave} for row in rows]
    return sorted(kept, key=lambda row: [str(value) for value in row.values()])


async def recount(db: Database) -> None:
    """AssertionError where the live counts of a send are not those of its rows."""
    async with db.worker() as tx:
        sends = await tx.fetch("SELECT bulk_no, counts, parts, credits FROM bulk")
        messages = await tx.fetch("SELECT bulk_no, ended, accepted, parts, credits FROM message")
    for send in sends:
        own = [row for row in messages if row["bulk_no"] == send["bulk_no"]]
        ended = [row["ended"] for row in own]
        assert send["counts"] == [ended.count(code) for code in range(16)]
        assert send["parts"] == sum(row["parts"] for row in own if row["accepted"] == 2)
        assert send["credits"] == sum(row["credits"] for row in own)
