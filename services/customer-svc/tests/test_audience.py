"""Who of an audience is texted and why the others are not, against a plain model of the same rules."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from gathering import plain

from muster.customer.domain.audience import Audience
from muster.customer.domain.merge_text import MergeText
from muster.customer.domain.tariff import Reach
from muster.customer.store.audience import count_audience, freeze_audience, missing_rows

TEXT = "Hello {{first_name}}, {{pet}} is due"


@dataclass
class Person:
    """A customer as the model knows them: mobiles as digits without country code, by country."""

    first_name: str
    pet: str
    mobiles: list[str]
    allow: str
    consent: str


REACHED = ("+61", "+44", "+64")


def model(people: list[Person], opted_out: set[str], *, marketing: bool) -> tuple[list[int], dict[str, int]]:
    """Positions of those who are texted, and the others by reason."""
    texted: dict[str, int] = {}
    reasons: dict[str, int] = {}
    for position, person in enumerate(people):
        reachable = [mobile for mobile in person.mobiles if mobile.startswith(REACHED)]
        if person.allow != "yes" or (marketing and person.consent not in ("express", "inferred", "")):
            reason = "no_consent"
        elif not reachable:
            reason = "not_textable"
        elif opted_out & set(person.mobiles):
            reason = "opted_out"
        elif not person.first_name or not person.pet:
            reason = "missing_field"
        elif reachable[0] in texted:
            reason = "duplicate_number"
        else:
            texted[reachable[0]] = position
            continue
        reasons[reason] = reasons.get(reason, 0) + 1
    return list(texted.values()), reasons


def draw(seed: int) -> tuple[list[Person], set[str]]:
    chance = random.Random(seed)
    pool = [f"+614120000{i:02d}" for i in range(12)] + [f"+4474009000{i:02d}" for i in range(5)]
    pool += ["+12015550123", "+12015550124", "+6421123456"]
    people = [
        Person(
            chance.choice(["Ana", "Bob", "Zoë", ""]),
            chance.choice(["Rex", "Tom[", "x" * 150, ""]),
            chance.sample(pool, chance.choice([0, 1, 1, 1, 2])),
            chance.choice(["yes", "yes", "yes", "no", ""]),
            chance.choice(["", "inferred", "none"]),
        )
        for _ in range(60)
    ]
    return people, set(chance.sample(pool[:17], 3))


@pytest.mark.parametrize("seed", range(4))
async def test_quote_and_plan_leave_out_whom_the_rules_leave_out(salon: Any, seed: int) -> None:
    people, opted_out = draw(seed)
    rows = "".join(
        f"{p.first_name},L{i},{','.join([*p.mobiles, '', ''][:2])},{p.allow},{p.consent},{p.pet}\n"
        for i, p in enumerate(people)
    )
    done = await salon.load(rows, "first name,last name,mobile,mobile 2,allow bulk sms,consent,pet")
    assert done["rejected"] == 0
    for number in sorted(opted_out):
        assert (await salon.ask("POST", "/v1/suppressions", {"number": number})).status_code == 201

    for word in ("marketing", "factual"):
        texted, reasons = model(people, opted_out, marketing=word == "marketing")
        quote = await salon.quote(TEXT, **{"class": word})
        assert {name: count for name, count in quote["left_out"].items() if count} == reasons
        assert quote["recipients"] + sum(quote["left_out"].values()) == quote["customers"] == len(people)
        missing = [row["name"] for row in quote["missing"]]
        assert len(missing) == min(20, reasons.get("missing_field", 0))

        bulk_id = await salon.send(quote["id"])
        await salon.plan()
        chunks = [
            fact.message for fact in await salon.said("BulkRecipientsAttached") if fact.message.bulk_id == bulk_id
        ]
        got = {
            (f"+{number}", plain(chunk.text[chunk.text_index[i] if chunk.text_index else 0]))
            for chunk in chunks
            for i, number in enumerate(chunk.number)
        }
        wanted = {(first(people[i]), f"Hello {people[i].first_name}, {people[i].pet} is due") for i in texted}
        assert got == wanted
        assert sum(sum(chunk.parts) for chunk in chunks) == quote["parts"]
        assert sum(sum(chunk.price) for chunk in chunks) == quote["credits"]
        bulk = await salon.bulk(bulk_id)
        assert bulk["left_out"] == quote["left_out"]
        assert [chunk.country for chunk in chunks] == sorted({chunk.country for chunk in chunks}, key=home_first)


def first(person: Person) -> str:
    return next(mobile for mobile in person.mobiles if mobile.startswith(REACHED))


def home_first(country: str) -> tuple[bool, str]:
    return country != "AU", country


async def test_of_a_household_the_oldest_who_consents_is_texted(salon: Any) -> None:
    await salon.load("Old,S,0412000001,no\nMiddle,S,0412 000 001,yes\nYoung,S,+61412000001,yes\n")
    quote = await salon.quote("Hi {{first_name}}")
    assert (quote["recipients"], quote["left_out"]["no_consent"], quote["left_out"]["duplicate_number"]) == (1, 1, 1)
    await salon.send(quote["id"])
    await salon.plan()
    [fact] = await salon.said("BulkRecipientsAttached")
    assert list(map(plain, fact.message.text)) == ["Hi Middle"]


@pytest.mark.parametrize(
    ("audience", "names"),
    [
        ({"tag": "vip"}, {"Ana"}),
        ({"list": "vip"}, {"Ana"}),
        ({"search": "jon"}, {"Bob"}),
        ({"search": "0412 000 003"}, {"Cat"}),
        ({"search": "vip%"}, set()),
    ],
)
async def test_an_audience_is_a_list_or_a_search(salon: Any, audience: dict[str, str], names: set[str]) -> None:
    rows = "Ana,Smith,0412000001,yes,vip\nBob,Jones,0412000002,yes,\nCat,O_Neil,0412000003,yes,new\n"
    await salon.load(rows, "first name,last name,mobile,allow bulk sms,tags")
    answer = await salon.ask("POST", "/v1/quotes", {"text": "Hi {{first_name}}", "audience": audience})
    if not names:
        assert answer.json()["code"] == "audience_empty"
        return
    await salon.send(answer.json()["id"])
    await salon.plan()
    [fact] = await salon.said("BulkRecipientsAttached")
    assert set(map(plain, fact.message.text)) == {f"Hi {name}" for name in names}


async def test_an_audience_by_ids_is_those_customers(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\nBob,Jones,0412000002,yes\n")
    items = (await salon.ask("GET", "/v1/customers")).json()["items"]
    quote = await salon.quote("Hi", {"customer_ids": [items[1]["id"]]})
    assert (quote["customers"], quote["recipients"]) == (1, 1)


async def test_another_tenants_customers_are_in_no_audience(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    answer = await salon.ask("POST", "/v1/quotes", {"text": "Hi", "audience": {"all": True}}, by="other")
    assert (answer.status_code, answer.json()["code"], answer.json()["customers"]) == (422, "audience_empty", 0)


async def test_the_dearer_rate_of_a_country_is_in_the_quote_and_the_prices(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\nBob,Jones,+6421123456,yes\n")
    quote = await salon.quote("Hi")
    assert (quote["recipients"], quote["parts"], quote["credits"]) == (2, 2, 3)
    await salon.send(quote["id"])
    await salon.plan()
    chunks = [fact.message for fact in await salon.said("BulkRecipientsAttached")]
    assert [(chunk.country, list(chunk.price), list(chunk.upto)) for chunk in chunks] == [
        ("AU", [1], [1]),
        ("NZ", [2], [3]),
    ]


class Explained:
    """A transaction that also keeps how PostgreSQL goes about each query."""

    def __init__(self, tx: Any) -> None:
        self.tx = tx
        self.plans: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tx, name)

    async def fetch(self, sql: str, *arguments: Any) -> Any:
        lines = await self.tx.fetch(f"EXPLAIN {sql}", *arguments)
        self.plans.append("\n".join(line[0] for line in lines))
        return await self.tx.fetch(sql, *arguments)


async def test_customers_that_the_statistics_do_not_know_are_not_judged_pair_by_pair(salon: Any) -> None:
    admin = await asyncpg.connect(salon.admin_dsn)
    for table in ("customer", "customer_number", "suppression"):
        await admin.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false); ANALYZE {table}")
    await admin.close()
    await salon.load("".join(f"Ana{i},S,0412{i:06},yes\n" for i in range(500)))
    text, reach = MergeText.read("Hi {{first_name}}"), Reach(("AU",), (), others=False)
    assert isinstance(text, MergeText)

    async with salon.db.worker() as tx:
        explained: Any = Explained(tx)
        asked = (salon.tenant_id, Audience(), text, reach)
        counted = await count_audience(explained, *asked, marketing=True)
        await missing_rows(explained, *asked, marketing=True, limit=5)
        seen = (counted.snapshot, datetime.now(UTC))
        bulk = (salon.tenant_id, uuid4(), Audience(), text, reach)
        frozen = await freeze_audience(explained, *bulk, marketing=True, home="AU", seen=seen, chunk_max=500)

    assert (counted.customers, frozen.recipients) == (500, 500)
    assert len(explained.plans) == 3
    assert not [plan for plan in explained.plans if "Nested Loop" in plan]
