"""Wire <-> domain: the only room of dispatch-svc that knows protobuf."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from muster.dispatch.domain import hours, saga
from muster.dispatch.domain.receipts import Receipt
from muster.dispatch.domain.routing import Route
from muster.dispatch.domain.saga import Bulk, Control
from muster.dispatch.domain.slots import REASON_OF_SLOT, Reason, Slot, Word, credits_of
from muster.events import NIL_TENANT, key_of_bulk, key_of_number, key_of_tenant
from muster.events.personal import Gone, blank_recipients, born_unix_ms
from muster.events.v1 import bulk_pb2, common_pb2, platform_pb2, recipients_pb2, replies_pb2, sms_pb2
from muster.events.v1.bulk_pb2 import BulkSmsRequested as BulkSmsRequested
from muster.events.v1.bulk_pb2 import BulkSmsWithdrawn as BulkSmsWithdrawn
from muster.events.v1.credits_pb2 import CreditsRefused as CreditsRefused
from muster.events.v1.credits_pb2 import CreditsReserved as CreditsReserved
from muster.events.v1.credits_pb2 import CreditsSettled as CreditsSettled
from muster.events.v1.recipients_pb2 import BulkRecipientsAttached as BulkRecipientsAttached
from muster.events.v1.replies_pb2 import OptOutReceived as OptOutReceived
from muster.events.v1.replies_pb2 import ReplyReceived as ReplyReceived
from muster.events.v1.suppressions_pb2 import PersonErased as PersonErased
from muster.events.v1.suppressions_pb2 import SuppressionChanged as SuppressionChanged
from muster.events.v1.tenants_pb2 import FAILED_RULE_RELEASE as FAILED_RULE_RELEASE
from muster.events.v1.tenants_pb2 import UNKNOWN_RULE_ASK as UNKNOWN_RULE_ASK
from muster.events.v1.tenants_pb2 import UNKNOWN_RULE_CHARGE as UNKNOWN_RULE_CHARGE
from muster.events.v1.tenants_pb2 import TenantChanged as TenantChanged
from muster.kit.outbox import Fact, Lane

LEFT: Final[Mapping[Slot, int]] = {
    Slot.ACCEPTED: common_pb2.LEFT_ACCEPTED,
    Slot.UNKNOWN: common_pb2.LEFT_UNKNOWN,
    Slot.REJECTED: common_pb2.LEFT_REJECTED,
    Slot.STOPPED: common_pb2.LEFT_STOPPED,
    Slot.SEND_BY: common_pb2.LEFT_STOPPED,
    Slot.CREDITS: common_pb2.LEFT_STOPPED,
    Slot.SUPPRESSED: common_pb2.LEFT_SUPPRESSED,
}
_CONTROL: Final = {
    Control.STOP: bulk_pb2.CONTROL_STOP,
    Control.PAUSE: bulk_pb2.CONTROL_PAUSE,
    Control.RESUME: bulk_pb2.CONTROL_RESUME,
}
_PERSONAL_FIELDS: Final = ("text", "encoding", "number", "text_index", "customer_id")

# Scopes as they are on the wire and in the database.
MARKETING: Final = int(common_pb2.SUPPRESSION_SCOPE_MARKETING)
ALL: Final = int(common_pb2.SUPPRESSION_SCOPE_ALL)
CLASS_MARKETING: Final = int(common_pb2.MESSAGE_CLASS_MARKETING)
# Never marketing, whatever anybody asks for.
CLASSES_AT_LEAST_ONCE: Final = (int(common_pb2.MESSAGE_CLASS_FACTUAL), int(common_pb2.MESSAGE_CLASS_EXEMPT))
# A chunk is one row, lease and intent; its parts are numbered in two octets.
CHUNK_RECIPIENTS_MAX: Final = 1000
CHUNK_PARTS_MAX: Final = 32_767
KIND_BULK: Final = int(common_pb2.MESSAGE_KIND_BULK)
# Verdicts that end a hold: nobody asked to be left alone.
NO_OPT_OUT: Final = frozenset(
    (replies_pb2.REPLY_VERDICT_ORDINARY, replies_pb2.REPLY_VERDICT_HELP, replies_pb2.REPLY_VERDICT_OPT_IN)
)


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """Which chunk of which send."""

    tenant_id: UUID
    bulk_id: UUID
    chunk: int


@dataclass(frozen=True, slots=True)
class ChunkFacts:
    """What all messages of a chunk share, as it is said of each; and the trace that it belongs to."""

    country: str
    account: str
    message_class: int
    kind: int
    sender: str
    lane: int
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Recipients:
    """The recipients of a chunk, a list for each column. `prices` and `uptos` are credits; `seq` counts from 1."""

    seq: list[int]
    hashes: list[bytes]
    parts: bytes
    prices: list[int]
    uptos: list[int]


@dataclass(frozen=True, slots=True)
class Texts:
    """What is sent to whom: numbers are digits of E.164; `index` names the text of each recipient (empty: text 0)."""

    numbers: list[int]
    texts: list[str]
    index: list[int]


def halves(attached: BulkRecipientsAttached) -> tuple[bytes, bytes]:
    """(plain, personal): two messages that are the original one when their bytes are joined."""
    plain, personal = BulkRecipientsAttached(), BulkRecipientsAttached()
    plain.CopyFrom(attached)
    for name in _PERSONAL_FIELDS:
        plain.ClearField(name)
        getattr(personal, name).extend(getattr(attached, name))
    return plain.SerializeToString(), personal.SerializeToString()


def without_people(bulk_id: UUID, plain: bytes, personal: bytes, gone: Gone) -> bytes | None:
    """The personal half without number and text of those who were erased since the send was begun; None where none of
    them is in it any more."""
    born = born_unix_ms(bulk_id)
    half = BulkRecipientsAttached.FromString(personal)
    hashes = BulkRecipientsAttached.FromString(plain).number_hash
    places = [place for place, one in enumerate(hashes) if half.number[place] and born <= gone.get(one, -1)]
    if not places:
        return None
    half.seq.extend(range(1, len(hashes) + 1))  # which says how many there are
    blank_recipients(half, places)
    half.ClearField("seq")
    return half.SerializeToString()


def read_recipients(plain: bytes) -> Recipients:
    """The plain half."""
    read = BulkRecipientsAttached.FromString(plain)
    return Recipients(
        seq=list(read.seq),
        hashes=list(read.number_hash),
        parts=bytes(read.parts),
        prices=list(read.price),
        uptos=list(read.upto),
    )


def read_texts(personal: bytes) -> Texts:
    """The personal half."""
    read = BulkRecipientsAttached.FromString(personal)
    return Texts(
        numbers=list(read.number),
        texts=list(read.text),
        index=list(read.text_index),
    )


def why_unfit(attached: BulkRecipientsAttached) -> str:
    """What is wrong with a chunk that can never be sent; "" for one that can."""
    count = len(attached.seq)
    columns = (attached.number, attached.number_hash, attached.parts, attached.price, attached.upto)
    if not 1 <= count <= CHUNK_RECIPIENTS_MAX or any(len(column) != count for column in columns):
        return "columns of different lengths"
    if not all(1 <= parts <= 255 for parts in attached.parts):
        return "parts out of range"
    if sum(attached.parts) > CHUNK_PARTS_MAX:
        return "more parts than a chunk can number"
    if any(price < 0 for price in attached.price):
        return "a negative price"
    if len(attached.encoding) != len(attached.text) or len(attached.text_index) not in (0, count):
        return "texts and their index do not fit"
    if max(attached.text_index, default=0) >= len(attached.text):
        return "an index beyond the texts"
    if attached.reference_bits not in (0, 8, 16):
        return "reference_bits is neither 8 nor 16"
    return hours.why_unfit(attached.allowed_from_unix_ms, attached.allowed_until_unix_ms)


def requested(event: BulkSmsRequested) -> saga.Requested:
    """BulkSmsRequested as the saga knows it."""
    return saga.Requested(
        recipients=event.recipients,
        chunks=event.chunks,
        asked=event.credits,
        send_by_unix_ms=event.send_by_unix_ms,
    )


def outbox_lane(lane: int) -> Lane:
    """The lane of facts about a chunk: its own."""
    return Lane.LARGE if lane == common_pb2.LANE_LARGE else Lane.SMALL


def dispatched(
    key: ChunkKey,
    about: ChunkFacts,
    recipients: Recipients,
    words: Sequence[Word],
    errors: Mapping[int, int],
    version: int,
    at_unix_ms: int,
) -> list[Fact]:
    """SmsDispatched for these words: one fact, or one for each reason that messages were stopped for.

    `errors` are the carrier's command_status by position; `version` is that of all these words.
    """
    by_reason: dict[Reason, list[Word]] = {}
    for word in words:
        by_reason.setdefault(REASON_OF_SLOT.get(word.left, Reason.NONE), []).append(word)
    return [
        Fact(
            _dispatched(key, about, recipients, group, errors, version, at_unix_ms, reason),
            key=key_of_bulk(key.bulk_id),
            correlation=str(key.bulk_id),
            lane=outbox_lane(about.lane),
            traceparent=about.traceparent,
        )
        for reason, group in by_reason.items()
    ]


def _dispatched(
    key: ChunkKey,
    about: ChunkFacts,
    of: Recipients,
    words: Sequence[Word],
    errors: Mapping[int, int],
    version: int,
    at_unix_ms: int,
    reason: Reason,
) -> sms_pb2.SmsDispatched:
    at = [word.position for word in words]
    seq, parts, prices, hashes = of.seq, of.parts, of.prices, of.hashes
    return sms_pb2.SmsDispatched(
        tenant_id=str(key.tenant_id),
        bulk_id=str(key.bulk_id),
        chunk=key.chunk,
        country=about.country,
        carrier=about.account,
        message_class=about.message_class,  # type: ignore[arg-type]  # the number as it came
        kind=about.kind,  # type: ignore[arg-type]
        sender=about.sender,
        seq=[seq[position] for position in at],
        left=[LEFT[word.left] for word in words],  # type: ignore[misc]
        accepted=[accepted_of(word) for word in words],  # type: ignore[misc]
        version=[version] * len(words),
        parts=[parts[position] for position in at],
        credits=[credits_of(prices[word.position], parts[word.position], word.charged_parts) for word in words],
        number_hash=[hashes[position] for position in at],
        error=[errors.get(position, 0) for position in at] if errors else [0] * len(words),
        reason=reason.value,
        at_unix_ms=at_unix_ms,
    )


def accepted_of(word: Word) -> int:
    """Whether a carrier took a message, as the events say it."""
    if word.any_accepted:
        return common_pb2.ACCEPTED_YES
    return common_pb2.ACCEPTED_UNKNOWN if word.left is Slot.UNKNOWN else common_pb2.ACCEPTED_NO


def status_changed(
    key: ChunkKey, lane: int, version: int, said: Iterable[tuple[int, Receipt, str, int]], traceparent: str = ""
) -> Fact:
    """SmsStatusChanged of one chunk: (seq, receipt, carrier's error, time it was done) of each message."""
    seq, receipt, error, done_at = zip(*said, strict=True)
    return Fact(
        sms_pb2.SmsStatusChanged(
            tenant_id=str(key.tenant_id),
            bulk_id=str(key.bulk_id),
            chunk=key.chunk,
            seq=seq,
            receipt=receipt,
            version=[version] * len(seq),
            error=error,
            done_at_unix_ms=done_at,
        ),
        key=key_of_bulk(key.bulk_id),
        correlation=str(key.bulk_id),
        lane=outbox_lane(lane),
        traceparent=traceparent,
    )


def accounted(tenant_id: UUID, bulk_id: UUID, bulk: Bulk, *, closed: bool, at_unix_ms: int) -> Fact:
    """BulkSmsAccounted: the running totals of a send."""
    totals = bulk.totals
    return Fact(
        bulk_pb2.BulkSmsAccounted(
            tenant_id=str(tenant_id),
            bulk_id=str(bulk_id),
            version=bulk.account_version,
            used=totals.used,
            released=totals.released,
            held=totals.held,
            refunded=totals.refunded,
            closed=closed,
            accepted=totals.accepted,
            unknown=totals.unknown,
            rejected=totals.rejected,
            stopped=totals.stopped,
            suppressed=totals.suppressed,
            stop_reason=totals.reason.value,
            at_unix_ms=at_unix_ms,
            last_submit_unix_ms=totals.last_submit_ms,
        ),
        key=key_of_tenant(tenant_id),
        correlation=str(bulk_id),
    )


def controlled(
    tenant_id: UUID, bulk_id: UUID, bulk: Bulk, control: Control, *, user_id: str, reason: str, at_unix_ms: int
) -> Fact:
    """BulkSmsControlled: a send was stopped, paused or resumed, by a person or for the `reason` that is a code."""
    return Fact(
        bulk_pb2.BulkSmsControlled(
            tenant_id=str(tenant_id),
            bulk_id=str(bulk_id),
            control_version=bulk.control_version,
            control=_CONTROL[control],
            user_id=user_id,
            reason=reason,
            at_unix_ms=at_unix_ms,
        ),
        key=key_of_tenant(tenant_id),
        correlation=str(bulk_id),
    )


@dataclass(frozen=True, slots=True)
class Inbound:
    """A whole inbound message; `number` is E.164 with plus."""

    tenant_id: UUID
    inbound_id: UUID
    number: str
    number_hash: bytes
    to: str
    text: str
    account: str


def received(inbound: Inbound, at_unix_ms: int) -> Fact:
    """SmsReceived."""
    return Fact(
        recipients_pb2.SmsReceived(
            tenant_id=str(inbound.tenant_id),
            inbound_id=str(inbound.inbound_id),
            number=inbound.number,
            number_hash=inbound.number_hash,
            to=inbound.to,
            text=inbound.text,
            carrier=inbound.account,
            received_at_unix_ms=at_unix_ms,
        ),
        key=key_of_number(inbound.tenant_id, inbound.number_hash),
    )


def route_changed(route: Route, version: int, reference_bits: int, parts_per_second: int) -> Fact:
    """RouteChanged, a fact of the platform. It is open to those who plan if anything is led to it first."""
    return Fact(
        platform_pb2.RouteChanged(
            tenant_id=str(NIL_TENANT),
            route=route.name,
            version=version,
            countries=sorted(route.countries),
            carrier=max(route.targets, key=lambda target: target.weight).account,
            reference_bits=reference_bits,
            parts_per_second=parts_per_second,
            open=route.takes_any,
            senders=sorted(route.senders),
        ),
        key=route.name.encode(),
    )


def is_number(sender: str) -> bool:
    """Whether a sender is a number (it gets replies) rather than a name."""
    digits = sender.removeprefix("+")
    return digits.isascii() and digits.isdigit()


def e164(number: str) -> str:
    """A number as a carrier writes it, with a plus; what is not ASCII is no digit of it, but must not be the end of
    what is said of it."""
    return "+" + number.encode("ascii", "replace").decode().removeprefix("+").removeprefix("00")


def normal_sender(sender: str) -> str:
    """How a sender is looked up: a number as its digits, a name as it is."""
    return sender.removeprefix("+") if is_number(sender) else sender
