"""Counts what is sent, and says what is too much: see domain/limits.py. What is not counted costs nothing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from muster.customer.domain.limits import Asked, Key, Limits, Over, Scope, daily_limit, judge, keys, maxima, until
from muster.customer.domain.wall_clock import zone_of
from muster.customer.store import limits as store
from muster.customer.store.reference import Tenant
from muster.events import is_sandbox
from muster.kit import clock, metrics, observe
from muster.kit.pg import Database, Tx

log = observe.logger(__name__)

_UTC: Final = ZoneInfo("UTC")
_KEPT_H: Final = 50
_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many messages of a business. stranger: the number of one that is to a number of no customer, else None."""

    tenant: Tenant
    stranger: int | None = None
    count: int = 1
    test: bool = False


async def admit(tx: Tx, wanted: Mapping[int, Wanted], limits: Limits) -> dict[int, Over]:
    """Count these messages, in order; which of them may not go, and why. Those are not counted."""
    now = clock.now()
    asked: dict[UUID, dict[int, Asked]] = {}
    most: dict[UUID, dict[Scope, int]] = {}
    for place, one in wanted.items():
        tenant = one.tenant
        if tenant.tenant_id not in most:
            most[tenant.tenant_id] = _maxima(tenant, limits, now)
        found = keys(most[tenant.tenant_id], one.stranger, _zone(tenant), now, test=one.test)
        if found:
            asked.setdefault(tenant.tenant_id, {})[place] = Asked(found, one.count)
    if not asked:
        return {}
    return await _counted(tx, asked, most, {place: _zone(one.tenant) for place, one in wanted.items()})


async def _counted(
    tx: Tx,
    asked: Mapping[UUID, Mapping[int, Asked]],
    most: Mapping[UUID, Mapping[Scope, int]],
    zones: Mapping[int, ZoneInfo],
) -> dict[int, Over]:
    more = Counter[tuple[UUID, Key]]()
    for tenant_id, each in asked.items():
        for one in each.values():
            more.update({(tenant_id, key): one.count for key in one.keys})
    after = await store.count(tx, more)
    found: dict[int, Over] = {}
    back = Counter[tuple[UUID, Key]]()
    for tenant_id, each in asked.items():
        before = {key: after[tenant_id, key] - more[tenant_id, key] for one in each.values() for key in one.keys}
        for (place, one), full in zip(each.items(), judge([*each.values()], before, most[tenant_id]), strict=True):
            if full is not None:
                found[place] = Over(full.scope, most[tenant_id][full.scope], until(full, zones[place]))
                back.update({(tenant_id, key): one.count for key in one.keys})
                _refused(tenant_id, full.scope)
    if back:
        await store.take_back(tx, back)
    return found


def _refused(tenant_id: UUID, scope: Scope) -> None:
    if scope is Scope.DAY:
        metrics.start_refused.inc()
    elif scope is not Scope.TEST:  # which is counted with the tests
        metrics.pumping_refused.labels(scope.name.lower()).inc()
    log.warning("limit.refused", tenant_id=str(tenant_id), scope=scope.name.lower())


async def too_dense(tx: Tx, tenant: Tenant, bulk_id: UUID, recipients: int, limits: Limits) -> int | None:
    """The limit of recipients in one range that a planned send is above; None if it is not."""
    limit = limits_of(tenant, limits).plan_range
    if limit is None or recipients <= limit or await store.densest(tx, tenant.tenant_id, bulk_id) <= limit:
        return None
    metrics.pumping_refused.labels("plan").inc()
    log.warning("limit.refused", tenant_id=str(tenant.tenant_id), scope="plan")
    return limit


async def left_today(tx: Tx, tenant: Tenant, limits: Limits) -> tuple[int, int] | None:
    """The most recipients of today, and how many of them are left; None without a limit."""
    own, now = limits_of(tenant, limits), clock.now()
    limit = daily_limit(own, tenant.clean_since, now)
    if limit is None:
        return None
    [key] = keys({Scope.DAY: limit}, None, _zone(tenant), now)
    return limit, max(limit - await store.counted(tx, tenant.tenant_id, key), 0)


async def forget(db: Database) -> bool:
    """Drop counters that count no more."""
    async with db.worker() as tx:
        return await store.drop_old(tx, _KEPT_H, _AT_ONCE)


def limits_of(tenant: Tenant, limits: Limits) -> Limits:
    """Those of a business: an operator's word for it goes before the settings. A sandbox has none."""
    return Limits() if is_sandbox(tenant.tenant_id) else limits.with_own(tenant.own_limits)


def _maxima(tenant: Tenant, limits: Limits, now: datetime) -> dict[Scope, int]:
    return maxima(limits_of(tenant, limits), tenant.clean_since, now)


def _zone(tenant: Tenant) -> ZoneInfo:
    return zone_of(tenant.time_zone) or _UTC
