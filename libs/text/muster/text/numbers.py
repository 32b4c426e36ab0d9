"""Mobile numbers as people write them, to E.164.

Ranges that are known settle the common ones, the pattern of `muster.text.numbering` those of a new range, phonenumbers
the rest. Which can be texted: types MOBILE and FIXED_LINE_OR_MOBILE of phonenumbers.
"""

import hashlib
import re
import unicodedata
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

import phonenumbers
from phonenumbers import PhoneNumberType, shortnumberinfo

from muster.text.learned import FREE_DIGITS, TEXTABLE_TYPES, Found, learn, learned, other_of, ranges_of
from muster.text.numbering import Textable, read_international, read_national

WRITTEN_CHARACTERS_MAX: Final = 64
DIGITS_MAX: Final = 15  # E.164
HASH_BYTES: Final = 16
SHORT: Final = 1_000
"""Beside the types of phonenumbers."""
UNKNOWN_COUNTRY: Final = "ZZ"
_RANGE: Final = 10_000
_DIALLED_DIGITS_MAX: Final = 20  # 15 and an international prefix before them

_SEPARATORS: Final = b" \t-.()"
_FLOAT: Final = re.compile(r"\+?\d{8,}\.0+")
_SCIENTIFIC: Final = re.compile(r"\+?(\d)(?:[.,](\d+))?[eE]\+?(\d{1,2})")
_SEVERAL: Final = re.compile(r"\d[\s)]*(?:[/;,&|\n]|\bor\b|\band\b)[\s(]*\+?[\d(]", re.IGNORECASE)
_SPACES_AND_DASHES: Final = re.compile(r"[\s.()\-\u2010-\u2015\u2043\u2212\ufe58\ufe63\u00b7\u30fc]+")
_DIGITS: Final = re.compile(r"\+?[0-9]+")


class Number(NamedTuple):
    """A number that can be texted. country: ISO 3166 alpha-2, or "001" for non-geographic codes."""

    e164: str
    country: str

    @property
    def value(self) -> int:
        """The digits as an integer, which fits a bigint."""
        return int(self.e164)


# What Number(...) does, in a third of its time: a million are read at a time.
_number: Final[Callable[[Textable], Number]] = partial(tuple.__new__, Number)
_HEAD: Final = -FREE_DIGITS
_NO_NUMBER: Final = Found("", "", PhoneNumberType.UNKNOWN)


class Unreachable(NamedTuple):
    """A number that exists and cannot be texted. type: of phonenumbers, or SHORT, whose digits are no E.164 but what is
    dialled."""

    e164: str
    country: str
    type: int


@dataclass(frozen=True, slots=True)
class NumberRefused:
    """Why a number was not taken.

    code: "empty", "not_a_number", "invalid", "not_mobile", "ambiguous", "premium", "emergency" or "too_long". The
    message is for the person who wrote the number and does not repeat it.
    """

    code: str
    message: str


EMPTY: Final = NumberRefused("empty", "The number is empty.")
NOT_A_NUMBER: Final = NumberRefused(
    "not_a_number", "This is not a phone number: it has letters or signs that do not belong in one."
)
INVALID: Final = NumberRefused("invalid", "No such number exists in the numbering plan.")
NOT_MOBILE: Final = NumberRefused("not_mobile", "This is not a mobile number, so it cannot get SMS.")
PREMIUM: Final = NumberRefused("premium", "This is a premium-rate number.")
EMERGENCY: Final = NumberRefused("emergency", "This is an emergency number.")
TOO_LONG: Final = NumberRefused("too_long", f"The number has more than {DIGITS_MAX} digits.")
DIGITS_LOST: Final = NumberRefused("ambiguous", "A spreadsheet has rounded this number and digits are lost.")
SEVERAL: Final = NumberRefused("ambiguous", "There is more than one number here.")
_REFUSED: Final = {PhoneNumberType.PREMIUM_RATE: PREMIUM, SHORT: INVALID}


def read_number(written: str, country: str) -> Number | NumberRefused:
    """The number that `written` means to someone in `country` (ISO 3166 alpha-2, a region of phonenumbers).

    Raises ValueError for an unknown country, which is the caller's fault and not the number's.
    """
    found = judge(written, country)
    return _REFUSED.get(found.type, NOT_MOBILE) if isinstance(found, Unreachable) else found


