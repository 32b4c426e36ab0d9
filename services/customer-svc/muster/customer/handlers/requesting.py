"""A quote becomes a send: stored, to be planned."""

from datetime import datetime
from uuid import UUID

from muster.customer.domain.sends import is_small
from muster.customer.events import MessageKind
from muster.customer.handlers.single import reference_base
from muster.customer.store import bulks, plans, quotes
from muster.customer.store.bulks import NewBulk
from muster.customer.store.quotes import Quote
from muster.kit import clock
from muster.kit.ids import checked_uuid
from muster.kit.outbox import Lane
from muster.kit.pg import Tx


async def request_send(
    tx: Tx, tenant_id: UUID, key: bytes, quote: Quote, *, partial: int, send_by: datetime, by: str, agreed: int
) -> UUID:
    """Store the send of a quote that nobody has used; its id. agreed: credits above which the user is asked again."""
    bulk_id = checked_uuid(key, tenant_id)
    bulk = NewBulk(
        bulk_id,
        MessageKind.BULK,
        quote.message_class,
        Lane.SMALL if is_small(quote.recipients) else Lane.LARGE,
        quote.quote_id,
        None,
        quote.sender,
        quote.text,
        partial,
        send_by,
        reference_base(bulk_id),
        clock.now(),
        by,
        agreed,
    )
    await bulks.add_bulk(tx, tenant_id, bulk)
    await plans.add_plan(tx, tenant_id, bulk_id, bulk.lane)
    await quotes.use_quote(tx, tenant_id, quote.quote_id, bulk_id)
    return bulk_id
