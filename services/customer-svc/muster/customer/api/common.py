"""What several routes need: the tenant, who reads its numbers, and problems from refusals."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from fastapi import Request

from muster.customer.domain.customers import NumberReader
from muster.customer.domain.hours import Hours, LocalTime
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.senders import Sender, looked_up, refusal
from muster.customer.domain.sends import SEND_BY_MAX
from muster.customer.settings import CustomerSettings
from muster.customer.store import reference
from muster.customer.store.reference import Tenant
from muster.events import NIL_TENANT, is_sandbox
from muster.kit.pg import Tx
from muster.kit.problems import Problem, conflict, unavailable, unprocessable, unprocessable_all

LOOK_AGAIN_S = 0.05
_LOOK_AGAIN_LATER_S = 60


def settings_of(request: Request) -> CustomerSettings:
    """The settings of this process."""
    settings = request.app.state.settings
    assert isinstance(settings, CustomerSettings)
    return settings


async def tenant_of(request: Request, tx: Tx, tenant_id: UUID) -> Tenant:
    """The tenant's settings. A tenant that was made a moment ago is waited for; 503 if it is not heard of in time."""
    looks = settings_of(request).customer_tenant_wait_ms / 1000 / LOOK_AGAIN_S
    while True:
        tenant = await reference.tenant_of(tx, tenant_id)
        if tenant is not None:
            return tenant
        if looks <= 0:
            raise tenant_not_heard_of()
        looks -= 1
        await asyncio.sleep(LOOK_AGAIN_S)


async def sending_tenant_of(request: Request, tx: Tx, tenant_id: UUID) -> Tenant:
    """The same where something is to be sent: 409 for a business that is closed."""
    tenant = await tenant_of(request, tx, tenant_id)
    if tenant.closed:
        raise tenant_closed()
    return tenant


async def usable_sender(request: Request, tx: Tx, tenant: Tenant, sender: str) -> Sender:
    """A sender by which the tenant may send; 422 with the reason for any other. That of settings that were changed a
    moment ago is waited for; 503 if it is not heard of in time."""
    looks = settings_of(request).customer_tenant_wait_ms / 1000 / LOOK_AGAIN_S
    while True:
        found = await reference.sender_of(tx, tenant, sender)
        if found is not None or looked_up(sender) != looked_up(tenant.sender):
            break
        if looks <= 0:
            raise sender_not_heard_of()
        looks -= 1
        await asyncio.sleep(LOOK_AGAIN_S)
        tenant = await tenant_of(request, tx, tenant.tenant_id)
    refused = refusal(found)
    if found is None or refused is not None:
        assert refused is not None, "one that the tenant never had is refused"
        raise problem_of(refused)
    return found


async def refuse_suspended(tx: Tx, tenant_id: UUID) -> None:
    """Take nothing more to send: 409 for a business that is suspended, 503 while the platform is stopped."""
    reasons = await reference.suspensions(tx, [tenant_id])
    if reasons:
        raise suspended(tenant_id, reasons)


def suspended(tenant_id: UUID, reasons: Mapping[UUID, str]) -> Problem:
    """Why nothing is sent for a business, or (the nil id) for anybody."""
    if tenant_id in reasons:
        detail = f"The operator has suspended it: {reasons[tenant_id]}"
        return conflict("tenant_suspended", "Nothing is sent for this business now", detail)
    detail = f"Nothing is sent for anybody now: {reasons[NIL_TENANT]}"
    return unavailable("platform_stopped", detail, _LOOK_AGAIN_LATER_S)


def tenant_closed() -> Problem:
    """409: nothing is sent for a business that is closed."""
    return conflict("tenant_closed", "This business is closed", "Nothing is sent for it any more.")


def tenant_not_heard_of() -> Problem:
    """503: a tenant that was made a moment ago."""
    return unavailable("tenant_not_heard_of", "The settings of this tenant have not arrived here yet.")


def sender_not_heard_of() -> Problem:
    """503: it is not known yet whose the sender is that the tenant's settings name."""
    return unavailable("sender_not_heard_of", "It is not known here yet whether the business has its sender.")


def hours_of(tenant: Tenant, at: datetime, marketing: bool, local: LocalTime | None) -> Hours:  # noqa: FBT001
    """The hours that a tenant keeps to, for as long as a send that begins now may take."""
    return Hours(tenant.business, int(at.timestamp()), int((at + SEND_BY_MAX).timestamp()), marketing, local)


def reader_of(request: Request, tenant: Tenant) -> NumberReader:
    """Reads numbers as the tenant's people write them."""
    settings = settings_of(request)
    keyed = (settings.hash_key_bytes, settings.hash_generation)
    return NumberReader(tenant.tenant_id, tenant.country, *keyed, is_sandbox(tenant.tenant_id))


def problem_of(refusals: Sequence[Refusal] | Refusal) -> Problem:
    """422 that names every field at fault."""
    if isinstance(refusals, Refusal):
        return unprocessable(refusals.field, refusals.code, refusals.message, **refusals.more)
    errors = [{"field": refusal.field, "code": refusal.code, "message": refusal.message} for refusal in refusals]
    return unprocessable_all(errors)


def e164(number: int) -> str:
    """Digits as they are shown."""
    return f"+{number}"
