"""When a send needs a second person, and who that can be."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

NOTE_CHARACTERS_MAX: Final = 500


class Subject(StrEnum):
    """What is approved: a quote, a send that came to cost more than was agreed, or a schedule with all its starts."""

    QUOTE = "quote"
    SEND = "send"
    SCHEDULE = "schedule"


class State(StrEnum):
    """Where a request for approval is. VOID: what it was for was changed, sent without it, or is gone."""

    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    VOID = "void"
    USED = "used"


class Decision(StrEnum):
    """What a person makes of a request. WITHDRAWN: refused by the one who asked."""

    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class NotDecided(StrEnum):
    """Why a decision was not taken."""

    SAME_PERSON = "same_person"
    DECIDED = "approval_decided"
    EXPIRED = "approval_expired"
    VOID = "approval_void"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a business lets one person alone send; None: any number."""

    credits_above: int | None = None
    recipients_above: int | None = None

    def needs(self, credits: int, recipients: int) -> bool:
        """Whether a send of so much needs a second person."""
        over = ((credits, self.credits_above), (recipients, self.recipients_above))
        return any(most is not None and much > most for much, most in over)

    @property
    def words(self) -> str:
        """What one person alone may send, for people."""
        most = ((self.credits_above, "credits"), (self.recipients_above, "recipients"))
        return " and ".join(f"{much:,} {what}" for much, what in most if much is not None)


@dataclass(frozen=True, slots=True)
class Bound:
    """Exactly what an approval is of. version: see the table."""

    subject: Subject
    subject_id: UUID
    version: int = 0


@dataclass(frozen=True, slots=True)
class Allowed:
    """How many credits a send may come to before another person is asked; None: any number. approval_id: what allowed
    them, where the business's rule alone did not."""

    credits: int | None = None
    approval_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Needed:
    """Why something is not sent: nobody has approved so much of it. asked: where the newest request for it is, if there
    is one."""

    bound: Bound
    credits: int
    recipients: int
    rule: Rule
    asked: State | None = None

    @property
    def message(self) -> str:
        """For whom it was refused, and what to do."""
        field = FIELDS[self.bound.subject]
        how = _HOW.get(self.asked, f"Ask for it with POST /v1/approvals and this {field}, or with muster approvals ask")
        return (
            f"it goes to {self.recipients:,} recipients for {self.credits:,} credits; above {self.rule.words} a second "
            f"person approves. {how}"
        )


_HOW: Final[dict[State | None, str]] = {
    State.OPEN: "That was asked for, and waits for a decision: muster approvals shows it",
    State.REFUSED: "That was refused: make another quote, or change the schedule, and ask for that",
}


FIELDS: Final = {Subject.QUOTE: "quote_id", Subject.SEND: "bulk_id", Subject.SCHEDULE: "schedule_id"}
"""How a request for approval names its subject."""


def why_not(state: State, *, made_by: str, asked_by: str, person: str, decision: Decision) -> NotDecided | None:
    """Why this person's decision is not taken; None where it is."""
    if state is State.VOID:
        return NotDecided.VOID
    if state is State.EXPIRED:
        return NotDecided.EXPIRED
    if state is not State.OPEN:
        return NotDecided.DECIDED
    if decision is Decision.APPROVED and person in (made_by, asked_by):
        return NotDecided.SAME_PERSON
    return None
