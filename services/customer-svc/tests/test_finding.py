"""Customers found by queries, on a real database; counts; saved searches."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from muster.customer.domain.query import Node, fields_of
from muster.customer.domain.query_reader import read_query
from muster.customer.store import finding
from muster.customer.store.finding import Search
from muster.customer.store.query import probes_of
from muster.kit import clock

PEOPLE: list[dict[str, Any]] = [
    {
        "first_name": "Ana", "last_name": "van der Berg", "numbers": ["0412 345 678", "(03) 9876 5432"],
        "allow_bulk_sms": True, "consent": "express", "tags": ["colour", "vip"],
        "own_fields": {"last visit": "2026-04-30", "visits": "3", "country": "Narnia"},
    },
    {
        "first_name": "Bob", "last_name": "O'Brien-Smith", "numbers": ["+44 7400 900123"], "allow_bulk_sms": True,
        "tags": ["colour"], "own_fields": {"last visit": "2026-05-01", "visits": "12", "pet": "Réx"},
    },
    {"first_name": "José", "last_name": "Müller", "numbers": ["1234"], "own_fields": {"visits": "-1.5"}},
    {"first_name": "Anastasia", "numbers": ["0499 111 678"], "consent": "withdrawn", "language": "el"},
]  # fmt: skip


@pytest.fixture
async def people(salon: Any) -> Any:
    for key, kind in (("last_visit", "date"), ("visits", "number"), ("country", "text")):
        answer = await salon.ask("PUT", f"/v1/own-fields/{key}", {"name": key, "kind": kind})
        assert answer.json()["asked_as"] == ("own_country" if key == "country" else key)
    for one in PEOPLE:
        assert (await salon.ask("POST", "/v1/customers", one)).status_code == 201
    return salon


async def found(salon: Any, query: str) -> str:
    answer = await salon.http.get("/v1/customers", params={"query": query}, headers={"Authorization": "Bearer admin"})
    assert answer.status_code == 200, answer.text
    count = await salon.http.get(
        "/v1/customers/count", params={"query": query}, headers={"Authorization": "Bearer staff"}
    )
    names = [one["first_name"] for one in answer.json()["items"]]
    assert count.json() == {"count": len(names), "exact": True}, query
    return " ".join(names)


QUERIES = {
    "": "Ana Bob José Anastasia",
    "own country is narnia": "Ana",
    "٠٤١٢": "Ana",
    "an": "Ana Anastasia",
    "ana": "Ana Anastasia",
    "ANA ber": "Ana",
    "der": "Ana",
    "van der": "Ana",
    "obrien": "Bob",
    "o'brien": "Bob",
    "smith": "Bob",
    "rien": "",
    "´ ana ''": "Ana Anastasia",
    "jose": "José",
    "JOSÉ": "José",
    "mull": "José",
    "0412": "Ana",
    "0412 345 678": "Ana",
    "+61 (0)412 345": "Ana",
    "678": "Ana Anastasia",
    "ana 678": "Ana Anastasia",
    "(03) 9": "Ana",
    "1234": "José",
    "07400": "",
    "+44 7400": "Bob",
    "0123": "Bob",
    "345": "",
    "consent is express and last visit before 2026-05-01 and tag is colour": "Ana",
    "last visit until 2026-05-01": "Ana Bob",
    "last visit on or after 2026-05-01": "Bob",
    "last visit is blank": "José Anastasia",
    "last visit is not 2026-05-01": "Ana José Anastasia",
    "visits > 2": "Ana Bob",
    "visits > 3": "Bob",
    "visits is 3.0": "Ana",
    "visits below 0": "José",
    "pet is rex": "Bob",
    "pet contains EX": "Bob",
    "pet starts with r": "Bob",
    "pet is not blank": "Bob",
    "not pet is rex": "Ana José Anastasia",
    "tag is vip or language is EL": "Ana Anastasia",
    "tag is blank": "José Anastasia",
    "tag is not colour": "José Anastasia",
    "consent is withdrawn": "Anastasia",
    "allow bulk sms is unknown": "José",
    "allow bulk sms is no": "Anastasia",
    "number is blank": "",
    "number is 03 9876 5432": "Ana",
    "number is not 03 9876 5432": "Bob José Anastasia",
    "number ends with 0123": "Bob",
    "number starts with 04": "Ana Anastasia",
    "country is gb": "Bob",
    "country is not AU": "Bob José",
    "created is today": "Ana Bob José Anastasia",
    "created before today": "",
    "changed after yesterday": "Ana Bob José Anastasia",
    "consent date since yesterday": "Ana Bob Anastasia",
    "first name is ana": "Ana",
    "name is 'ana van der berg'": "Ana",
    "name is ANASTASIA": "Anastasia",
    "name starts with anast": "Anastasia",
    "name starts with 'ana van d'": "Ana",
    "name is 'jose muller'": "José",
    "last name is obrien-smith": "Bob",
    "name is 'bob o’brien smith'": "Bob",
    "name is ana": "",
    "name is -": "",
    "name is blank": "",
    "last name is blank": "Anastasia",
    "opted out is yes": "Anastasia",
    "opted out is no": "Ana Bob José",
    "archived is yes": "",
    "(ana or bob) and tag is colour": "Ana Bob",
    "time zone is blank": "Ana Bob José Anastasia",
}


async def test_a_query_finds_and_counts_who_fits_it(people: Any, subtests: Any) -> None:
    for query, names in QUERIES.items():
        with subtests.test(query=query):
            assert await found(people, query) == names


async def test_what_is_found_by_an_index_is_what_is_found_by_going_through_all(
    people: Any, subtests: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "CANDIDATES_MAX", -1)
    for query, names in QUERIES.items():
        with subtests.test(query=query):
            assert await found(people, query) == names


async def test_who_has_only_a_number_has_a_blank_name_and_who_has_only_a_last_name_has_that(people: Any) -> None:
    for one in ({"numbers": ["0499 111 679"]}, {"last_name": "Quimby"}, {"first_name": "-Zoë", "last_name": "/X"}):
        assert (await people.ask("POST", "/v1/customers", one)).status_code == 201
    for query in ("name is blank", "name is Quimby", "name starts with quim", "name is '-zoe /x'", "name is 'zoe x'"):
        counted = await people.ask("GET", f"/v1/customers/count?query={query}")
        assert counted.json() == {"count": 0 if query == "name is 'zoe x'" else 1, "exact": True}, query


def test_a_whole_name_is_looked_up_by_its_words_among_however_many() -> None:
    for query, words in (
        ("last name is Quimby", ["Quimby"]),
        ("name is Zelda Quimby-Lee", ["Zelda", "Quimby"]),
        ("name is not Quimby", []),
        ("name contains Quimby", []),
        ('name is "-x"', []),
        (f"name is {'x' * 70}", []),
    ):
        node = read_query(query, fields_of({}), country="AU", today=clock.now().date())
        assert isinstance(node, Node)
        assert [probe.arguments[0] for probe in probes_of(node)] == words


@pytest.mark.parametrize(
    "query", ["'; DROP TABLE customer; --", "\\'; SELECT pg_sleep(9) --", "pet is '' OR 1=1", "tag is %_%", "$1 {0} %s"]
)
async def test_sql_in_a_query_is_a_text_that_nobody_has(people: Any, query: str) -> None:
    answer = await people.http.get("/v1/customers", params={"query": query}, headers={"Authorization": "Bearer admin"})
    assert answer.status_code in {200, 422}
    assert answer.status_code == 422 or answer.json()["items"] == []
    assert await people.count("customer") == len(PEOPLE)


async def test_consent_is_that_of_a_number_where_words_were_said_of_it_alone(people: Any) -> None:
    rows = (await people.ask("GET", "/v1/customers")).json()["items"]
    bob = next(one for one in rows if one["first_name"] == "Bob")
    assert await found(people, "consent is express or consent is inferred") == "Ana Bob"
    word = {"kind": "withdrawn", "number": "+44 7400 900123", "source": "person", "how": "by phone"}
    word["at"] = clock.now().isoformat()
    assert (await people.ask("POST", f"/v1/customers/{bob['id']}/consents", word)).status_code == 201
    for query, names in (
        ("consent is withdrawn", "Bob Anastasia"),
        ("consent is express or consent is inferred", "Ana"),
        ("consent is not withdrawn", "Ana José"),
    ):
        assert await found(people, query) == names, query
    # The same among all at once, as an audience asks.
    audience = {"query": "consent is not withdrawn and tag is colour"}
    assert (await people.quote("Hi", audience))["customers"] == 1


async def test_a_wrong_query_is_answered_by_the_place_of_the_mistake(people: Any) -> None:
    answer = await people.ask("GET", "/v1/customers?query=consent%20is%20maybe")
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["position"]) == (422, "query_syntax", 12)
    assert problem["expected"] == ["express", "inferred", "none", "withdrawn"]
    assert problem["errors"][0]["field"] == "query"
    mixed = await people.ask("GET", "/v1/customers?query=ana&tag=vip")
    assert mixed.json()["errors"][0]["code"] == "query_alone"


async def test_nobody_finds_anothers_customers(people: Any) -> None:
    for query in ("", "ana", "0412", "tag is vip"):
        path = f"/v1/customers?query={query}"
        assert (await people.ask("GET", path, by="other")).json()["items"] == []
        assert (await people.ask("GET", path.replace("?", "/count?"), by="other")).json()["count"] == 0


async def test_pages_of_a_query_come_to_everybody_once(salon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"{'Rare' if i == 119 else 'Ana'}{i},S,04120000{i % 100:02d},yes\n" for i in range(120))
    await salon.load(rows)
    for first, later, candidates in ((7, 7, 2_000), (7, 7, -1), (50, 100, -1)):
        monkeypatch.setattr(finding, "_WINDOW_FIRST", first)
        monkeypatch.setattr(finding, "_WINDOW_MIN", 1)
        monkeypatch.setattr(finding, "_WINDOW_MAX", later)
        monkeypatch.setattr(finding, "CANDIDATES_MAX", candidates)
        seen, cursor = [], ""
        while cursor is not None:
            page = (await salon.ask("GET", f"/v1/customers?query=ana&limit=17{cursor}")).json()
            seen += [one["first_name"] for one in page["items"]]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        assert seen == [f"Ana{i}" for i in range(119)]


async def search(salon: Any, query: str, budget_ms: int = 10_000) -> Search:
    node = read_query(query, fields_of({}), country="AU", today=clock.now().date())
    assert isinstance(node, Node)
    return Search(salon.tenant_id, node, ZoneInfo("UTC"), budget_ms)


async def test_when_its_time_is_over_a_page_says_where_to_go_on(salon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await salon.load("".join(f"Ana{i},S,04120000{i:02d},{'no' if i < 90 else 'yes'}\n" for i in range(100)))
    monkeypatch.setattr(finding, "_WINDOW_FIRST", 40)
    monkeypatch.setattr(finding, "_WINDOW_MIN", 1)
    late = await search(salon, "allow bulk sms is yes", budget_ms=0)
    async with salon.db.request(salon.tenant_id) as tx:
        pages = [await finding.find(tx, late, 0, 50)]
        while pages[-1].next_after is not None:
            pages.append(await finding.find(tx, late, pages[-1].next_after, 50))
    assert [len(page.ids) for page in pages] == [0, 0, 10]


async def test_a_count_that_takes_too_long_is_an_estimate_and_says_so(
    salon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await salon.load("".join(f"Ana{i},S,0412{i:06d},{'yes' if i % 4 else 'no'}\n" for i in range(1_000)))
    monkeypatch.setattr(finding, "_WINDOW_FIRST", 40)
    monkeypatch.setattr(finding, "_WINDOW_MIN", 1)
    late = await search(salon, "allow bulk sms is yes", budget_ms=0)
    async with salon.db.request(salon.tenant_id) as tx:
        estimated = await finding.count(tx, late)
        exactly = await finding.count(tx, late, exact=True)
        monkeypatch.setattr(finding, "COUNTED_MAX", 10)
        many = await finding.count(tx, await search(salon, "allow bulk sms is yes"))
    assert not estimated.exact
    assert 650 <= estimated.count <= 850
    assert exactly == finding.Counted(750, exact=True)
    assert not many.exact


@pytest.mark.parametrize("query", ["ana", "0412"])
async def test_words_and_numbers_are_looked_up_by_indexes_also_where_a_plan_knows_no_values(
    salon: Any, query: str
) -> None:
    """Of a statement that was used some times PostgreSQL makes a plan for all values; row-level security keeps what may
    leak out of it from the index."""
    await salon.load("".join(f"Ana{i},Van Smith{i},0412{i:06d},yes\n" for i in range(800)))
    [probe] = probes_of((await search(salon, query)).node)
    async with salon.db.request(salon.tenant_id) as tx:
        await tx.execute("SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off")
        await tx.execute(f"PREPARE probe AS {probe.text}")
        values = ", ".join(f"'{value}'" for value in (salon.tenant_id, *probe.arguments, 7))
        plan = [row[0].strip() for row in await tx.fetch(f"EXPLAIN EXECUTE probe ({values})")]
        await tx.execute("DEALLOCATE probe")
    looked_up = [line for line in plan if ">=" in line]
    assert len(looked_up) >= 3
    assert [line for line in looked_up if not line.startswith("Index Cond")] == []


async def test_a_search_is_saved_used_changed_and_forgotten(people: Any) -> None:
    body = {"query": "tag is colour"}
    saved = await people.ask("PUT", "/v1/searches/colour%2Fcut", body, by="staff")
    assert (saved.status_code, saved.json()["name"], saved.json()["changed_by"]) == (200, "colour/cut", "sam")
    page = await people.ask("GET", "/v1/customers?saved=colour/cut")
    assert [one["first_name"] for one in page.json()["items"]] == ["Ana", "Bob"]
    assert (await people.ask("GET", "/v1/customers/count?saved=colour/cut")).json()["count"] == 2
    await people.ask("PUT", "/v1/searches/colour%2Fcut", {"query": "tag is vip"})
    assert (await people.ask("GET", "/v1/searches/colour%2Fcut")).json()["query"] == "tag is vip"
    assert [one["name"] for one in (await people.ask("GET", "/v1/searches")).json()["items"]] == ["colour/cut"]
    assert (await people.ask("GET", "/v1/searches/colour%2Fcut", by="other")).status_code == 404
    assert (await people.ask("GET", "/v1/customers?saved=colour/cut", by="other")).status_code == 404
    assert (await people.ask("DELETE", "/v1/searches/colour%2Fcut")).status_code == 204
    assert (await people.ask("DELETE", "/v1/searches/colour%2Fcut")).status_code == 404


async def test_a_search_that_cannot_be_read_is_not_saved(people: Any) -> None:
    wrong = await people.ask("PUT", "/v1/searches/x", {"query": "shoe size is 42"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "query_unknown_field")
    twice = await people.ask("GET", "/v1/customers?saved=x&query=ana")
    assert twice.json()["errors"][0]["code"] == "query_or_saved"
    assert await people.count("saved_search") == 0


async def test_a_field_of_an_import_can_be_named_in_a_query(salon: Any) -> None:
    await salon.load("Ana,0412000001,yes,Rex\n", "first name,mobile,allow bulk sms,Pet's name")
    page = (await salon.ask("GET", "/v1/customers?query=pets name is rex")).json()
    assert [one["first_name"] for one in page["items"]] == ["Ana"]


class Explained:
    """A transaction that keeps how PostgreSQL goes about each query."""

    def __init__(self, tx: Any) -> None:
        self.tx = tx
        self.plans: list[str] = []

    async def execute(self, sql: str) -> None:
        await self.tx.execute(sql)

    def __getattr__(self, name: str) -> Any:
        async def ask(sql: str, *arguments: Any) -> Any:
            self.plans.append("\n".join(row[0] for row in await self.tx.fetch(f"EXPLAIN {sql}", *arguments)))
            return await getattr(self.tx, name)(sql, *arguments)

        return ask


@pytest.mark.parametrize("candidates", [2_000, -1])
async def test_no_table_is_read_as_a_whole_for_some_customers(
    people: Any, subtests: Any, monkeypatch: pytest.MonkeyPatch, candidates: int
) -> None:
    monkeypatch.setattr(finding, "CANDIDATES_MAX", candidates)
    for query in ("a", "country is AU", "opted out is yes", "opted out is no", "list is blank", "number is blank"):
        with subtests.test(query=query):
            asked = await search(people, query)
            async with people.db.request(people.tenant_id) as tx:
                explained: Any = Explained(tx)
                await finding.find(explained, asked, 0, 50)
                await finding.count(explained, asked)
            assert explained.plans
            assert not [plan for plan in explained.plans if "Seq Scan" in plan or "Semi Join" in plan]
