"""/v1/suppressions/requests: withdrawals by e-mail, letter or phone that wait for somebody to apply them."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from muster.customer.api.common import problem_of, reader_of, tenant_of
from muster.customer.api.suppressions import ScopeWord
from muster.customer.domain.consent import ADDRESS_CHARACTERS_MAX, WORDING_CHARACTERS_MAX, Source, Word
from muster.customer.domain.customers import Consent
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.suppression import Scope
from muster.customer.handlers import consents
from muster.customer.handlers.withdrawals import deadline
from muster.customer.store import withdrawals as store
from muster.customer.store.reference import Tenant
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Int, Model, Moment
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import conflict, not_found
from muster.text import NumberRefused
from muster.text.merge import clean_value

router = APIRouter(prefix="/v1/suppressions/requests")

State = Literal["waiting", "applied", "dismissed"]


class RequestIn(Model):
    """A withdrawal as it came. address: from where; wording: what was written or said."""

    channel: Literal["email", "letter", "phone", "person", "other"]
    received_at: Annotated[Moment | None, Field(description="now unless said")] = None
    address: Annotated[str, Field(max_length=ADDRESS_CHARACTERS_MAX)] = ""
    wording: Annotated[str, Field(min_length=1, max_length=WORDING_CHARACTERS_MAX)]
    scope: ScopeWord = "marketing"


class RequestOut(Model):
    """A withdrawal that waits, or what became of it. due_on: the last day to apply it, where the business is;
    days_left: whole days until that, negative once it has passed; law: what says so, empty where none names days."""

    id: UUID
    state: State
    channel: str
    received_at: datetime
    address: str
    wording: str
    scope: ScopeWord
    due_on: date
    days_left: int
    overdue: bool
    law: str
    recorded_by: str
    ended_at: datetime | None
    ended_by: str
    reason: str
    suppressions: list[str]


class ApplyIn(Model):
    """Whose withdrawal it is: a customer, for all of their numbers, or a number."""

    customer_id: Annotated[Int | None, Field(ge=1)] = None
    number: Annotated[str | None, Field(min_length=1, max_length=64)] = None


class DismissIn(Model):
    """Why it is none."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


