"""What each event writes. Order and repetition do not matter: versions and natural keys decide."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from muster.events.personal import born_at
from muster.kit import erasure
from muster.kit.consumer import Handler, Received
from muster.kit.pg import Tx
from muster.report import domain, events
from muster.report.store import persons, projection
from muster.text import number_hash

Batch = Sequence[Received[Any]]
_CHUNKS: Final = 50
_EVER: Final = datetime(2000, 1, 1, tzinfo=UTC)


async def on_sms_dispatched(tx: Tx, batch: Batch) -> None:
    """How messages were left."""
    numbers = await projection.numbers(tx, map(_bulk, batch))
    for wave in events.waves(batch):
        await _count(tx, await projection.save_dispatched(tx, events.dispatched(wave, numbers).arguments))
    await projection.save_times(tx, events.times_of((received.message for received in batch), numbers))


async def on_sms_status_changed(tx: Tx, batch: Batch) -> None:
    """What receipts say."""
    numbers = await projection.numbers(tx, map(_bulk, batch))
    for wave in events.waves(batch):
        columns = events.receipts(wave, numbers)
        await _count(tx, await projection.save_receipts(tx, columns.arguments, columns.messages))


async def on_bulk_sms_requested(tx: Tx, batch: Batch) -> None:
    """What a send is."""
    await projection.numbers(tx, map(_bulk, batch))
    await projection.save_requested(tx, _in_order(events.requested(received) for received in batch))


async def on_bulk_sms_accounted(tx: Tx, batch: Batch) -> None:
    """Whether a send has ended."""
    await projection.numbers(tx, map(_bulk, batch))
    await projection.save_accounted(tx, _in_order(events.accounted(received) for received in batch))


async def on_bulk_sms_controlled(tx: Tx, batch: Batch) -> None:
    """A send was stopped, paused or resumed."""
    await projection.numbers(tx, map(_bulk, batch))
    await projection.save_controlled(tx, _in_order(events.controlled(received) for received in batch))


async def on_bulk_sms_paced(tx: Tx, batch: Batch) -> None:
    """How a send goes on."""
    await projection.numbers(tx, map(_bulk, batch))
    await projection.save_paced(tx, _in_order(events.paced(received) for received in batch))


async def on_bulk_sms_withdrawn(tx: Tx, batch: Batch) -> None:
    """A send was stopped before anything of it left customer-svc."""
    await projection.numbers(tx, map(_bulk, batch))
    await projection.save_accounted(tx, _in_order(events.withdrawn(received) for received in batch))


async def on_bulk_recipients_attached(tx: Tx, batch: Batch) -> None:
    """Who gets what."""
    numbers = await projection.numbers(tx, map(_bulk, batch))
    gone = await _gone(tx, batch, (born_at(_bulk(received)[1]) for received in batch))
    rows = [
        events.recipients(received, numbers[_bulk(received)], gone.get(_bulk(received)[0], {})) for received in batch
    ]
    await projection.save_recipients(tx, rows)


async def on_reply_received(tx: Tx, batch: Batch) -> None:
    """What a customer's message answers."""
    await projection.save_replied(tx, [events.replied(received) for received in batch])


async def on_opt_out_received(tx: Tx, batch: Batch) -> None:
    """A customer wants no more, or wants messages again."""
    await projection.save_opted(tx, [events.opted(received) for received in batch])


async def on_sms_received(tx: Tx, batch: Batch) -> None:
    """What a customer wrote."""
    times = (events.at(received.message.received_at_unix_ms) or _EVER for received in batch)
    gone = await _gone(tx, batch, times)
    await projection.save_written(tx, [events.written(one, gone.get(UUID(one.message.tenant_id), {})) for one in batch])


async def on_person_erased(tx: Tx, batch: Batch) -> None:
    """A person asked to be forgotten: `erasing` blanks what is here, and the handlers what comes late."""
    await erasure.on_person_erased(tx, batch)


def blank_by(hash_key: bytes, generation: int) -> erasure.Blank:
    """Takes erased people out of the rows; numbers are told by the hashes that this key makes of them."""
    return partial(_blank, partial(number_hash, hash_key, generation))


async def _blank(hashed: Callable[[UUID, str], bytes], tx: Tx, tenant_id: UUID, gone: erasure.Gone) -> None:
    await persons.blank_replies(tx, tenant_id, gone)
    after = (0, 0)
    while rows := await persons.numbers(tx, tenant_id, after, _CHUNKS):
        for row in rows:
            # No row of a message holds a hash, since that would cost more than this does of the few who are erased.
            erased_at = (gone.get(hashed(tenant_id, f"+{number}")) if number else None for number in row["numbers"])
            places = {at: time for at, time in enumerate(erased_at) if time and born_at(row["bulk_id"]) <= time}
            if places:
                await _blank_chunk(tx, tenant_id, row["bulk_no"], row["chunk"], places)
            await asyncio.sleep(0)
        after = rows[-1]["bulk_no"], rows[-1]["chunk"]


async def _blank_chunk(tx: Tx, tenant_id: UUID, bulk_no: int, chunk: int, places: Mapping[int, datetime]) -> None:
    row = await persons.lock_chunk(tx, tenant_id, bulk_no, chunk)
    held = domain.Held(row["numbers"], row["customers"], row["texts"], row["text_index"])
    left = domain.without(held, places)
    await persons.put_chunk(tx, tenant_id, bulk_no, chunk, (left.numbers, left.customers, left.texts, left.text_index))
    seqs = {row["seqs"][at]: time for at, time in places.items()}
    await persons.blank_answers(tx, tenant_id, bulk_no, seqs)


HANDLERS: Mapping[str, Handler] = {
    "SmsDispatched": on_sms_dispatched,
    "SmsStatusChanged": on_sms_status_changed,
    "BulkSmsRequested": on_bulk_sms_requested,
    "BulkSmsWithdrawn": on_bulk_sms_withdrawn,
    "BulkSmsControlled": on_bulk_sms_controlled,
    "BulkSmsPaced": on_bulk_sms_paced,
    "BulkSmsAccounted": on_bulk_sms_accounted,
    "BulkRecipientsAttached": on_bulk_recipients_attached,
    "ReplyReceived": on_reply_received,
    "OptOutReceived": on_opt_out_received,
    "SmsReceived": on_sms_received,
    "PersonErased": on_person_erased,
}


async def _gone(tx: Tx, batch: Batch, times: Iterable[datetime]) -> dict[UUID, dict[bytes, int]]:
    """Who of these tenants was erased since the first of these times: when, in unix milliseconds."""
    found = await erasure.erased_since(tx, {UUID(received.message.tenant_id) for received in batch}, min(times))
    return {tenant_id: erasure.unix_ms(gone) for tenant_id, gone in found.items()}


def _in_order(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """By tenant and send, in which every transaction locks sends."""
    return sorted(rows, key=lambda row: row[:2])


def _bulk(received: Received[Any]) -> events.BulkKey:
    return events.bulk_of(received.message)


async def _count(tx: Tx, changed: Sequence[Any]) -> None:
    columns = ("bulk_no", "before", "after", "messages", "parts", "credits")
    await projection.add_counts(tx, domain.changes(tuple(row[name] for name in columns) for row in changed))
