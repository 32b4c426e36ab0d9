"""Large top-ups: one operator asks, another one decides, and it is granted once."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from muster.kit.testing import facts

World = Any


def asked(world: World, credits: int | None = None, **changes: Any) -> dict[str, Any]:
    body = {
        "tenant_id": str(world.tenant),
        "credits": credits or world.limit + 1,
        "reason": "year",
        "reference": "INV 1",
    }
    return body | changes


async def waiting(world: World, key: str = "k") -> str:
    answer = await world.ask("op", "POST", "/top-ups", asked(world), key=key)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def decide(world: World, who: str, top_up: str, act: str = "confirmation", **more: Any) -> Any:
    body = {"tenant_id": str(world.tenant)} | more
    return await world.ask(who, "POST", f"/top-ups/{top_up}/{act}", body)


async def acts(world: World) -> list[tuple[str, str]]:
    async with world.db.worker() as tx:
        return [(fact.message.act, fact.message.user_id) for fact in await facts(tx, "ActRecorded")]


async def test_up_to_the_limit_one_operator_is_enough(world: World) -> None:
    answer = await world.ask("op", "POST", "/top-ups", asked(world, world.limit))

    assert (answer.status_code, answer.json()["available"]) == (201, world.limit)


async def test_above_the_limit_nothing_is_granted_before_a_second_operator_confirms(world: World) -> None:
    answer = await world.ask("op", "POST", "/top-ups", asked(world), key="k")

    assert answer.status_code == 202
    assert answer.json() | {"state": "awaiting_confirmation", "asked_by": "op", "credits": 1_001} == answer.json()
    assert (await world.account(world.tenant)).version == 0
    confirmed = await decide(world, "op2", answer.json()["id"])
    assert (confirmed.status_code, confirmed.json()["credits"], confirmed.json()["available"]) == (201, 1_001, 1_001)
    assert await acts(world) == [("top-up.asked", "op"), ("top-up.confirmed", "op2")]
    line = (await world.ask("staff", "GET", "/statement")).json()["items"][0]
    assert (line["reason"], line["reference"]) == ("year", "INV 1")


async def test_who_asked_cannot_confirm_and_neither_can_a_tenant(world: World) -> None:
    top_up = await waiting(world)

    same = await decide(world, "op", top_up)
    tenant = await decide(world, "admin", top_up)

    assert (same.status_code, same.json()["reason"]) == (403, "same_person")
    assert tenant.status_code == 403
    assert (await world.account(world.tenant)).version == 0


async def test_the_database_itself_refuses_a_confirmation_by_who_asked(world: World) -> None:
    top_up = await waiting(world)
    by_itself = """
    UPDATE top_up_approval SET decision = 'confirmed', decided_by = actor WHERE tenant_id = $1 AND top_up_id = $2
    """

    with pytest.raises(asyncpg.CheckViolationError, match="by_a_second_person"):
        async with world.db.request(world.tenant) as tx:
            await tx.execute(by_itself, world.tenant, UUID(top_up))


async def test_two_confirmations_at_once_grant_once_and_answer_the_same(world: World) -> None:
    top_up = await waiting(world)

    answers = await world.at_once(*(decide(world, "op2", top_up) for _ in range(8)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert await world.entries(world.tenant) == [("top_up", 1_001)]
    assert await acts(world) == [("top-up.asked", "op"), ("top-up.confirmed", "op2")]
    await world.check()


async def test_a_confirmation_and_a_rejection_at_once_do_one_of_the_two(world: World) -> None:
    for n in range(5):
        top_up = await waiting(world, f"k{n}")
        before = (await world.account(world.tenant)).granted
        yes, no = await world.at_once(
            decide(world, "op2", top_up), decide(world, "op", top_up, "rejection", reason="mistake")
        )
        granted = (await world.account(world.tenant)).granted - before
        assert (yes.status_code, no.status_code, granted) in ((201, 409, 1_001), (409, 201, 0))


async def test_the_same_key_asks_once_and_is_answered_the_same_for_ever(world: World) -> None:
    first = await world.ask("op", "POST", "/top-ups", asked(world), key="k")
    await decide(world, "op2", first.json()["id"])
    async with world.db.worker() as tx:
        await tx.execute("DELETE FROM idempotency")

    again = await world.ask("op", "POST", "/top-ups", asked(world), key="k")
    other = await world.ask("op", "POST", "/top-ups", asked(world, 2_000), key="k")
    confirmed = await decide(world, "op2", first.json()["id"])

    assert (again.status_code, again.json()) == (202, first.json())
    assert other.status_code == 409
    assert confirmed.json()["available"] == 1_001
    assert await world.entries(world.tenant) == [("top_up", 1_001)]


async def test_a_rejected_top_up_says_why_and_is_never_granted(world: World) -> None:
    top_up = await waiting(world)

    rejected = await decide(world, "op2", top_up, "rejection", reason="no such invoice")
    again = await decide(world, "op2", top_up, "rejection", reason="no such invoice")
    late = await decide(world, "op2", top_up)

    assert (rejected.status_code, rejected.json()["state"]) == (201, "rejected")
    assert rejected.json()["decision_reason"] == "no such invoice"
    assert again.json() == rejected.json()
    assert (late.status_code, late.json()["code"]) == (409, "rejected")
    assert (await world.account(world.tenant)).version == 0


async def test_what_was_confirmed_cannot_be_rejected_any_more(world: World) -> None:
    top_up = await waiting(world)
    await decide(world, "op2", top_up)

    late = await decide(world, "op2", top_up, "rejection", reason="mistake")

    assert (late.status_code, late.json()["code"]) == (409, "confirmed")


async def test_one_that_nobody_confirmed_in_time_has_expired(world: World) -> None:
    top_up = await waiting(world)
    async with world.db.request(world.tenant) as tx:
        await tx.execute("UPDATE top_up_approval SET expires_at = kit_now() WHERE tenant_id = $1", world.tenant)

    late = await decide(world, "op2", top_up)

    assert (late.status_code, late.json()["code"]) == (409, "expired")
    listed = (await world.ask("op", "GET", "/top-ups")).json()["items"]
    assert [one["state"] for one in listed] == ["expired"]
    assert (await world.account(world.tenant)).version == 0


async def test_those_that_wait_are_listed_page_by_page_newest_first(world: World) -> None:
    ids = [await waiting(world, f"k{n}") for n in range(3)]
    await decide(world, "op2", ids[0])

    found, cursor = [], ""
    while cursor is not None:
        path = f"/top-ups?state=awaiting_confirmation&limit=1{cursor and f'&cursor={cursor}'}"
        page = (await world.ask("op2", "GET", path)).json()
        found += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]

    assert found == [ids[2], ids[1]]
    assert (await world.ask("op", "GET", f"/top-ups?tenant_id={world.shop}")).json()["items"] == []


async def test_a_top_up_that_is_none_or_another_tenants_is_404(world: World) -> None:
    top_up = await waiting(world)

    assert (await decide(world, "op2", str(uuid4()))).status_code == 404
    assert (await decide(world, "op2", top_up, tenant_id=str(world.shop))).status_code == 404


async def test_a_closed_account_is_granted_nothing_also_what_was_asked_for_before(world: World) -> None:
    top_up = await waiting(world)
    async with world.db.worker() as tx:
        await tx.execute("UPDATE account SET closed = true WHERE tenant_id = $1", world.tenant)

    refused = [
        await decide(world, "op2", top_up),
        await world.ask("op", "POST", "/top-ups", asked(world, 5)),
        await world.ask("op", "POST", "/top-ups", asked(world)),
        await world.ask("admin", "PATCH", "/settings", {"daily_cap": 5}),
    ]

    assert [(one.status_code, one.json()["code"]) for one in refused] == [(409, "account_closed")] * 4
    assert (await world.account(world.tenant)).version == 0
