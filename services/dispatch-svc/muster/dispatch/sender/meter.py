"""Says each second, while something is sent, what the carrier takes: the ground of promised finishes; and shows how
much may be written."""

from muster.dispatch.sender.shared import Shared
from muster.dispatch.store import pace
from muster.kit import clock, metrics, observe

log = observe.logger(__name__)

EVERY_S = 1.0


async def say_rate(shared: Shared) -> None:
    """Store what the carrier takes now; at rest nothing is said."""
    metrics.carrier_parts_per_second.set(shared.rate.limit)
    limit = shared.account.parts_per_second
    meter = shared.meter
    if not shared.jobs:
        meter.take(clock.monotonic(), limit)
        return
    async with shared.db.worker() as tx:
        meter.arriving = await pace.arriving(tx)
        seen = {"parts": meter.parts, "refused": meter.refused, "hungry": meter.hungry, "arriving": meter.arriving}
        log.debug("pace.taken", account=shared.account.name, limit=limit, **seen)
        taken = meter.take(clock.monotonic(), limit)
        if taken.parts_per_second:
            await pace.save_rate(tx, shared.account.name, taken)
