"""Law 7 as far as this service holds it: nothing crosses a tenant."""

from muster.kit.laws import LawResult, Violation, laws_router
from muster.kit.pg import Tx
from muster.tenant import store


async def check(tx: Tx) -> list[LawResult]:
    """Each API key is of a user of its own tenant, and each user of a tenant that is there."""
    checked, found = await store.crossings(tx)
    return [LawResult("tenant", checked, [Violation(str(tenant_id), detail) for tenant_id, detail in found])]


laws = laws_router("tenant", check)
