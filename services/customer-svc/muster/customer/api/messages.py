"""POST /v1/messages: one message, to one number or customer. Status by id is report-svc's."""

import asyncio
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import Field, TypeAdapter, ValidationError

from muster.customer.api.common import (
    LOOK_AGAIN_S,
    problem_of,
    sender_not_heard_of,
    settings_of,
    suspended,
    tenant_closed,
    tenant_not_heard_of,
)
from muster.customer.api.quotes import WarningOut
from muster.customer.domain.pricing import unusable
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.sends import judge_send_by
from muster.customer.events import MessageKind
from muster.customer.gatherer import Gatherer
from muster.customer.handlers.messages import Answer, Ask, Limited, No, Suspended, Taken
from muster.kit import clock
from muster.kit.auth import SENDERS, Caller, requires
from muster.kit.direct import DirectRoute, documented, read_body
from muster.kit.http import Int, Model, Moment
from muster.kit.idempotency import Claim, Stored, check_key, replay
from muster.kit.problems import Problem, not_found, unprocessable

router = APIRouter(prefix="/v1", route_class=DirectRoute)

_ROUTE: Final = "POST /v1/messages"
_NOT_YET: Final = (No.NOT_HEARD_OF, No.SENDER_NOT_HEARD_OF)
_KINDS: Final = {"single": MessageKind.SINGLE, "reminder": MessageKind.REMINDER}
_MOMENT: Final[TypeAdapter[datetime]] = TypeAdapter(Moment)

ClassWord = Literal["marketing", "factual"]
KindWord = Literal["single", "reminder"]


class MessageIn(Model):
    """One message, to a number as people write it or to a customer. The text is taken as it stands."""

    to: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    customer_id: Annotated[Int, Field(ge=1)] | None = None
    text: str
    message_class: Annotated[ClassWord, Field(alias="class")] = "factual"
    kind: KindWord = "single"
    send_by: Moment | None = None


class _Quick(msgspec.Struct, forbid_unknown_fields=True):
    """The same for who writes it well, read in a fiftieth of the time; what this refuses `MessageIn` judges."""

    text: str
    to: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    customer_id: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | None = None
    message_class: ClassWord = msgspec.field(default="factual", name="class")
    kind: KindWord = "single"
    send_by: str | None = None


_QUICK: Final = msgspec.json.Decoder(_Quick)


class MessageOut(Model):
    """A message that was taken, and until when it may leave. id: as in the report, where it shows what became of it;
    warnings: as a quote gives them."""

    id: str
    bulk_id: UUID
    state: str
    parts: int
    credits: int
    send_by: datetime
    warnings: tuple[WarningOut, ...] = ()


@router.post("/messages", status_code=202, response_model=MessageOut, openapi_extra=documented(MessageIn))
async def send_message(request: Request, caller: Annotated[Caller, requires(*SENDERS)]) -> Response:
    """Send one message. `send_by`: when it is too late to send it; a day from now by default, at most 30.

    Marketing needs a customer who consents to it. What arrives within a few milliseconds is taken together, which
    nobody notices: each has its own id, and its own answer.
    """
    raw = await request.body()
    try:
        body = _QUICK.decode(raw)
        send_by = _MOMENT.validate_python(body.send_by) if body.send_by is not None else None
    except (msgspec.MsgspecError, UnicodeDecodeError, ValidationError):
        read = read_body(MessageIn, request, raw)
        send_by = read.send_by
        body = _Quick(read.text, read.to, read.customer_id, read.message_class, read.kind)
    ask = _ask(request, caller, body, send_by)
    answer = await _answered(request, ask)
    if isinstance(answer, Taken):
        return Response(answer.document, 202, media_type="application/json")
    if isinstance(answer, Stored):
        assert ask.claim is not None, "what was stored was stored under a key"
        return replay(answer, ask.claim.digest)
    raise _problem(answer, caller)


def _ask(request: Request, caller: Caller, body: _Quick, send_by: datetime | None) -> Ask:
    """What is asked for; a Problem for what cannot be, whoever it is for."""
    if (body.to is None) == (body.customer_id is None):
        raise unprocessable("to", "to_or_customer", "give a number or a customer_id, one of them")
    if "\0" in body.text:  # the database would refuse it, and for a moment the messages beside it
        raise unprocessable("text", "not_storable", "holds a character that cannot be stored (NUL)")
    refusal = judge_send_by(clock.now(), send_by) if send_by is not None else None
    for found in (refusal, unusable(body.text)):
        if isinstance(found, Refusal):
            raise problem_of(found)
    return Ask(
        caller,
        body.to,
        body.customer_id or 0,
        body.text,
        body.message_class == "marketing",
        _KINDS[body.kind],
        send_by,
        _claim(request, caller, body, send_by),
    )


def _claim(request: Request, caller: Caller, body: _Quick, send_by: datetime | None) -> Claim | None:
    key = request.headers.get("idempotency-key")
    check_key(key)
    if key is None:
        return None
    members = (
        request.scope["query_string"],
        body.to,
        body.customer_id,
        body.text,
        body.message_class,
        body.kind,
        send_by,
    )
    return Claim(caller.tenant_id, _ROUTE, key, sha256(repr(members).encode()).digest())


async def _answered(request: Request, ask: Ask) -> Answer:
    """The committed answer. A tenant that was made or changed a moment ago is waited for."""
    gatherer: Gatherer = request.app.state.gatherer
    looks = settings_of(request).customer_tenant_wait_ms / 1000 / LOOK_AGAIN_S
    while (answer := await gatherer.ask(ask)) in _NOT_YET and looks > 0:
        looks -= 1
        await asyncio.sleep(LOOK_AGAIN_S)
    return answer


def _problem(answer: Refusal | No | Suspended | Limited, caller: Caller) -> Problem:
    if isinstance(answer, Refusal):
        return problem_of(answer)
    if isinstance(answer, Suspended):
        return suspended(caller.tenant_id, answer.reasons)
    if isinstance(answer, Limited):
        return _too_many(answer)
    if answer is No.NO_CUSTOMER:
        return not_found("customer")
    if answer is No.SENDER_NOT_HEARD_OF:
        return sender_not_heard_of()
    return tenant_closed() if answer is No.CLOSED else tenant_not_heard_of()


def _too_many(answer: Limited) -> Problem:
    """429: until when no more are taken."""
    refused = answer.refusal
    error = {"field": refused.field, "code": refused.code, "message": refused.message}
    detail = f"{refused.field}: {refused.message}"
    problem = Problem(429, refused.code, "Too many messages", detail, errors=[error], until=answer.until.isoformat())
    wait_s = max(int((answer.until - clock.now()).total_seconds()), 1)
    return problem.with_headers({"Retry-After": str(wait_s)})
