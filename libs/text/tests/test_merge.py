import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.text import Field, MissingField, Template, TemplateError


@pytest.mark.parametrize(
    ("text", "values", "rendered"),
    [
        ("Hi", {}, "Hi"),
        ("", {}, ""),
        ("Hi {{first_name}}!", {"first_name": "Jo"}, "Hi Jo!"),
        ("Hi {{ first_name }}!", {"first_name": " Jo "}, "Hi Jo!"),
        ("Hi {{first_name|there}}!", {}, "Hi there!"),
        ("Hi {{first_name|there}}!", {"first_name": None}, "Hi there!"),
        ("Hi {{first_name|there}}!", {"first_name": "  "}, "Hi there!"),
        ("Hi {{first_name|there}}!", {"first_name": "Jo"}, "Hi Jo!"),
        ("Hi{{suffix|}}!", {}, "Hi!"),
        ("{{a}}{{b}}{{a}}", {"a": "1", "b": "2"}, "121"),
        ("{single} } { braces", {}, "{single} } { braces"),
        ("{{a}}", {"a": "{{b}}", "b": "no"}, "{{b}}"),
        ("{{a}}", {"a": "one\r\ntwo\tthree"}, "one  two three"),
        ("{{a}}", {"a": "J\x00o\u202e\u200b\ud800"}, "Jo"),
        ("{{a}}", {"a": "👩\u200d🔬"}, "👩\u200d🔬"),
        ("{{a}}", {"a": "0"}, "0"),
    ],
)
def test_a_template_renders(text: str, values: dict[str, str | None], rendered: str) -> None:
    assert Template.parse(text).render(values) == rendered


@pytest.mark.parametrize(
    "values", [{}, {"first_name": None}, {"first_name": ""}, {"first_name": " \n\u200b"}, {"First_Name": "Jo"}]
)
def test_a_missing_or_blank_value_without_fallback_stops_the_row(values: dict[str, str | None]) -> None:
    assert Template.parse("Hi {{first_name}}, {{other|x}}").render(values) == MissingField("first_name")


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("Hi {{first_name", 3),
        ("Hi first_name}}", 13),
        ("{{a {{b}}", 0),
        ("{{}}", 0),
        ("{{ | x}}", 0),
        ("ok {{a}} {{first name}}", 9),
        ("{{1a}}", 0),
        ("{{a.b}}", 0),
        ("{{#if a}}", 0),
        ("{{{a}}}", 0),
        ("{{a|b|c}}", 0),
        ("{{a|{b}}", 0),
        ("}}", 0),
    ],
)
def test_a_fault_in_a_template_is_named_with_its_place(text: str, position: int) -> None:
    with pytest.raises(TemplateError) as fault:
        Template.parse(text)
    assert fault.value.position == position


def test_fields_and_literal_text_are_told_apart() -> None:
    template = Template.parse("Hi {{name|you}}, {{day}} at {{day}}. Reply STOP to opt out")
    assert template.fields == (Field("name", "you"), Field("day", None), Field("day", None))
    assert template.literal == "Hi ,  at . Reply STOP to opt out"


@given(st.text(), st.text())
def test_a_value_never_brings_a_control_character_or_a_field_with_it(value: str, other: str) -> None:
    rendered = Template.parse("{{a|x}}").render({"a": value, "b": other})
    assert isinstance(rendered, str)
    assert not any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in rendered)


def place_of_fault(text: str) -> int | None:
    try:
        Template.parse(text)
    except TemplateError as fault:
        return fault.position
    return None


@given(st.text(st.sampled_from("{}| ab1")))
def test_any_text_is_parsed_or_refused_with_a_place_within_it(text: str) -> None:
    position = place_of_fault(text)
    if position is None:
        assert Template.parse(text).fields or Template.parse(text).render({}) == text
    else:
        assert 0 <= position < len(text)
