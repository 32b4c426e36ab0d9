"""/v1/suppressions: numbers that may not be texted, whoever asked for it."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from muster.customer import events
from muster.customer.api.common import e164, problem_of, reader_of, tenant_of
from muster.customer.api.words import EvidenceIn
from muster.customer.domain.consent import ADDRESS_CHARACTERS_MAX, WORDING_CHARACTERS_MAX
from muster.customer.domain.customers import Consent, Mobile
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.suppression import Scope, Wish
from muster.customer.handlers import consents as handlers
from muster.customer.store import suppressions as store
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.forms import Form
from muster.kit.http import Model, Moment
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import conflict, not_found
from muster.text import NumberRefused
from muster.text.merge import clean_value

router = APIRouter(prefix="/v1/suppressions")

ScopeWord = Literal["marketing", "all"]
HashText = Annotated[
    str,
    Form("[0-9a-f]{34}", "must be the id of a suppression: 34 digits from 0 to 9 and a to f"),
    Path(description="id of a suppression"),
]
Reason = Annotated[str, Field(max_length=500)]


class SuppressionIn(Model):
    """A number as people write it, what is stopped, and why. at, wording, address: when, in which words and from where
    it was asked for, as far as is known."""

    number: Annotated[str, Field(max_length=64)]
    scope: ScopeWord = "all"
    reason: Reason = ""
    source: Literal["person", "complaint"] = "person"
    at: Moment | None = None
    wording: Annotated[str, Field(max_length=WORDING_CHARACTERS_MAX)] = ""
    address: Annotated[str, Field(max_length=ADDRESS_CHARACTERS_MAX)] = ""


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


class VersionOut(Model):
    """One word on a number. at: when it was given; recorded_by: a person's or key's id, empty where it came in;
    inbound_id: of the message that asked for it, as it stands in the inbox."""

    version: int
    suppressed: bool
    scope: ScopeWord
    source: str
    inbound_id: str
    reason: str
    wording: str
    at: datetime | None
    address: str
    recorded_by: str
    recorded_at: datetime


class LiftIn(EvidenceIn):
    """The person's own word that they want to be texted again."""

    wording: Annotated[str, Field(min_length=1, max_length=WORDING_CHARACTERS_MAX)]
    source: Literal["person", "form", "reply", "link"]


@router.get("")
async def list_suppressions(
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
    number: Annotated[str | None, Query(min_length=1, max_length=64, description="only this one")] = None,
) -> Page[SuppressionOut]:
    """Numbers that are suppressed now."""
    after = decode_cursor(cursor, {"id": bytes.fromhex})["id"] if cursor else None
    only = None if number is None else (await _mobile(request, tx, caller, number)).number_hash
    rows = await store.page_of_suppressions(tx, caller.tenant_id, after, limit + 1, only)
    return page_of(rows, limit, _out, lambda row: {"id": row["number_hash"].hex()})


@router.post("", status_code=201, response_model=SuppressionOut)
async def add_suppression(
    body: SuppressionIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_OPT_OUTS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Text this number no more."""

    async def make() -> tuple[int, Model]:
        mobile = await _mobile(request, tx, caller, body.number)
        wish = Wish(
            suppressed=True,
            scope=Scope[body.scope.upper()],
            source=body.source,
            reason=body.reason,
            by=caller.user_id,
            given_at=body.at,
            wording=clean_value(body.wording),
            address=clean_value(body.address),
        )
        if body.at is not None and body.at > clock.now():
            raise problem_of(Refusal("at", "in_the_future", "A word is given before it is recorded."))
        version = await handlers.fulfil(tx, caller.tenant_id, mobile.number_hash, wish)
        fact = events.suppression_changed(caller.tenant_id, version)
        act = audit.record(caller, Act.SUPPRESSION_ADDED, version.number_hash.hex(), body.source)
        await emit(tx, fact, act)
        return 201, _added(mobile, version, body.reason)

    return await once.answer(tx, caller, body, make)


@router.get("/{suppression_id}")
async def get_suppression(
    suppression_id: HashText,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[VersionOut]:
    """All that was ever said of a number, from the first."""
    after = decode_cursor(cursor, {"version": int})["version"] if cursor else 0
    rows = await store.page_of_versions(tx, caller.tenant_id, bytes.fromhex(suppression_id), after, limit + 1)
    if not rows and not after:
        raise not_found("suppression")
    return page_of(rows, limit, _version, lambda row: {"version": row["version"]})


@router.post("/{suppression_id}/lift", response_model=VersionOut)
async def lift_suppression(
    suppression_id: HashText,
    body: LiftIn,
    caller: Annotated[Caller, requires(Permission.KEEP_OPT_OUTS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Let this number be texted again, because the person said so after they stopped it. Their word is kept as the
    express consent of all who have the number."""

    async def make() -> tuple[int, Model]:
        number_hash = bytes.fromhex(suppression_id)
        word = body.word(Consent.EXPRESS)
        lifted = await handlers.lift(tx, caller.tenant_id, number_hash, word, caller.user_id)
        if lifted is None:
            raise not_found("suppression")
        if isinstance(lifted, Refusal):
            raise problem_of(lifted)
        await emit(tx, audit.record(caller, Act.SUPPRESSION_LIFTED, suppression_id))
        rows = await store.page_of_versions(tx, caller.tenant_id, number_hash, lifted.version - 1, 1)
        return 200, _version(rows[0])

    return await once.answer(tx, caller, body, make)


@router.delete("/{suppression_id}", status_code=204)
async def correct_suppression(
    suppression_id: HashText,
    caller: Annotated[Caller, requires(Permission.SET_OPT_OUTS)],
    tx: Annotated[Tx, tenant_tx],
    reason: Annotated[str, Query(min_length=1, max_length=500, description="what the mistake was")],
) -> Response:
    """Take back what somebody of the business entered or uploaded by mistake. What the person asked for themselves, by
    a reply, a link or a complaint, is lifted by their own word only (`/lift`)."""
    number_hash = bytes.fromhex(suppression_id)
    version = await handlers.correct(tx, caller.tenant_id, number_hash, clean_value(reason), caller.user_id)
    if version is None:
        raise not_found("suppression")
    if isinstance(version, Refusal):
        raise conflict(version.code, "This is the person's own word", version.message)
    await emit(tx, audit.record(caller, Act.SUPPRESSION_CORRECTED, suppression_id))
    return Response(status_code=204)


async def _mobile(request: Request, tx: Tx, caller: Caller, written: str) -> Mobile:
    mobile = reader_of(request, await tenant_of(request, tx, caller.tenant_id)).read(written)
    if isinstance(mobile, NumberRefused):
        raise problem_of(Refusal("number", mobile.code, mobile.message))
    return mobile


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


def _version(row: Record) -> VersionOut:
    return VersionOut(
        version=row["version"],
        suppressed=row["suppressed"],
        scope=_word(row["scope"]),
        source=row["source"],
        inbound_id=row["inbound_id"],
        reason=row["reason"],
        wording=row["wording"],
        at=row["given_at"],
        address=row["address"],
        recorded_by=row["changed_by"],
        recorded_at=row["changed_at"],
    )


def _word(scope: int) -> ScopeWord:
    return "all" if scope == Scope.ALL else "marketing"
