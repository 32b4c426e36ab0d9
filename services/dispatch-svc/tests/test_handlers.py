"""Handlers: each event twice is as good as once, and what cannot be is refused."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.handlers import HANDLERS
from muster.dispatch.store import suppressions
from muster.events import consumed_by
from muster.events.v1 import common_pb2
from muster.events.v1.credits_pb2 import CreditsRefused, CreditsReserved, CreditsSettled
from muster.events.v1.suppressions_pb2 import PersonErased, SuppressionChanged
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit import clock
from muster.kit.consumer import Poison
from muster.kit.pg import Database
from muster.kit.testing import apply, run_twice

TABLES = ("saga", "chunk", "attempt", "chunk_body", "suppression", "hold", "tenant", "sender_number")


async def state(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, less the times at which they were written and the counters that only say "look again"."""
    found = {}
    async with db.worker() as tx:
        for table in TABLES:
            rows = await tx.fetch(f"SELECT * FROM {table}")
            found[table] = sorted(
                tuple(str(value) for name, value in row.items() if not name.endswith("_at")) for row in rows
            )
    return found


def events_of(send: Send) -> list[Any]:
    tenant_id, number_hash = str(send.tenant_id), world.hash_of(send.tenant_id, send.numbers[0])
    bulk_id = str(send.bulk_id)
    return [
        world.tenant(send),
        send.requested(),
        send.chunk(1),
        send.chunk(2),
        send.reserved(),
        SuppressionChanged(tenant_id=tenant_id, number_hash=number_hash, version=2, suppressed=True, scope=1),
        SuppressionChanged(tenant_id=tenant_id, number_hash=number_hash, version=1, suppressed=False, scope=1),
        PersonErased(tenant_id=tenant_id, number_hashes=[number_hash], version=1),
        CreditsSettled(tenant_id=tenant_id, bulk_id=bulk_id, version=0),
    ]


async def test_every_event_twice_leaves_the_same_state_and_the_same_facts(db: Database) -> None:
    send = Send(recipients=600)
    for message in events_of(send):
        handler = HANDLERS[message.DESCRIPTOR.name]
        await apply(db, handler, message)
        once, said = await state(db), len(await world.said(db))

        facts = await run_twice(db, handler, message)

        assert await state(db) == once, message.DESCRIPTOR.name
        assert len(facts) == said, message.DESCRIPTOR.name


async def test_a_send_in_reverse_order_is_the_same_send(db: Database) -> None:
    send = Send(recipients=600)

    await world.hear(db, send.reserved(), send.chunk(2), send.chunk(1), send.requested())

    saga = await world.saga(db, send)
    assert (saga["state"], saga["arrived"], saga["chunks"], saga["reserved"]) == ("sending", 2, 2, 600)


async def test_a_batch_with_the_same_chunk_twice_adds_it_once(db: Database) -> None:
    send = Send(recipients=10)

    await apply(db, HANDLERS["BulkRecipientsAttached"], send.chunk(1), send.chunk(1))

    assert (await world.saga(db, send))["arrived"] == 1


async def test_contradicting_credits_park_the_send(db: Database) -> None:
    send = Send(recipients=10)
    await world.queue(db, send)

    await world.hear(db, CreditsRefused(tenant_id=str(send.tenant_id), bulk_id=str(send.bulk_id)))

    saga = await world.saga(db, send)
    assert (saga["state"], saga["parked"]) == ("sending", "refused after it was reserved")


