"""Marketing says whom it is from and how to get no more of it; what a text says itself is not said twice."""

from typing import Any

import pytest

from muster.customer.domain.links import PLACEHOLDER
from muster.customer.domain.merge_text import outside_fields
from muster.customer.domain.notices import WORDS, Notices, Wordings, judge_notices, with_notices
from muster.text import Encoding, count_parts

NUMBER, OPEN = "+61400000000", "https://m.example"
ROWS = "Ana,S,0412000001,yes\n"


def noticed(text: str, sender: str = NUMBER, notices: Notices | None = None, business: str = "Ada's Salon") -> str:
    return with_notices(text, outside_fields(text), business, sender, notices or Notices(), OPEN).text


@pytest.mark.parametrize(
    ("text", "sender", "said"),
    [
        ("We moved", NUMBER, "Ada's Salon: We moved\nReply STOP to opt out"),
        ("We moved \n", NUMBER, "Ada's Salon: We moved\nReply STOP to opt out"),
        ("ADAS SALON has moved", NUMBER, "ADAS SALON has moved\nReply STOP to opt out"),
        ("We moved. Text STOP to end", NUMBER, "Ada's Salon: We moved. Text STOP to end"),
        (
            "Hi {{x|Adas Salon}} {{y|stop to end}}",
            NUMBER,
            "Ada's Salon: Hi {{x|Adas Salon}} {{y|stop to end}}\nReply STOP to opt out",
        ),
        ("We moved", "AdasSalon", f"We moved\nOpt out: {OPEN}{PLACEHOLDER}"),
        ("We moved. Reply STOP to end", "AdasSalon", f"We moved. Reply STOP to end\nOpt out: {OPEN}{PLACEHOLDER}"),
        ("We moved. Opt out: ada.com/o", "AdasSalon", "We moved. Opt out: ada.com/o"),
    ],
)
def test_what_a_text_lacks_is_added(text: str, sender: str, said: str) -> None:
    assert noticed(text, sender) == said
    assert noticed(said, sender) == said


def test_the_name_of_a_business_is_never_a_merge_field() -> None:
    assert noticed("Hi", business="{{x}} Ltd") == "((x)) Ltd: Hi\nReply STOP to opt out"


@pytest.mark.parametrize(
    ("members", "wrong"),
    [
        ({}, []),
        ({"identity": "From {business}. ", "reply": "STOP to end", "by_link": "Unsubscribe {link}"}, []),
        ({"identity": "Hello "}, ["without_business"]),
        ({"reply": "Bye"}, ["without_way_out"]),
        ({"by_link": "Opt out"}, ["without_link"]),
        ({"by_link": "{link}"}, ["without_link"]),
        ({"identity": "{{business}}"}, ["not_plain"]),
        ({"identity": "{business} {first_name}"}, ["not_plain"]),
        ({"reply": "Reply STOP\x00 to end"}, ["not_plain"]),
        ({"reply": f"Reply STOP to opt out {'x' * 100}"}, ["too_long"]),
    ],
)
def test_words_that_would_not_do_are_refused_by_name(members: dict[str, str], wrong: list[str]) -> None:
    assert [one.code for one in judge_notices(Notices(**members))] == wrong


async def test_a_business_says_it_in_its_own_words(salon: Any) -> None:
    await salon.load(ROWS)
    assert (await salon.ask("GET", "/v1/notices")).json()["changed_by"] is None
    own = {"identity": "{business} here. ", "reply": "STOP to end", "by_link": "Unsubscribe: {link}"}
    for by, status in (("staff", 403), ("manager", 200)):
        assert (await salon.ask("PUT", "/v1/notices", own, by=by)).status_code == status
    shown = (await salon.ask("GET", "/v1/notices", by="staff")).json()
    assert {name: shown[name] for name in own} == own
    assert shown["changed_by"] == "mia"
    quote = await salon.quote("We moved")
    assert quote["text"] == "Salon here. We moved\nSTOP to end"
    added = [(one["what"], one["text"], one["language"]) for one in quote["added"]]
    assert added == [("identity", "Salon here. ", "en"), ("way_out", "STOP to end", "en")]
    refused = await salon.ask("PUT", "/v1/notices", {"identity": "", "reply": ""})
    assert [(one["field"], one["code"]) for one in refused.json()["errors"]] == [
        ("identity", "without_business"),
        ("reply", "without_way_out"),
    ]
    assert (await salon.ask("GET", "/v1/notices", by="other")).json()["identity"] == "{business}: "


