"""What a request says of a customer, read into the customer as it will be; 422 for all that is wrong with it."""

import dataclasses
import re
from typing import Any

from fastapi import Request

from muster.customer.api.common import problem_of, reader_of, tenant_of
from muster.customer.api.customer_shapes import ChangeOut, CustomerIn
from muster.customer.api.words import EvidenceIn
from muster.customer.domain.consent import Standing, judge
from muster.customer.domain.customers import (
    Consent,
    Customer,
    NumberReader,
    field_key,
    read_mobiles,
    read_numbers,
    read_own_fields,
    read_tags,
    read_time_zone,
    settle_consent,
)
from muster.customer.domain.fields import judge_values
from muster.customer.domain.refusal import Refusal
from muster.customer.store import customers as store
from muster.customer.store import fields
from muster.customer.store.customers import Evidence
from muster.kit import clock
from muster.kit.auth import Caller, Tx
from muster.kit.pg import Record
from muster.kit.problems import Problem, conflict, unprocessable
from muster.text.merge import clean_value

_CHANGES_SHOWN_MAX = 50
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,18})"', re.ASCII)


async def read_customer(request: Request, tx: Tx, caller: Caller, body: CustomerIn, before: Customer) -> Customer:
    """The customer with what the body gives; what is stored already is not judged again."""
    reader = reader_of(request, await tenant_of(request, tx, caller.tenant_id))
    kinds = await fields.kinds_of_fields(tx, caller.tenant_id) if body.own_fields else {}
    refusals: list[Refusal] = []
    changes: dict[str, Any] = {
        **_numbers(reader, body, refusals),
        **_texts(body),
        **_consent(body, before),
    }
    if "own_fields" in body.model_fields_set:
        own = read_own_fields(body.own_fields)
        judged = own if isinstance(own, list) else judge_values(kinds, own)
        changes |= _taken("own_fields", judged, refusals)
        new = changes.get("own_fields", {}).keys() - kinds
        names = {field_key(name): clean_value(name) for name in body.own_fields if field_key(name) in new}
        await fields.keep_fields(tx, caller.tenant_id, names, caller.user_id)
    if "time_zone" in body.model_fields_set:
        changes |= _taken("time_zone", read_time_zone(body.time_zone), refusals)
    if refusals:
        raise problem_of(refusals[0] if len(refusals) == 1 else refusals)
    after = dataclasses.replace(before, **changes)
    if not any((after.first_name, after.last_name, after.mobiles, after.others, after.own_fields)):
        raise problem_of(Refusal("first_name", "nobody", "A customer has a name or a number."))
    return after


def _numbers(reader: NumberReader, body: CustomerIn, refusals: list[Refusal]) -> dict[str, Any]:
    given = body.model_fields_set
    if {"numbers", "mobiles"} <= given:
        refusals.append(Refusal("numbers", "numbers_or_mobiles", "Give numbers or mobiles, not both."))
    elif "mobiles" in given:
        return _taken("mobiles", read_mobiles(reader, body.mobiles), refusals)
    elif "numbers" in given:
        read = read_numbers(reader, body.numbers)
        if not isinstance(read, list):
            return {"mobiles": read[0], "others": read[1]}
        refusals.extend(read)
    return {}


def _texts(body: CustomerIn) -> dict[str, Any]:
    named = body.model_fields_set & {"first_name", "last_name", "language"}
    texts: dict[str, Any] = {name: clean_value(getattr(body, name)) for name in named}
    return texts | ({"tags": read_tags(body.tags)} if "tags" in body.model_fields_set else {})


def _consent(body: CustomerIn, before: Customer) -> dict[str, Any]:
    given = body.model_fields_set
    if not {"allow_bulk_sms", "consent"} & given:
        return {}
    allow = body.allow_bulk_sms if "allow_bulk_sms" in given else before.allow_bulk_sms
    if before.consent is Consent.WITHDRAWN and "consent" not in given and not allow:
        return {}
    # A new tick without a word on its kind settles the kind anew.
    settled = settle_consent(allow_bulk_sms=allow, consent=body.consent)
    return dict(zip(("allow_bulk_sms", "consent"), settled, strict=True))


