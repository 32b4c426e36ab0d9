"""Between the wire and the domain: the only room here that knows protobuf."""

import zlib
from collections.abc import Collection, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias
from uuid import UUID, uuid5

from muster.events import key_of_number
from muster.events.personal import blank_recipients
from muster.events.v1 import common_pb2, recipients_pb2, replies_pb2
from muster.events.v1.bulk_pb2 import CONTROL_PAUSE, BulkSmsControlled
from muster.events.v1.credits_pb2 import AutomaticTopUpFailed, CreditsLow
from muster.events.v1.recipients_pb2 import AnswerRequested, BulkRecipientsAttached, SmsReceived
from muster.events.v1.replies_pb2 import OptOutReceived, ReplyReceived
from muster.events.v1.schedules_pb2 import START_OUTCOME_SKIPPED, START_OUTCOME_STARTED, ScheduledStartDecided
from muster.events.v1.sms_pb2 import SmsDispatched
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit.consumer import Poison, Received
from muster.kit.outbox import Fact
from muster.reply.domain import Answer, AnswerReason, Inbound, Notice, NoticeKind, Reply, Scope, Tenant, Verdict

ChunkHeard: TypeAlias = Received[BulkRecipientsAttached]
DispatchHeard: TypeAlias = Received[SmsDispatched]
InboundHeard: TypeAlias = Received[SmsReceived]
TenantHeard: TypeAlias = Received[TenantChanged]

LowHeard: TypeAlias = Received[CreditsLow]
ControlHeard: TypeAlias = Received[BulkSmsControlled]
StartHeard: TypeAlias = Received[ScheduledStartDecided]
FailedTopUpHeard: TypeAlias = Received[AutomaticTopUpFailed]

HEARD = ("tenants", "suppressions", "sms", "inbound", "credits", "bulk-progress", "schedules", "approvals")
HEARD_CHUNKS = ("bulk-recipients", "bulk-recipients-small")
"""Read by a consumer of their own, so that a giant send does not stand before a reply."""

HASH_BYTES: Final = 17
_ZLIB_LEVEL: Final = 1  # 0.08 us a message; more hardly makes it smaller
_NOT_SENT: Final = frozenset({common_pb2.LEFT_REJECTED, common_pb2.LEFT_STOPPED, common_pb2.LEFT_SUPPRESSED})
_VERDICTS: Final = {
    Verdict.ORDINARY: replies_pb2.REPLY_VERDICT_ORDINARY,
    Verdict.OPT_OUT: replies_pb2.REPLY_VERDICT_OPT_OUT,
    Verdict.OPT_IN: replies_pb2.REPLY_VERDICT_OPT_IN,
    Verdict.HELP: replies_pb2.REPLY_VERDICT_HELP,
    Verdict.UNCLEAR: replies_pb2.REPLY_VERDICT_UNCLEAR,
}
_SCOPES: Final = {
    Scope.MARKETING: common_pb2.SUPPRESSION_SCOPE_MARKETING,
    Scope.ALL: common_pb2.SUPPRESSION_SCOPE_ALL,
}
_REASONS: Final = {
    AnswerReason.CONFIRMATION: recipients_pb2.ANSWER_REASON_CONFIRMATION,
    AnswerReason.HELP: recipients_pb2.ANSWER_REASON_HELP,
}
# What attribution and the conversation need; numbers and prices are not kept.
_NOT_KEPT: Final = ("number", "number_hash", "price", "upto", "parts", "customer_id", "encoding")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk as it is kept: `keys` in the order of its recipients, `payload` with their seq and text."""

    tenant_id: UUID
    bulk_id: UUID
    chunk: int
    due_at: datetime
    keys: list[int]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Recipient:
    """What somebody was sent, and by which sender."""

    seq: int
    text: str
    sender: str


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What one event says of a chunk: when messages left, and the seq of those that never will."""

    tenant_id: UUID
    bulk_id: UUID
    chunk: int
    sent_at: datetime | None
    unsent: list[int]


def key_of(number_hash: bytes) -> int:
    """The first eight bytes of a number's hash as a bigint: what chunks are searched by."""
    return int.from_bytes(number_hash[:8], "big", signed=True)


