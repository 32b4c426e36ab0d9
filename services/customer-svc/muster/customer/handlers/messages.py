"""Single messages, all that wait in one transaction: what each comes to, and one record for each business."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from muster.customer import events
from muster.customer.domain.compliance import consent_missing
from muster.customer.domain.customers import Mobile, NumberReader
from muster.customer.domain.hours import Hours
from muster.customer.domain.limits import NO_LIMITS, Limits, Over, why
from muster.customer.domain.links import Links, SendLinks, has_placeholder
from muster.customer.domain.messages import Sendable, Together, group
from muster.customer.domain.notices import with_notices
from muster.customer.domain.planning import with_links
from muster.customer.domain.pricing import Verbatim, too_many_parts
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.senders import Sender, looked_up, refusal, warnings
from muster.customer.domain.sends import SEND_BY_DEFAULT, judge_send_by
from muster.customer.domain.tariff import Tariff
from muster.customer.events import Header, MessageClass, Partial
from muster.customer.handlers.asks import Answer, Ask, Asked, Each, Limited, No, Said, Suspended, Taken, Why
from muster.customer.handlers.guarding import Wanted, admit, limits_of
from muster.customer.handlers.single import not_allowed, not_textable, reference_base
from muster.customer.store import bulks, links, messages, plans, reference
from muster.customer.store.bulks import NewBulk, Total
from muster.customer.store.messages import ByCustomer, ByNumber, Holder
from muster.customer.store.reference import Tenant
from muster.events import NIL_TENANT, is_sandbox
from muster.kit import audit, clock, spans, trace
from muster.kit.acts import Act
from muster.kit.idempotency import store_answers, stored_answers
from muster.kit.ids import checked_uuid
from muster.kit.outbox import Fact, Lane, emit
from muster.kit.pg import Tx
from muster.kit.spans import Kind
from muster.kit.tokens import Caller
from muster.text import NumberRefused, TextRefused
from muster.text.zones import SEPARATOR, zones_of_number


class Overtaken(Exception):
    """Another transaction has answered to one of the same idempotency keys meanwhile: roll back and look again."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What hashes of numbers and ids of sends are keyed by."""

    hash_key: bytes
    hash_generation: int
    bulk_id_key: bytes
    link_url: str = ""


async def take(tx: Tx, asked: Sequence[Asked], secrets: Secrets, limits: Limits = NO_LIMITS) -> list[Answer]:
    """Store and say all that may go, and answer each request (worker). Raises Overtaken. The idempotency keys must
    differ."""
    known = await stored_answers(tx, [one.claim for one in asked if one.claim is not None])
    stored = [known.get(one.claim.identity) if one.claim is not None else None for one in asked]
    new = [one for one, before in zip(asked, stored, strict=True) if before is None]
    each = iter(await _take(tx, [ask for one in new for ask in one.asks], secrets, limits) if new else ())
    answers = [before or one.answer([next(each) for _ in one.asks]) for one, before in zip(asked, stored, strict=True)]
    kept = [
        (one.claim, said.status, said.document)
        for one, said in zip(asked, answers, strict=True)
        if isinstance(said, Said) and said.taken and one.claim is not None
    ]
    if not await store_answers(tx, kept):
        raise Overtaken
    return answers


async def _take(tx: Tx, asks: Sequence[Ask], secrets: Secrets, limits: Limits) -> list[Each]:
    texts = Verbatim()
    judged = await _judge(tx, dict(enumerate(asks)), secrets, texts, limits)
    sendable = [one for one in judged.values() if isinstance(one, Sendable)]
    answers: dict[int, Each] = {place: one for place, one in judged.items() if not isinstance(one, Sendable)}
    if sendable:
        answers |= await _store(tx, asks, group(sendable, texts), secrets)
    return [answers[place] for place in range(len(asks))]


# -- who may be sent what ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Business:
    """What holds for all messages of a business. `why`: nothing of it is sent; `sender`: that of its settings, or why
    nothing is sent by it."""

    tenant: Tenant
    why: Why | None
    sender: Sender | Why
    reader: NumberReader


@dataclass(frozen=True, slots=True)
class _Named:
    """A message, by whom it is sent, and the number that it is for. `customer_id` 0: nobody's."""

    ask: Ask
    tenant: Tenant
    sender: Sender
    mobile: Mobile
    customer_id: int
    consent: str
    time_zone: str | None = None


