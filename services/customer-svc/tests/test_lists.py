"""/v1/lists: lists that are made, found, renamed and forgotten, and who is put on them and taken off."""

from typing import Any
from uuid import uuid4

import orjson
import pytest

from muster.customer.domain.fields import Kind
from muster.customer.domain.query import fields_of
from muster.customer.domain.query_reader import lists_written, with_list_renamed
from muster.kit import clock

FIELDS = fields_of({"pet": Kind.TEXT})


async def add(salon: Any, *names: str, **members: Any) -> list[int]:
    answers = [await salon.ask("POST", "/v1/customers", {"first_name": name, **members}) for name in names]
    return [answer.json()["id"] for answer in answers]


async def make(salon: Any, name: str, *ids: int, by: str = "admin") -> Any:
    body = {"name": name, "customer_ids": list(ids)} if ids else {"name": name}
    answer = await salon.ask("POST", "/v1/lists", body, by=by)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def members(salon: Any, list_id: str, more: str = "") -> list[str]:
    page = (await salon.ask("GET", f"/v1/lists/{list_id}/members{more}")).json()
    return [one["first_name"] for one in page["items"]]


async def test_a_list_is_made_found_by_name_or_id_and_forgotten_while_its_customers_stay(salon: Any) -> None:
    ana, bob = await add(salon, "Ana", "Bob")
    made = await salon.ask("POST", "/v1/lists", {"name": " Spring\tsale ", "customer_ids": [ana, bob]}, by="staff")
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    spring = made.json()
    expected = {"name": "Spring sale", "kind": "kept", "customers": 2, "created_by": "sam", "changed_by": "sam"}
    assert spring.items() >= {**expected, "version": 1}.items()
    for ref in (spring["id"], "spring SALE"):
        assert (await salon.ask("GET", f"/v1/lists/{ref}")).json() == spring
    assert (await salon.ask("DELETE", "/v1/lists/Spring%20sale")).status_code == 204
    assert (await salon.ask("DELETE", "/v1/lists/Spring%20sale")).status_code == 404
    assert (await salon.count("customer"), await salon.count("customer_list_member")) == (2, 0)
    await make(salon, "a/b", ana)
    assert (await salon.ask("DELETE", "/v1/lists/a%2Fb")).status_code == 204
    acts = [fact.message.act for fact in await salon.said("ActRecorded") if fact.message.subject_kind == "list"]
    assert acts == ["list.made", "list.members-added", "list.removed"] * 2


async def test_a_name_is_one_listing_whatever_its_capitals(salon: Any) -> None:
    ana, bob = await add(salon, "Ana", "Bob")
    vip = await make(salon, "VIP", ana)
    again = await salon.ask("POST", "/v1/lists", {"name": "vip", "customer_ids": [ana, bob]})
    assert (again.status_code, again.json()["id"], again.json()["customers"]) == (200, vip["id"], 2)
    taken = await salon.ask("POST", "/v1/lists", {"name": "vip"})
    assert (taken.status_code, taken.json()["code"], taken.json()["list_id"]) == (409, "list_exists", vip["id"])
    empty = await make(salon, "empty")
    clash = await salon.ask("PATCH", f"/v1/lists/{empty['id']}", {"name": "Vip"})
    assert (clash.status_code, clash.json()["code"]) == (409, "list_exists")
    capital = await salon.ask("PATCH", "/v1/lists/vip", {"name": "Vip"})
    assert (capital.status_code, capital.json()["name"], capital.json()["version"]) == (200, "Vip", 2)


async def test_lists_are_paged_by_name_searched_and_counted(salon: Any) -> None:
    ana, bob, cat = await add(salon, "Ana", "Bob", "Cat")
    for name, ids in (("b", [ana]), ("C", [ana, bob, cat]), ("a", [])):
        await make(salon, name, *ids)
    await salon.ask("POST", f"/v1/customers/{cat}/archive")
    page = (await salon.ask("GET", "/v1/lists?limit=2")).json()
    rest = (await salon.ask("GET", f"/v1/lists?limit=2&cursor={page['next_cursor']}")).json()
    found = [(one["name"], one["customers"]) for one in (*page["items"], *rest["items"])]
    assert (found, rest["next_cursor"]) == ([("a", 0), ("b", 1), ("C", 2)], None)
    for asked, names in (("search=c", ["C"]), ("kind=upload", []), ("kind=kept&search=B", ["b"])):
        items = (await salon.ask("GET", f"/v1/lists?{asked}")).json()["items"]
        assert [one["name"] for one in items] == names
    assert (await salon.ask("GET", "/v1/lists", by="other")).json()["items"] == []