def chunk_of(received: ChunkHeard) -> Chunk:
    """A chunk as it is kept; Poison where its fields do not fit together."""
    message = received.message
    count = len(message.seq)
    if len(message.number_hash) != count or (message.text_index and len(message.text_index) != count):
        raise Poison("recipient fields of different lengths")
    if count and max(message.text_index, default=0) >= len(message.text):
        raise Poison("a recipient's text that is not there")
    keys = [key_of(number_hash) for number_hash in message.number_hash]
    kept = BulkRecipientsAttached()
    kept.CopyFrom(message)
    for name in _NOT_KEPT:
        kept.ClearField(name)
    return Chunk(
        tenant_id=uuid_of(message.tenant_id),
        bulk_id=uuid_of(message.bulk_id),
        chunk=message.chunk,
        due_at=moment(message.due_at_unix_ms or received.time_unix_ms),
        keys=keys,
        payload=_packed(kept),
    )


def recipient_of(payload: bytes, place: int) -> Recipient:
    """The recipient at `place`, from 0, of a kept chunk."""
    kept = _unpacked(payload)
    return Recipient(kept.seq[place], kept.text[kept.text_index[place] if kept.text_index else 0], kept.sender)


def without(payload: bytes, places: Collection[int]) -> bytes:
    """A kept chunk in which the recipients at these places have an empty text, and nobody else's is lost."""
    kept = _unpacked(payload)
    blank_recipients(kept, places)
    return _packed(kept)


def blanked(chunk: Chunk, gone: Set[int]) -> Chunk:
    """The chunk with the texts of the recipients with these keys blanked."""
    places = [place for place, key in enumerate(chunk.keys) if key in gone]
    return replace(chunk, payload=without(chunk.payload, places)) if places else chunk


def dispatch_of(received: DispatchHeard) -> Dispatch:
    """What a record step of the sender says of its chunk."""
    message = received.message
    if len(message.left) != len(message.seq):
        raise Poison("outcome fields of different lengths")
    outcomes = set(message.left)
    unsent = (
        []
        if outcomes.isdisjoint(_NOT_SENT)
        else [seq for seq, left in zip(message.seq, message.left, strict=True) if left in _NOT_SENT]
    )
    return Dispatch(
        tenant_id=uuid_of(message.tenant_id),
        bulk_id=uuid_of(message.bulk_id),
        chunk=message.chunk,
        sent_at=moment(message.at_unix_ms or received.time_unix_ms) if outcomes - _NOT_SENT else None,
        unsent=unsent,
    )


def inbound_of(received: InboundHeard) -> Inbound:
    """A message that a customer wrote; Poison where it cannot be told whose."""
    message = received.message
    if len(message.number_hash) != HASH_BYTES:
        raise Poison("an inbound message without number hash")
    return Inbound(
        tenant_id=uuid_of(message.tenant_id),
        inbound_id=uuid_of(message.inbound_id),
        number=message.number,
        number_hash=message.number_hash,
        # PostgreSQL stores every character but this one.
        text=message.text.replace("\0", ""),
        received_at=moment(message.received_at_unix_ms or received.time_unix_ms),
        to=message.to,
    )


def tenant_of(received: TenantHeard) -> Tenant:
    """A tenant's settings."""
    message = received.message
    return Tenant(
        tenant_id=uuid_of(message.tenant_id),
        version=message.version,
        name=message.name,
        country=message.country,
        time_zone=message.time_zone,
        allow_sms_replies=message.allow_sms_replies,
        reception_email=message.reception_email,
        closed=message.closed,
    )


def low_of(received: LowHeard) -> Notice:
    """What of a fall below a threshold is told; the account's version names it."""
    message = received.message
    tenant_id = uuid_of(message.tenant_id)
    return Notice(
        tenant_id=tenant_id,
        letter_id=uuid5(tenant_id, f"credits-low/{message.account_version}"),
        kind=NoticeKind.CREDITS_LOW,
        since=moment(received.time_unix_ms),
        threshold=message.threshold,
        available=message.available,
    )


def failed_top_up_of(received: FailedTopUpHeard) -> Notice:
    """What of an automatic top-up that failed is told; the charge names it."""
    message = received.message
    tenant_id = uuid_of(message.tenant_id)
    return Notice(
        tenant_id=tenant_id,
        letter_id=uuid5(tenant_id, f"top-up-failed/{uuid_of(message.charge_id)}"),
        kind=NoticeKind.TOP_UP_FAILED,
        since=moment(received.time_unix_ms),
        amount=message.amount,
        currency=message.currency,
        # PostgreSQL stores every character but this one.
        reason=message.reason.replace("\0", ""),
    )


def paused_of(received: ControlHeard) -> Notice | None:
    """What of a send that paused itself is told; its control names it. None for what a person has done."""
    message = received.message
    if message.control != CONTROL_PAUSE or message.reason != "error_rate":
        return None
    tenant_id, bulk_id = uuid_of(message.tenant_id), uuid_of(message.bulk_id)
    return Notice(
        tenant_id=tenant_id,
        letter_id=uuid5(tenant_id, f"send-paused/{bulk_id}/{message.control_version}"),
        kind=NoticeKind.SEND_PAUSED,
        since=moment(received.time_unix_ms),
        reason=str(bulk_id),
    )


