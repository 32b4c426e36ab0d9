"""Credits that run low: told once for each fall, whoever and whatever made them fall."""

import asyncio
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from muster.credit.domain.account import Account, Entry, Kind
from muster.credit.domain.watch import Watch, crossings
from muster.kit.testing import facts

World = Any
ID = UUID(int=1)


def story(*available: int) -> list[Entry]:
    return [Entry(Kind.VOID, 1, Account(ID, available=left, version=n)) for n, left in enumerate(available, 1)]


def test_each_fall_below_is_told_once_and_again_after_a_rise() -> None:
    found = crossings({ID: Watch(ID, alert_below=50)}, story(60, 49, 30, 50, 49, 10, 80, 50))

    assert [(low.account_version, low.available) for low in found.lows] == [(2, 49), (5, 49)]
    assert found.watches[ID] == Watch(ID, alert_below=50), "armed again"


def test_a_threshold_that_was_crossed_stays_crossed_until_it_is_reached() -> None:
    crossed = Watch(ID, alert_below=50, alert_armed=False)

    assert crossings({ID: crossed}, story(40, 49)).lows == []
    assert crossings({ID: crossed}, story(40, 50, 49)).lows[0].account_version == 3


def test_the_alert_and_the_automatic_top_up_have_thresholds_of_their_own() -> None:
    both = Watch(ID, alert_below=50, top_up_below=20, amount=500, currency="EUR", monthly_max=900)

    found = crossings({ID: both}, story(45, 15, 10))

    assert [low.account_version for low in found.lows] == [1]
    assert [(one.account_version, one.amount, one.currency) for one in found.wanted] == [(2, 500, "EUR")]
    assert crossings({}, story(1)).lows == []


@given(st.lists(st.integers(0, 10), max_size=30), st.integers(1, 10), st.integers(1, 29))
def test_however_the_entries_are_cut_into_batches_the_same_falls_are_told(
    levels: list[int], below: int, cut: int
) -> None:
    watch, entries = Watch(ID, alert_below=below), story(*levels)

    first = crossings({ID: watch}, entries[:cut])
    second = crossings({ID: first.watches.get(ID, watch)}, entries[cut:])

    falls = [n for n, (was, now) in enumerate(zip([99, *levels], levels, strict=False), 1) if now < below <= was]
    assert [low.account_version for low in first.lows + second.lows] == falls


async def lows(world: World) -> list[tuple[int, int]]:
    async with world.db.worker() as tx:
        return [(fact.message.threshold, fact.message.available) for fact in await facts(tx, "CreditsLow")]


async def test_a_send_that_takes_credits_below_the_threshold_is_told_once(world: World) -> None:
    await world.top_up(world.tenant, 100)
    await world.ask("admin", "PATCH", "/settings", {"alert_below": 50})

    first = await world.reserve(world.tenant, 60)
    await world.reserve(world.tenant, 10)
    await world.settle(world.tenant, first, used=30, released=30)
    await world.reserve(world.tenant, 20)

    assert await lows(world) == [(50, 40), (50, 40)]


async def test_many_sends_at_once_tell_of_one_fall_once(world: World) -> None:
    await world.top_up(world.tenant, 100)
    await world.ask("admin", "PATCH", "/settings", {"alert_below": 80})

    await asyncio.gather(*(world.reserve(world.tenant, 7) for _ in range(12)))

    assert await lows(world) == [(80, 79)]
    await world.check()


async def test_a_transfer_and_a_reversal_make_it_fall_too(world: World) -> None:
    grant = await world.top_up(world.tenant, 100)
    await world.ask("admin", "PATCH", "/settings", {"alert_below": 50})
    ids = {"from_tenant_id": str(world.tenant), "to_tenant_id": str(world.shop)}

    await world.ask("admin", "POST", "/transfers", {**ids, "credits": 60, "reason": "x"}, key="k")
    await world.top_up(world.tenant, 10)
    body = {"tenant_id": str(world.tenant), "reason": "card refused"}
    await world.ask("op", "POST", f"/top-ups/{grant}/reversal", body)

    assert await lows(world) == [(50, 40), (50, 0)]


async def test_a_threshold_that_is_set_above_what_is_there_waits_for_the_next_fall(world: World) -> None:
    await world.top_up(world.tenant, 10)
    await world.ask("admin", "PATCH", "/settings", {"alert_below": 50})
    await world.reserve(world.tenant, 1)
    assert await lows(world) == []

    await world.top_up(world.tenant, 100)
    await world.ask("admin", "PATCH", "/settings", {"monthly_cap": 500})
    await world.reserve(world.tenant, 60)

    assert await lows(world) == [(50, 49)]
