"""For the operator: how far law 7 holds here."""

from muster.kit.auth import Tx
from muster.kit.laws import laws_router
from muster.laws import system
from muster.laws.result import LawResult
from muster.reply.store import laws


async def check_laws(tx: Tx) -> list[LawResult]:
    """Law 7: nothing crosses a tenant."""
    count, crossing = await laws.rows_crossing(tx)
    return [system.tenant(crossing, count)]


ROUTER = laws_router("reply", check_laws)
