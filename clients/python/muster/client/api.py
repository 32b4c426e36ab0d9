"""Both clients of `/v1`, and what they are made with."""

from muster.client.aio import AsyncMuster
from muster.client.blocking import Muster
from muster.client.connection import Connection, Query

__all__ = ["AsyncMuster", "Connection", "Muster", "Query"]
