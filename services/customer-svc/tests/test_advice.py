"""What makes a send dearer, and what could be done: each figure is what a quote of the changed text says."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.customer.domain import advice
from muster.customer.domain.advice import Case, Costly, WhatIf, costly, other_sender, what_ifs
from muster.customer.domain.fields import Kind
from muster.customer.domain.merge_text import SEPARATOR, MergeText, Style
from muster.customer.domain.pricing import Price, Renderer, ValueClass, price
from muster.customer.domain.tariff import Route, Tariff
from muster.customer.domain.value_classes import Fewer, fewer
from muster.customer.handlers import facts
from muster.events import NIL_TENANT
from muster.events.v1 import platform_pb2
from muster.events.v1.platform_pb2 import SenderChanged
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit import clock

TARIFF = Tariff({"AU": 1, "*": 3}, [Route("main", (), 8), Route("nz", ("NZ",), 16), Route("wide", (), 16, ("Wide",))])
FILLER = "abcdefghij" * 40


def read(written: str) -> MergeText:
    text = MergeText.read(written)
    assert isinstance(text, MergeText)
    return text


def case_of(written: str, classes: Sequence[ValueClass]) -> Case:
    renderer = Renderer(read(written))
    return Case(read(written), classes, TARIFF, renderer, priced(renderer, classes))


def priced(renderer: Renderer, classes: Sequence[ValueClass], tariff: Tariff = TARIFF) -> Price:
    total = price(renderer, classes, tariff)
    assert isinstance(total, Price)
    return total


def everybody(recipients: int, country: str = "AU") -> list[ValueClass]:
    return [ValueClass(country, "", recipients)]


def found(case: Case, change: str) -> WhatIf:
    [one] = [one for one in what_ifs(case) if one.change == change]
    return one


def edited(text: str, what: WhatIf) -> str:
    for edit in reversed(what.edits):
        assert text.startswith(edit.old, edit.position)
        text = text[: edit.position] + edit.new + text[edit.position + len(edit.old) :]
    return text


def test_one_curly_apostrophe_says_what_it_costs_over_the_audience_and_what_to_write() -> None:
    case = case_of("It’s " + FILLER[:155], everybody(1_956))

    [one] = costly(case)
    assert (one.where, one.recipients, one.parts, one.credits) == ("text", 1_956, 3_912, 3_912)
    assert one.message == "’ costs 3,912 credits"
    assert [(c.text, c.replacement, c.positions) for c in one.characters] == [("’", "'", (2,))]
    plain = found(case, "plain_text")
    assert edited(case.text.text, plain) == "It's " + FILLER[:155]
    assert (plain.parts, plain.credits) == (1_956, 1_956)


def test_an_accent_in_some_names_says_how_many_people_it_makes_dearer() -> None:
    names = [ValueClass("AU", "Zoô", 41), ValueClass("AU", "aaa", 900), ValueClass("NZ", "Bőb", 2)]
    case = case_of("Hi {{first_name}} " + FILLER[:100], names)

    dearest, other = costly(case)
    assert dearest.message == "ô in first_name makes 41 people cost 2 parts and not 1: 41 credits"
    assert (dearest.recipients, dearest.parts, dearest.credits, dearest.fields) == (41, 41, 41, ("first_name",))
    assert (other.characters[0].text, other.recipients, other.credits) == ("ő", 2, 6)
    plainly = found(case, "no_accents")
    assert (plainly.parts, plainly.credits) == (943, 900 + 41 + 2 * 3)


def test_who_has_two_such_letters_is_told_of_with_both_since_neither_alone_helps() -> None:
    case = case_of("Hi {{name}} " + FILLER[:100], [ValueClass("AU", "Zoôő", 3), ValueClass("AU", "Zoôx", 2)])

    told = {tuple(c.text for c in one.characters): one.credits for one in costly(case)}
    assert told == {("ô", "ő"): 3, ("ô",): 2}


def test_what_costs_nothing_is_not_called_costly() -> None:
    case = case_of("It’s {{name}} €", [ValueClass("AU", "Zoô", 5)])
    assert (costly(case), what_ifs(case)) == ([], [])


def test_an_emoji_has_no_replacement_and_says_what_leaving_it_out_saves() -> None:
    case = case_of(FILLER[:158] + "😀", everybody(10))

    [one] = costly(case)
    assert ([c.replacement for c in one.characters], one.credits) == ([None], 20)
    assert "plain_text" not in {what.change for what in what_ifs(case)}


def test_an_escape_that_makes_a_second_part_says_so_and_forces_nothing() -> None:
    case = case_of(FILLER[:159] + "€", everybody(7))

    [one] = costly(case)
    assert (one.reason, one.message) == ("two_septets", "€ costs 7 credits")


def test_invisible_characters_are_called_by_their_names_and_many_are_not_all_listed() -> None:
    [one] = costly(case_of("a\u00a0b " + FILLER[:100], everybody(1)))
    assert one.message == "NO-BREAK SPACE costs 1 credit"
    [six] = costly(case_of("“a” – ‘b’ … " + FILLER[:140], everybody(1)))
    assert six.message == "“, ”, –, ‘, ’ and … cost 2 credits"
    [many] = costly(case_of("“a” – ‘b’ … «" + FILLER[:140], everybody(1)))
    assert many.message == "“, ”, –, ‘, ’ and 2 others cost 2 credits"


def test_fewer_characters_are_advised_that_take_a_part_off_most_recipients() -> None:
    names = [ValueClass("AU", "a" * 5, 60), ValueClass("AU", "a" * 9, 30), ValueClass("AU", "a", 10)]
    case = case_of("Hi {{name}} " + FILLER[:154], names)

    shorter = found(case, "shorter")
    assert (shorter.characters, shorter.credits, shorter.message) == (3, 130, "3 characters fewer")


def test_a_text_that_would_have_to_lose_too_much_is_not_advised_to_be_shorter() -> None:
    assert what_ifs(case_of(FILLER[:305], everybody(5))) == []


def test_another_sender_is_priced_by_its_own_routes() -> None:
    case = case_of(FILLER[:306], everybody(10))
    wide = TARIFF.of("Wide")
    told = other_sender(Case(case.text, case.classes, wide, case.renderer, case.total), "Wide")
    assert told is not None
    assert (told.sender, told.parts, told.credits) == ("Wide", 30, 30)
    assert case.total.credits == 20


TEXTS = st.builds(
    lambda pieces, filler: "".join(pieces) + FILLER[:filler],
    st.lists(
        st.sampled_from(["’", "“", "…", "😀", "ë", "]", "€", "½", "e\u0301", "{{a}}", "{{b|dé}}", "x "]), max_size=12
    ),
    st.integers(0, 330),
)
VALUES = st.text(st.sampled_from("abZ -'.é ôő😀1<>]\u00a0\u200d\u0301"), max_size=12).map(str.strip)
CLASSES = st.lists(
    st.builds(ValueClass, st.sampled_from(["AU", "NZ", "FR"]), st.tuples(VALUES, VALUES), st.integers(1, 50)),
    min_size=1,
)


def classes_for(text: MergeText, drawn: Sequence[ValueClass]) -> list[ValueClass]:
    """Of a text's fields, with a value where one is needed."""
    made = []
    for group in drawn:
        values = dict(zip("ab", group.joined, strict=True))
        joined = SEPARATOR.join(values[name] or ("x" if name in text.required else "") for name in text.fields)
        made.append(ValueClass(group.country, joined, group.recipients))
    return made


