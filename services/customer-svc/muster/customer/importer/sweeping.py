"""What nobody needs of imports any more."""

from dataclasses import dataclass
from typing import Final

from muster.customer.importer.reading import end
from muster.customer.store import imports
from muster.kit.pg import Database

_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Kept:
    """For how long: an upload of which nothing comes, an import that nobody starts, rows that were left out."""

    upload_min: int
    preview_d: int
    rejected_d: int


async def sweep(db: Database, kept: Kept) -> bool:
    """Drop some of it; whether there may be more."""
    async with db.worker() as tx:
        forgotten = await imports.forgotten(tx, kept.upload_min, kept.preview_d, _AT_ONCE)
        old = await imports.old(tx, kept.rejected_d, _AT_ONCE)
    for tenant_id, import_id, state in forgotten:
        async with db.request(tenant_id) as tx:
            job = await imports.lock_import(tx, tenant_id, import_id)
            if job is None or job["state"] != state:
                continue
            if state == imports.UPLOADING:
                await imports.drop(tx, tenant_id, import_id)
            else:
                await end(tx, tenant_id, import_id, imports.CANCELLED)
    for tenant_id, import_id in old:
        async with db.request(tenant_id) as tx:
            await imports.forget_rejected(tx, tenant_id, import_id)
    return len(forgotten) == _AT_ONCE or len(old) == _AT_ONCE
