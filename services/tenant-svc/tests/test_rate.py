"""How much is sent for a business a second: the operator's word, which the business can read."""

from typing import Any

import pytest

from muster.kit.testing import facts


async def test_the_operator_sets_a_rate_and_lifts_it_and_the_business_sees_it(
    service: Any, business: Any, operator: str
) -> None:
    path = f"/v1/tenants/{business.id}"
    before = (await service.call(business.token, "GET", "/v1/tenant")).json()
    answer = await service.call(operator, "PATCH", path, json={"parts_per_second": 20})
    seen = (await service.call(business.token, "GET", "/v1/tenant")).json()
    lifted = await service.call(operator, "PATCH", path, json={"parts_per_second": 0})

    assert (before["parts_per_second"], answer.json()["parts_per_second"], seen["parts_per_second"]) == (0, 20, 20)
    assert lifted.json()["parts_per_second"] == 0
    async with service.db.worker() as tx:
        said = [fact.message.parts_per_second for fact in await facts(tx, "TenantChanged")]
    assert said[-2:] == [20, 0]


async def test_a_rate_is_not_the_admin_s_to_change(service: Any, business: Any) -> None:
    answer = await service.call(business.token, "PATCH", "/v1/tenant", json={"parts_per_second": 20})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "parts_per_second")


@pytest.mark.parametrize("rate", [-1, 100_001, 1.5, "20", True, None])
async def test_what_is_no_rate_is_named_and_changes_nothing(
    service: Any, business: Any, operator: str, rate: Any
) -> None:
    path = f"/v1/tenants/{business.id}"
    answer = await service.call(operator, "PATCH", path, json={"parts_per_second": rate})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "parts_per_second")
    assert (await service.call(operator, "GET", path)).json()["version"] == 1


async def test_a_business_sets_itself_a_limit_of_parts_and_says_it(service: Any, business: Any) -> None:
    before = (await service.call(business.token, "GET", "/v1/tenant")).json()
    answer = await service.call(business.token, "PATCH", "/v1/tenant", json={"parts_max": 3})

    assert (before["parts_max"], answer.json()["parts_max"]) == (255, 3)
    async with service.db.worker() as tx:
        assert [fact.message.parts_max for fact in await facts(tx, "TenantChanged")][-1] == 3


@pytest.mark.parametrize("parts", [0, 256, "3"])
async def test_what_is_no_limit_of_parts_is_named(service: Any, business: Any, parts: Any) -> None:
    answer = await service.call(business.token, "PATCH", "/v1/tenant", json={"parts_max": parts})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "parts_max")
