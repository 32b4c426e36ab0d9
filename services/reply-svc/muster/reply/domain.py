"""What a reply answers and asks for, and what follows from it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from muster.text import Reading, read_reply
from muster.text import Verdict as Read

ANSWERS_WITHIN: Final = timedelta(days=30)
"""How long after a message a reply may answer it."""
DOUBT_WITHIN: Final = timedelta(days=7)
"""Two messages of this age or younger: the reply may answer either."""
ONE_ANSWER_IN: Final = timedelta(hours=24)
"""A number gets one automatic answer of a kind in this time, so that two machines never talk to each other."""
CLOCKS_APART: Final = timedelta(minutes=5)
BY_A_PERSON: Final = "person"
"""The rule of a verdict that a person gave."""
_NAME_CHARS_MAX: Final = 40
_TAKEN_OUT: Final = Reading(Read.UNCLEAR, "erased", "all")
"""Of a message whose sender was erased before anybody had read it: it may have been a STOP, and a number that is held
for it stays so until a person decides."""


class Verdict(StrEnum):
    """What a reply asks for."""

    ORDINARY = "ordinary"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    HELP = "help"
    UNCLEAR = "unclear"


class Scope(StrEnum):
    """How far an opt-out reaches."""

    MARKETING = "marketing"
    ALL = "all"


class AnswerReason(StrEnum):
    """Why someone who wrote gets an automatic answer."""

    CONFIRMATION = "confirmation"
    HELP = "help"


_VERDICTS: Final = {
    Read.NONE: Verdict.ORDINARY,
    Read.OPT_OUT: Verdict.OPT_OUT,
    Read.OPT_IN: Verdict.OPT_IN,
    Read.HELP: Verdict.HELP,
    Read.UNCLEAR: Verdict.UNCLEAR,
}


@dataclass(frozen=True, slots=True)
class Tenant:
    """What of a tenant's settings decides about its replies."""

    tenant_id: UUID
    version: int = 0
    name: str = ""
    country: str = ""
    time_zone: str = "UTC"
    allow_sms_replies: bool = False
    reception_email: str = ""
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message that a customer wrote. `number` is E.164 with plus; `number_hash` is 17 bytes, see muster.text; `to` is
    the number it was written to."""

    tenant_id: UUID
    inbound_id: UUID
    number: str
    number_hash: bytes
    text: str
    received_at: datetime
    to: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to the number that wrote. `dispatched`: known to have left, not only planned. `sender`: whom the
    customer saw as its sender, a number or a name."""

    bulk_id: UUID
    seq: int
    sent_at: datetime
    dispatched: bool
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The message that a reply answers; `sent` is None where none is found. Doubtful: another one fits too."""

    sent: Sent | None = None
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An automatic answer to someone who wrote."""

    answer_id: UUID
    reason: AnswerReason
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An inbound message with everything that was decided about it."""

    inbound: Inbound
    attribution: Attribution
    verdict: Verdict
    scope: Scope
    rule: str
    answer: Answer | None = None
    forward_to: str | None = None
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the sender of an inbound message when it is read."""

    tenant: Tenant
    sent: Sequence[Sent]
    answered_at: Mapping[AnswerReason, datetime]
    erased_at: datetime | None = None


def read(inbound: Inbound, known: Known) -> Reply:
    """Everything that follows from a reply: what it answers, what it asks for, whom to tell, what to answer."""
    reading = read_reply(inbound.text) if inbound.number else _TAKEN_OUT
    verdict = _VERDICTS[reading.verdict]
    erased = not inbound.number or (known.erased_at is not None and inbound.received_at <= known.erased_at)
    return Reply(
        inbound=inbound,
        attribution=attribute(known.sent, inbound.received_at, inbound.to),
        verdict=verdict,
        scope=Scope(reading.scope),
        rule=reading.rule,
        answer=None if erased else _answer(inbound, reading, known),
        forward_to=None if erased else _forward_to(known.tenant),
        erased=erased,
    )


def attribute(sent: Sequence[Sent], received_at: datetime, to: str = "") -> Attribution:
    """The newest message of the last 30 days from the number that was written to; one that is known to have left before
    one that is only planned. Where all came from other numbers, the newest of them, in doubt."""
    oldest, newest = received_at - ANSWERS_WITHIN, received_at + CLOCKS_APART
    timely = [message for message in sent if oldest <= message.sent_at <= newest]
    fitting = [message for message in timely if _may_answer(message.sender, to)] or timely
    if not fitting:
        return Attribution()
    recent = [message for message in fitting if message.sent_at >= received_at - DOUBT_WITHIN]
    chosen = max(fitting, key=lambda message: (message.dispatched, message.sent_at, message.seq))
    return Attribution(chosen, len(recent) > 1 or not _may_answer(chosen.sender, to))


