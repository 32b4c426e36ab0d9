"""The ledger against what cannot be: settlements beyond their reservation, closed accounts, changed entries."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import asyncpg
import ledger_world as world
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_world import TENANT

from muster.credit.domain.account import Account, Tenant
from muster.credit.domain.reservations import Answer, Partial, Refusal, Request, reserve
from muster.credit.handlers.laws import check_laws
from muster.credit.store import ledger
from muster.kit import metrics
from muster.kit.pg import Database
from muster.kit.testing import ServiceDatabases, facts

BULK = uuid4()


@pytest.fixture
async def db(service_database: Callable[[str], Awaitable[Database]]) -> Database:
    db = await service_database("credit")
    await world.open_accounts(db, TENANT)
    return db


async def account(db: Database) -> Account:
    async with db.request(TENANT) as tx:
        return await ledger.balance(tx, TENANT)


async def violations(db: Database) -> dict[str, list[str]]:
    async with db.worker() as tx:
        return {law.law: [f"{one.bulk_id} {one.detail}" for one in law.violations] for law in await check_laws(tx)}


async def test_a_settlement_above_its_reservation_is_not_charged_is_named_and_raises_an_alarm_once(
    db: Database,
) -> None:
    await world.given(db, 100)
    await world.reserve(db, BULK, 40)
    alarms = metrics.settlements_beyond_reservation._value.get()

    for _ in range(2):
        await world.settle(db, BULK, used=55, closed=True)

    left = await account(db)
    assert (left.available, left.reserved, left.consumed, left.conservation) == (60, 0, 40, 0)
    assert metrics.settlements_beyond_reservation._value.get() == alarms + 1
    found = await violations(db)
    assert [str(BULK) in one for one in found["reserved"]] == [True]
    assert found["granted"] == found["tenant"] == []
    async with db.worker() as tx:
        said = [(fact.message.used, fact.message.released) for fact in await facts(tx, "CreditsSettled")]
    assert said == [(40, 0), (40, 0)]


async def test_a_closed_account_reserves_nothing_more_and_its_sends_are_settled_and_refunded_all_the_same(
    db: Database,
) -> None:
    await world.given(db, 100)
    await world.reserve(db, BULK, 40)
    async with db.worker() as tx:
        await ledger.save_tenants(tx, [Tenant(TENANT, 2, closed=True)])

    await world.reserve(db, uuid4(), 1)
    await world.settle(db, BULK, 1, used=30, released=10, closed=True)
    await world.settle(db, BULK, 2, used=30, released=10, refunded=12, closed=True)

    left = await account(db)
    assert (left.available, left.reserved, left.consumed, left.version) == (82, 0, 18, 5)
    async with db.worker() as tx:
        [refused] = [fact.message for fact in await facts(tx, "CreditsRefused")]
    assert (refused.reason, refused.shortfall) == ("closed", 0)
    assert not any((await violations(db)).values())


async def test_a_refund_never_falls_and_never_exceeds_what_was_used(db: Database) -> None:
    await world.given(db, 100)
    await world.reserve(db, BULK, 40)
    await world.settle(db, BULK, 1, used=30, released=10, refunded=5, closed=True)

    await world.settle(db, BULK, 2, used=30, released=10, refunded=3, closed=True)
    assert (await account(db)).available == 75
    await world.settle(db, BULK, 3, used=30, released=10, refunded=99, closed=True)

    assert (await account(db)).available == 100
    async with db.worker() as tx:
        assert [fact.message.refunded for fact in await facts(tx, "CreditsSettled")] == [5, 5, 30]
    assert not any((await violations(db)).values())


@pytest.mark.parametrize("statement", ["UPDATE entry SET credits = 1", "DELETE FROM entry"])
async def test_each_of_the_two_guards_of_an_entry_refuses_without_the_other(
    db: Database, service_database: ServiceDatabases, statement: str
) -> None:
    await world.given(db, 5)
    admin = await asyncpg.connect(service_database.admin_dsn(db))
    try:
        await admin.execute("ALTER TABLE entry DISABLE TRIGGER entry_is_final")
        for transaction in (db.worker(), db.request(TENANT)):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with transaction as tx:
                    await tx.execute(statement)
        await admin.execute("ALTER TABLE entry ENABLE TRIGGER entry_is_final")
        await admin.execute("GRANT UPDATE, DELETE ON entry TO credit_worker, credit_app")
        for transaction in (db.worker(), db.request(TENANT)):
            with pytest.raises(asyncpg.RaiseError, match="never changed"):
                async with transaction as tx:
                    await tx.execute(statement)
    finally:
        await admin.execute("REVOKE UPDATE, DELETE ON entry FROM credit_worker, credit_app")
        await admin.close()
    assert (await account(db)).granted == 5
    assert not any((await violations(db)).values())


@given(price=st.integers(1, 30), balance=st.integers(0, 40))
def test_at_every_balance_all_is_reserved_or_what_there_is_or_nothing_with_the_exact_shortfall(
    price: int, balance: int
) -> None:
    rich = Account(TENANT, granted=balance, available=balance)
    whole = reserve(rich, None, Request(TENANT, BULK, price)).reservation
    first = reserve(rich, None, Request(TENANT, BULK, price, partial=Partial.FIRST_N)).reservation

    assert (whole.answer is Answer.RESERVED) == (balance >= price)
    assert (whole.reserved, whole.shortfall) == ((price, 0) if balance >= price else (0, price - balance))
    assert first.reserved == min(balance, price)
    assert (first.answer is Answer.REFUSED) == (balance == 0)
    if first.answer is Answer.REFUSED:
        assert (first.reason, first.shortfall) == (Refusal.SHORT, price)
