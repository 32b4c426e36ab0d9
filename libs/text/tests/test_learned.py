"""Ranges of which one number speaks for all, of every kind."""

from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType, shortnumberinfo

from muster.text import Number, NumberRefused, read_any_number, read_number
from muster.text import learned as learning
from muster.text.learned import learned, other_of
from muster.text.numbers import NOT_MOBILE

TYPES = sorted(set(PhoneNumberType.values()) - {PhoneNumberType.UNKNOWN})
TEXTABLE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


@st.composite
def dialled(draw: st.DrawFn) -> tuple[list[str], str]:
    """Digits that begin as one number and end as several, as they are dialled in a country; and the country."""
    country = draw(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
    of = draw(st.just(country) | st.sampled_from(["AU", "GB", "US", "AR", "IT"]))
    metadata: Any = phonenumbers.PhoneMetadata.metadata_for_region(of)
    example = phonenumbers.example_number_for_type(of, draw(st.sampled_from(TYPES)))
    national = phonenumbers.national_significant_number(example) if example else draw(st.text("0123456789", min_size=6))
    kept = national[: draw(st.integers(max(2, len(national) - 7), len(national)))]
    own, code = (metadata.national_prefix or "0") + kept, str(metadata.country_code)
    form = draw(st.sampled_from([kept, own, own, code + kept, f"+{code}{kept}", f"+{code}{own}", f"00{code}{kept}"]))
    length = len(form) - len(kept) + len(national) + draw(st.sampled_from([0, 0, 0, -1, 1]))
    head = form[: max(1, length - 5)]
    tails = draw(st.lists(st.text("0123456789", min_size=5, max_size=5), min_size=2, max_size=4))
    return [head + tail for tail in tails], country


def by_phonenumbers(digits: str, country: str) -> tuple[str, str]:
    """What is said of digits by phonenumbers alone: E.164 and kind, or a refusal's code."""
    short = False
    for form in (digits, f"+{digits[2:]}") if digits.startswith("00") else (digits,):
        try:
            parsed = phonenumbers.parse(form, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            of = phonenumbers.number_type(parsed)
            kind = "premium" if of == PhoneNumberType.PREMIUM_RATE else "mobile" if of in TEXTABLE else "other"
            return phonenumbers.format_number(parsed, PhoneNumberFormat.E164), kind
        short = digits[:1] not in "+0" and shortnumberinfo.is_valid_short_number_for_region(parsed, country)
    if shortnumberinfo.is_emergency_number(digits, country):
        return "", "emergency"
    return (f"+{digits}", "other") if short else ("", "invalid")


@given(dialled())
def test_what_one_number_of_a_range_was_found_to_be_is_said_of_no_other_that_is_something_else(
    given_: tuple[list[str], str],
) -> None:
    written, country = given_
    for one in written * 3:
        found = read_any_number(one, country)
        e164, kind = by_phonenumbers(one, country)
        if isinstance(found, Number):
            assert (found.e164, "mobile") == (e164, kind)
        elif isinstance(found, NumberRefused):
            assert {"too_long": "invalid"}.get(found.code, found.code) == kind
        else:
            assert (f"+{found.value}", "other") == (e164, kind)


@pytest.mark.parametrize(
    ("written", "country"),
    [
        *(
            ("0398765432", "AU"),
            ("+61398765432", "AU"),
            ("1300123456", "AU"),
            ("041234567", "AU"),
            ("02079460018", "GB"),
        ),
        *(("+442079460018", "AU"), ("0033123456789", "AU"), ("8002345678", "US"), ("030123456", "DE")),
    ],
)
def test_the_usual_number_that_cannot_be_texted_is_not_looked_up_again_and_again(written: str, country: str) -> None:
    for _ in ("the first of its range", "and the second"):
        assert isinstance(read_number(written, country), NumberRefused)
    sibling = written[:-5] + "12345"
    assert other_of(sibling, country) is not None


@pytest.mark.parametrize("written", ["+610412345678", "0061412345678", "0011447400123456"])
def test_a_mobile_number_dialled_in_a_roundabout_way_is_not_looked_up_again_and_again(written: str) -> None:
    for _ in ("the first of its range", "and the second"):
        assert isinstance(read_number(written, "AU"), Number)
    assert written[:-5] in learned["AU"]


def test_what_is_learned_stays_within_bounds_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "_OTHERS_MAX", 3)
    written = [f"03{head}{tail}" for head in range(980, 990) for tail in ("11111", "22222", "33333")]
    for one in written:
        assert read_number(one, "AU") == NOT_MOBILE
    assert [len(kept) <= 3 for kept in (learning._others, learning._mixed, learning._met)] == [True, True, True]
