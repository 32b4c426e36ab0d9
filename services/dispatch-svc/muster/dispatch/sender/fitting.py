"""Which unknown parts a receipt may be about whose id nobody knows: by sender and time alone."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from muster.dispatch import events
from muster.dispatch.store.receipts import UnknownPart, WaitingReceipt
from muster.kit import clock

UNKNOWN_KEPT: Final = timedelta(hours=72)
_UNKNOWN_WITHIN: Final = timedelta(seconds=60)


def fits(receipt: WaitingReceipt, part: UnknownPart) -> bool:
    """Whether a receipt may be about an unknown part, going by sender and time of submission. Dates of receipts are cut
    to the minute by many carriers."""
    if receipt.sender != events.normal_sender(part.sender):
        return False
    if receipt.submitted_at is None:
        return part.settled or clock.now() - part.submitted_at < UNKNOWN_KEPT
    after = part.submitted_at - receipt.submitted_at
    return -_UNKNOWN_WITHIN <= after <= _UNKNOWN_WITHIN + timedelta(seconds=59)


def only_message(parts: Sequence[UnknownPart]) -> list[UnknownPart]:
    """The parts that fit, in their order, if they belong to one message (they follow one another): a receipt resolves
    the first of them, or all if the message went out whole. Two candidates stay unknown."""
    ordered = sorted(parts, key=_slot)
    first = ordered[0]
    same = all(part.key == first.key and part.slot - first.slot == at for at, part in enumerate(ordered))
    return ordered if same and len({part.submitted_at for part in parts}) == 1 else []


def _slot(part: UnknownPart) -> int:
    return part.slot
