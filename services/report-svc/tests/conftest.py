"""Fixtures of report-svc."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from muster.kit.pg import Database


@pytest.fixture
async def db(service_database: Any) -> Database:
    database: Database = await service_database("report")
    return database
