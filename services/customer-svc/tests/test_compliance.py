"""What the laws of its recipients' countries ask of a send is said with its source, before it is confirmed."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from muster.customer.domain.compliance import (
    WAY_OUT_DAYS,
    Check,
    Message,
    Status,
    check_message,
    rules_in,
    rules_of,
)
from muster.customer.domain.gate import Override, blocked, judge_overrides
from muster.customer.domain.merge_text import outside_fields
from muster.customer.domain.notices import WORDS, with_notices
from muster.customer.domain.senders import Registration, Sender
from muster.dispatch.domain.senders import LEASE

DAY = date(2026, 11, 27)
NUMBER, NAME = Sender("61400000000"), Sender("SALON")
GOOD = "Ada's Salon: we have moved to 5 High St. Reply STOP to opt out"
EVERYBODY = {("AU", "express"): 40, ("AU", "inferred"): 10, ("US", "inferred"): 3, ("US", "express"): 2}


def message(text: str = GOOD, sender: Sender = NUMBER, word: str = "marketing", **members: Any) -> Message:
    return replace(Message(DAY, word, "Ada's Salon", (text,), sender, EVERYBODY), **members)


def said(given: Message) -> dict[tuple[str, str], str]:
    return {(one.check, one.country): one.status.value for one in check_message(given)}


def in_country(country: str, kind: str = "express") -> dict[tuple[str, str], int]:
    return {(country, kind): 1}


def test_each_rule_of_each_country_is_judged_and_those_with_most_recipients_come_first() -> None:
    checks = check_message(
        message(opted_out=7, waiting={"US": (4, int(datetime(2026, 11, 27, 13, tzinfo=UTC).timestamp()))})
    )
    assert [(one.check, one.country, one.status.value, one.recipients, one.absolute) for one in checks] == [
        ("consent", "AU", "passed", 50, False),
        ("opt_out", "AU", "passed", 50, True),
        ("identity", "AU", "passed", 50, False),
        ("way_out", "AU", "passed", 50, False),
        ("registration", "AU", "passed", 50, False),
        ("class", "AU", "passed", 50, False),
        ("hours", "AU", "passed", 50, False),
        ("consent", "US", "blocked", 3, False),
        ("opt_out", "US", "passed", 5, True),
        ("identity", "US", "passed", 5, False),
        ("way_out", "US", "passed", 5, False),
        ("registration", "US", "passed", 5, False),
        ("class", "US", "passed", 5, False),
        ("hours", "US", "passed", 5, True),
    ]
    words = {(one.check, one.country): one.message for one in checks}
    assert words["consent", "US"] == "Not everybody has given express consent (express: 2, inferred: 3)."
    assert words["consent", "AU"] == "Everybody has given express or inferred consent (express: 40, inferred: 10)."
    assert "7 of the audience" in words["opt_out", "AU"]
    assert words["hours", "US"] == "4 wait for the hours of the law, the last until 2026-11-27 13:00 UTC."
    assert words["hours", "AU"] == "Nobody has to wait for your own hours."
    assert all(Check.read(one.plain()) == one for one in checks)


@pytest.mark.parametrize(
    ("country", "status"), [("AU", "blocked"), ("GB", "blocked"), ("CA", "blocked"), ("CH", "warning")]
)
def test_a_text_that_lacks_what_it_must_say_is_blocked_where_a_law_is_known(country: str, status: str) -> None:
    found = said(message("We have moved", consents=in_country(country)))
    assert (found["identity", country], found["way_out", country]) == (status, status)
    assert (found["consent", country], found["class", country]) == ("passed", "passed")


@pytest.mark.parametrize("business", ["Ada's Salon", "★ Salon ★", "★★", "{x} & Co"])
@pytest.mark.parametrize("sender", [NUMBER, NAME, Sender("AdasSalon")])
@pytest.mark.parametrize(
    "text",
    ["We moved", "", "{first_name|Ada's Salon} is here {x|STOP to end}", "STOP by! {{x}}", "Opt out now", "a.co"],
)
def test_what_is_added_to_marketing_by_rule_is_enough_for_every_country(
    text: str, sender: Sender, business: str
) -> None:
    everywhere = {(country, "express"): 1 for country in ("AU", "US", "GB", "NZ", "CA", "CH")}
    for words in WORDS.values():
        noticed = with_notices(text, outside_fields(text), business, sender.sender, words, "https://m.example").text
        given = message(outside_fields(noticed), sender, business=business, consents=everywhere)
        assert {one.check for one in check_message(given) if one.status is Status.BLOCKED} == set(), noticed


def test_a_text_in_several_languages_says_it_in_each() -> None:
    found = said(message(texts=(GOOD, "Wir sind umgezogen"), consents=in_country("GB")))
    assert (found["identity", "GB"], found["way_out", "GB"]) == ("blocked", "blocked")


def test_a_name_that_cannot_be_replied_to_needs_a_link_and_is_named_where_it_is_not_registered() -> None:
    found = said(message(sender=NAME, consents=in_country("AU")))
    assert (found["way_out", "AU"], found["registration", "AU"]) == ("blocked", "warning")
    registered, linked = (
        replace(NAME, registration=Registration.REGISTERED),
        "Ada's Salon moved. Opt out: example.com/o",
    )
    assert set(said(message(linked, registered, consents=in_country("AU"))).values()) == {"passed"}
    assert said(message(linked, registered, consents=in_country("US")))["registration", "US"] == "warning"


def test_whoever_is_named_by_the_sender_alone_is_not_where_the_sender_is_not_shown() -> None:
    own, text = Sender("AdasSalon"), "We moved. Opt out: example.com/o"
    assert said(message(text, own, consents=in_country("AU")))["identity", "AU"] == "warning"
    registered = replace(own, registration=Registration.REGISTERED)
    assert said(message(text, registered, consents=in_country("AU")))["identity", "AU"] == "passed"
    assert said(message(text, own, consents=in_country("GB")))["identity", "GB"] == "passed"


def test_a_rule_holds_from_its_first_day() -> None:
    given = message(sender=NAME, consents=in_country("AU"))
    assert ("registration", "AU") not in said(replace(given, day=date(2026, 6, 30)))
    assert said(replace(given, day=date(2026, 7, 1)))["registration", "AU"] == "warning"


def test_replies_must_reach_the_business_for_as_long_as_the_law_says() -> None:
    assert LEASE.days == WAY_OUT_DAYS, "what is promised here is what dispatch-svc keeps"
    given = message(consents=in_country("AU"))
    assert said(replace(given, way_out_days=29))["way_out", "AU"] == "warning"
    assert said(given)["way_out", "AU"] == "passed"
    canada = check_message(message(consents=in_country("CA")))
    [way_out] = [one for one in canada if one.check == "way_out"]
    assert (way_out.status, "30 days" in way_out.message, "60" in way_out.message) == (Status.WARNING, True, True)
    linked = said(message(f"{GOOD}, or ca.example.com/o", consents=in_country("CA")))
    assert set(linked.values()) == {"passed"}, "a link works for as long as the send is kept"


def test_an_offer_in_a_factual_text_is_named() -> None:
    text = "Ada's Salon: 20% off this week at ada.com.au/now"
    found = {one.check: one for one in check_message(message(text, word="factual", consents=in_country("AU", "")))}
    assert found.keys() == {"opt_out", "identity", "registration", "class"}
    assert (found["class"].status, found["class"].found) == (Status.WARNING, ("20% off", "ada.com.au/now"))
    plain = message("Ada's Salon: your booking is on 3.12. at 10.30", word="factual", consents=in_country("AU", ""))
    assert set(said(plain).values()) == {"passed"}
    unnamed = said(message("Your booking is at 10.30", word="factual", consents=in_country("AU", "")))
    assert unnamed["identity", "AU"] == "warning", "it is commercial at most by half"


def test_each_file_has_sources_and_each_country_the_rules_that_marketing_needs() -> None:
    for country in ("AU", "US", "GB", "NZ", "CA", "PR", "XX"):
        rules = rules_of(country, DAY)
        assert {"consent", "opt_out", "identity", "way_out", "class"} <= {rule.check for rule in rules}
        assert all(len(rule.source) > 20 for rule in rules)
        assert {rule.check for rule in rules if rule.absolute} == {"opt_out"}


def test_a_check_that_nobody_can_make_is_refused_when_the_laws_are_read() -> None:
    with pytest.raises(ValueError, match="no such check: luck"):
        rules_in([{"check": "luck", "from": DAY, "classes": ["marketing"], "source": "?"}])


REASON = "Signed forms are in the binder of the front desk"


@pytest.mark.parametrize(
    ("override", "code"),
    [
        (Override("consent", "US", REASON), None),
        (Override("consent", "US", "  "), "no_reason"),
        (Override("consent", "US", "a\nb"), "no_reason"),
        (Override("consent", "GB", REASON), "no_such_check"),
        (Override("consent", "AU", REASON), "nothing_to_override"),
        (Override("opt_out", "US", REASON), "absolute_right"),
        (Override("hours", "US", REASON), "absolute_right"),
    ],
)
def test_what_blocks_is_overridden_one_by_one_with_a_reason_and_nothing_else_is(
    override: Override, code: str | None
) -> None:
    checks = check_message(message())
    assert [one.code for one in judge_overrides(checks, [override])] == ([code] if code else [])


def test_a_send_is_blocked_until_each_check_that_blocks_it_is_overridden() -> None:
    checks = check_message(message("We have moved", consents={("US", "inferred"): 3}))
    names = ("consent", "identity", "way_out")
    overrides = [Override(name, "US", REASON) for name in names]
    for count in range(len(names)):
        refusal = blocked(checks, overrides[:count])
        assert refusal is not None
        assert [one["check"] for one in refusal.more["checks"]] == list(names[count:])
    assert blocked(checks, overrides) is None
    assert [one.code for one in judge_overrides(checks, [*overrides, overrides[0]])] == ["named_twice"]
