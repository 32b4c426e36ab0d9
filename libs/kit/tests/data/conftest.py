"""A service of the tests' own, with one table of each kind."""

from pathlib import Path

import pytest

from muster.kit.pg import Database
from muster.kit.testing import ServiceDatabases

NOTE_SQL = """
CREATE TABLE note (tenant_id uuid NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY, text text NOT NULL CHECK (text <> 'bad'),
                   PRIMARY KEY (tenant_id, id));
CALL kit_tenant_table('note', worker => true);
CREATE TABLE private (tenant_id uuid PRIMARY KEY, text text);
CALL kit_tenant_table('private');
CREATE TABLE price (country text PRIMARY KEY, credits bigint NOT NULL);
CALL kit_shared_table('price');
CREATE TABLE heard (tenant_id uuid NOT NULL, bulk_id text NOT NULL, chunk bigint NOT NULL, times int NOT NULL DEFAULT 1,
                    PRIMARY KEY (tenant_id, bulk_id, chunk));
CALL kit_tenant_table('heard', worker => true);
"""


@pytest.fixture(scope="session")
def migrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrations")
    (folder / "0001_note.sql").write_text(NOTE_SQL)
    return folder


@pytest.fixture
async def db(service_database: ServiceDatabases, migrations: Path) -> Database:
    return await service_database("notes", files=migrations)


@pytest.fixture
async def narrow_db(service_database: ServiceDatabases, migrations: Path) -> Database:
    """Pools of one connection: whatever one transaction leaves behind, the next one meets."""
    return await service_database("notes", files=migrations, app_pool_max=1, worker_pool_max=1, pool_wait_ms=300)
