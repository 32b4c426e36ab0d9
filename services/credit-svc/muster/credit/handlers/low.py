"""What follows where credits run low or have risen again, in the transaction of the entries that did it."""

from collections.abc import Sequence

from muster.credit import events
from muster.credit.domain.account import Entry
from muster.credit.domain.watch import Failure, Wanted, crossings
from muster.credit.store import watch
from muster.kit.outbox import emit
from muster.kit.pg import Tx


async def follow(tx: Tx, entries: Sequence[Entry]) -> None:
    """Tell of each fall below a threshold once, and intend a charge where the tenant wants one; accounts are locked."""
    if not entries:
        return
    watches = await watch.watches(tx, {entry.account.tenant_id for entry in entries})
    found = crossings(watches, entries)
    await watch.save_armed(tx, found.watches.values())
    await emit(tx, *map(events.low, found.lows))
    for wanted in found.wanted:
        await _top_up(tx, wanted)


async def _top_up(tx: Tx, wanted: Wanted) -> None:
    spent = await watch.charged(tx, wanted.tenant_id, wanted.month, wanted.currency)
    if spent + wanted.amount <= wanted.monthly_max:
        await watch.intend(tx, wanted.tenant_id, wanted)
        return
    told = (wanted.charge_id, wanted.amount, wanted.currency, Failure.MONTHLY_MAXIMUM)
    await emit(tx, events.top_up_failed(wanted.tenant_id, *told))
