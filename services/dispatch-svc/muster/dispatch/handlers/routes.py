"""What dispatch-svc itself says of the platform: which carrier takes what, and whose a sender is."""

from muster.dispatch import events
from muster.dispatch.events import Route
from muster.dispatch.handlers.sends import DEFAULT_ROUTE
from muster.dispatch.store import platform
from muster.kit.outbox import emit
from muster.kit.pg import Tx

_SENDERS_PAGE = 1_000


async def say_platform(tx: Tx, account: str, reference_bits: int, parts_per_second: int) -> None:
    """Keep the default route as the settings have it, and say all routes and senders again: their topics are compacted,
    and whoever takes over says the recent keys once more."""
    await platform.set_route(
        tx,
        Route(
            route=DEFAULT_ROUTE,
            version=0,
            countries=[],
            account=account,
            reference_bits=reference_bits,
            parts_per_second=parts_per_second,
            open=True,
        ),
    )
    await emit(tx, *map(events.route_changed, await platform.routes(tx)))
    after = ""
    while page := await platform.senders(tx, after, _SENDERS_PAGE):
        await emit(tx, *map(events.sender_changed, page))
        after = page[-1].sender