def _taken(name: str, read: Any, refusals: list[Refusal]) -> dict[str, Any]:
    if isinstance(read, Refusal):
        refusals.append(read)
    elif isinstance(read, list):
        refusals.extend(read)
    else:
        return {name: read}
    return {}


def said_of_consent(body: CustomerIn) -> bool:
    """Whether there is a word on consent."""
    return bool({"consent", "allow_bulk_sms", "consent_evidence"} & body.model_fields_set)


def read_evidence(body: CustomerIn, caller: Caller, before: Evidence) -> Evidence:
    """A word on consent is kept with who said it and when."""
    if not said_of_consent(body):
        return before
    word = (body.consent_evidence or EvidenceIn()).word(Consent.NONE)
    told = (word.given_by, word.address, word.source)
    return Evidence(word.given_at, word.how or "api", word.wording, caller.user_id, *told)


def refuse_undoing(body: CustomerIn, before: Customer, was: Evidence, after: Customer, given: Evidence) -> None:
    """422 where a word on consent would undo a withdrawal and may not."""
    if not said_of_consent(body):
        return
    refusal = judge(Standing(before.consent, was.at), given.word(after.consent), clock.now())
    if refusal is not None:
        field = {"kind": "consent", "at": "consent_evidence.at"}[refusal.field]
        raise problem_of(Refusal(field, refusal.code, refusal.message))


def evidence_of(row: Record) -> Evidence:
    """The evidence of a row of the store."""
    names = ("at", "how", "wording", "by", "given_by", "address", "source")
    return Evidence(*(row[f"consent_{name}"] for name in names))


def changed_fields(before: Customer, after: Customer, evidence: tuple[Evidence, Evidence]) -> list[str]:
    """The names of what differs, as the API has them."""
    names = [one.name for one in dataclasses.fields(Customer) if getattr(before, one.name) != getattr(after, one.name)]
    if _typed(before) != _typed(after):
        names.append("mobiles")
    if evidence[0] != evidence[1]:
        names.append("consent_evidence")
    return list(dict.fromkeys("numbers" if name in {"mobiles", "others"} else name for name in names))


def _typed(customer: Customer) -> list[str]:
    return [mobile.typed for mobile in customer.mobiles] + [other.typed for other in customer.others]


def wanted_version(if_match: str | None, of: str = "a customer") -> int | None:
    """The version that an If-Match names; None where there is none, or any one will do. Problem 422 on rubbish."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise unprocessable("If-Match", "not_valid", f'is not the ETag of {of}, such as "3"')
    return int(found[1])


async def refuse_changed(tx: Tx, caller: Caller, row: Record, wanted: int | None) -> None:
    """412 with what was changed, where the customer is not as the caller has seen them; 409 for one who was merged."""
    if row["merged_into"] is not None:
        raise conflict(
            "customer_merged",
            "This customer was merged into another one",
            f"Their numbers and tags are those of customer {row['merged_into']} now.",
            merged_into=row["merged_into"],
        )
    if wanted is None or wanted == row["version"]:
        return
    changes = await store.changes_since(tx, caller.tenant_id, row["customer_id"], wanted, _CHANGES_SHOWN_MAX)
    seen = [ChangeOut(**one).model_dump(mode="json") for one in changes]
    names = sorted({name for one in seen for name in one["fields"]})
    what = f": {', '.join(names)}" if names else ", by an import"
    raise Problem(
        412,
        "changed_meanwhile",
        "Somebody has changed this customer meanwhile",
        f"You have version {wanted}; it is version {row['version']} now{what}. Nothing of yours was stored.",
        version=row["version"],
        changes=seen,
    )
