"""For the operator: how far the laws hold in the ledger, and the sums of each send."""

from dataclasses import replace
from uuid import UUID

from muster.credit.handlers import HANDLERS
from muster.credit.store import laws
from muster.kit.auth import Tx
from muster.kit.http import Model
from muster.kit.laws import laws_router, sums_router
from muster.kit.ops import ops_router
from muster.laws import ledger, system
from muster.laws.result import LawResult, together


class BulkSums(Model):
    """What the ledger has for one send: reserved = used + released + held."""

    tenant_id: UUID
    bulk_id: UUID
    reserved: int
    used: int
    released: int
    held: int
    refunded: int
    closed: bool
    version: int


async def check_laws(tx: Tx) -> list[LawResult]:
    """Laws 1, 2 and 7 over the whole ledger."""
    count, unlike = await laws.sends_unlike(tx)
    uneven = await laws.wallets_unlike(tx)
    moved, lopsided = await laws.transfers_unlike(tx)
    rows, crossing = await laws.rows_crossing(tx)
    return [
        together("granted", (ledger.granted(await laws.accounts(tx)), ledger.transfers(lopsided, moved))),
        together("reserved", (ledger.reserved(unlike, count), replace(ledger.wallets(uneven), checked=0))),
        system.tenant(crossing, rows),
    ]


ROUTERS = (
    sums_router("credit", BulkSums, laws.bulks),
    laws_router("credit", check_laws),
    ops_router("credit", lambda _: HANDLERS),
)
