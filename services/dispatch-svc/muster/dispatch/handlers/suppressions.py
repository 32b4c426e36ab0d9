"""Who may not be texted, as customer-svc says it. Senders look again before they write anything more."""

from collections.abc import Sequence
from uuid import UUID

from muster.dispatch.events import PersonErased, SuppressionChanged
from muster.dispatch.store import endings, suppressions
from muster.dispatch.store.suppressions import Change
from muster.kit import erasure
from muster.kit.consumer.received import Poison, Received
from muster.kit.pg import Tx


async def on_suppression_changed(tx: Tx, batch: Sequence[Received[SuppressionChanged]]) -> None:
    """A number was suppressed or let go; the hold of the message that led to it ends."""
    changes = [_change(event.message) for event in batch]
    newest: dict[tuple[UUID, bytes], Change] = {}
    for change in changes:
        known = newest.get((change.tenant_id, change.number_hash))
        if known is None or known.version < change.version:
            newest[change.tenant_id, change.number_hash] = change
    tenants = {change.tenant_id for change in changes}
    await suppressions.lock_tenants(tx, tenants)
    await suppressions.apply(tx, list(newest.values()))
    named = [(change.tenant_id, change.inbound_id) for change in changes if change.inbound_id is not None]
    freed = await suppressions.release_holds(tx, named)
    await suppressions.raise_counters(tx, tenants)
    await endings.hurry_held(tx, freed)


def _change(event: SuppressionChanged) -> Change:
    return Change(
        tenant_id=UUID(event.tenant_id),
        number_hash=event.number_hash,
        version=event.version,
        suppressed=event.suppressed,
        scope=event.scope or 1,
        inbound_id=uuid_or_none(event.inbound_id),
    )


async def on_person_erased(tx: Tx, batch: Sequence[Received[PersonErased]]) -> None:
    """A person asked to be forgotten: what is queued for them is not sent any more; `handlers.erasing` blanks it."""
    erasures = erasure.erasures_of(batch)
    tenants = {one.tenant_id for one in erasures}
    await suppressions.lock_tenants(tx, tenants)
    await suppressions.erase(tx, erasures)
    await erasure.remember(tx, erasures)
    await suppressions.raise_counters(tx, tenants)


def uuid_or_none(text: str) -> UUID | None:
    """An id that may be empty; Poison for rubbish."""
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise Poison("an id that is none") from error
