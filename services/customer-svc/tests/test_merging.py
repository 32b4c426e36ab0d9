"""Customers put away, taken back, and two records of one person made one."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from muster.customer.domain.customers import Consent, Customer, Mobile, OtherNumber
from muster.customer.domain.merging import merged, stricter
from muster.customer.domain.refusal import Refusal
from muster.kit.testing import eventually
from muster.text import Kind


def mobile(number: int) -> Mobile:
    return Mobile(number, "AU", number.to_bytes(8, "big"))


KEPT = Customer(
    "Ana", "", (mobile(1), mobile(2)), True, Consent.EXPRESS, "", ("vip",), {"pet": "Rex", "shoe": "42"}, ""
)  # fmt: skip
GONE = Customer(
    "Anna", "Lee", (mobile(2), mobile(3)), True, Consent.EXPRESS, "en", ("vip", "new"), {"pet": "Tom", "hat": "5"},
    "Australia/Perth", (OtherNumber(9, "AU", Kind.LANDLINE, "9"),),
)  # fmt: skip


def test_the_one_who_is_kept_has_the_numbers_tags_and_fields_of_both() -> None:
    both = merged(KEPT, GONE)
    assert both == Customer(
        "Ana", "", (mobile(1), mobile(2), mobile(3)), True, Consent.EXPRESS, "en", ("vip", "new"),
        {"pet": "Rex", "hat": "5", "shoe": "42"}, "Australia/Perth", GONE.others,
    )  # fmt: skip
    nameless = merged(replace(KEPT, first_name=""), GONE)
    assert isinstance(nameless, Customer)
    assert (nameless.first_name, nameless.last_name) == ("Anna", "Lee")


@pytest.mark.parametrize(
    ("first", "second", "consent", "allow"),
    [
        ((Consent.EXPRESS, True), (Consent.WITHDRAWN, False), Consent.WITHDRAWN, False),
        ((Consent.EXPRESS, True), (Consent.NONE, None), Consent.NONE, None),
        ((Consent.EXPRESS, True), (Consent.INFERRED, True), Consent.INFERRED, True),
        ((Consent.EXPRESS, True), (Consent.EXPRESS, False), Consent.EXPRESS, False),
        ((Consent.NONE, False), (Consent.WITHDRAWN, False), Consent.WITHDRAWN, False),
        ((Consent.NONE, None), (Consent.INFERRED, False), Consent.NONE, False),
    ],
)
def test_of_two_words_on_consent_the_stricter_holds_whoever_is_kept(
    first: tuple[Consent, bool | None], second: tuple[Consent, bool | None], consent: Consent, allow: bool | None
) -> None:
    one, other = (replace(KEPT, consent=kind, allow_bulk_sms=tick) for kind, tick in (first, second))
    for kept, gone in ((one, other), (other, one)):
        both = merged(kept, gone)
        assert isinstance(both, Customer)
        assert (both.consent, both.allow_bulk_sms) == (consent, allow)
    assert stricter(one, other) != stricter(other, one)


def test_more_numbers_than_one_customer_may_have_are_not_merged() -> None:
    many = replace(KEPT, mobiles=tuple(mobile(n) for n in range(9)))
    assert isinstance(merged(many, replace(GONE, mobiles=(mobile(20), mobile(21)))), Refusal)
    assert isinstance(merged(many, replace(GONE, mobiles=(mobile(0), mobile(20)))), Customer)


async def add(salon: Any, first_name: str, number: str, **members: Any) -> int:
    body = {"first_name": first_name, "numbers": [number], "allow_bulk_sms": True, "consent": "express", **members}
    answer = await salon.ask("POST", "/v1/customers", body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def merge(salon: Any, kept: int, gone: int, **more: str) -> Any:
    return await salon.ask("POST", f"/v1/customers/{kept}/merge", {"customer_id": gone}, **more)


async def test_who_is_archived_is_neither_texted_nor_found_until_taken_back(salon: Any) -> None:
    ana, bob = await add(salon, "Ana", "0412 000 001"), await add(salon, "Bob", "0412 000 002")
    seen = (await salon.ask("GET", f"/v1/customers/{ana}")).headers["ETag"]
    before = await salon.quote("Hi")
    answer = await salon.ask("POST", f"/v1/customers/{ana}/archive", by="staff", If_Match=seen)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert answer.json()["archived_at"]
    assert (await salon.ask("POST", f"/v1/customers/{ana}/archive")).json()["version"] == 2
    assert (await salon.quote("Hi"))["recipients"] == 1
    for path, ids in (("", [bob]), ("?query=", [bob]), ("?query=ana", []), ("?query=archived is yes", [ana])):
        page = (await salon.ask("GET", f"/v1/customers{path}")).json()
        assert [one["id"] for one in page["items"]] == ids, path
    late = await salon.ask("POST", f"/v1/customers/{ana}/unarchive", If_Match=seen)
    assert (late.status_code, late.json()["changes"][0]["fields"]) == (412, ["archived_at"])
    assert (await salon.ask("POST", f"/v1/customers/{ana}/unarchive")).json()["archived_at"] is None
    assert (await salon.quote("Hi"))["recipients"] == 2
    bulk = await salon.bulk(await salon.send(before["id"]))
    await salon.plan()
    assert (await salon.bulk(bulk["id"]))["left_out"]["joined_later"] == 1
    acts = [fact.message.act for fact in await salon.said("ActRecorded")]
    assert (acts.count("customer.archived"), acts.count("customer.unarchived")) == (1, 1)


async def test_an_audience_of_nobody_but_the_archive_says_so(salon: Any) -> None:
    ana = await add(salon, "Ana", "0412 000 001", tags=["vip"])
    await salon.ask("POST", f"/v1/customers/{ana}/archive")
    refused = await salon.ask("POST", "/v1/quotes", {"text": "Hi", "audience": {"tag": "vip"}})
    told = refused.json()
    assert (refused.status_code, told["code"], told["archived"]) == (422, "audience_empty", 1)
    assert told["errors"][0]["message"] == "nobody is in it but 1 in the archive"
    empty = await salon.ask("POST", "/v1/quotes", {"text": "Hi", "audience": {"tag": "no such"}})
    assert (empty.json()["code"], empty.json()["archived"]) == ("audience_empty", 0)


async def test_a_message_to_an_archived_customer_goes_to_nobody(salon: Any) -> None:
    ana = await add(salon, "Ana", "0412 000 001")
    await salon.ask("POST", f"/v1/customers/{ana}/archive")
    answer = await salon.ask("POST", "/v1/messages", {"customer_id": ana, "text": "Hi"})
    assert answer.status_code in {404, 422}


async def test_two_records_of_one_person_are_made_one(salon: Any) -> None:
    ana = await add(salon, "Ana", "0412 000 001", tags=["vip"])
    anna = await add(salon, "Anna", "0412 000 002", tags=["new"], last_name="Lee", own_fields={"pet": "Rex"})
    answer = await merge(salon, ana, anna)
    assert answer.status_code == 200, answer.text
    both = answer.json()
    assert [one["number"] for one in both["numbers"]] == ["+61412000001", "+61412000002"]
    assert (both["tags"], both["own_fields"], both["version"]) == (["vip", "new"], {"pet": "Rex"}, 2)
    gone = (await salon.ask("GET", f"/v1/customers/{anna}")).json()
    assert (gone["merged_into"], gone["numbers"], gone["first_name"]) == (ana, [], "Anna")
    quote = await salon.quote("Hi")
    assert (quote["customers"], quote["recipients"]) == (1, 1)
    for method, path, body in (
        ("PATCH", f"/v1/customers/{anna}", {"first_name": "x"}),
        ("POST", f"/v1/customers/{anna}/unarchive", None),
        ("POST", f"/v1/customers/{ana}/merge", {"customer_id": anna}),
        ("POST", f"/v1/customers/{anna}/merge", {"customer_id": ana}),
    ):
        refused = await salon.ask(method, path, body)
        assert (refused.status_code, refused.json()["code"]) == (409, "customer_merged")
        assert refused.json()["merged_into"] == ana
    assert (await salon.ask("DELETE", f"/v1/customers/{ana}")).status_code == 204
    assert await salon.count("customer") == 0


async def test_a_withdrawal_outlives_a_merge_whoever_is_kept_and_stops_the_other_number(salon: Any) -> None:
    for turn in range(2):
        ana = await add(salon, "Ana", f"0412 000 0{turn}1")
        anna = await add(salon, "Anna", f"0412 000 0{turn}2")
        await salon.ask("PATCH", f"/v1/customers/{anna}", {"consent": "withdrawn"})
        kept, gone = (ana, anna) if turn else (anna, ana)
        both = (await merge(salon, kept, gone)).json()
        assert (both["consent"], both["allow_bulk_sms"], both["opted_out"]) == ("withdrawn", False, True)
        stopped = {fact.message.number_hash for fact in await salon.said("SuppressionChanged")}
        assert len(stopped) == 2 * (turn + 1)


async def test_a_withdrawal_of_one_number_goes_with_it(salon: Any) -> None:
    ana, anna = await add(salon, "Ana", "0412 000 001"), await add(salon, "Anna", "0412 000 002")
    await salon.ask("POST", "/v1/suppressions", {"number": "0412 000 002", "reason": "asked"})
    both = (await merge(salon, ana, anna)).json()
    assert both["consent"] == "express"
    async with salon.db.worker() as tx:
        rows = await tx.fetch("SELECT customer_id, kind FROM number_consent")
    assert [(row["customer_id"], row["kind"]) for row in rows] == [(ana, "withdrawn")]


async def test_who_was_merged_before_is_the_new_one_too_and_a_file_finds_them(salon: Any) -> None:
    await salon.load("A,L,0412000001,yes\nB,L,0412000002,yes\nC,L,0412000003,yes\n")
    a, b, c = [one["id"] for one in (await salon.ask("GET", "/v1/customers")).json()["items"]]
    await merge(salon, b, a)
    await merge(salon, c, b)
    assert [(await salon.ask("GET", f"/v1/customers/{one}")).json()["merged_into"] for one in (a, b, c)] == [c, c, None]
    done = await salon.load("A,L,0412000001,yes\nB,L,0412000002,yes\n")
    assert (done["created"], done["unchanged"], done["rejected"]) == (0, 1, 1)
    errors = (await salon.ask("GET", f"/v1/customers/imports/{done['id']}/errors")).json()["items"]
    assert [(one["row"], one["code"]) for one in errors] == [(2, "duplicate_row")], "both rows are of one customer now"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"customer_id": 999_999}, 422, "unknown_customer"),
        ({"customer_id": 0}, 422, "greater_than_equal"),
        ({}, 422, "missing"),
    ],
)
async def test_a_merge_with_nobody_is_refused(salon: Any, body: Any, status: int, code: str) -> None:
    ana = await add(salon, "Ana", "0412 000 001")
    answer = await salon.ask("POST", f"/v1/customers/{ana}/merge", body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


async def test_a_merge_is_nobodys_but_those_who_send_and_within_one_business(salon: Any) -> None:
    ana, anna = await add(salon, "Ana", "0412 000 001"), await add(salon, "Anna", "0412 000 002")
    assert (await merge(salon, ana, anna, by="staff")).status_code == 403
    assert (await merge(salon, ana, anna, by="other")).status_code == 404
    assert (await merge(salon, ana, ana)).json()["errors"][0]["code"] == "same_customer"
    await salon.ask("POST", f"/v1/customers/{ana}/archive")
    assert (await merge(salon, ana, anna)).json()["code"] == "customer_archived"


async def test_two_merges_of_one_pair_both_ways_at_once_leave_one_customer(salon: Any) -> None:
    ana, anna = await add(salon, "Ana", "0412 000 001"), await add(salon, "Anna", "0412 000 002")
    answers = await asyncio.gather(merge(salon, ana, anna), merge(salon, anna, ana))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert (await salon.quote("Hi"))["customers"] == 1


async def test_a_merge_locks_those_who_were_merged_before_in_everybodys_order(
    salon: Any,
) -> None:
    a, b, c = [await add(salon, name, f"0412 000 00{i}") for i, name in enumerate(("A", "B", "C"))]
    await merge(salon, b, a)
    async with salon.db.request(salon.tenant_id) as tx:
        await tx.execute("SELECT FROM customer WHERE customer_id = $1 FOR UPDATE", a)
        merging = asyncio.create_task(merge(salon, c, b))
        await eventually(lambda: tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        await tx.execute("SELECT FROM customer WHERE customer_id = ANY($1) FOR UPDATE NOWAIT", [b, c])
    assert (await merging).json()["numbers"][0]["number"] == "+61412000002"


async def test_a_merge_that_is_asked_for_twice_with_one_key_happens_once(salon: Any) -> None:
    ana, anna = await add(salon, "Ana", "0412 000 001"), await add(salon, "Anna", "0412 000 002")
    first, again = [await merge(salon, ana, anna, Idempotency_Key="k") for _ in range(2)]
    assert (first.status_code, again.status_code, first.json()) == (200, 200, again.json())
    assert again.headers["ETag"] == '"2"'


async def test_as_many_customers_as_a_limit_allows_are_merged_into_one(
    salon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.customer.api.merging.MERGED_MAX", 2)
    a, b, c, d = [await add(salon, name, f"0412 000 00{n}") for n, name in enumerate("ABCD", 1)]
    assert (await merge(salon, b, a)).status_code == 200
    assert (await merge(salon, c, b)).status_code == 200
    answer = await merge(salon, d, c)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_many_merged")