@given(TEXTS, CLASSES)
def test_every_figure_is_what_a_quote_of_the_changed_text_says(written: str, drawn: Sequence[ValueClass]) -> None:
    text = read(written or "x")
    classes = classes_for(text, drawn)
    few = fewer(text, classes)
    case = replace(case_of(text.text, few.priced), lettered=few.alike)
    assert case.total == priced(Renderer(text), classes), "classes of what is priced alike come to the same"
    assert case.total == priced(Renderer(text), few.alike), "classes that are alike come to the same"

    for what in what_ifs(case):
        assert what.recipients == case.total.recipients
        assert what.credits < case.total.credits
        if what.change == "plain_text":
            again = priced(Renderer(read(edited(text.text, what))), classes)
            assert (again.parts, again.credits) == (what.parts, what.credits)
    for one in costly(case):
        assert 0 < one.credits < case.total.credits
        if one.where == "text" and all(c.replacement is not None for c in one.characters):
            assert found(case, "plain_text").credits == case.total.credits - one.credits


@given(CLASSES)
def test_what_accents_in_values_cost_by_themselves_is_what_names_without_them_save(drawn: Sequence[ValueClass]) -> None:
    text = read("Hi {{a}} {{b|there}} " + FILLER[:130])
    classes = classes_for(text, drawn)
    case = case_of(text.text, classes)
    paid = sum(one.credits for one in costly(case) if _replaced(one))
    assert paid <= case.total.credits - min((w.credits for w in what_ifs(case) if w.change == "no_accents"), default=0)


