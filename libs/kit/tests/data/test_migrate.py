from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from muster.kit import migrate as room
from muster.kit.migrate import MigrationRefused, migrate, password_of

PASSWORDS = {"app_password": "a", "worker_password": "b"}


async def run(dsn: str, files: Path, database: str) -> None:
    await migrate(dsn, "moving", files=files, database=database, **PASSWORDS)


async def tables(dsn: str, database: str) -> list[str]:
    connection = await asyncpg.connect(f"{dsn.rsplit('/', 1)[0]}/{database}")
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE tableowner = 'moving_owner' ORDER BY 1")
    finally:
        await connection.close()
    return [row["tablename"] for row in rows]


async def test_a_missing_database_is_made_and_a_second_run_changes_nothing(
    postgres_server: str, tmp_path: Path
) -> None:
    (tmp_path / "0001_first.sql").write_text(
        "CREATE TABLE one (tenant_id uuid PRIMARY KEY); CALL kit_tenant_table('one')"
    )
    await run(postgres_server, tmp_path, "moving_a")
    (tmp_path / "0002_second.sql").write_text("CREATE TABLE two (x int); CALL kit_worker_table('two')")
    await run(postgres_server, tmp_path, "moving_a")
    await run(postgres_server, tmp_path, "moving_a")

    kit = ["consumer_halt", "consumer_offset", "dead_letter", "erased_number", "idempotency", "inbox", "kit_migration"]
    kit += ["outbox"]
    assert await tables(postgres_server, "moving_a") == sorted([*kit, "one", "two"])


async def test_an_applied_file_that_changed_is_refused(postgres_server: str, tmp_path: Path) -> None:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE one (x int)")
    await run(postgres_server, tmp_path, "moving_b")
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE one (x bigint)")

    with pytest.raises(MigrationRefused, match=r"moving 0001_first\.sql was applied as another text"):
        await run(postgres_server, tmp_path, "moving_b")


async def test_numbers_without_gaps_are_required(postgres_server: str, tmp_path: Path) -> None:
    (tmp_path / "0002_second.sql").write_text("SELECT 1")
    with pytest.raises(MigrationRefused, match="without gaps"):
        await run(postgres_server, tmp_path, "moving_c")


async def test_a_file_that_fails_leaves_nothing_of_itself(postgres_server: str, tmp_path: Path) -> None:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE one (x int); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await run(postgres_server, tmp_path, "moving_d")

    assert "one" not in await tables(postgres_server, "moving_d")


async def test_a_migration_does_not_wait_long_for_a_lock(
    postgres_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waits, everybody else waits behind it."""
    monkeypatch.setattr(room, "LOCK_TIMEOUT_S", 1)
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE one (x int)")
    await run(postgres_server, tmp_path, "moving_e")
    (tmp_path / "0002_second.sql").write_text("ALTER TABLE one ADD COLUMN y int")
    holder = await asyncpg.connect(f"{postgres_server.rsplit('/', 1)[0]}/moving_e")
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE one")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await run(postgres_server, tmp_path, "moving_e")
    finally:
        await holder.close()
    await run(postgres_server, tmp_path, "moving_e")


async def test_a_migration_does_not_run_for_long(
    postgres_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "STATEMENT_TIMEOUT_S", 1)
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE one (x int); SELECT pg_sleep(20)")
    with pytest.raises(asyncpg.QueryCanceledError, match="statement timeout"):
        await run(postgres_server, tmp_path, "moving_h")
    assert "one" not in await tables(postgres_server, "moving_h")


async def test_a_tenant_table_needs_the_tenant_first_in_its_key(
    postgres_server: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "0001_first.sql").write_text(
        "CREATE TABLE one (id bigint, tenant_id uuid, PRIMARY KEY (id, tenant_id)); CALL kit_tenant_table('one')"
    )
    with pytest.raises(asyncpg.RaiseError, match="must have tenant_id first in its primary key"):
        await run(postgres_server, tmp_path, "moving_f")


@pytest.mark.parametrize("service", ["", "Credit", 'x"; DROP DATABASE postgres', "credit-svc"])
async def test_only_a_plain_name_is_a_service(service: str) -> None:
    with pytest.raises(ValueError, match="not a service's name"):
        await migrate("postgresql://nowhere", service)


async def test_the_roles_get_the_passwords_that_are_in_their_addresses(postgres_server: str, tmp_path: Path) -> None:
    password = password_of("postgresql://moving_app:p%40ss'word@h/moving")
    await migrate(postgres_server, "moving", files=tmp_path, database="moving_g", app_password=password)

    host = postgres_server.split("@")[1].split("/")[0]
    connection = await asyncpg.connect(f"postgresql://moving_app:p%40ss'word@{host}/moving_g")
    assert await connection.fetchval("SELECT current_user") == "moving_app"
    await connection.close()
    assert password_of("postgresql://moving_app@h/moving") is None
