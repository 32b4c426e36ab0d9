import random
import uuid

import phonenumbers
import pytest
from bench.numbers import by_phonenumbers
from hypothesis import given
from hypothesis import strategies as st

from muster.text import Number, NumberRefused, country_of, is_textable, mask, number_hash, number_hasher, read_number
from muster.text.numbering import read_international, read_national

TENANT = uuid.UUID(int=7)
OTHER_TENANT = uuid.UUID(int=8)


@pytest.mark.parametrize(
    ("country", "written", "e164"),
    [
        ("AU", "0412345678", "+61412345678"),
        ("AU", "0412 345 678", "+61412345678"),
        ("AU", " 0412-345-678 ", "+61412345678"),
        ("AU", "0412.345.678", "+61412345678"),
        ("AU", "(0412) 345 678", "+61412345678"),
        ("AU", "412345678", "+61412345678"),
        ("AU", "412 345 678", "+61412345678"),
        ("AU", "61412345678", "+61412345678"),
        ("AU", "+61412345678", "+61412345678"),
        ("AU", "+61 412 345 678", "+61412345678"),
        ("AU", "(+61) 412 345 678", "+61412345678"),
        ("AU", "+61 (0)412 345 678", "+61412345678"),
        ("AU", "+61 0412 345 678", "+61412345678"),
        ("AU", "0061 412 345 678", "+61412345678"),
        ("AU", "0011 44 7400 123456", "+447400123456"),
        ("AU", "0044 7400 123456", "+447400123456"),
        ("AU", "+447400123456", "+447400123456"),
        ("AU", "＋６１４１２３４５６７８", "+61412345678"),
        ("AU", "٠٤١٢٣٤٥٦٧٨", "+61412345678"),
        ("AU", "۰۴۱۲ ۳۴۵ ۶۷۸", "+61412345678"),
        ("AU", "\u202a+61 412 345 678\u202c", "+61412345678"),
        ("AU", "0412\u00a0345\u2011678", "+61412345678"),
        ("AU", "0412–345–678", "+61412345678"),
        ("AU", "tel:+61412345678", "+61412345678"),
        ("AU", "'0412345678", "+61412345678"),
        ("AU", "412345678.0", "+61412345678"),
        ("AU", "61412345678.00", "+61412345678"),
        ("AU", "6.1412345678E+10", "+61412345678"),
        ("AU", "6.1412345678e10", "+61412345678"),
        ("AU", "4.12345678E+08", "+61412345678"),
        ("GB", "07400 123456", "+447400123456"),
        ("GB", "07400123456", "+447400123456"),
        ("GB", "7400123456", "+447400123456"),
        ("GB", "447400123456", "+447400123456"),
        ("GB", "+44 (0) 7400 123 456", "+447400123456"),
        ("GB", "0044 7400 123456", "+447400123456"),
        ("GB", "07400-123-456", "+447400123456"),
        ("GB", "+61 412 345 678", "+61412345678"),
        ("US", "(202) 555-0123", "+12025550123"),
        ("US", "202-555-0123", "+12025550123"),
        ("US", "202.555.0123", "+12025550123"),
        ("US", "1 202 555 0123", "+12025550123"),
        ("US", "+1 (202) 555-0123", "+12025550123"),
        ("US", "2.025550123E+09", "+12025550123"),
        ("US", "011 61 412 345 678", "+61412345678"),
        ("US", "0061 412 345 678", "+61412345678"),
        ("FR", "06 12 34 56 78", "+33612345678"),
        ("FR", "06.12.34.56.78", "+33612345678"),
        ("DE", "0151 12345678", "+4915112345678"),
        ("DE", "1711234567.0", "+491711234567"),
        ("NZ", "021 123 456", "+6421123456"),
        ("IN", "98765 43210", "+919876543210"),
        ("AR", "011 15 2345-6789", "+5491123456789"),
        ("BR", "(11) 96123-4567", "+5511961234567"),
    ],
)
def test_a_number_is_read_as_people_write_it(country: str, written: str, e164: str) -> None:
    number = read_number(written, country)
    assert isinstance(number, Number)
    assert number.e164 == e164
    assert number.value == int(e164[1:])


