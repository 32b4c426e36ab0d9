import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.text import Encoding, by_character, dearer_characters, encoding_of, forcing_characters


@pytest.mark.parametrize(
    ("text", "position", "name", "replacement"),
    [
        ("It’s", 2, "RIGHT SINGLE QUOTATION MARK", "'"),
        ("“Hi", 0, "LEFT DOUBLE QUOTATION MARK", '"'),
        ("9–5", 1, "EN DASH", "-"),
        ("a\u00a0b", 1, "NO-BREAK SPACE", " "),
        ("wait…", 4, "HORIZONTAL ELLIPSIS", "..."),
        ("a\tb", 1, "TAB", " "),
        ("5\u2126", 1, "OHM SIGN", "Ω"),
        ("estás", 3, "LATIN SMALL LETTER A WITH ACUTE", "a"),
        ("ça", 0, "LATIN SMALL LETTER C WITH CEDILLA", "c"),
        ("ΑBC", 0, "GREEK CAPITAL LETTER ALPHA", "A"),
        ("Ｈi", 0, "FULLWIDTH LATIN CAPITAL LETTER H", "H"),
        ("a\u200bb", 1, "ZERO WIDTH SPACE", ""),
        ("ok 😀", 3, "GRINNING FACE", None),
        ("中", 0, "CJK UNIFIED IDEOGRAPH-4E2D", None),
    ],
)
def test_the_character_that_forces_ucs2_is_named_with_what_could_replace_it(
    text: str, position: int, name: str, replacement: str | None
) -> None:
    (found,) = dearer_characters(text)
    assert (found.position, found.name, found.reason, found.replacement) == (position, name, "ucs2", replacement)


def test_an_accented_letter_of_the_alphabet_is_not_named() -> None:
    assert dearer_characters("Zoé è già qui, señor Müller") == ()


def test_a_decomposed_letter_is_one_character_with_its_composed_form_as_replacement() -> None:
    (found,) = dearer_characters("Hi Zoe\u0301!")
    assert (found.position, found.text, found.replacement) == (5, "e\u0301", "é")


def test_an_extension_character_costs_two_septets_and_forces_nothing() -> None:
    (found,) = dearer_characters("10€")
    assert (found.position, found.name, found.reason) == (2, "EURO SIGN", "two_septets")


@given(st.text(max_size=200))
def test_a_text_is_ucs2_exactly_when_a_character_is_named_for_it(text: str) -> None:
    forcing = [d for d in dearer_characters(text) if d.reason == "ucs2"]
    assert list(forcing_characters(text)) == forcing
    assert bool(forcing) == (encoding_of(text) is Encoding.UCS2)
    assert all(text[d.position :].startswith(d.text) for d in forcing)


@given(st.text(st.sampled_from("ab’“”–—…\u00a0\tçáΑ\u2126½™e\u0301"), max_size=100))
def test_taking_every_replacement_makes_the_text_gsm7(text: str) -> None:
    for found in reversed(dearer_characters(text)):
        if found.replacement is not None:
            text = text[: found.position] + found.replacement + text[found.position + len(found.text) :]
    assert encoding_of(text) is Encoding.GSM7 or "\u0301" in text


@given(st.text(st.sampled_from("ab’“]€😀e\u0301"), max_size=100))
def test_the_occurrences_of_a_character_are_named_together(text: str) -> None:
    found = dearer_characters(text)
    groups = by_character(found)
    told = sorted((at, group.text) for group in groups for at in group.positions)
    assert told == [(one.position, one.text) for one in found]
    assert len({group.text for group in groups}) == len(groups)
