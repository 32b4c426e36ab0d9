"""The file that proves one customer's consent: as JSON, as CSV, and as a text to print."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from muster.customer.domain.consent import Version
from muster.customer.domain.suppression import Scope
from muster.kit.pg import Record
from muster.text.cells import csv_lines

HOW_TO_CHECK: Final = (
    "Each hash is the SHA-256 of the hash of the version before it (nothing before the first) and of a JSON array of"
    " texts: tenant, customer, version, kind, allow_bulk_sms, at, source, recorded_by, recorded_at, personal_hash;"
    " times in microseconds since 1970 UTC, hashes in hexadecimal, null where there is none. personal_hash is the"
    " SHA-256 of the salt and of a JSON array of texts: number in digits, how, wording, given_by, address. Of an"
    " erased person these and the salt are gone, and the chain is checked without them."
)
_VERSION: Final = (
    *("version", "number", "kind", "allow_bulk_sms", "at", "at_is", "how", "wording", "given_by", "address", "source"),
    *("recorded_by", "recorded_at", "salt", "personal_hash", "hash"),
)
_MADE: Final = ("number", "at", "at_is", "salt", "personal_hash", "hash")
_SUPPRESSION: Final = (
    *("number", "version", "suppressed", "scope", "at", "source", "inbound_id", "reason", "wording", "address"),
    *("recorded_by", "recorded_at"),
)


@dataclass(frozen=True, slots=True)
class Chain:
    """The words that were kept under one id. first_broken: the first that is missing or was changed; None: none is."""

    customer_id: int
    versions: Sequence[Version]
    first_broken: int | None

    @property
    def said(self) -> str:
        """Whether all words are there as they were written."""
        if self.first_broken is None:
            return f"whole: {len(self.versions)} versions without a gap, each as it was written"
        return f"broken at version {self.first_broken}: it is missing, or not what was written"

    @property
    def words(self) -> list[dict[str, Any]]:
        """Each word, by the names of the API. at_is: "given", or "recorded" where the file of an import did not say
        when it was given."""
        return [
            {
                **{name: getattr(one, name) for name in _VERSION if name not in _MADE},
                "number": None if one.number is None else f"+{one.number}",
                "at": one.given_at,
                "at_is": "recorded" if _is_recorded(one) else "given",
                "salt": None if one.salt is None else one.salt.hex(),
                "personal_hash": one.personal_hash.hex(),
                "hash": one.hash.hex(),
            }
            for one in self.versions
        ]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the file says. name None: the customer was removed. merged: the words on those who were merged into the
    customer, under the ids that they had; merged_into: who this customer is now."""

    tenant_id: UUID
    business: str
    name: str | None
    numbers: Sequence[tuple[str, bytes]]
    made_at: datetime
    made_by: str
    chain: Chain
    merged: Sequence[Chain]
    merged_into: int | None
    suppressions: Sequence[Record]

    @property
    def stops(self) -> list[dict[str, Any]]:
        """What was said of the numbers; number null: one that the customer has no more, or whose words are gone."""
        known = {number_hash: number for number, number_hash in self.numbers}
        return [
            {
                "number": known.get(bytes(row["number_hash"])),
                "number_hash": row["number_hash"].hex(),
                "version": row["version"],
                "suppressed": row["suppressed"],
                "scope": "all" if row["scope"] == Scope.ALL else "marketing",
                "at": row["given_at"],
                "source": row["source"],
                "inbound_id": row["inbound_id"],
                "reason": row["reason"],
                "wording": row["wording"],
                "address": row["address"],
                "recorded_by": row["changed_by"],
                "recorded_at": row["changed_at"],
            }
            for row in self.suppressions
        ]


def as_json(evidence: Evidence) -> bytes:
    """The file for programs."""
    document = {
        "tenant_id": evidence.tenant_id,
        "business": evidence.business,
        "customer_id": evidence.chain.customer_id,
        "merged_into": evidence.merged_into,
        "name": evidence.name,
        "numbers": [number for number, _ in evidence.numbers],
        "made_at": evidence.made_at,
        "made_by": evidence.made_by,
        **_chained(evidence.chain),
        "merged": [{"customer_id": one.customer_id, **_chained(one)} for one in evidence.merged],
        "suppressions": evidence.stops,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def _chained(chain: Chain) -> dict[str, Any]:
    first = chain.first_broken
    return {"chain": {"whole": first is None, "first_broken": first, "how": HOW_TO_CHECK}, "consents": chain.words}


def as_csv(evidence: Evidence) -> bytes:
    """A row for each word, then a row for each word on a number; RFC 4180, no cell is read as a formula."""
    columns = ("record", "customer_id", *dict.fromkeys((*_VERSION, *_SUPPRESSION)))
    rows: list[dict[str, Any]] = [
        {"record": "consent", "customer_id": chain.customer_id, **word}
        for chain in (evidence.chain, *evidence.merged)
        for word in chain.words
    ]
    rows += [{"record": "suppression", **stop} for stop in evidence.stops]
    return csv_lines([columns, *([row.get(name) for name in columns] for row in rows)]).encode()


def as_text(evidence: Evidence) -> bytes:
    """A page to print."""
    lines = [
        f"Evidence of consent of customer {evidence.chain.customer_id}",
        f"Business: {evidence.business} ({evidence.tenant_id})",
        f"Customer: {'removed' if evidence.name is None else evidence.name}",
        f"Numbers: {', '.join(number for number, _ in evidence.numbers) or 'none'}",
        f"Made: {_shown(evidence.made_at)} by {evidence.made_by}",
        *([f"Merged into: customer {evidence.merged_into}"] if evidence.merged_into else []),
        *_words_of(evidence.chain),
    ]
    for chain in evidence.merged:
        lines += ["", f"Merged into this one: customer {chain.customer_id}", *_words_of(chain)]
    lines += ["", "Suppressions of the numbers" if evidence.stops else "No number was ever suppressed."]
    for one in evidence.stops:
        state = f"stopped ({one['scope']})" if one["suppressed"] else "lifted"
        lines += ["", f"{one['number'] or one['number_hash']}, {one['version']}. {state}"]
        lines += _named(one, _SUPPRESSION[4:])
    return ("\n".join((*lines, "", HOW_TO_CHECK)) + "\n").encode()


def _words_of(chain: Chain) -> list[str]:
    lines = [f"Chain of versions: {chain.said}"]
    for one in chain.words:
        about = one["number"] or "all numbers"
        lines += ["", f"{one['version']}. {one['kind']} ({about}), {one['at_is']} {_shown(one['at'])}"]
        lines += _named(one, ("how", "wording", "given_by", "address", "source", "recorded_by", "recorded_at"))
        lines += _named(one, ("salt", "personal_hash", "hash"))
    return lines


def _is_recorded(one: Version) -> bool:
    return one.source == "import" and one.given_at == one.recorded_at


def _named(one: dict[str, Any], names: Sequence[str]) -> list[str]:
    return [f"   {name.replace('_', ' ')}: {_shown(one[name])}" for name in names if one[name] not in ("", None)]


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    return "at a time that is not known" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Format:
    """A form of the file."""

    media_type: str
    suffix: str
    render: Callable[[Evidence], bytes]


FORMATS: Final = {
    "application/json": Format("application/json", "json", as_json),
    "text/csv": Format("text/csv; charset=utf-8", "csv", as_csv),
    "text/plain": Format("text/plain; charset=utf-8", "txt", as_text),
}


def format_of(accept: str) -> Format:
    """The form that somebody accepts; JSON unless they ask for another."""
    return next((one for media_type, one in FORMATS.items() if media_type in accept), FORMATS["application/json"])
