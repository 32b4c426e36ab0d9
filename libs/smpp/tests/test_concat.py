"""Concatenated messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.smpp import Concat, Deliver, build_sar, build_udh, read_concat, read_languages

parts = st.integers(2, 255).flatmap(lambda total: st.tuples(st.just(total), st.integers(1, total)))


def _deliver(payload: bytes, esm_class: int = 0x40, tlvs: dict[int, bytes] | None = None) -> Deliver:
    return Deliver(1, "1", "2", payload, esm_class=esm_class, tlvs=tlvs or {})


@given(st.integers(0, 255), parts, st.binary(max_size=134))
def test_a_header_with_an_8_bit_reference_is_read_as_built(reference: int, part: tuple[int, int], text: bytes) -> None:
    concat = Concat(reference, *part)

    assert read_concat(_deliver(build_udh(concat, 8) + text)) == (concat, text)


@given(st.integers(0, 65535), parts, st.binary(max_size=134))
def test_a_header_with_a_16_bit_reference_is_read_as_built(reference: int, part: tuple[int, int], text: bytes) -> None:
    concat = Concat(reference, *part)

    assert read_concat(_deliver(build_udh(concat, 16) + text)) == (concat, text)


@given(st.integers(0, 65535), parts, st.binary(max_size=134))
def test_sar_tlvs_are_read_as_built(reference: int, part: tuple[int, int], text: bytes) -> None:
    concat = Concat(reference, *part)

    assert read_concat(_deliver(text, 0, build_sar(concat))) == (concat, text)


def test_headers_are_the_octets_of_the_standard() -> None:
    assert build_udh(Concat(0xAB, 3, 2), 8) == bytes.fromhex("050003ab0302")
    assert build_udh(Concat(0xABCD, 3, 2), 16) == bytes.fromhex("060804abcd0302")


@pytest.mark.parametrize("concat", [Concat(1, 256, 1), Concat(1, 2, 3), Concat(1, 2, 0)])
def test_parts_out_of_range_are_not_built(concat: Concat) -> None:
    with pytest.raises(ValueError, match="part"):
        build_udh(concat)


@pytest.mark.parametrize(
    ("payload", "esm_class", "text"),
    [
        (b"hello", 0, b"hello"),
        (b"", 0x40, b""),
        (b"\x05\x00\x03\x01\x03\x00hi", 0x40, b"hi"),
        (b"\x05\x00\x03\x01\x03\x04hi", 0x40, b"hi"),
        (b"\x05\x00\x03\x01\x01\x01hi", 0x40, b"hi"),
        (b"\x06\x05\x04\x00\x01\x00\x02hi", 0x40, b"hi"),
        (b"\xf0hello", 0x40, b"\xf0hello"),
    ],
)
def test_a_header_that_makes_no_sense_leaves_a_whole_message(payload: bytes, esm_class: int, text: bytes) -> None:
    assert read_concat(_deliver(payload, esm_class)) == (None, text)


def test_a_reference_behind_another_element_is_found() -> None:
    payload = bytes.fromhex("0b0504000100020003070201") + b"hi"

    assert read_concat(_deliver(payload)) == (Concat(7, 2, 1), b"hi")


@given(st.binary(max_size=60), st.integers(0, 255))
def test_no_payload_raises(payload: bytes, esm_class: int) -> None:
    concat, text = read_concat(_deliver(payload, esm_class))

    assert payload.endswith(text)
    assert concat is None or 1 <= concat.number <= concat.total


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        ("03 24 01 01", (0, 1)),
        ("03 25 01 03", (3, 0)),
        ("06 24 01 03 25 01 03", (3, 3)),
        ("0b 00 03 07 02 01 25 01 01 24 01 02", (1, 2)),
        ("05 00 03 07 02 01", (0, 0)),
        ("02 24 01", (0, 0)),
        ("04 24 02 01 01", (0, 0)),
    ],
)
def test_a_header_names_the_tables_of_its_language(header: str, languages: tuple[int, int]) -> None:
    payload = bytes.fromhex(header)
    assert read_languages(_deliver(payload + b"hi")) == languages
    assert read_languages(_deliver(payload + b"hi", 0)) == (0, 0), "without the mark of a header it is text"
