"""What is kept of each message: who did not get theirs. Most chunks have nobody, and cost a look at their words."""

from collections.abc import Sequence

from muster.customer import events
from muster.customer.events import SmsDispatched, SmsStatusChanged
from muster.customer.store import again, bulks
from muster.kit.consumer import Received
from muster.kit.pg import Tx


async def on_sms_dispatched(tx: Tx, batch: Sequence[Received[SmsDispatched]]) -> None:
    """Messages have begun to leave; those that were rejected or stopped may be sent again one day."""
    # One order for all, so that two batches never wait for each other.
    await bulks.save_dispatched(tx, sorted({events.ids_of(received.message) for received in batch}))
    messages = [received.message for received in batch]
    await again.save(tx, [(*events.ids_of(m), one) for m in messages for one in events.not_sent(m)])


async def on_sms_status_changed(tx: Tx, batch: Sequence[Received[SmsStatusChanged]]) -> None:
    """A carrier says what became of messages: those that failed may be sent again one day."""
    messages = [received.message for received in batch]
    await again.save(tx, [(*events.ids_of(m), one) for m in messages for one in events.failed(m)])
