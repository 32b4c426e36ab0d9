"""What a send would cost: an audience judged and priced, whoever asks, a person or a schedule whose time has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from muster.customer.domain.advice import Case
from muster.customer.domain.audience import ORDER, Audience, Reason, left_out_by_word
from muster.customer.domain.compliance import Message, check_message
from muster.customer.domain.hours import Hours, LocalTime, suits_all, summary
from muster.customer.domain.limits import NO_LIMITS, Limits, day_over
from muster.customer.domain.merge_text import MergeText, outside_fields
from muster.customer.domain.notices import Wordings
from muster.customer.domain.pricing import Price, Renderer, price, too_many_parts
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.senders import Sender, warnings
from muster.customer.domain.spans import Span
from muster.customer.domain.tariff import Tariff
from muster.customer.events import MessageClass
from muster.customer.handlers.advising import advise
from muster.customer.handlers.approving import approval_warned
from muster.customer.handlers.audiences import understand
from muster.customer.handlers.examples import examples
from muster.customer.handlers.guarding import left_today, limits_of
from muster.customer.handlers.texts import Pin, unknown_fields
from muster.customer.handlers.wording import Worded, worded
from muster.customer.store import audience, quotes
from muster.customer.store.audience import Counted
from muster.customer.store.audience_rules import RulesSql, rules_of
from muster.customer.store.hours import hours_of_customers
from muster.customer.store.quotes import Quote
from muster.customer.store.reference import Tenant
from muster.kit.ids import uuid7
from muster.kit.pg import Tx

_DEARER_SHOWN_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be quoted: `audience` as it is kept, `judged` the same in ids where it is not a rule of its own.

    template: its id and version, where the text is one's. at: as of when; until: the last moment at which any of it may
    leave. missing_max: how many of those whom a blank merge field leaves out are named. local: at whose clock. limits:
    that a confirmation is held to. advised: whether somebody reads what could be cheaper. link_url: where links in
    messages lead.
    """

    text: MergeText
    template: Pin
    audience: Audience
    judged: Audience
    sender: Sender
    tariff: Tariff
    message_class: int
    by: str
    at: datetime
    until: datetime
    missing_max: int = 0
    local: LocalTime | None = None
    limits: Limits = NO_LIMITS
    advised: bool = False
    link_url: str = ""


async def quote_now(tx: Tx, tenant: Tenant, asked: Asked, valid: timedelta) -> Quote | Refusal:
    """A quote, stored; or what stands against it, such as that nobody is in the audience."""
    unknown = await unknown_fields(tx, tenant.tenant_id, asked.text)
    if unknown and unknown[0].field.fallback is None:
        return unknown[0].refusal
    written = asked.text
    noticed = noticed_text(tenant, asked, asked.sender.sender)
    if isinstance(noticed, Refusal):
        return noticed
    text, added = noticed
    asked = replace(asked, text=text)
    marketing = asked.message_class == MessageClass.MARKETING
    understood = await understand(tx, tenant, asked.judged, asked.at, marketing=marketing)
    if isinstance(understood, Refusal):
        return understood
    rules = await rules_of(tx, tenant.tenant_id, understood)
    counted, spans = await _counted(tx, tenant, asked, rules)
    renderer, classes = Renderer(asked.text), counted.fewer(asked.text)
    total = price(renderer, classes.priced, asked.tariff)
    if isinstance(total, Refusal):
        return total
    if not total.recipients:
        return _nobody(counted, asked, 0 if counted.customers else await _archived(tx, tenant, asked, rules))
    longer = too_many_parts(max(map(int, total.by_parts)), tenant.parts_max)
    if longer is not None:
        return longer
    waiting = _waiting(asked, counted, spans)
    details = _details(asked.text, counted, total) | {"hours": waiting, "added": added}
    details["checks"] = [one.plain() for one in check_message(_message(tenant, asked, counted, spans))]
    details["warnings"] = warnings(asked.sender, total.by_country)
    details["warnings"] += [one.warning for one in unknown]
    details["warnings"] += _abroad(counted)
    details["warnings"] += await _too_many(tx, tenant, total.recipients, asked.limits)
    details["warnings"] += await approval_warned(tx, tenant.tenant_id, total.credits, total.recipients)
    details["missing"] = await _missing(tx, tenant, asked, rules, counted)
    if asked.advised:
        details |= await examples(tx, tenant.tenant_id, asked.text, total, asked.tariff)
        by = partial(noticed_text, tenant, replace(asked, text=written))
        later_at = suits_all(spans[hours] for _, _, hours in counted.groups) if waiting else None
        case = Case(asked.text, classes.priced, asked.tariff, renderer, total, added, classes.alike)
        details["advice"] = await advise(tx, tenant, case, asked.sender.sender, by, later_at)
    quote = Quote(
        uuid7(),
        asked.text.text,
        *asked.template,
        asked.message_class,
        asked.sender.sender,
        asked.audience if asked.audience.again else understood.audience,
        counted.snapshot,
        asked.tariff,
        counted.customers,
        *(total.recipients, total.parts, total.credits),
        details,
        asked.at,
        asked.by,
        asked.at + valid,
        local=asked.local,
        style=asked.text.style,
        others={one.language: one.text for one in asked.text.variants[1:]},
    )
    await quotes.save_quote(tx, tenant.tenant_id, quote)
    return quote


