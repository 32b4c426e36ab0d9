"""Texts with merge fields: how they are read, what is wrong with them, and what they say."""

import string
from datetime import date, timedelta
from decimal import Decimal

import pytest
from babel import Locale
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from muster.customer.domain.fields import Kind
from muster.customer.domain.locales import day_written, language_of, locale_of, number_written, read_language
from muster.customer.domain.merge_reader import FORMS, Field, near, read_pieces
from muster.customer.domain.merge_text import SEPARATOR, MergeText, Style, without_markup
from muster.customer.domain.refusal import Refusal
from muster.text import count_parts

KINDS = {"due": Kind.DATE, "owed": Kind.NUMBER, "note": Kind.FREE}
AU = Style("en", "AU", KINDS)


def text_of(written: str, style: Style = AU, **others: str) -> MergeText:
    text = MergeText.read(written, style, {tag.replace("_", "-"): other for tag, other in others.items()})
    assert isinstance(text, MergeText), text
    return text


def said(written: str, style: Style = AU, language: str = "", **values: str) -> str:
    text = text_of(written, style)
    return text.render(text.join(values, language))


def refused(written: str, style: Style = AU) -> Refusal:
    refusal = MergeText.read(written, style)
    assert isinstance(refusal, Refusal)
    return refusal


@pytest.mark.parametrize(
    ("written", "values", "text"),
    [
        ("Hi", {}, "Hi"),
        ("Hi {first_name}!", {"first_name": "Jo"}, "Hi Jo!"),
        ("Hi {{ first_name }}!", {"first_name": " Jo "}, "Hi Jo!"),
        ("Hi {first_name|there}!", {}, "Hi there!"),
        ("Hi { First_Name | there }!", {"first_name": "Jo"}, "Hi Jo!"),
        ("Hi{suffix|}!", {}, "Hi!"),
        ("{a}{{b}}{a}", {"a": "1", "b": "2"}, "121"),
        (r"\{a\} is {a}, C:\dir", {"a": "1"}, r"{a} is 1, C:\dir"),
        ("{a}", {"a": "{b} {{b|x}} }"}, "{b} {{b|x}} }"),
        ("{a}", {"a": "one\r\ntwo\tthree"}, "one  two three"),
        ("{a}", {"a": "<b>Jo</b><script>x()</script>"}, "Jox()"),
        ("{a}", {"a": "I <3 you & < 4 > 3"}, "I <3 you & < 4 > 3"),
        ("{a}", {"a": "<<b>script src=x>"}, "script src=x>"),
        ("{a|you}", {"a": "<br/>"}, "you"),
        ("{note}", {"note": " 12 High St\r\n<Perth>\x00 "}, "12 High St\n<Perth>"),
        ("{due}", {"due": "2026-05-01"}, "1 May 2026"),
        ("{due:short} {due:full} {due:plain}", {"due": "2026-05-01"}, "1/5/26 Friday, 1 May 2026 2026-05-01"),
        ("{due|soon}", {"due": ""}, "soon"),
        ("{due}", {"due": "soon"}, "soon"),
        ("{owed}", {"owed": "-1234567.891234"}, "-1,234,567.891234"),
        ("{owed:plain}", {"owed": "2026"}, "2026"),
    ],
)  # fmt: skip
def test_a_text_says(written: str, values: dict[str, str], text: str) -> None:
    assert said(written, **values) == text


@pytest.mark.parametrize(
    ("language", "country", "text"),
    [
        ("en", "US", "May 1, 2026 1,234.5"),
        ("de", "DE", "01.05.2026 1.234,5"),
        ("de", "AU", "01.05.2026 1.234,5"),
        ("de", "CH", "01.05.2026 1'234.5"),
        ("fr", "FR", "1 mai 2026 1 234,5"),
        ("sv", "SE", "1 maj 2026 1 234,5"),
        ("en", "IN", "1 May 2026 1,234.5"),
    ],
)
def test_days_and_numbers_are_written_as_the_language_does_in_the_country_with_signs_that_cost_one(
    language: str, country: str, text: str
) -> None:
    values = {"due": "2026-05-01", "owed": "1234.5"}
    written = said("{due} {owed}", Style(language, country, KINDS), **values)
    assert written == text
    assert written.isascii()


