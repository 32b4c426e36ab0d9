"""A send in credits: what was used, what goes back, what is still held. Pure sums."""

from dataclasses import dataclass, replace

from muster.dispatch.domain.slots import Reason


@dataclass(frozen=True, slots=True)
class Tally:
    """The chunks of a bulk added up. Counts are messages; the rest is credits.

    `on_wire_credits` belongs to open messages whose chunk some sender holds: it may yet be used.
    `short` are the messages stopped for want of credits; `last_submit_ms` is when the last unknown one was submitted.
    """

    accepted: int = 0
    unknown: int = 0
    rejected: int = 0
    stopped: int = 0
    suppressed: int = 0
    short: int = 0
    open: int = 0
    used: int = 0
    unknown_credits: int = 0
    on_wire_credits: int = 0
    refunded: int = 0
    last_submit_ms: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """What BulkSmsAccounted says. reserved = used + released + held; refunded is a part of used."""

    used: int = 0
    released: int = 0
    held: int = 0
    refunded: int = 0
    accepted: int = 0
    unknown: int = 0
    rejected: int = 0
    stopped: int = 0
    suppressed: int = 0
    reason: Reason = Reason.NONE
    last_submit_ms: int = 0


NOTHING = Totals()


def counts_only(tally: Tally) -> Totals:
    """The messages of a send that never had credits."""
    return Totals(
        accepted=tally.accepted,
        unknown=tally.unknown,
        rejected=tally.rejected,
        stopped=tally.stopped,
        suppressed=tally.suppressed,
    )


def totals(reserved: int, tally: Tally, reason: Reason) -> Totals | None:
    """The totals of a bulk of which nothing more will be queued; None if more was used than is reserved (a bug).

    Held is what a carrier may have taken or a sender may still write; all else is used or goes back.
    """
    held = tally.unknown_credits + tally.on_wire_credits
    released = reserved - tally.used - held
    if released < 0:
        return None
    return Totals(
        used=tally.used,
        released=released,
        held=held,
        refunded=tally.refunded,
        accepted=tally.accepted,
        unknown=tally.unknown,
        rejected=tally.rejected,
        stopped=tally.stopped,
        suppressed=tally.suppressed,
        reason=reason or (Reason.CREDITS if tally.short else Reason.NONE),
        last_submit_ms=tally.last_submit_ms,
    )


def never_falls(before: Totals, after: Totals) -> bool:
    """Whether `after` may follow `before`: what was used or given back stays so."""
    return after.used >= before.used and after.released >= before.released and after.refunded >= before.refunded


def all_ended(after: Totals, tally: Tally, recipients: int) -> Totals:
    """The totals of a send that has ended: what is queued or never came will not leave, so it counts as stopped."""
    others = after.accepted + after.unknown + after.rejected + after.suppressed
    return replace(after, stopped=max(tally.stopped + tally.open, recipients - others))


def nearest(before: Totals, reserved: int, tally: Tally, reason: Reason, *, may_hold: bool) -> Totals:
    """The totals nearest to chunks that contradict what was reserved or said: nothing falls, nothing is above it."""
    used = min(max(before.used, tally.used), reserved - before.released)
    left = reserved - before.released - used if may_hold else 0
    held = min(tally.unknown_credits + tally.on_wire_credits, left)
    return replace(
        counts_only(tally),
        used=used,
        released=reserved - used - held,
        held=held,
        refunded=min(max(before.refunded, tally.refunded), used),
        reason=reason,
    )
