"""A send and its chunks, as customer-svc says them."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from muster.dispatch import events
from muster.dispatch.domain import routing, sandbox
from muster.dispatch.domain.hours import multirange
from muster.dispatch.domain.routing import Hindrance, Needs, Option, Table
from muster.dispatch.domain.saga import Arrived, Fact, Withdrawn
from muster.dispatch.events import BulkRecipientsAttached, BulkSmsRequested, BulkSmsWithdrawn, ChunkFacts, ChunkKey
from muster.dispatch.handlers.sagas import advance_locked, apply_facts
from muster.dispatch.store import chunks, hours, routes, sagas
from muster.dispatch.store.chunks import NewChunk
from muster.dispatch.store.sagas import SagaKey, from_unix_ms
from muster.events import is_sandbox
from muster.events.personal import PERSONAL_TYPES, born_at
from muster.kit import clock, erasure, trace
from muster.kit.consumer.received import Poison, Received
from muster.kit.pg import Tx

# Before any route is known; the environment's account is called so unless it is named.
_NO_ROUTE: Final = Option(routing.DEFAULT, "smpp", 1, routing.WHOLE, Hindrance.NONE)


async def on_bulk_sms_requested(tx: Tx, batch: Sequence[Received[BulkSmsRequested]]) -> None:
    """A send was planned: how many recipients, chunks and credits it has."""
    facts: dict[SagaKey, list[Fact]] = {}
    for event in batch:
        facts.setdefault(_key(event.message), []).append(events.requested(event.message))
    await apply_facts(tx, facts)


async def on_bulk_sms_withdrawn(tx: Tx, batch: Sequence[Received[BulkSmsWithdrawn]]) -> None:
    """A send that was stopped early will never be requested."""
    await apply_facts(tx, {_key(event.message): [Withdrawn()] for event in batch})


async def on_bulk_recipients_attached(tx: Tx, batch: Sequence[Received[BulkRecipientsAttached]]) -> None:
    """Chunks have come: each is a row of the queue from now on."""
    for event in batch:
        if why := events.why_unfit(event.message):
            raise Poison(why)
    table = await routes.table(tx)
    first = min(born_at(UUID(event.message.bulk_id)) for event in batch)
    erased = await erasure.erased_since(tx, {UUID(event.message.tenant_id) for event in batch}, first)
    new: dict[ChunkKey, NewChunk] = {}
    for event in batch:
        gone = erased.get(UUID(event.message.tenant_id))
        if gone:
            PERSONAL_TYPES["BulkRecipientsAttached"](event.message, erasure.unix_ms(gone))
        chunk = _new_chunk(event.message, table)
        new[chunk.key] = chunk
        # Milliseconds each, of which a batch has many: who else has something to do in this process is let go on.
        await asyncio.sleep(0)
    added = await chunks.add(tx, list(new.values()))
    before = await sagas.lock(tx, list(added))
    with_hours = [one.key for one in new.values() if one.allowed is not None]
    if with_hours:
        await hours.look(tx, {SagaKey(key.tenant_id, key.bulk_id) for key in with_hours})
    until = {SagaKey(one.key.tenant_id, one.key.bulk_id): one.send_by for one in new.values()}
    arrived = {
        key: [Arrived(before[key].arrived + count, round(until[key].timestamp() * 1000))]
        for key, count in added.items()
    }
    await advance_locked(tx, before, arrived)


def _key(event: BulkSmsRequested | BulkSmsWithdrawn) -> SagaKey:
    return SagaKey(UUID(event.tenant_id), UUID(event.bulk_id))


def _new_chunk(attached: BulkRecipientsAttached, table: Table) -> NewChunk:
    plain, personal = events.halves(attached)
    now = clock.now()
    key = ChunkKey(UUID(attached.tenant_id), UUID(attached.bulk_id), attached.chunk)
    needs = Needs(attached.country, attached.sender, attached.reference_bits or 8, max(attached.parts) > 1)
    way = table.choose(needs, routing.key_of(key.bulk_id, key.chunk), attached.route) or _NO_ROUTE
    return NewChunk(
        key=key,
        about=ChunkFacts(
            country=attached.country,
            account=sandbox.ACCOUNT if is_sandbox(key.tenant_id) else way.account,
            message_class=attached.message_class,
            kind=attached.kind,
            sender=attached.sender,
            lane=attached.lane,
            traceparent=trace.of(attached.bulk_id),
        ),
        route=way.route,
        due_at=from_unix_ms(attached.due_at_unix_ms) or now,
        send_by=from_unix_ms(attached.send_by_unix_ms) or now,
        allowed=multirange(attached.allowed_from_unix_ms, attached.allowed_until_unix_ms),
        reference_base=attached.reference_base % 65_536,
        reference_bits=attached.reference_bits or 8,
        recipients=events.read_recipients(plain),
        plain=plain,
        personal=personal,
    )