@pytest.mark.parametrize(
    ("written", "position", "code", "words"),
    [
        ("Hi {first_name, how are you", 3, "merge_syntax", "not closed"),
        ("Hi {{first_name", 3, "merge_syntax", "not closed"),
        ("Hi first_name}", 13, "merge_syntax", "closes nothing"),
        ("{a {b}", 0, "merge_syntax", "is closed"),
        ("{{{a}}}", 0, "merge_syntax", "is closed"),
        ("{{a}", 0, "merge_syntax", "is closed by"),
        ("{a}}", 3, "merge_syntax", "closes nothing"),
        ("{}", 0, "merge_syntax", "without a name"),
        ("{ | x}", 0, "merge_syntax", "without a name"),
        ("ok {a} {first name}", 7, "merge_syntax", "'first name' is no name of a field"),
        ("{__class__}", 0, "merge_syntax", "is no name of a field"),
        ("{print(1)}", 0, "merge_syntax", "nothing is calculated"),
        ("{a.__class__}", 0, "merge_syntax", "nothing is calculated"),
        ("{a[0]}", 0, "merge_syntax", "nothing is calculated"),
        ("{1a}", 0, "merge_syntax", "is no name of a field"),
        ("{a|b|c}", 0, "merge_syntax", "one fallback"),
        ("{> offer}", 0, "merge_syntax", "includes no other text, nor itself"),
        ("Hi {{include offer}}", 3, "merge_syntax", "includes no other text, nor itself"),
        ("{template:0193}", 0, "merge_syntax", "includes no other text, nor itself"),
        ("{% include 'offer' %}", 0, "merge_syntax", "includes no other text, nor itself"),
        ("{due:tiny}", 0, "merge_syntax", "no form 'tiny'"),
        ("x {owed:short}", 2, "no_such_form", "'owed' is a number"),
        ("x {pet:short}", 2, "no_such_form", "what it holds is said by PUT /v1/own-fields/pet"),
        ("{first_name:short}", 0, "no_such_form", "'first_name' is a text"),
        ("{a}" * 10_000, 300, "too_many_fields", "100 places"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_words_around_it(
    written: str, position: int, code: str, words: str
) -> None:
    refusal = refused(written)
    assert (refusal.field, refusal.code, refusal.more["position"]) == ("text", code, position)
    assert words in refusal.message
    assert f"At character {position + 1:,} (" in refusal.message
    assert len(refusal.message) < 400


def test_an_excerpt_shows_the_words_around_the_place() -> None:
    refusal = refused("Good morning to all of you,\nHi {first name}, come in again soon")
    assert refusal.more["excerpt"] == "…f you, Hi {first name}, come i…"


def test_limits_are_named_with_what_there_is() -> None:
    long = refused("x" * 100_000)
    assert (long.code, long.more) == ("too_long", {"limit": 39_015, "characters": 100_000})
    many = refused(" ".join(f"{{f{at}}}" for at in range(21)))
    assert (many.code, many.more) == ("too_many_fields", {"limit": 20, "fields": 21})


def test_a_mistake_in_another_language_is_named_by_it() -> None:
    refusal = MergeText.read("Hi", AU, {"de": "Hallo {"})
    assert isinstance(refusal, Refusal)
    assert (refusal.field, refusal.more["position"]) == ("variants.de", 6)


def test_a_field_that_is_meant_is_offered() -> None:
    known = ["first_name", "last_name", "language", "last_visit"]
    assert near("Frist_name", known)[0] == "first_name"
    assert near("lastvisit", known)[0] == "last_visit"
    assert near("zzz", known) == []


words = st.text(st.sampled_from("{}|:\\ab_ \n<é"), max_size=30)


@given(words | st.text(max_size=40))
def test_any_text_is_read_or_refused_with_a_place_within_it(written: str) -> None:
    pieces = read_pieces(written)
    if isinstance(pieces, Refusal):
        assert 0 <= pieces.more["position"] < len(written)
    elif not any(isinstance(piece, Field) for piece in pieces):
        assert "".join(map(str, pieces)) == written.replace(r"\{", "{").replace(r"\}", "}")


values = st.text(max_size=30) | words
templates = st.lists(
    st.sampled_from(["{a|x}", "{{b|}}", "{due|y}", "{owed:plain|z}", "{note|}", r"\{a\}", "Hi ", "é"]), min_size=1
)


@given(templates, values, values, values, values, values)
def test_no_value_makes_rendering_fail_or_is_read_as_a_field(
    pieces: list[str], a: str, b: str, due: str, owed: str, note: str
) -> None:
    text = MergeText.read("".join(pieces) + ".", AU)
    assert isinstance(text, MergeText)
    given = {"a": a, "b": b, "due": due, "owed": owed, "note": note}
    joined = text.join({key: value.replace(SEPARATOR, "") for key, value in given.items()})
    written = text.render(joined)
    assert text.missing(joined) == []
    assert not any(c < " " and c != "\n" for c in written)
    # What is rendered is not rendered again: each brace of it is one of a value, or was written as one.
    braces = sum(value.count("{") for value in joined.split(SEPARATOR)) * len(pieces) + written.count("{a}")
    assert written.count("{") <= braces


@given(st.text(st.sampled_from("<>/!ab \u00a0"), max_size=30))
def test_a_value_without_markup_has_none(value: str) -> None:
    plain = without_markup(value)
    assert without_markup(plain) == plain
    assert not any(f"<{c}" in plain for c in "ab/!")


# Other digits, orders, months with marks and without, names in other scripts. (All of CLDR takes half a minute.)
LOCALES = [
    *("ar_EG", "bg", "ca", "cs", "de_CH", "en_AU", "es", "fa", "fr", "he", "hi", "hu", "ja", "ko", "lt", "pl", "pt_BR"),
    *("ru", "sv", "th", "tr", "uk", "vi", "zh_Hant"),
]


def test_a_number_is_written_as_unicode_says_in_every_language() -> None:
    """But in Switzerland, where Babel makes one group of a number and no more."""
    assert number_written("123456789.5", Locale("de", "CH")) == "123'456'789.5"
    for name in LOCALES:
        if name == "de_CH":
            continue
        locale = Locale.parse(name)
        for stored in ("0", "7.5", "-12", "999", "1000", "-12345", "98765.4321", "123456789012.678901"):
            by_babel = format_decimal(Decimal(stored), locale=locale, decimal_quantization=False)
            assert number_written(stored, locale) == plain_signs(by_babel), (name, stored)


def plain_signs(written: str) -> str:
    """As people type it."""
    plain = {"\u2212": "-", "\u2019": "'", "\u202f": " ", "\u00a0": " ", "\u200e": "", "\u200f": ""}
    return "".join(plain.get(c, c) for c in written)


def test_a_number_costs_what_one_of_other_digits_does_in_every_language() -> None:
    for name in LOCALES:
        locale = Locale.parse(name)
        for stored in ("0", "7.5", "-12", "1234", "98765.4321", "-123456789012345.678901"):
            shape = "".join("1" if c in string.digits else c for c in stored)
            pair = count_of(number_written(stored, locale)), count_of(number_written(shape, locale))
            assert pair[0] == pair[1], (name, stored)


def test_a_day_costs_what_another_of_the_month_with_as_many_digits_does_in_every_language() -> None:
    for name in LOCALES:
        locale = Locale.parse(name)
        for form in FORMS[:3]:
            for month in range(1, 13):
                short, long = (count_of(day_written(f"2001-{month:02d}-{day}", locale, form)) for day in ("02", "22"))
                for day in ("01", "09", "10", "28"):
                    stored = f"1987-{month:02d}-{day}"
                    cost = count_of(day_written(stored, locale, form))
                    assert cost == (short if day < "10" else long), (name, form, stored)


def count_of(text: str) -> tuple[object, int]:
    """What a text adds to any message: its encoding and units, told by how many of it fill a part."""
    encoding, parts = count_parts(text * 200)
    return encoding, parts


def test_somebody_is_sent_the_text_of_their_language_or_else_the_first() -> None:
    text = text_of("Hi {first_name|there}", de="Hallo {first_name}", pt="Olá", pt_BR="Oi {name|}")
    spoken = {"de-AT": "de", "DE": "de", "pt_br": "pt-BR", "pt-PT": "pt", "": "en", "German": "en", "d": "en"}
    assert {one: text.variants[text.variant_for(one)].language for one in spoken} == spoken
    assert text.render(text.join({"first_name": "Jo"}, "de")) == "Hallo Jo"
    assert text.missing(text.join({}, "de")) == ["first_name"]
    assert text.missing(text.join({}, "fr")) == []
    assert (text.fields, text.required) == (("first_name", "name"), ("first_name",))


@pytest.mark.parametrize("joined", ["", "x", f"9{SEPARATOR}a{SEPARATOR}b", f"-1{SEPARATOR}a{SEPARATOR}b", "1"])
def test_values_that_were_joined_for_another_text_are_refused(joined: str) -> None:
    with pytest.raises(ValueError, match=r"another text|invalid literal|argument 2"):
        text_of("Hi {a}", de="Hallo {b}").render(joined)


def test_a_style_that_is_kept_is_the_same_style() -> None:
    assert Style.read(AU.plain()) == AU
    assert Style.read(None) == Style()


def test_languages_are_known_by_their_tags() -> None:
    tags = {"de": "de", "PT_br": "pt-BR", "zh-hant-tw": "zh-Hant-TW", "xx": None, "German": None, "und": None, "": None}
    assert {one: read_language(one) for one in tags} == tags
    countries = {"AU": "en", "DE": "de", "CH": "de", "IN": "en", "BR": "pt", "ZZ": "en", "": "en"}
    assert {one: language_of(one) for one in countries} == countries
    assert str(locale_of("de", "AU")) == "de"


def test_every_day_of_some_years_is_written_in_every_form() -> None:
    start = date(1899, 12, 25)
    for days in range(0, 60_000, 997):
        stored = (start + timedelta(days)).isoformat()
        assert all(day_written(stored, locale_of("en", "AU"), form) for form in FORMS[:4])
