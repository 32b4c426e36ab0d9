"""What receipts say of a message: merged over its parts, the first final word of each part being the last."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final


class Receipt(IntEnum):
    """The end of one part by the carrier's word; the numbers are those of ReceiptState in the events."""

    NONE = 0
    DELIVERED = 1
    UNDELIVERED = 2
    EXPIRED = 3
    REJECTED = 4


_WORST_FIRST: Final = (Receipt.REJECTED, Receipt.UNDELIVERED, Receipt.EXPIRED)


def merged(states: bytes) -> Receipt:
    """One message from its parts: failed as soon as one part failed, delivered when all are; NONE until then.

    A failed part makes the message unreadable whatever the others do; the failure that is worst of those known counts.
    """
    for failure in _WORST_FIRST:
        if failure in states:
            return failure
    return Receipt.DELIVERED if states and states.count(Receipt.DELIVERED) == len(states) else Receipt.NONE


def apply(receipts: bytearray, said: Sequence[tuple[int, Receipt]]) -> list[int]:
    """Write final states into `receipts` (one octet a slot); the slots that changed. A second word on a slot is
    ignored: carriers repeat themselves, and sometimes contradict themselves."""
    changed = []
    for slot, state in said:
        if state is not Receipt.NONE and receipts[slot] == Receipt.NONE:
            receipts[slot] = state
            changed.append(slot)
    return changed
