"""A service of the tests' own, with one table of each kind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from muster.kit.consumer import Consumer, ConsumerSettings
from muster.kit.pg import Database
from muster.kit.producer import Producer
from muster.kit.testing import ServiceDatabases
from muster.kit.topics import Wanted, ensure

from .log import hear

QUICK = ConsumerSettings(session_timeout_ms=3_000, fetch_wait_ms_max=500)

NOTE_SQL = """
CREATE TABLE note (tenant_id uuid NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY,
                   text text NOT NULL CHECK (text <> 'bad'), PRIMARY KEY (tenant_id, id));
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
    return await service_database("notes", files=migrations, app_pool_max=1, worker_pool_max=1)


@pytest.fixture
async def new_topic(kafka_server: str) -> Callable[..., Awaitable[str]]:
    """A factory of topics with names of their own: `await new_topic(partitions=2, compacted=True)`."""

    async def make(partitions: int = 1, *, compacted: bool = False, name: str | None = None, **config: str) -> str:
        name = name or f"t-{uuid4().hex[:12]}"
        policy = {"cleanup.policy": "compact" if compacted else "delete", **config}
        assert await ensure(kafka_server, [Wanted(name, partitions, 1, policy)]) == []
        return name

    return make


@pytest.fixture
async def producer(kafka_server: str) -> AsyncIterator[Producer]:
    made = Producer(kafka_server)
    yield made
    await made.stop()


@pytest.fixture
async def running() -> AsyncIterator[Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]]:
    """Starts loops (`running(consumer.run())`) and cancels those that are left at the end of the test."""
    tasks: list[asyncio.Task[None]] = []

    def start(loop: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        tasks.append(asyncio.create_task(loop))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome


@pytest.fixture
def group() -> str:
    """The consumer group of this test."""
    return f"g-{uuid4().hex[:12]}"


@pytest.fixture
def make(db: Database, kafka_server: str, group: str) -> Callable[..., Consumer]:
    """A factory of consumers of that group, which count what they hear: `make(topic, handler, batch_max=5)`."""

    def consumer(topic: str, handler: Any = hear, **options: Any) -> Consumer:
        handlers = options.pop("handlers", {"BulkSmsRequested": handler})
        options = {"settings": QUICK, "compacted": frozenset[str](), "topics": [topic], **options}
        return Consumer(db, bootstrap=kafka_server, group=group, handlers=handlers, **options)

    return consumer
