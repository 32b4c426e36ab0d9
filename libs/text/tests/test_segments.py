import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.text import PARTS_MAX, Encoding, TextRefused, count_parts, encoding_of, segment, split
from muster.text.alphabet import BASIC_CHARACTERS, EXTENSION_CHARACTERS
from muster.text.coding import decode
from muster.text.national import Shifts, decode_septets
from muster.text.segments import encode_gsm7

FACTS = json.loads((Path(__file__).parent / "segments.json").read_text("utf-8"))
SIZES = {
    (Encoding.GSM7, 8): (160, 153),
    (Encoding.GSM7, 16): (160, 152),
    (Encoding.UCS2, 8): (70, 67),
    (Encoding.UCS2, 16): (70, 66),
}
GSM7_TEXTS = st.text(
    st.sampled_from(sorted(BASIC_CHARACTERS) + sorted(EXTENSION_CHARACTERS) * 5), min_size=1, max_size=700
)
MIXED_TEXTS = st.text(st.sampled_from("ab€]é’çÇ\t\n中😀👩\u200d"), min_size=1, max_size=400)
ANY_TEXTS = st.one_of(
    GSM7_TEXTS, MIXED_TEXTS, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
)
LONG_TEXTS = st.builds(lambda text, times: text * times, ANY_TEXTS, st.integers(1, 20))
BITS = st.sampled_from([8, 16])


def text_of(vector: dict[str, Any]) -> str:
    return vector["text"] if "text" in vector else vector["repeat"][0] * vector["repeat"][1]


def of_facts(*, refused: bool) -> list[Any]:
    return [pytest.param(v, id=v["id"]) for v in FACTS["vectors"] if v["must_refuse"] is refused]


@pytest.mark.parametrize("vector", of_facts(refused=False))
def test_a_checked_text_has_the_checked_encoding_units_and_parts(vector: dict[str, Any]) -> None:
    result = segment(text_of(vector))
    assert (result.encoding.name, result.units, result.segments) == (
        vector["encoding"],
        vector["units"],
        vector["segments"],
    )
    assert vector["parts"] is None or list(result.parts) == vector["parts"]
    assert encoding_of(text_of(vector)).name == vector["encoding"]


@pytest.mark.parametrize("vector", of_facts(refused=False))
def test_a_checked_text_has_the_checked_parts_with_16_bit_references(vector: dict[str, Any]) -> None:
    if vector["segments_ref16"] > FACTS["rules"]["max_parts"]:
        with pytest.raises(TextRefused):
            segment(text_of(vector), 16)
    else:
        assert segment(text_of(vector), 16).segments == vector["segments_ref16"]
        assert count_parts(text_of(vector), 16)[1] == vector["segments_ref16"]


@pytest.mark.parametrize("vector", of_facts(refused=False))
def test_a_checked_text_has_the_checked_parts_once_it_is_composed(vector: dict[str, Any]) -> None:
    composed = segment(unicodedata.normalize("NFC", text_of(vector)))
    assert (composed.encoding.name, composed.segments) == (vector["nfc_encoding"], vector["nfc_segments"])


@pytest.mark.parametrize("vector", of_facts(refused=True))
def test_a_text_that_must_be_refused_is_refused_by_all_three(vector: dict[str, Any]) -> None:
    code = "unpaired_surrogate" if vector["id"].startswith("lone") else "too_long"
    for count in (segment, count_parts, split):
        with pytest.raises(TextRefused) as refused:
            count(text_of(vector))
        assert refused.value.code == code


def test_the_alphabet_has_the_characters_of_the_standard() -> None:
    assert len(BASIC_CHARACTERS) == FACTS["rules"]["gsm7"]["basic_characters"]
    assert len(EXTENSION_CHARACTERS) == FACTS["rules"]["gsm7"]["extension_characters"]


@pytest.mark.parametrize("count", [segment, count_parts, split])
def test_an_empty_text_is_refused(count: Any) -> None:
    with pytest.raises(TextRefused) as refused:
        count("")
    assert refused.value.code == "empty"


