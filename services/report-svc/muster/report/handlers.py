"""What each event writes. Order and repetition do not matter: versions and natural keys decide."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from muster.kit.consumer import Handler, Received
from muster.kit.pg import Tx
from muster.report import domain, events
from muster.report.store import projection

Batch = Sequence[Received[Any]]


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
    rows = [events.recipients(received, numbers[_bulk(received)]) for received in batch]
    await projection.save_recipients(tx, rows)


async def on_reply_received(tx: Tx, batch: Batch) -> None:
    """What a customer's message answers."""
    await projection.save_replied(tx, [events.replied(received) for received in batch])


async def on_opt_out_received(tx: Tx, batch: Batch) -> None:
    """A customer wants no more, or wants messages again."""
    await projection.save_opted(tx, [events.opted(received) for received in batch])


async def on_sms_received(tx: Tx, batch: Batch) -> None:
    """What a customer wrote."""
    await projection.save_written(tx, [events.written(received) for received in batch])


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
}


def _in_order(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """By tenant and send, in which every transaction locks sends."""
    return sorted(rows, key=lambda row: row[:2])


def _bulk(received: Received[Any]) -> events.BulkKey:
    return events.bulk_of(received.message)


async def _count(tx: Tx, changed: Sequence[Any]) -> None:
    columns = ("bulk_no", "before", "after", "messages", "parts", "credits")
    await projection.add_counts(tx, domain.changes(tuple(row[name] for name in columns) for row in changed))
