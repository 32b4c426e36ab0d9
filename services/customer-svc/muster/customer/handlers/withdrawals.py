"""Withdrawals that wait: by when each must be applied, applying one, and how many are late."""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from muster.customer.domain import calendars
from muster.customer.domain.deadlines import calendars_of, due_on, rule_of
from muster.customer.store import withdrawals
from muster.customer.store.reference import Tenant
from muster.kit import metrics
from muster.kit.pg import Database

_DAY = timedelta(days=1)


def deadline(tenant: Tenant, received_at: datetime) -> tuple[date, datetime, str]:
    """The last day for a withdrawal that came at a moment, by the clock and calendar of the business; when that day has
    ended; and the law."""
    zone = ZoneInfo(tenant.time_zone)
    day = received_at.astimezone(zone).date()
    rule = rule_of(tenant.country, day)
    names = calendars_of(tenant.country, tenant.holidays)

    def holidays(first: date, last: date) -> Collection[date]:
        return calendars.named_days(names, first, last)

    last_day = due_on(day, rule, holidays)
    return last_day, datetime.combine(last_day + _DAY, time(), zone), rule.law


async def measure(db: Database) -> None:
    """Say how many withdrawals wait, and how many are late."""
    async with db.worker() as tx:
        row = await withdrawals.waiting(tx)
    for state in ("waiting", "due", "overdue"):
        metrics.withdrawals_waiting.labels(state).set(row[state])
