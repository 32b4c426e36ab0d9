import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.text import fault_of


@pytest.mark.parametrize(
    ("text", "position", "code", "named"),
    [
        ("a\x00b", 1, "control_character", "U+0000"),
        ("Hi\x1b[31m", 2, "control_character", "U+001B"),
        ("one\x0btwo", 3, "control_character", "U+000B"),
        ("page\x0c", 4, "control_character", "U+000C"),
        ("\x85", 0, "control_character", "U+0085"),
        ("pay \u202e0051$", 4, "direction_override", "U+202E"),
        ("\u202dx", 0, "direction_override", "U+202D"),
        ("a\ud83d", 1, "unpaired_surrogate", "U+D83D"),
        ("\ude00b", 0, "unpaired_surrogate", "U+DE00"),
        ("a\u0378", 1, "unassigned_character", "U+0378"),
        ("ab\ufffe", 2, "unassigned_character", "U+FFFE"),
        ("\U0010ffff", 0, "unassigned_character", "U+10FFFF"),
        ("Z" + "\u0301" * 31, 1, "too_many_marks", "character 2"),
        ("😀" * 50_000 + "\x07", 50_000, "control_character", "Character 50001"),
    ],
)
def test_what_no_text_may_hold_is_named_with_its_place(text: str, position: int, code: str, named: str) -> None:
    fault = fault_of(text)
    assert fault is not None
    assert (fault.position, fault.code) == (position, code)
    assert named in fault.message
    assert f"haracter {position + 1}" in fault.message


@pytest.mark.parametrize(
    "text",
    [
        "Hi Anna,\r\n\tsee you at 10.\n",
        "Zoe\u0301 and Z\u030c\u0308\u0301",
        "👨\u200d👩\u200d👧\u200d👦 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f 1\ufe0f\u20e3",
        "مرحبا\u200f \u2068Muster\u2069 שלום",
        "a\u00a0b\u00adc\ufeff",
        "\U0001fae9 of a Unicode that this machine may not know",
        "Z" + "\u0301" * 30,
        "",
    ],
)
def test_what_people_write_in_whatever_script_is_no_fault(text: str) -> None:
    assert fault_of(text) is None


@given(st.text(st.characters(), max_size=60))
def test_the_first_fault_is_named_and_nothing_before_it_is_one(text: str) -> None:
    fault = fault_of(text)
    if fault is not None:
        assert fault_of(text[: fault.position]) is None
        assert fault_of(text[fault.position :]) is not None
