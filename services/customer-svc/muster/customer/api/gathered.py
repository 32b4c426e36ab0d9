"""The words on consent of a customer and of those who were merged into them, gathered for a file."""

from typing import Final

from fastapi import Request

from muster.customer.api.common import e164, tenant_of
from muster.customer.api.evidence import Chain, Evidence
from muster.customer.domain.consent import first_broken
from muster.customer.store import consents, customers, merging
from muster.kit import clock
from muster.kit.auth import Caller, Tx
from muster.kit.pg import Record
from muster.kit.problems import not_found

# A file is made in memory; nobody's consent changes that often.
ROWS_MAX: Final = 10_000


async def evidence_of(request: Request, tx: Tx, caller: Caller, customer_id: int) -> tuple[Record | None, Evidence]:
    """The customer, None for one who was removed, and what proves their consent; 404 for nobody's id."""
    tenant_id = caller.tenant_id
    row = await customers.customer_of(tx, tenant_id, customer_id)
    own = await _chain(tx, caller, customer_id)
    if row is None and not own.versions:
        raise not_found("customer")
    merged = [await _chain(tx, caller, one) for one in await merging.merged_into(tx, tenant_id, customer_id)]
    ids = [customer_id, *(one.customer_id for one in merged)]
    pairs = () if row is None else zip(row["numbers"], row["hashes"], strict=True)
    return row, Evidence(
        tenant_id=tenant_id,
        business=(await tenant_of(request, tx, tenant_id)).name,
        name=None if row is None else f"{row['first_name']} {row['last_name']}".strip(),
        numbers=[(e164(number), bytes(number_hash)) for number, number_hash in pairs],
        made_at=clock.now(),
        made_by=caller.user_id,
        chain=own,
        merged=merged,
        merged_into=row["merged_into"] if row else None,
        suppressions=await consents.suppressions_of(tx, tenant_id, ids, ROWS_MAX),
    )


async def _chain(tx: Tx, caller: Caller, customer_id: int) -> Chain:
    versions = await consents.page_of_versions(tx, caller.tenant_id, customer_id, 0, ROWS_MAX)
    return Chain(customer_id, versions, first_broken(caller.tenant_id, customer_id, versions))
