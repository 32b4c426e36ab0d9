"""/v1/suppressions: numbers that may not be texted, whoever asked for it."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from muster.customer import events
from muster.customer.api.common import e164, problem_of, reader_of, tenant_of
from muster.customer.domain.customers import Mobile
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.suppression import Scope, Wish
from muster.customer.handlers.facts import suppress
from muster.customer.store import suppressions as store
from muster.kit import audit
from muster.kit.auth import ANY_TENANT_ROLE, Caller, Tx, requires, tenant_tx
from muster.kit.forms import Form
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import not_found
from muster.text import NumberRefused

router = APIRouter(prefix="/v1/suppressions")

ScopeWord = Literal["marketing", "all"]
HashText = Annotated[
    str,
    Form("[0-9a-f]{34}", "must be the id of a suppression: 34 digits from 0 to 9 and a to f"),
    Path(description="id of a suppression"),
]


class SuppressionIn(Model):
    """A number as people write it, what is stopped, and why."""

    number: Annotated[str, Field(max_length=64)]
    scope: ScopeWord = "all"
    reason: Annotated[str, Field(max_length=500)] = ""
    source: Literal["person", "complaint"] = "person"


class SuppressionOut(Model):
    """A suppressed number. number and customer_id: null where no customer has it any more."""

    id: str
    number: str | None
    customer_id: int | None
    scope: ScopeWord
    source: str
    reason: str
    version: int
    changed_at: datetime


@router.get("")
async def list_suppressions(
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[SuppressionOut]:
    """Numbers that are suppressed now."""
    after = decode_cursor(cursor, {"id": bytes.fromhex})["id"] if cursor else None
    rows = await store.page_of_suppressions(tx, caller.tenant_id, after, limit + 1)
    return page_of(rows, limit, _out, lambda row: {"id": row["number_hash"].hex()})


@router.post("", status_code=201, response_model=SuppressionOut)
async def add_suppression(
    body: SuppressionIn,
    request: Request,
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Text this number no more."""

    async def make() -> tuple[int, Model]:
        reader = reader_of(request, await tenant_of(request, tx, caller.tenant_id))
        mobile = reader.read(body.number)
        if isinstance(mobile, NumberRefused):
            raise problem_of(Refusal("number", mobile.code, mobile.message))
        wish = Wish(
            suppressed=True,
            scope=Scope[body.scope.upper()],
            source=body.source,
            reason=body.reason,
            by=caller.user_id,
        )
        version = await suppress(tx, caller.tenant_id, mobile.number_hash, wish)
        fact = events.suppression_changed(caller.tenant_id, version)
        act = audit.record(caller, "number-suppressed", "suppression", version.number_hash.hex(), body.reason)
        await emit(tx, fact, act)
        return 201, _added(mobile, version, body.reason)

    return await once.answer(tx, caller, body, make)


@router.delete("/{suppression_id}", status_code=204)
async def lift_suppression(
    suppression_id: HashText, caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)], tx: Annotated[Tx, tenant_tx]
) -> Response:
    """Let this number be texted again."""
    number_hash = bytes.fromhex(suppression_id)
    now = await store.lock_suppression(tx, caller.tenant_id, number_hash)
    if not now.suppressed:
        raise not_found("suppression")
    version = await suppress(
        tx, caller.tenant_id, number_hash, Wish(suppressed=False, scope=now.scope, source="person", by=caller.user_id)
    )
    act = audit.record(caller, "suppression-lifted", "suppression", suppression_id)
    await emit(tx, events.suppression_changed(caller.tenant_id, version), act)
    return Response(status_code=204)


def _added(mobile: Mobile, version: store.Version, reason: str) -> SuppressionOut:
    return SuppressionOut(
        id=version.number_hash.hex(),
        number=e164(mobile.number),
        customer_id=None,
        scope=_word(version.scope),
        source=version.source,
        reason=reason,
        version=version.version,
        changed_at=version.changed_at,
    )


def _out(row: Record) -> SuppressionOut:
    return SuppressionOut(
        id=row["number_hash"].hex(),
        number=None if row["number"] is None else e164(row["number"]),
        customer_id=row["customer_id"],
        scope=_word(row["scope"]),
        source=row["source"],
        reason=row["reason"],
        version=row["version"],
        changed_at=row["changed_at"],
    )


def _word(scope: int) -> ScopeWord:
    return "all" if scope == Scope.ALL else "marketing"
