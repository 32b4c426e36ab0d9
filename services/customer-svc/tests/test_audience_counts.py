"""What was counted of an audience is known again exactly as long as nothing has changed."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from conftest import Salon

from muster.customer.handlers.audience_changes import Forgetting
from muster.customer.store.audience_counts import Counts, Judged
from muster.customer.store.audience_few import BY_CUSTOMER, BY_NUMBER
from muster.kit import metrics
from muster.kit.pg import Record, Tx

ROWS = "Ana,Smith,0412000001,yes\nBen,Smith,0412000002,yes\nCy,Smith,0412000003,no"
COUNT = "SELECT count(*) AS n FROM customer WHERE tenant_id = $1"


def run() -> float:
    return float(metrics.audience_counts.labels("run")._value.get())


async def recipients(salon: Salon, audience: Any = None) -> int:
    return int((await salon.quote("Hi", audience))["recipients"])


async def test_a_second_quote_counts_nobody_again_and_says_the_same(salon: Salon) -> None:
    await salon.load(ROWS)
    first = await salon.quote("Hi {{first_name}}")
    before = run()

    second = await salon.quote("Hi {{first_name}}")

    assert run() == before
    differ = {"id", "created_at", "expires_at"}
    assert {k: v for k, v in first.items() if k not in differ} == {k: v for k, v in second.items() if k not in differ}


@pytest.mark.parametrize(
    ("change", "recipients_then"),
    [
        ("UPDATE customer SET allow_bulk_sms = true, consent = 'express' WHERE first_name = 'Cy'", 3),
        ("DELETE FROM customer WHERE first_name = 'Ana'", 1),
        ("DELETE FROM customer_number WHERE number = 61412000002", 1),
        (
            "INSERT INTO suppression SELECT tenant_id, number_hash, 1, true, 2, kit_now() FROM customer_number "
            "WHERE number = 61412000002",
            1,
        ),
        (
            "INSERT INTO number_consent SELECT tenant_id, customer_id, number_hash, 'withdrawn', kit_now() "
            "FROM customer_number WHERE number = 61412000001",
            1,
        ),
    ],
)
async def test_whatever_changes_the_next_quote_is_exact(salon: Salon, change: str, recipients_then: int) -> None:
    await salon.load(ROWS)
    assert await recipients(salon) == 2

    async with salon.db.request(salon.tenant_id) as tx:
        await tx.execute(change)

    assert await recipients(salon) == recipients_then


class Asked:
    """Counts of one process, asked in transactions of a tenant."""

    def __init__(self, salon: Salon) -> None:
        self.salon = salon
        self.counts = Counts()

    @asynccontextmanager
    async def tx(self) -> AsyncIterator[Tx]:
        async with self.salon.db.request(self.salon.tenant_id) as tx:
            yield tx

    async def in_tx(self, tx: Tx) -> int:
        row: Record = (await self.counts.fetch(tx, self.salon.tenant_id, COUNT, self.salon.tenant_id))[0]
        return int(row["n"])

    async def now(self) -> int:
        async with self.tx() as tx:
            return await self.in_tx(tx)


@pytest.fixture
async def asked(salon: Salon) -> Asked:
    await salon.load(ROWS)
    return Asked(salon)


_REMOVE = "DELETE FROM customer WHERE first_name = 'Ana'"


async def test_what_another_is_about_to_change_counts_from_its_commit_on(asked: Asked) -> None:
    async with asked.tx() as tx:
        await tx.execute(_REMOVE)
        assert await asked.now() == 3
        assert await asked.now() == 3
    assert await asked.now() == 2


async def test_what_is_undone_was_never_counted(asked: Asked) -> None:
    async def undone() -> None:
        async with asked.tx() as tx:
            await tx.execute(_REMOVE)
            assert await asked.in_tx(tx) == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await undone()
    assert await asked.now() == 3


async def test_other_businesses_change_nothing_here(asked: Asked) -> None:
    assert await asked.now() == 3
    before = run()
    async with asked.salon.db.worker() as tx:
        await tx.execute("UPDATE customer SET language = 'en' WHERE tenant_id <> $1", asked.salon.tenant_id)
    async with asked.salon.db.request(asked.salon.other_id) as tx:
        await tx.execute("INSERT INTO suppression VALUES ($1, '\\x00', 1, true, 2, kit_now())", asked.salon.other_id)
    assert await asked.now() == 3
    assert run() == before


async def test_only_what_was_over_long_ago_is_forgotten(asked: Asked) -> None:
    forget = Forgetting(asked.salon.db)
    await forget()
    assert await asked.now() == 3
    async with asked.tx() as tx:
        await tx.execute(_REMOVE)
        await forget()  # whoever counted before this began has 15 minutes to see it
    assert await asked.now() == 2
    noted = await asked.salon.count("audience_change")
    await forget()
    await forget()
    assert await asked.salon.count("audience_change") < noted


_NOTED = """
SELECT c.relname FROM pg_class c WHERE EXISTS (
    SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'audience_changed_delete')