@pytest.mark.parametrize(
    ("country", "written", "code"),
    [
        ("AU", "", "empty"),
        ("AU", "  \u200b ", "empty"),
        ("AU", "n/a", "not_a_number"),
        ("AU", "-", "not_a_number"),
        ("AU", "0412 345 678 ext 5", "not_a_number"),
        ("AU", "0412345678x12", "not_a_number"),
        ("AU", "0412 345 678 (mobile)", "not_a_number"),
        ("AU", "Jo 0412345678", "not_a_number"),
        ("AU", "1-800-FLOWERS", "not_a_number"),
        ("AU", "0412+345678", "not_a_number"),
        ("AU", "#REF!", "not_a_number"),
        ("AU", "jo@example.com", "not_a_number"),
        ("AU", "0412345678 / 0413345678", "ambiguous"),
        ("AU", "0412345678, 0298765432", "ambiguous"),
        ("AU", "0412345678 or 0413345678", "ambiguous"),
        ("AU", "6.14E+10", "ambiguous"),
        ("AU", "6.14123E+10", "ambiguous"),
        ("AU", "6,14E+10", "ambiguous"),
        ("AU", "6E10", "ambiguous"),
        ("AU", "02 9876 5432", "not_mobile"),
        ("AU", "+61 2 9876 5432", "not_mobile"),
        ("AU", "1800 123 456", "not_mobile"),
        ("AU", "1300 123 456", "not_mobile"),
        ("AU", "1900 123 456", "premium"),
        ("AU", "0412 345 67", "invalid"),
        ("AU", "0412 345 6789", "invalid"),
        ("AU", "12345", "invalid"),
        ("AU", "+999 123 456 789", "invalid"),
        ("AU", "000", "emergency"),
        ("AU", "112", "emergency"),
        ("US", "911", "emergency"),
        ("AU", "0900", "invalid"),
        ("AU", "7400123456", "invalid"),
        ("AU", "0412345678 0413345678 0414", "too_long"),
        ("AU", "4" * 65, "too_long"),
        ("AU", "+6141234567890123", "too_long"),
        ("GB", "020 7946 0018", "not_mobile"),
        ("GB", "0909 879 0000", "premium"),
        ("GB", "07400 12345", "invalid"),
        ("US", "800-234-5678", "not_mobile"),
        ("US", "900-234-5678", "premium"),
        ("US", "555-0123", "invalid"),
        ("US", "2025550123.5", "invalid"),
    ],
)
def test_what_is_no_textable_number_is_refused_with_its_reason(country: str, written: str, code: str) -> None:
    refused = read_number(written, country)
    assert isinstance(refused, NumberRefused)
    assert refused.code == code
    assert refused.message


def test_an_unknown_country_is_the_callers_fault() -> None:
    for written in ("0412345678", "+61412345678"):
        with pytest.raises(ValueError, match="unknown country"):
            read_number(written, "XX")


@given(st.text(max_size=80))
def test_any_text_is_a_number_or_refused(written: str) -> None:
    assert isinstance(read_number(written, "AU"), Number | NumberRefused)


def generated(country: str, each: int) -> list[str]:
    """Numbers near the examples of every type, in every way of dialling them."""
    chance = random.Random(country)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    code, prefix = str(metadata.country_code), metadata.national_prefix or "0"
    kinds = (
        "mobile",
        "mobile",
        "fixed_line",
        "premium_rate",
        "toll_free",
        "voip",
        "personal_number",
        "pager",
        "shared_cost",
    )
    examples = [desc.example_number for kind in kinds if (desc := getattr(metadata, kind)) and desc.example_number]
    written = []
    for example in examples * each:
        kept = chance.randint(1, len(example))
        tail = len(example) - kept + chance.choice((0, 0, 0, 1, -1))
        national = example[:kept] + "".join(chance.choices("0123456789", k=max(tail, 0)))
        written += [national, prefix + national, code + national, f"+{code}{national}", f"+{code}{prefix}{national}"]
    return written


