from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from muster.events import NIL_TENANT
from muster.kit import trace
from muster.kit.inbox import first_time, forget
from muster.kit.outbox import Fact, Lane, Oversize, emit
from muster.kit.pg import Database
from muster.kit.testing import apply, facts, received, run_twice

from .log import TENANT, fact, hear, heard, requested


async def test_facts_keep_their_order_lane_and_trace(db: Database) -> None:
    with trace.follow({"": "00-aa-bb-01"}):
        async with db.request(TENANT) as tx:
            await emit(tx, fact(1, "t"), fact(2, "t", lane=Lane.LARGE), fact(3, "t"))
            await emit(tx)

    async with db.worker() as tx:
        stored = await facts(tx)
        assert await tx.fetchval("SELECT DISTINCT traceparent FROM outbox") == "00-aa-bb-01"
    assert [(each.message.chunks, each.lane) for each in stored] == [(1, Lane.SMALL), (2, Lane.LARGE), (3, Lane.SMALL)]


async def test_the_topic_is_the_registered_one_unless_said(db: Database) -> None:
    async with db.worker() as tx:
        await emit(tx, Fact(requested(1), key=b"k"))
        assert [each.topic for each in await facts(tx)] == ["bulk-sms"]


@pytest.mark.parametrize("tenant", [uuid4(), NIL_TENANT])
async def test_a_request_cannot_speak_for_another_tenant(db: Database, tenant: object) -> None:
    async with db.request(TENANT) as tx:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with tx.savepoint():
                await emit(tx, Fact(requested(1, tenant=tenant), key=b"k"))  # type: ignore[arg-type]


async def test_a_request_cannot_read_the_outbox(db: Database) -> None:
    async with db.request(TENANT) as tx:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tx.savepoint():
                await facts(tx)


async def test_a_fact_without_tenant_or_too_large_is_refused_before_it_is_stored(db: Database) -> None:
    nameless = requested(1)
    nameless.tenant_id = ""
    async with db.worker() as tx:
        with pytest.raises(ValueError, match="BulkSmsRequested has no tenant_id"):
            await emit(tx, Fact(nameless, key=b"k"))
        with pytest.raises(Oversize, match="bulk-sms"):
            await emit(tx, fact(1, "t"), Fact(requested(1, bulk="x" * 3_000_000), key=b"k"))
        assert await facts(tx) == []


async def test_the_inbox_lets_each_event_in_once_for_each_consumer(db: Database) -> None:
    first, second = received(requested(1)), received(requested(2))
    async with db.worker() as tx:
        assert await first_time(tx, "a", [first, first, second]) == [first, second]
        assert await first_time(tx, "a", [second, first]) == []
        assert await first_time(tx, "b", [second]) == [second]
        await forget(tx, older_than=timedelta(days=1))
        assert await first_time(tx, "b", [second]) == []


async def test_the_helpers_for_services_apply_events_as_the_consumer_does(db: Database) -> None:
    await apply(db, hear, requested(1), received(requested(2)))
    assert await run_twice(db, hear, requested(3)) == []

    assert await heard(db) == {1: 1, 2: 1, 3: 2}
