"""POST /v1/messages: one message, or some, each to one number or customer. Status by id is report-svc's."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Request, Response

from muster.customer.api.common import (
    LOOK_AGAIN_S,
    problem_of,
    sender_not_heard_of,
    settings_of,
    suspended,
    tenant_closed,
    tenant_not_heard_of,
)
from muster.customer.api.message_shapes import MessageIn, MessageOut, MessagesIn, MessagesOut, Read, Written, read
from muster.customer.domain.characters import judge_characters
from muster.customer.domain.merge_text import unusable
from muster.customer.domain.refusal import Refusal
from muster.customer.events import MessageKind
from muster.customer.gatherer import CHARACTERS_MAX, Gatherer
from muster.customer.handlers.asks import Answer, Ask, Asked, Each, Limited, No, Said, Several, Suspended, Taken, Why
from muster.kit import clock
from muster.kit.auth import Caller, Permission, requires
from muster.kit.direct import DirectRoute, body_of, documented
from muster.kit.edge import exchange
from muster.kit.idempotency import Claim, Stored, check_key, replay
from muster.kit.problems import Problem, not_found, unprocessable

router = APIRouter(prefix="/v1", route_class=DirectRoute)

_ROUTE: Final = "POST /v1/messages"
_NOT_YET: Final = (No.NOT_HEARD_OF, No.SENDER_NOT_HEARD_OF)
_KINDS: Final = {"single": MessageKind.SINGLE, "reminder": MessageKind.REMINDER}
_OF_EACH: Final[dict[int | str, dict[str, Any]]] = {
    202: {"description": "The message was taken; of several: all of them", "model": MessageOut | MessagesOut},
    207: {"description": "Of several, at least one was refused: each says what became of it", "model": MessagesOut},
}


@router.post("/messages", status_code=202, responses=_OF_EACH, openapi_extra=documented(MessageIn, MessagesIn))
async def send_message(request: Request, caller: Annotated[Caller, requires(Permission.SEND)]) -> Response:
    """Send one message, or up to 100 of `messages`. `send_by`: when it is too late to send it; a day from now by
    default, at most 30.

    Marketing needs a customer who consents to it. What arrives within a few milliseconds is taken together, which
    nobody notices: each has its own id, and its own answer.

    Of several each is answered by itself, in order: one that is refused (a number that is none, or has opted out) keeps
    none of the others back, and the answer is 207. A request that cannot be read, or holds a field that is not known,
    is refused as a whole. All that is taken is committed at once, under the one idempotency key, which stands for the
    request as it is written: with the same number spelled otherwise it is refused (409).
    """
    found = read(request, await body_of(request))
    asked = _several(request, caller, found) if isinstance(found, list) else _one(request, caller, found)
    answer = await answered(request, asked) if asked.asks else asked.answer(())
    if isinstance(answer, Said):
        return Response(answer.document, answer.status, media_type="application/json")
    if isinstance(answer, Stored):
        assert asked.claim is not None, "what was stored was stored under a key"
        return replay(answer, asked.claim.digest)
    raise problem_said(answer, caller)


def _one(request: Request, caller: Caller, found: Read) -> Ask:
    body, send_by = found
    claim = _claim(request, caller, _members(body, send_by))
    if (wrong := _wrong(body)) is not None:
        raise problem_of(wrong)
    return _ask(caller, body, send_by, claim)


def _several(request: Request, caller: Caller, found: Sequence[Read]) -> Several:
    """Those of several that may be asked for; what is wrong with the others by itself is said with the answer."""
    if sum(len(body.text) for body, _ in found) > CHARACTERS_MAX:
        message = f"the texts of a request have at most {CHARACTERS_MAX} characters together"
        raise unprocessable("messages", "too_long", message)
    wrong = {index: why for index, (body, _) in enumerate(found) if (why := _wrong(body)) is not None}
    asks = tuple(_ask(caller, body, send_by, None) for index, (body, send_by) in enumerate(found) if index not in wrong)
    claim = _claim(request, caller, *(_members(body, send_by) for body, send_by in found))
    return Several(asks, claim, partial(_said, caller, len(found), wrong))


def _wrong(body: Written) -> Refusal | None:
    """Why nobody could be sent this message."""
    if (body.to is None) == (body.customer_id is None):
        return Refusal("to", "to_or_customer", "give a number or a customer_id, one of them")
    if body.sender is not None and not body.sender.isprintable():
        return Refusal("sender", "not_own_sender", "this is no sender of yours")
    # A NUL the database would refuse, and for a moment the messages beside it.
    return unusable(body.text) or judge_characters(body.text)


def _ask(caller: Caller, body: Written, send_by: datetime | None, claim: Claim | None) -> Ask:
    marketing = body.message_class == "marketing"
    return Ask(
        *(caller, body.to, body.customer_id or 0, body.text, marketing, _KINDS[body.kind], send_by, claim, body.sender)
    )


def _claim(request: Request, caller: Caller, *members: Any) -> Claim | None:
    """By the idempotency key. members: what must not change under it."""
    key = exchange(request).header(b"idempotency-key")
    check_key(key)
    if key is None:
        return None
    digest = sha256(repr((request.scope["query_string"], *members)).encode()).digest()
    return Claim(caller.tenant_id, _ROUTE, key, digest)


def _members(body: Written, send_by: datetime | None) -> tuple[Any, ...]:
    sender = () if body.sender is None else (body.sender,)
    return (body.to, body.customer_id, body.text, body.message_class, body.kind, send_by, *sender)


def _said(caller: Caller, count: int, wrong: dict[int, Refusal], answers: Sequence[Each]) -> Said:
    """The answer to several: each in its place, as its own request would have been answered."""
    rest = iter(answers)
    each = [wrong[index] if index in wrong else next(rest) for index in range(count)]
    said = b",".join(_told(caller, index, answer) for index, answer in enumerate(each))
    taken = sum(isinstance(answer, Taken) for answer in each)
    document = b'{"messages":[%b],"accepted":%d,"refused":%d}' % (said, taken, count - taken)
    return Said(202 if taken == count else 207, document, taken)


def _told(caller: Caller, index: int, answer: Each) -> bytes:
    if isinstance(answer, Taken):
        return b'{"index":%d,%b}' % (index, answer.members.encode())
    problem = problem_said(answer, caller).document()
    if "errors" in problem:
        problem["errors"] = [{**one, "field": f"messages.{index}.{one['field']}"} for one in problem["errors"]]
    return orjson.dumps({"index": index, "state": "refused", "problem": problem})


async def answered(request: Request, asked: Asked) -> Answer:
    """The committed answer. A tenant that was made or changed a moment ago is waited for."""
    gatherer: Gatherer = request.app.state.gatherer
    looks = settings_of(request).customer_tenant_wait_ms / 1000 / LOOK_AGAIN_S
    while (answer := await gatherer.ask(asked)) in _NOT_YET and looks > 0:
        looks -= 1
        await asyncio.sleep(LOOK_AGAIN_S)
    return answer


def problem_said(answer: Why, caller: Caller) -> Problem:
    """What is answered where nothing is sent."""
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
