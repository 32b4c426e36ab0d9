"""Customers, lists and templates over HTTP, and bad input: each names its field and changes nothing."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from gathering import plain

from muster.customer.handlers import facts as handlers
from muster.events import NIL_TENANT
from muster.events.v1.platform_pb2 import RatesChanged, RouteChanged, SenderChanged
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit.pg import unprotected_tables

ANA = {
    "first_name": "Ana",
    "last_name": "Smith",
    "mobiles": ["0412 345 678", "+44 7400 900123"],
    "allow_bulk_sms": True,
    "consent": "express",
    "consent_evidence": {"how": "form", "wording": "Text me offers"},
    "own_fields": {"Pet's name": "Rex"},
    "tags": ["vip"],
}


async def test_a_customer_is_kept_as_written_and_numbers_as_e164(salon: Any) -> None:
    answer = await salon.ask("POST", "/v1/customers", ANA)
    assert answer.status_code == 201, answer.text
    ana = answer.json()
    assert [mobile["number"] for mobile in ana["mobiles"]] == ["+61412345678", "+447400900123"]
    assert ana["own_fields"] == {"pets_name": "Rex"}
    evidence = ana["consent_evidence"]
    assert (evidence["how"], evidence["wording"], evidence["by"]) == ("form", "Text me offers", "ada")
    assert (await salon.ask("GET", f"/v1/customers/{ana['id']}")).json() == ana


async def test_a_change_touches_what_it_names(salon: Any) -> None:
    ana = (await salon.ask("POST", "/v1/customers", ANA)).json()
    changed = (await salon.ask("PATCH", f"/v1/customers/{ana['id']}", {"last_name": "Jones"})).json()
    assert {name for name in ana if ana[name] != changed[name]} == {"last_name", "changed_at", "version"}
    withdrawn = (await salon.ask("PATCH", f"/v1/customers/{ana['id']}", {"consent": "withdrawn"})).json()
    assert (withdrawn["allow_bulk_sms"], withdrawn["consent"]) == (False, "withdrawn")


async def test_who_is_removed_is_gone(salon: Any) -> None:
    ana = (await salon.ask("POST", "/v1/customers", ANA)).json()
    assert (await salon.ask("DELETE", f"/v1/customers/{ana['id']}", by="staff")).status_code == 403
    assert (await salon.ask("DELETE", f"/v1/customers/{ana['id']}")).status_code == 204
    assert (await salon.ask("GET", f"/v1/customers/{ana['id']}")).status_code == 404
    assert (await salon.count("customer"), await salon.count("customer_number")) == (0, 0)


async def test_customers_come_in_pages_by_id(salon: Any) -> None:
    await salon.load("".join(f"A{i},S,04120000{i:02d},{'yes' if i % 2 else 'no'}\n" for i in range(25)))
    seen, path = [], "/v1/customers?limit=10"
    page = (await salon.ask("GET", path)).json()
    while True:
        seen += [item["first_name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        page = (await salon.ask("GET", f"{path}&cursor={page['next_cursor']}")).json()
    assert seen == [f"A{i}" for i in range(25)]
    allowed = (await salon.ask("GET", "/v1/customers?allow_bulk_sms=true&limit=100")).json()["items"]
    assert len(allowed) == 12
    assert (await salon.ask("GET", "/v1/customers?cursor=rubbish")).status_code == 422


async def test_another_tenants_customer_is_not_found_by_any_verb(salon: Any) -> None:
    ana = (await salon.ask("POST", "/v1/customers", ANA)).json()
    for method, body in (("GET", None), ("PATCH", {"first_name": "x"}), ("DELETE", None)):
        answer = await salon.ask(method, f"/v1/customers/{ana['id']}", body, by="other")
        assert answer.status_code == 404, method
    assert (await salon.ask("GET", "/v1/customers", by="other")).json()["items"] == []


async def test_a_template_has_versions_and_a_quote_takes_the_newest(salon: Any) -> None:
    await salon.load("Ana,S,0412000001,yes\n")
    made = (await salon.ask("POST", "/v1/templates", {"name": "offer", "text": "Hi {{first_name}}"})).json()
    assert (made["version"], made["fields"]) == (1, ["first_name"])
    newer = await salon.ask("PUT", f"/v1/templates/{made['id']}", {"name": "offer", "text": "Dear {{first_name}}"})
    assert newer.json()["version"] == 2
    body = {"template_id": made["id"], "audience": {"all": True}}
    quote = (await salon.ask("POST", "/v1/quotes", body)).json()
    await salon.send(quote["id"])
    await salon.plan()
    [fact] = await salon.said("BulkRecipientsAttached")
    assert list(map(plain, fact.message.text)) == ["Dear Ana"]
    assert (await salon.ask("GET", f"/v1/templates/{made['id']}", by="other")).status_code == 404


QUOTE: dict[str, Any] = {"text": "Hi", "audience": {"all": True}}


BAD_INPUT: list[tuple[str, str, Any, str, str]] = [
    ("POST", "/v1/customers", {"mobiles": ["0412 345 678", "banana"]}, "mobiles[1]", "not_a_number"),
    ("POST", "/v1/customers", {"mobiles": ["+61 2 9999 9999"]}, "mobiles[0]", "not_mobile"),
    ("POST", "/v1/customers", {"nickname": "x"}, "nickname", "unknown_field"),
    ("POST", "/v1/customers", {"allow_bulk_sms": "yes"}, "allow_bulk_sms", "bool_type"),
    ("POST", "/v1/customers", {"own_fields": {"first name": "x"}}, "own_fields.first name", "bad_name"),
    (
        "POST",
        "/v1/customers",
        {"first_name": "x", "own_fields": {"Pet": "a", "pet": "b"}},
        "own_fields.pet",
        "repeated_name",
    ),
    ("POST", "/v1/customers", b'{"first_name": "x", "own_fields": {"\\ud800": "b"}}', "own_fields.?", "bad_name"),
    ("POST", "/v1/customers", {"first_name": "x", "own_fields": {"pe\x00t": "b"}}, "own_fields.pe\x00t", "bad_name"),
    ("POST", "/v1/customers", {"first_name": " ", "allow_bulk_sms": True}, "first_name", "nobody"),
    ("POST", "/v1/customers", {"consent_evidence": {"at": 1}}, "consent_evidence.at", "value_error"),
    ("POST", "/v1/customers", b"{", "body", "malformed_json"),
    ("POST", "/v1/templates", {"name": " ", "text": "x"}, "name", "empty"),
    ("POST", "/v1/quotes", QUOTE | {"text": "\u200b"}, "text", "empty"),
    ("POST", "/v1/quotes", QUOTE | {"text": "a\x00"}, "text", "control_character"),
    ("POST", "/v1/quotes", QUOTE | {"text": "pay \u202e05$"}, "text", "direction_override"),
    ("POST", "/v1/quotes", QUOTE | {"text": "a\u0378"}, "text", "unassigned_character"),
    ("POST", "/v1/quotes", QUOTE | {"text": "Z" + "\u0301" * 99}, "text", "too_many_marks"),
    ("POST", "/v1/templates", {"name": "x", "text": "Hi \x1b[1m"}, "text", "control_character"),
    ("POST", "/v1/messages", {"to": "0412345678", "text": "a\u202eb"}, "text", "direction_override"),
    ("POST", "/v1/quotes", b'{"text": "\\ud800", "audience": {"all": true}}', "text", "unpaired_surrogate"),
    ("POST", "/v1/quotes", QUOTE | {"audience": {"all": 1}}, "audience.all", "bool_type"),
    ("POST", "/v1/quotes", QUOTE | {"audience": {"all": True, "tag": "vip"}}, "audience", "value_error"),
    (
        "POST",
        "/v1/quotes",
        QUOTE | {"audience": {"customer_ids": [1, 999]}},
        "audience.customer_ids",
        "unknown_customer",
    ),
    ("POST", "/v1/quotes", QUOTE | {"text": ""}, "text", "empty"),
    ("POST", "/v1/quotes", QUOTE | {"text": "x" * 39_016}, "text", "too_long"),
    ("POST", "/v1/quotes", QUOTE | {"text": "ж" * 20_000}, "text", "too_long"),
    ("POST", "/v1/quotes", QUOTE | {"text": "Hi {{first_name"}, "text", "merge_syntax"),
    ("POST", "/v1/quotes", QUOTE | {"text": "Hi {{shoe_size}}"}, "text", "unknown_field"),
    ("POST", "/v1/quotes", QUOTE | {"audience": {"tag": "nobody"}}, "audience", "audience_empty"),
    ("POST", "/v1/quotes", QUOTE | {"audience": {}}, "audience", "value_error"),
    ("POST", "/v1/quotes", QUOTE | {"audience": {"search": " "}}, "audience.search", "string_too_short"),
    ("POST", "/v1/quotes", QUOTE | {"audience": {"search": "00"}}, "audience", "audience_empty"),
    ("POST", "/v1/quotes", QUOTE | {"sender": "+61499999999"}, "sender", "not_own_sender"),
    ("POST", "/v1/bulk-sms", {"quote_id": str(uuid4())}, "Idempotency-Key", "missing"),
    ("POST", "/v1/messages", {"to": "banana", "text": "Hi"}, "to", "not_a_number"),
    ("POST", "/v1/messages", {"to": "0412345678", "text": ""}, "text", "empty"),
    ("POST", "/v1/messages", {"text": "Hi"}, "to", "to_or_customer"),
    ("POST", "/v1/messages", {"to": "+12015550123", "text": "Hi"}, "to", "not_textable"),
    ("POST", "/v1/messages", {"to": "0412345678", "text": "Hi", "class": "marketing"}, "to", "no_consent"),
    ("POST", "/v1/suppressions", {"number": "banana"}, "number", "not_a_number"),
    ("POST", "/v1/templates", {"name": "x", "text": "{{"}, "text", "merge_syntax"),
]


async def test_bad_input_names_its_field_and_changes_nothing(salon: Any, subtests: Any) -> None:
    await salon.load("Bob,Jones,0412010109,yes\n")
    tables = ("customer", "quote", "bulk", "plan", "plan_frozen", "suppression", "template", "outbox", "idempotency")
    before = await salon.counts(*tables)
    for method, path, body, field, code in BAD_INPUT:
        with subtests.test(path=path, field=field, code=code):
            head = {} if code == "missing" else {"Idempotency_Key": "k", "Content_Type": "application/json"}
            answer = await salon.ask(method, path, body, **head)
            assert answer.status_code == 422, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [(field, code)]
            assert await salon.counts(*tables) == before


@pytest.mark.parametrize(("send_by", "code"), [("2020-01-01T00:00:00Z", "past"), ("2999-01-01T00:00:00Z", "too_far")])
async def test_a_send_by_out_of_bounds_names_it_and_leaves_the_quote_unused(
    salon: Any, send_by: str, code: str
) -> None:
    await salon.load("Bob,Jones,0412000009,yes\n")
    quote = await salon.quote("Hi")
    body = {"quote_id": quote["id"], "send_by": send_by}
    answer = await salon.ask("POST", "/v1/bulk-sms", body, Idempotency_Key="k")
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [("send_by", code)]
    assert (await salon.ask("GET", f"/v1/quotes/{quote['id']}")).json()["used_by"] is None


async def test_a_quote_that_has_expired_or_is_anothers_sends_nothing(salon: Any) -> None:
    await salon.load("Bob,Jones,0412000009,yes\n")
    quote = await salon.quote("Hi")
    other = await salon.ask("POST", "/v1/bulk-sms", {"quote_id": quote["id"]}, by="other", Idempotency_Key="k")
    assert other.status_code == 404
    async with salon.db.request(salon.tenant_id) as tx:
        await tx.execute("UPDATE quote SET expires_at = created_at")
    expired = await salon.ask("POST", "/v1/bulk-sms", {"quote_id": quote["id"]}, Idempotency_Key="k")
    assert (expired.status_code, expired.json()["code"]) == (409, "quote_expired")
    assert await salon.count("bulk") == 0


async def test_a_customer_with_more_tags_and_fields_than_a_request_may_bring_can_be_changed(salon: Any) -> None:
    for file in range(2):
        names = [f"f{file}_{i}" for i in range(90)]
        await salon.load(f"Ana,0412000001,{','.join('x' * 90)}\n", f"first name,mobile,{','.join(names)}")
    [ana] = (await salon.ask("GET", "/v1/customers")).json()["items"]
    for file in range(2):
        await salon.load(f"Ana,0412000001,{';'.join(f'tag {file} {n}' for n in range(26))}\n", "first name,mobile,tags")
    changed = await salon.ask("PATCH", f"/v1/customers/{ana['id']}", {"last_name": "Smith"})
    assert (changed.status_code, changed.json()["last_name"]) == (200, "Smith")
    assert (len(changed.json()["own_fields"]), len(changed.json()["tags"])) == (180, 52)


async def test_changes_of_one_template_at_once_are_versions_in_turn(salon: Any) -> None:
    made = (await salon.ask("POST", "/v1/templates", {"name": "n", "text": "0"})).json()

    async def change(text: str) -> Any:
        return await salon.ask("PUT", f"/v1/templates/{made['id']}", {"name": "n", "text": text})

    answers = await asyncio.gather(*(change(str(i)) for i in range(1, 7)))
    assert sorted(answer.json()["version"] for answer in answers) == [2, 3, 4, 5, 6, 7]


async def test_a_closed_business_sends_nothing(salon: Any) -> None:
    await salon.load("Bob,Jones,0412000009,yes\n")
    quote = await salon.quote("Hi")
    closed = TenantChanged(
        tenant_id=str(salon.tenant_id), version=9, name="S", country="AU", sender="SALON", closed=True
    )
    await salon.hear(handlers.on_tenant_changed, closed)
    message = {"to": "0412000009", "text": "Hi"}
    for path, body in (("quotes", QUOTE), ("bulk-sms", {"quote_id": quote["id"]}), ("messages", message)):
        answer = await salon.ask("POST", f"/v1/{path}", body, Idempotency_Key=path)
        assert (answer.status_code, answer.json()["code"]) == (409, "tenant_closed")
    assert await salon.count("bulk") == 0


@pytest.mark.parametrize("path", ["/v1/quotes", "/v1/bulk-sms", "/v1/messages"])
async def test_staff_may_not_send(salon: Any, path: str) -> None:
    answer = await salon.ask("POST", path, {}, by="staff", Idempotency_Key="k")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_tenant_that_is_not_heard_of_yet_is_asked_to_try_again(salon: Any) -> None:
    answer = await salon.ask("POST", "/v1/customers", ANA, by="stranger")
    assert (answer.status_code, answer.json()["code"]) == (503, "tenant_not_heard_of")
    assert answer.headers["Retry-After"]


async def test_every_table_of_tenants_is_protected(salon: Any) -> None:
    async with salon.db.worker() as tx:
        assert await unprotected_tables(tx) == {}


async def test_the_rate_that_began_last_is_kept_also_where_it_was_set_earlier(salon: Any) -> None:
    nil = str(NIL_TENANT)
    told = [(2, 3, 1_000), (3, 2, 900), (2, 3, 1_000), (1, 9, 0)]  # version, credits, when it began
    rates = [
        RatesChanged(tenant_id=nil, country="AU", version=version, credits_per_part=credits, valid_from_unix_ms=at)
        for version, credits, at in told
    ]
    await salon.hear(handlers.on_rates_changed, rates[1])
    await salon.hear(handlers.on_rates_changed, *rates)
    await salon.load("Bob,Jones,0412 000 001,yes\n")
    assert (await salon.quote("Hi"))["credits"] == 3


async def test_only_the_highest_version_of_what_others_own_is_kept(salon: Any) -> None:
    tenant_id, nil = str(salon.tenant_id), str(NIL_TENANT)

    def tenant(version: int, country: str) -> TenantChanged:
        return TenantChanged(tenant_id=tenant_id, version=version, name="S", country=country, sender="SALON")

    await salon.hear(handlers.on_tenant_changed, tenant(3, "GB"), tenant(2, "AU"))
    rates = [RatesChanged(tenant_id=nil, country="GB", version=v, credits_per_part=v) for v in (5, 4)]
    await salon.hear(handlers.on_rates_changed, *rates)
    routes = [RouteChanged(tenant_id=nil, route="all", version=v, reference_bits=8, open=v == 3) for v in (3, 2)]
    await salon.hear(handlers.on_route_changed, *routes)
    senders = [
        SenderChanged(tenant_id=nil, sender="OWN", version=v, owner_tenant_id=tenant_id, active=v == 2) for v in (2, 1)
    ]
    await salon.hear(handlers.on_sender_changed, *senders)
    await salon.load("Bob,Jones,07400 900123,yes\n")
    quote = await salon.quote("Hi", sender="OWN")
    assert (quote["credits"], quote["sender"], quote["by_country"]) == (5, "OWN", {"GB": 1})


async def test_a_send_is_priced_for_the_route_that_its_sender_has(salon: Any) -> None:
    nil, mine = str(NIL_TENANT), str(salon.tenant_id)
    wide = RouteChanged(tenant_id=nil, route="own", version=1, reference_bits=16, open=True, senders=["OWN"])
    await salon.hear(handlers.on_route_changed, wide)
    own = SenderChanged(tenant_id=nil, sender="OWN", version=1, owner_tenant_id=mine, active=True)
    await salon.hear(handlers.on_sender_changed, own)
    await salon.load("Bob,Jones,0412 000 001,yes\n")
    text = "x" * 306  # two parts of 153, or three of 152
    senders = ({}, {"sender": "OWN"})
    assert [(await salon.quote(text, **by, **{"class": "factual"}))["parts"] for by in senders] == [2, 3]