"""
_ABOVE = """
SELECT DISTINCT confrelid::regclass::text AS above FROM pg_constraint
WHERE contype = 'f' AND confdeltype <> 'a' AND conrelid::regclass::text = ANY($1)
"""
_TABLES = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"


async def names(salon: Salon, query: str, *arguments: object) -> set[str]:
    connection = await asyncpg.connect(salon.admin_dsn)
    try:
        return {row[0] for row in await connection.fetch(query, *arguments)}
    finally:
        await connection.close()


async def test_what_falls_with_another_row_is_noted_by_that(salon: Salon) -> None:
    noted = await names(salon, _NOTED)
    assert {"customer", "customer_number"} <= noted
    assert await names(salon, _ABOVE, list(noted)) <= noted


async def test_every_table_that_an_audience_is_counted_by_is_noted(
    salon: Salon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await salon.load(ROWS)
    await salon.load("Di,Smith,+12025550123,yes")  # of a country with hours
    assert (await salon.ask("POST", "/v1/lists", {"name": "Old"})).status_code == 201
    async with salon.db.worker() as tx:
        await tx.execute(
            "INSERT INTO number_consent SELECT tenant_id, customer_id, number_hash, 'express', kit_now() "
            "FROM customer_number WHERE number = 61412000001"
        )
        await tx.execute(
            "INSERT INTO number_failure SELECT tenant_id, number_hash, 3, gen_random_uuid(), kit_now(), kit_now() "
            "FROM customer_number WHERE number = 61412000003"
        )
    assert (await salon.ask("POST", "/v1/suppressions", {"number": "0412000009"})).status_code == 201
    await salon.send((await salon.quote("Hi", {"query": "ana"}))["id"])
    await salon.plan()
    read: set[str] = set()
    judge, gather = Counts.judge, Counts.gather

    async def fetch(_: Counts, tx: Tx, __: UUID, sql: str, *arguments: Any, before: str = "") -> Any:
        read.update(re.findall(r"(?:FROM|JOIN)\s+([a-z_]+)", sql))
        return await tx.fetch(sql, *arguments)

    async def judged(counts: Counts, tx: Tx, tenant_id: UUID, asked: Judged) -> Any:
        read.update(re.findall(r"(?:FROM|JOIN)\s+([a-z_]+)", await asked.whole(tx)))
        return await judge(counts, tx, tenant_id, asked)

    async def gathered(counts: Counts, tx: Tx, tenant_id: UUID, sql: str, *arguments: Any) -> Any:
        read.update(re.findall(r"(?:FROM|JOIN)\s+([a-z_]+)", sql))
        return await gather(counts, tx, tenant_id, sql, *arguments)

    monkeypatch.setattr(Counts, "fetch", fetch)
    monkeypatch.setattr(Counts, "judge", judged)
    monkeypatch.setattr(Counts, "gather", gathered)
    cap = {"messages": 3, "days": 7}
    exclude = {"tags": ["vip"], "query": "country is NZ or mobile starts 03", "messaged_in_days": 7, "cap": cap}
    await salon.quote("Hi {{first_name}}", {"query": 'not list is "Old"', "exclude": exclude})

    tables = read & await names(salon, _TABLES)
    assert {*BY_CUSTOMER, *BY_NUMBER, "customer_list", "plan_frozen", "not_received"} == tables
    assert tables <= await names(salon, _NOTED)


async def test_with_what_is_excluded_by_days_a_second_quote_counts_nobody_again(salon: Salon) -> None:
    await salon.load(ROWS)
    audience = {"all": True, "exclude": {"messaged_in_days": 7, "cap": {"messages": 3, "days": 30}}}
    assert await recipients(salon, audience) == 2
    before = run()
    assert await recipients(salon, audience) == 2
    assert run() == before

    sent = await salon.send((await salon.quote("Hi", {"query": "ana"}))["id"])
    await salon.plan()

    assert (await salon.bulk(sent))["recipients"] == 1
    assert await recipients(salon, audience) == 1


async def test_who_waits_for_a_count_leaves_connections_to_other_businesses(
    salon: Salon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await salon.load(ROWS)
    begun, go, judge = asyncio.Semaphore(0), asyncio.Event(), Counts.judge

    async def slow(counts: Counts, tx: Tx, tenant_id: UUID, asked: Judged) -> Any:
        begun.release()
        await go.wait()
        return await judge(counts, tx, tenant_id, asked)

    monkeypatch.setattr(Counts, "judge", slow)
    body = {"text": "Hi", "audience": {"all": True}}
    typing = [asyncio.create_task(salon.ask("POST", "/v1/quotes", body)) for _ in range(20)]
    for _ in range(4):
        await begun.acquire()

    others = await asyncio.gather(*(salon.ask("GET", f"/v1/quotes/{uuid4()}", by="other") for _ in range(20)))

    assert {answer.status_code for answer in others} == {404}
    assert not any(task.done() for task in typing)
    go.set()
    assert {answer.status_code for answer in await asyncio.gather(*typing)} == {201}
