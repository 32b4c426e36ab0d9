"""For the operator: how far the laws hold in the ledger, and the sums of each send."""

from uuid import UUID

from muster.credit.handlers import HANDLERS
from muster.credit.handlers.laws import check_laws
from muster.credit.store import laws
from muster.kit.http import Model
from muster.kit.laws import laws_router, sums_router
from muster.kit.ops import ops_router


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


ROUTERS = (
    sums_router("credit", BulkSums, laws.bulks),
    laws_router("credit", check_laws),
    ops_router("credit", lambda _: HANDLERS),
)
