"""/v1/customers"""

from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from muster.customer.api.common import e164, problem_of, reader_of, tenant_of
from muster.customer.domain.customers import (
    MOBILES_MAX,
    NAME_CHARACTERS_MAX,
    OWN_FIELDS_MAX,
    TAG_CHARACTERS_MAX,
    TAGS_MAX,
    Consent,
    Customer,
    Mobile,
    read_mobiles,
    read_own_fields,
    read_tags,
    read_time_zone,
    settle_consent,
)
from muster.customer.domain.refusal import Refusal
from muster.customer.store import customers as store
from muster.customer.store.customers import Evidence
from muster.kit import audit, clock
from muster.kit.auth import ANY_TENANT_ROLE, SENDERS, Caller, Tx, requires, tenant_tx
from muster.kit.http import Flag, Model, Moment
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import not_found
from muster.text.merge import clean_value

router = APIRouter(prefix="/v1/customers")

Name = Annotated[str, Field(max_length=NAME_CHARACTERS_MAX)]
Tag = Annotated[str, Field(min_length=1, max_length=TAG_CHARACTERS_MAX)]
CustomerId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class EvidenceIn(Model):
    """When, how and in which words consent was given."""

    at: Moment | None = None
    how: Annotated[str, Field(max_length=200)] = ""
    wording: Annotated[str, Field(max_length=2_000)] = ""


class CustomerIn(Model):
    """A customer. Numbers as people write them; allow_bulk_sms null means that nobody said so: no SMS."""

    first_name: Name = ""
    last_name: Name = ""
    mobiles: Annotated[list[str], Field(max_length=MOBILES_MAX, default_factory=list)]
    allow_bulk_sms: Flag | None = None
    consent: Consent | None = None
    consent_evidence: EvidenceIn | None = None
    language: Annotated[str, Field(max_length=35)] = ""
    time_zone: Annotated[str, Field(max_length=64, description="an IANA name; empty: as their number says")] = ""
    tags: Annotated[list[Tag], Field(max_length=TAGS_MAX, default_factory=list)]
    own_fields: Annotated[dict[str, str], Field(max_length=OWN_FIELDS_MAX, default_factory=dict)]


class MobileOut(Model):
    """A number in E.164 and its country."""

    number: str
    country: str


class EvidenceOut(Model):
    """When, how, in which words and by whom consent was given."""

    at: datetime | None
    how: str
    wording: str
    by: str


class CustomerOut(Model):
    """A customer. opted_out: a number of theirs is suppressed."""

    id: int
    first_name: str
    last_name: str
    mobiles: list[MobileOut]
    allow_bulk_sms: bool | None
    consent: Consent
    consent_evidence: EvidenceOut
    opted_out: bool
    language: str
    time_zone: str
    tags: list[str]
    own_fields: dict[str, str]
    created_at: datetime
    changed_at: datetime