@router.post("", status_code=201, response_model=RequestOut)
async def add_request(
    body: RequestIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_OPT_OUTS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Keep a withdrawal that cannot be applied yet, since nobody knows whose it is: it is due by the law's last day.
    Where its address is a number that can be texted, it is applied as soon as that number is stopped in any way."""

    async def make() -> tuple[int, Model]:
        tenant = await tenant_of(request, tx, caller.tenant_id)
        received_at = body.received_at or clock.now()
        if received_at > clock.now():
            raise problem_of(Refusal("received_at", "in_the_future", "It came before it is recorded."))
        told = (body.channel, clean_value(body.address), clean_value(body.wording), Scope[body.scope.upper()])
        read = reader_of(request, tenant).read(told[1])
        number_hash = None if isinstance(read, NumberRefused) else read.number_hash
        kept = store.Request(uuid7(), received_at, *told, *deadline(tenant, received_at), number_hash)
        await store.add(tx, caller.tenant_id, kept, caller.user_id)
        await emit(tx, audit.record(caller, Act.WITHDRAWAL_RECORDED, str(kept.request_id)))
        return 201, await _shown(tx, tenant, kept.request_id)

    return await once.answer(tx, caller, body, make)


@router.get("")
async def list_requests(
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
    state: Annotated[State | None, Query()] = None,
) -> Page[RequestOut]:
    """Withdrawals that were recorded, what is due first first."""
    tenant = await tenant_of(request, tx, caller.tenant_id)
    place = decode_cursor(cursor, {"at": datetime.fromisoformat, "id": UUID}) if cursor else None
    after = (place["at"], place["id"]) if place else None
    rows = await store.page(tx, caller.tenant_id, state, after, limit + 1)
    return page_of(
        rows, limit, lambda row: _out(tenant, row), lambda row: {"at": row["due_at"], "id": row["request_id"]}
    )


@router.post("/{request_id}/apply", response_model=RequestOut)
async def apply_request(
    request_id: UUID,
    body: ApplyIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_OPT_OUTS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Stop the numbers of the customer, or the number, whose withdrawal it is; the words go into the history."""

    async def make() -> tuple[int, Model]:
        if (body.customer_id is None) == (body.number is None):
            raise problem_of(Refusal("customer_id", "one_of_two", "Name the customer or the number, and not both."))
        tenant = await tenant_of(request, tx, caller.tenant_id)
        waits = await _waiting(tx, caller, request_id)
        hashes = await _withdraw(request, tx, caller, tenant, waits, body)
        await store.end(tx, caller.tenant_id, request_id, "applied", caller.user_id, "", hashes)
        await emit(tx, audit.record(caller, Act.WITHDRAWAL_APPLIED, str(request_id)))
        return 200, await _shown(tx, tenant, request_id)

    return await once.answer(tx, caller, body, make)


@router.post("/{request_id}/dismiss", response_model=RequestOut)
async def dismiss_request(
    request_id: UUID,
    body: DismissIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.SET_OPT_OUTS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """It is no withdrawal, or nobody's who is texted."""

    async def make() -> tuple[int, Model]:
        tenant = await tenant_of(request, tx, caller.tenant_id)
        await _waiting(tx, caller, request_id)
        reason = clean_value(body.reason) or "-"
        await store.end(tx, caller.tenant_id, request_id, "dismissed", caller.user_id, reason, [])
        await emit(tx, audit.record(caller, Act.WITHDRAWAL_DISMISSED, str(request_id)))
        return 200, await _shown(tx, tenant, request_id)

    return await once.answer(tx, caller, body, make)


async def _waiting(tx: Tx, caller: Caller, request_id: UUID) -> Record:
    row = await store.lock(tx, caller.tenant_id, request_id)
    if row is None:
        raise not_found("withdrawal")
    if row["state"] != "waiting":
        raise conflict("not_waiting", "This withdrawal waits no more", f"It was {row['state']} before.")
    return row


async def _withdraw(
    request: Request, tx: Tx, caller: Caller, tenant: Tenant, waits: Record, body: ApplyIn
) -> list[bytes]:
    told = (f"by {waits['channel']}", waits["wording"], "", waits["address"], Source.PERSON)
    word = Word(Consent.WITHDRAWN, waits["received_at"], *told)
    scope = Scope(waits["scope"])
    if body.number is not None:
        mobile = reader_of(request, tenant).read(body.number)
        if isinstance(mobile, NumberRefused):
            raise problem_of(Refusal("number", mobile.code, mobile.message))
        versions = await consents.stop(tx, caller.tenant_id, [mobile.number_hash], word, caller.user_id, scope)
        return [one.number_hash for one in versions]
    assert body.customer_id is not None, "one of both is given"
    done = await consents.record(
        tx, caller.tenant_id, body.customer_id, word, caller.user_id, number_hash=None, scope=scope
    )
    if done is None:
        raise problem_of(Refusal("customer_id", "unknown", "There is no such customer."))
    assert not isinstance(done, Refusal), "a withdrawal is never refused"
    return [one.number_hash for one in done.suppressions]


async def _shown(tx: Tx, tenant: Tenant, request_id: UUID) -> RequestOut:
    row = await store.one_of(tx, tenant.tenant_id, request_id)
    assert row is not None, "it was written in this transaction"
    return _out(tenant, row)


def _out(tenant: Tenant, row: Record) -> RequestOut:
    today = clock.now().astimezone(ZoneInfo(tenant.time_zone)).date()
    return RequestOut(
        id=row["request_id"],
        state=row["state"],
        channel=row["channel"],
        received_at=row["received_at"],
        address=row["address"],
        wording=row["wording"],
        scope="all" if row["scope"] == Scope.ALL else "marketing",
        due_on=row["due_on"],
        days_left=(row["due_on"] - today).days,
        overdue=row["state"] == "waiting" and clock.now() >= row["due_at"],
        law=row["law"],
        recorded_by=row["created_by"],
        ended_at=row["ended_at"],
        ended_by=row["ended_by"],
        reason=row["reason"],
        suppressions=[one.hex() for one in row["number_hashes"]],
    )
