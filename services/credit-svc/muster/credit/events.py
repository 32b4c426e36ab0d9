"""Between the wire and the domain: the only file here that knows protobuf."""

from functools import lru_cache
from typing import TypeAlias
from uuid import UUID

from muster.credit.domain.account import CREDITS_MAX, Entry, Kind, Tenant
from muster.credit.domain.rates import Rate
from muster.credit.domain.reservations import Answer, Partial, Request, Reservation, Totals
from muster.credit.domain.watch import Low
from muster.events import NIL_TENANT, key_of_tenant
from muster.events.v1.bulk_pb2 import PARTIAL_RULE_FIRST_N, BulkSmsAccounted, BulkSmsRequested
from muster.events.v1.credits_pb2 import (
    AutomaticTopUpFailed,
    CreditsLow,
    CreditsRefused,
    CreditsReserved,
    CreditsSettled,
    CreditsToppedUp,
)
from muster.events.v1.platform_pb2 import RatesChanged
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit.consumer import Poison, Received
from muster.kit.ids import parse_uuid
from muster.kit.outbox import Fact

RequestHeard: TypeAlias = Received[BulkSmsRequested]
TotalsHeard: TypeAlias = Received[BulkSmsAccounted]
TenantHeard: TypeAlias = Received[TenantChanged]

HEARD = ("tenants", "bulk-sms", "bulk-progress")
"""The topics that this service reads."""


def request_of(received: RequestHeard) -> Request:
    """A send's request for credits; Poison where ids or the amount cannot be."""
    message = received.message
    if not 0 <= message.credits <= CREDITS_MAX or not 0 <= message.credits_max <= CREDITS_MAX:
        raise Poison("credits out of range")
    return Request(
        tenant_id=_uuid(message.tenant_id),
        bulk_id=_uuid(message.bulk_id),
        credits=message.credits,
        send_by_ms=message.send_by_unix_ms,
        partial=Partial.FIRST_N if message.partial == PARTIAL_RULE_FIRST_N else Partial.NOTHING,
        credits_max=message.credits_max,
    )


def totals_of(received: TotalsHeard) -> Totals:
    """A send's running totals; Poison where ids or amounts cannot be. What is held follows from the rest."""
    message = received.message
    if min(message.used, message.released, message.refunded) < 0 or message.version == 0:
        raise Poison("totals out of range")
    return Totals(
        tenant_id=_uuid(message.tenant_id),
        bulk_id=_uuid(message.bulk_id),
        version=message.version,
        used=message.used,
        released=message.released,
        refunded=message.refunded,
        closed=message.closed,
    )


def tenant_of(received: TenantHeard) -> Tenant:
    """What of a tenant decides about its credits."""
    message = received.message
    return Tenant(
        tenant_id=_uuid(message.tenant_id),
        version=message.version,
        closed=message.closed,
        time_zone=message.time_zone,
        parent_id=_uuid(message.parent_tenant_id) if message.parent_tenant_id else None,
    )


def answered(row: Reservation, causation: UUID) -> Fact:
    """What a request for credits is answered: CreditsReserved or CreditsRefused."""
    message: CreditsReserved | CreditsRefused
    if row.answer is Answer.RESERVED:
        message = CreditsReserved(credits=row.reserved, send_by_unix_ms=row.send_by_ms)
    else:
        message = CreditsRefused(shortfall=row.shortfall, reason=row.reason)
    message.tenant_id, message.bulk_id, message.asked = str(row.tenant_id), str(row.bulk_id), row.asked
    message.available, message.account_version = row.answered_available, row.answered_version
    return _of_bulk(message, row, causation)


def settled(row: Reservation, causation: UUID) -> Fact:
    """The totals that stand for a send."""
    message = CreditsSettled(
        tenant_id=str(row.tenant_id),
        bulk_id=str(row.bulk_id),
        version=row.version,
        used=row.used,
        released=row.released,
        held=row.held,
        refunded=row.refunded,
        closed=row.closed,
        account_version=row.settled_version,
        available=row.settled_available,
    )
    return _of_bulk(message, row, causation)


def topped_up(top_up_id: UUID, entry: Entry) -> Fact:
    """A grant or what was transferred here; its reversal and what was transferred from here as negative ones."""
    left = entry.account
    message = CreditsToppedUp(
        tenant_id=str(left.tenant_id),
        top_up_id=str(top_up_id),
        credits=-entry.credits if entry.kind in (Kind.REVERSAL, Kind.TRANSFER_OUT) else entry.credits,
        available=left.available,
        account_version=left.version,
        source=entry.kind,
    )
    return Fact(message, key_of_tenant(left.tenant_id))


def low(found: Low) -> Fact:
    """What is available fell below the tenant's threshold."""
    message = CreditsLow(
        tenant_id=str(found.tenant_id),
        threshold=found.threshold,
        available=found.available,
        account_version=found.account_version,
    )
    return Fact(message, key_of_tenant(found.tenant_id))


def top_up_failed(tenant_id: UUID, charge_id: UUID, amount: int, currency: str, reason: str) -> Fact:
    """An automatic top-up came to nothing."""
    message = AutomaticTopUpFailed(
        tenant_id=str(tenant_id), charge_id=str(charge_id), amount=amount, currency=currency, reason=reason
    )
    return Fact(message, key_of_tenant(tenant_id))


def rate_changed(rate: Rate) -> Fact:
    """The rate in force of a country."""
    message = RatesChanged(
        tenant_id=str(NIL_TENANT),
        country=rate.country,
        version=rate.version,
        credits_per_part=rate.credits_per_part,
        valid_from_unix_ms=round(rate.valid_from.timestamp() * 1000),
    )
    return Fact(message, rate.country.encode())


def _of_bulk(message: CreditsReserved | CreditsRefused | CreditsSettled, row: Reservation, causation: UUID) -> Fact:
    return Fact(message, key_of_tenant(row.tenant_id), correlation=message.bulk_id, causation=str(causation))


@lru_cache(maxsize=10_000)
def _uuid(text: str) -> UUID:
    try:
        return parse_uuid(text)
    except ValueError as error:
        raise Poison("an id is not a UUID") from error
