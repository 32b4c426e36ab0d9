"""Makes a service's database, its three roles and its tables, from numbered .sql files; safe to run again.

The owner cannot log in and owns all; `<service>_app` and `<service>_worker` log in and own nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from muster.kit.pg_connect import connect
from muster.kit.pg_tls import Tls

LOCK_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 60
_ADVISORY_KEY = 7_019_273_461

_MIGRATION_TABLE = """
CREATE TABLE IF NOT EXISTS kit_migration (
    component text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (component, number)
)"""


class MigrationRefused(Exception):
    """The files and the database do not belong together; says which file and why."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of a component (`kit` or the service)."""

    component: str
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Of the text: an applied file must never change."""
        return sha256(self.sql.encode()).hexdigest()


async def migrate(
    admin_dsn: str,
    service: str,
    package: str | None = None,
    *,
    database: str | None = None,
    app_password: str | None = None,
    worker_password: str | None = None,
    files: Traversable | None = None,
    tls: Tls = None,
) -> None:
    """Bring the database of a service to the newest version of kit's and its own migrations.

    `admin_dsn` may create roles and databases. The database is named as the service unless said; the two roles keep
    the passwords they have unless said; the files are `migrations/NNNN_name.sql` in the package, `muster.<service>`
    unless said. Each file is one transaction.

    Raises MigrationRefused where an applied file has changed or a number is missing, asyncpg errors of a failing file.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", service):
        raise ValueError(f"not a service's name: {service!r}")
    database = database or service
    folder = files if files is not None else resources.files(package or f"muster.{service}").joinpath("migrations")
    plan = _read("kit", resources.files("muster.kit").joinpath("sql")) + _read(service, folder)
    await _prepare_cluster(admin_dsn, service, database, {"app": app_password, "worker": worker_password}, tls)
    await _apply(_with_database(admin_dsn, database), service, plan, tls)


def _read(component: str, folder: Traversable) -> list[Migration]:
    files = sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else []
    named = [(file, match) for file in files if (match := re.fullmatch(r"(\d{4})_([a-z0-9_]+)\.sql", file.name))]
    migrations = [
        Migration(component, int(match[1]), match[2], file.read_text(encoding="utf-8")) for file, match in named
    ]
    numbers = [migration.number for migration in migrations]
    if numbers != list(range(1, len(numbers) + 1)):
        raise MigrationRefused(f"migrations of {component} must be numbered 0001, 0002, ... without gaps: {numbers}")
    return migrations


async def _prepare_cluster(
    admin_dsn: str, service: str, database: str, passwords: dict[str, str | None], tls: Tls
) -> None:
    connection = await connect(admin_dsn, tls=tls, timeout=10)
    try:
        # Two processes that migrate at once would both try to create what is missing.
        await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_KEY)
        await _ensure_role(connection, f"{service}_owner", "NOLOGIN")
        await connection.execute(f"GRANT {service}_owner TO CURRENT_USER")
        for kind, password in passwords.items():
            await _ensure_role(connection, f"{service}_{kind}", "LOGIN NOINHERIT")
            if password:
                quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
                await connection.execute(f"ALTER ROLE {service}_{kind} PASSWORD {quoted}")
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await connection.execute(f'CREATE DATABASE "{database}" OWNER {service}_owner TEMPLATE template0')
            await connection.execute(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
        await connection.execute(
            f'GRANT CONNECT, TEMPORARY ON DATABASE "{database}" TO {service}_app, {service}_worker'
        )
    finally:
        await connection.close()


async def _ensure_role(connection: "asyncpg.Connection[asyncpg.Record]", role: str, options: str) -> None:
    exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if exists else "CREATE"
    await connection.execute(f"{verb} ROLE {role} {options} NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE")


async def _apply(dsn: str, service: str, plan: Sequence[Migration], tls: Tls) -> None:
    settings = {
        "kit.service": service,
        "lock_timeout": f"{LOCK_TIMEOUT_S}s",
        "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
        "timezone": "UTC",
    }
    connection = await connect(dsn, tls=tls, timeout=10, server_settings=settings)
    try:
        # The wait for another process that migrates is not a wait for a table's lock.
        await connection.execute("SET lock_timeout = '60s'")
        await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_KEY)
        await connection.execute("RESET lock_timeout")
        await connection.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {service}_owner")
        await connection.execute(f"SET ROLE {service}_owner")
        await connection.execute(_MIGRATION_TABLE)
        for migration in _pending(plan, await connection.fetch("SELECT * FROM kit_migration")):
            await _run(connection, migration)
    finally:
        await connection.close()


def _pending(plan: Sequence[Migration], applied: Sequence[asyncpg.Record]) -> list[Migration]:
    known = {(row["component"], row["number"]): row for row in applied}
    for migration in plan:
        row = known.get((migration.component, migration.number))
        if row is not None and row["checksum"] != migration.checksum:
            raise MigrationRefused(
                f"{migration.component} {migration.number:04d}_{migration.name}.sql was applied as another text: "
                "add a new file instead of changing this one"
            )
    return [migration for migration in plan if (migration.component, migration.number) not in known]


async def _run(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO kit_migration (component, number, name, checksum) VALUES ($1, $2, $3, $4)",
            *(migration.component, migration.number, migration.name, migration.checksum),
        )


def password_of(dsn: str) -> str | None:
    """The password that a database address holds, None where it holds none."""
    password = urlsplit(dsn).password
    return unquote(password) if password else None


def _with_database(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))