async def _judge(
    tx: Tx, asks: dict[int, Ask], secrets: Secrets, texts: Verbatim, limits: Limits
) -> dict[int, Sendable | Why]:
    """Each as it may be sent, or why it may not, by its place."""
    businesses = await _businesses(tx, {ask.caller.tenant_id for ask in asks.values()}, secrets)
    senders = await _senders(tx, asks.values(), businesses)
    named: dict[int, _Named | Why] = {}
    to_customers: dict[int, tuple[Ask, Tenant, Sender]] = {}
    now = clock.now()
    for place, ask in asks.items():
        business = businesses.get(ask.caller.tenant_id)
        if business is None:
            named[place] = No.NOT_HEARD_OF
        elif business.why is not None:
            named[place] = business.why
        elif not isinstance(sender := senders.get((ask.caller.tenant_id, ask.sender), business.sender), Sender):
            named[place] = sender
        elif ask.send_by is not None and isinstance(late := judge_send_by(now, ask.send_by), Refusal):
            named[place] = late
        elif ask.to is not None:
            named[place] = _read(ask, business, sender)
        else:
            to_customers[place] = ask, business.tenant, sender
    named |= await _customers(tx, to_customers)
    # A test is nobody's message: no customer has had it, though one of them has the number.
    to_numbers = {place: one for place, one in named.items() if isinstance(one, _Named) and one.ask.to}
    named |= await _holders(tx, {place: one for place, one in to_numbers.items() if not one.ask.test})
    judged: dict[int, Sendable | Why] = {place: one for place, one in named.items() if not isinstance(one, _Named)}
    left = {place: one for place, one in named.items() if isinstance(one, _Named)}
    barred = await messages.suppressed(tx, [_by_number(one) for one in left.values()])
    tariff = await reference.tariff_now(tx)
    judged |= {
        place: _sendable(place, one, tariff, texts, secrets.link_url, suppressed=suppressed)
        for (place, one), suppressed in zip(left.items(), barred, strict=True)
    }
    sendable = {place: left[place] for place, one in judged.items() if isinstance(one, Sendable)}
    return judged | await _limited(tx, sendable, limits)


async def _businesses(tx: Tx, tenant_ids: Collection[UUID], secrets: Secrets) -> dict[UUID, _Business]:
    """Those that were heard of."""
    tenants = await reference.tenants_of(tx, tenant_ids)
    reasons = await reference.suspensions(tx, tenants)
    return {tenant_id: _business(tenant, reasons, secrets) for tenant_id, tenant in tenants.items()}


def _business(tenant: Tenant, reasons: Mapping[UUID, str], secrets: Secrets) -> _Business:
    why: Why | None = No.CLOSED if tenant.closed else None
    if why is None and (tenant.tenant_id in reasons or NIL_TENANT in reasons):
        why = Suspended(reasons)
    sender = No.SENDER_NOT_HEARD_OF if tenant.own_sender is None else _usable(tenant.own_sender)
    keyed = (secrets.hash_key, secrets.hash_generation)
    reader = NumberReader(tenant.tenant_id, tenant.country, *keyed, is_sandbox(tenant.tenant_id))
    return _Business(tenant, why, sender, reader)


def _usable(sender: Sender | None) -> Sender | Refusal:
    refused = refusal(sender)
    if refused is not None:
        return refused
    assert sender is not None, "one that a business never had is refused"
    return sender


async def _senders(
    tx: Tx, asks: Iterable[Ask], businesses: Mapping[UUID, _Business]
) -> dict[tuple[UUID, str | None], Sender | Why]:
    """The senders that are named beside that of the settings, each as it may be used or why it may not."""
    wanted = {(ask.caller.tenant_id, ask.sender) for ask in asks if ask.sender is not None}
    others = [
        (tenant_id, name)
        for tenant_id, name in wanted
        if tenant_id in businesses and looked_up(name) != looked_up(businesses[tenant_id].tenant.sender)
    ]
    found = await reference.senders_of(tx, others) if others else []
    return {one: _usable(sender) for one, sender in zip(others, found, strict=True)}


async def _limited(tx: Tx, sendable: dict[int, _Named], limits: Limits) -> dict[int, Limited]:
    """Those that are too many; the others are counted."""
    wanted = {
        place: Wanted(one.tenant, None if one.customer_id or one.ask.test else one.mobile.number, test=one.ask.test)
        for place, one in sendable.items()
    }
    over = await admit(tx, wanted, limits)
    return {
        place: Limited(Refusal(sendable[place].ask.to_field, *_why(sendable[place].tenant, one, limits)), one.until)
        for place, one in over.items()
    }


