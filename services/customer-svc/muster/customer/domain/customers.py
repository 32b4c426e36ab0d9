"""A customer: names, mobile numbers, own fields, and what they consented to."""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeVar
from uuid import UUID
from zoneinfo import available_timezones

from muster.customer.domain.fields import clean_lines
from muster.customer.domain.refusal import Refusal
from muster.text import (
    Column,
    Kind,
    Number,
    NumberRefused,
    number_hash,
    number_hasher,
    read_any_column,
    read_any_number,
    read_column,
    read_number,
)
from muster.text import OtherNumber as AnyNumber
from muster.text.magic import read_magic
from muster.text.merge import clean_value

NAME_CHARACTERS_MAX: Final = 200
OWN_FIELDS_MAX: Final = 100
VALUE_CHARACTERS_MAX: Final = 2_000
MOBILES_MAX: Final = 10
NUMBERS_MAX: Final = 20
TYPED_CHARACTERS_MAX: Final = 64
TAGS_MAX: Final = 50
TAG_CHARACTERS_MAX: Final = 100
_UNSEEN: Final = frozenset({"Cc", "Cs"})
STANDARD_FIELDS: Final = ("first_name", "last_name", "language")
_Other = TypeVar("_Other")
_SEPARATOR: Final = "\x1f"  # no stored value can hold it: clean_value takes control characters out


class Consent(StrEnum):
    """What kind of consent there is; only the first two allow marketing."""

    EXPRESS = "express"
    INFERRED = "inferred"
    NONE = "none"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Mobile:
    """A number that can be texted: digits of its E.164 form, its country, and the tenant's keyed hash of it. typed: as
    somebody wrote it; "" where it came as E.164."""

    number: int
    country: str
    number_hash: bytes
    typed: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class OtherNumber:
    """A number that is kept and never texted, as somebody wrote it. number: digits of its E.164 form, or those that are
    dialled where it is a short one."""

    number: int
    country: str
    kind: Kind
    typed: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Customer:
    """What is known of a customer, cleaned. `allow_bulk_sms` None means that nobody said so: no SMS. time_zone: an IANA
    name; "" for as their number says."""

    first_name: str = ""
    last_name: str = ""
    mobiles: tuple[Mobile, ...] = ()
    allow_bulk_sms: bool | None = None
    consent: Consent = Consent.NONE
    language: str = ""
    tags: tuple[str, ...] = ()
    own_fields: Mapping[str, str] = field(default_factory=dict)
    time_zone: str = ""
    others: tuple[OtherNumber, ...] = ()


@dataclass(frozen=True, slots=True)
class NumberReader:
    """Reads numbers as the people of one tenant write them."""

    tenant_id: UUID
    country: str
    hash_key: bytes
    hash_generation: int
    sandbox: bool = False

    def read(self, written: str) -> Mobile | NumberRefused:
        """The mobile that `written` means in the tenant's country. A magic number is a sandbox's alone, and counts as
        one of its own country: at its price, by its rules."""
        magic = self._magic(written)
        if magic is not None:
            return magic
        number = read_number(written, self.country)
        return number if isinstance(number, NumberRefused) else self._mobile(number, written)

    def read_any(self, written: str) -> Mobile | OtherNumber | NumberRefused:
        """The same, and what is no mobile as what it is: a landline, a short number; premium and emergency numbers are
        nobody's."""
        magic = self._magic(written)
        if magic is not None:
            return magic
        number = read_any_number(written, self.country)
        if isinstance(number, Number):
            return self._mobile(number, written)
        if isinstance(number, NumberRefused):
            return number
        return self._other(number, written)

    def read_column(self, written: Sequence[str]) -> list[Mobile | NumberRefused]:
        """What `read` says of each, for a fraction of what so many calls of it take."""
        if self.sandbox:  # where any number may be a magic one, and there are few
            return [self.read(one) for one in written]
        column = read_column(written, self.country)
        return self._rows_of(column, written, column.others)

    def read_any_column(self, written: Sequence[str]) -> list[Mobile | OtherNumber | NumberRefused]:
        """What `read_any` says of each, for a fraction of what so many calls of it take."""
        if self.sandbox:
            return [self.read_any(one) for one in written]
        column = read_any_column(written, self.country)
        others = {
            row: one if isinstance(one, NumberRefused) else self._other(one, written[row])
            for row, one in column.others.items()
        }
        return self._rows_of(column, written, others)

    def _rows_of(
        self, column: Column[Any], written: Sequence[str], others: Mapping[int, _Other]
    ) -> list[Mobile | _Other]:
        hashed = number_hasher(self.hash_key, self.hash_generation, self.tenant_id)
        return [
            Mobile(int(e164), country, hashed(e164), "" if text == e164 else _typed(text)) if country else others[row]
            for row, (text, e164, country) in enumerate(zip(written, column.e164, column.countries, strict=True))
        ]

    def _magic(self, written: str) -> Mobile | None:
        magic = read_magic(written, self.country) if self.sandbox else None
        return None if magic is None else Mobile(magic, self.country, self.hash(f"+{magic}"), _typed(written))

    def _mobile(self, number: Number, written: str) -> Mobile:
        typed = "" if written == number.e164 else _typed(written)
        return Mobile(number.value, number.country, self.hash(number.e164), typed)

    def _other(self, number: AnyNumber, written: str) -> OtherNumber:
        return OtherNumber(number.value, number.country, number.kind, _typed(written) or str(number.value))

    def hash(self, e164: str) -> bytes:
        """The tenant's keyed hash of an E.164 number with its plus sign."""
        return number_hash(self.hash_key, self.hash_generation, self.tenant_id, e164)


