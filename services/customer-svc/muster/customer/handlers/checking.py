"""The gate before a send: what is checked of it is signed, kept with it and said."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from muster.customer.domain.compliance import Check
from muster.customer.domain.gate import Confirmed, Override, Subject, octets_of, signed_list
from muster.customer.events import MessageClass
from muster.customer.events.checks import send_checked
from muster.customer.handlers.signing import Signer
from muster.customer.store import checks
from muster.customer.store.quotes import Quote
from muster.kit import metrics
from muster.kit.outbox import emit
from muster.kit.pg import Tx


def checks_of(quote: Quote) -> list[Check]:
    """What was checked of a quote; nothing of one of before there were checks."""
    return [Check.read(one) for one in quote.details.get("checks", ())]


def texts_of(text: str, others: Mapping[str, str]) -> list[str]:
    """The texts of a quote, in one order."""
    return [text, *(others[language] for language in sorted(others))]


async def keep(
    tx: Tx,
    tenant_id: UUID,
    bulk_id: UUID,
    quote: Quote,
    overrides: Sequence[Override],
    confirmed: Confirmed,
    key: bytes,
) -> None:
    """Sign what was checked of a new send, keep it, and say it. key: of the ids of sends."""
    made = checks_of(quote)
    subject = Subject(
        *(tenant_id, bulk_id, quote.quote_id, quote.created_at, MessageClass(quote.message_class).name.lower()),
        *(quote.sender, texts_of(quote.text, quote.others), quote.recipients, quote.credits),
    )
    signed = signed_list(subject, made, overrides, confirmed, key)
    signature = Signer(key).sign(octets_of(signed))
    await checks.add_checks(tx, tenant_id, bulk_id, signed, signature)
    ids = tenant_id, bulk_id, quote.quote_id
    await emit(tx, send_checked(ids, quote.message_class, made, confirmed, signature))
    metrics.send_checks.labels("overridden" if overrides else "passed").inc()
