"""What receipts say of a message: merged over its parts, the first final word of each part being the last."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from muster.dispatch.domain.slots import Slot, credits_of


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


class Refund(NamedTuple):
    """Credits that failed messages of a chunk give back; `final` unless a receipt there is has no outcome beside it."""

    credits: int
    final: bool


_FAILED_OCTETS: Final = bytes(sorted(_WORST_FIRST))
_CHARGED: Final = frozenset((Slot.ACCEPTED, Slot.CHARGED))
# A receipt can be stored before the outcome of the part that it is about.
_NOT_YET: Final = frozenset((Slot.QUEUED, Slot.RETRY, Slot.UNKNOWN))


def failures(receipts: bytes) -> int:
    """How many parts have failed."""
    return len(receipts) - len(receipts.translate(None, _FAILED_OCTETS))


def refund(parts: bytes, prices: Sequence[int], slots: bytes, receipts: bytes) -> Refund:
    """What the charged parts of a chunk cost that a receipt says have failed: money is decided part by part."""
    credits, final, start = 0, True, 0
    for count, price in zip(parts, prices, strict=True):
        failed = [slots[at] for at in range(start, start + count) if receipts[at] in _FAILED_OCTETS]
        start += count
        credits += credits_of(price, count, sum(1 for state in failed if state in _CHARGED))
        final = final and _NOT_YET.isdisjoint(failed)
    return Refund(credits, final)


def apply(receipts: bytearray, said: Sequence[tuple[int, Receipt]]) -> list[int]:
    """Write final states into `receipts` (one octet a slot); the slots that changed. A second word on a slot is
    ignored: carriers repeat themselves, and sometimes contradict themselves."""
    changed = []
    for slot, state in said:
        if state is not Receipt.NONE and receipts[slot] == Receipt.NONE:
            receipts[slot] = state
            changed.append(slot)
    return changed
