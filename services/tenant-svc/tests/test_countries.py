"""The countries that a business sends to: its own, and others among those that the operator allows."""

from typing import Any

import pytest

from muster.kit.testing import facts


async def last_said(service: Any) -> list[str]:
    async with service.db.worker() as tx:
        return list((await facts(tx, "TenantChanged"))[-1].message.countries)


async def test_an_admin_chooses_among_what_the_operator_allows(service: Any, business: Any, operator: str) -> None:
    own = "/v1/tenant"
    before = (await service.call(business.token, "GET", own)).json()
    refused = await service.call(business.token, "PATCH", own, json={"countries": ["AU", "NZ"]})
    await service.call(operator, "PATCH", f"/v1/tenants/{business.id}", json={"countries_max": ["NZ", "GB", "NZ"]})
    chosen = await service.call(business.token, "PATCH", own, json={"countries": ["NZ", "AU"]})

    assert (before["countries"], before["countries_max"]) == ([], [])
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "countries")
    assert refused.json()["errors"][0]["code"] == "country_not_allowed"
    assert chosen.json()["countries"] == ["AU", "NZ"]
    assert chosen.json()["countries_max"] == ["GB", "NZ"]
    assert await last_said(service) == ["AU", "NZ"]


async def test_what_the_operator_allows_is_not_the_admin_s_to_change(service: Any, business: Any) -> None:
    answer = await service.call(business.token, "PATCH", "/v1/tenant", json={"countries_max": ["*"]})

    assert answer.status_code == 422


async def test_the_operator_does_not_take_a_country_away_that_is_still_chosen(
    service: Any, business: Any, operator: str
) -> None:
    path = f"/v1/tenants/{business.id}"
    await service.call(operator, "PATCH", path, json={"countries_max": ["*"], "countries": ["AU", "US"]})

    refused = await service.call(operator, "PATCH", path, json={"countries_max": ["NZ"]})
    both = await service.call(operator, "PATCH", path, json={"countries_max": ["NZ"], "countries": []})

    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "country_not_allowed")
    assert (both.status_code, both.json()["countries"]) == (200, [])


@pytest.mark.parametrize("countries", [["au"], ["ZZ"], ["AUS"], [""], ["AU"] * 251, "AU", [1]])
async def test_what_is_no_country_is_named_and_changes_nothing(
    service: Any, business: Any, operator: str, countries: Any
) -> None:
    path = f"/v1/tenants/{business.id}"
    answer = await service.call(operator, "PATCH", path, json={"countries_max": countries})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("countries_max")
    assert (await service.call(operator, "GET", path)).json()["version"] == 1
