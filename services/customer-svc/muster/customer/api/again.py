"""/v1/bulk-sms/{id}/again: a quote for those who did not get a send."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response

from muster.customer.api.common import problem_of, sending_tenant_of, settings_of, usable_sender
from muster.customer.api.quotes import QuoteOut, give_quote
from muster.customer.api.send_out import state_of_row
from muster.customer.domain.again import Never, Sent, why_not
from muster.customer.domain.audience import Again, Audience
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.sends import SEND_BY_MAX, Phase
from muster.customer.events import MessageKind
from muster.customer.handlers.quoting import Asked
from muster.customer.handlers.texts import text_of_quote
from muster.customer.store import again, bulks, quotes, reference
from muster.kit import clock
from muster.kit.auth import Caller, Permission, Tx, requires, slow_tenant_tx
from muster.kit.http import Flag, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import verify_checked
from muster.kit.pg import Record
from muster.kit.problems import Problem, conflict, not_found, unavailable

router = APIRouter(prefix="/v1/bulk-sms")

_RETRY_S: Final = 1


class AgainIn(Model):
    """Whom: those whose message was certainly not sent, and with `failed` also those of whom a receipt says that it did
    not arrive."""

    failed: Flag = False


@router.post("/{bulk_id}/again", status_code=201, response_model=QuoteOut)
async def send_again(
    bulk_id: UUID,
    request: Request,
    caller: Annotated[Caller, requires(Permission.SEND)],
    tx: Annotated[Tx, slow_tenant_tx],
    once: Annotated[Once, idempotent],
    body: AgainIn | None = None,
) -> Response:
    """Quote a closed send again for those who certainly did not get it, to be confirmed by `POST /v1/bulk-sms`.

    Its recipients are those whose message was rejected by the carrier or stopped: nobody whose message is unknown, or
    was suppressed, whose number is another now, or who was texted since by another send of this kind. Who has opted out
    or withdrawn consent since is left out, by reason. Text, class and sender are those of the send; the price is
    today's.
    """

    async def make() -> tuple[int, Model]:
        return 201, await _again(request, tx, caller, bulk_id, failed=body is not None and body.failed)

    return await once.answer(tx, caller, body, make)


async def _again(request: Request, tx: Tx, caller: Caller, bulk_id: UUID, *, failed: bool) -> QuoteOut:
    tenant = await sending_tenant_of(request, tx, caller.tenant_id)
    known = verify_checked(settings_of(request).bulk_id_key_bytes, caller.tenant_id, bulk_id)
    bulk = await bulks.bulk_of(tx, caller.tenant_id, bulk_id) if known else None
    if bulk is None:
        raise not_found("bulk-sms")
    await _may_be(tx, caller.tenant_id, bulk)
    sender = await usable_sender(request, tx, tenant, bulk["sender"])
    quote = await quotes.quote_of(tx, caller.tenant_id, bulk["quote_id"])
    assert quote is not None, "a send to many was quoted"
    text = text_of_quote(quote)
    if isinstance(text, Refusal):
        raise problem_of(text)
    tariff = (await reference.tariff_now(tx)).of(bulk["sender"]).within(tenant.allowed)
    asked_at = clock.now()
    audience = Audience(again=Again(bulk_id, failed))
    ids = await again.recipients(tx, caller.tenant_id, Again(bulk_id, failed), tariff.reach, asked_at)
    if not ids:
        raise _nobody(bulk, failed=failed)
    asked = Asked(
        *(text, (quote.template_id, quote.template_version), audience, Audience(customer_ids=ids)),
        *(sender, tariff, bulk["message_class"]),
        *(caller.user_id, asked_at, asked_at + SEND_BY_MAX),
    )
    return await give_quote(request, tx, tenant, asked)


async def _may_be(tx: Tx, tenant_id: UUID, bulk: Record) -> None:
    """Problem unless all that is needed is known of this send, and no other of its kind is under way."""
    sent = Sent(
        state=state_of_row(bulk),
        is_bulk=bulk["kind"] == MessageKind.BULK,
        planned=bulk["phase"] == Phase.REQUESTED,
        unsent=bulk["rejected"] + bulk["stopped"],
        heard=await again.heard(tx, tenant_id, bulk["bulk_id"]),
        closed_s=_seconds_since(bulk["closed_at"]),
    )
    match why_not(sent):
        case Never.NOT_BULK:
            raise conflict("not_bulk", "This is a single message", "Send it as a new one.")
        case Never.NOT_CLOSED:
            detail = f"It is {sent.state}; what became of all of its messages is known when it is closed."
            raise conflict("not_closed", "This send is not closed", detail, state=sent.state.value)
        case Never.NEVER_PLANNED:
            raise conflict("never_planned", "Nothing of this send was planned", "It was ended before: quote it anew.")
        case Never.COMING:
            raise unavailable("outcomes_coming", "What became of its last messages is on its way here.", _RETRY_S)
    made = await again.newest(tx, tenant_id, bulk["bulk_id"])
    if made is not None and not made["closed"]:
        raise under_way(made["bulk_id"])


def under_way(bulk_id: UUID) -> Problem:
    """Another send to those who did not get it."""
    detail = "When it is closed, both can be sent again to those who did not get them."
    return conflict("again_under_way", "It is being sent again already", detail, bulk_id=str(bulk_id))


def _nobody(bulk: Record, *, failed: bool) -> Problem:
    counts: dict[str, Any] = {name: bulk[name] for name in ("rejected", "stopped", "unknown", "suppressed")}
    detail = "Nobody is left who certainly did not get it"
    detail += ", nor of whom a receipt says so." if failed else "; with `failed` those count of whom a receipt says so."
    return conflict("nobody_missed_it", "Everybody got it, or may have", detail, **counts)


def _seconds_since(at: datetime | None) -> float:
    """How long ago that was; for ever where it was not noted."""
    return (clock.now() - at).total_seconds() if at else float("inf")
