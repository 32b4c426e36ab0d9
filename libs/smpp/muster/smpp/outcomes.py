"""What became of one submit_sm, as far as this end can know."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from muster.smpp.codec import SubmitTemplate
from muster.smpp.pdu import GenericNack, SubmitResp
from muster.smpp.status import ESME_RMSGQFUL, NOT_SENT_STATUSES


class Message(NamedTuple):
    """One submit_sm to be. `destination` is ASCII digits; `payload` includes the user data header if `esm_class`
    says so."""

    template: SubmitTemplate
    destination: bytes
    payload: bytes
    data_coding: int = 0
    esm_class: int = 0
    tlvs: bytes = b""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The carrier took it under this id ("" if it gave none)."""

    carrier_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The carrier refused it for good, with this command_status."""

    status: int


class NotSentReason(StrEnum):
    """Why a message certainly was not sent."""

    THROTTLED = "throttled"
    QUEUE_FULL = "queue full"
    STALE = "stale"
    NO_SLOTS = "no slots"
    BUSY = "busy"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class NotSent:
    """Certainly not sent: safe to submit again. `status` is the carrier's, 0 where nothing was written."""

    reason: NotSentReason
    status: int = 0


class Meaning(StrEnum):
    """What a command_status says of the message."""

    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class UnknownReason(StrEnum):
    """Why nobody can say whether a written message was taken."""

    CONNECTION_LOST = "connection lost"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Written, and no answer, or one that leaves it open: the carrier may have taken it."""

    reason: UnknownReason


Outcome: TypeAlias = Accepted | Rejected | NotSent | Unknown

STALE: Final = NotSent(NotSentReason.STALE)
NO_SLOTS: Final = NotSent(NotSentReason.NO_SLOTS)
BUSY: Final = NotSent(NotSentReason.BUSY)
NOT_CONNECTED: Final = NotSent(NotSentReason.CLOSED)


def outcome_of(answer: SubmitResp | GenericNack, codes: Mapping[int, Meaning]) -> Outcome:
    """What an answer means: by `codes`, what this carrier says otherwise than the specification. A generic_nack says
    that the PDU was not understood, hence not taken."""
    status = answer.status
    if not status and isinstance(answer, SubmitResp):
        return Accepted(answer.message_id)
    meaning = codes.get(status) or (Meaning.NOT_SENT if status in NOT_SENT_STATUSES else Meaning.REJECTED)
    if meaning is Meaning.NOT_SENT:
        return NotSent(NotSentReason.QUEUE_FULL if status == ESME_RMSGQFUL else NotSentReason.THROTTLED, status)
    return Unknown(UnknownReason.STATUS) if meaning is Meaning.UNKNOWN else Rejected(status)
