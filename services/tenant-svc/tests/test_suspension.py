"""A tenant that the operator has suspended."""

from typing import Any
from uuid import UUID, uuid4

from muster.events import NIL_TENANT
from muster.events.v1.suspensions_pb2 import SuspensionChanged
from muster.kit.testing import apply, facts
from muster.tenant.handlers import on_suspension_changed


def word(tenant_id: UUID | str, version: int, *, suspended: bool) -> SuspensionChanged:
    return SuspensionChanged(tenant_id=str(tenant_id), version=version, suspended=suspended, reason="fraud")


async def test_a_suspended_tenant_gets_no_token_until_it_is_reinstated(service: Any, business: Any) -> None:
    await apply(service.db, on_suspension_changed, word(business.id, 1, suspended=True))
    asked = {"grant_type": "client_credentials", **{n: business.key[n] for n in ("client_id", "client_secret")}}
    refused = await service.http.post("/v1/token", json=asked)
    wrong = await service.http.post("/v1/token", json={**asked, "client_secret": "wrong"})

    await apply(service.db, on_suspension_changed, word(business.id, 2, suspended=False))

    assert (refused.status_code, refused.json()["error"]) == (403, "unauthorized_client")
    assert refused.json()["code"] == "tenant_suspended"
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_client"), "said to those alone who hold a key"
    assert await service.try_token(business.key) == 200


async def test_everybody_hears_that_a_tenant_is_suspended_and_its_settings_stay(
    service: Any, business: Any, operator: str
) -> None:
    before = (await service.call(operator, "GET", f"/v1/tenants/{business.id}")).json()

    await apply(service.db, on_suspension_changed, word(business.id, 1, suspended=True))

    after = (await service.call(operator, "GET", f"/v1/tenants/{business.id}")).json()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"suspended", "version", "updated_at"}
    async with service.db.worker() as tx:
        said = [one.message for one in await facts(tx, "TenantChanged")]
    assert [(one.version, one.suspended) for one in said] == [(1, False), (2, True)]


async def test_the_highest_version_of_a_suspension_wins_in_any_order(
    service: Any, business: Any, operator: str
) -> None:
    words = [word(business.id, version, suspended=version % 2 == 1) for version in (3, 2, 3, 1)]
    for one in words:
        await apply(service.db, on_suspension_changed, one)

    after = (await service.call(operator, "GET", f"/v1/tenants/{business.id}")).json()
    assert (after["suspended"], after["version"]) == (True, 2), "what changes nothing raises no version"


async def test_a_suspension_of_nobody_here_changes_nothing(service: Any) -> None:
    await apply(service.db, on_suspension_changed, word(uuid4(), 1, suspended=True))
    await apply(service.db, on_suspension_changed, word(NIL_TENANT, 1, suspended=True))

    async with service.db.worker() as tx:
        assert await facts(tx, "TenantChanged") == []


async def test_a_tenant_s_settings_are_changed_while_it_is_suspended_and_it_stays_so(
    service: Any, business: Any, operator: str
) -> None:
    await apply(service.db, on_suspension_changed, word(business.id, 1, suspended=True))

    path = f"/v1/tenants/{business.id}"
    changed = await service.call(operator, "PATCH", path, json={"name": "Other"})
    lifted = await service.call(operator, "PATCH", path, json={"suspended": False})

    assert (changed.status_code, changed.json()["suspended"]) == (200, True)
    assert lifted.status_code == 422, "there is one way to lift it"
