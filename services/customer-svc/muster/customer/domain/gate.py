"""Whether a send may pass its checks, and the list of them that is signed and kept with it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from muster.customer.domain.compliance import Check, Status
from muster.customer.domain.refusal import Refusal

REASON_CHARACTERS_MAX: Final = 500
BLOCKED: Final = "checks_blocked"
HOW_TO_VERIFY: Final = (
    "The signature is Ed25519 (RFC 8032) by public_key, both in hexadecimal, over `signed` as UTF-8: JSON with its"
    " members in the order of their names, without white space, and characters beyond ASCII as they are."
)
_FORMAT: Final = 1
_NAMED_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Override:
    """A check of a country that an admin overrides, and why."""

    check: str
    country: str
    reason: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Who answers for a send. by: the id of the user or key; schedule_id: of the schedule whose start it is."""

    at: datetime
    by: str
    role: str
    schedule_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is sent, as it was quoted. texts: by language, the first for all others; message_class: as the API names
    it."""

    tenant_id: UUID
    bulk_id: UUID
    quote_id: UUID
    quoted_at: datetime
    message_class: str
    sender: str
    texts: Sequence[str]
    recipients: int
    credits: int


def judge_overrides(checks: Sequence[Check], overrides: Sequence[Override]) -> list[Refusal]:
    """What is wrong with overrides of these checks."""
    return [fault for index, one in enumerate(overrides) if (fault := _fault(checks, overrides, index, one))]


def blocked(checks: Sequence[Check], overrides: Sequence[Override]) -> Refusal | None:
    """Why a send with these checks is not taken; None where nothing blocks it, or all that does is overridden."""
    named = {(one.check, one.country) for one in overrides}
    left = [one for one in checks if one.status is Status.BLOCKED and (one.check, one.country) not in named]
    if not left:
        return None
    words = [f"{one.check} ({one.country}): {one.message}" for one in left[:_NAMED_MAX]]
    words += [f"And {len(left) - _NAMED_MAX} more."] if len(left) > _NAMED_MAX else []
    return Refusal("quote_id", BLOCKED, " ".join(words), {"checks": [one.plain() for one in left]})


def _fault(checks: Sequence[Check], overrides: Sequence[Override], index: int, one: Override) -> Refusal | None:
    field, name = f"overrides.{index}", f"{one.check} ({one.country})"
    found = next((check for check in checks if (check.check, check.country) == (one.check, one.country)), None)
    if found is None:
        return Refusal(field, "no_such_check", f"this send has no check {name}")
    if found.absolute:
        return Refusal(field, "absolute_right", f"nobody overrides {name}: it is the right of those who are texted")
    if found.status is not Status.BLOCKED:
        return Refusal(field, "nothing_to_override", f"{name} keeps nothing back: it is {found.status.value}")
    if any((other.check, other.country) == (one.check, one.country) for other in overrides[:index]):
        return Refusal(field, "named_twice", f"{name} is named twice")
    if not one.reason.strip() or not one.reason.isprintable():
        return Refusal(f"{field}.reason", "no_reason", "says why, in plain words on one line")
    return None


def signed_list(
    subject: Subject, checks: Sequence[Check], overrides: Sequence[Override], confirmed: Confirmed, key: bytes
) -> dict[str, Any]:
    """What is signed: JSON of texts, integers, lists and objects. The texts are in it as a digest by `key` alone, so
    that it stays whole when they are erased, and tells nobody what they were."""
    return {
        "format": _FORMAT,
        "tenant_id": str(subject.tenant_id),
        "bulk_id": str(subject.bulk_id),
        "quote_id": str(subject.quote_id),
        "quoted_at": _moment(subject.quoted_at),
        "class": subject.message_class,
        "sender": subject.sender,
        "text_digest": text_digest(subject.texts, key),
        "recipients": subject.recipients,
        "credits": subject.credits,
        "checks": [{name: value for name, value in one.plain().items() if name != "found"} for one in checks],
        "overrides": [
            {"check": one.check, "country": one.country, "reason": one.reason.strip(), "by": confirmed.by}
            for one in overrides
        ],
        "confirmed_at": _moment(confirmed.at),
        "confirmed_by": confirmed.by,
        "role": confirmed.role,
        "schedule_id": None if confirmed.schedule_id is None else str(confirmed.schedule_id),
    }


def text_digest(texts: Sequence[str], key: bytes) -> str:
    """Hexadecimal; equal for equal texts under one key."""
    return hashlib.blake2b(
        octets_of({"texts": list(texts)}), digest_size=32, key=key[:64], person=b"checked-text"
    ).hexdigest()


def octets_of(signed: Mapping[str, Any]) -> bytes:
    """What is signed, as the octets that the signature is over."""
    return json.dumps(signed, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8", "replace")


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
