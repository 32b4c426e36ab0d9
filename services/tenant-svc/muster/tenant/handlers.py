"""What tenant-svc does on each event."""

from collections.abc import Mapping, Sequence

from muster.kit.consumer import Handler
from muster.kit.outbox import emit
from muster.kit.pg import Tx
from muster.tenant import events, store


async def on_act_recorded(tx: Tx, batch: Sequence[events.ActHeard]) -> None:
    """Acts are kept for good; the event id makes a repetition harmless."""
    await store.add_acts(tx, [events.act_of(received) for received in batch])


async def on_bulk_sms_checked(tx: Tx, batch: Sequence[events.ChecksHeard]) -> None:
    """Who sends what a law blocks is in the audit log, with which; the reason stays with the send."""
    acts = [act for received in batch if (act := events.override_of(received)) is not None]
    if acts:
        await store.add_acts(tx, acts)


async def on_suspension_changed(tx: Tx, batch: Sequence[events.SuspensionHeard]) -> None:
    """A tenant that is suspended gets no tokens, and everybody else hears of it. The platform is no tenant."""
    for received in batch:
        version, suspended = received.message.version, received.message.suspended
        tenant = await store.suspend(tx, events.tenant_of(received), version, suspended=suspended)
        if tenant is not None:
            await emit(tx, events.changed(tenant))


async def say_again(tx: Tx, younger_than_s: int) -> int:
    """Say the settings of recently changed tenants once more; returns how many.

    After a takeover, an event of the process before may have overtaken a younger one on the compacted topic: the
    version decides for who reads both, and this is for who reads the last one only.
    """
    tenants = await store.recently_changed(tx, younger_than_s)
    await emit(tx, *(events.changed(tenant) for tenant in tenants))
    return len(tenants)


HANDLERS: Mapping[str, Handler] = {
    "ActRecorded": on_act_recorded,
    "BulkSmsChecked": on_bulk_sms_checked,
    "SuspensionChanged": on_suspension_changed,
}
