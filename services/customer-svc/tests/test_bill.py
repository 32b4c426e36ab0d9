"""What a quote shows of its messages, and what becomes of a send whose price has changed since."""

from typing import Any

from conftest import tenant
from gathering import LINK_URL
from test_erasure import erase, forget, found
from test_links import named

from muster.customer.domain.links import PLACEHOLDER
from muster.customer.handlers import facts as handlers

ROWS = """Ana,Smith,0412000001,yes
Maximiliana,Smith-Jones,0412000002,yes
Zoő,Ng,+64211234567,yes
Bo,Lee,0412000004,no
"""


async def add(salon: Any, rows: str = ROWS) -> dict[str, int]:
    await salon.load(rows)
    return {one["first_name"]: one["id"] for one in (await salon.ask("GET", "/v1/customers")).json()["items"]}


async def test_a_quote_shows_its_shortest_and_its_dearest_message_as_these_people_read_them(salon: Any) -> None:
    ids = await add(salon)
    quote = await salon.quote("Hi {first_name}, we moved")
    assert quote["shortest"] == {
        "customer_id": ids["Ana"],
        "name": "Ana Smith",
        "country": "AU",
        "text": "Salon: Hi Ana, we moved\nReply STOP to opt out",
        "encoding": "GSM7",
        "parts": 1,
        "credits": 1,
    }
    dearest = quote["dearest"]
    assert (dearest["name"], dearest["text"][:14]) == ("Zoő Ng", "Salon: Hi Zoő,")
    assert (dearest["encoding"], dearest["parts"], dearest["credits"]) == ("UCS2", 1, 2)
    assert (await salon.ask("GET", f"/v1/quotes/{quote['id']}")).json()["dearest"] == dearest


async def test_the_messages_that_are_shown_have_the_link_and_are_gone_with_the_person(salon: Any) -> None:
    await named(salon)
    ids = await add(salon, "Ana,Smith,0412000001,yes\nMaximiliana,Jones,0412000002,yes\n")
    quote = await salon.quote("Hi {first_name|there}", sender="HAIRDO")
    assert quote["shortest"]["text"].endswith(f"\nOpt out: {LINK_URL}{PLACEHOLDER}")
    assert quote["dearest"]["customer_id"] == ids["Maximiliana"]

    await erase(salon, ids["Maximiliana"])
    await forget(salon)

    assert await found(salon, "Maximiliana") == []
    kept = (await salon.ask("GET", f"/v1/quotes/{quote['id']}")).json()
    assert (kept["dearest"], kept["shortest"]["name"]) == (None, "Ana Smith")


async def changed(salon: Any, customer_id: int, **members: Any) -> None:
    answer = await salon.ask("PATCH", f"/v1/customers/{customer_id}", members)
    assert answer.status_code == 200, answer.text


async def test_a_send_of_which_two_people_became_dearer_comes_back_with_the_difference_and_reserves_nothing(
    salon: Any,
) -> None:
    """Both have a longer name since the quote, by a file, one of them where a part costs more. (Rates are those of the
    quote, whatever they are by now; who has got another number is left out.)"""
    header, match = "first name,mobile,allow bulk sms,no", "field:no"
    rows = "Ana,0412000001,yes,1\nMaximiliana,0412000002,yes,2\nBo,+64211234567,yes,3\nCy,0412000004,yes,4\n"
    await salon.load(rows, header, match=match)
    quote = await salon.quote("Hi {first_name}, we moved")
    assert (quote["recipients"], quote["credits"]) == (4, 5)
    long = "M" * 140
    changed = f"{long},0412000002,yes,2\n{long},+64211234567,yes,3\nCy,0412000005,yes,4\n"
    await salon.load(changed, header, match=match)

    bulk_id = await salon.send(quote["id"])
    await salon.plan()

    bulk = await salon.bulk(bulk_id)
    problem = {name: bulk["problem"][name] for name in ("code", "quoted", "credits", "difference")}
    assert (bulk["state"], bulk["credits_reserved"]) == ("needs_confirmation", None)
    assert problem == {"code": "costs_more", "quoted": 5, "credits": 7, "difference": 2}
    assert bulk["left_out"]["joined_later"] == 1
    assert await salon.said("BulkSmsRequested", "BulkRecipientsAttached") == []
    assert (await salon.ask("POST", f"/v1/bulk-sms/{bulk_id}/confirm", {"credits": 7})).status_code == 202
    await salon.plan()
    [requested] = await salon.said("BulkSmsRequested")
    chunks = [one.message for one in await salon.said("BulkRecipientsAttached")]
    prices = {number: price for one in chunks for number, price in zip(one.number, one.price, strict=True)}
    assert requested.message.credits == 7
    assert prices == {61412000001: 1, 61412000002: 2, 64211234567: 4}


