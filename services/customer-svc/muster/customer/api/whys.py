"""Why did this person (not) get it? Answered from the frozen membership of a send, however long ago; and the messages
of a customer."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Query, Request

from muster.customer.api.common import e164, reader_of, settings_of, tenant_of
from muster.customer.api.send_out import state_of_row
from muster.customer.domain.audience import NOBODY, Cap, Reason
from muster.customer.domain.merge_text import MergeText
from muster.customer.domain.planning import FrozenChunk, Totals, make_chunk
from muster.customer.domain.pricing import Renderer
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.whys import Became, Judged, Sums, became, words
from muster.customer.events import MessageClass, MessageKind
from muster.customer.handlers.texts import text_of_quote
from muster.customer.store import bulks, customers, lists, merging, quotes, whys
from muster.customer.store.quotes import Quote
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.ids import verify_checked
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import not_found, unprocessable
from muster.text import NumberRefused, TextRefused

router = APIRouter(prefix="/v1")

_SHARED_MAX: Final = 50
"""Customers of one number, and customers who were merged into one, who are looked at."""
_CONSENT_REASONS: Final = (Reason.NONE, Reason.NO_CONSENT, Reason.JOINED_LATER)

CustomerId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Outcome = Literal["texted", "left_out", "not_asked", "not_planned", "erased"]
_ERASED: Final = "This person was erased: nothing of theirs is kept but the counts of the send."
_ERASED_TOO: Final = "The message to their number is forgotten: somebody who had the same number was erased."
_NOBODYS: Final = "The message was for the number, which no customer had."


class ConsentAtOut(Model):
    """The word on consent that held when the send was frozen: a version of `GET /v1/customers/{id}/consents`."""

    version: int
    of_number: bool
    kind: str
    allow_bulk_sms: bool | None
    given_at: datetime | None
    how: str
    source: str
    recorded_at: datetime


class SuppressionAtOut(Model):
    """What suppressed a number then: a version of `GET /v1/suppressions/{id}`."""

    id: str
    version: int
    scope: str
    source: str
    changed_at: datetime


class WhyOut(Model):
    """Why a customer is in a send (`texted`) or out of it (`left_out`, by `reason`), as it was judged at `frozen_at`.
    `not_asked`: the audience was not for them; `not_planned`: nothing is frozen yet; `erased`: the person is forgotten,
    or somebody who had the same number.

    why: the reason in a sentence, with its figure. consent, suppression: what that rested on. texted_customer_id: of
    those who share the number, the one for whom the message was rendered. became, with text, parts and credits: of the
    message; the report knows whether it was delivered: `GET` the path in `report`.
    """

    bulk_id: UUID
    customer_id: int | None
    outcome: Outcome
    reason: str | None
    why: str
    frozen_at: datetime | None
    consent: ConsentAtOut | None = None
    suppression: SuppressionAtOut | None = None
    texted_customer_id: int | None = None
    number: str | None = None
    text: str | None = None
    parts: int | None = None
    credits: int | None = None
    became: Became | None = None
    message_id: str | None = None
    report: str | None = None


class WhysOut(Model):
    """The same for each who has a number, the oldest first."""

    items: list[WhyOut]


class MessageOfOut(Model):
    """A send that a customer was asked for. customer_id: for whom the message was rendered, where others share the
    number. became: as far as it is known here; `report` tells whether it was delivered. reason: why they are out, with
    `left_out`."""

    bulk_id: UUID
    at: datetime
    kind: str
    message_class: str
    reason: str | None
    customer_id: int | None
    number: str | None
    text: str | None
    became: Became | None
    message_id: str | None
    report: str | None


@router.get("/bulk-sms/{bulk_id}/customers/{customer_id}")
async def why(
    bulk_id: UUID,
    customer_id: CustomerId,
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_SENDS)],
    tx: Annotated[Tx, tenant_tx],
) -> WhyOut:
    """Why a customer got a send, or did not."""
    bulk = await _bulk(request, tx, caller, bulk_id)
    known, erased = await whys.standing(tx, caller.tenant_id, customer_id)
    if erased:
        return _erased(bulk_id, customer_id)
    if not known:
        raise not_found("customer")
    return await _why(tx, await _send_of(tx, bulk), customer_id)


@router.get("/bulk-sms/{bulk_id}/customers")
async def why_number(
    bulk_id: UUID,
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_SENDS)],
    tx: Annotated[Tx, tenant_tx],
    number: Annotated[str, Query(min_length=1, max_length=64, description="as people write it")],
) -> WhysOut:
    """The same for everybody who has a number, and for the customer who was texted at it: at most 50."""
    bulk = await _bulk(request, tx, caller, bulk_id)
    mobile = reader_of(request, await tenant_of(request, tx, caller.tenant_id)).read(number)
    if isinstance(mobile, NumberRefused):
        raise unprocessable("number", mobile.code, mobile.message)
    send = await _send_of(tx, bulk)
    texted = await whys.of_number(tx, caller.tenant_id, bulk_id, mobile.number_hash)
    ids = await whys.holders(tx, caller.tenant_id, [mobile.number_hash], _SHARED_MAX)
    told = [await _why(tx, send, customer_id) for customer_id in ids]
    if texted is not None and texted["customer_id"] not in ids:
        told = [await _of_nobody_here(tx, send, texted), *told]
    return WhysOut(items=told)


@router.get("/customers/{customer_id}/messages")
async def messages_of(
    customer_id: CustomerId,
    caller: Annotated[Caller, requires(Permission.READ_SENDS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
    left_out: Annotated[bool, Query(description="also sends that they are out of")] = False,  # noqa: FBT002
) -> Page[MessageOfOut]:
    """The messages of a customer, the newest first: those that were rendered for them, and those for another who shares
    a number with them."""
    known, erased = await whys.standing(tx, caller.tenant_id, customer_id)
    if erased or not known:
        raise not_found("customer")
    before = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    row = await customers.customer_of(tx, caller.tenant_id, customer_id)
    own = [customer_id, *await merging.merged_into(tx, caller.tenant_id, customer_id, _SHARED_MAX)]
    hashes = [] if row is None else row["hashes"]
    others = [one for one in await whys.holders(tx, caller.tenant_id, hashes, _SHARED_MAX) if one not in own]
    numbers = [] if row is None else row["numbers"]
    whose = (tx, caller.tenant_id, own, others, numbers)
    rows = await whys.history(*whose, before=before, left_out=left_out, limit=limit + 1)
    shown = [(one, await _message_of(tx, caller.tenant_id, one)) for one in rows]
    return page_of(shown, limit, lambda pair: pair[1], lambda pair: {"id": pair[0]["bulk_id"]})


async def _message_of(tx: Tx, tenant_id: UUID, row: Record) -> MessageOfOut:
    bulk = await bulks.bulk_of(tx, tenant_id, row["bulk_id"])
    assert bulk is not None, "who is frozen is so for a send"
    reason = Reason(row["reason"])
    if reason is Reason.DUPLICATE_NUMBER and row["fact"]:
        row = await _others(tx, tenant_id, row["bulk_id"], row["fact"]) or row
    is_texted = row["reason"] == Reason.NONE
    quote = await quotes.quote_of(tx, tenant_id, bulk["quote_id"]) if is_texted and bulk["quote_id"] else None
    text = _text_of(quote)
    message_id = f"{row['bulk_id']}-{row['seq']}" if is_texted else None
    return MessageOfOut(
        bulk_id=row["bulk_id"],
        at=bulk["created_at"],
        kind=MessageKind(bulk["kind"]).name.lower(),
        message_class=MessageClass(bulk["message_class"]).name.lower(),
        reason=reason.word if reason not in (Reason.NONE, Reason.DUPLICATE_NUMBER) else None,
        customer_id=(row["customer_id"] or None) if is_texted else None,
        number=e164(row["number"]) if is_texted and row["number"] else None,
        text=_text(bulk, text, row) if is_texted else None,
        became=became(_sums(bulk), row["missed"]) if is_texted else None,
        message_id=message_id,
        report=message_id and f"/v1/messages/{message_id}",
    )


async def _others(tx: Tx, tenant_id: UUID, bulk_id: UUID, customer_id: int) -> Record | None:
    """The message that was rendered for another; None where they were erased since."""
    _, erased = await whys.standing(tx, tenant_id, customer_id)
    return None if erased else await whys.of_customer(tx, tenant_id, bulk_id, customer_id)


class _Send:
    """A send, with the quote, the text and the rule that it was frozen by. text: None where it is kept no longer, or
    was none for many."""

    def __init__(self, bulk: Record, quote: Quote | None, text: MergeText | None, judged: Judged) -> None:
        self.bulk, self.quote, self.text, self.judged = bulk, quote, text, judged

    @property
    def at(self) -> datetime:
        at: datetime = self.bulk["frozen_at"] or self.bulk["created_at"]
        return at


async def _send_of(tx: Tx, bulk: Record) -> _Send:
    quote = await quotes.quote_of(tx, bulk["tenant_id"], bulk["quote_id"]) if bulk["quote_id"] else None
    text = _text_of(quote)
    exclude = NOBODY if quote is None else quote.audience.exclude
    known = await lists.names_of(tx, bulk["tenant_id"], exclude.lists)
    cap = None if bulk["frequency_cap"] is None else Cap(**orjson.loads(bulk["frequency_cap"]))
    judged = Judged(exclude, [known.get(one, str(one)) for one in exclude.lists], cap)
    return _Send(bulk, quote, text, judged)


def _text_of(quote: Quote | None) -> MergeText | None:
    """The text of a quote, where it is kept still."""
    text = None if quote is None else text_of_quote(quote)
    return None if isinstance(text, Refusal) else text


async def _why(tx: Tx, send: _Send, customer_id: int) -> WhyOut:
    bulk = send.bulk
    row = await whys.of_customer(tx, bulk["tenant_id"], bulk["bulk_id"], customer_id)
    if row is not None:
        return await _told(tx, send, customer_id, row)
    frozen = bulk["recipients"] is not None
    if frozen and await whys.is_forgotten(tx, bulk["tenant_id"], bulk["bulk_id"], customer_id):
        return _erased(bulk["bulk_id"], customer_id, _ERASED_TOO)
    outcome: Outcome = "not_asked" if frozen else "not_planned"
    said = "The audience of the send was not for them." if frozen else "The send is not planned, so nobody is in it."
    at = send.at if frozen else None
    return WhyOut(
        bulk_id=bulk["bulk_id"], customer_id=customer_id, outcome=outcome, reason=None, why=said, frozen_at=at
    )


def _erased(bulk_id: UUID, customer_id: int | None, said: str = _ERASED) -> WhyOut:
    return WhyOut(bulk_id=bulk_id, customer_id=customer_id, outcome="erased", reason=None, why=said, frozen_at=None)


async def _of_nobody_here(tx: Tx, send: _Send, row: Record) -> WhyOut:
    """Who was texted at a number that they do not have any more: erased, somebody of before, or never a customer."""
    _, erased = await whys.standing(tx, send.bulk["tenant_id"], row["customer_id"])
    if erased or not row["number"]:
        return _erased(row["bulk_id"], None)
    told = await _told(tx, send, row["customer_id"], row)
    return told if row["customer_id"] else told.model_copy(update={"customer_id": None, "why": _NOBODYS})


async def _told(tx: Tx, send: _Send, customer_id: int, row: Record) -> WhyOut:
    bulk, reason = send.bulk, Reason(row["reason"])
    tenant_id, texted = bulk["tenant_id"], row["reason"] == Reason.NONE
    shared = row["fact"] if reason is Reason.DUPLICATE_NUMBER else None
    message = row if texted else None
    if shared:
        message = await _others(tx, tenant_id, bulk["bulk_id"], shared)
    consent = suppression = None
    if reason in _CONSENT_REASONS:
        consent = await whys.consent_at(tx, tenant_id, customer_id, send.at, row["number_hash"])
    if reason is Reason.OPTED_OUT:
        suppression = await whys.suppression_at(tx, tenant_id, customer_id, send.at)
    return WhyOut(
        bulk_id=bulk["bulk_id"],
        customer_id=customer_id,
        outcome="texted" if texted else "left_out",
        reason=reason.word if reason else None,
        why=words(reason, row["fact"], send.judged),
        frozen_at=send.at,
        consent=ConsentAtOut(**consent) if consent else None,
        suppression=_suppression(suppression) if suppression else None,
        texted_customer_id=shared,
        **(_message(send, message) if message else {}),
    )


def _suppression(row: Record) -> SuppressionAtOut:
    scope = "marketing" if row["scope"] == 1 else "all"
    more = {name: row[name] for name in ("version", "source", "changed_at")}
    return SuppressionAtOut(id=row["number_hash"].hex(), scope=scope, **more)


def _message(send: _Send, row: Record) -> dict[str, Any]:
    """What was sent at the number, what it took, and what became of it."""
    message_id = f"{row['bulk_id']}-{row['seq']}"
    parts, credits = _price(send, row)
    return {
        "number": e164(row["number"]) if row["number"] else None,
        "text": _text(send.bulk, send.text, row),
        "parts": parts,
        "credits": credits,
        "became": became(_sums(send.bulk), row["missed"]),
        "message_id": message_id,
        "report": f"/v1/messages/{message_id}",
    }


def _price(send: _Send, row: Record) -> tuple[int | None, int | None]:
    """Parts and credits of one message, as planned; of several with texts of their own, the report has them."""
    bulk = send.bulk
    if send.quote is None:
        return (bulk["parts"], bulk["credits"]) if bulk["recipients"] == 1 else (None, None)
    if send.text is None:
        return None, None
    place = (row["chunk"], row["country"], [row["customer_id"]], [row["number"]], [row["number_hash"]])
    frozen = FrozenChunk(*place, [row["joined"]] if row["joined"] is not None else ())
    try:
        chunk = make_chunk(Totals(), frozen, send.quote.tariff.destination(row["country"]), Renderer(send.text))
    except (TextRefused, ValueError):
        return None, None  # erased since
    return chunk.parts[0], chunk.prices[0]


def _text(bulk: Record, text: MergeText | None, row: Record) -> str | None:
    """The text of one message; None where it is kept no longer."""
    if bulk["kind"] != MessageKind.BULK:
        return row["joined"] or bulk["text"] or None
    if text is None:
        return None
    try:
        return text.render(row["joined"] or "")
    except ValueError:
        return None


def _sums(bulk: Record) -> Sums:
    counts = (bulk["accepted"], bulk["unknown"], bulk["rejected"], bulk["stopped"], bulk["suppressed"])
    return Sums(state_of_row(bulk), bulk["recipients"] or 0, *counts)


async def _bulk(request: Request, tx: Tx, caller: Caller, bulk_id: UUID) -> Record:
    known = verify_checked(settings_of(request).bulk_id_key_bytes, caller.tenant_id, bulk_id)
    bulk = await bulks.bulk_of(tx, caller.tenant_id, bulk_id) if known else None
    if bulk is None:
        raise not_found("bulk-sms")
    return bulk
