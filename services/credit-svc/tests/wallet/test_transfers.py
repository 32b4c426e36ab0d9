"""Transfers between a reseller and its sub-accounts: both sides at once, or nothing."""

import random
from typing import Any
from uuid import UUID, uuid4

from muster.credit.domain.account import Tenant
from muster.kit.testing import facts

World = Any


async def move(world: World, who: str, source: UUID, target: UUID, credits: Any, key: str | None = None) -> Any:
    body = {"from_tenant_id": str(source), "to_tenant_id": str(target), "credits": credits, "reason": "month"}
    return await world.ask(who, "POST", "/transfers", body, key=key or str(uuid4()))


async def test_a_reseller_moves_credits_to_its_sub_account_and_back(world: World) -> None:
    await world.top_up(world.tenant, 100)

    there = await move(world, "admin", world.tenant, world.shop, 60)
    back = await move(world, "admin", world.shop, world.tenant, 10)

    assert (there.status_code, there.json()["available"], back.json()["available"]) == (201, 40, 50)
    assert await world.entries(world.tenant) == [("top_up", 100), ("transfer_out", 60), ("transfer_in", 10)]
    assert await world.entries(world.shop) == [("transfer_in", 60), ("transfer_out", 10)]
    for who in ("admin", "shop"):
        line = (await world.ask(who, "GET", "/statement")).json()["items"][0]
        assert (line["reason"], line["reference"]) == ("month", back.json()["id"])
    await world.check()


async def test_both_sides_and_the_act_are_said_in_one_transaction(world: World) -> None:
    await world.top_up(world.tenant, 100)
    await move(world, "admin", world.tenant, world.shop, 60)

    async with world.db.worker() as tx:
        said = [(f.tenant_id, f.message.credits, f.message.available) for f in (await facts(tx, "CreditsToppedUp"))[1:]]
        acts = [(f.tenant_id, f.message.act) for f in await facts(tx, "ActRecorded")]
    assert said == [(world.tenant, -60, 40), (world.shop, 60, 60)]
    assert acts[-1] == (world.tenant, "transfer.made")


async def test_a_sub_account_gives_back_and_does_not_take(world: World) -> None:
    await world.top_up(world.tenant, 100)
    await move(world, "op", world.tenant, world.shop, 60)

    back = await move(world, "shop", world.shop, world.tenant, 20)
    taken = await move(world, "shop", world.tenant, world.shop, 1)

    assert (back.status_code, back.json()["available"]) == (201, 40), "its own side's, not its reseller's"
    assert (taken.status_code, taken.json()["reason"]) == (403, "not_yours")


async def test_the_same_key_moves_once_and_another_order_under_it_is_refused(world: World) -> None:
    await world.top_up(world.tenant, 100)

    answers = await world.at_once(*(move(world, "admin", world.tenant, world.shop, 60, "k") for _ in range(6)))
    other = await move(world, "admin", world.tenant, world.shop, 61, "k")
    turned = await move(world, "admin", world.shop, world.tenant, 60, "k")

    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert (other.status_code, turned.status_code) == (409, 409)
    assert await world.entries(world.shop) == [("transfer_in", 60)]


async def test_what_cannot_be_moved_is_refused_with_a_reason_and_nothing_changes(world: World) -> None:
    await world.top_up(world.tenant, 100)
    cousin = uuid4()
    await world.know(Tenant(cousin, 1, parent_id=world.tenant))
    await world.know(Tenant(closed := uuid4(), 1, closed=True, parent_id=world.tenant))
    wrong = [
        ("admin", world.tenant, world.tenant, 1, 422, "itself"),
        ("admin", world.tenant, world.stranger, 1, 404, "not_found"),
        ("admin", world.tenant, uuid4(), 1, 404, "not_found"),
        ("stranger", world.tenant, world.shop, 1, 404, "not_found"),
        ("shop", world.shop, cousin, 1, 404, "not_found"),
        ("op", world.tenant, world.stranger, 1, 404, "not_found"),
        ("staff", world.tenant, world.shop, 1, 403, "forbidden"),
        ("admin", world.tenant, closed, 1, 409, "account_closed"),
        ("admin", closed, world.tenant, 1, 409, "account_closed"),
        ("admin", world.tenant, world.shop, 101, 422, "short"),
        ("admin", world.shop, world.tenant, 1, 422, "short"),
    ]
    for who, source, target, credits, status, code in wrong:
        refused = await move(world, who, source, target, credits)
        assert (refused.status_code, refused.json()["code"]) == (status, code), (who, status, code)
        assert status != 404 or refused.json()["field"] == "to_tenant_id"
    assert await world.entries(world.tenant) == [("top_up", 100)]
    async with world.db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM account WHERE version > 0") == 1
        assert await tx.fetchval("SELECT count(*) FROM account") == 5


async def test_an_account_that_owes_gives_nothing_and_is_paid_first(world: World) -> None:
    first = await world.top_up(world.tenant, 100)
    await move(world, "admin", world.tenant, world.shop, 60)
    body = {"tenant_id": str(world.tenant), "reason": "card refused"}
    await world.ask("op", "POST", f"/top-ups/{first}/reversal", body)
    account = await world.account(world.tenant)
    assert (account.granted, account.owed, account.available) == (-60, 60, 0), "what was passed on is owed"

    refused = await move(world, "admin", world.tenant, world.shop, 1)
    await move(world, "admin", world.shop, world.tenant, 60)

    assert (refused.status_code, refused.json()["code"]) == (409, "owed")
    account = await world.account(world.tenant)
    assert (account.granted, account.owed, account.available) == (0, 0, 0)
    await world.check()


async def test_a_storm_of_transfers_both_ways_with_sends_between_loses_and_makes_nothing(world: World) -> None:
    shops = [world.shop, uuid4(), uuid4()]
    await world.know(*(Tenant(shop, 1, parent_id=world.tenant) for shop in shops[1:]))
    for account in (world.tenant, *shops):
        await world.top_up(account, 500)
    seeded = random.Random(4)
    orders = []
    for n in range(60):
        pair = [world.tenant, seeded.choice(shops)]
        seeded.shuffle(pair)
        orders.append(move(world, "op", *pair, seeded.randint(1, 200), f"k{n % 40}"))

    sends = [world.reserve(seeded.choice([world.tenant, *shops]), 20) for _ in range(10)]
    answers = await world.at_once(*orders, *sends)

    statuses = {answer.status_code for answer in answers[:60]}
    assert statuses <= {201, 409, 422}, "none fails for a lock"
    accounts = [await world.account(one) for one in (world.tenant, *shops)]
    assert sum(one.available + one.reserved for one in accounts) == 2_000
    assert all(one.available >= 0 for one in accounts)
    await world.check()


async def test_a_side_of_a_transfer_that_is_missing_breaks_the_first_law(world: World) -> None:
    await world.top_up(world.tenant, 100)
    await move(world, "admin", world.tenant, world.shop, 60)
    path = "/v1/ops/credit/laws"
    headers = {"Authorization": "Bearer op"}
    fine = (await world.http.get(path, headers=headers)).json()["laws"][0]
    async with world.db.worker() as tx:
        await tx.execute(
            "INSERT INTO transfer VALUES ($1, $2, $1, $3, 5, 'x', 'x', 0, 0)", world.tenant, uuid4(), world.shop
        )

    broken = (await world.http.get(path, headers=headers)).json()["laws"][0]

    assert (fine["law"], fine["checked"], fine["violation_count"]) == ("granted", 7, 0)
    assert (broken["checked"], [one["detail"] for one in broken["violations"]]) == (
        8,
        ["transferred 5, gone 0, come 0"],
    )
