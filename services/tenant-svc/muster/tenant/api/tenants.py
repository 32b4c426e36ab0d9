"""Tenants, for the operator, and a tenant's own settings."""

from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, Field, model_validator

from muster.events import is_sandbox
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, requires, tenant_tx, tx_of_tenant
from muster.kit.desk import Desk
from muster.kit.forms import Form
from muster.kit.http import Flag, Int, Model
from muster.kit.idempotency import Once, idempotent, key_reused
from muster.kit.ids import as_uuid8, uuid7
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Tx
from muster.kit.problems import not_found
from muster.tenant import domain, events, store
from muster.tenant.api.wrong import refuse
from muster.tenant.domain import FailedRule, Settings, Tenant, UnknownRule, Wrong
from muster.text import PARTS_MAX

router = APIRouter(prefix="/v1")

_TEXT_CHARS_MAX = 1_000  # the domain says what is too long; this only bounds what it looks at

Text = Annotated[str, Field(max_length=_TEXT_CHARS_MAX)]
TimeOfDay = Annotated[
    str,
    Form("([01][0-9]|2[0-3]):[0-5][0-9]", "must be a time of the day from 00:00 to 23:59, written as 09:30"),
    Field(examples=["20:00"]),
]


_AT_LEAST_ONCE = (
    "a message that is no marketing, and of which nobody knows whether the carrier took it, is sent again, so that it "
    "may come twice; marketing never is"
)
_SANDBOX = "nothing of it ever reaches a carrier, and magic numbers work; for good, from when it is made"


class QuietHours(Model):
    """From when to when no marketing is sent, in the tenant's time zone; may go over midnight."""

    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay

    @model_validator(mode="after")
    def _last_some_time(self) -> "QuietHours":
        if self.from_ == self.to:
            raise ValueError("from and to are the same; null ends quiet hours")
        return self


Countries = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=2)]],
    Field(max_length=domain.COUNTRIES_MAX, examples=[["AU", "NZ"]]),
]
_COUNTRIES = "numbers of these countries alone are texted, * for all; none: the business's own country alone"
_COUNTRIES_MAX = "by the operator: what countries may be chosen among besides the business's own, * for all"


def _day(given: str) -> str:
    try:
        date.fromisoformat(given)
    except ValueError as error:
        raise ValueError("is no day of the calendar; write it as 2026-12-24") from error
    return given


Holidays = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=6)]],
    Field(max_length=domain.HOLIDAYS_MAX, examples=[["AU-NSW"]]),
]
ClosedDays = Annotated[
    list[
        Annotated[str, Form("[0-9]{4}-[0-9]{2}-[0-9]{2}", "must be a day, written as 2026-12-24"), AfterValidator(_day)]
    ],
    Field(max_length=domain.CLOSED_DAYS_MAX, examples=[["2026-12-24"]]),
]
_CUSTOMARY = "marketing also keeps to the hours that are usual in a recipient's country where no law asks for any"
_HOLIDAYS = "no marketing on the public holidays of these countries (AU) or parts of them (AU-NSW), by its own clock"
_CLOSED_DAYS = "no marketing on these days either, by its own clock"
PartsPerSecond = Annotated[Int, Field(ge=0, le=domain.PARTS_PER_SECOND_MAX)]
PartsMax = Annotated[Int, Field(ge=1, le=PARTS_MAX)]
_PARTS_MAX = "of how many parts a message may be: a longer one is refused when it is quoted or asked for"
_PARTS_PER_SECOND = "by the operator: parts that are sent for it a second at most, over all carriers; 0 for no limit"


class TenantIn(Model):
    """A new tenant."""

    name: Text
    country: Text
    time_zone: Text
    sender: Text
    allow_sms_replies: Flag = False
    reception_email: Text = ""
    quiet_hours: QuietHours | None = None
    unknown_rule: UnknownRule = UnknownRule.RELEASE
    failed_rule: FailedRule = FailedRule.CHARGE
    at_least_once: Flag = Field(default=False, description=_AT_LEAST_ONCE)
    countries: Countries = Field(default=[], description=_COUNTRIES)
    countries_max: Countries = Field(default=[], description=_COUNTRIES_MAX)
    customary_hours: Flag = Field(default=False, description=_CUSTOMARY)
    holidays: Holidays = Field(default=[], description=_HOLIDAYS)
    closed_days: ClosedDays = Field(default=[], description=_CLOSED_DAYS)
    parts_max: PartsMax = Field(default=PARTS_MAX, description=_PARTS_MAX)
    parts_per_second: PartsPerSecond = Field(default=0, description=_PARTS_PER_SECOND)
    sandbox: Flag = Field(default=False, description=_SANDBOX)