@pytest.mark.parametrize(
    "country", ["AU", "GB", "US", "NZ", "DE", "FR", "IN", "CA", "IE", "ZA", "SG", "GG", "KZ", "IT", "RU"]
)
def test_the_pattern_never_says_other_than_phonenumbers(country: str) -> None:
    settled = 0
    for written in generated(country, 20):
        fast = read_international(written[1:]) if written.startswith("+") else read_national(written, country)
        if fast is not None:
            settled += 1
            assert fast == by_phonenumbers(written, country), written
    assert settled > 20


@pytest.mark.parametrize("country", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_country_reads_as_phonenumbers_reads(country: str) -> None:
    for written in generated(country, 2):
        read = read_number(written, country)
        expected = by_phonenumbers(written, country)
        assert expected is None or read == Number(*expected), written
        # More than phonenumbers is read only where "00" stands for the plus sign.
        assert expected is not None or not isinstance(read, Number) or written.startswith("00"), written


@pytest.mark.parametrize("country", ["AU", "GB", "US", "NZ", "DE", "FR", "IN", "CA"])
def test_the_usual_mobile_number_is_settled_without_phonenumbers(country: str) -> None:
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    assert read_international(e164[1:]) == (e164, country)
    assert read_national(str(example.national_number), country) == (e164, country)


@pytest.mark.parametrize(
    ("e164", "country"),
    [
        ("+61412345678", "AU"),
        (61412345678, "AU"),
        ("447400123456", "GB"),
        ("+12025550123", "US"),
        ("+14165550123", "CA"),
        ("+61298765432", "AU"),
        ("+870773111632", "001"),
        ("+999123456789", "ZZ"),
        ("", "ZZ"),
    ],
)
def test_the_country_of_a_number(e164: str | int, country: str) -> None:
    assert country_of(e164) == country


def test_a_masked_number_shows_country_and_end_only() -> None:
    assert mask("+61412345678") == "+614*****678"
    assert mask("+4420") == "*****"
    assert mask("") == ""


def test_a_number_hash_carries_its_generation_and_depends_on_key_tenant_and_number() -> None:
    base = number_hash(b"k" * 32, 3, TENANT, "+61412345678")
    assert len(base) == 17
    assert base[0] == 3
    assert base == number_hash(b"k" * 32, 3, TENANT, "+61412345678")
    others = {
        number_hash(b"l" * 32, 3, TENANT, "+61412345678")[1:],
        number_hash(b"k" * 32, 3, OTHER_TENANT, "+61412345678")[1:],
        number_hash(b"k" * 32, 3, TENANT, "+61412345679")[1:],
        base[1:],
    }
    assert len(others) == 4
    hashed = number_hasher(b"k" * 32, 3, TENANT)
    assert [hashed("+61412345678"), hashed("+61412345679"), hashed("+61412345678")] == [
        base,
        number_hash(b"k" * 32, 3, TENANT, "+61412345679"),
        base,
    ]


@pytest.mark.parametrize(
    ("number", "country", "textable"),
    [
        (61412345678, "AU", True),
        (61412345678, "NZ", False),
        (611900654321, "AU", False),
        (6421123456, "NZ", True),
        (447400123456, "GB", True),
        (447781123456, "GG", True),
        (447781123456, "GB", False),
        (12015550123, "US", True),
        (61, "AU", False),
    ],
)
def test_a_number_that_was_stored_is_known_again_unless_it_is_premium_or_another_countrys(
    number: int, country: str, textable: bool
) -> None:
    assert is_textable(number, country) is textable


@given(st.sampled_from([614_10_000_000, 447_400_000_000, 64_21_000_000]), st.integers(0, 99_999_999))
def test_whatever_is_read_as_a_mobile_number_is_textable_in_its_country(start: int, more: int) -> None:
    read = read_number(f"+{start + more}", "AU")
    assert not isinstance(read, Number) or is_textable(read.value, read.country)