def noticed_text(tenant: Tenant, asked: Asked, sender: str, words: Wordings | None = None) -> Worded | Refusal:
    """The text with what marketing by this sender says by rule, where it does not; what that is. words: in these
    instead of the business's."""
    if asked.message_class != MessageClass.MARKETING:
        return asked.text, ()
    return worded(tenant, asked.text, sender, asked.link_url, words)


async def _counted(tx: Tx, tenant: Tenant, asked: Asked, rules: RulesSql) -> tuple[Counted, Sequence[Sequence[Span]]]:
    """Who is texted and who is not, where they have hours by these, and the hours of each class of them."""
    marketing = asked.message_class == MessageClass.MARKETING
    judged = (tx, tenant.tenant_id, asked.judged, asked.text, asked.tariff.reach)
    counted = await audience.count_audience(*judged, marketing=marketing, rules=rules)
    now = int(asked.at.timestamp())
    hours = Hours(tenant.business, now, int(asked.until.timestamp()), marketing, asked.local)
    if not hours.matter(group.country for group in counted.classes):
        return counted, ()
    found = await hours_of_customers(tx, tenant.tenant_id, hours)
    counted = await audience.count_audience(*judged, marketing=marketing, hours=found, rules=rules)
    return counted, () if found.classes is None else found.classes.spans


def _waiting(asked: Asked, counted: Counted, spans: Sequence[Sequence[Span]]) -> Mapping[str, Any] | None:
    by_start = [(spans[hours][0][0], recipients) for (_, _, hours), recipients in counted.groups.items() if spans]
    return summary(int(asked.at.timestamp()), by_start)


def _message(tenant: Tenant, asked: Asked, counted: Counted, spans: Sequence[Sequence[Span]]) -> Message:
    """What is to be sent, as it is checked by the laws of its recipients' countries."""
    now, consents, waiting = asked.at.timestamp(), dict[tuple[str, str], int](), dict[str, tuple[int, int]]()
    for (country, kind, hours), recipients in counted.groups.items():
        consents[country, kind] = consents.get((country, kind), 0) + recipients
        if spans and spans[hours][0][0] > now:
            count, last = waiting.get(country, (0, 0))
            waiting[country] = count + recipients, max(last, spans[hours][0][0])
    return Message(
        asked.at.date(),
        MessageClass(asked.message_class).name.lower(),
        tenant.name,
        tuple(outside_fields(variant.text) for variant in asked.text.variants),
        asked.sender,
        consents,
        opted_out=counted.left_out.get(Reason.OPTED_OUT, 0),
        waiting=waiting,
        customary=tenant.customary_hours,
        replies=tenant.wordings.replies,
    )


