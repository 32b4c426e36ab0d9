"""What was found out of ranges of numbers: where the last digits do not matter, one number speaks for all of its range.

Nearly all numbers of the world are given out in such ranges, and what is too long or too short is so whatever it ends
with. The rules followed here are those of phonenumberutil (9.0): `parse`, `_maybe_extract_country_code`,
`_maybe_strip_national_prefix_carrier_code`, `_number_type_helper`, and of shortnumberinfo.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberType

from muster.text import ranges
from muster.text.numbering import SPECIAL_TYPES, calling_code_of, is_region, metadata_of

FREE_DIGITS: Final = 5
"""How many last digits a range leaves open."""
TEXTABLE_TYPES: Final = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_RANGES_MAX: Final = 65_536
"""Of a country, whose numbers can be texted: North America has half as many, each dialled in some ways."""
_OTHERS_MAX: Final = 32_768
_STARTS_MAX: Final = 8


class Found(NamedTuple):
    """What phonenumbers makes of a number: E.164, region and type; UNKNOWN with two empty texts of what is neither a
    number nor a short or an emergency one."""

    e164: str
    region: str
    type: int


Range = tuple[str, str]
"""E.164 without its last FREE_DIGITS, and region."""
Ranges = dict[str, Range]
"""By the digits before the last FREE_DIGITS, as they are dialled in one country: ASCII digits, with or without a plus
sign."""
learned: Final[dict[str, Ranges]] = {}
"""Of numbers that can be texted, by country."""
_others: Final[dict[tuple[str, str], Found]] = {}
"""Of all others, by country and digits, with E.164 as in a Range."""
_met: Final[set[tuple[str, str]]] = set()
"""Countries, and digits that were dialled there once so far."""
_mixed: Final[set[tuple[str, str]]] = set()
"""Countries, and digits dialled there behind which the last ones matter."""


def ranges_of(country: str) -> Ranges:
    """What was learned of numbers as they are dialled in a country; ValueError for an unknown one."""
    if not is_region(country):
        raise ValueError(f"unknown country: {country!r}")
    return learned.setdefault(country, {})


def other_of(digits: str, country: str) -> Found | None:
    """What was learned of a number that cannot be texted: digits as they are dialled in a country."""
    found = _others.get((country, digits[:-FREE_DIGITS]))
    return found and Found(found.e164 and found.e164 + digits[-FREE_DIGITS:], found.region, found.type)


def learn(digits: str, country: str, found: Found) -> None:
    """Remember what a number was found to be for all of its range, if the last digits do not matter and it is not the
    first of them: what comes once is not worth it. digits: as they were dialled in the country."""
    head = digits[:-FREE_DIGITS]
    place = (country, head)
    known = ranges_of(country)
    if place in _mixed or (found.type in TEXTABLE_TYPES and len(known) >= _RANGES_MAX):
        return
    for full in (_others, _mixed, _met):  # numbers of ever other ranges do not keep out the usual ones
        if len(full) >= _OTHERS_MAX:
            full.clear()
    if place not in _met:
        _met.add(place)
        return
    _met.discard(place)
    if not _is_uniform(head, country, exists=found.type != PhoneNumberType.UNKNOWN):
        _mixed.add(place)
    elif found.type in TEXTABLE_TYPES:
        known[head] = found.e164[:-FREE_DIGITS], found.region
    else:
        _others[place] = found._replace(e164=found.e164[:-FREE_DIGITS])


def _is_uniform(head: str, country: str, *, exists: bool) -> bool:
    """Whether the same is found of all numbers that are dialled so in a country and go on with FREE_DIGITS. exists: as
    numbers; what is none may be a short one."""
    try:
        readings = _readings(head, country)
        return (
            readings is not None
            and all(_is_free(start, code) for starts, code in readings for start in starts)
            and (exists or _is_never_short(head, country, [start for starts, _ in readings for start in starts]))
        )
    except ranges.Unread:
        return False


_Reading = tuple[set[str], str]
"""What the number itself may be found to begin with behind its calling code, and that code."""


def _readings(head: str, country: str) -> list[_Reading] | None:
    """All that phonenumbers may read what was dialled as; None where it depends on more digits."""
    if head[:1] == "+":
        readings = [_abroad(head[1:])]
    else:
        readings = [_at_home(head, country)]
        if head[:2] == "00":  # which is read as a plus sign where it is nothing else
            readings.append(_abroad(head[2:]))
    known = [reading for reading in readings if reading is not None]
    return known if len(known) == len(readings) else None


def _abroad(head: str) -> _Reading | None:
    code = calling_code_of(head)
    starts = _starts({head[len(code) :]}, COUNTRY_CODE_TO_REGION_CODE[int(code)][:1]) if code else None
    return (starts, code) if starts else None


def _at_home(head: str, country: str) -> _Reading | None:
    metadata = metadata_of(country)
    prefix = metadata.international_prefix
    if ranges.begins(ranges.read(prefix), head) is None:
        return None
    abroad = re.match(prefix, head) if prefix else None
    if abroad is not None and head[abroad.end()] != "0":
        return _abroad(head[abroad.end() :])
    code = str(metadata.country_code)
    if code.startswith(head):
        return None
    main = COUNTRY_CODE_TO_REGION_CODE[metadata.country_code][0]
    starts = _starts({head, head[len(code) :]} if head.startswith(code) else {head}, {country, main})
    return (starts, code) if starts else None


def _starts(heads: set[str], regions: Iterable[str]) -> set[str] | None:
    """What is there, and behind the national prefixes of some regions, which may be taken off twice."""
    found, new = set(heads), set(heads)
    while new:
        behind: set[str] = set()
        for head in new:
            for region in regions:
                more = _behind_prefix(head, region)
                if more is None:
                    return None
                behind |= more
        new = behind - found
        found |= new
        if len(found) > _STARTS_MAX:
            return None
    return found


def _behind_prefix(head: str, region: str) -> set[str] | None:
    """What is there once a national prefix is off, or another digit in its place; None where more digits could make a
    longer one."""
    metadata = metadata_of(region)
    prefix, rule = metadata.national_prefix_for_parsing, metadata.national_prefix_transform_rule
    if ranges.begins(ranges.read(prefix), head) is None:
        return None
    match = re.match(prefix, head) if prefix else None
    if match is None:
        return set()
    changed = {re.sub(prefix, rule, head, count=1)} if rule and match.groups()[-1] is not None else set()
    return {head[match.end() :], *changed}


def _is_free(head: str, code: str) -> bool:
    patterns, leading = _behind(head, code)
    return not leading and not any(ranges.matters(pattern, "", FREE_DIGITS) for pattern in patterns)


_Expressions = frozenset[int]


@lru_cache(maxsize=4_096)
def _behind(head: str, code: str) -> tuple[_Expressions, _Expressions]:
    """What the patterns of a calling code's regions ask for behind these digits, and what those do by which the regions
    are told apart. Kept, since most ranges begin as others do."""
    if head:
        patterns, leading = _behind(head[:-1], code)
        return ranges.after_each(patterns, head[-1]), ranges.after_each(leading, head[-1])
    regions = [metadata_of(region) for region in COUNTRY_CODE_TO_REGION_CODE[int(code)]]
    kinds = ("general_desc", "mobile", "fixed_line", *SPECIAL_TYPES)
    descs = [desc for region in regions for kind in kinds if (desc := getattr(region, kind))]
    return (
        frozenset(ranges.read(desc.national_number_pattern) for desc in descs),
        frozenset(ranges.read(region.leading_digits) for region in regions if region.leading_digits),
    )


def _is_never_short(head: str, country: str, starts: list[str]) -> bool:
    metadata = PhoneMetadata.short_metadata_for_region(country)
    if metadata is None:
        return True
    descs = metadata.emergency, metadata.short_code
    emergency, short = (ranges.read(desc.national_number_pattern if desc else None) for desc in descs)
    return not (
        ranges.may_fit(emergency, head.removeprefix("+"), FREE_DIGITS)
        or any(ranges.may_fit(short, start, FREE_DIGITS) for start in starts)
    )