@pytest.mark.parametrize(
    ("character", "units"), [("a", 39_015), ("中", 17_085), ("]", 38_760 // 2), ("😀", 16_830 // 2)]
)
def test_255_parts_are_taken_and_one_character_more_is_not(character: str, units: int) -> None:
    assert segment(character * units).segments == PARTS_MAX
    assert count_parts(character * units)[1] == PARTS_MAX
    for count in (segment, count_parts, split):
        with pytest.raises(TextRefused) as refused:
            count(character * (units + 1))
        assert refused.value.code == "too_long"


def answer(count: Any, text: str, bits: Any) -> Any:
    try:
        return count(text, bits)
    except TextRefused as refused:
        return refused.code


def octets_on_air(encoding: Encoding, units: int, header: int) -> int:
    """Octets of user data in the air: a header, then septets packed from the next whole septet on, or UCS-2."""
    return -(-(-(-header * 8 // 7) + units) * 7 // 8) if encoding is Encoding.GSM7 else header + 2 * units


@given(LONG_TEXTS, BITS)
def test_no_part_exceeds_140_octets_and_none_but_the_last_could_take_another_character(text: str, bits: Any) -> None:
    result = answer(segment, text, bits)
    if isinstance(result, str):
        return
    header = 0 if result.segments == 1 else {8: 6, 16: 7}[bits]
    octets = [octets_on_air(result.encoding, units, header) for units in result.parts]
    assert max(octets) <= 140
    # Two units more would not fit: a pair may keep one free, and nothing more.
    assert all(octets_on_air(result.encoding, units + 2, header) > 140 for units in result.parts[:-1])


@given(LONG_TEXTS, ANY_TEXTS, BITS)
def test_the_parts_of_a_text_never_decrease_as_more_is_written(text: str, more: str, bits: Any) -> None:
    before = answer(count_parts, text, bits)
    after = answer(count_parts, text + more, bits)
    if isinstance(before, str):
        assert after == before, "what is too long stays too long"
    else:
        assert isinstance(after, str) or after[1] >= before[1]


@given(st.text(st.characters(), max_size=300), st.integers(1, 200), BITS)
def test_the_count_is_the_number_of_parts_that_are_cut_whatever_is_written(text: str, times: int, bits: Any) -> None:
    """Of any code points, halves of surrogate pairs among them; where one refuses, both refuse it alike."""
    cut, counted = answer(split, text * times, bits), answer(count_parts, text * times, bits)
    assert counted == cut if isinstance(cut, str) else counted[1] == len(cut)


@pytest.mark.parametrize(("bits", "part"), [(8, 67), (16, 66)])
def test_an_emoji_family_at_the_end_of_a_part_is_cut_between_its_people_and_never_within_one(
    bits: Any, part: int
) -> None:
    family = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}\u200d\N{BOY}" + "\u200d\N{GIRL}" * 4 + "\ufe0f\u20e3"
    assert len(family.encode("utf-16-be")) == 50, "25 code units"
    for before in range(part - 25, part + 2):
        text = "a" * before + family + "b" * 70
        payloads = split(text, bits)
        assert "".join(payload.decode("utf-16-be") for payload in payloads) == text
        assert len(payloads) == count_parts(text, bits)[1]


@given(ANY_TEXTS, BITS)
def test_units_of_the_parts_add_up_and_every_part_is_within_its_limit(text: str, bits: Any) -> None:
    result = segment(text, bits)
    single, part = SIZES[result.encoding, bits]
    assert sum(result.parts) == result.units
    assert max(result.parts) <= (single if result.segments == 1 else part)
    assert (result.segments == 1) == (result.units <= single)
    # A part stays short of its limit by one at most, and only for a pair that would have been cut.
    assert all(units >= part - 1 for units in result.parts[:-1])


@given(LONG_TEXTS, BITS)
def test_the_fast_count_says_what_segment_says(text: str, bits: Any) -> None:
    expected = answer(segment, text, bits)
    if not isinstance(expected, str):
        expected = (expected.encoding, expected.segments)
    assert answer(count_parts, text, bits) == expected


@given(ANY_TEXTS, BITS)
def test_the_payloads_are_cut_as_counted_and_each_decodes_on_its_own(text: str, bits: Any) -> None:
    result = segment(text, bits)
    payloads = split(text, bits)
    width, coding = (1, 0) if result.encoding is Encoding.GSM7 else (2, 8)
    assert tuple(len(payload) // width for payload in payloads) == result.parts
    # A cut pair would decode to replacement characters on either side of the cut.
    assert "".join(decode(payload, coding) for payload in payloads) == text


@given(GSM7_TEXTS)
def test_gsm7_octets_decode_to_the_text(text: str) -> None:
    assert decode_septets(encode_gsm7(text)) == text


def test_a_character_outside_the_alphabet_is_not_encoded_as_another() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_gsm7("naïve")


@given(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_inbound_garbage_decodes_to_something(payload: bytes, data_coding: int, locking: int, single: int) -> None:
    assert isinstance(decode(payload, data_coding, Shifts(locking, single)), str)


@pytest.mark.parametrize(
    ("payload", "data_coding", "text"),
    [
        (b"\x00Stop\x1be", 0, "@Stop€"),
        (b"Stop", 1, "Stop"),
        (b"\xe9t\xe9", 3, "été"),
        (b"\x04\x21\x04\x42", 8, "Ст"),
        (b"\xd8\x3d\xde\x00", 8, "😀"),
        (b"\xd8\x3d", 8, "\ufffd"),
        (b"a\x00b"[:1] + b"\x00", 8, "愀"),
        (b"\xff", 0, "\ufffd"),
        (b"\x1b", 0, "\ufffd"),
        (b"\x1bA", 0, "A"),
        (b"\x1b\x1b", 0, " "),
        (b"\xe9", 1, "\ufffd"),
        (b"Hi", 0xF1, "Hi"),
        (b"\x00H", 0x18, "H"),
        (b"\x00H", 0xE0, "H"),
        (b"\xe9", 0xF5, "é"),
    ],
)
def test_inbound_payloads_are_read_by_their_data_coding(payload: bytes, data_coding: int, text: str) -> None:
    assert decode(payload, data_coding) == text