def judge(written: str, country: str) -> Number | Unreachable | NumberRefused:
    """The same, and what cannot be texted as what it is."""
    ranges = learned.get(country)
    if ranges is None:
        ranges = ranges_of(country)
    known = ranges.get(written[:_HEAD])  # the usual ones, in as few steps as there are
    if known is not None:
        tail = written[_HEAD:]
    else:
        bare = written.replace(" ", "").replace("-", "")
        known, tail = ranges.get(bare[:_HEAD]), bare[_HEAD:]
    if known is not None and tail.isdigit() and tail.isascii():
        return _number((known[0] + tail, known[1]))
    digits = _digits_of(written)
    if not digits:
        return _read_carefully(written, country)
    known = ranges.get(digits[:_HEAD])
    if known is not None:
        return _number((known[0] + digits[_HEAD:], known[1]))
    other = other_of(digits, country) if len(written) <= WRITTEN_CHARACTERS_MAX else None
    if other is not None:
        return _judged(other, digits)
    textable = read_international(digits[1:]) if digits[0] == "+" else read_national(digits, country)
    if textable is None:
        return _read_carefully(written, country)
    learn(digits, country, Found(*textable, PhoneNumberType.MOBILE))
    return _number(textable)


def _digits_of(written: str) -> str:
    """What is dialled, where that is digits with or without a plus sign, and separators; "" leaves it to
    `_read_carefully`."""
    if not written.isascii():
        return ""
    if written[1:].isdigit() and (written[0] == "+" or written[0].isdigit()):
        return written
    if written.rstrip("0")[-1:] == ".":  # a spreadsheet's 412345678.0: its zero is no digit of the number
        return ""
    digits = written.encode("ascii").translate(None, _SEPARATORS).decode("ascii")
    return digits if digits[digits[:1] == "+" :].isdigit() else ""


def mask(e164: str) -> str:
    """A number as logs may show it: +61412345678 is +614*****678."""
    if len(e164) < 9:
        return "*" * len(e164)
    return f"{e164[:4]}{'*' * (len(e164) - 7)}{e164[-3:]}"


def country_of(e164: str | int) -> str:
    """Region of an E.164 number, with or without the plus sign; "001" if non-geographic, "ZZ" if there is none."""
    digits = str(e164).removeprefix("+")
    textable = read_international(digits)
    return textable[1] if textable is not None else _country_by_phonenumbers(digits)


def is_dialled_with_zero(country: str) -> bool:
    """Whether numbers of this country are dialled with a zero first, which a spreadsheet that takes them for amounts
    loses."""
    metadata: Any = phonenumbers.PhoneMetadata.metadata_for_region(country)
    return metadata is not None and metadata.national_prefix == "0"


