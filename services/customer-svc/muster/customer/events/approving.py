"""Requests for approval and their decisions, as facts."""

from datetime import datetime
from uuid import UUID

from muster.customer.domain.approvals import Decision, Subject
from muster.events import key_of_tenant
from muster.events.v1.approvals_pb2 import ApprovalDecided, ApprovalRequested
from muster.kit import clock
from muster.kit.outbox import Fact
from muster.kit.pg import Record


def approval_requested(tenant_id: UUID, row: Record, name: str, email: str) -> Fact:
    """A stored request is open. name: of the schedule; email: who is written to, the reception if empty."""
    message = ApprovalRequested(
        tenant_id=str(tenant_id),
        approval_id=str(row["approval_id"]),
        subject=_subject(row),
        subject_id=str(row["subject_id"]),
        credits=row["credits"],
        recipients=row["recipients"] or 0,
        name=name,
        asked_by=row["asked_by"],
        expires_at_unix_ms=_unix_ms(row["expires_at"]),
        at_unix_ms=clock.unix_ms(),
        email=email,
    )
    return Fact(message, key_of_tenant(tenant_id), subject=str(row["approval_id"]))


def approval_decided(tenant_id: UUID, row: Record, decision: Decision, email: str) -> Fact:
    """A person has decided about a request."""
    message = ApprovalDecided(
        tenant_id=str(tenant_id),
        approval_id=str(row["approval_id"]),
        decision=f"APPROVAL_DECISION_{decision.name}",
        decided_by=row["decided_by"],
        subject=_subject(row),
        subject_id=str(row["subject_id"]),
        credits=row["credits"],
        expires_at_unix_ms=_unix_ms(row["expires_at"]),
        at_unix_ms=clock.unix_ms(),
        email=email,
    )
    return Fact(message, key_of_tenant(tenant_id), subject=str(row["approval_id"]))


def _subject(row: Record) -> str:
    """Its name on the wire."""
    return f"APPROVAL_SUBJECT_{Subject(row['subject']).name}"


def _unix_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
