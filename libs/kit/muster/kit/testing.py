"""A pytest plugin for tests of services: a migrated database of their own, handlers applied as the consumer does.

Needs the plugin `muster.local.testing` (real servers). Heavy imports happen at first use, after coverage has begun.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from fastapi import APIRouter, FastAPI
    from google.protobuf.message import Message

    from muster.kit.consumer.received import Handler, Received
    from muster.kit.outbox import Lane
    from muster.kit.pg import Database, Tx

PASSWORD = "for-tests"  # noqa: S105 - of throw-away databases that only this machine reaches


def pytest_configure() -> None:
    """Logs as in production: structlog's own ones show each frame's locals, and take seconds for a traceback. How long
    an example of Hypothesis takes says how busy the machine is, and nothing else."""
    from hypothesis import HealthCheck, settings

    from muster.kit import observe

    observe.render(logging.INFO, sys.stderr)
    settings.register_profile("muster", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("muster")


class NewDatabase(Protocol):
    """Makes databases and drops them."""

    def __call__(self, template: str) -> str:
        """The superuser's DSN of a copy of that database."""
        ...

    def drop(self, dsn: str) -> None:
        """Drop what it made."""
        ...


class ServiceDatabases:
    """`await service_database("credit")` gives a `Database` on a fresh, migrated database of that service.

    The first call for a service migrates a template; the others copy it (some 50 ms). All are dropped after the test.
    """

    def __init__(self, admin_dsn: str, new_database: NewDatabase, templates: dict[str, str]) -> None:
        self._admin_dsn = admin_dsn
        self._new_database = new_database
        self._templates = templates
        self._opened: list[tuple[str, Database]] = []

    async def __call__(
        self, service: str, package: str | None = None, *, files: Traversable | None = None, **limits: Any
    ) -> Database:
        """`package` where it is not `muster.<service>`; `files` for a folder of migrations; `limits` of connect."""
        from muster.kit.pg import Database

        if service not in self._templates:
            self._templates[service] = await self._template(service, package, files)
        admin_dsn = await asyncio.to_thread(self._new_database, template=self._templates[service])
        database = await Database.connect(
            role_dsn(admin_dsn, f"{service}_app"), role_dsn(admin_dsn, f"{service}_worker"), **limits
        )
        self._opened.append((admin_dsn, database))
        return database

    def admin_dsn(self, database: Database) -> str:
        """The superuser's DSN of a database that this fixture made: to look behind the roles, or to break things."""
        return next(dsn for dsn, opened in self._opened if opened is database)

    def dsns(self, database: Database, service: str) -> tuple[str, str]:
        """The DSNs of the app and the worker role, for another `Database` or another process."""
        dsn = self.admin_dsn(database)
        return role_dsn(dsn, f"{service}_app"), role_dsn(dsn, f"{service}_worker")

    async def close(self) -> None:
        """Close and drop what was opened."""
        for _, database in self._opened:
            await database.close()
        for dsn, _ in self._opened:
            await asyncio.to_thread(self._new_database.drop, dsn)

    async def _template(self, service: str, package: str | None, files: Traversable | None) -> str:
        from muster.kit.migrate import migrate

        name = f"template_{service}"
        passwords: dict[str, Any] = {"app_password": PASSWORD, "worker_password": PASSWORD}
        await migrate(self._admin_dsn, service, package, database=name, files=files, **passwords)
        return name


@pytest.fixture(scope="session")
def _migrated_templates() -> dict[str, str]:
    return {}


@pytest.fixture
async def service_database(
    postgres_server: str, new_database: NewDatabase, _migrated_templates: dict[str, str]
) -> AsyncIterator[ServiceDatabases]:
    """A factory of migrated databases: `db = await service_database("credit")`."""
    databases = ServiceDatabases(postgres_server, new_database, _migrated_templates)
    try:
        yield databases
    finally:
        await databases.close()


_apps: dict[tuple[object, ...], FastAPI] = {}


def app_of(service: str, routers: Sequence[APIRouter], state: Mapping[str, Any]) -> FastAPI:
    """The app of a service over this state, as `create_app` makes it. Tests use one after another: its many models take
    longer to make than a fresh database. Only the last state that was given counts."""
    from starlette.datastructures import State

    from muster.kit.desk import Desk
    from muster.kit.http import create_app
    from muster.kit.settings import HttpSettings

    settings = state.get("settings")
    key = (service, *(getattr(settings, name) for name in HttpSettings.model_fields if settings))
    if key not in _apps:
        _apps[key] = create_app(service, routers=routers, state={"settings": settings})
    app = _apps[key]
    app.state = State({"desk": Desk(state["db"]), **state})
    return app


