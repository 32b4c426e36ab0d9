"""The typed client of Muster's public API."""

from muster.client.api import ApiError, Connection, Muster
from muster.client.laws import Law, check_laws

__all__ = ["ApiError", "Connection", "Law", "Muster", "check_laws"]
