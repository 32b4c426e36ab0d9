import asyncio
import gc
import random
import sys
from contextlib import suppress
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from muster.kit import pg
from muster.kit.pg import RETRIABLE, Database, Misused, Overloaded, Tx, Undone, texts, unprotected_tables
from muster.kit.testing import ServiceDatabases

ANNA, BERT = uuid4(), uuid4()
_TENANTS = "SELECT DISTINCT tenant_id FROM note"


async def write(tx: Tx, tenant_id: UUID, text: str = "x") -> None:
    await tx.execute("INSERT INTO note (tenant_id, text) VALUES ($1, $2)", tenant_id, text)


async def count(db: Database, tenant_id: UUID) -> int:
    async with db.worker() as tx:
        counted: int = await tx.fetchval("SELECT count(*) FROM note WHERE tenant_id = $1", tenant_id)
        return counted


async def test_a_request_sees_and_writes_its_own_tenant_only(db: Database) -> None:
    async with db.worker() as tx:
        await write(tx, ANNA)
        await write(tx, BERT)

    async with db.request(ANNA) as tx:
        assert [row["tenant_id"] for row in await tx.fetch(_TENANTS)] == [ANNA]
        assert await tx.execute("UPDATE note SET text = 'y'") == "UPDATE 1"
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with db.request(ANNA) as tx:
            await write(tx, BERT)


async def test_two_tenants_interleaved_on_one_connection_never_see_each_other(narrow_db: Database) -> None:
    """Security control 2: with cancellations and errors in any place."""
    chance = random.Random(7)
    async with narrow_db.worker() as tx:
        await write(tx, ANNA)
        await write(tx, BERT)

    async def visit(tenant_id: UUID, fate: float) -> None:
        async with narrow_db.request(tenant_id) as tx:
            seen = {row["tenant_id"] for row in await tx.fetch(_TENANTS)}
            assert seen == {tenant_id}
            if fate < 0.2:
                raise RuntimeError("fails")
            if fate < 0.4:
                await tx.execute("SET app.tenant = '00000000-0000-0000-0000-000000000009'")
            elif fate < 0.7:
                await tx.execute("SELECT pg_sleep(0.01)")
            else:
                await write(tx, tenant_id)

    seen_cancelled = 0
    for _ in range(120):
        visits = [asyncio.create_task(visit(t, chance.random())) for t in (ANNA, BERT)]
        await asyncio.sleep(chance.random() * 0.008)
        if chance.random() < 0.5:
            visits[0].cancel()
        for result in await asyncio.gather(*visits, return_exceptions=True):
            seen_cancelled += isinstance(result, asyncio.CancelledError)
            assert result is None or isinstance(result, RuntimeError | asyncio.CancelledError), result
    assert seen_cancelled > 10


async def test_after_a_transaction_the_tenant_is_empty_and_sees_nothing(narrow_db: Database) -> None:
    """PostgreSQL leaves '' and not NULL behind: without nullif this would be an error, without a policy a leak."""
    async with narrow_db.request(ANNA) as tx:
        await write(tx, ANNA)

    pool = narrow_db._app
    assert pool is not None
    async with pool.acquire() as connection:
        assert await connection.fetchval("SELECT current_setting('app.tenant', true)") == ""
        assert await connection.fetch("SELECT * FROM note") == []


async def test_a_worker_sees_all_tenants_where_the_table_lets_it(db: Database) -> None:
    async with db.request(ANNA) as tx:
        await write(tx, ANNA)
        await tx.execute("INSERT INTO private VALUES ($1, 'mine')", ANNA)

    async with db.worker() as tx:
        assert len(await tx.fetch(_TENANTS)) == 1
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tx.savepoint():
                await tx.fetch("SELECT * FROM private")


async def test_a_swallowed_error_is_not_taken_for_a_commit(db: Database) -> None:
    async def swallow() -> None:
        async with db.request(ANNA) as tx:
            await write(tx, ANNA)
            with pytest.raises(asyncpg.CheckViolationError):
                await write(tx, ANNA, "bad")

    with pytest.raises(Undone):
        await swallow()

    assert await count(db, ANNA) == 0


