"""Who is on a list, on a real database: by ids, by a query, after a merge; and queries that ask for a list."""

from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from muster.customer.domain.lists import ListKind, read_name
from muster.customer.domain.query import fields_of
from muster.customer.domain.query_reader import read_query
from muster.customer.domain.refusal import Refusal
from muster.customer.store import lists
from muster.customer.store.finding import Search
from muster.kit import clock
from muster.kit.ids import uuid7


async def add(salon: Any, first_name: str, **members: Any) -> int:
    answer = await salon.ask("POST", "/v1/customers", {"first_name": first_name, **members})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def make(salon: Any, name: str, *ids: int) -> UUID:
    list_id = uuid7()
    async with salon.db.request(salon.tenant_id) as tx:
        assert await lists.add_list(tx, salon.tenant_id, list_id, name, ListKind.KEPT, "ada")
        assert await lists.add_members(tx, salon.tenant_id, list_id, ids) == len(ids)
    return list_id


async def on(salon: Any, list_id: UUID) -> list[int]:
    async with salon.db.request(salon.tenant_id) as tx:
        return await lists.page_of_members(tx, salon.tenant_id, list_id, 0, 100)


def search(salon: Any, query: str) -> Search:
    node = read_query(query, fields_of({}), country="AU", today=clock.now().date())
    assert not isinstance(node, Refusal)
    return Search(salon.tenant_id, node, ZoneInfo("UTC"), 1_000)


async def names(salon: Any, query: str) -> str:
    answers = [
        await salon.http.get(path, params={"query": query}, headers={"Authorization": "Bearer admin"})
        for path in ("/v1/customers", "/v1/customers/count")
    ]
    assert [one.status_code for one in answers] == [200, 200], answers[0].text
    found = [one["first_name"] for one in answers[0].json()["items"]]
    assert answers[1].json() == {"count": len(found), "exact": True}
    return " ".join(found)


@pytest.mark.parametrize(
    ("written", "name"),
    [("  Spring\tsale ", "Spring sale"), ("a/b", "a/b"), ("x" * 100, "x" * 100), ("", "empty"), (" \u200b", "empty"),
     ("x" * 101, "too_long"), ('the "best"', "quotation_mark"), ("“best”", "quotation_mark")],
)  # fmt: skip
def test_the_name_of_a_list_is_plain_and_of_at_most_100_characters(written: str, name: str) -> None:
    read = read_name(written)
    assert (read.code if isinstance(read, Refusal) else read) == name


async def test_a_list_is_found_by_its_name_however_its_capitals_are_written(salon: Any) -> None:
    list_id = await make(salon, "Été 2026")
    async with salon.db.request(salon.tenant_id) as tx:
        for name in ("éTÉ 2026", "E\u0301te\u0301 2026"):
            found = await lists.list_named(tx, salon.tenant_id, name)
            assert found is not None
            assert (found["list_id"], found["name"]) == (list_id, "Été 2026")
            assert not await lists.add_list(tx, salon.tenant_id, uuid7(), name, ListKind.KEPT, "ada")
        assert await lists.ids_of(tx, salon.tenant_id, {"ÉTÉ 2026", "winter"}) == {"ÉTÉ 2026": list_id}
    async with salon.db.request(salon.other_id) as tx:
        assert await lists.list_named(tx, salon.other_id, "Été 2026") is None


async def test_members_come_and_go_once_each_and_who_is_archived_stays_uncounted(salon: Any) -> None:
    ana, bob, cat = [await add(salon, name) for name in ("Ana", "Bob", "Cat")]
    list_id = await make(salon, "vip", ana, bob)
    async with salon.db.request(salon.tenant_id) as tx:
        assert await lists.add_members(tx, salon.tenant_id, list_id, [bob, cat, 999_999]) == 1
        assert await lists.remove_members(tx, salon.tenant_id, list_id, [ana, 999_999]) == 1
    await salon.ask("POST", f"/v1/customers/{bob}/archive")
    assert await on(salon, list_id) == [cat]
    async with salon.db.request(salon.tenant_id) as tx:
        counted = await lists.lock_list(tx, salon.tenant_id, list_id)
    assert counted is not None
    assert counted["customers"] == 1
    await salon.ask("POST", f"/v1/customers/{bob}/unarchive")
    assert await on(salon, list_id) == [bob, cat]
    await salon.ask("DELETE", f"/v1/customers/{bob}")
    assert await salon.count("customer_list_member") == 1


