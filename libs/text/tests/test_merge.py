import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.text.merge import clean_value


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        (" Jo ", "Jo"),
        ("one\r\ntwo\tthree", "one  two three"),
        ("J\x00o\u202e\u200b\ud800", "Jo"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        (" \n\u200b", ""),
        ("{{b}}", "{{b}}"),
    ],
)
def test_a_value_is_cleaned(value: str, clean: str) -> None:
    assert clean_value(value) == clean


@given(st.text())
def test_a_clean_value_has_no_control_character_and_is_clean(value: str) -> None:
    clean = clean_value(value)
    assert not any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in clean)
    assert clean_value(clean) == clean
