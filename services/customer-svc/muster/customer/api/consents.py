"""/v1/customers/{id}/consents: every word on a customer's consent, and a file of them that proves it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from muster.customer.api.common import e164, problem_of, reader_of, tenant_of
from muster.customer.api.customer_changes import refuse_changed
from muster.customer.api.evidence import FORMATS, format_of
from muster.customer.api.gathered import evidence_of
from muster.customer.api.suppressions import ScopeWord
from muster.customer.api.words import EvidenceIn
from muster.customer.domain.consent import Version
from muster.customer.domain.customers import Consent
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.suppression import Scope
from muster.customer.handlers import consents as handlers
from muster.customer.store import consents as store
from muster.customer.store import customers
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import not_found, unprocessable
from muster.text import NumberRefused

router = APIRouter(prefix="/v1/customers/{customer_id}/consents")

CustomerId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class ConsentIn(EvidenceIn):
    """A word on consent. number: as people write it; of all of the customer's numbers unless it is given."""

    kind: Consent
    number: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    scope: Annotated[ScopeWord, Field(description="of a withdrawal: marketing, or all messages")] = "marketing"


class ConsentOut(Model):
    """A word on consent as it is kept. number null: of all numbers. hash: of this version and of the one before it."""

    version: int
    number: str | None
    kind: Consent
    allow_bulk_sms: bool | None
    at: datetime | None
    how: str
    wording: str
    given_by: str
    address: str
    source: str
    recorded_by: str
    recorded_at: datetime
    hash: str


class RecordedOut(ConsentOut):
    """The word, with the ids of the suppressions that a withdrawal has made, or a new consent lifted."""

    customer_id: int
    suppressed: list[str]
    lifted: list[str]


@router.get("")
async def list_consents(
    customer_id: CustomerId,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[ConsentOut]:
    """Every word on the consent of a customer from the first, also of one who was removed since."""
    after = decode_cursor(cursor, {"version": int})["version"] if cursor else 0
    versions = await store.page_of_versions(tx, caller.tenant_id, customer_id, after, limit + 1)
    if not versions and await customers.customer_of(tx, caller.tenant_id, customer_id) is None:
        raise not_found("customer")
    return page_of(versions, limit, _out, lambda one: {"version": one.version})


@router.post("", status_code=201, response_model=RecordedOut)
async def record_consent(
    customer_id: CustomerId,
    body: ConsentIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Keep a word on consent. A withdrawal stops the numbers at once, everywhere. After one only a later express
    consent of the person's own, with its wording, counts; it also lifts what stopped the numbers before it."""

    async def make() -> tuple[int, Model]:
        number_hash = None
        if body.number is not None:
            mobile = reader_of(request, await tenant_of(request, tx, caller.tenant_id)).read(body.number)
            if isinstance(mobile, NumberRefused):
                raise problem_of(Refusal("number", mobile.code, mobile.message))
            number_hash = mobile.number_hash
        row = await customers.customer_of(tx, caller.tenant_id, customer_id)
        if row is None:
            raise not_found("customer")
        await refuse_changed(tx, caller, row, None)
        recorded = await handlers.record(
            tx,
            caller.tenant_id,
            customer_id,
            body.word(body.kind),
            caller.user_id,
            number_hash=number_hash,
            scope=Scope[body.scope.upper()],
        )
        if isinstance(recorded, Refusal):
            raise problem_of(recorded)
        if recorded is None:
            raise unprocessable("number", "not_theirs", "this customer has no such number")
        await emit(tx, audit.record(caller, Act.CONSENT_RECORDED, str(customer_id), body.kind))
        versions = await store.last_version(tx, caller.tenant_id, customer_id)
        return 201, RecordedOut(
            **_out(versions).model_dump(),
            customer_id=customer_id,
            suppressed=[one.number_hash.hex() for one in recorded.suppressions if one.suppressed],
            lifted=[one.number_hash.hex() for one in recorded.suppressions if not one.suppressed],
        )

    return await once.answer(tx, caller, body, make)


@router.get("/evidence", responses={200: {"content": {media_type: {} for media_type in FORMATS}}})
async def consent_evidence(
    customer_id: CustomerId,
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
) -> Response:
    """All that is kept on the consent of one customer, as a file: JSON, or by `Accept` CSV or a text to print. It holds
    the words with their chain of hashes, whether none is missing, those on customers who were merged into this one, and
    what was said of the numbers."""
    _, evidence = await evidence_of(request, tx, caller, customer_id)
    await emit(tx, audit.record(caller, Act.CONSENT_EXPORTED, str(customer_id)))
    made = format_of(request.headers.get("accept", ""))
    headers = {"Content-Disposition": f'attachment; filename="consent-{customer_id}.{made.suffix}"'}
    return Response(made.render(evidence), media_type=made.media_type, headers=headers)


def _out(one: Version) -> ConsentOut:
    return ConsentOut(
        version=one.version,
        number=None if one.number is None else e164(one.number),
        kind=Consent(one.kind),
        allow_bulk_sms=one.allow_bulk_sms,
        at=one.given_at,
        how=one.how,
        wording=one.wording,
        given_by=one.given_by,
        address=one.address,
        source=one.source,
        recorded_by=one.recorded_by,
        recorded_at=one.recorded_at,
        hash=one.hash.hex(),
    )