async def test_all_who_fit_a_query_come_and_go_in_one_statement(salon: Any) -> None:
    _, bob, cat = [await add(salon, name, tags=["colour"]) for name in ("Ana", "Bob", "Cat")]
    await salon.ask("POST", f"/v1/customers/{cat}/archive")
    list_id = await make(salon, "vip", bob)
    async with salon.db.request(salon.tenant_id) as tx:
        colour = search(salon, "tag is colour").condition
        assert await lists.add_found(tx, salon.tenant_id, list_id, colour) == 1
        on_it = search(salon, "list is vip and ana").condition
        assert await lists.remove_found(tx, salon.tenant_id, list_id, on_it) == 1
    assert await on(salon, list_id) == [bob]


async def test_a_query_asks_who_is_on_a_list_who_is_not_and_who_is_on_none(salon: Any) -> None:
    ana, bob, _ = [await add(salon, name) for name in ("Ana", "Bob", "Cat")]
    await make(salon, "Spring sale", ana, bob)
    await make(salon, "vip", bob)
    assert await names(salon, "list is spring sale") == "Ana Bob"
    assert await names(salon, 'lists is "VIP"') == "Bob"
    assert await names(salon, "list is spring sale and list is not vip") == "Ana"
    assert await names(salon, "not list is vip") == "Ana Cat"
    assert await names(salon, "list is blank") == "Cat"
    assert await names(salon, "list is not blank or cat") == "Ana Bob Cat"


async def test_a_query_for_a_list_that_there_is_not_is_refused_by_name(salon: Any) -> None:
    await make(salon, "vip")
    for query in ("list is vpi", "ana or not list is not vpi"):
        answer = await salon.http.get(
            "/v1/customers", params={"query": query}, headers={"Authorization": "Bearer admin"}
        )
        assert answer.status_code == 422
        assert (answer.json()["errors"][0]["code"], answer.json()["unknown"]) == ("unknown_list", ["vpi"])
    assert (await salon.ask("GET", "/v1/customers?query=list is vip", by="other")).status_code == 422


async def test_who_is_merged_into_another_customer_brings_their_lists_along(salon: Any) -> None:
    ana, anna, bob = [await add(salon, name, numbers=[f"041200000{n}"]) for n, name in enumerate(("Ana", "Anna", "B"))]
    both, hers = await make(salon, "both", ana, anna), await make(salon, "hers", anna, bob)
    answer = await salon.ask("POST", f"/v1/customers/{ana}/merge", {"customer_id": anna})
    assert answer.status_code == 200, answer.text
    assert (await on(salon, both), await on(salon, hers)) == ([ana], [ana, bob])
    # By an id of before.
    later = await make(salon, "later", anna)
    assert await on(salon, later) == [ana]
    async with salon.db.request(salon.tenant_id) as tx:
        assert await lists.remove_members(tx, salon.tenant_id, later, [anna]) == 1
        told = await lists.lists_of_customer(tx, salon.tenant_id, ana, 10)
    assert [one["name"] for one in told] == ["both", "hers"]


async def test_tags_of_before_are_lists_too(salon: Any) -> None:
    """The migration's own statements, on customers as they were."""
    await add(salon, "Ana", tags=["VIP", 'the "best"'])
    await add(salon, "Bob", tags=["vip"])
    await salon.ask("POST", "/v1/customers", {"first_name": "Ole", "tags": ["vip"]}, by="other")
    [path] = Path(lists.__file__).parents[1].glob("migrations/*[0-9]_lists.sql")
    moving = path.read_text().partition("-- A list was a tag until now")[2].partition("\n")[2]
    connection = await asyncpg.connect(salon.admin_dsn)
    try:
        await connection.execute(moving)
        rows = await connection.fetch(
            "SELECT name, tenant_id = $1 AS ours, count(*) AS on_it FROM customer_list JOIN customer_list_member"
            " USING (tenant_id, list_id) GROUP BY name, tenant_id ORDER BY lower(name), ours DESC",
            salon.tenant_id,
        )
    finally:
        await connection.close()
    assert [tuple(row) for row in rows] == [("the 'best'", True, 1), ("VIP", True, 2), ("vip", False, 1)]
