"""What customers wrote: the inbox, and the conversation with one number."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, encode_cursor, page_of
from muster.kit.problems import conflict, not_found, unprocessable
from muster.kit.settings import secret
from muster.reply import handlers
from muster.reply.domain import Line, Scope, Verdict
from muster.reply.settings import ReplySettings
from muster.reply.store import inbox, sent
from muster.text import NumberRefused, number_hash, read_asked_number

router = APIRouter(prefix="/v1", tags=["replies"])

_DEFAULT_COUNTRY = "AU"
_YEAR_MIN, _YEAR_MAX = 2000, 9998
_SHOWN_MAX = 1_000  # lines of one very time


class EmailOut(Model):
    """An e-mail to the reception: due, sent or failed, and when it came to that."""

    state: Literal["due", "sent", "failed"]
    to: str
    at: datetime | None


class ReplyOut(Model):
    """A reply and the message it answers; `message_id` is null where none is found. `doubtful`: another one fits.
    `erased`: the person was erased, and number and text with them. `email`: what became of the one to the reception,
    null where none was to be sent."""

    id: UUID
    at: datetime
    number: str
    text: str
    bulk_id: UUID | None
    message_id: str | None
    verdict: Verdict
    rule: str
    doubtful: bool
    erased: bool
    email: EmailOut | None


class LineOut(Model):
    """A message of a conversation: "out" from the business, "in" from its customer."""

    at: datetime
    direction: Literal["in", "out"]
    text: str
    bulk_id: UUID | None
    message_id: str | None
    reply_id: UUID | None
    verdict: Verdict | None


class VerdictIn(Model):
    """What a person read; `scope`: how far an opt-out reaches."""

    verdict: Literal["ordinary", "opt_out"]
    scope: Literal["marketing", "all"] = "marketing"


@router.get("/replies")
async def read_replies(
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_REPLIES)],
    tx: Annotated[Tx, tenant_tx],
    verdict: Annotated[Verdict | None, Query(description="only those that were read as this")] = None,
    bulk_id: Annotated[UUID | None, Query(description="only those that answer this send")] = None,
    number: Annotated[
        str | None, Query(max_length=64, description="only those from this one, as people write it")
    ] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[ReplyOut]:
    """The inbox, newest first."""
    place = decode_cursor(cursor, {"at": _moment, "id": UUID}) if cursor else None
    before = (place["at"], place["id"]) if place else None
    number_hash = None if number is None else await _hashed(request, tx, caller.tenant_id, number)
    rows = await inbox.replies(
        tx,
        caller.tenant_id,
        verdict=verdict,
        bulk_id=bulk_id,
        number_hash=number_hash,
        before=before,
        limit=limit + 1,
    )
    return page_of(rows, limit, _reply, lambda row: {"at": row["received_at"], "id": row["inbound_id"]})


@router.get("/replies/{reply_id}")
async def read_reply(
    reply_id: UUID, caller: Annotated[Caller, requires(Permission.READ_REPLIES)], tx: Annotated[Tx, tenant_tx]
) -> ReplyOut:
    """One reply."""
    row = await inbox.reply(tx, caller.tenant_id, reply_id)
    if row is None:
        raise not_found("reply")
    return _reply(row)


@router.post("/replies/{reply_id}/verdict", response_model=ReplyOut)
async def decide_reply(
    reply_id: UUID,
    body: VerdictIn,
    caller: Annotated[Caller, requires(Permission.ANSWER_REPLIES)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Say what an unclear reply means. Its number was paused: it is texted again, or no more. Said once."""

    async def make() -> tuple[int, Model]:
        verdict = Verdict(body.verdict)
        if await handlers.decide(tx, caller.tenant_id, reply_id, verdict, Scope(body.scope)):
            await emit(tx, audit.record(caller, Act.REPLY_DECIDED, str(reply_id), body.verdict))
        row = await inbox.reply(tx, caller.tenant_id, reply_id)
        if row is None:
            raise not_found("reply")
        if row["verdict"] != verdict:
            detail = f"It was read as {row['verdict']}."
            raise conflict("reply_not_unclear", "Only an unclear reply is decided", detail, verdict=row["verdict"])
        return 200, _reply(row)

    return await once.answer(tx, caller, body, make)


@router.get("/conversations")
async def read_conversation(
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_REPLIES)],
    tx: Annotated[Tx, tenant_tx],
    number: Annotated[str, Query(max_length=64, description="E.164, or as it is written in the tenant's country")],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[LineOut]:
    """The messages to and from one number, newest first."""
    place = decode_cursor(cursor, {"until": _moment, "shown": _count}) if cursor else None
    until, shown = (place["until"], place["shown"]) if place else (clock.now() + timedelta(seconds=1), 0)
    hashed = await _hashed(request, tx, caller.tenant_id, number)
    # Chunks are searched by an index that row-level security keeps from the request's role: a worker task looks.
    before, count = until + timedelta(microseconds=1), shown + limit + 1
    ask = partial(handlers.conversation, tenant_id=caller.tenant_id, number_hash=hashed, before=before, limit=count)
    lines = (await request.app.state.desk.ask(ask))[shown:]
    more = encode_cursor(_after(lines[:limit], until, shown)) if len(lines) > limit else None
    return Page(items=[_line(line) for line in lines[:limit]], next_cursor=more)


async def _hashed(request: Request, tx: Tx, tenant_id: UUID, number: str) -> bytes:
    """The hash of a number as people of the tenant's country write it; Problem 422 for what is none."""
    settings: ReplySettings = request.app.state.settings
    tenant = (await sent.tenants(tx, [tenant_id])).get(tenant_id)
    country = tenant.country if tenant and tenant.country else _DEFAULT_COUNTRY
    key = bytes.fromhex(secret(settings.hash_key, "hash_key"))
    read = read_asked_number(number, country)
    if isinstance(read, NumberRefused):
        raise unprocessable("number", read.code, read.message)
    return number_hash(key, settings.hash_generation, tenant_id, read)


def _after(page: Sequence[Line], until: datetime, shown: int) -> dict[str, Any]:
    """The place behind a page: the time of its last line, and how many lines of that very time were shown."""
    last = page[-1].at
    return {"until": last, "shown": sum(line.at == last for line in page) + (shown if last == until else 0)}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not _YEAR_MIN <= moment.year <= _YEAR_MAX:
        raise ValueError("not a time of a list")
    return moment


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _SHOWN_MAX:
        raise ValueError("not a count")
    return value


def _message_id(bulk_id: UUID | None, seq: int | None) -> str | None:
    return None if bulk_id is None else f"{bulk_id}-{seq}"


def _reply(row: dict[str, Any]) -> ReplyOut:
    return ReplyOut(
        id=row["inbound_id"],
        at=row["received_at"],
        number=row["number"],
        text=row["text"],
        bulk_id=row["bulk_id"],
        message_id=_message_id(row["bulk_id"], row["seq"]),
        verdict=row["verdict"],
        rule=row["rule"],
        doubtful=row["doubtful"],
        erased=row["erased"],
        email=_email(row),
    )


def _email(row: dict[str, Any]) -> EmailOut | None:
    if row["email_state"] is None:
        return None
    return EmailOut(state=row["email_state"], to=row["email_to"], at=row["email_at"])


def _line(line: Line) -> LineOut:
    return LineOut(
        at=line.at,
        direction="out" if line.outgoing else "in",
        text=line.text,
        bulk_id=line.bulk_id,
        message_id=_message_id(line.bulk_id, line.seq),
        reply_id=line.inbound_id,
        verdict=line.verdict,
    )
