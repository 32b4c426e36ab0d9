"""The routes of tenant-svc: what they do, and to whom they say no."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from muster.kit.auth import PUBLIC, Permission, Role, route_permissions
from muster.kit.testing import facts

NewBusiness = Callable[..., Awaitable[Any]]

# Every route, who may call it, and a body that would do.
ROUTES = [
    ("POST", "/v1/tenants", {"operator"}, {"name": "x"}),
    ("GET", "/v1/tenants", {"operator"}, None),
    ("GET", "/v1/tenants/{id}", {"operator"}, None),
    ("PATCH", "/v1/tenants/{id}", {"operator"}, {}),
    ("GET", "/v1/tenant", {"admin", "manager", "staff"}, None),
    ("PATCH", "/v1/tenant", {"admin"}, {}),
    ("POST", "/v1/users", {"admin", "operator"}, {"email": "a@b.example", "name": "A", "role": "staff"}),
    ("GET", "/v1/users", {"admin", "operator"}, None),
    ("GET", "/v1/users/{id}", {"admin", "operator"}, None),
    ("PATCH", "/v1/users/{id}", {"admin", "operator"}, {}),
    ("POST", "/v1/api-keys", {"admin", "operator"}, {"name": "x"}),
    ("GET", "/v1/api-keys", {"admin", "operator"}, None),
    ("DELETE", "/v1/api-keys/{id}", {"admin", "operator"}, None),
    ("GET", "/v1/audit", {"admin", "operator"}, None),
    ("GET", "/v1/sessions", {"admin", "manager", "staff", "operator"}, None),
    ("DELETE", "/v1/sessions/{id}", {"admin", "manager", "staff", "operator"}, None),
    ("GET", "/v1/me", {"admin", "manager", "staff", "operator"}, None),
    ("PATCH", "/v1/me", {"admin", "manager", "staff", "operator"}, {"name": "x"}),
    ("PUT", "/v1/me/password", {"admin", "manager", "staff", "operator"}, {"new_password": "x"}),
    ("GET", "/v1/roles", {"admin", "manager", "staff", "operator"}, None),
    ("POST", "/v1/users/{id}/invitation", {"admin", "operator"}, None),
    ("POST", "/v1/users/{id}/link", {"admin", "operator"}, None),
    ("POST", "/v1/tenants/{id}/first-admin", {"operator"}, None),
    ("GET", "/v1/ops/tenant/laws", {"operator"}, None),
    ("GET", "/v1/ops/tenant/dead-letters", {"operator"}, None),
    ("GET", "/v1/ops/tenant/dead-letters/{id}", {"operator"}, None),
    ("POST", "/v1/ops/tenant/dead-letters/{id}/replay", {"operator"}, {"reason": "x"}),
    ("POST", "/v1/ops/tenant/dead-letters/{id}/drop", {"operator"}, {"reason": "x"}),
    ("GET", "/v1/ops/tenant/consumers", {"operator"}, None),
    ("POST", "/v1/ops/tenant/consumers/resume", {"operator"}, {"topic": "audit", "reason": "x"}),
]


async def token_of(service: Any, business: Any, role: str) -> str:
    key = await service.call(business.token, "POST", "/v1/api-keys", json={"name": role, "role": role})
    return await service.token(key.json())


def test_each_route_names_its_roles_or_is_public(service: Any) -> None:
    table = {(method, path): frozenset(roles) for method, path, roles, _ in ROUTES}
    found = route_permissions(service.app)
    assert {route for route, permission in found.items() if permission == PUBLIC} == {
        ("POST", "/v1/token"),
        ("POST", "/v1/sessions"),
        ("POST", "/v1/password-resets"),
        ("POST", "/v1/links/look"),
        ("POST", "/v1/links/use"),
        ("GET", "/.well-known/jwks.json"),
    }
    assert {
        (method, re.sub(r"{\w+}", "{id}", path)): frozenset(map(str, permission.roles))
        for (method, path), permission in found.items()
        if isinstance(permission, Permission)
    } == table


async def test_every_role_is_held_to_its_routes(service: Any, operator: str, business: Any) -> None:
    tokens = {"operator": operator, "admin": business.token}
    tokens |= {role: await token_of(service, business, role) for role in ("manager", "staff")}
    for method, path, roles, body in ROUTES:
        path = path.replace("{id}", str(uuid4()))
        assert (await service.call("", method, path, json=body)).status_code == 401
        for role in sorted(set(Role) - {Role(role) for role in roles}):
            answer = await service.call(tokens[role], method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path, role)


async def test_the_table_of_roles_is_what_the_code_goes_by(service: Any, business: Any) -> None:
    told = (await service.call(business.token, "GET", "/v1/roles")).json()
    assert told["roles"] == ["operator", "admin", "manager", "staff"]
    assert {one["name"]: set(one["roles"]) for one in told["permissions"]} == {
        one.key: set(map(str, one.roles)) for one in Permission
    }
    assert next(one["says"] for one in told["permissions"] if one["name"] == "send") == Permission.SEND.says


async def test_a_tenant_is_made_told_and_recorded(service: Any, operator: str, salon: dict[str, Any]) -> None:
    wanted = {**salon, "quiet_hours": {"from": "20:00", "to": "08:30"}, "unknown_rule": "ask", "failed_rule": "release"}
    made = await service.call(operator, "POST", "/v1/tenants", json=wanted)
    assert made.status_code == 201
    tenant = made.json()
    assert {name: tenant[name] for name in wanted} == wanted
    read = await service.call(operator, "GET", f"/v1/tenants/{tenant['id']}")
    assert read.json() == tenant
    async with service.db.worker() as tx:
        changed, act = await facts(tx)
    assert changed.key == tenant["id"].encode()
    assert changed.message.version == 1
    assert (changed.message.quiet_from_minute, changed.message.quiet_to_minute) == (1200, 510)
    assert changed.message.reception_email == salon["reception_email"]
    assert (act.message.act, act.message.tenant_id, act.message.role) == ("tenant.created", tenant["id"], "operator")
    assert act.message.service == "tenant"


async def test_a_repeated_creation_makes_one_tenant(service: Any, operator: str, salon: dict[str, Any]) -> None:
    first = await service.call(operator, "POST", "/v1/tenants", json=salon, key="k1")
    again = await service.call(operator, "POST", "/v1/tenants", json=salon, key="k1")
    other = await service.call(operator, "POST", "/v1/tenants", json={**salon, "name": "Other"}, key="k1")
    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len((await service.call(operator, "GET", "/v1/tenants")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"country": "au"}, "country"),
        ({"country": "AUS"}, "country"),
        ({"country": "XX"}, "country"),
        ({"country": "ZZ"}, "country"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "localtime"}, "time_zone"),
        ({"time_zone": "America"}, "time_zone"),
        ({"sender": "0400000000"}, "sender"),
        ({"sender": "TwelveLetters"}, "sender"),
        ({"sender": "12345"}, "sender"),
        ({"reception_email": "a@b.example\r\nBcc: c@d.example"}, "reception_email"),
        ({"reception_email": "=?utf-8?q?a?=@b.example"}, "reception_email"),
        ({"reception_email": "a\u2028@b.example"}, "reception_email"),
        ({"reception_email": "a@b"}, "reception_email"),
        ({"reception_email": ""}, "reception_email"),
        ({"name": " "}, "name"),
        ({"name": "\u200b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a" * 201}, "name"),
        ({"allow_sms_replies": "yes"}, "allow_sms_replies"),
        ({"quiet_hours": {"from": "24:00", "to": "08:00"}}, "quiet_hours.from"),
        ({"quiet_hours": {"from": "20:00", "to": "20:00"}}, "quiet_hours"),
        ({"quiet_hours": {"from_": "20:00", "from": "20:00", "to": "08:00"}}, "quiet_hours.from_"),
        ({"unknown_rule": "guess"}, "unknown_rule"),
        ({"failed_rule": "ask"}, "failed_rule"),
        ({"closed": True}, "closed"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_wrong_setting_is_named_and_changes_nothing(
    service: Any, operator: str, salon: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    answer = await service.call(operator, "POST", "/v1/tenants", json={**salon, **change})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await service.call(operator, "GET", "/v1/tenants")).json() == {"items": [], "next_cursor": None}


async def test_an_admin_changes_the_own_settings_and_each_change_is_a_version(service: Any, business: Any) -> None:
    change = {"allow_sms_replies": False, "reception_email": "", "quiet_hours": {"from": "21:00", "to": "07:00"}}
    first = await service.call(business.token, "PATCH", "/v1/tenant", json=change)
    same = await service.call(business.token, "PATCH", "/v1/tenant", json=change)
    back = await service.call(business.token, "PATCH", "/v1/tenant", json={"quiet_hours": None})
    assert [answer.json()["version"] for answer in (first, same, back)] == [2, 2, 3]
    assert back.json()["quiet_hours"] is None
    assert back.json()["name"] == "Salon Ω"
    async with service.db.worker() as tx:
        told = [fact.message.version for fact in await facts(tx, "TenantChanged")]
    assert told == [1, 2, 3]


async def test_a_wrong_change_names_the_field(service: Any, business: Any) -> None:
    answer = await service.call(business.token, "PATCH", "/v1/tenant", json={"reception_email": ""})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reception_email")
    nothing = await service.call(business.token, "PATCH", "/v1/tenant", json={"sender": None})
    assert (nothing.status_code, nothing.json()["errors"][0]["field"]) == (422, "sender")
    assert (await service.call(business.token, "GET", "/v1/tenant")).json()["version"] == 1


async def test_staff_read_the_settings(service: Any, business: Any) -> None:
    staff = await token_of(service, business, "staff")
    assert (await service.call(staff, "GET", "/v1/tenant")).json()["id"] == str(business.id)


async def test_what_belongs_to_another_tenant_is_404_like_what_never_was(
    service: Any, new_business: NewBusiness
) -> None:
    mine, theirs = await new_business(), await new_business()
    theirs_key, nobody = theirs.key["id"], str(uuid4())
    for method, path, body in [
        ("GET", "/v1/users/{}", None),
        ("PATCH", "/v1/users/{}", {"name": "x"}),
        ("DELETE", "/v1/api-keys/{}", None),
    ]:
        of_them = theirs_key if "keys" in path else theirs.key["user_id"]
        answers = [await service.call(mine.token, method, path.format(one), json=body) for one in (of_them, nobody)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].json() == answers[1].json()
    key_for = await service.call(
        mine.token, "POST", "/v1/api-keys", json={"name": "x", "user_id": theirs.key["user_id"]}
    )
    assert key_for.status_code == 404
    assert len((await service.call(mine.token, "GET", "/v1/users")).json()["items"]) == 1


async def test_another_tenants_id_is_no_tenant_to_an_admin(service: Any, new_business: NewBusiness) -> None:
    mine, theirs = await new_business(), await new_business()

    async def asked(tenant_id: UUID) -> list[tuple[int, Any]]:
        paths = [f"{path}?tenant_id={tenant_id}" for path in ("/v1/users", "/v1/api-keys", "/v1/audit")]
        answers = [await service.call(mine.token, "GET", path) for path in paths]
        body = {"name": "x", "tenant_id": str(tenant_id)}
        answers.append(await service.call(mine.token, "POST", "/v1/api-keys", json=body))
        return [(answer.status_code, answer.json()) for answer in answers]

    answers = await asked(theirs.id)
    assert [status for status, _ in answers] == [404] * 4
    assert answers == await asked(uuid4())


async def test_the_operator_cannot_act_for_a_tenant_that_is_not_there(service: Any, operator: str) -> None:
    body = {"name": "x", "tenant_id": str(uuid4())}
    assert (await service.call(operator, "POST", "/v1/api-keys", json=body)).status_code == 404
    assert (await service.call(operator, "GET", f"/v1/tenants/{uuid4()}")).status_code == 404
    assert (await service.call(operator, "PATCH", f"/v1/tenants/{uuid4()}", json={"name": "x"})).status_code == 404


async def test_users_have_an_address_of_their_own_and_a_role(service: Any, business: Any) -> None:
    ann = {"email": "Ann@Salon.example", "name": "Ann", "role": "manager"}
    made = await service.call(business.token, "POST", "/v1/users", json=ann)
    assert (made.status_code, made.json()["email"]) == (201, "ann@salon.example")
    twice = await service.call(business.token, "POST", "/v1/users", json={**ann, "email": "ANN@salon.example"})
    assert (twice.status_code, twice.json()["code"]) == (409, "email_taken")
    for role in ("operator", "owner"):
        answer = await service.call(business.token, "POST", "/v1/users", json={**ann, "role": role})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "role")
    changed = await service.call(business.token, "PATCH", f"/v1/users/{made.json()['id']}", json={"role": "staff"})
    assert changed.json() == {**made.json(), "role": "staff"}
    read = await service.call(business.token, "GET", f"/v1/users/{made.json()['id']}")
    assert read.json() == changed.json()


async def test_a_key_carries_the_role_of_its_user(service: Any, business: Any) -> None:
    ann = {"email": "ann@salon.example", "name": "Ann", "role": "manager"}
    user = (await service.call(business.token, "POST", "/v1/users", json=ann)).json()
    other = {"name": "x", "user_id": user["id"], "role": "admin"}
    assert (await service.call(business.token, "POST", "/v1/api-keys", json=other)).status_code == 422
    key = await service.call(business.token, "POST", "/v1/api-keys", json={"name": "x", "user_id": user["id"]})
    assert (key.json()["role"], key.json()["user_id"]) == ("manager", user["id"])
    assert key.json()["client_id"].startswith("mk_")
    listed = (await service.call(business.token, "GET", "/v1/api-keys")).json()["items"]
    assert all("client_secret" not in item for item in listed)


async def test_a_tenant_keeps_one_active_admin(service: Any, business: Any) -> None:
    own = f"/v1/users/{business.key['user_id']}"
    for change in ({"role": "staff"}, {"active": False}):
        answer = await service.call(business.token, "PATCH", own, json=change)
        assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")
    await service.call(business.token, "POST", "/v1/api-keys", json={"name": "second", "role": "admin"})
    assert (await service.call(business.token, "PATCH", own, json={"role": "staff"})).status_code == 200


async def test_a_key_is_not_made_for_a_user_without_access(service: Any, business: Any) -> None:
    body = {"name": "Sam", "email": "sam@salon.example", "role": "staff"}
    sam = (await service.call(business.token, "POST", "/v1/users", json=body)).json()
    await service.call(business.token, "PATCH", f"/v1/users/{sam['id']}", json={"active": False})
    answer = await service.call(business.token, "POST", "/v1/api-keys", json={"name": "x", "user_id": sam["id"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "user_inactive")


async def test_an_expiry_in_the_past_is_refused(service: Any, business: Any) -> None:
    body = {"name": "x", "expires_at": "2001-01-01T00:00:00Z"}
    answer = await service.call(business.token, "POST", "/v1/api-keys", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "expires_at")


async def test_live_keys_and_users_are_limited(service: Any, operator: str, new_business: NewBusiness) -> None:
    business = await new_business()
    service.app.state.settings = service.settings.model_copy(update={"tenant_api_keys_max": 2, "tenant_users_max": 1})
    second = await service.call(business.token, "POST", "/v1/api-keys", json={"name": "second"})
    third = await service.call(business.token, "POST", "/v1/api-keys", json={"name": "third"})
    user = await service.call(business.token, "POST", "/v1/api-keys", json={"name": "machine", "role": "staff"})
    assert [second.status_code, third.status_code, user.status_code] == [201, 409, 409]
    assert (third.json()["limit"], user.json()["limit"]) == (2, 1)


async def test_listings_come_in_pages(service: Any, operator: str, new_business: NewBusiness) -> None:
    ids = sorted([str((await new_business()).id) for _ in range(3)])
    page = (await service.call(operator, "GET", "/v1/tenants?limit=2")).json()
    rest = (await service.call(operator, "GET", f"/v1/tenants?limit=2&cursor={page['next_cursor']}")).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == ids
    assert rest["next_cursor"] is None
    for query in ("limit=0", "limit=501", "cursor=rubbish", "cursor=e30"):
        assert (await service.call(operator, "GET", f"/v1/tenants?{query}")).status_code == 422


async def test_the_laws_are_checked_on_what_is_there(service: Any, operator: str, business: Any) -> None:
    answer = (await service.call(operator, "GET", "/v1/ops/tenant/laws")).json()
    # Three users (two operators, admin) and a key each.
    assert answer == {"laws": [{"law": "tenant", "checked": 6, "violations": [], "violation_count": 0}]}


async def test_a_user_without_a_tenant_breaks_the_law(service: Any, operator: str) -> None:
    stranger = uuid4()
    async with service.db.request(stranger) as tx:
        await tx.execute("INSERT INTO member VALUES ($1, $2, NULL, 'x', 'staff')", stranger, uuid4())
    law = (await service.call(operator, "GET", "/v1/ops/tenant/laws")).json()["laws"][0]
    assert (law["violation_count"], law["violations"][0]["tenant_id"]) == (1, str(stranger))


async def test_ids_that_are_none_are_422(service: Any, business: Any) -> None:
    answer = await service.call(business.token, "GET", "/v1/users/1")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "user_id")
