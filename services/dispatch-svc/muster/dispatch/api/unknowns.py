"""Messages of which nobody knows whether the carrier took them: what they hold, and the answer of who was asked."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from muster.dispatch.domain.slots import unknown_of
from muster.dispatch.events import UNKNOWN_RULE_ASK, UNKNOWN_RULE_CHARGE
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import refunds
from muster.dispatch.store.refunds import UnknownChunk
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import verify_checked
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import conflict, not_found
from muster.kit.settings import secret

router = APIRouter(prefix="/v1/bulk-sms", tags=["bulk-sms"])

Answer = Literal["charge", "release"]
_ACTS: Final[dict[Answer, Act]] = {"charge": Act.UNKNOWN_CHARGED, "release": Act.UNKNOWN_RELEASED}


class UnknownMessage(Model):
    """A message, by its place in the send, of which a carrier may have taken `parts`; `credits` are held for them."""

    seq: int
    parts: int
    credits: int
    submitted_at: datetime


class UnknownOut(Page[UnknownMessage]):
    """What is unknown of a send. `rule` is the tenant's; where it is `ask`, an `answer` is taken until the time
    `answer_until`, from which on what is still unknown is released."""

    id: UUID
    rule: Literal["charge", "release", "ask"]
    answer: Answer | None
    answer_until: datetime | None
    messages: int
    credits: int


class AnswerIn(Model):
    """Whether unknown messages are charged or their credits released, for good, and why; kept in the audit log."""

    answer: Answer
    reason: Annotated[str, Field(max_length=200)] = ""


class AnswerOut(Model):
    """The answer, and what it decides: applied within seconds."""

    id: UUID
    answer: Answer
    messages: int
    credits: int


class _Place(NamedTuple):
    chunk: UnknownChunk
    position: int
    parts: int
    credits: int


@router.get("/{bulk_id}/unknown")
async def read_unknown(
    request: Request,
    bulk_id: UUID,
    caller: Annotated[Caller, requires(Permission.READ_SENDS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> UnknownOut:
    """Messages of a send of which nobody knows whether the carrier took them, and what they hold."""
    settings = _own(request, caller, bulk_id)
    after = decode_cursor(cursor, {"chunk": int, "position": int}) if cursor else {"chunk": 0, "position": -1}
    key = (caller.tenant_id, bulk_id)
    # Each chunk has at least one: enough for a page, with the one that the page before ended in.
    found = await refunds.unknown_chunks(tx, *key, after["chunk"], limit + 2)
    waiting = [place for place in _places(found) if _at(place) > (after["chunk"], after["position"])]
    page = page_of(waiting[: limit + 1], limit, _message, lambda place: dict(zip(after, _at(place), strict=True)))
    sums = await refunds.unknowns(tx, *key, settings.dispatch_unknown_kept_s)
    rule = await refunds.unknown_rule(tx, caller.tenant_id)
    return UnknownOut(
        items=page.items,
        next_cursor=page.next_cursor,
        id=bulk_id,
        rule="ask" if rule == UNKNOWN_RULE_ASK else "charge" if rule == UNKNOWN_RULE_CHARGE else "release",
        answer=await refunds.answer(tx, *key),
        answer_until=sums.until,
        messages=sums.messages,
        credits=sums.credits,
    )


@router.post("/{bulk_id}/unknown", response_model=AnswerOut)
async def answer_unknown(
    request: Request,
    bulk_id: UUID,
    body: AnswerIn,
    caller: Annotated[Caller, requires(Permission.SEND)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Charge or release what is unknown of a send, where the tenant's rule is to ask. It stands for the whole send."""
    settings = _own(request, caller, bulk_id)

    async def make() -> tuple[int, dict[str, Any]]:
        return 200, await _answer(tx, caller, bulk_id, body, settings.dispatch_unknown_kept_s)

    return await once.answer(tx, caller, body, make)


async def _answer(tx: Tx, caller: Caller, bulk_id: UUID, body: AnswerIn, kept_s: float) -> dict[str, Any]:
    key = (caller.tenant_id, bulk_id)
    sums = await refunds.unknowns(tx, *key, kept_s)
    if await refunds.answer(tx, *key) is None:
        if await refunds.unknown_rule(tx, caller.tenant_id) != UNKNOWN_RULE_ASK:
            raise conflict("not_asked", "The rule for unknown messages is not to ask", "It decides without an answer.")
        if not sums.messages:
            raise conflict("nothing_unknown", "Nothing of this send is unknown", "There is nothing to be charged.")
        if await refunds.add_answer(tx, *key, body.answer, caller.user_id):
            await emit(tx, audit.record(caller, _ACTS[body.answer], str(bulk_id), body.reason))
    stands = await refunds.answer(tx, *key)
    if stands != body.answer:
        raise conflict("already_answered", "This was answered before", f"The answer was {stands}.", answer=stands)
    return {"id": str(bulk_id), "answer": body.answer, "messages": sums.messages, "credits": sums.credits}


def _own(request: Request, caller: Caller, bulk_id: UUID) -> DispatchSettings:
    settings: DispatchSettings = request.app.state.settings
    key = bytes.fromhex(secret(settings.bulk_id_key, "bulk_id_key"))
    if not verify_checked(key, caller.tenant_id, bulk_id):
        raise not_found("bulk-sms")
    return settings


def _places(chunks: list[UnknownChunk]) -> list[_Place]:
    return [_Place(chunk, *found) for chunk in chunks for found in unknown_of(chunk.parts, chunk.prices, chunk.slots)]


def _at(place: _Place) -> tuple[int, int]:
    return place.chunk.chunk, place.position


def _message(place: _Place) -> UnknownMessage:
    chunk = place.chunk
    seq = chunk.seq[place.position]
    return UnknownMessage(seq=seq, parts=place.parts, credits=place.credits, submitted_at=chunk.submitted_at)
