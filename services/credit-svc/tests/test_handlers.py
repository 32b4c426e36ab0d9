"""Each handler over real PostgreSQL, applied twice: the effect once, the answer each time the same."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from muster.credit import handlers
from muster.credit.domain.account import Account
from muster.credit.domain.top_ups import Granted, TopUp
from muster.credit.store import ledger, rates
from muster.events import NIL_TENANT
from muster.events.v1.bulk_pb2 import (
    PARTIAL_RULE_FIRST_N,
    PARTIAL_RULE_NOTHING,
    BulkSmsAccounted,
    BulkSmsRequested,
    PartialRule,
)
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit.consumer import Poison
from muster.kit.pg import Database
from muster.kit.testing import apply, facts, run_twice


@pytest.fixture
async def db(service_database: Callable[[str], Awaitable[Database]]) -> Database:
    return await service_database("credit")


@pytest.fixture
def tenant() -> UUID:
    return uuid4()


async def given_credits(db: Database, tenant: UUID, credits: int) -> None:
    await apply(db, handlers.on_tenant_changed, TenantChanged(tenant_id=str(tenant), version=1))
    async with db.request(tenant) as tx:
        assert isinstance(await handlers.top_up(tx, TopUp(tenant, uuid4(), credits)), Granted)


async def account(db: Database, tenant: UUID) -> Account:
    async with db.request(tenant) as tx:
        return await ledger.balance(tx, tenant)


def requested(tenant: UUID, bulk: UUID, credits: int, partial: PartialRule = PARTIAL_RULE_NOTHING) -> BulkSmsRequested:
    return BulkSmsRequested(
        tenant_id=str(tenant), bulk_id=str(bulk), credits=credits, partial=partial, send_by_unix_ms=77
    )


async def test_a_reservation_is_made_once_and_said_each_time(db: Database, tenant: UUID) -> None:
    await given_credits(db, tenant, 100)
    bulk = uuid4()

    said = await run_twice(db, handlers.on_bulk_sms_requested, requested(tenant, bulk, 40))

    answers = [fact for fact in said if fact.topic == "credits" and fact.correlation == str(bulk)]
    assert [type(fact.message).__name__ for fact in answers] == ["CreditsReserved", "CreditsReserved"]
    assert answers[0].message == answers[1].message
    message = answers[0].message
    assert (message.credits, message.asked, message.send_by_unix_ms, message.available) == (40, 40, 77, 60)
    assert answers[0].key == str(tenant).encode()
    left = await account(db, tenant)
    assert (left.available, left.reserved, left.version, left.conservation) == (60, 40, 2, 0)


async def test_a_refusal_is_stored_too_and_outlives_a_top_up(db: Database, tenant: UUID) -> None:
    await given_credits(db, tenant, 100)
    event = requested(tenant, uuid4(), 130)
    await apply(db, handlers.on_bulk_sms_requested, event)
    await given_credits(db, tenant, 1000)

    await apply(db, handlers.on_bulk_sms_requested, event)

    async with db.worker() as tx:
        first, second = await facts(tx, "CreditsRefused")
    assert first.message == second.message
    assert (first.message.shortfall, first.message.reason, first.message.asked) == (30, "short", 130)


async def test_one_batch_reserves_for_many_tenants_in_order_within_each(db: Database) -> None:
    tenants = [uuid4() for _ in range(3)]
    for tenant in tenants:
        await given_credits(db, tenant, 100)
    events = [requested(tenant, uuid4(), credits) for credits in (60, 60, 40) for tenant in tenants]

    await apply(db, handlers.on_bulk_sms_requested, *events)

    async with db.worker() as tx:
        said = await facts(tx, "CreditsReserved", "CreditsRefused")
    assert [type(fact.message).__name__ for fact in said] == [
        *("CreditsReserved",) * 3,
        *("CreditsRefused",) * 3,
        *("CreditsReserved",) * 3,
    ]
    for tenant in tenants:
        assert (await account(db, tenant)).available == 0


async def test_batches_at_the_same_time_never_overspend_a_wallet(db: Database, tenant: UUID) -> None:
    await given_credits(db, tenant, 100)
    batches = [[requested(tenant, uuid4(), 7) for _ in range(5)] for _ in range(6)]

    await asyncio.gather(*(apply(db, handlers.on_bulk_sms_requested, *batch) for batch in batches))

    async with db.worker() as tx:
        reserved, refused = await facts(tx, "CreditsReserved"), await facts(tx, "CreditsRefused")
    assert (len(reserved), len(refused)) == (14, 16)
    left = await account(db, tenant)
    assert (left.available, left.reserved, left.version) == (2, 98, 15)


async def test_first_n_reserves_what_there_is(db: Database, tenant: UUID) -> None:
    await given_credits(db, tenant, 100)

    await apply(db, handlers.on_bulk_sms_requested, requested(tenant, uuid4(), 500, PARTIAL_RULE_FIRST_N))

    async with db.worker() as tx:
        (said,) = await facts(tx, "CreditsReserved")
    assert (said.message.credits, said.message.asked, said.message.available) == (100, 500, 0)


async def test_totals_settle_once_and_are_answered_each_time(db: Database, tenant: UUID) -> None:
    await given_credits(db, tenant, 100)
    bulk = uuid4()
    await apply(db, handlers.on_bulk_sms_requested, requested(tenant, bulk, 40))
    totals = BulkSmsAccounted(
        tenant_id=str(tenant), bulk_id=str(bulk), version=1, used=25, released=10, held=5, refunded=1
    )

    await run_twice(db, handlers.on_bulk_sms_accounted, totals)

    async with db.worker() as tx:
        first, second = await facts(tx, "CreditsSettled")
    assert first.message == second.message
    said = first.message
    assert (said.version, said.used, said.released, said.held, said.refunded, said.closed) == (1, 25, 10, 5, 1, False)
    left = await account(db, tenant)
    assert (left.available, left.reserved, left.consumed, left.conservation) == (71, 5, 24, 0)
    assert said.available == left.available
    assert said.account_version == left.version


async def test_a_send_closed_before_its_request_was_heard_holds_nothing(db: Database, tenant: UUID) -> None:
    await given_credits(db, tenant, 100)
    bulk = uuid4()
    closed = BulkSmsAccounted(tenant_id=str(tenant), bulk_id=str(bulk), version=1, closed=True)
    await run_twice(db, handlers.on_bulk_sms_accounted, closed)

    await run_twice(db, handlers.on_bulk_sms_requested, requested(tenant, bulk, 40))

    async with db.worker() as tx:
        settled = await facts(tx, "CreditsSettled")
        reserved = await facts(tx, "CreditsReserved")
    assert [(fact.message.version, fact.message.closed, fact.message.held) for fact in settled] == [(1, True, 0)] * 2
    assert [(fact.message.credits, fact.message.asked) for fact in reserved] == [(0, 40)] * 2
    assert (await account(db, tenant)).available == 100


async def test_a_closed_tenant_reserves_nothing_and_an_older_word_does_not_open_it(db: Database, tenant: UUID) -> None:
    await given_credits(db, tenant, 100)
    closed = TenantChanged(tenant_id=str(tenant), version=5, closed=True)
    older = TenantChanged(tenant_id=str(tenant), version=4)
    await run_twice(db, handlers.on_tenant_changed, closed, older)

    await apply(db, handlers.on_bulk_sms_requested, requested(tenant, uuid4(), 10))

    async with db.worker() as tx:
        (refused,) = await facts(tx, "CreditsRefused")
    assert refused.message.reason == "closed"


async def test_a_top_up_is_made_once_and_said_once(db: Database, tenant: UUID) -> None:
    await given_credits(db, tenant, 5)
    wanted = TopUp(tenant, uuid4(), 70, "paid", "invoice 7", "someone")

    answers = []
    for _ in range(2):
        async with db.request(tenant) as tx:
            answers.append(await handlers.top_up(tx, wanted))

    assert answers[0] == answers[1] == Granted(wanted, available=75)
    async with db.worker() as tx:
        said = [fact.message for fact in await facts(tx, "CreditsToppedUp")]
    assert [(message.credits, message.available, message.source) for message in said] == [
        (5, 5, "top_up"),
        (70, 75, "top_up"),
    ]


async def test_a_reversal_is_made_once_and_said_as_a_negative_grant(db: Database, tenant: UUID) -> None:
    await given_credits(db, tenant, 5)
    top_up_id = uuid4()
    async with db.request(tenant) as tx:
        await handlers.top_up(tx, TopUp(tenant, top_up_id, 70))

    for _ in range(2):
        async with db.request(tenant) as tx:
            answer = await handlers.reverse_top_up(tx, tenant, top_up_id, "mistake", "someone")
            assert isinstance(answer, Granted)
            assert answer.reversed_available == 5

    async with db.worker() as tx:
        *_, said = await facts(tx, "CreditsToppedUp")
    assert (said.message.credits, said.message.available, said.message.source) == (-70, 5, "reversal")
    assert (await account(db, tenant)).granted == 5


@pytest.mark.parametrize(
    ("handler", "event"),
    [
        (handlers.on_bulk_sms_requested, BulkSmsRequested(tenant_id=str(UUID(int=1)), bulk_id="none")),
        (handlers.on_bulk_sms_requested, requested(UUID(int=1), UUID(int=2), -1)),
        (handlers.on_bulk_sms_requested, requested(UUID(int=1), UUID(int=2), 10**12 + 1)),
        (
            handlers.on_bulk_sms_accounted,
            BulkSmsAccounted(tenant_id=str(UUID(int=1)), bulk_id=str(UUID(int=2)), version=1, used=-1),
        ),
        (
            handlers.on_bulk_sms_accounted,
            BulkSmsAccounted(tenant_id=str(UUID(int=1)), bulk_id=str(UUID(int=2)), version=0),
        ),
    ],
)
async def test_events_that_cannot_be_are_poison(db: Database, handler: object, event: object) -> None:
    with pytest.raises(Poison):
        await apply(db, handler, event)  # type: ignore[arg-type]


async def test_every_rate_in_force_is_said_at_the_start_and_a_new_one_when_it_begins(db: Database) -> None:
    async with db.worker() as tx:
        await handlers.say_all_rates(tx)
    async with db.request(NIL_TENANT) as tx:
        await rates.add_rate(tx, "NZ", 3, None, "operator")
    for _ in range(2):
        async with db.worker() as tx:
            await handlers.say_new_rates(tx)

    async with db.worker() as tx:
        said = [(fact.key, fact.message) for fact in await facts(tx, "RatesChanged")]
    assert {key for key, _ in said[:7]} == {b"AU", b"GB", b"US", b"NZ", b"IE", b"CA", b"*"}
    (key, message) = said[7]
    assert len(said) == 8
    assert (key, message.country, message.version, message.credits_per_part) == (b"NZ", "NZ", 2, 3)
    assert UUID(message.tenant_id) == NIL_TENANT


async def test_a_rate_that_was_set_for_later_begins_though_another_was_set_since(db: Database) -> None:
    async with db.worker() as tx:
        await handlers.say_all_rates(tx)
        started, minute = await tx.fetchval("SELECT kit_now()"), timedelta(minutes=1)
    async with db.request(NIL_TENANT) as tx:
        await rates.add_rate(tx, "NZ", 5, started - minute, "operator")  # set first; it has just begun
        await rates.add_rate(tx, "NZ", 3, started - 2 * minute, "operator")  # set after it, to hold until then
        await rates.add_rate(tx, "NZ", 7, started + 60 * minute, "operator")
        await rates.add_rate(tx, "NZ", 8, started + 60 * minute, "operator")
        in_force = {rate.country: rate.credits_per_part for rate in await rates.rates(tx)}
        coming = [(rate.country, rate.credits_per_part) for rate in await rates.coming(tx)]
    async with db.worker() as tx:
        await handlers.say_new_rates(tx)
        said = (await facts(tx, "RatesChanged"))[-1].message

    assert in_force["NZ"] == 5
    assert (said.country, said.credits_per_part) == ("NZ", 5)
    assert coming == [("NZ", 8)]


@pytest.mark.parametrize("role", ["request", "worker"])
@pytest.mark.parametrize("statement", ["UPDATE entry SET credits = 1", "DELETE FROM entry", "TRUNCATE entry"])
async def test_no_role_may_change_an_entry(db: Database, tenant: UUID, role: str, statement: str) -> None:
    await given_credits(db, tenant, 5)
    transaction = db.worker() if role == "worker" else db.request(tenant)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with transaction as tx:
            await tx.execute(statement)


@pytest.mark.parametrize("statement", ["UPDATE entry SET credits = 1", "DELETE FROM entry", "TRUNCATE entry"])
async def test_not_even_the_superuser_changes_an_entry(
    db: Database, tenant: UUID, statement: str, service_database: object
) -> None:
    await given_credits(db, tenant, 5)
    connection = await asyncpg.connect(service_database.admin_dsn(db))  # type: ignore[attr-defined]
    try:
        with pytest.raises(asyncpg.RaiseError, match="never changed"):
            await connection.execute(statement)
    finally:
        await connection.close()