class SettingsChange(Model):
    """What is to change; what is left out stays. `quiet_hours: null` ends them."""

    name: Text = ""
    country: Text = ""
    time_zone: Text = ""
    sender: Text = ""
    allow_sms_replies: Flag = False
    reception_email: Text = ""
    quiet_hours: QuietHours | None = None
    unknown_rule: UnknownRule = UnknownRule.RELEASE
    failed_rule: FailedRule = FailedRule.CHARGE
    at_least_once: Flag = Field(default=False, description=_AT_LEAST_ONCE)
    countries: Countries = Field(default=[], description=_COUNTRIES)
    customary_hours: Flag = Field(default=False, description=_CUSTOMARY)
    holidays: Holidays = Field(default=[], description=_HOLIDAYS)
    closed_days: ClosedDays = Field(default=[], description=_CLOSED_DAYS)
    parts_max: PartsMax = Field(default=PARTS_MAX, description=_PARTS_MAX)


class TenantChange(SettingsChange):
    """The operator may also close a tenant or open it again, say which countries it may choose and how much it may send
    a second, and make it the sub-account of a reseller (null: none)."""

    closed: Flag = False
    countries_max: Countries = Field(default=[], description=_COUNTRIES_MAX)
    parts_per_second: PartsPerSecond = Field(default=0, description=_PARTS_PER_SECOND)
    parent_id: UUID | None = None


class TenantOut(Model):
    """A tenant and its settings."""

    id: UUID
    version: int
    name: str
    country: str
    time_zone: str
    sender: str
    allow_sms_replies: bool
    reception_email: str
    quiet_hours: QuietHours | None
    unknown_rule: UnknownRule
    failed_rule: FailedRule
    at_least_once: bool = Field(description=_AT_LEAST_ONCE)
    countries: list[str] = Field(description=_COUNTRIES)
    countries_max: list[str] = Field(description=_COUNTRIES_MAX)
    customary_hours: bool = Field(description=_CUSTOMARY)
    holidays: list[str] = Field(description=_HOLIDAYS)
    closed_days: list[date] = Field(description=_CLOSED_DAYS)
    parts_per_second: int = Field(description=_PARTS_PER_SECOND)
    parts_max: int = Field(description=_PARTS_MAX)
    closed: bool
    sandbox: bool = Field(description=_SANDBOX)
    suspended: bool = Field(description="by an operator, at /v1/ops/dispatch/tenants/{tenant_id}/suspend")
    parent_id: UUID | None
    created_at: datetime
    updated_at: datetime


