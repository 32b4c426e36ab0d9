"""A PostgreSQL for the simulation, with databases of its own for each worker of a run."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from muster.kit.migrate import migrate
from muster.kit.testing import PASSWORD
from muster.local.postgres import Postgres, run_sql
from muster.local.scratch import scratch
from simulation.cluster import SERVICES

_PREFIX = "muster-sim-"
# A worker keeps up to some 60: each role of each service, for as many as ever were open at a time; and there are 16.
_CONNECTIONS_MAX = 2_000
_SETTINGS = ("autovacuum = off", "checkpoint_timeout = '1h'", "wal_level = minimal")


@contextmanager
def server() -> Iterator[str]:
    """The superuser's address of a fresh server; gone after the block."""
    with scratch(_PREFIX) as folder:
        postgres = Postgres(folder, durable=False, connections_max=_CONNECTIONS_MAX)
        postgres.start()
        try:
            for setting in _SETTINGS:
                run_sql(postgres.dsn(), f"ALTER SYSTEM SET {setting}")
            run_sql(postgres.dsn(), "SELECT pg_reload_conf()")
            yield postgres.dsn()
        finally:
            postgres.stop()
            postgres.remove()


def make_databases(admin_dsn: str, suffixes: list[str]) -> None:
    """Migrated databases of all services for each suffix."""
    for service in SERVICES:
        template = f"{service}_template"
        passwords = {"app_password": PASSWORD, "worker_password": PASSWORD}
        asyncio.run(migrate(admin_dsn, service, None, database=template, **passwords))
        for suffix in suffixes:
            run_sql(admin_dsn, f'CREATE DATABASE "{service}_{suffix}" TEMPLATE "{template}"')
