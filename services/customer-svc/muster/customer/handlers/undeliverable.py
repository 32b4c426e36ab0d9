"""Numbers that fail for good: counted behind the sends, forgotten where somebody writes from one."""

from collections.abc import Sequence

from muster.customer import events
from muster.customer.events import ReplyReceived
from muster.customer.store import undeliverable
from muster.events import is_sandbox
from muster.kit import observe
from muster.kit.consumer import Received
from muster.kit.pg import Database, Tx

log = observe.logger(__name__)


async def on_reply_received(tx: Tx, batch: Sequence[Received[ReplyReceived]]) -> None:
    """Somebody wrote from a number: it is alive."""
    messages = [received.message for received in batch]
    await undeliverable.forget(tx, [(events.uuid_of(m.tenant_id), m.number_hash) for m in messages])


async def count(db: Database, failures: int, after_s: float) -> bool:
    """Count the failures of one send that are this old; whether there was one. failures: after how many a number is
    left out, unless its tenant has said so."""
    async with db.worker() as tx:
        found = await undeliverable.next_send(tx, after_s)
        if found is None:
            return False
        tenant_id, bulk_id = found
        # The numbers of a sandbox fail each time on purpose.
        left_out = await undeliverable.count(tx, tenant_id, bulk_id, 0 if is_sandbox(tenant_id) else failures)
    if left_out:
        log.info("numbers.undeliverable", tenant_id=str(tenant_id), bulk_id=str(bulk_id), numbers=left_out)
    return True