def _replaced(one: Costly) -> bool:
    return one.where == "values" and all(c.replacement is not None for c in one.characters)


@pytest.mark.parametrize("value", ["O'Brien", "Mary-Jane", "St. John", "Zoë"])
def test_names_of_other_letters_are_one_class(value: str) -> None:
    other = value.translate(str.maketrans("OBrienMaryJstJohZ", "abcdefghijklmnopq"))
    classes = [ValueClass("AU", value, 1), ValueClass("AU", other, 2), ValueClass("NZ", value, 3)]
    assert len(fewer(read("{{a}}"), classes).alike) == 2


@pytest.mark.parametrize("value", ["Zoe\u0301", "a€b", "x😀"])
def test_what_a_part_could_end_in_stays_as_it_is(value: str) -> None:
    found = fewer(read("{{a}}"), [ValueClass("AU", value, 1)])
    assert found == Fewer([ValueClass("AU", value, 1)], [ValueClass("AU", value, 1)])


def test_days_and_numbers_are_one_where_they_are_written_as_long() -> None:
    text = MergeText.read("{a} {b} {a:short}", Style("en", "AU", {"a": Kind.DATE, "b": Kind.NUMBER}))
    once = MergeText.read("{a} {b}", Style("en", "AU", {"a": Kind.DATE, "b": Kind.NUMBER}))
    assert isinstance(text, MergeText)
    assert isinstance(once, MergeText)
    days, numbers = ("2026-05-01", "2026-06-09", "2026-05-11"), ("1234", "5678", "123")
    classes = [ValueClass("AU", f"{day}\x1f{number}", 1) for day in days for number in numbers]
    assert [(one.joined, one.recipients) for one in fewer(once, classes).priced] == [
        *(("aaaaaaaaaa\x1faaaaa", 4), ("aaaaaaaaaa\x1faaa", 2), ("aaaaaaaaaaa\x1faaaaa", 2)),
        ("aaaaaaaaaaa\x1faaa", 1),
    ]
    assert len(fewer(text, classes).priced) == 6, "a day in two forms is no other day"


