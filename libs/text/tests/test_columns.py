"""Numbers of a column at once."""

import phonenumbers
import pytest
from bench.numbers import by_phonenumbers
from hypothesis import given
from hypothesis import strategies as st

from muster.text import (
    Column,
    Number,
    NumberRefused,
    OtherNumber,
    read_any_column,
    read_any_number,
    read_column,
    read_number,
)

COUNTRIES = ("AU", "US", "GB", "DE", "AR", "BR", "IT", "KZ", "NZ", "SG")
STARTS = ("+61", "0061", "+4", "+1", "+54 9", "0", "04", "(0", "1", "", " ", "٠٤", "\ufeff")
BETWEEN = st.sampled_from(["", "", "", "", " ", "-", ".", " (", ")", "\n", "+", "x", "\u0661", "\ud800", "\x00", "/"])


@st.composite
def near_numbers(draw: st.DrawFn) -> str:
    """What is or nearly is a number: digits after a usual start, with signs between them."""
    digits = draw(st.text("0123456789", min_size=4, max_size=12))
    at = draw(st.integers(0, len(digits)))
    ending = draw(st.sampled_from(["", "", "", ".0", "E+10", " ", "\n"]))
    return draw(st.sampled_from(STARTS)) + digits[:at] + draw(BETWEEN) + digits[at:] + ending


@st.composite
def neighbours(draw: st.DrawFn, between: st.SearchStrategy[str] = BETWEEN) -> list[str]:
    """Numbers of one range, or of one with other last digits, as several people write them."""
    country = draw(st.sampled_from(COUNTRIES))
    kind = draw(st.sampled_from([phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE]))
    example = phonenumbers.example_number_for_type(country, kind)
    form = draw(st.sampled_from([phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.NATIONAL]))
    assert example is not None
    written = phonenumbers.format_number(example, form)
    tails = draw(st.lists(st.text("0123456789", min_size=1, max_size=6), min_size=1, max_size=6))
    return [written[: -len(tail)] + draw(between) + tail for tail in tails]


COLUMNS = st.lists(near_numbers() | st.text(max_size=20), max_size=8) | neighbours()


def rows(column: Column[NumberRefused] | Column[OtherNumber | NumberRefused]) -> list[object]:
    assert len(column.e164) == len(column.countries)
    return [
        Number(e164, country) if country else column.others[row]
        for row, (e164, country) in enumerate(zip(column.e164, column.countries, strict=True))
    ]


@given(COLUMNS, st.sampled_from(COUNTRIES))
def test_a_number_is_in_a_column_what_it_is_alone(written: list[str], country: str) -> None:
    column = read_column(written, country)
    assert rows(column) == [read_number(one, country) for one in written]
    assert all((row in column.others) == (not e164) for row, e164 in enumerate(column.e164))
    assert rows(read_column(written, country)) == rows(column)  # also once its ranges are known


@given(COLUMNS, st.sampled_from(COUNTRIES))
def test_a_number_of_any_kind_is_in_a_column_what_it_is_alone(written: list[str], country: str) -> None:
    assert rows(read_any_column(written, country)) == [read_any_number(one, country) for one in written]


@given(neighbours(st.sampled_from(["", " ", "-"])), st.sampled_from(COUNTRIES))
def test_of_numbers_that_differ_in_their_last_digits_each_is_what_phonenumbers_says(
    written: list[str], country: str
) -> None:
    for _ in ("first", "again", "once its range is known"):
        said = [one if isinstance(one, Number) else None for one in rows(read_column(written, country))]
        assert said == [by_phonenumbers(one, country) for one in written]


def test_the_list_that_was_given_is_never_the_one_that_is_handed_back() -> None:
    written = ["+61412345678", "+61412345679"]
    first = read_column(written, "AU")
    again = read_column(written, "AU")
    again.e164.clear()
    assert written == first.e164 == ["+61412345678", "+61412345679"]


def test_a_column_of_an_unknown_country_is_the_callers_fault() -> None:
    with pytest.raises(ValueError, match="unknown country"):
        read_column([], "XX")