def test_words_by_rule_are_of_the_language_of_the_text_and_are_not_said_twice() -> None:
    words = Wordings("en", Notices(reply="STOP to end"), {"de-CH": Notices(reply="Mit STOP ist Schluss")})
    said = {tag: words.of(tag).reply for tag in ("", "en-GB", "de", "de-CH", "fr-CA", "pl")}
    assert said == {
        "": "STOP to end", "en-GB": "STOP to end", "de": "Abmelden mit STOP", "de-CH": "Mit STOP ist Schluss",
        "fr-CA": "STOP pour vous désabonner", "pl": "STOP to end",
    }  # fmt: skip
    assert Wordings("de").of("").reply == "Abmelden mit STOP"
    assert Wordings("pl").of("") == Notices()
    for tag in (*WORDS, "de-CH"):
        for sender in (NUMBER, "AdasSalon"):
            once = noticed("xyz", sender, words.of(tag))
            assert noticed(once, sender, words.of(tag)) == once
            assert count_parts(once.replace(PLACEHOLDER, "") + "x" * 50)[0] is Encoding.GSM7
        assert judge_notices(words.of(tag), tag) == []


async def test_each_language_of_a_template_has_its_own_words_by_rule_at_the_quoted_price(salon: Any) -> None:
    header = "first name,mobile,allow bulk sms,language"
    rows = "Ana,0412000001,yes,en\nBea,0412000002,yes,de-AT\nZoe,0412000003,yes,fr\nEwa,0412000004,yes,pl\n"
    await salon.load(rows, header)
    own = {"reply": "STOP to end", "languages": {"pl": {"reply": "STOP konczy", "by_link": "Koniec: {link}"}}}
    kept = (await salon.ask("PUT", "/v1/notices", own)).json()
    assert (kept["identity"], kept["languages"]["pl"]["reply"]) == ("{business}: ", "STOP konczy")
    assert (await salon.ask("GET", "/v1/notices")).json() == kept
    variants = {"de": "Hallo", "fr": "Salut", "pl": "Hej"}
    made = (await salon.ask("POST", "/v1/templates", {"name": "n", "text": "Hi", "variants": variants})).json()
    quote = (await salon.ask("POST", "/v1/quotes", {"template_id": made["id"], "audience": {"all": True}})).json()
    added = {one["language"]: one["text"] for one in quote["added"] if one["what"] == "way_out"}
    assert added == {
        "en": "STOP to end", "de": "Abmelden mit STOP", "fr": "STOP pour vous désabonner", "pl": "STOP konczy",
    }  # fmt: skip
    await salon.send(quote["id"])
    await salon.plan()
    texts = {text for fact in await salon.said("BulkRecipientsAttached") for text in fact.message.text}
    assert texts == {f"Salon: {hi}\n{added[tag]}" for tag, hi in {"en": "Hi", **variants}.items()}
    [requested] = await salon.said("BulkSmsRequested")
    assert requested.message.credits == quote["credits"]


async def test_words_in_a_language_that_would_not_do_are_refused_by_its_name(salon: Any) -> None:
    words = {"de": {"reply": "Tschüss"}, "de_DE": {}, "DE": {}, "en": {}, "Klingon": {}, "fr": {"by_link": "{link}"}}
    refused = (await salon.ask("PUT", "/v1/notices", {"languages": words})).json()
    assert {(one["field"], one["code"]) for one in refused["errors"]} == {
        ("languages.de.reply", "without_way_out"),
        ("languages.DE", "repeated_language"),
        ("languages.en", "repeated_language"),
        ("languages.Klingon", "no_such_language"),
        ("languages.fr.by_link", "without_link"),
    }
    assert (await salon.ask("GET", "/v1/notices")).json()["changed_by"] is None


async def test_what_is_factual_is_sent_as_it_is_written(salon: Any) -> None:
    await salon.load(ROWS)
    quote = await salon.quote("Your bill", **{"class": "factual"})
    assert (quote["text"], quote["added"]) == ("Your bill", [])
    answer = await salon.ask("POST", "/v1/messages", {"to": "0412000001", "text": "Your bill"})
    [fact] = await salon.said("BulkRecipientsAttached")
    assert (answer.status_code, list(fact.message.text)) == (202, ["Your bill"])


async def test_a_marketing_message_to_one_says_it_too(salon: Any) -> None:
    await salon.load(ROWS)
    body = {"to": "0412000001", "text": "See you?", "class": "marketing"}
    answer = await salon.ask("POST", "/v1/messages", body)
    [fact] = await salon.said("BulkRecipientsAttached")
    assert (answer.status_code, list(fact.message.text)) == (202, ["Salon: See you?\nReply STOP to opt out"])