async def test_customers_come_and_go_by_ids_by_a_query_and_by_a_saved_search(salon: Any) -> None:
    ana, bob, cat = await add(salon, "Ana", "Bob", "Cat", tags=["colour"])
    await salon.ask("PUT", "/v1/searches/coloured", {"query": "tag is colour"})
    vip = (await make(salon, "vip"))["id"]

    async def change(path: str, **whom: Any) -> tuple[int, int]:
        answer = await salon.ask("POST", f"/v1/lists/{vip}/{path}", whom, by="manager")
        assert answer.status_code == 200, answer.text
        return answer.json()["changed"], answer.json()["customers"]

    assert await change("members", customer_ids=[bob, ana, ana]) == (2, 2)
    assert await members(salon, vip) == ["Ana", "Bob"]
    assert await change("members", saved="coloured") == (1, 3)
    assert await change("members", query="tag is colour") == (0, 3)
    assert await members(salon, vip, "?limit=2") == ["Ana", "Bob"]
    assert await change("members/remove", query="cat or bob") == (2, 1)
    assert await change("members/remove", customer_ids=[ana, cat]) == (1, 0)
    assert (await salon.ask("GET", f"/v1/lists/{vip}")).json()["changed_by"] == "mia"
    assert (await salon.ask("GET", f"/v1/customers/{ana}")).json()["version"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "code"),
    [
        ("POST", "", {"name": "vip", "customer_ids": []}, "customer_ids", "too_short"),
        ("POST", "", {"name": "vip", "customer_ids": [1] * 10_001}, "customer_ids", "too_long"),
        ("POST", "", {"name": "vip", "customer_ids": [999]}, "customer_ids", "unknown_customer"),
        ("POST", "", {"name": " \u200b"}, "name", "empty"),
        ("POST", "", {"name": "x" * 101}, "name", "too_long"),
        ("POST", "", {"name": 'a "b"'}, "name", "quotation_mark"),
        ("POST", "", {"name": "Uploads"}, "name", "reserved_name"),
        ("POST", "", {"name": "spring/members"}, "name", "reserved_name"),
        ("POST", "", {"name": "vip", "tags": []}, "tags", "unknown_field"),
        ("PATCH", "/LIST", {"name": ""}, "name", "string_too_short"),
        ("POST", "/LIST/members", {}, "body", "value_error"),
        ("POST", "/LIST/members", {"customer_ids": [1], "query": "ana"}, "body", "value_error"),
        ("POST", "/LIST/members", {"customer_ids": [999]}, "customer_ids", "unknown_customer"),
        ("POST", "/LIST/members", {"query": "(ana"}, "query", "query_syntax"),
        ("POST", "/LIST/members/remove", {"query": "list is nowhere"}, "query", "unknown_list"),
    ],
)
async def test_bad_input_is_named_and_changes_nothing(
    salon: Any, method: str, path: str, body: Any, field: str, code: str
) -> None:
    held = await make(salon, "held")
    answer = await salon.ask(method, f"/v1/lists{path.replace('LIST', held['id'])}", body)
    assert answer.status_code == 422, answer.text
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [(field, code)]
    assert await salon.count("customer_list") == 1


async def test_a_list_that_there_is_not_and_another_tenants_are_404_by_each_verb(salon: Any) -> None:
    vip = (await make(salon, "vip"))["id"]
    for list_id, by in ((vip, "other"), (str(uuid4()), "admin")):
        for method, path, body in (
            ("GET", "", None), ("PATCH", "", {"name": "x"}), ("DELETE", "", None), ("GET", "/members", None),
            ("POST", "/members", {"query": "ana"}), ("POST", "/members/remove", {"query": "ana"}),
        ):  # fmt: skip
            answer = await salon.ask(method, f"/v1/lists/{list_id}{path}", body, by=by)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)


async def test_of_two_who_rename_a_list_the_second_is_told(salon: Any) -> None:
    path = f"/v1/lists/{(await make(salon, 'vip'))['id']}"
    assert (await salon.ask("GET", path)).headers["ETag"] == '"1"'
    first = await salon.ask("PATCH", path, {"name": "regulars"}, If_Match='"1"')
    assert (first.status_code, first.headers["ETag"]) == (200, '"2"')
    second = await salon.ask("PATCH", path, {"name": "others"}, If_Match='"1"')
    assert (second.status_code, second.json()["code"], second.json()["version"]) == (412, "changed_meanwhile", 2)
    assert (await salon.ask("GET", path)).json()["name"] == "regulars"
    rubbish = await salon.ask("PATCH", path, {"name": "x"}, If_Match="yesterday")
    assert rubbish.json()["errors"][0]["field"] == "If-Match"


