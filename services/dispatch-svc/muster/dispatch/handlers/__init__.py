"""What dispatch-svc does when it hears something: load, decide, save, emit."""

from collections.abc import Mapping
from functools import partial

from muster.dispatch.handlers.credits import on_credits_refused, on_credits_reserved, on_credits_settled
from muster.dispatch.handlers.replies import on_opt_out_received, on_reply_received
from muster.dispatch.handlers.sends import (
    on_bulk_recipients_attached,
    on_bulk_sms_requested,
    on_bulk_sms_withdrawn,
)
from muster.dispatch.handlers.suppressions import on_person_erased, on_suppression_changed
from muster.dispatch.handlers.tenants import on_tenant_changed
from muster.kit.consumer.received import Handler

HANDLERS: Mapping[str, Handler] = {
    "TenantChanged": on_tenant_changed,
    "BulkSmsRequested": on_bulk_sms_requested,
    "BulkSmsWithdrawn": on_bulk_sms_withdrawn,
    "BulkRecipientsAttached": on_bulk_recipients_attached,
    "CreditsReserved": on_credits_reserved,
    "CreditsRefused": on_credits_refused,
    "CreditsSettled": on_credits_settled,
    "SuppressionChanged": on_suppression_changed,
    "PersonErased": on_person_erased,
    "ReplyReceived": on_reply_received,
    "OptOutReceived": on_opt_out_received,
}
"""The handler of each event type that dispatch-svc hears."""


def handlers_of(*, claims: bool) -> Mapping[str, Handler]:
    """The same, where settings may not claim senders unless `claims`."""
    return {**HANDLERS, "TenantChanged": partial(on_tenant_changed, claims=claims)}