async def test_a_quote_advises_and_a_quote_of_what_it_advises_comes_to_what_was_said(salon: Any) -> None:
    rows = ["Zoô,Jones,0412010001,yes", *(f"Ann{at},Lee,04120200{at:02},yes" for at in range(20))]
    await salon.load("\n".join(rows) + "\n")
    own = {"standing": platform_pb2.SENDER_STANDING_ACTIVE, "active": True, "version": 1, "sender": "Salon"}
    owner = {"tenant_id": str(NIL_TENANT), "owner_tenant_id": str(salon.tenant_id)}
    await salon.hear(facts.on_sender_changed, SenderChanged(**owner, **own))
    text = "Hi {{first_name}}, it’s Thursday " + FILLER[:120]

    quote = await salon.quote(text, local_time=f"{clock.now() + timedelta(days=1):%Y-%m-%dT%H:%M}")

    advice = quote["advice"]
    assert [(one["where"], one["recipients"], one["message"]) for one in advice["costly"]] == [
        ("text", 21, f"’ costs {advice['costly'][0]['credits']} credits")
    ]
    told = {one["change"]: one for one in advice["what_if"]}
    assert told.keys() == {"plain_text", "no_accents", "shorter", "other_sender", "later"}
    assert told["later"]["at"] == quote["hours"]["last_starts_at"]
    assert (told["other_sender"]["sender"], told["other_sender"]["credits"]) == ("Salon", quote["credits"])
    [edit] = told["plain_text"]["edits"]
    assert (quote["text"][edit["position"]], edit["old"], edit["new"]) == ("’", "’", "'")
    assert (await salon.ask("GET", f"/v1/quotes/{quote['id']}")).json()["advice"] == advice

    plainly = await salon.quote(text.replace("’", "'"))
    assert (plainly["parts"], plainly["credits"]) == (told["plain_text"]["parts"], told["plain_text"]["credits"])
    [accent] = plainly["advice"]["costly"]
    assert accent["message"].startswith("ô in first_name makes 1 person cost")
    assert plainly["credits"] - accent["credits"] == told["no_accents"]["credits"]


async def test_a_message_of_more_parts_than_the_business_allows_itself_is_refused_with_both_figures(salon: Any) -> None:
    await salon.load("Zoë,Jones,0412010001,yes\n")
    settings = {"name": "Salon", "country": "AU", "time_zone": "UTC", "sender": "+61400000000", "countries": ["*"]}
    said = TenantChanged(tenant_id=str(salon.tenant_id), version=2, parts_max=2, **settings)
    await salon.hear(facts.on_tenant_changed, said)

    asked = {"text": FILLER[:307], "audience": {"all": True}}
    for answer in (
        await salon.ask("POST", "/v1/quotes", asked),
        await salon.ask("POST", "/v1/messages", {"to": "0412010001", "text": FILLER[:307]}),
    ):
        [error] = answer.json()["errors"]
        assert (answer.status_code, error["field"], error["code"]) == (422, "text", "too_many_parts")
        assert "3 parts" in error["message"]
        assert "limit to 2" in error["message"]
    assert (await salon.quote(FILLER[:306], **{"class": "factual"}))["parts"] == 2


def test_what_a_translation_is_written_in_is_not_laid_at_the_door_of_its_readers_names() -> None:
    text = MergeText.read("It’s {{name}}’s " + FILLER[:150], Style("en", "AU"), {"el": "Γεια {{name}} " + "α" * 100})
    assert isinstance(text, MergeText)
    classes = [ValueClass("AU", f"0{SEPARATOR}aaa", 5), ValueClass("AU", f"1{SEPARATOR}Zoô", 7)]
    renderer = Renderer(text)
    case = Case(text, classes, TARIFF, renderer, priced(renderer, classes))

    [one] = costly(case)
    assert (one.where, one.recipients, one.credits) == ("text", 5, 5)
    assert found(case, "plain_text").credits == case.total.credits - 5


def test_of_thousands_of_different_characters_the_first_hundred_are_told() -> None:
    hundreds = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))

    [one] = costly(case_of(FILLER + hundreds, everybody(2)))

    assert [c.text for c in one.characters] == list(hundreds[:100])
    assert one.message.startswith("一, 丁, 丂")


def test_in_how_many_letters_dear_ones_are_looked_for_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [ValueClass("AU", f"Zoô{'a' * at}", 1) for at in range(10)]
    written = FILLER + " {{first_name}}"
    assert [one.where for one in costly(case_of(written, names))] == ["values"]

    monkeypatch.setattr(advice, "LETTERS_MAX", 10 * len(written) - 1)

    assert costly(case_of(written, names)) == []