def missed_start_of(received: StartHeard) -> Notice | None:
    """What of a start that came to nothing is told; its schedule, time and outcome name it. None for one that was
    started, and for what a person has skipped."""
    message = received.message
    if message.outcome in _STARTS_NOT_TOLD:
        return None
    tenant_id, schedule_id = uuid_of(message.tenant_id), uuid_of(message.schedule_id)
    when = f"{message.wall.replace('T', ' ')} ({message.time_zone})"
    told = f'"{message.name}" was to be sent on {when}. {message.detail}\n\nIts id is {schedule_id}.'
    if message.bulk_id:
        told += f" The send that was refused is {uuid_of(message.bulk_id)}."
    return Notice(
        tenant_id=tenant_id,
        letter_id=uuid5(tenant_id, f"schedule/{schedule_id}/{message.wall}/{message.outcome}"),
        kind=NoticeKind.SCHEDULE_START,
        since=moment(received.time_unix_ms),
        reason=told.replace("\0", ""),
    )


_STARTS_NOT_TOLD: Final = frozenset({START_OUTCOME_STARTED, START_OUTCOME_SKIPPED})


def facts_of(reply: Reply, causation: UUID) -> list[Fact]:
    """What is told of a reply: always ReplyReceived; an opt-out or opt-in; an answer that is wanted."""
    facts = [_fact(_reply_received(reply), reply, causation)]
    if reply.verdict in (Verdict.OPT_OUT, Verdict.OPT_IN):
        facts.append(_fact(_opt_out_received(reply), reply, causation))
    if reply.answer is not None:
        facts.append(_fact(_answer_requested(reply, reply.answer), reply, causation))
    return facts


def _reply_received(reply: Reply) -> ReplyReceived:
    inbound, sent = reply.inbound, reply.attribution.sent
    return ReplyReceived(
        tenant_id=str(inbound.tenant_id),
        inbound_id=str(inbound.inbound_id),
        number_hash=inbound.number_hash,
        bulk_id=str(sent.bulk_id) if sent else "",
        seq=sent.seq if sent else 0,
        verdict=_VERDICTS[reply.verdict],
        rule=reply.rule,
        doubtful=reply.attribution.doubtful,
        received_at_unix_ms=_unix_ms(inbound.received_at),
    )


def _opt_out_received(reply: Reply) -> OptOutReceived:
    inbound, sent = reply.inbound, reply.attribution.sent
    return OptOutReceived(
        tenant_id=str(inbound.tenant_id),
        inbound_id=str(inbound.inbound_id),
        number_hash=inbound.number_hash,
        bulk_id=str(sent.bulk_id) if sent else "",
        seq=sent.seq if sent else 0,
        scope=_SCOPES[reply.scope],
        rule=reply.rule,
        opted_out=reply.verdict is Verdict.OPT_OUT,
        received_at_unix_ms=_unix_ms(inbound.received_at),
    )


def _answer_requested(reply: Reply, answer: Answer) -> AnswerRequested:
    inbound = reply.inbound
    return AnswerRequested(
        tenant_id=str(inbound.tenant_id),
        answer_id=str(answer.answer_id),
        number=inbound.number,
        number_hash=inbound.number_hash,
        text=answer.text,
        reason=_REASONS[answer.reason],
        inbound_id=str(inbound.inbound_id),
        at_unix_ms=_unix_ms(inbound.received_at),
    )


def _fact(message: ReplyReceived | OptOutReceived | AnswerRequested, reply: Reply, causation: UUID) -> Fact:
    sent = reply.attribution.sent
    key = key_of_number(reply.inbound.tenant_id, reply.inbound.number_hash)
    return Fact(message, key, correlation=str(sent.bulk_id) if sent else "", causation=str(causation))


def _packed(kept: BulkRecipientsAttached) -> bytes:
    return zlib.compress(kept.SerializeToString(), _ZLIB_LEVEL)


def _unpacked(payload: bytes) -> BulkRecipientsAttached:
    return BulkRecipientsAttached.FromString(zlib.decompress(payload))


def moment(unix_ms: int) -> datetime:
    """A time; Poison where it is none."""
    try:
        return datetime.fromtimestamp(unix_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Poison("a time out of range") from error


def _unix_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def uuid_of(text: str) -> UUID:
    """An id; Poison where it is none."""
    try:
        return UUID(text)
    except ValueError as error:
        raise Poison("an id is not a UUID") from error