@router.post("/tenants", status_code=201, response_model=TenantOut)
async def create_tenant(
    body: TenantIn,
    caller: Annotated[Caller, requires(Permission.RUN_TENANTS)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Make a tenant."""
    settings = _settings(body)
    refuse(_wrong(settings))
    # The transaction is the new tenant's own. An idempotency key names the tenant, so that a repetition finds it.
    given = uuid5(NAMESPACE_URL, f"urn:muster:tenant:{once.key}") if once.key else uuid7()
    tenant_id, other_kind = (as_uuid8(given), given) if body.sandbox else (given, as_uuid8(given))
    if once.key:
        async with begin(other_kind) as tx:
            if await store.find_tenant(tx, other_kind) is not None:
                raise key_reused()
    async with begin(tenant_id) as tx:

        async def make() -> tuple[int, TenantOut]:
            tenant = await store.add_tenant(tx, tenant_id, settings)
            act = audit.record(caller, Act.TENANT_CREATED, str(tenant_id), tenant_id=tenant_id)
            await emit(tx, events.changed(tenant), act)
            return 201, _out(tenant)

        return await once.answer(tx, caller, body, make, tenant_id=tenant_id)


@router.get("/tenants")
async def list_tenants(
    request: Request,
    _: Annotated[Caller, requires(Permission.RUN_TENANTS)],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[TenantOut]:
    """All tenants, by id."""
    after = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None

    async def work(tx: Tx) -> list[Tenant]:
        return await store.tenants(tx, after, limit + 1)

    desk: Desk = request.app.state.desk
    found = await desk.ask(work)
    return page_of(found, limit, _out, lambda tenant: {"id": tenant.tenant_id})


@router.get("/tenants/{tenant_id}")
async def read_tenant(
    tenant_id: UUID, _: Annotated[Caller, requires(Permission.RUN_TENANTS)], begin: Annotated[Begin, tx_of_tenant]
) -> TenantOut:
    """One tenant."""
    async with begin(tenant_id) as tx:
        return _out(await _found(tx, tenant_id))


@router.patch("/tenants/{tenant_id}", response_model=TenantOut)
async def change_tenant(
    tenant_id: UUID,
    body: TenantChange,
    caller: Annotated[Caller, requires(Permission.RUN_TENANTS)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Change a tenant's settings, close it or open it again, or give it a reseller, who can transfer credits to it."""
    if body.parent_id is not None:
        async with begin(body.parent_id) as tx:
            parent = await store.find_tenant(tx, body.parent_id)
        same_kind = is_sandbox(tenant_id) is is_sandbox(body.parent_id)
        wrong = domain.check_parent(tenant_id, body.parent_id, parent, same_kind=same_kind)
        refuse([wrong] if wrong else [])
    async with begin(tenant_id) as tx:
        return await once.answer(tx, caller, body, lambda: _change(tx, caller, tenant_id, body), tenant_id=tenant_id)


@router.get("/tenant")
async def read_own_tenant(
    caller: Annotated[Caller, requires(Permission.READ_SETTINGS)], tx: Annotated[Tx, tenant_tx]
) -> TenantOut:
    """The caller's own tenant."""
    return _out(await _found(tx, caller.tenant_id))


@router.patch("/tenant", response_model=TenantOut)
async def change_own_tenant(
    body: SettingsChange,
    caller: Annotated[Caller, requires(Permission.CHANGE_SETTINGS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Change the caller's own tenant's settings."""
    return await once.answer(tx, caller, body, lambda: _change(tx, caller, caller.tenant_id, body))


async def _change(tx: Tx, caller: Caller, tenant_id: UUID, body: SettingsChange) -> tuple[int, TenantOut]:
    tenant = await store.lock_tenant(tx, tenant_id)
    if tenant is None:
        raise not_found("tenant")
    settings = replace(tenant.settings, **_members(body, exclude_unset=True))
    refuse(_wrong(settings))
    if settings == tenant.settings:
        return 200, _out(tenant)
    tenant = await store.save_tenant(tx, tenant_id, settings)
    act = audit.record(caller, Act.TENANT_CHANGED, str(tenant_id), tenant_id=tenant_id)
    await emit(tx, events.changed(tenant), act)
    return 200, _out(tenant)


def _wrong(settings: Settings) -> list[Wrong]:
    days = domain.check_closed_days(settings.closed_days, clock.now().date())
    return [*domain.check_settings(settings), *([days] if days else [])]


async def _found(tx: Tx, tenant_id: UUID) -> Tenant:
    tenant = await store.find_tenant(tx, tenant_id)
    if tenant is None:
        raise not_found("tenant")
    return tenant


def _settings(body: TenantIn) -> Settings:
    members = _members(body, exclude_unset=False)
    del members["sandbox"]  # of the tenant's id
    return Settings(**members)


def _members(body: Model, *, exclude_unset: bool) -> dict[str, Any]:
    """The body's fields as the domain names them: quiet hours in minutes."""
    members = {name: getattr(body, name) for name in type(body).model_fields}
    if exclude_unset:
        members = {name: value for name, value in members.items() if name in body.model_fields_set}
    for name in ("countries", "countries_max", "holidays"):
        if name in members:
            members[name] = tuple(sorted(set(members[name])))
    if "closed_days" in members:
        members["closed_days"] = tuple(sorted({date.fromisoformat(day) for day in members["closed_days"]}))
    if "quiet_hours" in members:
        members["quiet_from_minute"], members["quiet_to_minute"] = _minutes(members.pop("quiet_hours"))
    return members


def _minutes(hours: QuietHours | None) -> tuple[int, int]:
    if hours is None:
        return domain.NO_QUIET_HOURS
    first, last = (int(time[:2]) * 60 + int(time[3:]) for time in (hours.from_, hours.to))
    return first, last


def _out(tenant: Tenant) -> TenantOut:
    settings = tenant.settings
    return TenantOut(
        id=tenant.tenant_id,
        version=tenant.version,
        name=settings.name,
        country=settings.country,
        time_zone=settings.time_zone,
        sender=settings.sender,
        allow_sms_replies=settings.allow_sms_replies,
        reception_email=settings.reception_email,
        quiet_hours=_quiet_hours(settings.quiet_from_minute, settings.quiet_to_minute),
        unknown_rule=settings.unknown_rule,
        failed_rule=settings.failed_rule,
        at_least_once=settings.at_least_once,
        countries=list(settings.countries),
        countries_max=list(settings.countries_max),
        customary_hours=settings.customary_hours,
        holidays=list(settings.holidays),
        closed_days=list(settings.closed_days),
        parts_per_second=settings.parts_per_second,
        parts_max=settings.parts_max,
        closed=settings.closed,
        sandbox=is_sandbox(tenant.tenant_id),
        suspended=settings.suspended,
        parent_id=settings.parent_id,
        created_at=tenant.created_at,
        updated_at=tenant.updated_at,
    )


def _quiet_hours(first: int, last: int) -> QuietHours | None:
    if first == last:
        return None
    hours = {"from": f"{first // 60:02}:{first % 60:02}", "to": f"{last // 60:02}:{last % 60:02}"}
    return QuietHours.model_validate(hours)
