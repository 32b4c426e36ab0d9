"""Says each second, while something is sent, what the carrier takes: the ground of promised finishes; and shows how
much may be written."""

from muster.dispatch.sender.shared import Shared
from muster.dispatch.store import pace
from muster.kit import clock, metrics

EVERY_S = 1.0


async def say_rate(shared: Shared) -> None:
    """Store what the carrier takes now; at rest nothing is said."""
    metrics.carrier_parts_per_second.set(shared.rate.limit)
    rate = shared.meter.take(clock.monotonic())
    if rate and shared.jobs:
        async with shared.db.worker() as tx:
            await pace.save_rate(tx, shared.account.name, rate)
