"""The payment provider's calls: each payment once, whatever is repeated, altered, late, or told of somebody else."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from muster.kit import clock
from muster.kit.testing import facts

World = Any


def succeeded(world: World, payment: str = "pay_1", amount: int = 1_000, **data: Any) -> dict[str, Any]:
    told = {"tenant_id": str(world.tenant), "payment_id": payment, "amount": amount, "currency": "EUR", **data}
    return {"type": "payment.succeeded", "timestamp": clock.now().isoformat(), "data": told}


def went_back(
    world: World, amount: int, return_id: str = "re_1", kind: str = "refunded", **data: Any
) -> dict[str, Any]:
    ids = {"tenant_id": str(world.tenant), "payment_id": "pay_1", "return_id": return_id}
    told = {**ids, "amount": amount, "currency": "EUR", **data}
    return {"type": f"payment.{kind}", "timestamp": clock.now().isoformat(), "data": told}


async def test_a_payment_is_granted_by_its_price_and_shown_in_the_statement(world: World) -> None:
    await world.price(10, 3)

    answer = await world.told(succeeded(world, amount=1_005))

    assert (answer.status_code, answer.json()) == (200, {"outcome": "granted", "credits": 301})
    line = (await world.ask("staff", "GET", "/statement")).json()["items"][0]
    assert (line["kind"], line["credits"], line["reason"], line["reference"]) == ("top_up", 301, "payment", "pay_1")
    await world.check()


async def test_a_payment_is_granted_once_whatever_the_ids_of_the_calls_are(world: World) -> None:
    await world.price()
    body = succeeded(world)

    now = clock.unix_ms() // 1000
    answers = [await world.told(body, id=name, at=now + at) for name, at in (("msg_1", 0), ("msg_1", 1), ("msg_2", 0))]

    assert [answer.json() for answer in answers] == [{"outcome": "granted", "credits": 100}] * 3
    assert (await world.account(world.tenant)).granted == 100
    async with world.db.worker() as tx:
        assert len(await facts(tx, "CreditsToppedUp")) == 1


async def test_a_call_that_was_taken_is_refused_when_it_comes_again_as_it_was(world: World) -> None:
    await world.price()
    body, at = succeeded(world), clock.unix_ms() // 1000

    answers = await world.at_once(*(world.told(body, id="msg_1", at=at) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"call_replayed"}
    assert await world.entries(world.tenant) == [("top_up", 100)]


async def test_a_call_that_was_refused_may_come_again_as_it_was(world: World) -> None:
    body, at = succeeded(world), clock.unix_ms() // 1000
    refused = await world.told(body, id="msg_1", at=at)
    await world.price()

    answer = await world.told(body | {"timestamp": clock.now().isoformat()}, id="msg_1", at=at)

    assert (refused.status_code, answer.status_code) == (422, 200)


async def test_calls_are_forgotten_when_their_time_refuses_them_anyway(world: World) -> None:
    await world.price()
    await world.told(succeeded(world), id="msg_1")
    async with world.db.worker() as tx:
        await tx.execute("UPDATE payment_call SET heard_at = heard_at - interval '601 s'")

    await world.told(succeeded(world), id="msg_2")

    async with world.db.worker() as tx:
        assert [row["call_id"] for row in await tx.fetch("SELECT call_id FROM payment_call")] == ["msg_2"]


async def test_the_same_payment_told_ten_times_at_once_is_granted_once(world: World) -> None:
    await world.price()
    body = succeeded(world)

    answers = await world.at_once(*(world.told(body) for _ in range(10)))

    assert [answer.status_code for answer in answers] == [200] * 10
    assert await world.entries(world.tenant) == [("top_up", 100)]
    await world.check()


async def test_many_payments_at_once_are_each_granted(world: World) -> None:
    await world.price()

    await world.at_once(*(world.told(succeeded(world, f"pay_{n % 6}")) for n in range(24)))

    assert (await world.account(world.tenant)).granted == 600
    await world.check()


@pytest.mark.parametrize("secret", ["old_secret", "new_secret"])
async def test_both_secrets_hold_while_one_replaces_the_other(world: World, secret: str) -> None:
    await world.price()

    assert (await world.told(succeeded(world), secret=getattr(world, secret))).status_code == 200


FORGED = [
    ({"secret": "whsec_" + "Zm9yZ2VkLWZvcmdlZC1mb3JnZWQtZm9yZ2VkLWZvcmc="}, "signature"),
    ({"at": 1_700_000_000}, "time"),
    ({"at": 9_999_999_999}, "time"),
    ({"signature": ""}, "headers"),
    ({"id": ""}, "headers"),
    ({"at": ""}, "headers"),
    ({"signature": "v1,AAAA"}, "signature"),
    ({"sent": b"{}"}, "signature"),
]


async def test_a_forged_old_future_or_unsigned_call_is_401_and_changes_nothing(world: World) -> None:
    await world.price()

    for signed, reason in FORGED:
        refused = await world.told(succeeded(world), **signed)
        assert (refused.status_code, refused.json()["reason"]) == (401, reason), signed
        assert "webhook-" in refused.json()["detail"], "it says which header does not hold"
        assert refused.headers["content-type"] == "application/problem+json"
    assert (await world.account(world.tenant)).version == 0


async def test_a_body_over_the_limit_is_413_before_it_is_read(world: World) -> None:
    refused = await world.told(b"x" * 70_000)

    assert (refused.status_code, refused.json()["limit_bytes"]) == (413, 65_536)


WRONG = [
    *(({"amount": wrong}, "data.amount") for wrong in (0, -1, 12.5, 12.0, "12.50", "€12", 2**53, True, None)),
    ({"amount": 9}, "data.amount"),  # less than a credit
    ({"amount": 2**53 - 1}, "data.amount"),  # more than an account can hold
    *(({"currency": wrong}, "data.currency") for wrong in ("USD", "eur", "EURO", "€", 978)),
    *(({"payment_id": wrong}, "data.payment_id") for wrong in ("", "a b", "x" * 256, 7)),
    ({"tenant_id": "nobody"}, "data.tenant_id"),
]


async def test_a_payment_that_cannot_be_names_its_field_and_changes_nothing(world: World) -> None:
    await world.price()

    for change, field in WRONG:
        body = succeeded(world)
        refused = await world.told(body | {"data": {**body["data"], **change}})
        assert refused.status_code == 422, (change, refused.text)
        assert [error["field"] for error in refused.json()["errors"]] == [field], change
    assert (await world.account(world.tenant)).version == 0


async def test_a_signed_body_that_is_no_call_is_422(world: World) -> None:
    for body in (b"", b"{", b"[]", b'{"type": 1}', b"\xff", b"[" * 60_000, b"1" * 5_000):
        assert (await world.told(body)).status_code == 422, body[:10]


async def test_a_payment_of_the_future_is_refused(world: World) -> None:
    await world.price()
    late = (clock.now() + timedelta(minutes=6)).isoformat()

    refused = await world.told(succeeded(world) | {"timestamp": late})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "timestamp")


async def test_a_payment_told_of_two_businesses_or_with_two_amounts_is_refused_the_second_time(world: World) -> None:
    await world.price()
    await world.told(succeeded(world))

    for change in (
        {"tenant_id": str(world.stranger)},
        {"amount": 999},
        {"amount": 1_001, "tenant_id": str(world.shop)},
    ):
        body = succeeded(world)
        refused = await world.told(body | {"data": {**body["data"], **change}})
        assert (refused.status_code, refused.json()["code"]) == (409, "payment_differs")
    assert (await world.account(world.tenant)).granted == 100
    assert (await world.account(world.stranger)).version == 0


async def test_a_payment_for_nobody_or_for_a_closed_account_is_refused(world: World) -> None:
    await world.price()
    async with world.db.worker() as tx:
        await tx.execute("UPDATE account SET closed = true WHERE tenant_id = $1", world.shop)

    nobody = await world.told(succeeded(world, tenant_id=str(uuid4())))
    closed = await world.told(succeeded(world, "pay_2", tenant_id=str(world.shop)))

    assert nobody.status_code == 404
    assert (closed.status_code, closed.json()["code"]) == (409, "account_closed")
    assert (await world.account(world.shop)).version == 0


async def test_calls_about_other_things_are_taken_and_ignored(world: World) -> None:
    body = {"type": "customer.created", "timestamp": clock.now().isoformat(), "data": {}}

    assert (await world.told(body)).json() == {"outcome": "ignored", "credits": 0}


async def test_a_payment_is_worth_what_it_was_when_it_was_made(world: World) -> None:
    await world.price(10, 1)
    paid = succeeded(world)
    await world.price(10, 5)

    assert (await world.told(paid)).json()["credits"] == 100
    assert (await world.told(succeeded(world, "pay_2"))).json()["credits"] == 500


async def test_a_price_of_the_past_is_refused_and_one_to_come_waits(world: World) -> None:
    await world.price()
    row = {"currency": "EUR", "minor_units": 1, "credits": 9}
    past = await world.ask("op", "POST", "/prices", {**row, "valid_from": "2026-01-01T00:00:00Z"})
    soon = await world.ask("op", "POST", "/prices", {**row, "valid_from": "2999-01-01T00:00:00Z"})
    again = await world.ask("op", "POST", "/prices", {**row, "valid_from": "2999-01-01T00:00:00Z"})
    other = await world.ask("op", "POST", "/prices", {**row, "credits": 8, "valid_from": "2999-01-01T00:00:00Z"})

    assert (past.status_code, past.json()["errors"][0]["field"]) == (422, "valid_from")
    assert (soon.status_code, again.status_code, again.json()) == (201, 201, soon.json())
    assert (other.status_code, other.json()["code"]) == (409, "price_exists")
    assert (await world.told(succeeded(world))).json()["credits"] == 100
    assert [one["credits"] for one in (await world.ask("staff", "GET", "/prices")).json()["items"]] == [1, 9]


async def test_a_refund_takes_what_is_available_and_the_rest_is_owed_and_paid_first(world: World) -> None:
    await world.price()
    await world.told(succeeded(world))
    bulk = await world.reserve(world.tenant, 70)
    await world.settle(world.tenant, bulk, used=70, released=0)

    answer = await world.told(went_back(world, 1_000))

    assert answer.json() == {"outcome": "taken_back", "credits": 100}
    account = await world.account(world.tenant)
    assert (account.granted, account.owed, account.available, account.consumed) == (0, 70, 0, 70)
    await world.told(succeeded(world, "pay_2"))
    account = await world.account(world.tenant)
    assert (account.owed, account.available) == (0, 30)
    await world.check()


async def test_a_debt_blocks_sends_until_it_is_paid(world: World) -> None:
    await world.price()
    await world.told(succeeded(world))
    await world.settle(world.tenant, await world.reserve(world.tenant, 100), used=100, released=0)
    await world.told(went_back(world, 1_000, kind="disputed"))

    bulk = await world.reserve(world.tenant, 1)

    async with world.db.worker() as tx:
        refused = [fact.message for fact in await facts(tx, "CreditsRefused") if fact.correlation == str(bulk)]
    assert [(one.reason, one.shortfall) for one in refused] == [("owed", 101)]


async def test_parts_that_go_back_take_together_what_the_whole_takes(world: World) -> None:
    await world.price(30, 1)  # 33 credits for 1000
    await world.told(succeeded(world))

    taken = [
        (await world.told(went_back(world, amount, f"re_{n}"))).json()["credits"]
        for n, amount in enumerate((1, 499, 250, 250))
    ]

    assert (taken, sum(taken)) == ([0, 16, 8, 9], 33)
    assert (await world.account(world.tenant)).granted == 0
    assert (await world.told(went_back(world, 1, "re_9"))).json()["errors"][0]["code"] == "beyond_payment"
    await world.check()


async def test_a_return_is_taken_once_and_one_that_differs_is_refused(world: World) -> None:
    await world.price()
    await world.told(succeeded(world))

    same = await world.at_once(*(world.told(went_back(world, 500)) for _ in range(5)))
    other = await world.told(went_back(world, 400))
    currency = await world.told(went_back(world, 100, "re_2", currency="USD"))
    of_nobody = await world.told(went_back(world, 100, "re_3", payment_id="pay_9"))
    of_another = await world.told(went_back(world, 100, "re_4", tenant_id=str(world.stranger)))

    assert [answer.json()["credits"] for answer in same] == [50] * 5
    assert (other.status_code, other.json()["code"]) == (409, "return_differs")
    assert currency.json()["errors"][0]["field"] == "data.currency"
    assert (of_nobody.status_code, of_another.status_code) == (404, 404)
    assert await world.entries(world.tenant) == [("top_up", 100), ("reversal", 50)]


async def test_what_the_operator_took_back_a_refund_does_not_take_again(world: World) -> None:
    await world.price()
    await world.told(succeeded(world))
    await world.told(went_back(world, 300))
    async with world.db.request(world.tenant) as tx:
        top_up = await tx.fetchval("SELECT top_up_id FROM top_up WHERE tenant_id = $1", world.tenant)
    body = {"tenant_id": str(world.tenant), "reason": "mistake"}

    reversed_ = await world.ask("op", "POST", f"/top-ups/{top_up}/reversal", body)
    late = await world.told(went_back(world, 700, "re_2"))

    assert (reversed_.status_code, reversed_.json()["available"]) == (201, 0)
    assert late.json() == {"outcome": "taken_back", "credits": 0}
    assert await world.entries(world.tenant) == [("top_up", 100), ("reversal", 30), ("reversal", 70)]
    await world.check()