def read_mobiles(reader: NumberReader, written: Sequence[str]) -> tuple[Mobile, ...] | list[Refusal]:
    """The distinct mobiles in the order given, or each one that is none, named `mobiles[i]`."""
    mobiles: dict[int, Mobile] = {}
    refusals = []
    for position, text in enumerate(written):
        mobile = reader.read(text)
        if isinstance(mobile, NumberRefused):
            refusals.append(Refusal(f"mobiles[{position}]", mobile.code, mobile.message))
        else:
            mobiles.setdefault(mobile.number, mobile)
    return refusals or tuple(mobiles.values())


def read_numbers(
    reader: NumberReader, written: Sequence[str]
) -> tuple[tuple[Mobile, ...], tuple[OtherNumber, ...]] | list[Refusal]:
    """The distinct mobiles and the distinct other numbers, each in the order given; or each text that is no number of
    anybody, named `numbers[i]`."""
    mobiles: dict[int, Mobile] = {}
    others: dict[tuple[int, Kind], OtherNumber] = {}
    refusals = []
    for position, text in enumerate(written):
        number = reader.read_any(text)
        if isinstance(number, NumberRefused):
            refusals.append(Refusal(f"numbers[{position}]", number.code, number.message))
        elif isinstance(number, Mobile):
            mobiles.setdefault(number.number, number)
        else:
            others.setdefault((number.number, number.kind), number)
    if len(mobiles) > MOBILES_MAX:
        message = f"A customer has at most {MOBILES_MAX} numbers that can be texted."
        refusals.append(Refusal("numbers", "too_many", message))
    return refusals or (tuple(mobiles.values()), tuple(others.values()))


def _typed(written: str) -> str:
    return clean_value(written)[:TYPED_CHARACTERS_MAX].strip()


def read_time_zone(written: str) -> str | Refusal:
    """The time zone that is meant; "" for none."""
    name = clean_value(written)
    if name in _time_zones():
        return name
    return Refusal("time_zone", "time_zone_not_known", "Write an IANA name such as Australia/Perth.")


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"localtime", "posixrules", "Factory"} | {""}


def settle_consent(*, allow_bulk_sms: bool | None, consent: Consent | None) -> tuple[bool | None, Consent]:
    """What is stored when one of the two is said without the other.

    A tick without a kind is inferred consent, the weaker one: it claims no evidence. Withdrawn consent allows nothing.
    """
    if consent is Consent.WITHDRAWN:
        return False, consent
    if consent is None:
        return allow_bulk_sms, Consent.INFERRED if allow_bulk_sms else Consent.NONE
    return allow_bulk_sms, consent


def match_key(first_name: str, last_name: str, numbers: Iterable[int], own_fields: Mapping[str, str]) -> bytes:
    """16 bytes that are equal for the same person imported twice: names and set of numbers.

    Without a number names alone would merge strangers, so the own fields count too.
    """
    parts = [first_name.casefold(), last_name.casefold(), *map(str, sorted(numbers))]
    if len(parts) == 2:
        parts += [f"{key}={value}" for key, value in sorted(own_fields.items())]
    return hashlib.blake2b(_SEPARATOR.join(parts).encode(), digest_size=16).digest()


def key_of(customer: Customer) -> bytes:
    """The match key of a customer, by all of their numbers."""
    numbers = [*(mobile.number for mobile in customer.mobiles), *(other.number for other in customer.others)]
    return match_key(customer.first_name, customer.last_name, numbers, customer.own_fields)


def field_key(name: str) -> str:
    """The name of an own field as merge fields write it: "Pet's name" is "pets_name". Empty if nothing is left."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" if c in " -_./" else "" for c in name.strip().lower())
    joined = "_".join(part for part in plain.split("_") if part)[:64]
    return f"field_{joined}"[:64] if joined[:1].isdigit() else joined


def read_own_fields(given: Mapping[str, str]) -> dict[str, str] | list[Refusal]:
    """Own fields by key with their lines cleaned, blank ones left out; or each one that cannot be stored. What becomes
    of line breaks is judged by the kind of each (domain/fields.py)."""
    fields: dict[str, str] = {}
    refusals = []
    for name, value in given.items():
        key = field_key(name)
        if any(unicodedata.category(c) in _UNSEEN for c in name):
            # What nobody sees would be left out, and the field be another one than was named.
            message = "The name of an own field has no control character and no half of a surrogate pair."
            refusals.append(Refusal(f"own_fields.{name[:64]}", "bad_name", message))
        elif not key or key in STANDARD_FIELDS:
            message = f"'{name[:64]}' cannot be the name of an own field."
            refusals.append(Refusal(f"own_fields.{name[:64]}", "bad_name", message))
        elif len(value) > VALUE_CHARACTERS_MAX:
            message = f"A value has at most {VALUE_CHARACTERS_MAX} characters."
            refusals.append(Refusal(f"own_fields.{name[:64]}", "too_long", message))
        elif key in fields:
            message = f"Two names are both read as '{key}'."
            refusals.append(Refusal(f"own_fields.{name[:64]}", "repeated_name", message))
        elif cleaned := clean_lines(value):
            fields[key] = cleaned
    return refusals or fields


def read_tags(given: Iterable[str]) -> tuple[str, ...]:
    """Tags cleaned, distinct, in the order given."""
    return tuple(dict.fromkeys(tag for tag in map(clean_value, given) if tag))
