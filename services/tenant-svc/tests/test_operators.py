"""More than one operator: people whom the environment names, and nobody else makes."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from asyncpg import CheckViolationError
from pydantic import ValidationError

from muster.events import NIL_TENANT
from muster.kit.testing import facts
from muster.tenant.main import put_operators
from muster.tenant.settings import TenantSettings


async def user_of(service: Any, credentials: dict[str, str]) -> str:
    verifier = service.app.state.verifier
    caller = await verifier.verify(await service.token(credentials))
    assert (caller.role, caller.tenant_id) == ("operator", NIL_TENANT)
    return str(caller.user_id)


async def test_two_operators_are_two_people(
    service: Any, operator_key: dict[str, str], second_operator_key: dict[str, str]
) -> None:
    assert await user_of(service, operator_key) != await user_of(service, second_operator_key)


async def test_a_second_key_of_an_operator_is_the_same_person(
    service: Any, operator: str, operator_key: dict[str, str]
) -> None:
    key = await service.call(operator, "POST", "/v1/api-keys", json={"name": "laptop"})

    assert key.status_code == 201
    assert await user_of(service, key.json()) == await user_of(service, operator_key)


async def test_an_operator_cannot_make_a_key_of_another_one(
    service: Any, operator: str, second_operator_key: dict[str, str]
) -> None:
    other = await user_of(service, second_operator_key)

    for body in ({"name": "x", "user_id": other}, {"name": "x", "user_id": other, "tenant_id": str(NIL_TENANT)}):
        refused = await service.call(operator, "POST", "/v1/api-keys", json=body)
        assert refused.status_code == 404


async def test_an_operator_cannot_make_another_operator(service: Any, operator: str) -> None:
    nobody = {"name": "x", "role": "operator", "tenant_id": str(NIL_TENANT)}

    key = await service.call(operator, "POST", "/v1/api-keys", json=nobody)
    user = await service.call(operator, "POST", "/v1/users", json={**nobody, "email": "x@muster.example"})

    assert (key.status_code, user.status_code) == (422, 422)


async def test_who_is_not_named_any_more_gets_no_token_and_the_others_do(
    service: Any, operator_key: dict[str, str], second_operator_key: dict[str, str]
) -> None:
    alone = TenantSettings(operator_client_secret=operator_key["client_secret"], hash_key="11" * 32)

    await put_operators(service.db, alone)
    assert await service.try_token(second_operator_key) == 401
    assert await service.try_token(operator_key) == 200

    await put_operators(service.db, service.settings)
    assert await service.try_token(second_operator_key) == 200


@pytest.mark.parametrize("given", ["second", "second:short", "a:" + "x" * 20 + " a:" + "y" * 20, "a b:" + "x" * 20])
def test_operators_that_cannot_be_are_refused_without_showing_a_secret(given: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TenantSettings(operators=given)
    assert given not in str(refused.value)


async def test_the_operator_makes_a_tenant_a_sub_account_and_says_so(
    service: Any, operator: str, new_business: Callable[..., Awaitable[Any]]
) -> None:
    reseller, shop = await new_business(), await new_business()

    given = await service.call(operator, "PATCH", f"/v1/tenants/{shop.id}", json={"parent_id": str(reseller.id)})
    freed = await service.call(operator, "PATCH", f"/v1/tenants/{shop.id}", json={"parent_id": None})

    assert (given.json()["parent_id"], freed.json()["parent_id"]) == (str(reseller.id), None)
    async with service.db.worker() as tx:
        said = [fact.message for fact in await facts(tx, "TenantChanged") if fact.tenant_id == shop.id]
    assert [message.parent_tenant_id for message in said] == ["", str(reseller.id), ""]


async def test_a_reseller_that_cannot_be_is_refused_and_nothing_changes(
    service: Any, operator: str, new_business: Callable[..., Awaitable[Any]]
) -> None:
    reseller, shop, other = await new_business(), await new_business(), await new_business()
    await service.call(operator, "PATCH", f"/v1/tenants/{shop.id}", json={"parent_id": str(reseller.id)})
    wrong = [
        (other.id, other.id, "parent_is_itself"),
        (other.id, UUID(int=7), "parent_not_known"),
        (other.id, shop.id, "parent_is_a_sub_account"),
        (reseller.id, shop.id, "parent_is_a_sub_account"),
    ]

    for tenant_id, parent_id, code in wrong:
        path = f"/v1/tenants/{tenant_id}"
        refused = await service.call(operator, "PATCH", path, json={"parent_id": str(parent_id)})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, code)
        assert refused.json()["errors"][0]["field"] == "parent_id"
        assert (await service.call(operator, "GET", path)).json()["parent_id"] is None


async def test_a_business_does_not_choose_its_reseller(service: Any, business: Any) -> None:
    refused = await service.call(business.token, "PATCH", "/v1/tenant", json={"parent_id": str(UUID(int=7))})

    assert refused.status_code == 422


async def test_a_sandbox_is_one_from_its_creation_on_and_says_so(service: Any, operator: str, salon: Any) -> None:
    made = await service.call(operator, "POST", "/v1/tenants", json={**salon, "sandbox": True})
    plain = await service.call(operator, "POST", "/v1/tenants", json=salon)

    assert (made.json()["sandbox"], UUID(made.json()["id"]).version) == (True, 8)
    assert (plain.json()["sandbox"], UUID(plain.json()["id"]).version) == (False, 7)
    async with service.db.worker() as tx:
        said = {str(fact.tenant_id): fact.message.sandbox for fact in await facts(tx, "TenantChanged")}
    assert said == {made.json()["id"]: True, plain.json()["id"]: False}
    path = f"/v1/tenants/{made.json()['id']}"
    assert (await service.call(operator, "PATCH", path, json={"sandbox": False})).status_code == 422


async def test_one_key_makes_one_tenant_whatever_it_is(service: Any, operator: str, salon: Any) -> None:
    for first, second in ((True, False), (False, True)):
        answers = [
            await service.call(operator, "POST", "/v1/tenants", json={**salon, "sandbox": sandbox}, key=f"k-{first}")
            for sandbox in (first, first, second)
        ]
        assert [answer.status_code for answer in answers] == [201, 201, 409]
        assert answers[0].json() == answers[1].json()


async def test_a_sandbox_is_no_sub_account_of_a_business_nor_has_one_even_behind_the_api(
    service: Any, operator: str, new_business: Callable[..., Awaitable[Any]]
) -> None:
    sandbox, shop = await new_business(sandbox=True), await new_business()

    for tenant_id, parent_id in ((sandbox.id, shop.id), (shop.id, sandbox.id)):
        path = f"/v1/tenants/{tenant_id}"
        refused = await service.call(operator, "PATCH", path, json={"parent_id": str(parent_id)})
        assert refused.json()["errors"][0]["code"] == "sandbox_stays_alone"
        with pytest.raises(CheckViolationError):
            async with service.db.request(tenant_id) as tx:
                await tx.execute("UPDATE tenant SET parent_id = $2 WHERE tenant_id = $1", tenant_id, parent_id)
