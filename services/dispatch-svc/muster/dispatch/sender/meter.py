"""Says each second, while something is sent, what the carrier takes: the ground of promised finishes."""

from muster.dispatch.sender.shared import Shared
from muster.dispatch.store import pace
from muster.kit import clock

EVERY_S = 1.0


async def say_rate(shared: Shared) -> None:
    """Store what the carrier takes now; at rest nothing is said."""
    rate = shared.meter.take(clock.monotonic())
    if rate and shared.jobs:
        async with shared.db.worker() as tx:
            await pace.save_rate(tx, shared.account.name, rate)
