"""A chunk in a few steps: what a claim ends, and what a lease may come to. sender.py has each step of a lease."""

from collections.abc import Iterable
from itertools import product

from muster.dispatch.domain import slots
from muster.dispatch.domain.slots import SLOT_OF_REASON, Reason, Slot


def unpaid_ended(octets: bytes, before: int, reserved: int) -> bytes:
    """The chunk as it is leased: what the credits do not reach to is ended. `before`: messages of the chunks before."""
    return bytes(
        Slot.CREDITS if octet == Slot.QUEUED and before + position + 1 > reserved else octet
        for position, octet in enumerate(octets)
    )


def outcomes(octets: bytes, ending: Reason, unknown: int, *, crashes: bool) -> Iterable[tuple[bytes, str]]:
    """What a lease may come to: all or some written, the rest given back or ended, or a crash in the middle."""
    waiting = [at for at, octet in enumerate(octets) if octet == Slot.QUEUED]
    found: dict[bytes, str] = {}
    for each in _written(len(waiting), unknown):
        after = bytearray(octets)
        for at, outcome in zip(waiting, each, strict=False):
            after[at] = outcome
        left = slots.end_open(bytes(after), SLOT_OF_REASON[ending]) if ending else bytes(after)
        found.setdefault(left, "its sender records and ends its lease")
        if crashes:
            upto = waiting[len(each)] + 1 if len(each) < len(waiting) else len(octets)
            recovered = slots.recover(bytes(after), None, upto)
            if recovered.count(Slot.UNKNOWN) <= unknown:
                found.setdefault(recovered, "its sender crashes, the lease is recovered")
    return found.items()


def recorded(octets: bytes, unknown: int) -> Iterable[bytes]:
    """What its sender may record of a chunk and go on with the lease."""
    waiting = [at for at, octet in enumerate(octets) if octet == Slot.QUEUED]
    for each in _written(len(waiting), unknown):
        if each:
            after = bytearray(octets)
            for at, outcome in zip(waiting, each, strict=False):
                after[at] = outcome
            yield bytes(after)


def _written(most: int, unknown: int) -> Iterable[tuple[Slot, ...]]:
    """What may become of the first messages: which of several like ones is unknown makes no difference to money."""
    for count in range(most + 1):
        for each in product((Slot.ACCEPTED, Slot.UNKNOWN), repeat=count):
            if list(each) == sorted(each) and each.count(Slot.UNKNOWN) <= unknown:
                yield each
