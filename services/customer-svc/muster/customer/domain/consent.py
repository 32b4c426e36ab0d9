"""Consent to be texted: words on it, what a new one may do to the last, and the chain that proves none is missing.

Every word is kept (table consent_version); the customer's row has the last one on all of their numbers, and
number_consent the last one on a single number, where it came later. A withdrawal is undone by nothing but a later
express consent of the person's own, in words that are kept: not by an import, and not by a tick.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from muster.customer.domain.audience import Reason
from muster.customer.domain.customers import Consent
from muster.customer.domain.refusal import Refusal

HOW_CHARACTERS_MAX: Final = 200
WORDING_CHARACTERS_MAX: Final = 2_000
ADDRESS_CHARACTERS_MAX: Final = 320
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# Clocks of forms and phones are not ours.
_AHEAD_MAX: Final = timedelta(minutes=5)


class Source(StrEnum):
    """Where a word comes from. person: said to somebody of the business; form: typed by the customer themselves;
    upload: a list of numbers that want nothing."""

    PERSON = "person"
    FORM = "form"
    REPLY = "reply"
    LINK = "link"
    COMPLAINT = "complaint"
    UPLOAD = "upload"
    IMPORT = "import"
    API = "api"


OWN_WORD: Final = frozenset((Source.PERSON, Source.FORM, Source.REPLY, Source.LINK))
"""What the customer said themselves, so that it may undo what they said before."""

PERMITTING: Final = frozenset((Consent.EXPRESS, Consent.INFERRED))


@dataclass(frozen=True, slots=True)
class Word:
    """A word on consent, and how it is known. given_by: who gave it, where that is not the customer; address: from
    where, as it was given (IP, e-mail, number)."""

    kind: Consent
    given_at: datetime
    how: str = ""
    wording: str = ""
    given_by: str = ""
    address: str = ""
    source: Source = Source.API

    @property
    def is_own(self) -> bool:
        """Whether it is an express consent of the person's own, in words that are kept."""
        return self.kind is Consent.EXPRESS and self.source in OWN_WORD and bool(self.wording)


@dataclass(frozen=True, slots=True)
class Standing:
    """The word that holds now; given_at None: nobody knows since when."""

    kind: Consent = Consent.NONE
    given_at: datetime | None = None


def judge(now: Standing, word: Word, at: datetime) -> Refusal | None:
    """Why a word may not be recorded at this time; None where it may."""
    if word.given_at > at + _AHEAD_MAX:
        return Refusal("at", "in_the_future", "A word on consent was given before it is recorded.")
    if now.kind is not Consent.WITHDRAWN or word.kind is Consent.WITHDRAWN:
        return None
    if not word.is_own:
        message = (
            "This consent was withdrawn. Only a new express consent of the person's own comes after that: kind express,"
            " source person, form, reply or link, and its wording."
        )
        return Refusal("kind", "consent_withdrawn", message)
    if now.given_at is not None and word.given_at <= now.given_at:
        message = f"The consent was withdrawn at {now.given_at:%Y-%m-%d %H:%M:%S} UTC, after this one was given."
        return Refusal("at", "withdrawn_later", message)
    return None


def why_not(
    *,
    allow_bulk_sms: bool | None,
    consent: Consent,
    number_consent: Consent | None,
    suppressed: bool,
    marketing: bool,
) -> Reason:
    """Why a customer is not texted at a number, as the audience judges it; NONE where they are.

    suppressed: the number, by a suppression that reaches this kind of message.
    """
    allowed = bool(allow_bulk_sms) and (not marketing or consent in PERMITTING)
    if number_consent in PERMITTING:
        allowed = True
    elif number_consent is Consent.NONE and marketing:
        allowed = False
    if not allowed:
        return Reason.NO_CONSENT
    if suppressed:
        return Reason.OPTED_OUT
    return Reason.NO_CONSENT if number_consent is Consent.WITHDRAWN and marketing else Reason.NONE


@dataclass(frozen=True, slots=True)
class Version:
    """One word as it is kept. number: digits, None for all of the customer's; recorded_by: a user or service. salt
    None: the person was erased, and what is personal of it (number, how, wording, given_by, address) with them."""

    version: int
    number: int | None
    kind: str
    allow_bulk_sms: bool | None
    given_at: datetime | None
    how: str
    wording: str
    given_by: str
    address: str
    source: str
    recorded_by: str
    recorded_at: datetime
    salt: bytes | None
    personal_hash: bytes
    hash: bytes


def personal_hash(salt: bytes, one: Version) -> bytes:
    """SHA-256 of the salt and of what is personal of a word, as a JSON array of texts."""
    members = [None if one.number is None else str(one.number), one.how, one.wording, one.given_by, one.address]
    return hashlib.sha256(salt + _json(members)).digest()


def chain_hash(before: bytes, tenant_id: UUID, customer_id: int, one: Version) -> bytes:
    """The hash of a version after the hash of the one before it (b"" before the first): SHA-256 of it and of the
    members that are not personal, with the hash of those that are, as a JSON array of texts, times in microseconds
    since 1970."""
    allow = None if one.allow_bulk_sms is None else str(one.allow_bulk_sms).lower()
    members = [
        *(str(tenant_id), str(customer_id), str(one.version), one.kind, allow, _microseconds(one.given_at), one.source),
        *(one.recorded_by, _microseconds(one.recorded_at), one.personal_hash.hex()),
    ]
    return hashlib.sha256(before + _json(members)).digest()


def first_broken(tenant_id: UUID, customer_id: int, versions: Iterable[Version]) -> int | None:
    """The first version, in their order from 1, that is missing or not what was written; None where all are."""
    before = b""
    for expected, one in enumerate(versions, 1):
        if one.version != expected or chain_hash(before, tenant_id, customer_id, one) != one.hash or _altered(one):
            return expected
        before = one.hash
    return None


def _altered(one: Version) -> bool:
    """Whether what is personal of a word is not what was written; that of an erased person is gone, all of it."""
    if one.salt is None:
        return one.number is not None or bool(one.how or one.wording or one.given_by or one.address)
    return personal_hash(one.salt, one) != one.personal_hash


def _json(members: list[str | None]) -> bytes:
    return json.dumps(members, ensure_ascii=False).encode()


def _microseconds(at: datetime | None) -> str | None:
    return None if at is None else str((at - _EPOCH) // _MICROSECOND)
