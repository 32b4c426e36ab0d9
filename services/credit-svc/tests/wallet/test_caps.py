"""Caps of a day and of a month by the tenant's own clock: what counts, what is refused, what comes back."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.credit.domain.account import Account, Tenant
from muster.credit.domain.caps import Caps
from muster.credit.domain.reservations import Partial, Refusal, Request, Totals, reserve, settle
from muster.kit.testing import facts

World = Any
DAY = date(2026, 11, 30)
ID = UUID(int=1)


def account(available: int = 100, **caps: Any) -> Account:
    return Account(ID, granted=available, available=available, caps=Caps(today=DAY, **caps))


@pytest.mark.parametrize(
    ("caps", "asked", "reason", "shortfall"),
    [
        ({"daily": 30}, 31, Refusal.CAPPED, 1),
        ({"monthly": 30}, 50, Refusal.CAPPED, 20),
        ({"daily": 50, "monthly": 40}, 45, Refusal.CAPPED, 5),
        ({"daily": 30, "used_daily": 30}, 1, Refusal.CAPPED, 1),
        ({"daily": 30, "used_daily": 35}, 1, Refusal.CAPPED, 1),
        ({"daily": 100}, 101, Refusal.SHORT, 1),
        ({"daily": 120}, 130, Refusal.SHORT, 30),
    ],
)
def test_a_reservation_above_a_cap_is_refused_with_what_is_missing(
    caps: dict[str, int], asked: int, reason: Refusal, shortfall: int
) -> None:
    step = reserve(account(**caps), None, Request(ID, ID, asked))

    assert (step.reservation.reason, step.reservation.shortfall, step.entries) == (reason, shortfall, ())


def test_first_n_is_cut_at_the_cap() -> None:
    step = reserve(account(daily=30), None, Request(ID, ID, 50, partial=Partial.FIRST_N))

    assert (step.reservation.reserved, step.account.caps.used_daily, step.account.caps.used_monthly) == (30, 30, 30)


@pytest.mark.parametrize(
    ("settled_on", "daily", "monthly"),
    [(DAY, 25, 25), (DAY + timedelta(days=1), 0, 0), (DAY - timedelta(days=1), 25, 25)],
)
def test_what_comes_back_counts_no_more_in_its_own_day_and_month(settled_on: date, daily: int, monthly: int) -> None:
    reserved = reserve(account(), None, Request(ID, ID, 40))
    later = Account(ID, 100, 0, 60, 40, 0, 1, caps=reserved.account.caps.at(settled_on))

    step = settle(later, reserved.reservation, Totals(ID, ID, 1, used=30, released=10, refunded=5, closed=True))

    assert (step.account.caps.used_daily, step.account.caps.used_monthly) == (daily, monthly)


def test_a_day_of_the_same_month_ends_the_day_and_not_the_month() -> None:
    caps = Caps(today=date(2026, 11, 29)).reserved(40)

    assert (caps.at(DAY).used_daily, caps.at(DAY).used_monthly) == (0, 40)
    assert caps.at(DAY).came_back(10, date(2026, 11, 29)).used_monthly == 30


@given(st.lists(st.tuples(st.sampled_from(["reserve", "back", "day"]), st.integers(1, 50)), max_size=30))
def test_what_counts_is_never_negative_and_never_more_than_was_reserved(story: list[tuple[str, int]]) -> None:
    caps, reserved = Caps(daily=100, today=DAY), 0
    for what, much in story:
        if what == "reserve":
            caps, reserved = caps.reserved(much), reserved + much
        elif what == "back":
            caps = caps.came_back(much, caps.today)
        else:
            caps = caps.at(caps.today + timedelta(days=much))
        assert 0 <= caps.used_daily <= reserved
        assert 0 <= caps.used_monthly <= reserved


async def test_a_tenant_caps_itself_and_sees_what_counts(world: World) -> None:
    await world.top_up(world.tenant, 100)
    await world.reserve(world.tenant, 30)

    changed = await world.ask("admin", "PATCH", "/settings", {"daily_cap": 40, "monthly_cap": 50})
    over = await world.reserve(world.tenant, 11)
    within = await world.reserve(world.tenant, 10)

    assert changed.status_code == 200
    assert (
        changed.json() | {"daily_cap": 40, "used_today": 30, "monthly_cap": 50, "used_this_month": 30} == changed.json()
    )
    async with world.db.worker() as tx:
        said = {f.correlation: f.message for f in await facts(tx, "CreditsRefused", "CreditsReserved")}
    assert (said[str(over)].reason, said[str(over)].shortfall) == ("capped", 1)
    assert said[str(within)].credits == 10
    await world.settle(world.tenant, within, used=4, released=6)
    settings = (await world.ask("staff", "GET", "/settings")).json()
    assert (settings["used_today"], settings["used_this_month"]) == (34, 34)


async def test_a_cap_below_what_is_used_is_refused_and_nothing_changes(world: World) -> None:
    await world.top_up(world.tenant, 100)
    await world.reserve(world.tenant, 30)
    for field in ("daily_cap", "monthly_cap"):
        refused = await world.ask("admin", "PATCH", "/settings", {field: 29, "alert_below": 5})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
        assert (refused.json()["errors"][0]["code"], refused.json()["used"]) == ("below_used", 30)
    settings = (await world.ask("staff", "GET", "/settings")).json()
    assert (settings["daily_cap"], settings["monthly_cap"], settings["alert_below"]) == (None, None, None)


async def test_only_an_admin_caps_and_null_ends_a_cap(world: World) -> None:
    assert (await world.ask("staff", "PATCH", "/settings", {"daily_cap": 9})).status_code == 403
    await world.ask("admin", "PATCH", "/settings", {"daily_cap": 9, "monthly_cap": 90})
    ended = await world.ask("admin", "PATCH", "/settings", {"daily_cap": None})
    assert (ended.json()["daily_cap"], ended.json()["monthly_cap"]) == (None, 90)


async def test_the_day_is_the_tenants_own(world: World) -> None:
    now = datetime.now(UTC)
    zones = {"Pacific/Kiritimati": 14, "Etc/GMT+12": -12}
    days = set()
    for zone, hours in zones.items():
        await world.know(Tenant(world.tenant, 2 + len(days), time_zone=zone))
        days.add(found := (await world.account(world.tenant)).caps.today)
        assert abs((found - (now + timedelta(hours=hours)).date()).days) <= (1 if now.hour == 23 else 0)
    assert len(days) == 2


async def test_a_zone_that_this_machine_does_not_know_is_utc(world: World) -> None:
    await world.know(Tenant(world.tenant, 2, time_zone="Mars/Olympus"))

    assert (await world.account(world.tenant)).caps.today in {
        datetime.now(UTC).date(),
        (datetime.now(UTC) - timedelta(minutes=1)).date(),
    }