async def test_an_exception_rolls_back_and_leaves_the_connection_clean(narrow_db: Database) -> None:
    async def fail() -> None:
        async with narrow_db.request(ANNA) as tx:
            await write(tx, ANNA)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await fail()

    assert await count(narrow_db, ANNA) == 0
    async with narrow_db.request(ANNA) as tx:
        await write(tx, ANNA)
    assert await count(narrow_db, ANNA) == 1


async def test_a_cancelled_statement_rolls_back(narrow_db: Database) -> None:
    async def slow() -> None:
        async with narrow_db.request(ANNA) as tx:
            await write(tx, ANNA)
            await tx.execute("SELECT pg_sleep(10)")

    task = asyncio.create_task(slow())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await count(narrow_db, ANNA) == 0


@pytest.mark.parametrize("arguments", [(), (1, 2)], ids=["too few arguments", "too many"])
async def test_a_statement_that_is_called_wrongly_is_a_bug_and_not_something_to_try_again(
    narrow_db: Database, arguments: tuple[int, ...]
) -> None:
    with pytest.raises(Misused, match="the server expects 1 argument") as misused:
        async with narrow_db.request(ANNA) as tx:
            await tx.fetch("SELECT $1::int", *arguments)
    assert not isinstance(misused.value, RETRIABLE)
    assert await count(narrow_db, ANNA) == 0


async def test_two_statements_at_once_on_one_transaction_are_a_bug(narrow_db: Database) -> None:
    with pytest.raises(Misused, match="another operation is in progress"):
        async with narrow_db.request(ANNA) as tx:
            await asyncio.gather(tx.execute("SELECT pg_sleep(0.05)"), tx.execute("SELECT 1"))
    assert await count(narrow_db, ANNA) == 0


async def test_a_connection_that_was_lost_in_a_transaction_is_something_to_try_again(
    service_database: ServiceDatabases, narrow_db: Database
) -> None:
    admin = await asyncpg.connect(service_database.admin_dsn(narrow_db))

    async def lose(statements: int) -> None:
        async with narrow_db.request(ANNA) as tx:
            await write(tx, ANNA)
            await admin.execute("SELECT pg_terminate_backend($1)", await tx.fetchval("SELECT pg_backend_pid()"))
            for _ in range(statements):
                with suppress(asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError):
                    await write(tx, ANNA)

    for statements in (0, 1, 2):
        with pytest.raises(RETRIABLE):
            await lose(statements)
    await admin.close()
    assert await count(narrow_db, ANNA) == 0


@pytest.mark.parametrize(
    ("limit", "wait_s", "statement"),
    [("statement_timeout_ms", 0, "SELECT pg_sleep(60)"), ("idle_in_transaction_timeout_ms", 1.5, "SELECT 1")],
)
async def test_a_transaction_that_takes_too_long_is_ended_by_the_database_and_can_be_tried_again(
    service_database: ServiceDatabases, migrations: object, db: Database, limit: str, wait_s: float, statement: str
) -> None:
    hasty = await Database.connect(*service_database.dsns(db, "notes"), app_pool_max=1, **{limit: 1_000})  # type: ignore[arg-type]

    async def linger() -> None:
        async with hasty.request(ANNA) as tx:
            await write(tx, ANNA)
            await asyncio.sleep(wait_s)
            await tx.execute(statement)

    with pytest.raises(RETRIABLE):
        await linger()
    assert await count(db, ANNA) == 0
    async with hasty.request(ANNA) as tx:
        await write(tx, ANNA)
    await hasty.close()


async def test_a_statement_that_is_allowed_to_takes_longer_than_others_may_on_both_sides(
    service_database: ServiceDatabases, migrations: object, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg, "_ANSWER_S", 0.1)
    hasty = await Database.connect(*service_database.dsns(db, "notes"), app_pool_max=1, statement_timeout_ms=100)
    async with hasty.request(ANNA) as tx:
        await tx.allow_statements(60_000)
        assert await tx.fetchval("SELECT 1 FROM pg_sleep(0.5)") == 1
    await hasty.close()


