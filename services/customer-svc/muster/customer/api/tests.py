"""POST /v1/test-messages: what a customer would get, sent to somebody of the business."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field

from muster.customer.api.audiences import AudienceIn, audience_of
from muster.customer.api.common import e164, problem_of, reader_of, sending_tenant_of, settings_of, usable_sender
from muster.customer.api.message_shapes import MessageOut, RefusedOut
from muster.customer.api.messages import answered, problem_said
from muster.customer.api.quotes import ClassWord, TemplateVersion, text_of
from muster.customer.domain.audience import Audience
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.sends import SEND_BY_MAX
from muster.customer.events import MessageClass, MessageKind
from muster.customer.handlers import trying
from muster.customer.handlers.asks import Ask, Each, Said, Several, Taken
from muster.customer.handlers.quoting import Asked
from muster.customer.handlers.trying import Draft, Rendered
from muster.customer.store import numbers_for_tests, quotes, reference
from muster.customer.store.reference import Tenant
from muster.kit import clock, metrics
from muster.kit.auth import Begin, Caller, Permission, Tx, requires, slow_turn, tx_of_tenant
from muster.kit.http import Int, Model
from muster.kit.idempotency import Once, Stored, idempotent, replay, stored_answers
from muster.kit.problems import conflict, not_found, unprocessable
from muster.text import NumberRefused

router = APIRouter(prefix="/v1/test-messages")

NUMBERS_MAX = 5
_Number = Annotated[str, Field(min_length=1, max_length=64)]


class TestIn(Model):
    """A quote, or what a quote would be asked for: a text or a template, sender, class and audience.

    customer_id: for whom it is written, the first of the audience unless said. to: numbers that are kept for tests
    (`/v1/test-numbers`), as people write them; one's own unless said.
    """

    quote_id: UUID | None = None
    text: str | None = None
    template_id: UUID | None = None
    template_version: TemplateVersion | None = None
    audience: AudienceIn | None = None
    sender: Annotated[str, Field(min_length=1, max_length=16)] | None = None
    message_class: Annotated[ClassWord | None, Field(alias="class")] = None
    customer_id: Annotated[Int, Field(ge=1)] | None = None
    to: Annotated[list[_Number], Field(min_length=1, max_length=NUMBERS_MAX)] | None = None


class TestTakenOut(MessageOut):
    """A test that was taken, to this number."""

    to: str


class TestRefusedOut(RefusedOut):
    """A test that was not taken, to this number, and why."""

    to: str


class TestOut(Model):
    """What was sent, for which customer it was written (null: for anybody), to whom, and what it costs in all. Each
    message as `POST /v1/messages` answers it."""

    text: str
    customer_id: int | None
    sender: str
    credits: int
    messages: tuple[TestTakenOut | TestRefusedOut, ...]
    accepted: int
    refused: int


_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"description": "All were taken", "model": TestOut},
    207: {"description": "Of several, at least one was refused: each says what became of it", "model": TestOut},
}


@dataclass(slots=True)
class _Try:
    """A test as it is handed over; `each`: what became of its messages."""

    caller: Caller
    numbers: Sequence[int]
    rendered: Rendered
    sender: str
    each: Sequence[Each] = field(default_factory=tuple)

    def say(self, each: Sequence[Each]) -> Said:
        """The answer, with each message in its place."""
        self.each = each
        taken = [one for one in each if isinstance(one, Taken)]
        document = {
            "text": self.rendered.text,
            "customer_id": self.rendered.customer_id or None,
            "sender": self.sender,
            "credits": sum(one.credits for one in taken),
            "messages": [self._one(index, one) for index, one in enumerate(each)],
            "accepted": len(taken),
            "refused": len(each) - len(taken),
        }
        return Said(202 if len(taken) == len(each) else 207, orjson.dumps(document), len(taken))

    def _one(self, index: int, answer: Each) -> dict[str, Any]:
        to = e164(self.numbers[index])
        if isinstance(answer, Taken):
            return {"to": to, **orjson.loads(b"{%b}" % answer.members.encode())}
        return {"to": to, "index": index, "state": "refused", "problem": problem_said(answer, self.caller).document()}


@router.post("", status_code=202, response_model=TestOut, responses=_ANSWERS)
async def send_test(
    body: TestIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.SEND)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Send a test to oneself, or to numbers of the business: the text as a customer gets it, by the road of single
    messages. It costs its credits. Nobody's consent is asked, but a number that said STOP is not texted; it is sent at
    any hour, and counts for no limit of how often customers are texted."""
    claim = once.claim(caller.tenant_id, body)
    async with slow_turn(request, caller.tenant_id), begin(caller.tenant_id) as tx:
        if claim is not None and (known := await stored_answers(tx, [claim])):
            return replay(known[claim.identity], claim.digest)
        tenant = await sending_tenant_of(request, tx, caller.tenant_id)
        draft = await _draft(request, tx, tenant, caller, body)
        numbers = await _numbers(request, tx, tenant, caller, body)
        rendered = await trying.rendered(tx, tenant, draft, body.customer_id)
    if rendered is None:
        raise not_found("customer")
    if isinstance(rendered, Refusal):
        raise problem_of(rendered)
    tried = _Try(caller, numbers, rendered, draft.sender)
    asks = tuple(_ask(caller, number, rendered.text, draft) for number in numbers)
    answer = await answered(request, Several(asks, claim, tried.say))
    if isinstance(answer, Stored):
        assert claim is not None, "what was stored was stored under a key"
        return replay(answer, claim.digest)
    taken = answer.taken if isinstance(answer, Said) else 0
    metrics.tests.labels("taken").inc(taken)
    metrics.tests.labels("refused").inc(len(numbers) - taken)
    if not isinstance(answer, Said):
        raise problem_said(answer, caller)
    if not taken and len(numbers) == 1 and not isinstance(tried.each[0], Taken):
        raise problem_said(tried.each[0], caller)
    return Response(answer.document, answer.status, media_type="application/json")


