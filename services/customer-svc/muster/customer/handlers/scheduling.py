"""A start of a schedule: when the next one is, and how one becomes a send."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from muster.customer import events
from muster.customer.domain.approvals import Needed
from muster.customer.domain.hours import LocalTime, first_moment
from muster.customer.domain.limits import NO_LIMITS, Limits
from muster.customer.domain.recurrence import Start, next_start
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.schedules import Above, Outcome, Verdict, judge_price, judge_start, waited
from muster.customer.domain.senders import Sender, looked_up, refusal
from muster.customer.domain.sends import SEND_BY_MAX, Problem
from muster.customer.domain.wall_clock import instant_of, zone_of
from muster.customer.handlers.approving import bound_to
from muster.customer.handlers.quoting import Asked, quote_now
from muster.customer.handlers.requesting import Terms, request_send
from muster.customer.handlers.texts import text_of_schedule
from muster.customer.store import bulks, reference, schedules
from muster.customer.store.hours import zones_of_customers
from muster.customer.store.quotes import Quote
from muster.customer.store.reference import Tenant
from muster.customer.store.schedules import Schedule
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Caller, Role
from muster.kit.outbox import emit
from muster.kit.pg import Record, Tx

_QUOTE_VALID: Final = timedelta(hours=1)
_LAST_ZONE: Final = timedelta(hours=12)
"""How far the last clocks on earth are behind UTC."""


@dataclass(frozen=True, slots=True)
class Started:
    """What became of a start. credits: what it costs, where that is known."""

    verdict: Verdict
    bulk_id: UUID | None = None
    credits: int | None = None


async def following(tx: Tx, tenant_id: UUID, schedule: Schedule, zone: ZoneInfo, now: datetime) -> Start | None:
    """The next start later than now, and than all of which something was decided already."""
    wall, at = await schedules.last_start(tx, tenant_id, schedule.schedule_id)
    later_than = now if at is None or schedule.local_time else max(now, at)
    return await begun(tx, tenant_id, schedule, next_start(schedule.rule, zone, wall, later_than), now)


async def begun(tx: Tx, tenant_id: UUID, schedule: Schedule, start: Start | None, now: datetime) -> Start | None:
    """A start with the moment at which it is to be made: where it comes at each recipient's own time, when the first of
    the tenant's customers are there, though not in the past."""
    tenant = await reference.tenant_of(tx, tenant_id)
    if not schedule.local_time or start is None or tenant is None:
        return start
    found = await zones_of_customers(tx, tenant_id, None)
    first = first_moment(LocalTime(start.wall), found, tenant.time_zone)
    return start if first is None else start._replace(at=max(now, datetime.fromtimestamp(first, UTC)))


def _due(schedule: Schedule) -> datetime:
    """The time that a start must not be late for: by the schedule's own clock, where others may be there before it."""
    assert schedule.next_at is not None, "it is due"
    assert schedule.next_wall is not None, "it is due"
    zone = zone_of(schedule.time_zone) if schedule.local_time else None
    instant = instant_of(schedule.next_wall, zone) if zone else None
    return max(schedule.next_at, instant.at) if instant else schedule.next_at


async def start(
    tx: Tx,
    tenant_id: UUID,
    schedule: Schedule,
    key: bytes,
    now: datetime,
    link_url: str,
    limits: Limits = NO_LIMITS,
) -> Started | None:
    """Make a start whose time has come; None where it waits: its tenant or the platform is stopped, or it is not
    known yet whether the tenant has its sender."""
    tenant = await reference.tenant_of(tx, tenant_id)
    late_max = timedelta(minutes=schedule.late_max_min)
    verdict = judge_start(_due(schedule), now, late_max, closed=tenant is None or tenant.closed)
    if tenant is None:
        return Started(verdict or Verdict(Outcome.NOT_POSSIBLE))
    stopped = await reference.suspensions(tx, [tenant_id])
    if verdict is not None:
        late = verdict.outcome is Outcome.MISSED and stopped
        return Started(waited(verdict, "; ".join(stopped.values())) if late else verdict)
    if stopped:
        return None
    sender = schedule.sender or tenant.sender
    own = await reference.sender_of(tx, tenant, sender)
    if own is None and looked_up(sender) == looked_up(tenant.sender):
        return None  # the settings were changed a moment ago
    refused = refusal(own)
    if own is None or refused is not None:
        assert refused is not None, "one that the tenant never had is refused"
        return Started(Verdict(Outcome.NOT_POSSIBLE, refused.code, f"{refused.field}: {refused.message}"))
    quote = await _quoted(tx, tenant, schedule, own, now, link_url)
    if isinstance(quote, Refusal):
        return Started(Verdict(Outcome.NOT_POSSIBLE, quote.code, f"{quote.field}: {quote.message}"))
    above = judge_price(quote.credits, schedule.credits_max, schedule.above)
    if above is not None:
        return Started(above, credits=quote.credits)
    bulk_id = await _request(tx, tenant, schedule, key, quote, limits)
    if isinstance(bulk_id, Needed):
        why = f"{bulk_id.message[:1].upper()}{bulk_id.message[1:]}."
        return Started(Verdict(Outcome.NOT_POSSIBLE, "approval_needed", why), credits=quote.credits)
    if isinstance(bulk_id, Refusal):
        return Started(
            Verdict(Outcome.NOT_POSSIBLE, bulk_id.code, f"{bulk_id.message.rstrip('.')}."), credits=quote.credits
        )
    return Started(Verdict(Outcome.STARTED), bulk_id, quote.credits)


