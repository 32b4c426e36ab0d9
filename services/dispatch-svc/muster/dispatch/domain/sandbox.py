"""The sandbox: the one account that sandbox tenants have, and that nobody else has."""

from typing import Final
from uuid import UUID

ACCOUNT: Final = "sandbox"
# A sandbox tenant may have any number or name as its sender, so the one who is written to is named with it.
ADDRESS_SEPARATOR: Final = "/"


def read_address(address: str) -> tuple[UUID, str]:
    """(tenant, sender) that were written to in the sandbox."""
    tenant, _, sender = address.partition(ADDRESS_SEPARATOR)
    return UUID(tenant), sender