async def test_numbers_and_texts_are_blanked_when_a_chunk_is_done_and_the_rest_stays(db: Database) -> None:
    send = Send(recipients=10)
    await world.hear(db, send.requested(), send.chunk(1))
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT personal IS NOT NULL FROM chunk_body")

    await world.hear(db, CreditsRefused(tenant_id=str(send.tenant_id), bulk_id=str(send.bulk_id)))
    await world.sweep(db)

    async with db.worker() as tx:
        row = await tx.fetchrow("SELECT plain, personal FROM chunk_body")
    assert row is not None
    assert row["personal"] is None
    assert str(send.numbers[0]).encode() not in row["plain"]
    assert send.text.encode() not in row["plain"]
    assert world.hash_of(send.tenant_id, send.numbers[0]) in row["plain"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"price": [1]}, "columns of different lengths"),
        ({"parts": [1, 0, 1]}, "parts out of range"),
        ({"seq": range(1, 1_002)}, "columns of different lengths"),
        ({"price": [1, -1, 1]}, "a negative price"),
        ({"text_index": [0, 1, 0]}, "an index beyond the texts"),
        ({"encoding": []}, "texts and their index do not fit"),
    ],
)
async def test_a_chunk_that_can_never_be_sent_is_poison(db: Database, change: dict[str, Any], why: str) -> None:
    chunk = Send(recipients=3).chunk(1)
    for name, values in change.items():
        chunk.ClearField(name)
        getattr(chunk, name).extend(values)

    with pytest.raises(Poison, match=why):
        await apply(db, HANDLERS["BulkRecipientsAttached"], chunk)


async def test_a_sender_number_has_one_owner_and_a_name_gets_no_replies(db: Database) -> None:
    first, second, named = uuid4(), uuid4(), uuid4()

    await world.hear(
        db,
        TenantChanged(tenant_id=str(first), version=1, sender="+61400000001"),
        TenantChanged(tenant_id=str(second), version=1, sender="+61400000001"),
        TenantChanged(tenant_id=str(named), version=1, sender="SALON"),
        TenantChanged(tenant_id=str(first), version=2, sender="+61400000002"),
    )

    said = [(one.sender, one.owner_tenant_id, one.receives_replies, one.active) for one in await world.said(db)]
    assert said == [
        ("61400000001", str(first), True, True),
        ("61400000001", str(second), True, False),
        ("SALON", str(named), False, True),
        ("61400000001", str(first), True, False),
        ("61400000002", str(first), True, True),
    ]


async def test_an_erased_person_gets_nothing_that_was_queued_but_what_comes_later(db: Database) -> None:
    send = Send(recipients=2)
    hashes = [world.hash_of(send.tenant_id, number) for number in send.numbers]
    before = clock.now() - timedelta(milliseconds=1)
    await world.hear(db, PersonErased(tenant_id=str(send.tenant_id), number_hashes=hashes[:1], version=1))

    async with db.worker() as tx:
        queued = await suppressions.barred(tx, send.tenant_id, hashes, 2, before)
        later = await suppressions.barred(tx, send.tenant_id, hashes, 2, clock.now())

    assert (queued.suppressed, later.suppressed) == ({hashes[0]}, frozenset())


async def test_a_suppression_of_everything_reaches_what_a_marketing_one_does_not(db: Database) -> None:
    send = Send(recipients=2)
    hashes = [world.hash_of(send.tenant_id, number) for number in send.numbers]
    scopes = (common_pb2.SUPPRESSION_SCOPE_MARKETING, common_pb2.SUPPRESSION_SCOPE_ALL)
    for number_hash, scope in zip(hashes, scopes, strict=True):
        await world.hear(
            db,
            SuppressionChanged(
                tenant_id=str(send.tenant_id), number_hash=number_hash, version=1, suppressed=True, scope=scope
            ),
        )

    async with db.worker() as tx:
        marketing = await suppressions.barred(tx, send.tenant_id, hashes, 1, clock.now())
        other = await suppressions.barred(tx, send.tenant_id, hashes, 2, clock.now())

    assert marketing.suppressed == set(hashes)
    assert other.suppressed == {hashes[1]}


def test_everything_the_registry_gives_us_has_a_handler() -> None:
    heard = {event for topic in consumed_by("dispatch") for event in topic.events}

    assert set(HANDLERS) == heard - {"CreditsToppedUp", "CreditsLow", "AutomaticTopUpFailed"}, (
        "what customers top up is not our business"
    )


async def test_credits_for_a_send_nobody_has_heard_of_make_its_row(db: Database) -> None:
    bulk_id, tenant_id = uuid4(), uuid4()

    await world.hear(db, CreditsReserved(tenant_id=str(tenant_id), bulk_id=str(bulk_id), credits=3))

    async with db.worker() as tx:
        assert await tx.fetchval("SELECT state FROM saga") == "sending"
