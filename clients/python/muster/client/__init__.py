"""The typed client of Muster's public API."""

from muster.client.api import AsyncMuster, Connection, Muster
from muster.client.errors import ApiError, FieldError, NotConnected
from muster.client.laws import Law, check_laws

__all__ = ["ApiError", "AsyncMuster", "Connection", "FieldError", "Law", "Muster", "NotConnected", "check_laws"]