async def test_the_tenant_is_asked_once_for_each_statement_and_not_for_each_row(db: Database) -> None:
    """A policy without its subquery made a scan of 200,000 rows six times as slow."""
    async with db.request(ANNA) as tx:
        plan = "\n".join(row[0] for row in await tx.fetch("EXPLAIN SELECT * FROM note"))
    assert "InitPlan" in plan


async def test_a_savepoint_undoes_its_own_part_only(db: Database) -> None:
    async with db.request(ANNA) as tx:
        await write(tx, ANNA, "first")
        with pytest.raises(asyncpg.CheckViolationError):
            async with tx.savepoint():
                await write(tx, ANNA, "bad")
        async with tx.savepoint():
            await write(tx, ANNA, "second")

    assert await count(db, ANNA) == 2


async def test_nothing_within_a_transaction_can_end_it(db: Database) -> None:
    async with db.request(ANNA) as tx:
        assert not {"commit", "rollback", "transaction", "close"} & set(dir(tx))


async def test_an_exhausted_pool_is_a_typed_refusal(service_database: ServiceDatabases, db: Database) -> None:
    narrow = await Database.connect(*service_database.dsns(db, "notes"), app_pool_max=1)
    async with narrow.request(ANNA):
        narrow._pool_wait_s = 0.1  # from now on: a machine that is busy opens no connection in so short a time
        with pytest.raises(Overloaded, match="no database connection within"):
            async with narrow.request(BERT):
                pass
    await narrow.close()


async def test_a_database_that_is_down_is_a_typed_refusal(unused_tcp_port: int) -> None:
    dsn = f"postgresql://nobody:x@127.0.0.1:{unused_tcp_port}/none"
    db = await Database.connect(dsn, dsn)
    with pytest.raises(Overloaded):
        async with db.request(ANNA):
            pass
    await db.close()


async def test_copy_is_refused_on_a_table_with_row_level_security(db: Database) -> None:
    """Why services COPY into a temporary table, or INSERT ... SELECT unnest."""
    async with db.request(ANNA) as tx:
        with pytest.raises(asyncpg.FeatureNotSupportedError, match="row-level security"):
            async with tx.savepoint():
                await tx.copy_records_to_table("note", records=[(ANNA, "x")], columns=["tenant_id", "text"])
        await tx.execute("CREATE TEMPORARY TABLE fresh (text text) ON COMMIT DROP")
        await tx.copy_records_to_table("fresh", records=[("x",), ("y",)])
        await tx.execute("INSERT INTO note (tenant_id, text) SELECT $1, text FROM fresh", ANNA)

    assert await count(db, ANNA) == 2


async def test_what_was_copied_as_text_arrives_whole_and_is_not_kept(db: Database) -> None:
    """Garbage is looked for seldom (kit.process): whatever a COPY leaves to it is held for minutes."""
    rows = b"".join(b"%d\t%s\n" % (n, b"x" * 500) for n in range(2_000))
    before = sys.getrefcount(rows)
    gc.disable()
    try:
        async with db.request(ANNA) as tx:
            await tx.execute("CREATE TEMPORARY TABLE fresh (n bigint, text text) ON COMMIT DROP")
            await tx.copy_text_to_table("fresh", rows, columns=("n", "text"))
            await tx.copy_text_to_table("fresh", b"", columns=("n", "text"))
            found = await tx.fetchrow("SELECT count(*), sum(n), min(length(text)) FROM fresh")
        assert sys.getrefcount(rows) == before
    finally:
        gc.enable()
    assert found is not None
    assert tuple(found) == (2_000, 1_999_000, 500)


async def test_a_lock_is_not_waited_for_longer_than_the_limit(
    service_database: ServiceDatabases, migrations: object, db: Database
) -> None:
    app, worker = service_database.dsns(db, "notes")
    hasty = await Database.connect(app, worker, lock_timeout_ms=50)
    async with db.worker() as tx:
        await tx.execute("LOCK TABLE note")
        with pytest.raises(asyncpg.LockNotAvailableError):
            async with hasty.worker() as other:
                await other.fetch(_TENANTS)
    await hasty.close()


