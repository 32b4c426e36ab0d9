"""What dispatch-svc itself says of the platform: which carriers take what, and whose a sender is."""

from muster.dispatch import events
from muster.dispatch.events.senders import sender_changed
from muster.dispatch.store import routes, senders
from muster.dispatch.store.routes import Stored
from muster.dispatch.store.senders import Asked
from muster.events import NIL_TENANT
from muster.kit.outbox import Fact, emit
from muster.kit.pg import Tx

_SENDERS_PAGE = 1_000


async def say_platform(tx: Tx, account: str, reference_bits: int, parts_per_second: int) -> None:
    """Keep the default route as the settings have it, and say all routes and senders again: their topics are compacted,
    and whoever takes over says the recent keys once more."""
    await routes.lock(tx)
    await routes.seed(tx, account, reference_bits, parts_per_second)
    await emit(tx, *map(said, await routes.every(tx, deleted=True)))
    after = "", NIL_TENANT
    while page := await senders.page(tx, after, Asked(), _SENDERS_PAGE):
        await emit(tx, *map(sender_changed, page))
        after = page[-1].sender, page[-1].owner_tenant_id


async def follow_carriers(tx: Tx) -> None:
    """An account has changed: routes say what is agreed with its carrier now."""
    await routes.lock(tx)
    await emit(tx, *map(said, await routes.refresh(tx)))


def said(stored: Stored) -> Fact:
    """A route as it stands."""
    return events.route_changed(stored.route, stored.version, stored.reference_bits, stored.parts_per_second)