def _why(tenant: Tenant, over: Over, limits: Limits) -> tuple[str, str]:
    return why(over, tenant.clean_since, limits_of(tenant, limits))


def _read(ask: Ask, business: _Business, sender: Sender) -> _Named | Refusal:
    mobile = business.reader.read(ask.to or "")
    if isinstance(mobile, NumberRefused):
        return Refusal("to", mobile.code, mobile.message)
    return _Named(ask, business.tenant, sender, mobile, 0, consent="")


async def _holders(tx: Tx, named: dict[int, _Named]) -> dict[int, _Named]:
    """Messages to numbers, with the customers behind these."""
    found = await messages.holders(tx, [_by_number(one) for one in named.values()])
    return {
        place: _Named(one.ask, one.tenant, one.sender, one.mobile, holder.customer_id, holder.consent, holder.time_zone)
        for (place, one), holder in zip(named.items(), found, strict=True)
        if holder is not None
    }


async def _customers(tx: Tx, wanted: dict[int, tuple[Ask, Tenant, Sender]]) -> dict[int, _Named | Why]:
    asked = [ByCustomer(tenant.tenant_id, ask.customer_id) for ask, tenant, _ in wanted.values()]
    found = await messages.customers(tx, asked)
    return {place: _customer(*one, holder) for (place, one), holder in zip(wanted.items(), found, strict=True)}


def _customer(ask: Ask, tenant: Tenant, sender: Sender, holder: Holder | None) -> _Named | Why:
    if holder is None:
        return No.NO_CUSTOMER
    if holder.mobile is None:
        return Refusal("customer_id", "not_textable", "this customer has no mobile number")
    return _Named(ask, tenant, sender, holder.mobile, holder.customer_id, holder.consent, holder.time_zone)


def _by_number(one: _Named) -> ByNumber:
    """A test is not sent to who wants no marketing either."""
    return ByNumber(one.tenant.tenant_id, one.mobile.number_hash, one.ask.marketing or one.ask.test)


def _sendable(
    place: int, one: _Named, tariff: Tariff, texts: Verbatim, link_url: str, *, suppressed: bool
) -> Sendable | Refusal:
    ask = one.ask
    if suppressed:
        return Refusal(ask.to_field, "opted_out", "this number wants no such messages")
    day = clock.now().date()
    if ask.marketing and not ask.test and (without := consent_missing(one.consent, one.mobile.country, day)):
        return Refusal(ask.to_field, "no_consent", without)
    if not one.tenant.sends_to(one.mobile.country):
        return not_allowed(ask.to_field, one.mobile.country)
    text = _noticed(one, link_url) if ask.marketing and not ask.test else ask.text
    try:
        destination = tariff.of(one.sender.sender).destination(one.mobile.country)
        parts = texts.render(text, destination.reference_bits).parts
    except KeyError:
        return not_textable(ask.to_field, one.mobile.country)
    except TextRefused as refused:
        return Refusal("text", refused.code, str(refused))
    longer = too_many_parts(parts, one.tenant.parts_max)
    if longer is not None:
        return longer
    allowed = _allowed(one) if ask.marketing and not ask.test else ()
    if allowed is None:
        return Refusal("send_by", "outside_hours", "this recipient may not be texted at any hour before that")
    return Sendable(
        place,
        one.tenant.tenant_id,
        ask.caller.user_id,
        ask.kind,
        MessageClass.MARKETING if ask.marketing else MessageClass.FACTUAL,
        one.sender.sender,
        ask.send_by,
        one.customer_id,
        one.mobile,
        destination,
        text,
        allowed,
        warnings(one.sender, (one.mobile.country,)),
        ask.test,
    )


def _noticed(one: _Named, link_url: str) -> str:
    """With what marketing says by rule."""
    tenant, words = one.tenant, one.tenant.wordings.of("")
    return with_notices(one.ask.text, one.ask.text, tenant.name, one.sender.sender, words, link_url).text


def _allowed(one: _Named) -> tuple[int, ...] | None:
    """When marketing may leave; () for at any time, None for at none."""
    now, country = clock.now(), one.mobile.country
    until = one.ask.send_by or now + SEND_BY_DEFAULT
    hours = Hours(one.tenant.business, int(now.timestamp()), int(until.timestamp()))
    if not hours.matter([country]):
        return ()
    zones = one.time_zone or SEPARATOR.join(zones_of_number(one.mobile.number, country))
    return tuple(moment for span in hours.allowed(country, zones) for moment in span) or None