def _may_answer(sender: str, to: str) -> bool:
    """Whether what was written to `to` may answer a message of this sender: of the same number, or of a name."""
    digits, written_to = sender.removeprefix("+"), to.removeprefix("+")
    return not (digits.isdigit() and written_to.isdigit()) or digits == written_to


def _forward_to(tenant: Tenant) -> str | None:
    wanted = tenant.allow_sms_replies and tenant.reception_email and not tenant.closed
    return tenant.reception_email if wanted else None


def _answer(inbound: Inbound, reading: Reading, known: Known) -> Answer | None:
    reason = {Read.OPT_OUT: AnswerReason.CONFIRMATION, Read.HELP: AnswerReason.HELP}.get(reading.verdict)
    if reason is None or known.tenant.closed:
        return None
    last = known.answered_at.get(reason)
    if last is not None and abs(inbound.received_at - last) < ONE_ANSWER_IN:
        return None
    answer_id = uuid5(NAMESPACE_URL, f"muster:answer:{inbound.tenant_id}:{inbound.inbound_id}:{reason}")
    return Answer(answer_id, reason, _wording(reason, Scope(reading.scope), known.tenant.name))


def _wording(reason: AnswerReason, scope: Scope, name: str) -> str:
    who = f"{name[:_NAME_CHARS_MAX].strip()}: " if name.strip() else ""
    if reason is AnswerReason.HELP:
        return f"{who}you get our messages because you agreed to them. Reply STOP to opt out."
    what = "messages" if scope is Scope.ALL else "marketing messages"
    return f"{who}you have opted out and will get no more {what}. Reply START to get them again."


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a conversation. `outgoing`: from the business to its customer; else it has an inbound id."""

    at: datetime
    text: str
    outgoing: bool
    bulk_id: UUID | None = None
    seq: int | None = None
    inbound_id: UUID | None = None
    verdict: Verdict | None = None


def merge(one: Sequence[Line], other: Sequence[Line], limit: int) -> list[Line]:
    """The newest `limit` lines of both, newest first, in one order also where they are of the same time."""
    return sorted((*one, *other), key=_place, reverse=True)[:limit]


def _place(line: Line) -> tuple[datetime, bool, str, int]:
    return line.at, not line.outgoing, str(line.inbound_id or line.bulk_id), line.seq or 0


@dataclass(frozen=True, slots=True)
class Forward:
    """A reply on its way to a reception: all that its e-mail says."""

    tenant_id: UUID
    inbound_id: UUID
    recipient: str
    tenant_name: str
    time_zone: str
    number: str
    number_hash: bytes
    text: str
    received_at: datetime
    verdict: Verdict
    doubtful: bool
    attempts: int
    conversation: tuple[Line, ...] = ()

    @property
    def letter_id(self) -> UUID:
        """What names the letter."""
        return self.inbound_id

    @property
    def since(self) -> datetime:
        """When what it is about happened."""
        return self.received_at


class NoticeKind(StrEnum):
    """What a letter that no customer has caused is about."""

    CREDITS_LOW = "credits_low"
    TOP_UP_FAILED = "top_up_failed"
    SEND_PAUSED = "send_paused"
    SCHEDULE_START = "schedule_start"
    APPROVAL_ASKED = "approval_asked"
    APPROVAL_DECIDED = "approval_decided"


@dataclass(frozen=True, slots=True)
class Notice:
    """A letter about credits, a send (`reason` is its id), a schedule or an approval (`reason` tells it), on its way to
    a reception, or to the recipient that it names: all that it says. `letter_id` names what happened."""

    tenant_id: UUID
    letter_id: UUID
    kind: NoticeKind
    since: datetime
    recipient: str = ""
    threshold: int = 0
    available: int = 0
    amount: int = 0
    currency: str = ""
    reason: str = ""
    attempts: int = 0
    tenant_name: str = ""
    time_zone: str = "UTC"


def addressed(notice: Notice, tenant: Tenant) -> Notice | None:
    """The letter with the tenant's address on it, where it has none; None where there is nobody to tell."""
    recipient = notice.recipient or tenant.reception_email
    return replace(notice, recipient=recipient) if recipient and not tenant.closed else None