async def _missing(tx: Tx, tenant: Tenant, asked: Asked, rules: RulesSql, counted: Counted) -> list[dict[str, Any]]:
    if not asked.missing_max or not counted.left_out.get(Reason.MISSING_FIELD):
        return []
    marketing, limit = asked.message_class == MessageClass.MARKETING, asked.missing_max
    judged = (tx, tenant.tenant_id, asked.judged, asked.text, asked.tariff.reach)
    return await audience.missing_rows(*judged, marketing=marketing, limit=limit, rules=rules)


async def _archived(tx: Tx, tenant: Tenant, asked: Asked, rules: RulesSql) -> int:
    """How many would be in the audience if they were not in the archive."""
    marketing, judged = asked.message_class == MessageClass.MARKETING, (asked.judged, asked.text, asked.tariff.reach)
    counted = await audience.count_audience(
        tx, tenant.tenant_id, *judged, marketing=marketing, rules=rules, archived=True
    )
    return counted.customers


async def _too_many(tx: Tx, tenant: Tenant, recipients: int, limits: Limits) -> list[dict[str, str]]:
    """That more would be texted than may be today, where it is so."""
    today = await left_today(tx, tenant, limits)
    if today is None or recipients <= today[1]:
        return []
    code, message = day_over(today[0], tenant.clean_since, limits_of(tenant, limits))
    return [{"code": code, "field": "audience", "message": f"{message}. {today[1]:,} are left of today's."}]


def _abroad(counted: Counted) -> list[dict[str, str]]:
    """That somebody is where the business does not send to, which it may not know of itself."""
    left_out = counted.left_out.get(Reason.NOT_ALLOWED, 0)
    if not left_out:
        return []
    message = (
        f"{left_out:,} left out: in countries that the business does not send to. It says to which it does with"
        " `countries` of PATCH /v1/tenant (muster tenant set --countries), of those that the operator allows."
    )
    return [{"code": "not_allowed", "field": "audience", "message": message}]


def _nobody(counted: Counted, asked: Asked, archived: int) -> Refusal:
    figures = {"customers": counted.customers, "left_out": left_out_by_word(counted.left_out), "archived": archived}
    waiting = counted.left_out.get(Reason.OUTSIDE_HOURS)
    if waiting:
        until = asked.until.isoformat(timespec="minutes")
        who = f"the {waiting} who would be texted have no hour for it before {until}"
        return Refusal("audience", "outside_hours", who, figures)
    by_reason = [f"{one.word.replace('_', ' ')}: {counted.left_out[one]:,}" for one in ORDER if one in counted.left_out]
    left_out = f"all {counted.customers:,} customers in it are left out ({', '.join(by_reason)})"
    empty = f"nobody is in it but {archived:,} in the archive" if archived else "nobody is in it"
    who = left_out if counted.customers else empty
    return Refusal("audience", "audience_empty", who, figures)


def _details(text: MergeText, counted: Counted, total: Price) -> dict[str, Any]:
    dearer = [
        {"position": d.position, "text": d.text, "name": d.name, "reason": d.reason, "replacement": d.replacement}
        for d in text.dearer[:_DEARER_SHOWN_MAX]
    ]
    return {
        "left_out": left_out_by_word(counted.left_out),
        "by_encoding": total.by_encoding,
        "by_parts": total.by_parts,
        "by_country": total.by_country,
        "by_language": _by_language(text, counted),
        "dearer": dearer,
    }


def _by_language(text: MergeText, counted: Counted) -> dict[str, int]:
    """How many recipients get the text in which language, where it has several."""
    found: dict[str, int] = {}
    for group in counted.classes if len(text.variants) > 1 else ():
        language = text.variants[text.variant_of(group.joined)].language
        found[language] = found.get(language, 0) + group.recipients
    return found
