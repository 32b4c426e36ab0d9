"""What a query means, and what is said to one that means nothing. No database: docs/search.md as a table."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.customer.domain import query_reader
from muster.customer.domain.fields import Kind
from muster.customer.domain.query import (
    All,
    AnyOf,
    Condition,
    Digits,
    Field,
    Node,
    Not,
    Op,
    Type,
    Word,
    asked_as,
    fields_of,
    mentions,
)
from muster.customer.domain.query_reader import read_query
from muster.customer.domain.refusal import Refusal

FIELDS = fields_of(
    {"last_visit": Kind.DATE, "visits": Kind.NUMBER, "pet": Kind.TEXT, "consent": Kind.TEXT, "archived": Kind.TEXT}
)
SHADOWED = Field("archived", Type.TEXT, own=True)
TODAY = date(2026, 11, 27)


def read(written: str) -> Node | Refusal:
    return read_query(written, FIELDS, country="AU", today=TODAY)


def cond(key: str, op: Op, value: Any = "") -> Condition:
    return Condition(FIELDS[key], op, value)


@pytest.mark.parametrize(
    ("written", "node"),
    [
        ("", All(())),
        ("  ", All(())),
        ("ana", Word("ana")),
        ("ana smi", All((Word("ana"), Word("smi")))),
        ("Ana-María", All((Word("Ana"), Word("María")))),
        ("- ana", Word("ana")),
        ("0412 345", Digits(("61412345",), "0412345")),
        ("٠٤١٢ ٣٤٥", Digits(("61412345",), "0412345")),
        ("＋６１ 412", Digits(("61412",), "")),
        ("number is ٠٤١٢٣٤٥٦٧٨", cond("number", Op.IS, "61412345678")),
        ("+61 412", Digits(("61412",), "")),
        ("+61 (0)412 3", Digits(("614123",), "")),
        ("0061 412", Digits(("61412",), "")),
        ("(03) 98", Digits(("61398",), "0398")),
        ("678", Digits(("61678", "678"), "678")),
        ("00", Digits((), "00")),
        ("ana 0412", All((Word("ana"), Digits(("61412",), "0412")))),
        (
            "consent is express and last visit before 2026-05-01 and tag is colour",
            All(
                (
                    cond("consent", Op.IS, "express"),
                    cond("last_visit", Op.LESS, date(2026, 5, 1)),
                    cond("tag", Op.IS, "colour"),
                )
            ),
        ),
        ("Last_Visit < 2026-05-01", cond("last_visit", Op.LESS, date(2026, 5, 1))),
        ("last visit is before 30 days ago", cond("last_visit", Op.LESS, date(2026, 10, 28))),
        ("last visit on or after yesterday", cond("last_visit", Op.AT_LEAST, date(2026, 11, 26))),
        ("last visit on today", cond("last_visit", Op.IS, TODAY)),
        ("last visit is blank", cond("last_visit", Op.BLANK)),
        ("last visit is not empty", cond("last_visit", Op.NOT_BLANK)),
        ("visits at least 3", cond("visits", Op.AT_LEAST, "3")),
        ("visits != 3.50", cond("visits", Op.IS_NOT, "3.5")),
        ("pet is Rex the dog", cond("pet", Op.IS, "Rex the dog")),
        ('pet is "on or off"', cond("pet", Op.IS, "on or off")),
        ("pet:“Rex”", cond("pet", Op.IS, "Rex")),
        ("number is (03) 9876 5432", cond("number", Op.IS, "61398765432")),
        ("phone ends with 678", cond("number", Op.ENDS, "678")),
        ("mobile starts with 0412", cond("number", Op.STARTS, "61412")),
        ("allow bulk sms is unknown", cond("allow_bulk_sms", Op.IS, "unknown")),
        ("list is spring sale", cond("list", Op.IS, "spring sale")),
        ('lists is not "on or off"', cond("list", Op.IS_NOT, "on or off")),
        ("list is blank", cond("list", Op.BLANK)),
        ("ana tag is vip", All((Word("ana"), cond("tag", Op.IS, "vip")))),
        ("a or b c", AnyOf((Word("a"), All((Word("b"), Word("c")))))),
        ("(a or b) c", All((AnyOf((Word("a"), Word("b"))), Word("c")))),
        ("not tag is vip", Not(cond("tag", Op.IS, "vip"))),
        ("NOT (a OR b)", Not(AnyOf((Word("a"), Word("b"))))),
        ('"and"', Word("and")),
        ("ana - bob", All((Word("ana"), Word("bob")))),
        ('name is "Mary Ann" 678', All((cond("name", Op.IS, "Mary Ann"), Digits(("61678", "678"), "678")))),
    ],
)
def test_a_query_means_what_its_words_say(written: str, node: Node) -> None:
    assert read(written) == node


@pytest.mark.parametrize(
    ("written", "code", "position", "says"),
    [
        ("shoe size is 42", "query_unknown_field", 1, "there is no field 'shoe size'"),
        ("ana and shoe size is 42", "query_unknown_field", 9, "there is no field 'shoe size'"),
        ("ana and", "query_syntax", 8, "the query ends here"),
        ("ana and or bob", "query_syntax", 9, "this is no place for 'or'"),
        ("(ana", "query_syntax", 5, "a parenthesis is not closed"),
        ("ana)", "query_syntax", 4, "one parenthesis too many"),
        ("()", "query_syntax", 2, "this is no place for ')'"),
        ('name is "ana', "query_syntax", 9, "quotation mark"),
        ("consent is maybe", "query_syntax", 12, "no value of 'consent'"),
        ("consent before express", "query_syntax", 9, "not compared so"),
        ("last visit before spring", "query_syntax", 19, "no value of 'last_visit'"),
        ("last visit before 2026-02-30", "query_syntax", 19, "no value of 'last_visit'"),
        ("last visit before 99999999 days ago", "query_syntax", 19, "no value of 'last_visit'"),
        ("created before 9999-12-31", "query_syntax", 16, "no value of 'created'"),
        ("created after 0001-01-01", "query_syntax", 15, "no value of 'created'"),
        ("visits > many", "query_syntax", 10, "no value of 'visits'"),
        ("visits > ٣", "query_syntax", 10, "no value of 'visits'"),
        ("number is banana", "query_syntax", 11, "no value of 'number'"),
        ("number is 0412 345 67", "query_syntax", 11, "no value of 'number'"),
        ("tag is colour last visit before today", "query_syntax", 26, "'and' is missing"),
        ("tag is", "query_syntax", 7, "no value of 'tag'"),
        ("= 3", "query_syntax", 1, "this is no place for '='"),
        ("is ana", "query_syntax", 1, "this is no place for 'is'"),
        ("-", "query_syntax", 1, "signs, and no word"),
        ("tag is vip or _ .", "query_syntax", 15, "signs, and no word"),
        ("- ''", "query_syntax", 1, "signs, and no word"),
        ("ana not ’", "query_syntax", 9, "signs, and no word"),
        ("\u0301", "query_syntax", 1, "signs, and no word"),
        ("name is not \"''\"", "query_syntax", 13, "no value of 'name'"),
        ('ana not ""', "query_syntax", 9, "signs, and no word"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_was_expected(
    written: str, code: str, position: int, says: str
) -> None:
    refused = read(written)
    assert isinstance(refused, Refusal), refused
    assert (refused.code, refused.more["position"]) == (code, position)
    assert says in refused.message
    assert refused.more["expected"]


@pytest.mark.parametrize(
    ("written", "code", "limit"),
    [
        ("a " * 101, "query_too_many_terms", 100),
        (" or ".join(["tag is x"] * 10_000), "query_too_long", 10_000),
        ("x" * 10_001, "query_too_long", 10_000),
        ("(" * 21 + "a" + ")" * 21, "query_too_deep", 20),
        ("not " * 21 + "a", "query_too_deep", 20),
        ("(" * 4_000, "query_too_deep", 20),
    ],
)
def test_a_query_beyond_its_limits_is_refused_with_the_limit(written: str, code: str, limit: int) -> None:
    refused = read(written)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.more["limit"]) == (code, limit)
    assert f"{limit:,}" in refused.message


def test_as_many_terms_and_levels_as_are_allowed_are_read() -> None:
    assert not isinstance(read("a " * 100), Refusal)
    assert not isinstance(read("(" * 19 + "a" + ")" * 19), Refusal)


@given(st.text(max_size=60) | st.lists(st.sampled_from(
    ["ana", "0412", "(", ")", "and", "or", "not", "is", "tag", "last visit", "before", "today", '"', "=", "<", "blank"]
), max_size=12).map(" ".join))  # fmt: skip
def test_any_text_is_a_query_or_refused_at_a_place_within_it(written: str) -> None:
    node = read(written)
    if isinstance(node, Refusal):
        assert 1 <= node.more["position"] <= len(written) + 1


@pytest.mark.parametrize("words", ["a " * 5_000, "wordy " * 1_600, "ab " * 95 + "pet " * 3_000, "👩\u200d" * 4_000])
@pytest.mark.parametrize("end", ["", "pet = x", "other = x", "and pet is a"])
def test_each_of_thousands_of_words_is_looked_at_a_few_times(
    words: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    op_at, named = query_reader._Reader._op_at, query_reader.named

    def looked(reader: Any, at: int) -> Any:
        nonlocal looks
        looks += 1
        return op_at(reader, at)

    def name_looked(fields: Any, asked: str) -> Any:
        nonlocal looks
        looks += 1
        return named(fields, asked)

    monkeypatch.setattr(query_reader._Reader, "_op_at", looked)
    monkeypatch.setattr(query_reader, "named", name_looked)

    read(words[: 10_000 - len(end)] + end)

    assert looks < 3 * 5_000 + 100 * 64


def test_a_field_behind_many_words_is_found_and_they_are_words() -> None:
    words = " ".join(["word"] * 90)
    assert read(f"{words} last visit before 2026-05-01 and rex") == All(
        (*[Word("word")] * 90, cond("last_visit", Op.LESS, date(2026, 5, 1)), Word("rex"))
    )


def test_what_a_query_asks_for_is_known_at_any_depth() -> None:
    node = read("ana or not (tag is vip and archived is yes)")
    assert not isinstance(node, Refusal)
    assert mentions(node, "archived")
    assert not mentions(node, "consent")


def test_a_standard_field_keeps_its_name_against_an_own_one() -> None:
    assert not FIELDS["consent"].own
    asked = read("own consent is paper and own archived is yes")
    assert asked == All(
        (Condition(Field("consent", Type.TEXT, own=True), Op.IS, "paper"), Condition(SHADOWED, Op.IS, "yes"))
    )
    assert not mentions(asked, "archived"), "it asks for nobody in the archive"
    assert asked_as("tag", {"tag", "own_tag"}) == "own_own_tag"
    assert asked_as("own_tag", {"tag", "own_tag"}) == "own_tag"
    assert FIELDS["pet"].own
