"""Patterns compiled from phonenumbers' own metadata, which settle the common numbers without asking it.

A pattern may only say yes where phonenumbers would say the same; anything else is left to phonenumbers. The rules
copied here
are those of phonenumberutil (9.0): `_maybe_extract_country_code`, `_maybe_strip_national_prefix_carrier_code`,
`_number_type_helper` and `_region_code_for_number_from_list`.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS, PhoneMetadata

SPECIAL_TYPES: Final = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
_NEVER: Final = r"(?!)"


Textable = tuple[str, str]
"""A number that can be texted: E.164 with its plus sign, and its region. A plain tuple: a million are read at a
time."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the numbers of one calling code, or those dialled in one country, are recognised.

    The one group of `pattern` that took part begins where the national significant number begins; its number,
    less one, is the
    index of the region. prefix: plus sign and calling code.
    """

    prefix: str
    pattern: re.Pattern[str]
    regions: tuple[str, ...]

    def read(self, digits: str, start: int) -> Textable | None:
        match = self.pattern.match(digits, start)
        if match is None:
            return None
        group = match.lastindex or 0
        return self.prefix + digits[match.start(group) :], self.regions[group - 1]


_Plans = dict[str, _Plan | None]
_by_calling_code: Final[_Plans] = {}
_by_country: Final[_Plans] = {}


def is_region(country: str) -> bool:
    """Whether phonenumbers has a numbering plan for this ISO 3166 code."""
    return country in SUPPORTED_REGIONS


def calling_code(country: str) -> str:
    """The digits by which other countries dial this one: "61" for AU; ValueError for an unknown country."""
    if not is_region(country):
        raise ValueError(f"unknown country: {country!r}")
    return str(metadata_of(country).country_code)


def read_international(digits: str) -> Textable | None:
    """ASCII digits after the plus sign; None if phonenumbers must be asked."""
    code = calling_code_of(digits)
    plan = _by_calling_code[code] if code else None
    return None if plan is None else plan.read(digits, len(code))


def calling_code_of(digits: str) -> str:
    """The calling code that ASCII digits begin with; "" for none that regions have."""
    # Two digits first: most of the world. Calling codes are prefix-free, so the order changes no answer.
    for length in (2, 1, 3):
        code = digits[:length]
        if (_by_calling_code[code] if code in _by_calling_code else _compile_calling_code(code)) is not None:
            return code
    return ""


def read_national(digits: str, country: str) -> Textable | None:
    """ASCII digits as dialled in `country`, or with its calling code but no plus; None if phonenumbers must be
    asked."""
    plan = _by_country[country] if country in _by_country else _compile_country(country)
    return None if plan is None else plan.read(digits, 0)


@cache
def metadata_of(region: str) -> Any:
    """Of a region that phonenumbers has a plan for."""
    return PhoneMetadata.metadata_for_region(region)


def _compile_calling_code(calling_code: str) -> _Plan | None:
    """At most 1,110 prefixes can come here, so the table is bounded."""
    plan = None
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(calling_code), ()) if calling_code.isdigit() else ()
    if regions and regions != ("001",) and not calling_code.startswith("0"):
        main = metadata_of(regions[0])
        # A leading zero or a national prefix after the calling code is phonenumbers' to judge.
        guard = rf"(?!0)(?!{_uncaptured(main.national_prefix_for_parsing)})(?={_desc(main.general_desc)})"
        plan = _Plan(f"+{calling_code}", re.compile(guard + _textables(regions), re.ASCII), regions)
    _by_calling_code[calling_code] = plan
    return plan


def _compile_country(country: str) -> _Plan | None:
    metadata = metadata_of(country) if is_region(country) else None
    plan = None
    if metadata is not None and not metadata.national_prefix_transform_rule:
        code = str(metadata.country_code)
        regions = COUNTRY_CODE_TO_REGION_CODE[metadata.country_code]
        abroad = _uncaptured(metadata.international_prefix)
        prefix = _uncaptured(metadata.national_prefix_for_parsing)
        viable = _whole(metadata.general_desc)
        # Atomic: whether a leading prefix is one is settled by what follows it being viable, never by its
        # being textable.
        as_dialled = rf"(?!{code})(?>(?>{prefix})?(?={viable}))"
        # The calling code without a plus, read as such only where the whole is no national number. In a
        # region that is not the
        # main one of its code phonenumbers changes to the main region's rules midway: left to it.
        without_plus = rf"(?!{viable}){code}(?!{prefix})(?={viable})" if regions[0] == country else _NEVER
        pattern = rf"(?!{abroad})(?:{as_dialled}|{without_plus})(?!0){_textables(regions)}"
        plan = _Plan(f"+{code}", re.compile(pattern, re.ASCII), regions)
    if is_region(country):  # not whatever a caller makes up: the table stays bounded
        _by_country[country] = plan
    return plan


def _textables(regions: tuple[str, ...]) -> str:
    """One group for each region, which matches where phonenumbers would give the number to it and call it textable."""
    alternatives = [f"{_claimed_before(regions[:index])}{_textable(region)}" for index, region in enumerate(regions)]
    return f"(?:{'|'.join(alternatives)})"


def _claimed_before(regions: tuple[str, ...]) -> str:
    """Guard: none of the regions asked before this one takes the number for its own."""
    return "".join(f"(?!{_claim(metadata_of(region))})" for region in regions)


def _claim(metadata: Any) -> str:
    if metadata.leading_digits is not None:
        return f"(?:{metadata.leading_digits})"
    kinds = ("fixed_line", "mobile", *SPECIAL_TYPES)
    return f"(?={_desc(metadata.general_desc)})(?:{'|'.join(_desc(getattr(metadata, kind)) for kind in kinds)})"


def _textable(region: str) -> str:
    """Types MOBILE and FIXED_LINE_OR_MOBILE, which come after all special types."""
    metadata = metadata_of(region)
    mobile = metadata.fixed_line if metadata.same_mobile_and_fixed_line_pattern else metadata.mobile
    special = "".join(f"(?!{_desc(getattr(metadata, kind))})" for kind in SPECIAL_TYPES if getattr(metadata, kind))
    leading = f"(?={metadata.leading_digits})" if metadata.leading_digits is not None else ""
    return f"{leading}(?={_desc(metadata.general_desc)}){special}({_desc(mobile)})"


def _desc(desc: Any) -> str:
    """The whole number matches the description, lengths included."""
    if desc is None or not desc.national_number_pattern:
        return _NEVER
    lengths = [length for length in desc.possible_length if length > 0]
    guard = rf"(?=(?:{'|'.join(rf'[0-9]{{{length}}}' for length in lengths)})\Z)" if lengths else ""
    return guard + _whole(desc)


def _whole(desc: Any) -> str:
    """The whole number matches the description's pattern, whatever its length."""
    return rf"(?:{_uncaptured(desc.national_number_pattern)})\Z"


def _uncaptured(pattern: str | None) -> str:
    """The metadata's few capturing groups would shift the numbers of ours; no pattern is one that never matches."""
    if not pattern:
        return _NEVER
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern)
