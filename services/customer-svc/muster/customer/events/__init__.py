"""Between the wire and the domain: the only file here that knows protobuf."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import IntEnum
from typing import Any, Final
from uuid import UUID

from muster.customer.domain.again import Missed, Named, named
from muster.customer.domain.planning import Chunk
from muster.customer.domain.schedules import Outcome, Verdict
from muster.customer.domain.senders import Registration, Sender, Standing
from muster.customer.domain.sends import Problem, credits_short
from muster.customer.domain.suppression import Scope, Wish
from muster.customer.store.bulks import Account
from muster.customer.store.reference import Tenant
from muster.customer.store.suppressions import Version
from muster.events import consumed_by, key_of_bulk, key_of_number, key_of_tenant
from muster.events.v1 import bulk_pb2, common_pb2, platform_pb2, schedules_pb2
from muster.events.v1.bulk_pb2 import BulkSmsAccounted, BulkSmsControlled, BulkSmsRequested, BulkSmsWithdrawn
from muster.events.v1.credits_pb2 import CreditsRefused, CreditsReserved, CreditsSettled, CreditsToppedUp
from muster.events.v1.platform_pb2 import RatesChanged, RouteChanged, SenderChanged
from muster.events.v1.recipients_pb2 import AnswerRequested, BulkRecipientsAttached
from muster.events.v1.replies_pb2 import OptOutReceived, ReplyReceived
from muster.events.v1.schedules_pb2 import ScheduledStartDecided
from muster.events.v1.sms_pb2 import SmsDispatched, SmsStatusChanged
from muster.events.v1.suppressions_pb2 import SuppressionChanged
from muster.events.v1.suspensions_pb2 import SuspensionChanged
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit.consumer import Poison
from muster.kit.outbox import Fact, Lane
from muster.text import PARTS_MAX

_STANDING: Final = {
    platform_pb2.SENDER_STANDING_ACTIVE: Standing.ACTIVE,
    platform_pb2.SENDER_STANDING_LEASED: Standing.LEASED,
    platform_pb2.SENDER_STANDING_QUARANTINED: Standing.QUARANTINED,
    platform_pb2.SENDER_STANDING_FREE: Standing.FREE,
    platform_pb2.SENDER_STANDING_WITHHELD: Standing.WITHHELD,
}
_REGISTRATION: Final = {
    platform_pb2.SENDER_REGISTRATION_UNREGISTERED: Registration.UNREGISTERED,
    platform_pb2.SENDER_REGISTRATION_PENDING: Registration.PENDING,
    platform_pb2.SENDER_REGISTRATION_REGISTERED: Registration.REGISTERED,
    platform_pb2.SENDER_REGISTRATION_REJECTED: Registration.REJECTED,
}

# What handlers are given, for their annotations.
__all__ = [
    "AnswerRequested",
    "BulkSmsAccounted",
    "BulkSmsControlled",
    "CreditsRefused",
    "CreditsReserved",
    "CreditsSettled",
    "CreditsToppedUp",
    "OptOutReceived",
    "RatesChanged",
    "ReplyReceived",
    "RouteChanged",
    "SenderChanged",
    "SmsDispatched",
    "SmsStatusChanged",
    "SuspensionChanged",
    "TenantChanged",
]

HEARD: Final = tuple(topic.name for topic in consumed_by("customer"))
"""The topics that are read."""


class MessageClass(IntEnum):
    """Why a message is sent; numbers of the events."""

    MARKETING = common_pb2.MESSAGE_CLASS_MARKETING
    FACTUAL = common_pb2.MESSAGE_CLASS_FACTUAL
    EXEMPT = common_pb2.MESSAGE_CLASS_EXEMPT


class MessageKind(IntEnum):
    """How a message came to be; numbers of the events."""

    BULK = common_pb2.MESSAGE_KIND_BULK
    SINGLE = common_pb2.MESSAGE_KIND_SINGLE
    REMINDER = common_pb2.MESSAGE_KIND_REMINDER
    REPLY = common_pb2.MESSAGE_KIND_REPLY


class Partial(IntEnum):
    """What is reserved where credits are short; numbers of the events."""

    NOTHING = bulk_pb2.PARTIAL_RULE_NOTHING
    FIRST_N = bulk_pb2.PARTIAL_RULE_FIRST_N


_CONTROLS: Final = {
    bulk_pb2.CONTROL_STOP: "stop",
    bulk_pb2.CONTROL_PAUSE: "pause",
    bulk_pb2.CONTROL_RESUME: "resume",
}


@dataclass(frozen=True, slots=True)
class Header:
    """What all events of one send say. Enumerations are those of the events."""

    tenant_id: UUID
    bulk_id: UUID
    lane: int
    message_class: int
    kind: int
    sender: str
    partial: int
    send_by: datetime
    created_at: datetime
    reference_base: int


def chunk_attached(header: Header, chunk: Chunk) -> Fact:
    """A chunk of recipients; the same header and chunk give the same bytes."""
    message = BulkRecipientsAttached(
        tenant_id=str(header.tenant_id),
        bulk_id=str(header.bulk_id),
        chunk=chunk.chunk,
        lane=header.lane,  # type: ignore[arg-type]
        message_class=header.message_class,  # type: ignore[arg-type]
        kind=header.kind,  # type: ignore[arg-type]
        route=chunk.destination.route,
        country=chunk.destination.country,
        sender=header.sender,
        due_at_unix_ms=chunk.allowed[0] * 1000 if chunk.allowed else _unix_ms(header.created_at),
        allowed_from_unix_ms=[at * 1000 for at in chunk.allowed[::2]],
        allowed_until_unix_ms=[at * 1000 for at in chunk.allowed[1::2]],
        send_by_unix_ms=_unix_ms(header.send_by),
        reference_base=header.reference_base,
        reference_bits=chunk.destination.reference_bits,
        text=chunk.texts,
        encoding=chunk.encodings,  # type: ignore[arg-type]
        seq=chunk.seqs,
        number=chunk.numbers,
        number_hash=chunk.hashes,
        text_index=chunk.text_index,
        parts=chunk.parts,
        price=chunk.prices,
        upto=chunk.uptos,
        customer_id=chunk.customer_ids,
    )
    key = key_of_bulk(header.bulk_id)
    return Fact(message, key, str(header.bulk_id), lane=Lane(header.lane), subject=f"{header.bulk_id}/{chunk.chunk}")


def bulk_requested(header: Header, recipients: int, chunks: int, credits_planned: int, credits_max: int = 0) -> Fact:
    """The send is planned: all of its chunks have been or will be said. credits_max: of what is reserved, 0 for all."""
    message = BulkSmsRequested(
        tenant_id=str(header.tenant_id),
        bulk_id=str(header.bulk_id),
        recipients=recipients,
        chunks=chunks,
        credits=credits_planned,
        send_by_unix_ms=_unix_ms(header.send_by),
        lane=header.lane,  # type: ignore[arg-type]
        message_class=header.message_class,  # type: ignore[arg-type]
        kind=header.kind,  # type: ignore[arg-type]
        sender=header.sender,
        partial=header.partial,  # type: ignore[arg-type]
        requested_at_unix_ms=_unix_ms(header.created_at),
        credits_max=credits_max,
    )
    return Fact(message, key_of_tenant(header.tenant_id), str(header.bulk_id), subject=str(header.bulk_id))


def bulk_withdrawn(tenant_id: UUID, bulk_id: UUID, reason: str, at: datetime, causation: UUID | None) -> Fact:
    """The send ended before it was requested."""
    message = BulkSmsWithdrawn(tenant_id=str(tenant_id), bulk_id=str(bulk_id), reason=reason, at_unix_ms=_unix_ms(at))
    cause = "" if causation is None else str(causation)
    return Fact(message, key_of_tenant(tenant_id), str(bulk_id), cause, subject=str(bulk_id))


def start_decided(
    tenant_id: UUID,
    schedule: tuple[UUID, str, str],
    start: tuple[datetime, datetime],
    verdict: Verdict,
    decided_at: datetime,
    *,
    bulk_id: UUID | None = None,
    credits: int | None = None,
) -> Fact:
    """What became of a start, given as its wall time and moment. schedule: its id, name and zone."""
    (schedule_id, name, time_zone), (wall, at) = schedule, start
    message = ScheduledStartDecided(
        tenant_id=str(tenant_id),
        schedule_id=str(schedule_id),
        name=name,
        wall=f"{wall:%Y-%m-%dT%H:%M}",
        time_zone=time_zone,
        at_unix_ms=_unix_ms(at),
        outcome=_OUTCOMES[verdict.outcome],  # type: ignore[arg-type]
        code=verdict.code,
        detail=verdict.detail,
        bulk_id="" if bulk_id is None else str(bulk_id),
        credits=credits or 0,
        decided_at_unix_ms=_unix_ms(decided_at),
    )
    return Fact(message, key_of_tenant(tenant_id), "" if bulk_id is None else str(bulk_id), subject=str(schedule_id))


_OUTCOMES: Final = {one: schedules_pb2.StartOutcome.Value(f"START_OUTCOME_{one.name}") for one in Outcome}


def suppression_changed(tenant_id: UUID, version: Version, causation: UUID | None = None) -> Fact:
    """One version of a number's suppression."""
    message = SuppressionChanged(
        tenant_id=str(tenant_id),
        number_hash=version.number_hash,
        version=version.version,
        suppressed=version.suppressed,
        scope=int(version.scope),  # type: ignore[arg-type]
        inbound_id=version.inbound_id,
        source=version.source,
        at_unix_ms=_unix_ms(version.changed_at),
    )
    cause = "" if causation is None else str(causation)
    return Fact(message, key_of_number(tenant_id, version.number_hash), causation=cause)


