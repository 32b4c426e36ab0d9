"""An erased person: the report counts their messages as before and says "erased" instead of who they were."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from report_world import ACCEPTED, TIME_MS, Send, headers_of, rows_of

from muster.events.v1.recipients_pb2 import SmsReceived
from muster.events.v1.replies_pb2 import ReplyReceived
from muster.events.v1.suppressions_pb2 import PersonErased
from muster.kit.ids import checked_uuid
from muster.kit.pg import Database
from muster.kit.testing import apply, forget_all
from muster.report.handlers import HANDLERS, blank_by
from muster.report.store import reading
from muster.report.stream.applier import Record
from muster.report.stream.applier import apply as apply_records
from muster.text import number_hash

KEY = bytes(range(32))
ANA, BO = 61_491_570_156, 61_491_570_157
BLANK = blank_by(KEY, 1)


def hashed(send: Send, number: int) -> bytes:
    return number_hash(KEY, 1, send.tenant, f"+{number}")


def begun_now() -> Send:
    tenant = uuid4()
    return Send(tenant, checked_uuid(KEY, tenant))


def erased(send: Send, number: int, at_ms: int) -> PersonErased:
    return PersonErased(tenant_id=str(send.tenant), number_hashes=[hashed(send, number)], version=1, at_unix_ms=at_ms)


def told(send: Send) -> list[Any]:
    """Two people got texts, and Ana wrote back."""
    chunk = send.recipients([ANA, BO], ["Hi Ana", "Hi Bo"])
    chunk.number_hash.extend(hashed(send, number) for number in (ANA, BO))
    ids = {"tenant_id": str(send.tenant), "inbound_id": str(UUID(int=9)), "number_hash": hashed(send, ANA)}
    return [
        chunk,
        send.dispatched([ACCEPTED, ACCEPTED]),
        SmsReceived(**ids, number=f"+{ANA}", text="It is Ana", received_at_unix_ms=TIME_MS),
        ReplyReceived(**ids, bulk_id=str(send.bulk), seq=1, verdict=1, received_at_unix_ms=TIME_MS),
    ]


async def hear(db: Database, *messages: Any) -> None:
    for message in messages:
        await apply(db, HANDLERS[message.DESCRIPTOR.name], message)


async def everything(db: Database) -> str:
    rows = [await rows_of(db, table) for table in ("recipients", "reply", "message", "bulk", "erased_number")]
    return str(rows)


AFTER_MS = TIME_MS * 2
"""Later than whatever these tests say."""


@pytest.mark.parametrize("late", [False, True])
async def test_a_row_of_an_erased_person_is_kept_without_number_text_customer_and_words(
    db: Database, late: bool
) -> None:
    send = begun_now()
    events, erasure = told(send), erased(send, ANA, AFTER_MS)
    if not late:
        await hear(db, *events)
        assert "It is Ana" in await everything(db)
    await hear(db, erasure)
    await forget_all(db, BLANK)
    if late:
        await hear(db, *events)

    found = await everything(db)
    assert "Ana" not in found
    assert str(ANA) not in found
    async with db.worker() as tx:
        [bulk_no] = (await tx.fetchrow("SELECT bulk_no FROM bulk")) or ()
        people = await reading.people(tx, send.tenant, [(bulk_no, 1, 1), (bulk_no, 1, 2)])
    assert people == {(bulk_no, 1): (0, "", 0), (bulk_no, 2): (BO, "Hi Bo", 902)}
    assert [(row["seq"], row["credits"], row["parts"]) for row in await rows_of(db, "message")] == [
        (1, 2, 1),
        (2, 2, 1),
    ]


async def test_what_is_of_after_the_erasure_stays(db: Database) -> None:
    send = begun_now()

    await hear(db, erased(send, ANA, TIME_MS - 1), *told(send))
    await forget_all(db, BLANK)

    [row] = await rows_of(db, "recipients")
    [reply] = await rows_of(db, "reply")
    assert (row["numbers"], reply["text"]) == ([ANA, BO], "It is Ana")


async def test_a_rebuild_from_the_topics_shows_nobody_who_was_erased_before_it(db: Database) -> None:
    send = begun_now()
    events = told(send)
    await hear(db, erased(send, ANA, AFTER_MS), *events)
    async with db.worker() as tx:
        for table in ("message", "bulk", "reply", "applied_range"):
            await tx.execute(f"DELETE FROM {table}")

    for at, one in enumerate(events):
        record = Record("bulk-recipients", 0, at, b"", one.SerializeToString(), headers_of(one))
        await apply_records(db, [record])

    found = await everything(db)
    assert "Ana" not in found
    assert str(ANA) not in found
