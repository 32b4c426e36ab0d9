"""Fixtures of dispatch-svc."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from muster.kit.pg import Database
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.server import Carrier


@pytest.fixture
async def db(service_database: Any) -> Database:
    database: Database = await service_database("dispatch")
    return database


@pytest.fixture
async def clocked(service_database: Any) -> AsyncIterator[Any]:
    from clocked_world import clocked_database

    async with clocked_database(service_database) as database:
        yield database


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    async with Carrier(CarrierOptions(password="muster")) as server:
        yield server