async def test_a_send_that_came_to_less_than_its_quote_is_billed_as_less(salon: Any) -> None:
    ids = await add(salon)
    await changed(salon, ids["Ana"], first_name="A" * 140)
    quote = await salon.quote("Hi {first_name}, we moved")
    await changed(salon, ids["Ana"], first_name="Ana")
    await salon.ask("POST", "/v1/suppressions", {"number": "0412 000 002"})

    bulk_id = await salon.send(quote["id"])
    await salon.plan()

    bulk = await salon.bulk(bulk_id)
    [requested] = await salon.said("BulkSmsRequested")
    assert (quote["credits"], bulk["credits_quoted"], bulk["credits"], bulk["state"]) == (5, 5, 3, "waiting")
    assert (requested.message.recipients, requested.message.credits) == (2, 3)


async def limit(salon: Any, parts_max: int, version: int) -> None:
    settings = tenant(salon.tenant_id, version=version)
    settings.parts_max = parts_max
    await salon.hear(handlers.on_tenant_changed, settings)


async def test_a_limit_of_parts_that_was_lowered_since_the_quote_holds_for_the_plan(salon: Any) -> None:
    """Also for values that have become longer: no agreement to a price lifts a limit."""
    ids = await add(salon)
    long, short = await salon.quote("Hi {first_name} " + "x" * 150), await salon.quote("Hi {first_name|}")
    await limit(salon, 1, 2)
    await changed(salon, ids["Ana"], first_name="A" * 140)

    sent = [await salon.send(one["id"]) for one in (long, short)]
    await salon.plan()

    for bulk_id, parts in zip(sent, (3, 2), strict=True):
        bulk = await salon.bulk(bulk_id)
        told = {name: bulk["problem"][name] for name in ("code", "parts", "limit")}
        assert (bulk["state"], bulk["credits_reserved"]) == ("refused", None)
        assert told == {"code": "too_many_parts", "parts": parts, "limit": 1}
    assert await salon.said("BulkSmsRequested", "BulkRecipientsAttached") == []


async def test_fewer_words_by_rule_are_advised_where_they_save_a_part_and_the_own_text_is_what_gets_shorter(
    salon: Any,
) -> None:
    await add(salon)
    text = "Hi {first_name}, " + "x" * 120
    quote = await salon.quote(text)
    told = {one["change"]: one for one in quote["advice"]["what_if"]}
    fewer, shorter = told["shorter_footer"], told["shorter"]
    assert (quote["credits"], fewer["credits"], fewer["message"]) == (9, 8, "with 'STOP to end'")

    cut = await salon.quote(text[: -shorter["characters"]])
    assert (cut["credits"], cut["text"].splitlines()[-1]) == (shorter["credits"], "Reply STOP to opt out")
    assert (await salon.ask("PUT", "/v1/notices", fewer["notices"])).status_code == 200
    again = await salon.quote(text)
    assert (again["credits"], again["text"].splitlines()[-1]) == (fewer["credits"], "STOP to end")
    assert "shorter_footer" not in {one["change"] for one in again["advice"]["what_if"]}


async def test_an_erased_person_is_in_no_language_of_any_text(salon: Any) -> None:
    """A template in two languages, one of which names her to everybody; the other is sent to her with her name."""
    rows = "Anastasia,Brandt,0412000001,yes,de\nBo,Lee,0412000002,yes,fr\nCy,Ng,0412000003,yes,de\n"
    await salon.load(rows, "first name,last name,mobile,allow bulk sms,language")
    [ana] = (await salon.ask("GET", "/v1/customers?search=Anastasia")).json()["items"]
    variants = {"de": "Hallo {first_name}, bis bald", "fr": "Chez Anastasia Brandt, {first_name}"}
    body = {"name": "visit", "text": "Hi {first_name}", "variants": variants}
    made = (await salon.ask("POST", "/v1/templates", body)).json()
    asked = {"template_id": made["id"], "audience": {"all": True}}
    used, kept = [(await salon.ask("POST", "/v1/quotes", asked, Idempotency_Key=key)).json() for key in "ab"]
    when = {"repeat": {"frequency": "daily", "times": ["10:00"]}}
    answer = await salon.ask("POST", "/v1/schedules", {"name": "daily", "when": when, "credits_max": 9, **asked})
    assert answer.status_code == 201, answer.text
    bulk_id = await salon.send(used["id"])
    await salon.plan()
    before = await salon.bulk(bulk_id)

    await erase(salon, ana["id"])
    await forget(salon)

    assert await found(salon, "Hallo Anastasia", "412000001") == []
    # Texts of templates are the business's own words; what is said to others leaves at once, and is kept for 60 hours.
    assert await found(salon, "Anastasia") == ["outbox.value", "template.others"]
    assert await salon.bulk(bulk_id) == before
    shown = (await salon.ask("GET", f"/v1/quotes/{kept['id']}")).json()
    assert (shown["text"], shown["shortest"], shown["dearest"]) == ("(erased)", None, None)