@dataclass(frozen=True, slots=True)
class Emitted:
    """A fact as it stands in the outbox."""

    message: Any
    event_id: UUID
    tenant_id: UUID
    topic: str
    key: bytes
    lane: Lane
    correlation: str
    causation: str
    subject: str


def role_dsn(admin_dsn: str, role: str) -> str:
    """The DSN of a role of a test database, from the superuser's DSN of the same."""
    parts = urlsplit(admin_dsn)
    # To be ready for a server that speaks TLS costs a third of a connection.
    netloc = f"{role}:{PASSWORD}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=netloc, query="sslmode=disable"))


def received(message: Message, *, event_id: UUID | None = None, **members: Any) -> Received[Any]:
    """An event as the consumer would hand it over; `members` replace single ones, such as correlation."""
    from muster.events import topic_of
    from muster.kit import clock
    from muster.kit.consumer.received import Received
    from muster.kit.ids import uuid7

    values: dict[str, Any] = {
        "message": message,
        "event_id": event_id or uuid7(),
        "tenant_id": UUID(getattr(message, "tenant_id")),  # noqa: B009 - protobuf's base class does not know it
        "correlation": getattr(message, "bulk_id", ""),
        "causation": "",
        "time_unix_ms": clock.unix_ms(),
        "topic": topic_of(message.DESCRIPTOR.name, getattr(message, "lane", None)),
        "partition": 0,
        "offset": 0,
        "key": b"",
    }
    return Received(**{**values, **members})


async def apply(db: Database, handler: Handler, *messages: Message | Received[Any]) -> None:
    """Run a handler once over these messages in one worker transaction, as one batch of the consumer."""
    await _apply(db, handler, [_as_received(message) for message in messages])


async def run_twice(db: Database, handler: Handler, *messages: Message | Received[Any]) -> list[Emitted]:
    """Run a handler over the same events twice, each in a transaction; all facts that are in the outbox afterwards."""
    events = [_as_received(message) for message in messages]
    await _apply(db, handler, events)
    await _apply(db, handler, events)
    async with db.worker() as tx:
        return await facts(tx)


async def forget_all(db: Database, blank: Any) -> None:
    """Let a service forget everybody who was erased: twice over, once nothing of before is under way any more."""
    from muster.kit import erasure

    open_ones = "SELECT count(*) FROM erased_number WHERE forgotten_at IS NULL"
    while True:
        await erasure.forget(db, blank)
        async with db.worker() as tx:
            if not await tx.fetchval(open_ones):
                return
        await asyncio.sleep(0.01)


async def facts(tx: Tx, *types: str) -> list[Emitted]:
    """The facts in the outbox in order, decoded, of these types or all; needs a worker transaction."""
    from muster.events import TYPES
    from muster.kit.outbox import Lane

    rows = await tx.fetch("SELECT * FROM outbox ORDER BY id")
    return [
        Emitted(
            message=TYPES[row["type"]].FromString(row["value"]),
            event_id=row["event_id"],
            tenant_id=row["tenant_id"],
            topic=row["topic"],
            key=row["key"],
            lane=Lane(row["lane"]),
            correlation=row["correlation"],
            causation=row["causation"],
            subject=row["subject"],
        )
        for row in rows
        if not types or row["type"] in types
    ]


def _as_received(message: Message | Received[Any]) -> Received[Any]:
    from muster.kit.consumer.received import Received

    return message if isinstance(message, Received) else received(message)


async def _apply(db: Database, handler: Handler, events: Sequence[Received[Any]]) -> None:
    async with db.worker() as tx:
        await handler(tx, events)


# Nothing that works takes as long as this, on however busy a machine: it only ends what hangs.
_PATIENCE_S = 300.0


async def eventually(condition: Callable[[], Awaitable[object]]) -> Any:
    """Wait until the condition is true and return it; AssertionError when it is not within five minutes."""
    began = asyncio.get_running_loop().time()
    while not (found := await condition()):
        waited_s = asyncio.get_running_loop().time() - began
        if waited_s > _PATIENCE_S:
            raise AssertionError(f"did not become true within {_PATIENCE_S} s: {condition}")
        # To look costs more than what is waited for, often: what takes long is looked at less.
        await asyncio.sleep(min(0.1, max(0.02, waited_s / 8)))
    return found