def tenant_of(message: TenantChanged) -> Tenant:
    """A tenant's settings, those that are used here."""
    return Tenant(
        uuid_of(message.tenant_id),
        message.version,
        message.name,
        message.country,
        message.time_zone,
        message.sender,
        message.closed,
        message.quiet_from_minute,
        message.quiet_to_minute,
        tuple(message.countries),
        message.customary_hours,
        tuple(message.holidays),
        tuple(map(_day_of, message.closed_days)),
        parts_max=message.parts_max or PARTS_MAX,
    )


def _day_of(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Poison("a day is none of the calendar") from error


def moment(unix_ms: int) -> datetime:
    """A time of an event."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def sender_of(message: SenderChanged) -> tuple[UUID, int, Sender]:
    """Whose sender, its version, and how it stands; what was said before there was a standing has but `active`."""
    standing = _STANDING.get(message.standing, Standing.ACTIVE if message.active else Standing.FREE)
    registration = _REGISTRATION.get(message.registration, Registration.UNREGISTERED)
    sender = Sender(message.sender, standing, registration, message.reason)
    return uuid_of(message.owner_tenant_id), message.version, sender


def wish_of(message: OptOutReceived) -> Wish:
    """What a customer who wrote wants; an unsaid scope is all."""
    if not message.inbound_id or not message.number_hash:
        raise Poison("an opt-out without inbound_id or number_hash")
    scope = Scope.MARKETING if message.scope == common_pb2.SUPPRESSION_SCOPE_MARKETING else Scope.ALL
    given_at = moment(message.received_at_unix_ms) if message.received_at_unix_ms else None
    wording = f"a message that the rule '{message.rule}' read so" if message.rule else "a message"
    return Wish(message.opted_out, scope, "reply", message.inbound_id, message.rule, "", given_at, wording)


def control_of(message: BulkSmsControlled) -> str:
    """ "stop", "pause" or "resume"."""
    control = _CONTROLS.get(message.control)
    if control is None:
        raise Poison("an unknown control")
    return control


def account_of(message: BulkSmsAccounted) -> Account:
    """Running totals of a send."""
    return Account(
        uuid_of(message.tenant_id),
        uuid_of(message.bulk_id),
        message.version,
        *(message.used, message.released, message.held, message.refunded, message.closed),
        *(message.accepted, message.unknown, message.rejected, message.stopped, message.suppressed),
        message.stop_reason,
        message.last_submit_unix_ms,
    )


_NOT_LEFT: Final = {
    **dict.fromkeys((common_pb2.LEFT_REJECTED, common_pb2.LEFT_STOPPED), Missed.NOT_SENT),
    common_pb2.LEFT_SUPPRESSED: Missed.SUPPRESSED,
}


def not_sent(message: SmsDispatched) -> list[Named]:
    """Messages that were rejected, stopped or suppressed; Poison where an array has not an entry for each."""
    if _NOT_LEFT.keys().isdisjoint(message.left):
        return []
    columns = (message.seq, message.left, message.accepted, message.version)
    if len({len(column) for column in columns}) > 1:
        raise Poison("arrays of different lengths")
    return named(
        message.chunk,
        (
            (seq, _NOT_LEFT[left] if accepted == common_pb2.ACCEPTED_NO else Missed.SENT_IN_PART, version)
            for seq, left, accepted, version in zip(*columns, strict=True)
            if left in _NOT_LEFT
        ),
    )


_FAILED: Final = frozenset(
    (common_pb2.RECEIPT_STATE_UNDELIVERED, common_pb2.RECEIPT_STATE_EXPIRED, common_pb2.RECEIPT_STATE_REJECTED)
)


def failed(message: SmsStatusChanged) -> list[Named]:
    """Messages of which a receipt says that they did not arrive; Poison as above."""
    if _FAILED.isdisjoint(message.receipt):
        return []
    columns = (message.seq, message.receipt, message.version)
    if len({len(column) for column in columns}) > 1:
        raise Poison("arrays of different lengths")
    rows = [row for row in zip(*columns, strict=True) if row[1] in _FAILED]
    undelivered = frozenset(seq for seq, receipt, _ in rows if receipt == common_pb2.RECEIPT_STATE_UNDELIVERED)
    return named(message.chunk, ((seq, Missed.FAILED, version) for seq, _, version in rows), undelivered)


def refusal_of(message: CreditsRefused) -> Problem:
    """Why nothing was set aside, as the send's problem."""
    return credits_short(message.asked, message.shortfall, message.reason)


@dataclass(frozen=True, slots=True)
class Answer:
    """A message to someone who wrote; number in E.164."""

    tenant_id: UUID
    answer_id: str
    number: str
    number_hash: bytes
    text: str
    by: str


def answer_of(message: AnswerRequested) -> Answer:
    """An answer that is to be sent."""
    if not message.answer_id or not message.number.startswith("+"):
        raise Poison("an answer without id or number")
    reason = {1: "confirmation", 2: "help", 3: "person"}.get(message.reason, "")
    return Answer(
        uuid_of(message.tenant_id),
        message.answer_id,
        message.number,
        message.number_hash,
        message.text,
        f"answer:{reason}",
    )


def uuid_of(text: str) -> UUID:
    """An id; Poison where it is none."""
    try:
        return UUID(text)
    except ValueError as error:
        raise Poison("an id is not a UUID") from error


def ids_of(message: Any) -> tuple[UUID, UUID]:
    """Tenant and send of an event that has both."""
    return uuid_of(message.tenant_id), uuid_of(message.bulk_id)


def header_of(bulk: Any) -> Header:
    """What all events of a stored send say."""
    return Header(
        *(bulk["tenant_id"], bulk["bulk_id"], bulk["lane"], bulk["message_class"], bulk["kind"], bulk["sender"]),
        *(bulk["partial"], bulk["send_by"], bulk["created_at"], bulk["reference_base"]),
    )


def _unix_ms(at: datetime) -> int:
    delta = at - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
