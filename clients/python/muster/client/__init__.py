"""The typed client of Muster's public API."""

from muster.client.api import Connection, Muster
from muster.client.errors import ApiError, NotConnected
from muster.client.laws import Law, check_laws

__all__ = ["ApiError", "Connection", "Law", "Muster", "NotConnected", "check_laws"]