def is_textable(number: int, country: str) -> bool:
    """Whether digits of E.164 are still a mobile number of a country, by the numbering plans of now: no premium number,
    no other country's. For many at once: a range of ten thousand numbers is looked up once."""
    return _country_of_range(number // _RANGE) == country or _textable_country(number) == country


@lru_cache(maxsize=32_768)
def _country_of_range(digits: int) -> str:
    return _textable_country(digits * _RANGE + _RANGE // 2)


def _textable_country(number: int) -> str:
    digits = str(number)
    textable = read_international(digits)
    if textable is not None:
        return textable[1]
    parsed = _parsed(f"+{digits}", UNKNOWN_COUNTRY)
    found = None if parsed is None else _found(parsed)
    return found.region if found is not None and found.type in TEXTABLE_TYPES else ""


def number_hash(key: bytes, generation: int, tenant_id: uuid.UUID, e164: str) -> bytes:
    """Generation (1 byte), then 16 bytes of BLAKE2b keyed with `key` (at most 64 bytes) over tenant and number.

    The tenant is hashed with the number, so that streams do not join across tenants.
    """
    return number_hasher(key, generation, tenant_id)(e164)


def number_hasher(key: bytes, generation: int, tenant_id: uuid.UUID) -> Callable[[str], bytes]:
    """What gives the `number_hash` of many numbers of a tenant, in half the time that each takes on its own."""
    version = bytes((generation,))
    begun = hashlib.blake2b(tenant_id.bytes, digest_size=HASH_BYTES, key=key)

    def hashed(e164: str) -> bytes:
        digest = begun.copy()
        digest.update(e164.encode("ascii"))
        return version + digest.digest()

    return hashed


def _read_carefully(written: str, country: str) -> Number | Unreachable | NumberRefused:
    if len(written) > WRITTEN_CHARACTERS_MAX:
        return TOO_LONG
    digits = _dialled(written)
    if isinstance(digits, NumberRefused):
        return digits
    if len(digits) > _DIALLED_DIGITS_MAX:
        return TOO_LONG
    parsed = _parsed(digits, country)
    if parsed is None and shortnumberinfo.is_emergency_number(digits, country):
        return EMERGENCY
    if parsed is None and _is_short(digits, country):
        return Unreachable(digits, country, SHORT)
    found = _NO_NUMBER if parsed is None else _found(parsed)
    learn(digits, country, found)
    return _judged(found, digits)


def _dialled(written: str) -> str | NumberRefused:
    """ASCII digits with an optional plus sign."""
    text = _plain(written)
    if not text:
        return EMPTY
    scientific = _SCIENTIFIC.fullmatch(text)
    if scientific is not None:
        return _unrounded(*scientific.groups(default=""))
    if _FLOAT.fullmatch(text):
        text = text.partition(".")[0]
    if _SEVERAL.search(text):
        return SEVERAL
    digits = _SPACES_AND_DASHES.sub("", text)
    return digits if _DIGITS.fullmatch(digits) else NOT_A_NUMBER


def _plain(written: str) -> str:
    """Compatibility forms and all scripts' digits as ASCII; invisible characters of copied contacts gone."""
    text = unicodedata.normalize("NFKC", written)
    characters = [
        str(unicodedata.decimal(c)) if unicodedata.category(c) == "Nd" else c
        for c in text
        if unicodedata.category(c) != "Cf"
    ]
    plain = "".join(characters).strip()
    if plain[:4].lower() == "tel:":
        plain = plain[4:]
    return plain.removeprefix("'").strip()  # the apostrophe with which Excel marks text


def _unrounded(first: str, decimals: str, exponent: str) -> str | NumberRefused:
    """6.1412345678E+10 has all of its digits, 6.14E+10 has lost eight."""
    if len(decimals.rstrip("0")) > int(exponent) or len(decimals) < int(exponent):
        return DIGITS_LOST
    return first + decimals[: int(exponent)]


def _parsed(digits: str, country: str) -> phonenumbers.PhoneNumber | None:
    """What phonenumbers makes of dialled digits, if a numbering plan has it."""
    # 00 is the world's prefix for "abroad", also where the network has another one.
    for form in (digits, f"+{digits[2:]}") if digits.startswith("00") else (digits,):
        try:
            parsed = phonenumbers.parse(form, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            return parsed
    return None


def _is_short(digits: str, country: str) -> bool:
    if digits.startswith(("+", "0")):
        return False
    try:
        parsed = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return False
    return shortnumberinfo.is_valid_short_number_for_region(parsed, country)


def _found(parsed: phonenumbers.PhoneNumber) -> Found:
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    region = phonenumbers.region_code_for_number(parsed) or UNKNOWN_COUNTRY
    return Found(e164, region, phonenumbers.number_type(parsed))


def _judged(found: Found, digits: str) -> Number | Unreachable | NumberRefused:
    if found.type in TEXTABLE_TYPES:
        return Number(found.e164, found.region)
    if found.type == PhoneNumberType.UNKNOWN:
        return TOO_LONG if len(digits.lstrip("+0")) > DIGITS_MAX else INVALID
    return Unreachable(*found)


@lru_cache(maxsize=4096)
def _country_by_phonenumbers(digits: str) -> str:
    try:
        parsed = phonenumbers.parse(f"+{digits}", None)
    except phonenumbers.NumberParseException:
        return UNKNOWN_COUNTRY
    return phonenumbers.region_code_for_number(parsed) or UNKNOWN_COUNTRY
