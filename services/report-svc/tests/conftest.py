"""Fixtures of report-svc."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from report_http import KEY, NUMBERS, TENANT, Verifier, hear
from report_world import ACCEPTED, DELIVERED, REJECTED, UNKNOWN, Send

from muster.kit.pg import Database
from muster.kit.testing import app_of
from muster.report.api import ROUTERS
from muster.report.api.readers import Readers
from muster.report.api.watching import Watching
from muster.report.settings import ReportSettings


@pytest.fixture
async def db(service_database: Any) -> Database:
    database: Database = await service_database("report")
    return database


@pytest.fixture
async def http(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    settings = ReportSettings(bulk_id_key=KEY.hex())  # type: ignore[arg-type]
    readers = Readers(tenant_max=1, all_max=1)
    watching = Watching(settings)
    state = {"db": db, "verifier": Verifier(), "settings": settings, "readers": readers, "watching": watching}
    app = app_of("report", ROUTERS, state)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://report") as client:
        yield client


@pytest.fixture
async def sends(db: Database) -> tuple[Send, Send]:
    """A send of three, one of them delivered and answered; and a reminder."""
    bulk, reminder = Send(TENANT), Send(TENANT)
    await hear(
        db,
        bulk.requested(3),
        bulk.recipients(NUMBERS, ["Hello Ann", "Hello Bob", "Good 100%_day"]),
        bulk.dispatched([ACCEPTED, REJECTED, UNKNOWN]),
        bulk.receipts([DELIVERED]),
        *bulk.answers(uuid4()),
        bulk.accounted(1, closed=True),
        reminder.requested(1, kind=3),
        reminder.dispatched([ACCEPTED], at_ms=1_790_000_000_000),
    )
    return bulk, reminder
