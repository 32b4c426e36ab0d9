"""Law 7 as far as this service holds it: nothing crosses a tenant."""

from muster.kit.laws import laws_router
from muster.kit.pg import Tx
from muster.laws import system
from muster.laws.result import LawResult
from muster.tenant import store


async def check(tx: Tx) -> list[LawResult]:
    """Each API key is of a user of its own tenant, and each user of a tenant that is there."""
    checked, crossing = await store.crossings(tx)
    return [system.tenant(crossing, checked)]


laws = laws_router("tenant", check)