async def test_the_same_request_twice_makes_one_list(salon: Any) -> None:
    [ana] = await add(salon, "Ana")
    body = {"name": "vip", "customer_ids": [ana]}
    answers = [await salon.ask("POST", "/v1/lists", body, Idempotency_Key="k") for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    other = await salon.ask("POST", "/v1/lists", {"name": "other"}, Idempotency_Key="k")
    assert other.status_code == 409


async def test_a_business_has_so_many_lists_and_a_list_so_many_customers(salon: Any, settings: Any) -> None:
    app = salon.http._transport.app
    app.state.settings = settings.model_copy(update={"customer_lists_max": 1, "customer_list_members_max": 1})
    ana, bob = await add(salon, "Ana", "Bob")
    vip = await make(salon, "vip", ana)
    for path, body, limit in (
        ("/v1/lists", {"name": "more"}, "a business has at most 1 lists"),
        (f"/v1/lists/{vip['id']}/members", {"customer_ids": [bob]}, "at most 1 customers are on a list"),
    ):
        refused = await salon.ask("POST", path, body)
        assert (refused.status_code, refused.json()["limit"]) == (422, 1)
        assert refused.json()["errors"][0]["message"] == limit
    assert await members(salon, vip["id"]) == ["Ana"]


async def test_a_list_that_a_saved_search_or_a_schedule_asks_for_is_not_removed(salon: Any) -> None:
    vip, spring = await make(salon, "vip"), await make(salon, "spring sale")
    await salon.ask("PUT", "/v1/searches/best", {"query": "ana or not list is VIP"})
    await salon.ask("PUT", "/v1/searches/tagged", {"query": 'tag is list or name is "list is spring sale"'})
    refused = await salon.ask("DELETE", "/v1/lists/vip")
    assert (refused.status_code, refused.json()["code"]) == (409, "list_in_use")
    assert (refused.json()["searches"], refused.json()["schedules"]) == (["best"], [])
    assert refused.json()["detail"] == "By the saved search 'best'."
    when = {"repeat": {"frequency": "daily", "times": ["10:00"]}, "time_zone": "UTC"}
    body = {"name": "weekly", "when": when, "text": "Hi {{first_name}} STOP to opt out", "audience": {"all": True}}
    answer = await salon.ask("POST", "/v1/schedules", body | {"credits_max": 100})
    assert answer.status_code == 201, answer.text
    expected = [{"id": answer.json()["id"], "name": "weekly"}]
    for audience in (
        f'{{"lists": ["{spring["id"]}"]}}',
        '{"query": "list is Spring Sale and ana"}',
        '{"exclude": {"query": "list is \\"spring sale\\""}}',
    ):
        async with salon.db.request(salon.tenant_id) as tx:
            await tx.execute("UPDATE schedule SET audience = $1::text::jsonb", audience)
        refused = await salon.ask("DELETE", f"/v1/lists/{spring['id']}")
        assert refused.json()["schedules"] == expected, audience
    async with salon.db.request(salon.tenant_id) as tx:
        await tx.execute("UPDATE schedule SET state = 'archived', next_at = NULL, next_wall = NULL")
    assert (await salon.ask("DELETE", f"/v1/lists/{spring['id']}")).status_code == 204
    await salon.ask("DELETE", "/v1/searches/best")
    assert (await salon.ask("DELETE", f"/v1/lists/{vip['id']}")).status_code == 204


@pytest.mark.parametrize(
    ("written", "renamed"),
    [
        ("list is vip", 'list is "VIP 2"'),
        ('ana and (lists is not "vip" or list:vip) and list is vips', 'ana and (lists is not "VIP 2" or list:"VIP 2") and list is vips'),  # noqa: E501
        ("tag is vip and vip and list is blank", "tag is vip and vip and list is blank"),
        ("list is “vip” or pet is list", 'list is "VIP 2" or pet is list'),
        ("list is vip and (", "list is vip and ("),
    ],
)  # fmt: skip
def test_in_a_query_a_list_is_renamed_where_it_is_meant(written: str, renamed: str) -> None:
    places = lists_written(written, FIELDS, country="AU", today=clock.now().date())
    assert with_list_renamed(written, [one for one in places if one.name == "vip"], "VIP 2") == renamed


async def test_searches_and_schedules_go_on_meaning_a_list_that_is_renamed(salon: Any) -> None:
    [ana, _] = await add(salon, "Ana", "Bob")
    vip = await make(salon, "vip", ana)
    await salon.ask("PUT", "/v1/searches/best", {"query": "list is VIP and ana"})
    when = {"repeat": {"frequency": "daily", "times": ["10:00"]}, "time_zone": "UTC"}
    body = {"name": "weekly", "when": when, "text": "Hi STOP to opt out", "audience": {"all": True}, "credits_max": 9}
    assert (await salon.ask("POST", "/v1/schedules", body)).status_code == 201
    async with salon.db.request(salon.tenant_id) as tx:
        audience = '{"query": "list is vip", "exclude": {"query": "not list is vip"}}'
        await tx.execute("UPDATE schedule SET audience = $1::text::jsonb", audience)
    assert (await salon.ask("PATCH", "/v1/lists/vip", {"name": "our best"})).status_code == 200
    async with salon.db.request(salon.tenant_id) as tx:
        kept = orjson.loads(await tx.fetchval("SELECT audience::text FROM schedule"))
    assert kept == {"query": 'list is "our best"', "exclude": {"query": 'not list is "our best"'}}
    assert (await salon.ask("GET", "/v1/searches/best")).json()["query"] == 'list is "our best" and ana'
    found = (await salon.ask("GET", "/v1/customers?saved=best")).json()["items"]
    assert [one["id"] for one in found] == [ana]
    assert (await salon.ask("DELETE", f"/v1/lists/{vip['id']}")).json()["searches"] == ["best"]
