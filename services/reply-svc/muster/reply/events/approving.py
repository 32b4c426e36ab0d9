"""What is told of requests for approval and their decisions."""

from collections.abc import Mapping
from typing import Final, TypeAlias
from uuid import uuid5

from muster.events.v1.approvals_pb2 import (
    APPROVAL_DECISION_APPROVED,
    APPROVAL_DECISION_REFUSED,
    APPROVAL_SUBJECT_SCHEDULE,
    APPROVAL_SUBJECT_SEND,
    ApprovalDecided,
    ApprovalRequested,
    ApprovalSubject,
)
from muster.kit.consumer import Received
from muster.reply.domain import Notice, NoticeKind
from muster.reply.events import moment, uuid_of

ApprovalAskedHeard: TypeAlias = Received[ApprovalRequested]
ApprovalDecidedHeard: TypeAlias = Received[ApprovalDecided]


def approval_asked_of(received: ApprovalAskedHeard) -> Notice:
    """What is told of a request for approval, which its id names."""
    message = received.message
    approval_id, what = uuid_of(message.approval_id), _WHAT.get(message.subject, "A send")
    named = f' "{message.name}"' if message.name else ""
    to = f" to {message.recipients:,} recipients" if message.recipients else ""
    each = " at each start" if message.subject == APPROVAL_SUBJECT_SCHEDULE else ""
    until = f"{moment(message.expires_at_unix_ms):%Y-%m-%d %H:%M}"
    told = (
        f"{what}{named}{to} for up to {message.credits:,} credits{each} waits for an approval, until {until} (UTC).\n\n"
        f"The request is {approval_id}, by the user {message.asked_by}."
    )
    return _approval(received, NoticeKind.APPROVAL_ASKED, told)


def approval_decided_of(received: ApprovalDecidedHeard) -> Notice | None:
    """What is told of a decision; None of a request that was withdrawn by the one who made it."""
    message = received.message
    words = _DECIDED.get(message.decision)
    if words is None:
        return None
    more = (
        f" It can be sent until {moment(message.expires_at_unix_ms):%Y-%m-%d %H:%M} (UTC)."
        if message.decision == APPROVAL_DECISION_APPROVED
        else ""
    )
    told = (
        f"{_WHAT.get(message.subject, 'A send')} for up to {message.credits:,} credits was {words} by the user "
        f"{message.decided_by}.{more}\n\nThe request is {uuid_of(message.approval_id)}."
    )
    return _approval(received, NoticeKind.APPROVAL_DECIDED, told)


def _approval(received: ApprovalAskedHeard | ApprovalDecidedHeard, kind: NoticeKind, told: str) -> Notice:
    message, tenant = received.message, uuid_of(received.message.tenant_id)
    return Notice(
        tenant_id=tenant,
        letter_id=uuid5(tenant, f"{kind}/{message.approval_id}"),
        kind=kind,
        since=moment(received.time_unix_ms),
        recipient=message.email,
        reason=told.replace("\0", ""),
    )


_WHAT: Final[Mapping[ApprovalSubject, str]] = {
    APPROVAL_SUBJECT_SEND: "A send that came to cost more than was agreed",
    APPROVAL_SUBJECT_SCHEDULE: "A schedule",
}
_DECIDED: Final = {APPROVAL_DECISION_APPROVED: "approved", APPROVAL_DECISION_REFUSED: "refused"}
