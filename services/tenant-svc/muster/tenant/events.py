"""Between the wire and the domain: the only file here that knows protobuf."""

from datetime import UTC, datetime
from uuid import UUID

from muster.events import is_sandbox, key_of_tenant
from muster.events.v1.audit_pb2 import ActRecorded
from muster.events.v1.checks_pb2 import CHECK_STATUS_OVERRIDDEN, BulkSmsChecked
from muster.events.v1.suspensions_pb2 import SuspensionChanged
from muster.events.v1.tenants_pb2 import (
    FAILED_RULE_CHARGE,
    FAILED_RULE_RELEASE,
    UNKNOWN_RULE_ASK,
    UNKNOWN_RULE_CHARGE,
    UNKNOWN_RULE_RELEASE,
    TenantChanged,
)
from muster.kit.acts import Act
from muster.kit.consumer import Poison, Received
from muster.kit.outbox import Fact
from muster.tenant.domain import Entry, FailedRule, Tenant, UnknownRule

ActHeard = Received[ActRecorded]
ChecksHeard = Received[BulkSmsChecked]
SuspensionHeard = Received[SuspensionChanged]

_RULES = {
    UnknownRule.CHARGE: UNKNOWN_RULE_CHARGE,
    UnknownRule.RELEASE: UNKNOWN_RULE_RELEASE,
    UnknownRule.ASK: UNKNOWN_RULE_ASK,
}
_FAILED_RULES = {FailedRule.CHARGE: FAILED_RULE_CHARGE, FailedRule.RELEASE: FAILED_RULE_RELEASE}


def changed(tenant: Tenant) -> Fact:
    """TenantChanged: all settings as they now are."""
    settings = tenant.settings
    message = TenantChanged(
        tenant_id=str(tenant.tenant_id),
        version=tenant.version,
        name=settings.name,
        country=settings.country,
        time_zone=settings.time_zone,
        sender=settings.sender,
        allow_sms_replies=settings.allow_sms_replies,
        reception_email=settings.reception_email,
        quiet_from_minute=settings.quiet_from_minute,
        quiet_to_minute=settings.quiet_to_minute,
        closed=settings.closed,
        unknown_rule=_RULES[settings.unknown_rule],
        at_least_once=settings.at_least_once,
        failed_rule=_FAILED_RULES[settings.failed_rule],
        parent_tenant_id=str(settings.parent_id or ""),
        sandbox=is_sandbox(tenant.tenant_id),
        suspended=settings.suspended,
        countries=settings.countries,
        customary_hours=settings.customary_hours,
        holidays=settings.holidays,
        closed_days=[day.isoformat() for day in settings.closed_days],
        parts_per_second=settings.parts_per_second,
        parts_max=settings.parts_max,
    )
    return Fact(message, key=key_of_tenant(tenant.tenant_id), subject=f"tenant/{tenant.tenant_id}")


def tenant_of(received: SuspensionHeard) -> UUID:
    """Whom a suspension is about; the nil tenant: the platform. Poison where it names nobody."""
    try:
        return UUID(received.message.tenant_id)
    except ValueError as error:
        raise Poison("a suspension of no tenant") from error


def act_of(received: Received[ActRecorded]) -> Entry:
    """An act of the audit log; Poison where it names no tenant or no act."""
    message = received.message
    if not message.act:
        raise Poison("an act without a name")
    tenant_id, at = _whose_and_when(message.tenant_id, message.at_unix_ms or received.time_unix_ms, "an act")
    return Entry(
        tenant_id=tenant_id,
        event_id=received.event_id,
        at=at,
        act=message.act,
        user_id=message.user_id,
        role=message.role,
        subject_kind=message.subject_kind,
        subject_id=message.subject_id,
        service=message.service,
        reason=message.reason,
    )


def override_of(received: ChecksHeard) -> Entry | None:
    """The act of who sent what a law blocked; None where nothing was overridden. Poison where it names no tenant."""
    message = received.message
    overridden = [f"{one.check} ({one.country})" for one in message.checks if one.status == CHECK_STATUS_OVERRIDDEN]
    if not overridden:
        return None
    at_unix_ms = message.confirmed_at_unix_ms or received.time_unix_ms
    tenant_id, at = _whose_and_when(message.tenant_id, at_unix_ms, "checks")
    return Entry(
        tenant_id=tenant_id,
        event_id=received.event_id,
        at=at,
        act=Act.CHECKS_OVERRIDDEN.value,
        user_id=message.user_id,
        role=message.role,
        subject_kind=Act.CHECKS_OVERRIDDEN.kind,
        subject_id=message.bulk_id,
        service="customer",
        reason=", ".join(overridden),
    )


def _whose_and_when(tenant_id: str, at_unix_ms: int, what: str) -> tuple[UUID, datetime]:
    try:
        return UUID(tenant_id), datetime.fromtimestamp(at_unix_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Poison(f"{what} of no tenant or of no time") from error
