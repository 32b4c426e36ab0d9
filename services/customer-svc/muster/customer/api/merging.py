"""POST /v1/customers/{id}/archive, /unarchive and /merge"""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from muster.customer.api.common import problem_of
from muster.customer.api.customer_changes import changed_fields, evidence_of, refuse_changed
from muster.customer.api.customer_shapes import CustomerOut, shown
from muster.customer.api.customers import CustomerId, IfMatch, kept, locked, with_etag
from muster.customer.domain.customers import Consent, Customer
from muster.customer.domain.merging import MERGED_MAX, merged, stricter
from muster.customer.domain.refusal import Refusal
from muster.customer.handlers import consents
from muster.customer.store import customers as store
from muster.customer.store import merging
from muster.customer.store.customers import Evidence
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Int, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.pg import Record
from muster.kit.problems import conflict, not_found, unprocessable

router = APIRouter(prefix="/v1/customers")


class MergeIn(Model):
    """The customer who is the same person, and is merged into the one of the path."""

    customer_id: Annotated[Int, Field(ge=1)]


@router.post("/{customer_id}/archive", response_model=CustomerOut)
async def archive_customer(
    customer_id: CustomerId,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
    if_match: IfMatch = None,
) -> Response:
    """Put a customer away: nobody texts them, and nobody finds them who does not ask for the archive. Again it changes
    nothing."""

    async def make() -> tuple[int, Model]:
        row = await locked(tx, caller, customer_id, if_match)
        if row["archived_at"] is None:
            await merging.archive(tx, caller.tenant_id, customer_id)
            await kept(tx, caller, customer_id, ["archived_at"], Act.CUSTOMER_ARCHIVED)
        return 200, await _shown(tx, caller, customer_id)

    return with_etag(await once.answer(tx, caller, None, make))


@router.post("/{customer_id}/unarchive", response_model=CustomerOut)
async def unarchive_customer(
    customer_id: CustomerId,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
    if_match: IfMatch = None,
) -> Response:
    """Take a customer back from the archive; 409 for one who was merged into another."""

    async def make() -> tuple[int, Model]:
        row = await locked(tx, caller, customer_id, if_match)
        if row["archived_at"] is not None:
            await merging.unarchive(tx, caller.tenant_id, customer_id)
            await kept(tx, caller, customer_id, ["archived_at"], Act.CUSTOMER_UNARCHIVED)
        return 200, await _shown(tx, caller, customer_id)

    return with_etag(await once.answer(tx, caller, None, make))


@router.post("/{customer_id}/merge", response_model=CustomerOut)
async def merge_customer(
    customer_id: CustomerId,
    body: MergeIn,
    caller: Annotated[Caller, requires(Permission.MERGE_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
    if_match: IfMatch = None,
) -> Response:
    """Make one customer of two: this one gets the numbers, tags and lists of the other, and of both words on consent
    the stricter; a withdrawal stops all numbers. The other stays to be looked at, archived, with `merged_into`."""

    async def make() -> tuple[int, Model]:
        if body.customer_id == customer_id:
            raise unprocessable("customer_id", "same_customer", "a customer cannot be merged into themselves")
        await merging.alone(tx, caller.tenant_id)
        await consents.lock_numbers(tx, caller.tenant_id, customer_id, body.customer_id)
        await merging.lock_both(tx, caller.tenant_id, customer_id, body.customer_id)
        row = await locked(tx, caller, customer_id, if_match)
        if row["archived_at"] is not None:
            raise conflict("customer_archived", "This customer is archived", "Take them back from the archive first.")
        gone = await store.customer_of(tx, caller.tenant_id, body.customer_id)
        if gone is None:
            raise unprocessable("customer_id", "unknown_customer", f"there is no customer {body.customer_id}")
        await refuse_changed(tx, caller, gone, None)
        await _refuse_too_many(tx, caller, customer_id, body.customer_id)
        await _merge(tx, caller, row, gone)
        return 200, await _shown(tx, caller, customer_id)

    return with_etag(await once.answer(tx, caller, body, make))


async def _refuse_too_many(tx: Tx, caller: Caller, kept_id: int, gone_id: int) -> None:
    there = [len(await merging.merged_into(tx, caller.tenant_id, one)) for one in (kept_id, gone_id)]
    if sum(there) + 1 > MERGED_MAX:
        told = f"at most {MERGED_MAX} customers are merged into one; {there[0]} were, and {there[1]} into the other"
        raise unprocessable("customer_id", "too_many_merged", told)


async def _merge(tx: Tx, caller: Caller, row: Record, gone_row: Record) -> None:
    before, gone, evidence = store.customer_from(row), store.customer_from(gone_row), evidence_of(row)
    after = merged(before, gone)
    if isinstance(after, Refusal):
        raise problem_of(after)
    told = evidence_of(gone_row) if stricter(before, gone) else evidence
    kept_id, gone_id = row["customer_id"], gone_row["customer_id"]
    joins = bool(after.allow_bulk_sms and after.mobiles and after.mobiles != before.mobiles)
    await store.put_customer(tx, caller.tenant_id, kept_id, after, told, joins=joins, keeps_key=True)
    await merging.move(tx, caller.tenant_id, gone_id, kept_id)
    await _stop(tx, caller, before, gone, after, told)
    fields = changed_fields(before, after, (evidence, told))
    await kept(tx, caller, kept_id, [*fields, f"merged:{gone_id}"], Act.CUSTOMER_MERGED)
    await kept(tx, caller, gone_id, ["numbers", "archived_at", "merged_into"], Act.CUSTOMER_MERGED_AWAY)


async def _stop(tx: Tx, caller: Caller, before: Customer, gone: Customer, after: Customer, evidence: Evidence) -> None:
    """Whoever withdrew consent as one of the two has withdrawn it: the numbers of the other one stop too."""
    if after.consent is not Consent.WITHDRAWN or before.consent is gone.consent:
        return
    allowed = gone if before.consent is Consent.WITHDRAWN else before
    hashes = [mobile.number_hash for mobile in allowed.mobiles]
    await consents.stop(tx, caller.tenant_id, hashes, evidence.word(after.consent), caller.user_id)


async def _shown(tx: Tx, caller: Caller, customer_id: int) -> CustomerOut:
    row = await store.customer_of(tx, caller.tenant_id, customer_id)
    if row is None:
        raise not_found("customer")
    return shown(row)