# -- what is stored and said ------------------------------------------------------------------------------------------


async def _store(tx: Tx, asks: Sequence[Ask], sends: Sequence[Together], secrets: Secrets) -> dict[int, Taken]:
    """Store these sends, and say them."""
    now = clock.now()
    made = [(send, _new_bulk(send, secrets, now)) for send in sends]
    parents = {one.place: asks[one.place].traceparent for send in sends for one in send.messages}
    with spans.steps("take messages", Kind.INTERNAL, parents) as following:
        # Messages of several requests are one send: it goes on in the trace of the first of them.
        contexts = {str(bulk.bulk_id): following[send.first.place] for send, bulk in made}
        with trace.follow(contexts):
            await _keep(tx, asks, made, secrets)
    return {place: one for send, bulk in made for place, one in _taken(send, bulk).items()}


async def _keep(tx: Tx, asks: Sequence[Ask], made: Sequence[tuple[Together, NewBulk]], secrets: Secrets) -> None:
    await bulks.add_all_planned(tx, [(send.first.tenant_id, bulk, _total(send)) for send, bulk in made])
    await plans.freeze(tx, [(send.first.tenant_id, bulk.bulk_id, part) for send, bulk in made for part in send.frozen])
    linked = await _linked(tx, made, secrets)
    await emit(tx, *(fact for send, bulk in linked for fact in _facts(send, bulk, asks[send.first.place].caller)))


async def _linked(
    tx: Tx, made: Sequence[tuple[Together, NewBulk]], secrets: Secrets
) -> Sequence[tuple[Together, NewBulk]]:
    """With each recipient's own link, where a text has a place for it."""
    wanted = [place for place, (send, _) in enumerate(made) if any(has_placeholder(one.text) for one in send.messages)]
    if not wanted:
        return made
    numbers = await links.number_sends(
        tx, [(made[place][0].first.tenant_id, made[place][1].bulk_id) for place in wanted]
    )
    linked, makes = list(made), Links(secrets.bulk_id_key)
    for place, number in zip(wanted, numbers, strict=True):
        send, bulk = made[place]
        own = SendLinks(makes, number)
        linked[place] = replace(send, chunks=[with_links(chunk, own) for chunk in send.chunks]), bulk
    return linked


def _new_bulk(send: Together, secrets: Secrets, now: datetime) -> NewBulk:
    first = send.first
    bulk_id = checked_uuid(secrets.bulk_id_key, first.tenant_id)
    return NewBulk(
        bulk_id,
        first.kind,
        first.message_class,
        Lane.SMALL,
        None,
        None,
        first.sender,
        send.text,
        # Where credits are short, those go that came first: nobody waits for what another has sent.
        Partial.FIRST_N if len(send.messages) > 1 else Partial.NOTHING,
        first.send_by or now + SEND_BY_DEFAULT,
        reference_base(bulk_id),
        now,
        first.by,
        send.credits,
        first.test,
    )


def _total(send: Together) -> Total:
    return Total(len(send.messages), len(send.chunks), send.parts, send.credits)


def _facts(send: Together, bulk: NewBulk, caller: Caller) -> list[Fact]:
    header = Header(
        *(caller.tenant_id, bulk.bulk_id, bulk.lane, bulk.message_class, bulk.kind, bulk.sender, bulk.partial),
        *(bulk.send_by, bulk.created_at, bulk.reference_base),
    )
    bulk_id = str(bulk.bulk_id)
    act = audit.record(caller, Act.TEST_REQUESTED if bulk.test else Act.MESSAGE_REQUESTED, bulk_id)
    return [
        events.bulk_requested(header, len(send.messages), len(send.chunks), send.credits),
        *(events.chunk_attached(header, chunk) for chunk in send.chunks),
        replace(act, traceparent=trace.of(bulk_id)),
    ]


def _taken(send: Together, bulk: NewBulk) -> dict[int, Taken]:
    costs = [cost for chunk in send.chunks for cost in zip(chunk.seqs, chunk.parts, chunk.prices, strict=True)]
    return {
        message.place: Taken(bulk.bulk_id, seq, parts, credits, bulk.send_by, message.warnings)
        for message, (seq, parts, credits) in zip(send.messages, costs, strict=True)
    }