async def test_the_roles_own_nothing_and_are_held_by_row_level_security(
    service_database: ServiceDatabases, db: Database
) -> None:
    admin = await asyncpg.connect(service_database.admin_dsn(db))
    try:
        roles = await admin.fetch("SELECT * FROM pg_roles WHERE rolname IN ('notes_app', 'notes_worker')")
        owned = await admin.fetch(
            "SELECT relname FROM pg_class WHERE relowner = ANY($1::oid[])", [r["oid"] for r in roles]
        )
    finally:
        await admin.close()

    assert [(r["rolsuper"], r["rolbypassrls"], r["rolcreatedb"]) for r in roles] == [(False, False, False)] * 2
    assert owned == []


async def test_every_table_of_the_tests_service_is_protected(db: Database) -> None:
    async with db.worker() as tx:
        assert await unprotected_tables(tx) == {}


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TABLE bare (tenant_id uuid PRIMARY KEY)", "row-level security is not enabled"),
        (
            "CREATE TABLE bare (tenant_id uuid PRIMARY KEY); ALTER TABLE bare ENABLE ROW LEVEL SECURITY",
            "row-level security is not forced",
        ),
        (
            "CREATE TABLE bare (tenant_id uuid PRIMARY KEY);"
            "ALTER TABLE bare ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            "no policy with WITH CHECK on app.tenant",
        ),
        (
            "CREATE TABLE bare (tenant_id uuid PRIMARY KEY); CALL kit_tenant_table('bare', worker => true);"
            "CREATE POLICY loose ON bare TO notes_app USING (true)",
            "a policy that is not the worker's is not held to app.tenant",
        ),
    ],
)
async def test_a_table_without_protection_is_found(
    service_database: ServiceDatabases, db: Database, sql: str, reason: str
) -> None:
    admin = await asyncpg.connect(service_database.admin_dsn(db), server_settings={"kit.service": "notes"})
    try:
        await admin.execute(sql)
    finally:
        await admin.close()

    async with db.worker() as tx:
        assert await unprotected_tables(tx) == {"bare": reason}


async def test_arrays_are_asked_for_once_in_a_process_and_not_by_each_connection(
    service_database: ServiceDatabases, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    look = asyncpg.Connection._introspect_types  # type: ignore[attr-defined]

    async def counted(self: Any, typeoids: Any, timeout: float | None) -> Any:
        asked.extend(typeoids)
        return await look(self, typeoids, timeout)

    monkeypatch.setattr(asyncpg.Connection, "_introspect_types", counted)
    monkeypatch.setattr(pg, "_types", {})
    for _ in range(3):
        other = await Database.connect(*service_database.dsns(db, "notes"))
        async with other.worker() as tx:
            query = "SELECT $1::bigint[] AS a, $2::date[] AS b, $3::bigint[] AS c"
            row = await tx.fetchrow(query, [1], [date(2026, 1, 2)], [3])
            assert row is not None
            assert tuple(row) == ([1], [date(2026, 1, 2)], [3])
        await other.close()

    assert len(asked) == 2


async def test_statements_are_planned_once_where_that_is_asked_for(
    service_database: ServiceDatabases, db: Database
) -> None:
    for wanted, mode in ((True, "force_generic_plan"), (False, "auto")):
        other = await Database.connect(*service_database.dsns(db, "notes"), generic_plans=wanted)
        async with other.worker() as tx:
            assert await tx.fetchval("SHOW plan_cache_mode") == mode
        async with other.request(ANNA) as tx:
            assert await tx.fetchval("SHOW plan_cache_mode") == "auto", "of the API's statements none is alike"
        await other.close()


async def test_texts_are_an_array_whatever_they_hold(db: Database) -> None:
    chance = random.Random(7)
    lists = [[], [""], ['","'], ["NULL"], ["a", 'b"', "c\\"], ["plain", "words"]]
    lists += [["".join(chance.choices("\"\\,{} aé\n'\t", k=chance.randrange(6))) for _ in range(4)] for _ in range(300)]
    async with db.worker() as tx:
        for values in lists:
            assert await tx.fetchval("SELECT $1::text::text[]", texts(values)) == values