def _ask(caller: Caller, number: int, text: str, draft: Draft) -> Ask:
    kind = MessageKind.SINGLE
    return Ask(caller, e164(number), 0, text, draft.marketing, kind, None, None, draft.sender, test=True)


async def _draft(request: Request, tx: Tx, tenant: Tenant, caller: Caller, body: TestIn) -> Draft:
    if body.quote_id is not None:
        wrong = body.model_fields_set & {
            "text",
            "template_id",
            "template_version",
            "audience",
            "sender",
            "message_class",
        }
        if wrong:
            raise unprocessable(
                sorted(wrong)[0].replace("message_class", "class"),
                "of_the_quote",
                "is what the quote says; leave it out, or the quote_id",
            )
        found = await _draft_of_quote(request, tx, tenant, body.quote_id)
    else:
        template, text = await text_of(tx, tenant, body.text, body.template_id, body.template_version)
        judged = await audience_of(request, tx, caller, body.audience) if body.audience else None
        sender = await usable_sender(request, tx, tenant, body.sender or tenant.sender)
        tariff, at = (await reference.tariff_now(tx)).of(sender.sender).within(tenant.allowed), clock.now()
        message_class, audience = MessageClass[(body.message_class or "marketing").upper()], judged or Audience()
        until, url = at + SEND_BY_MAX, settings_of(request).link_url
        by = caller.user_id
        asked = Asked(text, template, audience, audience, sender, tariff, message_class, by, at, until, link_url=url)
        found = await trying.draft_of(tx, tenant, asked, judged)
    if isinstance(found, Refusal):
        raise problem_of(found)
    return found


async def _draft_of_quote(request: Request, tx: Tx, tenant: Tenant, quote_id: UUID) -> Draft | Refusal:
    quote = await quotes.quote_of(tx, tenant.tenant_id, quote_id)
    if quote is None:
        raise not_found("quote")
    if quote.expires_at <= clock.now():
        raise conflict("quote_expired", "This quote has expired", "Ask for a new one.")
    await usable_sender(request, tx, tenant, quote.sender)
    return await trying.draft_of_quote(tx, tenant, quote)


async def _numbers(request: Request, tx: Tx, tenant: Tenant, caller: Caller, body: TestIn) -> list[int]:
    """Whom it goes to: numbers that are kept for that, each once."""
    if body.to is None:
        own = await numbers_for_tests.usable(tx, tenant.tenant_id, caller.user_id, None)
        if not own:
            raise unprocessable("to", "no_own_number", "say which number is yours: PUT /v1/test-numbers/own")
        return list(own)
    reader, read = reader_of(request, tenant), list[int]()
    for index, written in enumerate(body.to):
        mobile = reader.read(written)
        if isinstance(mobile, NumberRefused):
            raise unprocessable(f"to.{index}", mobile.code, mobile.message)
        read.append(mobile.number)
    usable = await numbers_for_tests.usable(tx, tenant.tenant_id, caller.user_id, read)
    for index, number in enumerate(read):
        if number not in usable:
            message = "is not kept for tests: POST /v1/test-numbers, by an admin, or PUT /v1/test-numbers/own"
            raise unprocessable(f"to.{index}", "no_test_number", message)
    return list(dict.fromkeys(read))
