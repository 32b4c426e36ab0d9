"""Amounts that are none, on every route that takes one: refused with field and reason, and nothing changes."""

from typing import Any
from uuid import uuid4

World = Any

WRONG = [0, -1, -(2**60), 1.5, 5.0, 2**53 + 1, 10**30, "5", "12.50", "$5", "€ 12,50", "", None, True, [], {}]
"""In credits, or in minor units: zero, negative, with a fraction, too large to be exact, in the units of money."""


def routes(world: World) -> list[tuple[str, str, str, dict[str, Any], str]]:
    """(who, method, path, a right body, the field of the amount) of every route that takes one."""
    to = {"from_tenant_id": str(world.tenant), "to_tenant_id": str(world.shop), "reason": "x"}
    price = {"currency": "EUR", "minor_units": 10, "credits": 1, "valid_from": "2999-01-01T00:00:00Z"}
    automatic = {"below": 5, "amount": 100, "currency": "EUR", "monthly_max": 100}
    return [
        ("op", "POST", "/top-ups", {"tenant_id": str(world.tenant), "credits": 5, "reason": "x"}, "credits"),
        ("admin", "POST", "/transfers", {**to, "credits": 5}, "credits"),
        ("op", "POST", "/prices", price, "credits"),
        ("op", "POST", "/prices", price, "minor_units"),
        ("admin", "PATCH", "/settings", {"daily_cap": 5}, "daily_cap"),
        ("admin", "PATCH", "/settings", {"monthly_cap": 5}, "monthly_cap"),
        ("admin", "PATCH", "/settings", {"alert_below": 5}, "alert_below"),
        *(
            ("admin", "PATCH", "/settings", {"automatic_top_up": automatic}, f"automatic_top_up.{name}")
            for name in ("below", "amount", "monthly_max")
        ),
    ]


def with_amount(body: dict[str, Any], field: str, amount: Any) -> dict[str, Any]:
    outer, _, inner = field.partition(".")
    return {**body, outer: {**body[outer], inner: amount} if inner else amount}


def may_be(method: str, field: str, amount: Any) -> bool:
    """null ends a setting; a minor unit may be as large as is exact."""
    return method == "PATCH" and amount is None and "." not in field


async def state(world: World) -> list[Any]:
    async with world.db.worker() as tx:
        tables = ("account", "entry", "top_up", "top_up_approval", "transfer", "price", "charge", "watch", "outbox")
        return [await tx.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


async def test_every_amount_that_is_none_is_refused_by_its_field_and_nothing_changes(world: World) -> None:
    await world.price()
    await world.top_up(world.tenant, 100)
    before = await state(world)
    for who, method, path, body, field in routes(world):
        for amount in WRONG:
            if may_be(method, field, amount):
                continue
            refused = await world.ask(who, method, path, with_amount(body, field, amount), key=str(uuid4()))
            assert refused.status_code == 422, (path, field, amount, refused.text)
            assert refused.headers["content-type"] == "application/problem+json"
            assert [error["field"] for error in refused.json()["errors"]] == [field], (path, amount)
            assert all(error["message"] for error in refused.json()["errors"])
    assert await state(world) == before


async def test_a_refused_amount_is_told_what_is_asked_of_it_and_its_limit(world: World) -> None:
    told = {}
    for amount in (0, 10**12 + 1, "12.50"):
        body = {"tenant_id": str(world.tenant), "credits": amount, "reason": "x"}
        told[amount] = (await world.ask("op", "POST", "/top-ups", body)).json()["errors"][0]["message"]
    assert told == {
        0: "must be at least 1",
        10**12 + 1: "must be at most 1000000000000",
        "12.50": "must be a whole number, written without quotes, point or exponent",
    }


async def test_each_of_those_routes_takes_a_right_amount(world: World) -> None:
    await world.price()
    await world.top_up(world.tenant, 100)
    for who, method, path, body, field in routes(world):
        taken = await world.ask(who, method, path, body, key=str(uuid4()))
        assert taken.status_code in (200, 201, 409), (path, field, taken.text)


async def test_a_cents_amount_of_a_currency_that_is_none_is_refused(world: World) -> None:
    for currency in ("eur", "EU", "EURO", "€", "", None, 978):
        body = {"currency": currency, "minor_units": 10, "credits": 1}
        refused = await world.ask("op", "POST", "/prices", body)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "currency")


async def test_a_transfer_needs_a_key_of_its_caller(world: World) -> None:
    body = {"from_tenant_id": str(world.tenant), "to_tenant_id": str(world.shop), "credits": 5, "reason": "x"}

    refused = await world.ask("admin", "POST", "/transfers", body)

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
