"""The HTTP API of customer-svc."""

from typing import TYPE_CHECKING

from muster.customer.api import (
    again,
    approval_rule,
    approvals,
    checks,
    closed_days,
    consents,
    customers,
    erasures,
    finding,
    frequency_cap,
    import_errors,
    imports,
    laws,
    limits,
    list_uploads,
    lists,
    merging,
    messages,
    notices,
    numbers_for_tests,
    own_fields,
    person,
    quotes,
    schedules,
    sends,
    suppression_uploads,
    suppressions,
    templates,
    tests,
    undeliverable,
    way_out,
    whys,
    withdrawals,
)
from muster.customer.handlers import facts
from muster.kit.ops import ops_router

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muster.customer.settings import CustomerSettings
    from muster.kit.consumer import Handler


def _handlers(settings: "CustomerSettings") -> "Mapping[str, Handler]":
    return facts.handlers(settings.bulk_id_key_bytes, settings.customer_start_days)


ROUTERS = (
    imports.router,  # before customers: /v1/customers/imports is no id
    finding.router,  # and its count is none either
    import_errors.router,
    customers.router,
    merging.router,
    own_fields.router,
    consents.router,
    person.router,
    erasures.router,
    suppression_uploads.router,
    undeliverable.router,
    withdrawals.router,
    suppressions.router,
    frequency_cap.router,
    notices.router,
    approval_rule.router,
    approvals.router,
    way_out.router,
    templates.router,
    list_uploads.router,  # before lists: no list is meant by it
    lists.router,
    quotes.router,
    sends.router,
    checks.router,
    whys.router,
    again.router,
    messages.router,
    tests.router,
    numbers_for_tests.router,
    schedules.router,
    closed_days.router,
    laws.router,
    limits.router,
    ops_router("customer", _handlers),
)
