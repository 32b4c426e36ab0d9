"""Single-use links: who joins by them, and that they work once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from muster.kit import clock

PASSWORD = "seven teal umbrellas"


async def invite(service: Any, business: Any, email: str = "kim@salon.example") -> tuple[str, str]:
    """(user id, token) of somebody who was invited."""
    body = {"email": email, "name": "Kim", "role": "staff"}
    user = (await service.call(business.token, "POST", "/v1/users", json=body)).json()
    link = await service.call(business.token, "POST", f"/v1/users/{user['id']}/link")
    assert link.status_code == 201, link.text
    return user["id"], link.json()["token"]


async def look(service: Any, token: str) -> Any:
    return await service.http.post("/v1/links/look", json={"token": token})


async def use(service: Any, token: str, **body: str) -> Any:
    return await service.http.post("/v1/links/use", json={"token": token, "password": PASSWORD, **body})


async def test_looking_at_a_link_says_what_it_is_for_and_uses_nothing_up(service: Any, business: Any) -> None:
    _, token = await invite(service, business)
    seen = [(await look(service, token)).json() for _ in range(3)]
    assert seen[0] == seen[2]
    assert (seen[0]["kind"], seen[0]["email"], seen[0]["tenant"]["id"]) == (
        "invitation",
        "kim@salon.example",
        str(business.id),
    )
    assert (await use(service, token)).status_code == 201


async def test_of_many_who_use_a_link_at_once_one_joins(service: Any, business: Any) -> None:
    user_id, token = await invite(service, business)
    answers = await asyncio.gather(*(use(service, token) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [201] + [410] * 7
    assert {one.json()["code"] for one in answers if one.status_code == 410} == {"link_used"}
    async with service.db.request(business.id) as tx:
        sessions = await tx.fetchval(
            "SELECT count(*) FROM session WHERE tenant_id = $1 AND user_id = $2", business.id, UUID(user_id)
        )
    assert sessions == 1


async def test_a_newer_link_ends_the_older_one_and_who_has_a_password_gets_none(service: Any, business: Any) -> None:
    user_id, older = await invite(service, business)
    newer = (await service.call(business.token, "POST", f"/v1/users/{user_id}/link")).json()["token"]
    assert (await look(service, older)).json()["code"] == "link_unknown"
    assert (await use(service, newer)).status_code == 201
    third = await service.call(business.token, "POST", f"/v1/users/{user_id}/link")
    assert (third.status_code, third.json()["code"]) == (409, "has_password")


async def test_a_link_says_that_it_was_used_has_expired_or_is_not_known(
    service: Any, business: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, used = await invite(service, business)
    await use(service, used)
    _, late = await invite(service, business, "lee@salon.example")
    assert (await look(service, "x" * 43)).status_code == 404
    assert (await look(service, used)).json()["code"] == "link_used"
    later = clock.now() + timedelta(days=8)
    monkeypatch.setattr(clock, "now", lambda: later)
    for answer in (await look(service, late), await use(service, late)):
        assert (answer.status_code, answer.json()["code"]) == (410, "link_expired")


async def test_a_weak_password_leaves_the_link_as_it_was(service: Any, business: Any) -> None:
    _, token = await invite(service, business)
    weak = await use(service, token, password="kim@salon.example")
    assert (weak.status_code, weak.json()["errors"][0]["field"]) == (422, "password")
    assert (await use(service, token)).status_code == 201


async def test_the_first_admin_says_address_and_name_and_is_an_admin(
    service: Any, business: Any, operator: str
) -> None:
    made = await service.call(operator, "POST", f"/v1/tenants/{business.id}/first-admin")
    token = made.json()["token"]
    assert made.json()["url"].endswith(f"/join/{token}")
    assert (await look(service, token)).json()["email"] is None
    nameless = await use(service, token, email="boss@salon.example")
    assert (nameless.status_code, nameless.json()["errors"][0]["field"]) == (422, "name")
    opened = await use(service, token, email="Boss@salon.example", name="Jo")
    assert opened.json()["user"] | {"id": ""} == {
        "id": "",
        "email": "boss@salon.example",
        "name": "Jo",
        "role": "admin",
    }
    assert (await use(service, token, email="two@salon.example", name="Two")).status_code == 410


async def test_nobody_is_made_an_admin_of_anothers_business(service: Any, new_business: Any) -> None:
    here, elsewhere = await new_business(), await new_business()
    assert (await service.call(here.token, "POST", f"/v1/tenants/{here.id}/first-admin")).status_code == 403
    user_id, _ = await invite(service, elsewhere)
    assert (await service.call(here.token, "POST", f"/v1/users/{user_id}/link")).status_code == 404


async def test_an_invitation_of_somebody_who_was_shut_out_meanwhile_lets_nobody_in(service: Any, business: Any) -> None:
    user_id, token = await invite(service, business)
    await service.call(business.token, "PATCH", f"/v1/users/{user_id}", json={"active": False})
    assert (await use(service, token)).status_code == 410


async def test_no_table_holds_a_token_or_a_password(service: Any, business: Any) -> None:
    _, token = await invite(service, business)
    opened = (await use(service, token)).json()
    async with service.db.worker() as tx:
        rows = [
            str(dict(row))
            for table in ("link", "session", "password", "outbox")
            for row in await tx.fetch(f"SELECT * FROM {table}")
        ]
    assert rows
    for secret in (token, opened["session_token"], opened["access_token"], PASSWORD):
        assert not any(secret in row for row in rows)
