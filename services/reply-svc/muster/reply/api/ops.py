"""For the operator: how far law 7 holds here."""

from muster.kit.auth import Tx
from muster.kit.laws import LawResult, Violation, laws_router
from muster.reply.store import laws


async def check_laws(tx: Tx) -> list[LawResult]:
    """Law 7: nothing crosses a tenant."""
    count, crossing = await laws.rows_crossing(tx)
    violations = [
        Violation(
            str(row["tenant_id"]),
            "touches another tenant",
            bulk_id=row["bulk_id"] and str(row["bulk_id"]),
            message=row["inbound_id"] and str(row["inbound_id"]),
        )
        for row in crossing
    ]
    return [LawResult("tenant", count, violations)]


ROUTER = laws_router("reply", check_laws)
