"""An answer to somebody who wrote: a send of its own kind that needs no planner."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from muster.customer import events
from muster.customer.domain.customers import Mobile
from muster.customer.domain.merge_text import MergeText
from muster.customer.domain.planning import Totals, make_chunk
from muster.customer.domain.pricing import Renderer
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.senders import refusal
from muster.customer.domain.sends import SEND_BY_DEFAULT
from muster.customer.domain.tariff import Tariff
from muster.customer.events import Answer, Header, MessageClass, MessageKind, Partial
from muster.customer.store import bulks, plans, reference
from muster.customer.store.bulks import NewBulk, Total
from muster.customer.store.reference import Tenant
from muster.events import is_sandbox
from muster.kit import clock
from muster.kit.ids import checked_uuid
from muster.kit.outbox import Lane, emit
from muster.kit.pg import Tx
from muster.text import TextRefused, country_of
from muster.text.magic import is_magic

_REFERENCE_BITS: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Message:
    """One message that is asked for. customer_id 0: nobody's number. kind and message_class as in the events."""

    bulk_id: UUID
    text: MergeText
    mobile: Mobile
    customer_id: int
    message_class: int
    kind: int
    sender: str
    send_by: datetime
    created_by: str
    answer_id: str | None = None


async def send_one(tx: Tx, tenant_id: UUID, message: Message, tariff: Tariff) -> Total | Refusal:
    """Store and say a message; its parts and credits, or why it cannot go."""
    if not tariff.allows(message.mobile.country):
        return not_allowed("to", message.mobile.country)
    try:
        destination = tariff.destination(message.mobile.country)
    except KeyError:
        return not_textable("to", message.mobile.country)
    created_at = clock.now()
    mobile = message.mobile
    frozen = plans.one_frozen(mobile.country, message.customer_id, mobile.number, mobile.number_hash)
    try:
        chunk = make_chunk(Totals(), frozen, destination, Renderer(message.text))
    except TextRefused as refused:
        return Refusal("text", refused.code, str(refused))
    total = Total(1, 1, chunk.parts[0], chunk.prices[0])
    bulk = NewBulk(
        message.bulk_id,
        message.kind,
        message.message_class,
        Lane.SMALL,
        None,
        message.answer_id,
        message.sender,
        message.text.text,
        Partial.NOTHING,
        message.send_by,
        reference_base(message.bulk_id),
        created_at,
        message.created_by,
        total.credits,
    )
    header = Header(
        *(tenant_id, bulk.bulk_id, bulk.lane, bulk.message_class, bulk.kind, bulk.sender, bulk.partial),
        *(bulk.send_by, created_at, bulk.reference_base),
    )
    await bulks.add_planned(tx, tenant_id, bulk, total)
    await plans.freeze_one(tx, tenant_id, bulk.bulk_id, frozen)
    await emit(tx, events.bulk_requested(header, 1, 1, total.credits), events.chunk_attached(header, chunk))
    return total


async def send_answer(tx: Tx, answer: Answer, bulk_id_key: bytes) -> str | None:
    """Send an answer that was not sent yet; a code of why it cannot go."""
    if await bulks.bulk_of_answer(tx, answer.tenant_id, answer.answer_id) is not None:
        return None
    tenant = await reference.tenant_of(tx, answer.tenant_id)
    text = MergeText.literal(answer.text)
    if tenant is None:
        return "tenant_unknown"
    if isinstance(text, Refusal):
        return text.code
    refused = refusal(tenant.own_sender) if tenant.own_sender is not None else None
    if refused is not None:
        return refused.code
    message = Message(
        checked_uuid(bulk_id_key, answer.tenant_id),
        text,
        Mobile(int(answer.number), _country_of(answer.number, tenant), answer.number_hash),
        0,
        MessageClass.EXEMPT,
        MessageKind.REPLY,
        tenant.sender,
        clock.now() + SEND_BY_DEFAULT,
        answer.by,
        answer.answer_id,
    )
    tariff = (await reference.tariff_now(tx)).of(tenant.sender).within(tenant.allowed)
    sent = await send_one(tx, answer.tenant_id, message, tariff)
    return sent.code if isinstance(sent, Refusal) else None


def _country_of(number: str, tenant: Tenant) -> str:
    """A magic number counts as one of the sandbox's own country."""
    if is_sandbox(tenant.tenant_id) and is_magic(int(number)):
        return tenant.country
    return country_of(number)


def not_textable(field: str, country: str) -> Refusal:
    """Why a number of a country that has no rate or no route cannot be texted."""
    return Refusal(field, "not_textable", f"Numbers of {country} cannot be texted.")


def not_allowed(field: str, country: str) -> Refusal:
    """Why a number of a country that the business does not send to is not texted."""
    return Refusal(field, "not_allowed", f"This business does not send to numbers of {country}.")


def reference_base(bulk_id: UUID) -> int:
    """16 bits that differ between sends, the same at each rendering of one."""
    return (bulk_id.int ^ bulk_id.int >> 80) & _REFERENCE_BITS
