"""/v1/closed-days: on which days a business sends no marketing, and why."""

from datetime import date, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request

from muster.customer.api.common import tenant_of
from muster.customer.api.when import Calendar
from muster.customer.domain.calendars import named_days
from muster.customer.domain.wall_clock import wall_of
from muster.kit import clock
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.problems import unprocessable

router = APIRouter(prefix="/v1/closed-days")

_DAYS_MAX = 2 * 366
_YEAR = timedelta(days=365)


class ClosedDayOut(Model):
    """A day on which no marketing is sent: the name of the public holiday, null for a day of the business's own."""

    day: date
    name: str | None


class ClosedDaysOut(Model):
    """The days, in order, by the clock of time_zone. holidays: the calendars that they are from."""

    time_zone: str
    holidays: list[str]
    items: list[ClosedDayOut]


@router.get("")
async def closed_days(
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_SETTINGS)],
    tx: Annotated[Tx, tenant_tx],
    first: Annotated[date | None, Query(alias="from", description="today unless said")] = None,
    last: Annotated[date | None, Query(alias="until", description="the last day; a year later unless said")] = None,
    holidays: Annotated[
        list[Calendar] | None, Query(max_length=10, description="as if the business kept to these, not to its own")
    ] = None,
) -> ClosedDaysOut:
    """The days on which the business sends no marketing: its own, and public holidays."""
    tenant = await tenant_of(request, tx, caller.tenant_id)
    begin = first or wall_of(clock.now(), ZoneInfo(tenant.time_zone)).date()
    end = last or begin + min(_YEAR, date.max - begin)
    if not timedelta() <= end - begin <= timedelta(days=_DAYS_MAX):
        raise unprocessable("until", "no_span", f"is from the first day to {_DAYS_MAX} days later", limit=_DAYS_MAX)
    calendars = list(tenant.holidays) if holidays is None else holidays
    named: dict[date, str | None] = dict(named_days(calendars, begin, end))
    own = {day: None for day in tenant.closed_days if begin <= day <= end and day not in named}
    items = [ClosedDayOut(day=day, name=name) for day, name in sorted((named | own).items())]
    return ClosedDaysOut(time_zone=tenant.time_zone, holidays=calendars, items=items)
