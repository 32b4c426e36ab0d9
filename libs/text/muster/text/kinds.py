"""Numbers of every kind: those that can be texted, and the landlines and short numbers that people give as well."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from phonenumbers import PhoneNumberType

from muster.text.numbers import PREMIUM, SHORT, Number, NumberRefused, Unreachable, judge


class Kind(StrEnum):
    """What a number is that cannot be texted."""

    LANDLINE = "landline"
    VOIP = "voip"
    TOLL_FREE = "toll_free"
    SHARED_COST = "shared_cost"
    PERSONAL = "personal"
    PAGER = "pager"
    COMPANY = "company"
    VOICEMAIL = "voicemail"
    SHORT = "short"


_KINDS: Final = {
    PhoneNumberType.FIXED_LINE: Kind.LANDLINE,
    PhoneNumberType.VOIP: Kind.VOIP,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.SHARED_COST: Kind.SHARED_COST,
    PhoneNumberType.PERSONAL_NUMBER: Kind.PERSONAL,
    PhoneNumberType.PAGER: Kind.PAGER,
    PhoneNumberType.UAN: Kind.COMPANY,
    PhoneNumberType.VOICEMAIL: Kind.VOICEMAIL,
    SHORT: Kind.SHORT,
}


_E164: Final = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)
NO_COUNTRY: Final = NumberRefused("not_a_number", "Write the number in E.164, such as +61491570156.")


@dataclass(frozen=True, slots=True)
class OtherNumber:
    """A number that exists and cannot be texted. value: the digits of its E.164 form; of a short number, which has
    none, the digits that are dialled in its country."""

    value: int
    country: str
    kind: Kind


def read_any_number(written: str, country: str) -> Number | OtherNumber | NumberRefused:
    """The number that `written` means to someone in `country`, whatever its kind; premium and emergency numbers, which
    are nobody's, and what is no number, are refused as `read_number` refuses them."""
    read = judge(written, country)
    if not isinstance(read, Unreachable):
        return read
    if read.type == PhoneNumberType.PREMIUM_RATE:
        return PREMIUM
    return OtherNumber(int(read.e164), read.country, _KINDS[read.type])


def read_asked_number(written: str, country: str) -> str | NumberRefused:
    """The E.164 form of a number by which somebody in `country` ("" where none is known) looks for messages. What has
    that form, with the plus sign or a blank for it (of a query that is not escaped), is taken as it is: messages come
    from numbers that no plan knows."""
    text = f"+{written.strip()}" if written.startswith(" ") else written.strip()
    if _E164.fullmatch(text):
        return text
    read = read_any_number(text, country) if country else NO_COUNTRY
    if not isinstance(read, NumberRefused):
        return f"+{read.value}"
    return f"+{text}" if _E164.fullmatch(f"+{text}") else read
