"""For the operator: how much a business may send, what it has sent lately, and another limit for it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from muster.customer.api.common import settings_of
from muster.customer.domain.limits import Scope
from muster.customer.handlers.guarding import left_today, limits_of
from muster.customer.store import limits, reference
from muster.customer.store.limits import Own
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, Tx, requires, tx_of_tenant
from muster.kit.http import Int, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.problems import not_found

router = APIRouter(prefix="/v1/ops/customer/tenants/{tenant_id}/limits", tags=["ops"])

_BUSIEST = 10
# As much as its column holds.
_LIMIT_MAX = 2**31 - 1

Operator = Annotated[Caller, requires(Permission.RUN_TENANTS)]
Limit = Annotated[Int, Field(ge=0, le=_LIMIT_MAX)]


class OwnLimits(Model):
    """What is set for one business: null as for all, 0 no limit. range_hourly and prefix_hourly: single messages of an
    hour to numbers of no customer, to a range of 1,000 and a prefix of 1,000,000 numbers; plan_range: recipients of a
    bulk send in one range; daily: recipients of a day."""

    range_hourly: Limit | None = None
    prefix_hourly: Limit | None = None
    plan_range: Limit | None = None
    daily: Limit | None = None


class LimitsIn(OwnLimits):
    """All of it anew: what is left out is as for all."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class CounterOut(Model):
    """How many messages were counted since a moment. begins: the first digits of the numbers of a range or prefix."""

    scope: str
    begins: str
    since: datetime
    messages: int


class InForce(Model):
    """The limits as they are now; null: none."""

    range_hourly: int | None
    prefix_hourly: int | None
    plan_range: int | None
    daily: int | None


class LimitsOut(Model):
    """The limits of a business. clean_since: since when nothing bad was heard of it, which its first days go by."""

    tenant_id: UUID
    clean_since: datetime
    now: InForce
    left_today: int | None
    own: OwnLimits
    reason: str
    user_id: str
    changed_at: datetime | None
    busiest: list[CounterOut]


@router.get("")
async def read_limits(
    tenant_id: UUID, request: Request, _: Operator, begin: Annotated[Begin, tx_of_tenant]
) -> LimitsOut:
    """How much a business may send, and where most of what was counted went."""
    async with begin(tenant_id) as tx:
        return await _read(request, tx, tenant_id)


@router.put("", response_model=LimitsOut)
async def set_limits(
    tenant_id: UUID,
    body: LimitsIn,
    request: Request,
    caller: Operator,
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Set other limits for one business, or with nothing but a reason those of all again."""
    async with begin(tenant_id) as tx:

        async def make() -> tuple[int, Model]:
            if await reference.tenant_of(tx, tenant_id) is None:
                raise not_found("tenant")
            given = body.model_dump(exclude={"reason"})
            await limits.set_own(tx, tenant_id, Own(**given, reason=body.reason, user_id=caller.user_id))
            act = audit.record(caller, Act.TENANT_LIMITED, str(tenant_id), body.reason, tenant_id=tenant_id)
            await emit(tx, act)
            return 200, await _read(request, tx, tenant_id)

        return await once.answer(tx, caller, body, make, tenant_id=tenant_id)


async def _read(request: Request, tx: Tx, tenant_id: UUID) -> LimitsOut:
    tenant = await reference.tenant_of(tx, tenant_id)
    if tenant is None:
        raise not_found("tenant")
    general = settings_of(request).limits
    own, now, today = await limits.own(tx, tenant_id), limits_of(tenant, general), await left_today(tx, tenant, general)
    return LimitsOut(
        tenant_id=tenant_id,
        clean_since=tenant.clean_since,
        now=InForce(
            range_hourly=now.range_hourly,
            prefix_hourly=now.prefix_hourly,
            plan_range=now.plan_range,
            daily=today and today[0],
        ),
        left_today=today and today[1],
        own=OwnLimits(
            range_hourly=own.range_hourly, prefix_hourly=own.prefix_hourly, plan_range=own.plan_range, daily=own.daily
        ),
        reason=own.reason,
        user_id=own.user_id,
        changed_at=own.changed_at,
        busiest=[
            CounterOut(
                scope=key.scope.name.lower(),
                begins="" if key.scope in (Scope.DAY, Scope.TEST) else f"+{key.digits}",
                since=key.since,
                messages=messages,
            )
            for key, messages in await limits.busiest(tx, tenant_id, _BUSIEST)
        ],
    )
