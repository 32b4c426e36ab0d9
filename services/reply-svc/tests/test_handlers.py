"""Each handler over real PostgreSQL, applied twice."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from muster.events.v1 import common_pb2, replies_pb2
from muster.events.v1.recipients_pb2 import BulkRecipientsAttached, SmsReceived
from muster.events.v1.sms_pb2 import SmsDispatched
from muster.events.v1.suppressions_pb2 import PersonErased
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit import clock
from muster.kit.consumer import Poison
from muster.kit.pg import Database
from muster.kit.testing import Emitted, apply, facts, forget_all, run_twice
from muster.reply import events, handlers
from muster.reply.domain import Line
from muster.reply.store import emails, inbox, sent
from muster.text import number_hash

KEY = bytes(32)
NUMBERS = [f"+6140000000{digit}" for digit in range(4)]
HOUR_MS = 3_600_000


@pytest.fixture
async def db(service_database: Callable[[str], Awaitable[Database]]) -> Database:
    return await service_database("reply")


@pytest.fixture
def tenant() -> UUID:
    return uuid4()


def hashed(tenant: UUID, number: str) -> bytes:
    return number_hash(KEY, 1, tenant, number)


def chunk(tenant: UUID, bulk: UUID, *, hours_ago: float = 1, **members: Any) -> BulkRecipientsAttached:
    return BulkRecipientsAttached(
        tenant_id=str(tenant),
        bulk_id=str(bulk),
        chunk=1,
        lane=common_pb2.LANE_SMALL,
        due_at_unix_ms=clock.unix_ms() - round(hours_ago * HOUR_MS),
        text=["Hello from Rosa", "Hello, Ann"],
        seq=[11, 12, 13, 14],
        text_index=[0, 1, 0, 0],
        number=[int(number) for number in NUMBERS],
        number_hash=[hashed(tenant, number) for number in NUMBERS],
        **members,
    )


async def erased(db: Database, tenant: UUID, number_hash: bytes) -> None:
    """A second from now, so that what these tests say is of before it."""
    said = {"number_hashes": [number_hash], "version": 1, "at_unix_ms": clock.unix_ms() + 1_000}
    await run_twice(db, handlers.HANDLERS["PersonErased"], PersonErased(tenant_id=str(tenant), **said))
    await forget_all(db, handlers.blank)


def one_of_text(index: int, text: Sequence[str] = ("Hello", "Hi")) -> BulkRecipientsAttached:
    """A chunk of one recipient, who gets the text of this index."""
    ids = {"tenant_id": str(UUID(int=1)), "bulk_id": str(UUID(int=2))}
    return BulkRecipientsAttached(
        **ids, chunk=1, lane=1, seq=[1], number_hash=[b"h" * 32], text=text, text_index=[index]
    )


def dispatched(
    tenant: UUID, bulk: UUID, left: dict[int, int] | None = None, *, minutes_ago: float = 30
) -> SmsDispatched:
    outcome = left or dict.fromkeys((11, 12, 13, 14), common_pb2.LEFT_ACCEPTED)
    return SmsDispatched(
        tenant_id=str(tenant),
        bulk_id=str(bulk),
        chunk=1,
        seq=list(outcome),
        left=list(outcome.values()),  # type: ignore[arg-type]
        at_unix_ms=clock.unix_ms() - round(minutes_ago * 60_000),
    )


def wrote(tenant: UUID, text: str, number: str = NUMBERS[1], **members: Any) -> SmsReceived:
    values = {
        "tenant_id": str(tenant),
        "inbound_id": str(uuid4()),
        "number": number,
        "number_hash": hashed(tenant, number),
        "text": text,
        "received_at_unix_ms": clock.unix_ms(),
    }
    return SmsReceived(**{**values, **members})


async def given_tenant(db: Database, tenant: UUID, **members: Any) -> None:
    settings = {"allow_sms_replies": True, "reception_email": "desk@rosa.example", "name": "Salon Rosa", **members}
    await apply(db, handlers.on_tenant_changed, TenantChanged(tenant_id=str(tenant), version=1, **settings))


async def said(db: Database, *types: str) -> list[Emitted]:
    async with db.worker() as tx:
        return await facts(tx, *types)


async def test_a_reply_is_tied_to_its_message_and_said_once(db: Database, tenant: UUID) -> None:
    bulk = uuid4()
    await given_tenant(db, tenant)
    await run_twice(db, handlers.on_bulk_recipients_attached, chunk(tenant, bulk))
    await run_twice(db, handlers.on_sms_dispatched, dispatched(tenant, bulk))
    event = wrote(tenant, "See you at ten")

    (fact,) = await run_twice(db, handlers.on_sms_received, event)

    assert fact.topic == "replies"
    assert fact.key == tenant.bytes + event.number_hash
    assert fact.correlation == str(bulk)
    message = fact.message
    assert (message.inbound_id, message.bulk_id, message.seq) == (event.inbound_id, str(bulk), 12)
    assert (message.verdict, message.doubtful) == (replies_pb2.REPLY_VERDICT_ORDINARY, False)
    async with db.request(tenant) as tx:
        row = await inbox.reply(tx, tenant, UUID(event.inbound_id))
    assert row is not None
    assert (row["number"], row["text"], row["bulk_id"], row["seq"]) == (NUMBERS[1], "See you at ten", bulk, 12)


async def test_an_opt_out_is_told_confirmed_and_forwarded_once(db: Database, tenant: UUID) -> None:
    await given_tenant(db, tenant)
    first, second = wrote(tenant, "STOP"), wrote(tenant, "STOPALL")

    told = await run_twice(db, handlers.on_sms_received, first, second)

    kinds = [type(fact.message).__name__ for fact in told]
    assert kinds == ["ReplyReceived", "OptOutReceived", "AnswerRequested", "ReplyReceived", "OptOutReceived"]
    opt_out, answer, all_out = told[1].message, told[2].message, told[4].message
    assert (opt_out.opted_out, opt_out.inbound_id) == (True, first.inbound_id)
    assert (opt_out.scope, all_out.scope) == (
        common_pb2.SUPPRESSION_SCOPE_MARKETING,
        common_pb2.SUPPRESSION_SCOPE_ALL,
    )
    assert (answer.number, answer.inbound_id) == (NUMBERS[1], first.inbound_id)
    assert answer.text.startswith("Salon Rosa")
    async with db.worker() as tx:
        forwards = await emails.lease(tx, 10, 60)
    assert sorted(str(forward.inbound_id) for forward in forwards) == sorted([first.inbound_id, second.inbound_id])


async def test_a_second_opt_out_of_a_later_batch_is_not_confirmed_again(db: Database, tenant: UUID) -> None:
    await apply(db, handlers.on_sms_received, wrote(tenant, "STOP"))
    await apply(db, handlers.on_sms_received, wrote(tenant, "STOP"))

    assert len(await said(db, "OptOutReceived")) == 2
    assert len(await said(db, "AnswerRequested")) == 1


async def test_an_opt_in_is_told_as_one(db: Database, tenant: UUID) -> None:
    await apply(db, handlers.on_sms_received, wrote(tenant, "START"))

    (fact,) = await said(db, "OptOutReceived")
    assert fact.message.opted_out is False


async def test_messages_that_never_left_are_not_answered(db: Database, tenant: UUID) -> None:
    older, newer = uuid4(), uuid4()
    await apply(db, handlers.on_bulk_recipients_attached, chunk(tenant, older, hours_ago=9 * 24), chunk(tenant, newer))
    stopped = {11: common_pb2.LEFT_ACCEPTED, 12: common_pb2.LEFT_STOPPED}
    await run_twice(
        db,
        handlers.on_sms_dispatched,
        dispatched(tenant, older, minutes_ago=9 * 24 * 60),
        dispatched(tenant, newer, stopped),
    )

    await apply(db, handlers.on_sms_received, wrote(tenant, "ok", NUMBERS[0]), wrote(tenant, "ok", NUMBERS[1]))

    answered = [(fact.message.bulk_id, fact.message.seq) for fact in await said(db, "ReplyReceived")]
    assert answered == [(str(newer), 11), (str(older), 12)]


async def test_dispatches_may_be_heard_before_their_chunk_and_in_any_order(db: Database, tenant: UUID) -> None:
    bulk = uuid4()
    steps = [
        dispatched(tenant, bulk, {11: common_pb2.LEFT_ACCEPTED}, minutes_ago=20),
        dispatched(tenant, bulk, {12: common_pb2.LEFT_SUPPRESSED, 13: common_pb2.LEFT_REJECTED}, minutes_ago=25),
        dispatched(tenant, bulk, {14: common_pb2.LEFT_UNKNOWN}, minutes_ago=10),
    ]
    for step in (*reversed(steps), *steps):
        await apply(db, handlers.on_sms_dispatched, step)
    await apply(db, handlers.on_bulk_recipients_attached, chunk(tenant, bulk))

    async with db.worker() as tx:
        keys = {(tenant, events.key_of(hashed(tenant, NUMBERS[0])))}
        (row,) = await sent.chunks_with(tx, keys, datetime(2000, 1, 1, tzinfo=UTC), clock.now(), 5)

    assert row["unsent"] == [12, 13]
    assert row["sent_at"] == datetime.fromtimestamp(steps[2].at_unix_ms / 1000, UTC)


async def test_two_sends_of_a_week_leave_doubt(db: Database, tenant: UUID) -> None:
    older, newer = uuid4(), uuid4()
    await apply(db, handlers.on_bulk_recipients_attached, chunk(tenant, older, hours_ago=48), chunk(tenant, newer))

    await apply(db, handlers.on_sms_received, wrote(tenant, "yes please"))

    (fact,) = await said(db, "ReplyReceived")
    assert (fact.message.bulk_id, fact.message.doubtful) == (str(newer), True)


async def test_a_number_that_stands_twice_in_a_chunk_is_answered_at_the_later_place_and_erased_at_both(
    db: Database, tenant: UUID
) -> None:
    bulk, event = uuid4(), wrote(tenant, "ok")
    twice = chunk(tenant, bulk)
    twice.number_hash[3] = event.number_hash
    await apply(db, handlers.on_bulk_recipients_attached, twice)
    await apply(db, handlers.on_sms_dispatched, dispatched(tenant, bulk))

    await apply(db, handlers.on_sms_received, event)

    (fact,) = await said(db, "ReplyReceived")
    assert (fact.message.seq, fact.message.doubtful) == (14, True)
    await erased(db, tenant, event.number_hash)
    async with db.worker() as tx:
        before = clock.now() + timedelta(seconds=1)
        lines = await handlers.conversation(tx, tenant, event.number_hash, before, 10)
    assert [(line.seq, line.text) for line in lines if line.outgoing] == [(14, ""), (12, "")]


async def test_a_reply_to_another_number_of_the_business_answers_what_came_from_there(
    db: Database, tenant: UUID
) -> None:
    older, newer = uuid4(), uuid4()
    await apply(
        db,
        handlers.on_bulk_recipients_attached,
        chunk(tenant, older, hours_ago=48, sender="+61480000001"),
        chunk(tenant, newer, sender="+61480000002"),
    )

    await apply(db, handlers.on_sms_received, wrote(tenant, "yes please", to="61480000001"))

    (fact,) = await said(db, "ReplyReceived")
    assert (fact.message.bulk_id, fact.message.doubtful) == (str(older), False)


async def test_another_tenants_message_to_the_same_number_is_never_answered(db: Database, tenant: UUID) -> None:
    other = uuid4()
    await apply(db, handlers.on_bulk_recipients_attached, chunk(other, uuid4()))

    await apply(db, handlers.on_sms_received, wrote(tenant, "ok"))

    (fact,) = await said(db, "ReplyReceived")
    assert (fact.message.bulk_id, fact.message.seq) == ("", 0)


async def test_the_conversation_has_both_sides_newest_first(db: Database, tenant: UUID) -> None:
    bulk = uuid4()
    await apply(db, handlers.on_bulk_recipients_attached, chunk(tenant, bulk))
    await apply(db, handlers.on_sms_received, wrote(tenant, "who is this?"), wrote(tenant, "no", NUMBERS[2]))

    async with db.worker() as tx:
        lines = await handlers.conversation(
            tx, tenant, hashed(tenant, NUMBERS[1]), clock.now() + timedelta(seconds=1), 10
        )

    assert [(line.outgoing, line.text, line.seq) for line in lines] == [
        (False, "who is this?", 12),
        (True, "Hello, Ann", 12),
    ]
    assert all(isinstance(line, Line) for line in lines)


async def test_a_message_that_waits_is_not_in_the_conversation_until_it_left(db: Database, tenant: UUID) -> None:
    bulk = uuid4()
    await apply(db, handlers.on_bulk_recipients_attached, chunk(tenant, bulk))

    async def texts() -> list[str]:
        async with db.worker() as tx:
            lines = await handlers.conversation(tx, tenant, hashed(tenant, NUMBERS[1]), clock.now(), 10)
        return [line.text for line in lines]

    assert await texts() == []
    await apply(db, handlers.on_sms_dispatched, dispatched(tenant, bulk))
    assert await texts() == ["Hello, Ann"]


async def test_an_erased_person_leaves_no_text_and_no_number(db: Database, tenant: UUID) -> None:
    bulk = uuid4()
    await given_tenant(db, tenant)
    await apply(db, handlers.on_bulk_recipients_attached, chunk(tenant, bulk))
    event = wrote(tenant, "my name is Ann")
    await apply(db, handlers.on_sms_received, event)

    await erased(db, tenant, event.number_hash)
    late = uuid4()
    await apply(db, handlers.on_bulk_recipients_attached, chunk(tenant, late))
    await apply(db, handlers.on_sms_dispatched, dispatched(tenant, bulk), dispatched(tenant, late))
    await apply(db, handlers.on_sms_received, wrote(tenant, "Ann again"))

    async with db.worker() as tx:
        assert await emails.lease(tx, 10, 60) == []
        before = clock.now() + timedelta(seconds=1)
        lines = await handlers.conversation(tx, tenant, event.number_hash, before, 10)
        others = await handlers.conversation(tx, tenant, hashed(tenant, NUMBERS[0]), before, 10)
        stored = await tx.fetch("SELECT number, text, payload FROM inbound_message, sent_chunk")
    assert {line.text for line in lines} == {""}
    assert [line.text for line in others] == ["Hello from Rosa"] * 2
    assert all(row["number"] == row["text"] == "" for row in stored)
    assert all("Ann" not in str(events._unpacked(row["payload"])) for row in stored)


async def test_the_newest_settings_of_a_tenant_stand(db: Database, tenant: UUID) -> None:
    newer = TenantChanged(tenant_id=str(tenant), version=7, reception_email="new@rosa.example")
    older = TenantChanged(tenant_id=str(tenant), version=6, reception_email="old@rosa.example")

    await run_twice(db, handlers.on_tenant_changed, newer, older)

    async with db.worker() as tx:
        assert (await sent.tenants(tx, [tenant]))[tenant].reception_email == "new@rosa.example"


@pytest.mark.parametrize(
    ("handler", "event"),
    [
        (handlers.on_sms_received, wrote(UUID(int=1), "hi", inbound_id="7")),
        (handlers.on_sms_received, wrote(UUID(int=1), "hi", number_hash=b"short")),
        (handlers.on_sms_received, wrote(UUID(int=1), "hi", received_at_unix_ms=2**62)),
        (handlers.on_bulk_recipients_attached, BulkRecipientsAttached(tenant_id=str(UUID(int=1)), lane=1, seq=[1])),
        (handlers.on_bulk_recipients_attached, one_of_text(2)),
        (handlers.on_bulk_recipients_attached, one_of_text(0, text=[])),
        (handlers.on_sms_dispatched, SmsDispatched(tenant_id=str(UUID(int=1)), bulk_id=str(UUID(int=2)), seq=[1])),
    ],
)
async def test_events_that_cannot_be_are_poison(db: Database, handler: Any, event: Any) -> None:
    with pytest.raises(Poison):
        await apply(db, handler, event)


async def test_hostile_text_is_stored_as_it_is_without_nul(db: Database, tenant: UUID) -> None:
    text = "\u202estop\u202c \0 \u2028 =?utf-8?q?x?= '; DROP TABLE inbound_message --"
    event = wrote(tenant, text)

    await apply(db, handlers.on_sms_received, event)

    async with db.request(tenant) as tx:
        row = await inbox.reply(tx, tenant, UUID(event.inbound_id))
    assert row is not None
    assert row["text"] == text.replace("\0", "")


async def test_the_search_for_a_message_uses_the_index_of_keys(
    db: Database, tenant: UUID, service_database: Any
) -> None:
    rows = [(tenant, uuid4(), 1, clock.now(), [n * 100 + k for k in range(100)], b"") for n in range(300)]
    async with db.worker() as tx:
        await sent.add_chunks(tx, rows)
    admin = await asyncpg.connect(service_database.admin_dsn(db))
    await admin.execute("VACUUM ANALYZE sent_chunk")
    await admin.close()

    async with db.worker() as tx:
        ever, now = datetime(2000, 1, 1, tzinfo=UTC), clock.now()
        plan = await tx.fetch("EXPLAIN " + sent._CANDIDATES, [tenant], [7], ever, now, 8)
        found = await sent.chunks_with(tx, {(tenant, 1_207)}, ever, now, 8)

    assert any("sent_chunk_keys" in row[0] for row in plan), plan
    assert [(row["bulk_id"], row["place"]) for row in found] == [(rows[12][1], 7)]


async def test_old_chunks_are_forgotten_and_recent_ones_are_not(db: Database, tenant: UUID) -> None:
    old, recent = uuid4(), uuid4()
    await apply(db, handlers.on_bulk_recipients_attached, chunk(tenant, old), chunk(tenant, recent))
    await apply(db, handlers.on_sms_dispatched, dispatched(tenant, old))
    async with db.worker() as tx:
        for table in ("sent_chunk", "dispatched"):
            await tx.execute(f"UPDATE {table} SET heard_at = kit_now() - interval '61 days' WHERE bulk_id = $1", old)

    async with db.worker() as tx:
        assert await sent.forget(tx, 60, 100) == 2
    async with db.worker() as tx:
        assert [row["bulk_id"] for row in await tx.fetch("SELECT bulk_id FROM sent_chunk")] == [recent]


async def test_what_strangers_wrote_long_ago_is_blanked_unless_it_waits(db: Database, tenant: UUID) -> None:
    for text in ("who is this", "maybe stop"):
        await apply(db, handlers.on_sms_received, wrote(tenant, text))
    async with db.worker() as tx:
        old = "UPDATE inbound_message SET received_at = received_at - interval '731 days', verdict = $1 WHERE text = $2"
        await tx.executemany(old, [("ordinary", "who is this"), ("unclear", "maybe stop")])
    await apply(db, handlers.on_sms_received, wrote(tenant, "and now"))

    async with db.worker() as tx:
        assert await inbox.blank_strangers(tx, 730, 100) == 1
        kept = await tx.fetch("SELECT text FROM inbound_message WHERE NOT erased")
    assert {row["text"] for row in kept} == {"and now", "maybe stop"}
