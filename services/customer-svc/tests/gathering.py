"""A gatherer as the API process has one."""

from functools import partial
from typing import Any

from muster.customer.gatherer import Gatherer
from muster.customer.handlers import messages
from muster.kit.pg import Database

KEY = "00" * 32
SECRETS = messages.Secrets(bytes.fromhex(KEY), 1, bytes.fromhex(KEY))


def gatherer_of(db: Database, take: Any = messages.take, waiting_max: int = 1_000) -> Gatherer:
    return Gatherer(
        db, partial(take, secrets=SECRETS), wait_ms=1, wait_ms_max=50, group_max=500, waiting_max=waiting_max
    )
