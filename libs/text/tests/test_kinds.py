import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.text import Kind, Number, NumberRefused, OtherNumber, read_any_number, read_asked_number, read_number


@pytest.mark.parametrize(
    ("country", "written", "value", "of", "kind"),
    [
        ("AU", "(03) 9876 5432", 61398765432, "AU", Kind.LANDLINE),
        ("AU", "+61 3 9876 5432", 61398765432, "AU", Kind.LANDLINE),
        ("AU", "+44 20 7946 0018", 442079460018, "GB", Kind.LANDLINE),
        ("AU", "0044 20 7946 0018", 442079460018, "GB", Kind.LANDLINE),
        ("AU", "1800 123 456", 611800123456, "AU", Kind.TOLL_FREE),
        ("AU", "1300 123 456", 611300123456, "AU", Kind.SHARED_COST),
        ("GB", "070 1234 5678", 447012345678, "GB", Kind.PERSONAL),
        ("GB", "0303 123 4567", 443031234567, "GB", Kind.COMPANY),
        ("DE", "030 123456", 4930123456, "DE", Kind.LANDLINE),
        ("US", "86753", 86753, "US", Kind.SHORT),
        ("AU", "1234", 1234, "AU", Kind.SHORT),
    ],
)
def test_a_number_that_cannot_be_texted_is_taken_as_what_it_is(
    country: str, written: str, value: int, of: str, kind: Kind
) -> None:
    assert read_any_number(written, country) == OtherNumber(value, of, kind)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("1900 123 456", "premium"),
        ("000", "emergency"),
        ("112", "emergency"),
        ("12345678901234567890123", "too_long"),
        ("call Ana", "not_a_number"),
        ("0412 345 67", "invalid"),
        ("6.14E+10", "ambiguous"),
        ("", "empty"),
    ],
)
def test_what_is_nobodys_number_is_refused_whatever_kind_is_asked_for(written: str, code: str) -> None:
    read = read_any_number(written, "AU")
    assert isinstance(read, NumberRefused)
    assert read.code == code


def test_a_number_that_can_be_texted_is_read_as_ever() -> None:
    for written in ("\u202b٠٤١٢ ٣٤٥ ٦٧٨\u202c", "0412 345 678", "+447400123456", "(202) 555-0123"):
        assert read_any_number(written, "AU") == read_number(written, "AU")
        assert read_any_number(written, "US") == read_number(written, "US")


@given(st.text(max_size=80), st.sampled_from(["AU", "US", "GB", "DE"]))
def test_any_text_is_of_some_kind_or_refused(written: str, country: str) -> None:
    assert isinstance(read_any_number(written, country), Number | OtherNumber | NumberRefused)


@pytest.mark.parametrize("country", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_the_example_of_every_kind_of_every_country_has_a_name(country: str) -> None:
    """A kind that phonenumbers knows and `Kind` does not would end here."""
    for kind in phonenumbers.PhoneNumberType.values():
        example = phonenumbers.example_number_for_type(country, kind)
        if example is not None:
            e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            read = read_any_number(e164, country)
            assert isinstance(read, Number | OtherNumber) or read.code == "premium", (kind, read)


@pytest.mark.parametrize(
    ("written", "country", "e164"),
    [
        ("0412 345 678", "AU", "+61412345678"),
        ("(03) 9876 5432", "AU", "+61398765432"),
        ("٠٤١٢٣٤٥٦٧٨", "AU", "+61412345678"),
        (" 61412345678", "AU", "+61412345678"),
        ("+99912345", "AU", "+99912345"),
        ("61412345678", "", "+61412345678"),
        ("447400900123", "AU", "+447400900123"),
        ("0412 345 678", "", None),
        ("0412", "AU", None),
        ("hello", "AU", None),
    ],
)
def test_messages_are_looked_for_by_a_number_as_it_is_typed(written: str, country: str, e164: str | None) -> None:
    read = read_asked_number(written, country)
    assert (None if isinstance(read, NumberRefused) else read) == e164
