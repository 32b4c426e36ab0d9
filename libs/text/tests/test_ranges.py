"""Ranges of numbers whose last digits do not matter."""

import itertools
import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.text import Number, read_number
from muster.text.ranges import Unread, begins, matters, read

PATTERNS = [
    r"4(?:79[01]|83[0-36-9]|9(?:5[0-3]|6[0-4]))\d{5}|4(?:[0-36]\d|4[047-9])\d{6}",
    r"1(?:[0-79]\d{7}(?:\d(?:\d{2})?)?|8[0-24-9]\d{7})|[2-478]\d{8}|1\d{4,7}",
    r"(?:0|90)(?:(1[245]|31)(\d{3,4}))?\d{2}[\d]",
    r"555(?:01\d{2}|0[2-9]12)",
]


@given(st.sampled_from(PATTERNS), st.text("0123456789", max_size=8), st.integers(0, 3))
def test_the_last_digits_matter_where_some_of_them_fit_and_some_do_not(pattern: str, head: str, more: int) -> None:
    fits = {
        re.fullmatch(pattern, head + "".join(tail)) is not None for tail in itertools.product("0123456789", repeat=more)
    }
    assert matters(read(pattern), head, more) is (len(fits) == 2)


@given(st.sampled_from(PATTERNS), st.text("0123456789", max_size=8))
def test_a_beginning_is_known_where_no_further_digit_makes_it_longer(pattern: str, digits: str) -> None:
    found = begins(read(pattern), digits)
    widths = {width for width in range(len(digits) + 1) if re.fullmatch(pattern, digits[:width])}
    assert found is None or found == widths


@pytest.mark.parametrize("pattern", [r"4(?=1)\d", r"[^4]\d", r"4\d*", r"(?:4", r"4\d{2,99}", r"a"])
def test_a_pattern_with_something_else_in_it_is_not_read(pattern: str) -> None:
    with pytest.raises(Unread):
        read(pattern)


def test_every_pattern_of_the_metadata_is_read() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        for kind in ("general_desc", "mobile", "fixed_line"):
            desc = getattr(metadata, kind)
            assert desc is None or read(desc.national_number_pattern) is not None


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("+61412345678", "AU"),
        ("0412 345 678", "AU"),
        ("07400 123456", "GB"),
        ("+12025550123", "US"),
        ("61412345678", "AU"),
    ],
)
def test_a_range_that_was_learned_says_what_was_said_at_first(written: str, country: str) -> None:
    first = read_number(written, country)
    again = read_number(written, country)
    assert isinstance(first, Number)
    assert again == first
    sibling = read_number(written[:-1] + str((int(written[-1]) + 1) % 10), country)
    assert isinstance(sibling, Number)
    assert sibling.e164[:-1] == first.e164[:-1]


def test_what_only_looks_like_a_number_of_a_range_that_was_learned_is_none() -> None:
    assert isinstance(read_number("+61412345678", "AU"), Number)
    for written in ("+6141234567x", "+61412345-78", "+6141234567", "+614123456789"):
        assert not isinstance(read_number(written, "AU"), Number), written
