"""What a reply answers and asks for, and what follows from it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
_NAME_CHARS_MAX: Final = 40


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
    """A message that a customer wrote. `number` is E.164 with plus; `number_hash` is 17 bytes, see muster.text."""

    tenant_id: UUID
    inbound_id: UUID
    number: str
    number_hash: bytes
    text: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to the number that wrote. `dispatched`: known to have left, not only planned."""

    bulk_id: UUID
    seq: int
    sent_at: datetime
    dispatched: bool


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
    reading = read_reply(inbound.text)
    verdict = _VERDICTS[reading.verdict]
    erased = known.erased_at is not None and inbound.received_at <= known.erased_at
    return Reply(
        inbound=inbound,
        attribution=attribute(known.sent, inbound.received_at),
        verdict=verdict,
        scope=Scope(reading.scope),
        rule=reading.rule,
        answer=None if erased else _answer(inbound, reading, known),
        forward_to=None if erased else _forward_to(known.tenant),
        erased=erased,
    )


def attribute(sent: Sequence[Sent], received_at: datetime) -> Attribution:
    """The newest message of the last 30 days; one that is known to have left before one that is only planned."""
    oldest, newest = received_at - ANSWERS_WITHIN, received_at + CLOCKS_APART
    fitting = [message for message in sent if oldest <= message.sent_at <= newest]
    if not fitting:
        return Attribution()
    recent = [message for message in fitting if message.sent_at >= received_at - DOUBT_WITHIN]
    return Attribution(max(fitting, key=lambda message: (message.dispatched, message.sent_at)), len(recent) > 1)


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
    """The newest `limit` lines of both, newest first."""
    return sorted((*one, *other), key=lambda line: line.at, reverse=True)[:limit]


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


class Mailed(StrEnum):
    """What became of an attempt to send an e-mail."""

    SENT = "sent"
    REFUSED = "refused"
    LATER = "later"


ATTEMPTS_MAX: Final = 12
_PAUSE_MIN_S: Final = 5.0
_PAUSE_MAX_S: Final = 3_600.0


def pause_s(attempts: int) -> float | None:
    """Seconds until an e-mail is tried again after so many attempts (some six hours in all); None: given up."""
    return None if attempts >= ATTEMPTS_MAX else min(_PAUSE_MIN_S * 2 ** (attempts - 1), _PAUSE_MAX_S)