async def tell(tx: Tx, tenant_id: UUID, schedule: Schedule, started: Started, now: datetime) -> None:
    """Say what became of the start that was next."""
    assert schedule.next_wall is not None, "it was due"
    assert schedule.next_at is not None, "it was due"
    which = schedule.schedule_id, schedule.name, schedule.time_zone
    place, (bulk_id, credits) = (schedule.next_wall, schedule.next_at), (started.bulk_id, started.credits)
    fact = events.start_decided(tenant_id, which, place, started.verdict, now, bulk_id=bulk_id, credits=credits)
    await emit(tx, fact)


async def tell_refused(tx: Tx, bulk: Record, problem: Problem) -> None:
    """Say that a start's send was refused, if this is one (worker)."""
    if bulk["schedule_id"] is None:
        return
    tenant_id, schedule_id, wall = bulk["tenant_id"], bulk["schedule_id"], bulk["schedule_wall"]
    schedule = await schedules.schedule_of(tx, tenant_id, schedule_id)
    zone = zone_of(schedule.time_zone) if schedule else None
    instant = instant_of(wall, zone) if zone else None
    if schedule is None:
        return
    verdict = Verdict(Outcome.REFUSED, problem["code"], f"{problem['title']}. {problem['detail']}")
    which, now = (schedule_id, schedule.name, schedule.time_zone), clock.now()
    place, (bulk_id, credits) = (wall, instant.at if instant else now), (bulk["bulk_id"], bulk["credits"])
    fact = events.start_decided(tenant_id, which, place, verdict, now, bulk_id=bulk_id, credits=credits)
    await emit(tx, fact)


async def _quoted(
    tx: Tx, tenant: Tenant, schedule: Schedule, sender: Sender, now: datetime, link_url: str
) -> Quote | Refusal:
    assert schedule.next_wall is not None, "it is due"
    text = await text_of_schedule(tx, tenant, schedule)
    if isinstance(text, Refusal):
        return text
    template, audience = (schedule.template_id, schedule.template_version), schedule.audience
    tariff = (await reference.tariff_now(tx)).of(sender.sender).within(tenant.allowed)
    asked = Asked(
        *(text, template, audience, audience, sender, tariff, schedule.message_class, schedule.changed_by),
        *(now, _send_by(schedule, now)),
        local=LocalTime(schedule.next_wall, schedule.send_within_min) if schedule.local_time else None,
        link_url=link_url,
    )
    return await quote_now(tx, tenant, asked, _QUOTE_VALID)


def _send_by(schedule: Schedule, now: datetime) -> datetime:
    """When nothing more of a start leaves; at local times: when the last clocks on earth have shown that."""
    assert schedule.next_at is not None, "it is due"
    assert schedule.next_wall is not None, "it is due"
    within = timedelta(minutes=schedule.send_within_min)
    if not schedule.local_time:
        return schedule.next_at + within
    return min(schedule.next_wall.replace(tzinfo=UTC) + _LAST_ZONE + within, now + SEND_BY_MAX)


async def _request(
    tx: Tx, tenant: Tenant, schedule: Schedule, key: bytes, quote: Quote, limits: Limits
) -> UUID | Refusal | Needed:
    tenant_id = tenant.tenant_id
    terms = Terms(
        *(schedule.partial, _send_by(schedule, quote.created_at), schedule.changed_by, schedule.changed_role),
        *(schedule.credits_max, bound_to(schedule)),
        schedule_id=schedule.schedule_id,
    )
    bulk_id = await request_send(tx, tenant, key, quote, terms, limits)
    if not isinstance(bulk_id, UUID):
        return bulk_id
    assert schedule.next_wall is not None, "it is due"
    await bulks.set_schedule(tx, tenant_id, bulk_id, schedule.schedule_id, schedule.next_wall)
    if schedule.above is Above.FIRST_N:
        await bulks.cap_credits(tx, tenant_id, bulk_id, schedule.credits_max)
    # Who answers for it is who said last what this schedule does.
    caller = Caller(tenant_id, schedule.changed_by, Role(schedule.changed_role), "")
    reason = f"schedule {schedule.schedule_id}"
    await emit(tx, audit.record(caller, Act.BULK_REQUESTED, str(bulk_id), reason))
    return bulk_id
