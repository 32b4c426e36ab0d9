"""What was found out of ranges of numbers: where the last digits do not matter, one number speaks for all of its range.

Nearly all mobile numbers of the world are given out in such ranges.
"""

from typing import Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from muster.text import ranges
from muster.text.numbering import SPECIAL_TYPES, Textable, calling_code_of, is_region, metadata_of

FREE_DIGITS: Final = 5
"""How many last digits a range leaves open."""
_RANGES_MAX: Final = 65_536

Range = tuple[str, str]
"""E.164 without its last FREE_DIGITS, and region."""
Ranges = dict[str, Range]
"""By the digits before the last FREE_DIGITS, as they are dialled in one country: ASCII digits, with or without a plus
sign."""
learned: Final[dict[str, Ranges]] = {}
"""By country."""
_mixed: Final[set[tuple[str, str]]] = set()
"""Countries, and digits dialled there behind which the last ones matter."""


def ranges_of(country: str) -> Ranges:
    """What was learned of numbers as they are dialled in a country; ValueError for an unknown one."""
    if not is_region(country):
        raise ValueError(f"unknown country: {country!r}")
    return learned.setdefault(country, {})


def learn(head: str, country: str, textable: Textable) -> None:
    """Remember what one number of a range was found to be, for all of them if its last digits do not matter. head: what
    was dialled in the country, without its last digits."""
    if (country, head) in _mixed:
        return
    known = ranges_of(country)
    for full in (known, _mixed):  # who sends numbers of ever other ranges does not keep out the usual ones
        if len(full) >= _RANGES_MAX:
            full.clear()
    if _is_free_abroad(head[1:]) if head[:1] == "+" else _is_free_at_home(head, country):
        known[head] = textable[0][:-FREE_DIGITS], textable[1]
    else:
        _mixed.add((country, head))


def _is_free_abroad(head: str) -> bool:
    """Whether all numbers that begin so (a calling code first) and have the same length are judged alike."""
    code = calling_code_of(head)
    regions = COUNTRY_CODE_TO_REGION_CODE[int(code)] if code else ()
    try:
        prefix = ranges.read(metadata_of(regions[0]).national_prefix_for_parsing) if regions else 0
        rest = head[len(code) :]
        return bool(regions) and ranges.begins(prefix, rest) is not None and _is_free(rest, regions)
    except ranges.Unread:
        return False


def _is_free_at_home(head: str, country: str) -> bool:
    """The same of what is dialled in a country: wherever the number itself may be found to begin."""
    metadata = metadata_of(country)
    code, regions = str(metadata.country_code), COUNTRY_CODE_TO_REGION_CODE[metadata.country_code]
    try:
        prefix = ranges.read(metadata.national_prefix_for_parsing)
        if ranges.begins(ranges.read(metadata.international_prefix), head) is None:
            return False
        if code.startswith(head):
            return False
        starts = {0, *([len(code)] if head.startswith(code) else ())}
        for start in tuple(starts):
            widths = ranges.begins(prefix, head[start:])
            if widths is None:
                return False
            starts |= {start + width for width in widths}
        return all(_is_free(head[start:], regions) for start in starts)
    except ranges.Unread:
        return False


def _is_free(head: str, regions: tuple[str, ...]) -> bool:
    for region in regions:
        metadata = metadata_of(region)
        if metadata.leading_digits is not None and ranges.begins(ranges.read(metadata.leading_digits), head) is None:
            return False
        for kind in ("general_desc", "mobile", "fixed_line", *SPECIAL_TYPES):
            desc = getattr(metadata, kind)
            if desc and ranges.matters(ranges.read(desc.national_number_pattern), head, FREE_DIGITS):
                return False
    return True
