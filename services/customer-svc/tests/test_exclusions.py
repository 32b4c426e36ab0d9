"""Whom a send asks for and whom it excludes: each rule by itself, counted in the quote, planned as it was quoted."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from conftest import tenant
from gathering import LINKS, plain
from test_again import ACCEPTED, NAMES, REJECTED, STOPPED, SUPPRESSED, UNKNOWN, Story
from test_erasure import forget

from muster.customer import planner
from muster.customer.domain.audience import (
    EXCLUDED,
    ORDER,
    Audience,
    Cap,
    Exclude,
    Reason,
    Seen,
    audience_in,
    audience_out,
    window_start,
)
from muster.customer.domain.lists import ListKind
from muster.customer.handlers import facts as handlers
from muster.customer.planner import Planner
from muster.customer.store import lists
from muster.customer.store.messaged import Window, reachable
from muster.events.v1.bulk_pb2 import BulkSmsAccounted
from muster.kit.outbox import Lane

ROWS = """Ana,0412000001,yes,vip;colour,2026-04-30
Bob,0412000002,yes,colour,2026-05-01
Cat,0412000003,yes,,
Dan,0412000014,yes,vip,2026-06-01
"""
EVERYBODY = "Ana Bob Cat Dan"


@pytest.fixture
async def four(salon: Any) -> Any:
    await salon.load(ROWS, "first name,mobile,allow bulk sms,tags,last visit")
    kind = {"name": "Last visit", "kind": "date"}
    assert (await salon.ask("PUT", "/v1/own-fields/last_visit", kind)).status_code == 200
    return salon


async def enlist(salon: Any, **members: tuple[str, ...]) -> dict[str, UUID]:
    """Lists of these names with these people; their ids."""
    ids = {one["first_name"]: one["id"] for one in await people(salon)}
    made = {}
    async with salon.db.request(salon.tenant_id) as tx:
        for name, names in members.items():
            made[name] = uuid4()
            await lists.add_list(tx, salon.tenant_id, made[name], name, ListKind.KEPT, "ada")
            await lists.add_members(tx, salon.tenant_id, made[name], [ids[one] for one in names])
    return made


async def people(salon: Any) -> list[dict[str, Any]]:
    return list((await salon.ask("GET", "/v1/customers")).json()["items"])


async def texted(salon: Any, audience: dict[str, Any], **members: Any) -> tuple[str, dict[str, int]]:
    """Who is texted by a send of this audience, and how many are left out by which reason."""
    answer = await salon.ask("POST", "/v1/quotes", {"text": "{{first_name}}", "audience": audience, **members})
    if answer.status_code == 422 and answer.json()["code"] == "audience_empty":
        left_out = {name: n for name, n in answer.json()["left_out"].items() if n}
        assert all(f"{name.replace('_', ' ')}: {n}" in answer.json()["detail"] for name, n in left_out.items())
        return "", left_out
    assert answer.status_code == 201, answer.text
    quote = answer.json()
    # Whoever reads the quote can ask for the same again.
    told = (await salon.ask("GET", f"/v1/quotes/{quote['id']}")).json()
    same = {"text": "{{first_name}}", "class": told["class"], "audience": told["audience"]}
    again = (await salon.ask("POST", "/v1/quotes", same)).json()
    assert (again["left_out"], again["audience"]) == (quote["left_out"], told["audience"]), again
    bulk_id = await salon.send(quote["id"])
    await salon.plan()
    bulk = await salon.bulk(bulk_id)
    assert (bulk["left_out"], bulk["recipients"]) == (quote["left_out"], quote["recipients"])
    chunks = [fact.message for fact in await salon.said("BulkRecipientsAttached") if fact.message.bulk_id == bulk_id]
    await salon.ask("POST", f"/v1/bulk-sms/{bulk_id}/stop")
    await Story(salon, bulk_id).end([STOPPED] * quote["recipients"])
    return " ".join(sorted(plain(text) for chunk in chunks for text in chunk.text)), {
        name: n for name, n in quote["left_out"].items() if n
    }


async def test_an_audience_is_whoever_fits_each_rule(four: Any) -> None:
    rules: list[tuple[dict[str, Any], str]] = [
        ({"tags": ["vip"]}, "Ana Dan"),
        ({"tags": ["vip", "colour"]}, "Ana Bob Dan"),
        ({"tags": ["vip", "colour"], "tag": "colour"}, "Ana Bob"),
        ({"query": "tag is vip and last visit before 2026-05-01"}, "Ana"),
        ({"query": "cat or number ends with 14"}, "Cat Dan"),
        ({"query": "not tag is vip", "tags": ["colour"]}, "Bob"),
        ({"query": "archived is yes"}, ""),
        ({"lists": ["Regulars"]}, "Ana Cat"),
        ({"lists": ["regulars", "Trial"]}, "Ana Cat Dan"),
        ({"list": "trial", "tag": "vip"}, "Dan"),
        ({"list": "vip"}, "Ana Dan"),  # no list has this name
        ({"query": "list is Regulars"}, "Ana Cat"),
    ]
    await enlist(four, Regulars=("Ana", "Cat"), Trial=("Dan",))
    for audience, names in rules:
        assert await texted(four, audience) == (names, {}), audience


async def test_who_is_excluded_is_counted_by_the_first_reason_that_holds(four: Any) -> None:
    seen = {"field": "Last visit", "since": "2026-05-01"}
    excluded: list[tuple[dict[str, Any], str, dict[str, int]]] = [
        ({"tags": ["vip"]}, "Bob Cat", {"has_excluded_tag": 2}),
        ({"query": "tag is colour"}, "Cat Dan", {"excluded_by_query": 2}),
        ({"seen_since": seen}, "Ana Cat", {"seen_since": 2}),
        ({"seen_since": seen, "query": "dan"}, "Ana Cat", {"excluded_by_query": 1, "seen_since": 1}),
        ({"tags": ["vip"], "query": "tag is colour"}, "Cat", {"has_excluded_tag": 2, "excluded_by_query": 1}),
        ({"lists": ["trial", "Regulars"]}, "Bob Dan", {"in_excluded_list": 2}),
        ({"lists": ["Regulars"], "tags": ["vip"]}, "Bob", {"in_excluded_list": 2, "has_excluded_tag": 1}),
    ]
    await enlist(four, Regulars=("Ana", "Cat"), Trial=())
    for exclude, names, left_out in excluded:
        assert await texted(four, {"all": True, "exclude": exclude}) == (names, left_out), exclude


async def test_a_saved_search_is_pinned_by_a_quote(four: Any) -> None:
    await four.ask("PUT", "/v1/searches/regulars", {"query": "tag is vip"})
    quote = await four.quote("{{first_name}}", {"saved_search": "regulars"})
    assert quote["audience"] == {"saved_search": "regulars", "saved_query": "tag is vip"}
    await four.ask("PUT", "/v1/searches/regulars", {"query": "tag is nothing"})
    await four.ask("DELETE", "/v1/searches/regulars")
    await four.send(quote["id"])
    await four.plan()
    [fact] = await four.said("BulkRecipientsAttached")
    assert sorted(map(plain, fact.message.text)) == ["Ana", "Dan"]
    answer = await four.ask("POST", "/v1/quotes", {"text": "Hi", "audience": {"saved_search": "regulars"}})
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["code"]) == (422, "audience.saved_search", "unknown_search")


async def test_a_field_that_was_forgotten_since_the_quote_refuses_the_send_and_says_why(four: Any) -> None:
    quote = await four.quote("Hi", {"query": "last visit since 2026-01-01"})
    await four.ask("DELETE", "/v1/own-fields/last_visit")
    bulk_id = await four.send(quote["id"])
    await four.plan()
    bulk = await four.bulk(bulk_id)
    assert (bulk["state"], bulk["problem"]["code"]) == ("refused", "audience_changed")
    assert "last visit" in bulk["problem"]["detail"]


async def test_what_cannot_be_asked_is_refused_by_its_field(four: Any) -> None:
    await four.ask("PUT", "/v1/own-fields/note", {"name": "note", "kind": "text"})
    for member, exclude in (
        ("messaged_in_days", {"messaged_in_days": 0}),
        ("messaged_in_days", {"messaged_in_days": 366}),
        ("cap.messages", {"cap": {"messages": 0, "days": 3}}),
        ("cap.days", {"cap": {"messages": 1, "days": 366}}),
        ("query", {"query": "pet is rex"}),
        ("seen_since.field", {"seen_since": {"field": "pet", "since": "2026-05-01"}}),
        ("seen_since.field", {"seen_since": {"field": "note", "since": "2026-05-01"}}),
        ("seen_since.since", {"seen_since": {"field": "last visit", "since": 5}}),
        ("tags", {"tags": []}),
        ("age", {"age": 3}),
    ):
        assert await refused(four, {"all": True, "exclude": exclude}) == f"audience.exclude.{member}"
    assert await refused(four, {"tags": ["x"] * 51}) == "audience.tags"
    assert await refused(four, {"lists": ["none"]}) == "audience.lists"
    assert await refused(four, {"list": "none", "tag": "vip"}) == "audience.list"
    assert await refused(four, {"query": "list is none"}) == "audience.query"
    assert await refused(four, {"all": True, "exclude": {"lists": ["none"]}}) == "audience.exclude.lists"
    assert await refused(four, {"query": "ends with 4"}) == "audience.query"
    assert await refused(four, {"saved_search": "none"}) == "audience.saved_search"
    assert await refused(four, {"exclude": {"tags": ["vip"]}}) == "audience"


async def refused(salon: Any, audience: dict[str, Any]) -> str:
    """The field that a quote and a schedule of this audience are refused for."""
    fields = set()
    for path, more in (("/v1/quotes", {}), ("/v1/schedules", SCHEDULE)):
        answer = await salon.ask("POST", path, {"text": "Hi", "audience": audience, **more})
        assert answer.status_code == 422, answer.text
        fields |= {error["field"] for error in answer.json()["errors"]}
    [field] = fields
    return str(field)


SCHEDULE = {"name": "Monthly", "when": {"cron": "0 10 1 * *"}, "credits_max": 10}


async def test_a_schedule_keeps_the_rule_and_shows_it(four: Any) -> None:
    await four.ask("PUT", "/v1/searches/regulars", {"query": "tag is vip"})
    rule = {"saved_search": "regulars", "exclude": {"messaged_in_days": 7, "cap": {"messages": 2, "days": 30}}}
    answer = await four.ask("POST", "/v1/schedules", {"text": "Hi", "audience": rule, **SCHEDULE})
    assert (answer.status_code, answer.json()["audience"]) == (201, rule)


async def messaged(salon: Any, lefts: list[int], days_ago: float = 0, **members: Any) -> Story:
    """A send that left so, the last of it so many days ago."""
    quote = await salon.quote("Hello", **members)
    story = Story(salon, await salon.send(quote["id"]))
    await salon.plan()
    await story.left(lefts)
    at = datetime.now(UTC) - timedelta(days=days_ago)
    counts: dict[str, Any] = {name: lefts.count(left) for left, name in NAMES.items()}
    last = int(at.timestamp() * 1000)
    word = BulkSmsAccounted(**story.ids, version=1, closed=True, last_submit_unix_ms=last, **counts)
    await salon.hear(handlers.on_bulk_sms_accounted, word)
    return story


async def test_who_was_messaged_lately_is_left_out_unless_nothing_left_for_them(four: Any) -> None:
    await messaged(four, [ACCEPTED, REJECTED, UNKNOWN, SUPPRESSED], days_ago=3.1)
    lately = {"all": True, "exclude": {"messaged_in_days": 5}}
    assert await texted(four, lately) == ("Bob Dan", {"recently_messaged": 2})
    assert await texted(four, {**lately, "query": "ana or cat", "all": None}) == ("", {"recently_messaged": 2})
    assert await texted(four, {"all": True, "exclude": {"messaged_in_days": 3}}) == (EVERYBODY, {})


async def test_a_send_that_is_under_way_counts_as_sent(four: Any) -> None:
    bulk_id = await four.send((await four.quote("Hi", {"tag": "vip"}))["id"])
    await four.plan()
    lately = {"all": True, "exclude": {"messaged_in_days": 1}}
    assert await texted(four, lately) == ("Bob Cat", {"recently_messaged": 2})
    await Story(four, bulk_id).end([STOPPED, STOPPED])
    assert await texted(four, lately) == (EVERYBODY, {})


@pytest.mark.parametrize("rule", [{"query": 'list is "Gold"'}, {"all": True, "exclude": {"query": 'list is "Gold"'}}])
async def test_a_name_that_another_list_has_by_now_is_not_taken_for_the_one_that_was_quoted(
    four: Any, rule: dict[str, Any]
) -> None:
    await enlist(four, Gold=("Ana",), Silver=("Bob",))
    quote = await four.quote("Hi", rule)
    for name, renamed in (("Gold", "Old gold"), ("Silver", "Gold")):
        assert (await four.ask("PATCH", f"/v1/lists/{name}", {"name": renamed})).status_code == 200

    bulk_id = await four.send(quote["id"])
    await four.plan()

    bulk = await four.bulk(bulk_id)
    assert (bulk["state"], bulk["problem"]["code"]) == ("refused", "audience_changed")
    assert "another list is called 'Gold' now" in bulk["problem"]["detail"]


async def test_of_two_sends_that_are_planned_at_once_the_second_knows_whom_the_first_texts(
    four: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lately = {"all": True, "exclude": {"messaged_in_days": 1}}
    ids = [await four.send((await four.quote("{{first_name}}", lately))["id"]) for _ in range(2)]
    arrived, both = list[int](), asyncio.Event()
    look, freeze = planner.rules_of, planner.audience.freeze_audience

    async def looked(*given: Any, **named: Any) -> Any:
        arrived.append(len(arrived))
        if len(arrived) == 2:
            both.set()
        return await look(*given, **named)

    async def frozen(*given: Any, **named: Any) -> Any:
        await both.wait()
        return await freeze(*given, **named)

    monkeypatch.setattr(planner, "rules_of", looked)
    monkeypatch.setattr(planner.audience, "freeze_audience", frozen)
    planners = [Planner(four.db, Lane.SMALL, four.limits, lambda: None, links=LINKS) for _ in range(2)]
    await asyncio.wait_for(asyncio.gather(*(one.turn() for one in planners)), 120)

    states = [(bulk["state"], bulk["left_out"]["recently_messaged"]) for bulk in [await four.bulk(i) for i in ids]]
    assert sorted(states) == [("refused", 4), ("waiting", 0)]


@pytest.mark.parametrize("outcome", [ACCEPTED, STOPPED])
async def test_who_shares_a_number_with_somebody_erased_was_messaged_at_it(four: Any, outcome: int) -> None:
    await four.load("Eve,0412000001,yes\n", "first name,mobile,allow bulk sms")
    await messaged(four, [ACCEPTED, outcome, outcome], audience={"query": "ana or bob or cat"})
    ana = (await people(four))[0]
    assert (await four.ask("POST", f"/v1/customers/{ana['id']}/erasure", {"ground": "asked"})).status_code == 202
    await forget(four)

    lately = {"query": "eve or dan", "exclude": {"messaged_in_days": 1}}
    assert await texted(four, lately) == ("Dan", {"recently_messaged": 1})
    eve, known = (await people(four))[-1], await four.quote("Hi", lately)
    assert (await four.ask("PATCH", f"/v1/customers/{eve['id']}", {"language": "fr"})).status_code == 200
    assert (await four.quote("Hi", lately))["left_out"] == known["left_out"], "counted again for her alone"


async def test_the_history_is_the_numbers_whoever_has_it(four: Any) -> None:
    await messaged(four, [ACCEPTED] * 4)
    ana, bob = (await people(four))[:2]
    assert (await four.ask("DELETE", f"/v1/customers/{ana['id']}")).status_code == 204
    await four.load("Eve,0412000001,yes\nFay,0412000002,yes\nGus,0412000009,yes\n", "first name,mobile,allow bulk sms")
    lately = {"query": "ana or eve or bob or fay or gus", "exclude": {"messaged_in_days": 1}}
    assert await texted(four, lately) == ("Gus", {"recently_messaged": 3})
    eve, _, gus = (await people(four))[-3:]
    for kept, gone in ((gus, bob), (gus, eve)):
        merged = await four.ask("POST", f"/v1/customers/{kept['id']}/merge", {"customer_id": gone["id"]})
        assert merged.status_code == 200, merged.text
    # Their numbers are Gus's, who is texted at his own first one.
    assert await texted(four, lately) == ("Gus", {"recently_messaged": 1})


async def test_a_cap_lets_a_number_have_so_many_messages_in_so_many_days(four: Any) -> None:
    await messaged(four, [ACCEPTED] * 4, days_ago=20)
    await messaged(four, [ACCEPTED] * 2, days_ago=2, audience={"tag": "vip"})
    for cap, names in (
        ({"messages": 2, "days": 30}, "Bob Cat"),
        ({"messages": 2, "days": 10}, EVERYBODY),
        ({"messages": 1, "days": 10}, "Bob Cat"),
        ({"messages": 3, "days": 30}, EVERYBODY),
    ):
        who, left_out = await texted(four, {"all": True, "exclude": {"cap": cap}})
        assert (who, left_out.get("frequency_cap", 0)) == (names, 4 - len(names.split()))


async def test_the_cap_of_the_business_holds_for_all_its_marketing_and_for_nothing_else(four: Any) -> None:
    assert (await four.ask("GET", "/v1/frequency-cap")).json()["messages"] is None
    await messaged(four, [ACCEPTED] * 2, days_ago=2, audience={"tag": "vip"})
    quote = await four.quote("Hi")
    for by, status in (("staff", 403), ("manager", 200)):
        answer = await four.ask("PUT", "/v1/frequency-cap", {"messages": 1, "days": 7}, by=by)
        assert answer.status_code == status
    assert answer.json()["changed_by"] == "mia"
    assert await texted(four, {"all": True}) == ("Bob Cat", {"frequency_cap": 2})
    assert await texted(four, {"all": True}, **{"class": "factual"}) == (EVERYBODY, {})
    own = {"all": True, "exclude": {"cap": {"messages": 5, "days": 7}}}
    assert await texted(four, own) == ("Bob Cat", {"frequency_cap": 2})
    bulk_id = await four.send(quote["id"])
    await four.plan()
    assert (await four.bulk(bulk_id))["left_out"]["frequency_cap"] == 2, "quoted before there was a cap"
    await Story(four, bulk_id).end([STOPPED] * 2)
    assert (await four.ask("DELETE", "/v1/frequency-cap")).status_code == 204
    assert await texted(four, {"all": True}) == (EVERYBODY, {})


async def test_what_another_business_sent_is_no_message_of_this_one(four: Any) -> None:
    await messaged(four, [ACCEPTED] * 4)
    same = {"first_name": "Ole", "numbers": ["+61412000001"], "allow_bulk_sms": True, "consent": "express"}
    assert (await four.ask("POST", "/v1/customers", same, by="other")).status_code == 201
    await four.hear(handlers.on_tenant_changed, tenant(four.other_id, "GB", version=2))
    asked = {"text": "Hi", "audience": {"all": True, "exclude": {"messaged_in_days": 9}}}
    quote = (await four.ask("POST", "/v1/quotes", asked, by="other")).json()
    assert (quote["recipients"], quote["left_out"]["recently_messaged"]) == (1, 0)


def test_no_message_is_looked_at_where_there_were_fewer_sends_than_a_cap_has_messages() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    sends: Any = [{"at": int((at - timedelta(days=days)).timestamp() * 1000)} for days in (1, 3, 9)]
    two, three = (Window(messages, at - timedelta(days=5)) for messages in (2, 3))
    assert reachable(sends, at - timedelta(days=1), [three, two]) == (at - timedelta(days=1), [None, two])
    assert reachable(sends, at - timedelta(hours=23), [two, None]) == (None, [two, None])
    assert reachable([], at - timedelta(days=30), [two, three]) == (None, [None, None])


def test_a_week_of_days_ends_before_the_same_weekday() -> None:
    sydney = ZoneInfo("Australia/Sydney")
    monday = datetime(2026, 11, 23, 10, tzinfo=sydney)
    assert window_start(monday, 7, sydney) == datetime(2026, 11, 17, tzinfo=sydney)
    assert window_start(monday.astimezone(UTC), 1, sydney) == datetime(2026, 11, 23, tzinfo=sydney)


def test_every_reason_has_its_place_in_the_order() -> None:
    assert sorted(ORDER) == sorted(reason for reason in Reason if reason)
    assert [reason.value for reason in EXCLUDED] == list(range(10, 16)), "stored"


def test_an_audience_is_read_as_it_was_written() -> None:
    lists = (UUID(int=1), UUID(int=2))
    exclude = Exclude(lists, ("a",), "b", Seen("last_visit", datetime(2026, 5, 1, tzinfo=UTC).date()), 7, Cap(1, 2))
    for audience in (Audience(), Audience("t", "s", (1,), None, lists, ("x",), "q", "n", "w", exclude)):
        assert audience_in(audience_out(audience)) == audience
    assert audience_in({"tag": None, "search": None, "customer_ids": [1]}) == Audience(customer_ids=(1,))
