"""Receipts that came by call: whoever answered the carrier has stored them, and the account's sender takes them."""

from typing import Final

from muster.dispatch.domain.http.model import Ended
from muster.dispatch.domain.receipts import Receipt as End
from muster.dispatch.sender.link import Ears, Report
from muster.dispatch.sender.shared import Shared
from muster.dispatch.store import callbacks as store
from muster.smpp import Receipt, ReceiptState

EVERY_S: Final = 0.25
_DIGITS: Final = "%Y%m%d%H%M%S"
_STATES: Final = {
    End.DELIVERED: ReceiptState.DELIVERED,
    End.UNDELIVERED: ReceiptState.UNDELIVERABLE,
    End.EXPIRED: ReceiptState.EXPIRED,
    End.REJECTED: ReceiptState.REJECTED,
}


class Mailbox:
    """Takes them in batches, oldest first: heard, then deleted. Heard twice, they say nothing new."""

    def __init__(self, shared: Shared, ears: Ears) -> None:
        self._shared = shared
        self._ears = ears

    async def take(self) -> bool:
        """One batch; whether there may be more."""
        most, account = self._shared.settings.dispatch_delivers_batch_max, self._shared.account.name
        async with self._shared.db.worker() as tx:
            found = await store.waiting(tx, account, most)
        if found:
            await self._ears.on_reports([report(ended) for _, ended in found])
            async with self._shared.db.worker() as tx:
                await store.taken(tx, account, [receipt_id for receipt_id, _ in found])
        return len(found) == most


def report(ended: Ended) -> Report:
    """A receipt as an SMPP carrier would have brought it."""
    done, submitted = (at.strftime(_DIGITS) if at is not None else "" for at in (ended.done_at, ended.submitted_at))
    receipt = Receipt(ended.carrier_id, _STATES[ended.state], ended.error, done, submitted, ended.number)
    return Report(receipt, ended.number, ended.sender)