@router.post("", status_code=201, response_model=CustomerOut)
async def add_customer(
    body: CustomerIn,
    request: Request,
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Add a customer."""

    async def make() -> tuple[int, Model]:
        customer = await _read(request, tx, caller, body)
        evidence = _evidence(body, caller, Evidence(None, "", "", ""))
        customer_id = await store.add_customer(tx, caller.tenant_id, customer, evidence)
        return 201, await _shown(tx, caller, customer_id)

    return await once.answer(tx, caller, body, make)


@router.get("")
async def list_customers(
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
    search: Annotated[str | None, Query(min_length=1, max_length=100, description="part of a name or number")] = None,
    tag: Annotated[str | None, Query(min_length=1, max_length=TAG_CHARACTERS_MAX)] = None,
    allow_bulk_sms: Annotated[bool | None, Query()] = None,
) -> Page[CustomerOut]:
    """Customers, the oldest first."""
    after = decode_cursor(cursor, {"id": int})["id"] if cursor else 0
    rows = await store.page_of_customers(
        tx,
        caller.tenant_id,
        after=after,
        search=search,
        tag=tag,
        allow_bulk_sms=allow_bulk_sms,
        limit=limit + 1,
    )
    return page_of(rows, limit, _out, lambda row: {"id": row["customer_id"]})


@router.get("/{customer_id}")
async def get_customer(
    customer_id: CustomerId, caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)], tx: Annotated[Tx, tenant_tx]
) -> CustomerOut:
    """One customer."""
    return await _shown(tx, caller, customer_id)


@router.patch("/{customer_id}", response_model=CustomerOut)
async def change_customer(
    customer_id: CustomerId,
    body: CustomerIn,
    request: Request,
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Change the members that are given; the others stay."""

    async def make() -> tuple[int, Model]:
        before = await store.lock_customer(tx, caller.tenant_id, customer_id)
        if before is None:
            raise not_found("customer")
        customer = await _read(request, tx, caller, _merged(before, body))
        evidence = _evidence(body, caller, _evidence_of(before))
        joins = _may_be_texted(customer) and (
            not before["allow_bulk_sms"] or [mobile.number for mobile in customer.mobiles] != before["numbers"]
        )
        await store.put_customer(tx, caller.tenant_id, customer_id, customer, evidence, joins=joins)
        return 200, await _shown(tx, caller, customer_id)

    return await once.answer(tx, caller, body, make)


@router.delete("/{customer_id}", status_code=204)
async def remove_customer(
    customer_id: CustomerId, caller: Annotated[Caller, requires(*SENDERS)], tx: Annotated[Tx, tenant_tx]
) -> Response:
    """Remove a customer; an opt-out of their numbers stays."""
    if not await store.remove_customer(tx, caller.tenant_id, customer_id):
        raise not_found("customer")
    await emit(tx, audit.record(caller, "customer-removed", "customer", str(customer_id)))
    return Response(status_code=204)


async def _read(request: Request, tx: Tx, caller: Caller, body: CustomerIn) -> Customer:
    reader = reader_of(request, await tenant_of(request, tx, caller.tenant_id))
    mobiles: tuple[Mobile, ...] | list[Refusal] = read_mobiles(reader, body.mobiles)
    own_fields = read_own_fields(body.own_fields)
    time_zone = read_time_zone(body.time_zone)
    refusals = [*(mobiles if isinstance(mobiles, list) else ()), *(own_fields if isinstance(own_fields, list) else ())]
    refusals += [time_zone] if isinstance(time_zone, Refusal) else []
    if isinstance(mobiles, list) or isinstance(own_fields, list) or isinstance(time_zone, Refusal):
        raise problem_of(refusals[0] if len(refusals) == 1 else refusals)
    allow, consent = settle_consent(allow_bulk_sms=body.allow_bulk_sms, consent=body.consent)
    names = clean_value(body.first_name), clean_value(body.last_name)
    if not any((*names, mobiles, own_fields)):
        raise problem_of(Refusal("first_name", "nobody", "A customer has a name or a number."))
    language, tags = clean_value(body.language), read_tags(body.tags)
    return Customer(*names, mobiles, allow, consent, language, tags, own_fields, time_zone)


def _merged(before: Record, body: CustomerIn) -> CustomerIn:
    """The customer as it was, with what the body gives."""
    given = body.model_fields_set
    was: dict[str, Any] = {
        "first_name": before["first_name"],
        "last_name": before["last_name"],
        "mobiles": [e164(number) for number in before["numbers"]],
        "allow_bulk_sms": before["allow_bulk_sms"],
        # A new tick without a word on its kind settles the kind anew.
        "consent": None if "allow_bulk_sms" in given else Consent(before["consent"]),
        "language": before["language"],
        "time_zone": before["time_zone"],
        "tags": before["tags"],
        "own_fields": orjson.loads(before["own_fields"]),
    }
    changed = {name: getattr(body, name) for name in given if name != "consent_evidence"}
    # What is stored is not judged again: imports and lists may have brought more than one request may.
    return CustomerIn.model_construct(**{**was, **changed})


def _evidence(body: CustomerIn, caller: Caller, before: Evidence) -> Evidence:
    """A word on consent is kept with who said it and when."""
    if not {"consent", "allow_bulk_sms", "consent_evidence"} & body.model_fields_set:
        return before
    given = body.consent_evidence or EvidenceIn()
    return Evidence(given.at or clock.now(), given.how or "api", given.wording, caller.user_id)


def _evidence_of(row: Record) -> Evidence:
    return Evidence(row["consent_at"], row["consent_how"], row["consent_wording"], row["consent_by"])


def _may_be_texted(customer: Customer) -> bool:
    return bool(customer.allow_bulk_sms and customer.mobiles)


async def _shown(tx: Tx, caller: Caller, customer_id: int) -> CustomerOut:
    row = await store.customer_of(tx, caller.tenant_id, customer_id)
    if row is None:
        raise not_found("customer")
    return _out(row)


def _out(row: Record) -> CustomerOut:
    evidence = _evidence_of(row)
    return CustomerOut(
        id=row["customer_id"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        mobiles=[
            MobileOut(number=e164(number), country=country)
            for number, country in zip(row["numbers"], row["countries"], strict=True)
        ],
        allow_bulk_sms=row["allow_bulk_sms"],
        consent=row["consent"],
        consent_evidence=EvidenceOut(at=evidence.at, how=evidence.how, wording=evidence.wording, by=evidence.by),
        opted_out=row["opted_out"],
        language=row["language"],
        time_zone=row["time_zone"],
        tags=row["tags"],
        own_fields=orjson.loads(row["own_fields"]),
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )
