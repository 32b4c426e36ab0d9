"""A quote becomes a send: checked by law, stored, to be planned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from muster.customer.domain.approvals import Bound, Needed, Subject
from muster.customer.domain.gate import Confirmed, Override, blocked
from muster.customer.domain.limits import Limits, why
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.sends import is_small
from muster.customer.events import MessageKind
from muster.customer.handlers import checking
from muster.customer.handlers.approving import allow
from muster.customer.handlers.guarding import Wanted, admit, limits_of
from muster.customer.handlers.single import reference_base
from muster.customer.store import bulks, plans, quotes
from muster.customer.store.bulks import NewBulk
from muster.customer.store.quotes import Quote
from muster.customer.store.reference import Tenant
from muster.kit import clock, metrics
from muster.kit.ids import checked_uuid
from muster.kit.outbox import Lane
from muster.kit.pg import Tx


@dataclass(frozen=True, slots=True)
class Terms:
    """How a quote is confirmed: by whom, until when, above how many credits the user is asked again, and which checks
    an admin overrides. approved: what an approval of it would be of; None: of the quote. schedule_id: of the schedule
    whose start it is."""

    partial: int
    send_by: datetime
    by: str
    role: str
    agreed: int
    approved: Bound | None = None
    overrides: Sequence[Override] = ()
    schedule_id: UUID | None = None


async def request_send(
    tx: Tx, tenant: Tenant, key: bytes, quote: Quote, terms: Terms, limits: Limits
) -> UUID | Refusal | Needed:
    """Store the send of a quote that nobody has used; its id, or that the law blocks it, or it is too much for this
    day, or for one person."""
    barred = blocked(checking.checks_of(quote), terms.overrides)
    if barred is not None:
        metrics.send_checks.labels("blocked").inc()
        return barred
    tenant_id, now = tenant.tenant_id, clock.now()
    bulk_id = checked_uuid(key, tenant_id)
    bound, costs = terms.approved or Bound(Subject.QUOTE, quote.quote_id), min(quote.credits, terms.agreed)
    # Before its recipients are counted: a start that is refused for want of an approval is committed.
    allowed = await allow(tx, tenant_id, bound, bulk_id, costs, quote.recipients)
    if isinstance(allowed, Needed):
        return allowed
    over = await admit(tx, {0: Wanted(tenant, count=quote.recipients)}, limits)
    if over:
        return Refusal("quote_id", *why(over[0], tenant.clean_since, limits_of(tenant, limits)))
    bulk = NewBulk(
        bulk_id,
        MessageKind.BULK,
        quote.message_class,
        Lane.SMALL if is_small(quote.recipients) else Lane.LARGE,
        quote.quote_id,
        None,
        quote.sender,
        quote.text,
        terms.partial,
        terms.send_by,
        reference_base(bulk_id),
        now,
        terms.by,
        terms.agreed if allowed.credits is None else min(terms.agreed, allowed.credits),
    )
    await bulks.add_bulk(tx, tenant_id, bulk, allowed)
    await plans.add_plan(tx, tenant_id, bulk_id, bulk.lane)
    await quotes.use_quote(tx, tenant_id, quote.quote_id, bulk_id)
    confirmed = Confirmed(now, terms.by, terms.role, terms.schedule_id)
    await checking.keep(tx, tenant_id, bulk_id, quote, terms.overrides, confirmed, key)
    return bulk_id
