"""How reply-svc has read what somebody wrote: holds end or become narrower."""

from collections.abc import Sequence
from uuid import UUID

from muster.dispatch import events
from muster.dispatch.events import OptOutReceived, ReplyReceived
from muster.dispatch.handlers.suppressions import uuid_or_none
from muster.dispatch.store import endings, suppressions
from muster.kit.consumer.received import Received
from muster.kit.pg import Tx


async def on_reply_received(tx: Tx, batch: Sequence[Received[ReplyReceived]]) -> None:
    """A reply that asks for nothing ends the hold that it made; an opt-out waits for its suppression."""
    named = [
        (UUID(event.message.tenant_id), inbound_id)
        for event in batch
        if event.message.verdict in events.NO_OPT_OUT and (inbound_id := uuid_or_none(event.message.inbound_id))
    ]
    await endings.hurry_held(tx, await suppressions.release_holds(tx, named))


async def on_opt_out_received(tx: Tx, batch: Sequence[Received[OptOutReceived]]) -> None:
    """How far the opt-out reaches: the hold is narrowed to that, never ended."""
    scopes = [
        (UUID(event.message.tenant_id), inbound_id, int(event.message.scope))
        for event in batch
        if event.message.scope and (inbound_id := uuid_or_none(event.message.inbound_id))
    ]
    if scopes:
        await suppressions.narrow_holds(tx, scopes)
