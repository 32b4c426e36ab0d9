"""Large top-ups wait for a second person. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from muster.credit.domain.top_ups import TopUp


class State(StrEnum):
    """Where a top-up that needs a second person is."""

    AWAITING = "awaiting_confirmation"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    EXPIRED = "expired"


class NotDecided(StrEnum):
    """Why a decision about a top-up was not taken."""

    UNKNOWN = "unknown"
    SAME_PERSON = "same_person"
    REJECTED = "rejected"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Approval:
    """A top-up that one person asked for; `state` is as of now."""

    top_up: TopUp
    state: State
    decided_by: str = ""


def may_confirm(approval: Approval | None, person: str) -> NotDecided | None:
    """None where this person may confirm (again, where it was confirmed already); else why not."""
    if approval is None:
        return NotDecided.UNKNOWN
    if person == approval.top_up.actor:
        return NotDecided.SAME_PERSON
    return {State.REJECTED: NotDecided.REJECTED, State.EXPIRED: NotDecided.EXPIRED}.get(approval.state)


def may_reject(approval: Approval | None) -> NotDecided | None:
    """None where it may be rejected, also by who asked for it; else why not."""
    if approval is None:
        return NotDecided.UNKNOWN
    return {State.CONFIRMED: NotDecided.CONFIRMED, State.EXPIRED: NotDecided.EXPIRED}.get(approval.state)
