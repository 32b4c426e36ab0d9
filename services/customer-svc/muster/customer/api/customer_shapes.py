"""A customer as JSON, both ways."""

from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import Field

from muster.customer.api.common import e164
from muster.customer.api.words import EvidenceIn
from muster.customer.domain.customers import (
    MOBILES_MAX,
    NAME_CHARACTERS_MAX,
    NUMBERS_MAX,
    OWN_FIELDS_MAX,
    TAG_CHARACTERS_MAX,
    TAGS_MAX,
    Consent,
)
from muster.kit.http import Flag, Model
from muster.kit.pg import Record
from muster.text import Kind

Name = Annotated[str, Field(max_length=NAME_CHARACTERS_MAX)]
Tag = Annotated[str, Field(min_length=1, max_length=TAG_CHARACTERS_MAX)]
MOBILE = "mobile"


class CustomerIn(Model):
    """A customer. Numbers as people write them; allow_bulk_sms null means that nobody said so: no SMS.

    `numbers` are of any kind, and are all that the customer has; `mobiles` are those that can be texted alone, and
    leave the others as they are.
    """

    first_name: Name = ""
    last_name: Name = ""
    numbers: Annotated[list[str], Field(max_length=NUMBERS_MAX, default_factory=list)]
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


class NumberOut(Model):
    """A number as somebody typed it, in E.164 (of a short one the digits that are dialled), and what it is: `mobile`
    where it can be texted, else landline, voip, toll_free, shared_cost, personal, pager, company, voicemail, short."""

    typed: str
    number: str
    country: str
    kind: str
    textable: bool


class EvidenceOut(Model):
    """When, how and in which words consent was given, who recorded it, who gave it where that was not the customer,
    from which address, and by which way."""

    at: datetime | None
    how: str
    wording: str
    by: str
    given_by: str
    address: str
    source: str


class CustomerOut(Model):
    """A customer. opted_out: a number of theirs is suppressed. version: counts their changes; the answer's ETag.
    merged_into: the customer who has their numbers now."""

    id: int
    version: int
    first_name: str
    last_name: str
    numbers: list[NumberOut]
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
    archived_at: datetime | None
    merged_into: int | None


class ChangeOut(Model):
    """What one version of a customer has changed, by the names of what it changed."""

    version: int
    fields: list[str]
    changed_at: datetime
    changed_by: str


def shown(row: Record) -> CustomerOut:
    """The customer of a row of the store."""
    return CustomerOut(
        id=row["customer_id"],
        numbers=[NumberOut(**one) for one in _numbers(row)],
        mobiles=[
            MobileOut(number=e164(number), country=country)
            for number, country in zip(row["numbers"], row["countries"], strict=True)
        ],
        consent_evidence=EvidenceOut(**{name: row[f"consent_{name}"] for name in EvidenceOut.model_fields}),
        own_fields=orjson.loads(row["own_fields"]),
        **{name: row[name] for name in _AS_STORED},
    )


_AS_STORED = (
    *("version", "first_name", "last_name", "allow_bulk_sms", "consent", "opted_out", "language", "time_zone", "tags"),
    *("created_at", "changed_at", "archived_at", "merged_into"),
)


def _numbers(row: Record) -> list[dict[str, Any]]:
    mobiles = zip(row["numbers"], row["countries"], row["typed"], strict=True)
    others = zip(row["other_numbers"], row["other_countries"], row["other_kinds"], row["other_typed"], strict=True)
    return [
        *(
            {"typed": typed or e164(number), "number": e164(number), "country": country, "kind": MOBILE}
            | {"textable": True}
            for number, country, typed in mobiles
        ),
        *(
            {"typed": typed, "number": str(number) if kind == Kind.SHORT else e164(number), "country": country}
            | {"kind": kind, "textable": False}
            for number, country, kind, typed in others
        ),
    ]
