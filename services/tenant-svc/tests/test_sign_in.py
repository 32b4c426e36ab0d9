"""Signing in: passwords, sessions and what ends them, and how guessing is slowed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from muster.kit import clock
from muster.tenant import store as tenants
from muster.tenant.api.hashing import Hasher
from muster.tenant.domain import sign_in as domain
from muster.tenant.store import sign_in as store

PASSWORD = "seven teal umbrellas"
OTHER = "an otter plays the tuba"
WRONG = {"password": "nine grey umbrellas"}


@dataclass
class User:
    """A user who has joined."""

    id: str
    email: str
    session: str
    token: str

    @property
    def credentials(self) -> dict[str, str]:
        return {"email": self.email, "password": PASSWORD}


Join = Callable[..., Awaitable[User]]


@pytest.fixture
def join(service: Any) -> Join:
    """A factory of users with a password."""

    async def make(business: Any, role: str = "staff", email: str = "") -> User:
        email = email or f"{role}-{uuid4().hex[:8]}@salon.example"
        body = {"email": email, "name": "Kim", "role": role}
        user = (await service.call(business.token, "POST", "/v1/users", json=body)).json()
        link = (await service.call(business.token, "POST", f"/v1/users/{user['id']}/link")).json()
        opened = await service.http.post("/v1/links/use", json={"token": link["token"], "password": PASSWORD})
        assert opened.status_code == 201, opened.text
        return User(user["id"], email, opened.json()["session_token"], opened.json()["access_token"])

    return make


async def enter(service: Any, credentials: dict[str, Any], **headers: str) -> Any:
    return await service.http.post("/v1/sessions", json=credentials, headers=headers)


async def renew(service: Any, session: str) -> Any:
    return await service.http.post("/v1/token", data={"grant_type": "refresh_token", "refresh_token": session})


async def test_who_joined_signs_in_and_is_told_who_and_where_they_are(service: Any, business: Any, join: Join) -> None:
    user = await join(business, "manager")
    answer = await enter(service, {**user.credentials, "email": f"  {user.email.upper()} "})
    opened = answer.json()
    assert answer.status_code == 201
    assert opened["user"] == {"id": user.id, "email": user.email, "name": "Kim", "role": "manager"}
    assert (opened["tenant"]["id"], opened["tenant"]["country"]) == (str(business.id), "AU")
    me = (await service.call(opened["access_token"], "GET", "/v1/me")).json()
    assert (me["role"], me["session_id"]) == ("manager", opened["session"]["id"])
    renewed = (await renew(service, opened["session_token"])).json()
    assert renewed["expires_in"] == 60
    assert (await service.call(renewed["access_token"], "GET", "/v1/me")).json() == me


async def test_a_wrong_password_an_unknown_address_and_a_user_without_one_get_the_same_answer_for_the_same_work(
    service: Any, business: Any, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await join(business)
    invited = {"email": "invited@salon.example", "name": "Lee", "role": "staff"}
    await service.call(business.token, "POST", "/v1/users", json=invited)
    compared: list[str] = []
    verify = Hasher._verify
    monkeypatch.setattr(Hasher, "_verify", lambda *given: compared.append(given[1]) or verify(*given))
    answers = [
        await enter(service, {"email": email, **WRONG})
        for email in (user.email, "no@one.example", "invited@salon.example")
    ]
    assert {(one.status_code, one.text) for one in answers} == {(401, answers[0].text)}
    assert answers[0].json()["code"] == "wrong_credentials"
    assert len(compared) == 3


async def test_guesses_wait_longer_and_longer_and_the_right_password_waits_with_them(
    service: Any, business: Any, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await join(business)
    stranger = {"X-Forwarded-For": "203.0.113.9"}
    codes = [(await enter(service, {**user.credentials, **WRONG}, **stranger)).status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]
    slowed = await enter(service, user.credentials, **stranger)
    assert (slowed.status_code, slowed.json()["code"]) == (429, "too_many_attempts")
    assert int(slowed.headers["retry-after"]) in (1, 2)
    later = clock.now() + timedelta(seconds=5)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert (await enter(service, user.credentials, **stranger)).status_code == 201
    # And what was guessed before counts no more.
    again = [(await enter(service, {**user.credentials, **WRONG}, **stranger)).status_code for _ in range(5)]
    assert again == [401] * 5


async def test_strangers_who_guess_do_not_keep_out_who_comes_from_where_they_were_before(
    service: Any, business: Any, join: Join
) -> None:
    user = await join(business)
    home = {"X-Forwarded-For": "198.51.100.1, 192.0.2.77"}
    assert (await enter(service, user.credentials, **home)).status_code == 201
    for _ in range(8):
        await enter(service, {**user.credentials, **WRONG}, **{"X-Forwarded-For": "192.0.2.77, 203.0.113.9"})
    assert (await enter(service, user.credentials, **{"X-Forwarded-For": "203.0.113.9"})).status_code == 429
    assert (await enter(service, user.credentials, **{"X-Forwarded-For": "192.0.2.77"})).status_code == 201


async def test_a_hundred_guesses_at_once_are_a_hundred_guesses(service: Any, business: Any, join: Join) -> None:
    user = await join(business)
    tries = [enter(service, {**user.credentials, **WRONG}, **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(30)]
    codes = [answer.status_code for answer in await asyncio.gather(*tries)]
    assert codes.count(401) <= domain.FREE_GUESSES
    assert set(codes) == {401, 429}


async def test_an_address_of_two_businesses_chooses_only_where_the_password_holds_in_both(
    service: Any, new_business: Any, join: Join
) -> None:
    one, two = await new_business(name="One"), await new_business(name="Two")
    user = await join(one, email="kim@both.example")
    await join(two, email="kim@both.example")
    answer = await enter(service, user.credentials)
    assert (answer.status_code, answer.json()["code"]) == (409, "choose_tenant")
    assert {each["name"] for each in answer.json()["tenants"]} == {"One", "Two"}
    chosen = await enter(service, {**user.credentials, "tenant_id": str(two.id)})
    assert chosen.json()["tenant"]["name"] == "Two"
    changed = {"current_password": PASSWORD, "new_password": OTHER}
    assert (
        await service.call(chosen.json()["access_token"], "PUT", "/v1/me/password", json=changed)
    ).status_code == 204
    assert (await enter(service, user.credentials)).json()["tenant"]["name"] == "One"


async def test_a_session_that_was_ended_gives_no_more_tokens(service: Any, business: Any, join: Join) -> None:
    user = await join(business)
    second = (await enter(service, user.credentials, **{"User-Agent": "Phone"})).json()
    listed = (await service.call(user.token, "GET", "/v1/sessions")).json()["items"]
    assert (listed[0]["user_agent"], listed[0]["current"]) == ("Phone", False)
    assert sum(one["current"] for one in listed) == 1
    ended = await service.call(user.token, "DELETE", f"/v1/sessions/{second['session']['id']}")
    assert ended.status_code == 204
    refused = await renew(service, second["session_token"])
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_grant")
    assert (await service.call(user.token, "DELETE", "/v1/sessions/current")).status_code == 204
    assert (await renew(service, user.session)).status_code == 400


async def test_an_admin_sees_and_ends_anybodys_session_of_the_business_and_nobody_else_does(
    service: Any, new_business: Any, join: Join
) -> None:
    here, elsewhere = await new_business(), await new_business()
    staff, manager, stranger = await join(here), await join(here, "manager"), await join(elsewhere, "admin")
    admin = await join(here, "admin")
    path = f"/v1/sessions?user_id={staff.id}"
    found = (await service.call(admin.token, "GET", path)).json()["items"]
    assert len(found) == 1
    assert (await service.call(manager.token, "GET", path)).status_code == 403
    assert (await service.call(stranger.token, "GET", path)).json()["items"] == []
    for other in (manager, stranger):
        await service.call(other.token, "DELETE", f"/v1/sessions/{found[0]['id']}")
        assert (await renew(service, staff.session)).status_code == 200
    await service.call(admin.token, "DELETE", f"/v1/sessions/{found[0]['id']}")
    assert (await renew(service, staff.session)).status_code == 400


async def test_who_is_shut_out_gets_no_token_by_any_session_and_cannot_sign_in(
    service: Any, business: Any, join: Join
) -> None:
    user = await join(business)
    await service.call(business.token, "PATCH", f"/v1/users/{user.id}", json={"active": False})
    assert (await renew(service, user.session)).status_code == 400
    assert (await enter(service, user.credentials)).status_code == 401


async def test_who_takes_another_name_while_being_shut_out_stays_shut_out(
    service: Any, business: Any, join: Join
) -> None:
    user = await join(business)
    async with service.db.request(business.id) as tx:
        await tenants.lock_tenant(tx, business.id)
        renaming = asyncio.create_task(service.call(user.token, "PATCH", "/v1/me", json={"name": "Lee"}))
        await asyncio.sleep(0.2)
        await tenants.save_member(tx, business.id, UUID(user.id), "Kim", "staff", active=False)
    assert (await renaming).status_code == 404
    assert (await enter(service, user.credentials)).status_code == 401


async def test_another_role_holds_from_the_next_token_on(service: Any, business: Any, join: Join) -> None:
    user = await join(business, "manager")
    await service.call(business.token, "PATCH", f"/v1/users/{user.id}", json={"role": "staff"})
    token = (await renew(service, user.session)).json()["access_token"]
    assert (await service.verifier.verify(token)).role == "staff"


async def test_a_session_ends_where_it_is_not_used_and_ends_in_any_case(
    service: Any, business: Any, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await join(business)
    opened = clock.now()
    monkeypatch.setattr(clock, "now", lambda: opened + service.settings.session_idle + timedelta(seconds=1))
    assert (await renew(service, user.session)).status_code == 400
    session = domain.Session(
        UUID(int=1), UUID(int=2), UUID(int=3), opened, opened, opened + timedelta(days=14), None, "", ""
    )
    assert domain.is_open(session, opened, timedelta(hours=12))
    assert not domain.is_open(session, session.expires_at, timedelta(days=100))


async def test_a_changed_password_signs_out_everybody_else_and_needs_the_present_one(
    service: Any, business: Any, join: Join
) -> None:
    user = await join(business)
    elsewhere = (await enter(service, user.credentials)).json()["session_token"]
    wrong = {"current_password": "not this one at all", "new_password": OTHER}
    refused = await service.call(user.token, "PUT", "/v1/me/password", json=wrong)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "current_password")
    right = {"current_password": PASSWORD, "new_password": OTHER}
    assert (await service.call(user.token, "PUT", "/v1/me/password", json=right)).status_code == 204
    assert (await renew(service, elsewhere)).status_code == 400
    assert (await renew(service, user.session)).status_code == 200
    assert (await enter(service, user.credentials)).status_code == 401
    assert (await enter(service, {**user.credentials, "password": OTHER})).status_code == 201


async def test_who_guesses_the_present_password_waits_as_at_a_sign_in_and_the_right_one_ends_that(
    service: Any, business: Any, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await join(business)

    async def change(password: str) -> Any:
        body = {"current_password": password, "new_password": OTHER}
        return await service.call(user.token, "PUT", "/v1/me/password", json=body)

    codes = [(await change("not this one at all")).status_code for _ in range(6)]
    assert codes == [422] * 5 + [429]
    slowed = await change(PASSWORD)
    assert (slowed.status_code, slowed.json()["code"]) == (429, "too_many_attempts")
    assert "Wrong passwords were tried too often" in slowed.json()["detail"]
    later = clock.now() + timedelta(seconds=5)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert (await change(PASSWORD)).status_code == 204
    assert [(await change("not this one at all")).status_code for _ in range(5)] == [422] * 5


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short one", "password_too_short"),
        ("x" * 201, "password_too_long"),
        ("password123456", "password_too_weak"),
        ("kim.salon@example", "password_too_weak"),
        ("sunnysalon2026", "password_too_weak"),
    ],
)
def test_a_weak_password_is_refused_with_what_to_do(password: str, code: str) -> None:
    wrong = domain.check_password(password, ("kim.salon@example", "Kim", "Sunny Salon"))
    assert wrong is not None
    assert (wrong.field, wrong.code) == ("password", code)
    assert "must have" in wrong.message or "add a word" in wrong.message


@pytest.mark.parametrize("password", [PASSWORD, OTHER, "пять синих зонтов под дождём", "x9$Kq2!vLm4&"])
def test_a_few_words_are_a_password(password: str) -> None:
    assert domain.check_password(password, ("kim@salon.example", "Kim", "Salon")) is None


def test_pauses_double_up_to_a_quarter_of_an_hour() -> None:
    pauses = [domain.pause_s(failures, 5) for failures in range(3, 17)]
    assert pauses == [0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert domain.pause_s(1_000_000, 5) == 900


async def test_a_password_is_stored_as_argon2id_alone_and_made_anew_when_its_parameters_change(
    service: Any, business: Any, join: Join
) -> None:
    user = await join(business)

    async def stored() -> str:
        async with service.db.request(business.id) as tx:
            found: str = await tx.fetchval(
                "SELECT hash FROM password WHERE tenant_id = $1 AND user_id = $2", business.id, UUID(user.id)
            )
        return found

    before = await stored()
    assert before.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    changed = service.settings.model_copy(update={"tenant_hash_rounds": 2, "tenant_hash_memory_kib": 16})
    service.app.state.hasher = Hasher(changed)
    assert (await enter(service, user.credentials)).status_code == 201
    assert (await stored()).startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert (await enter(service, user.credentials)).status_code == 201


async def test_what_is_over_is_forgotten_after_a_month_and_what_holds_is_not(
    service: Any, business: Any, join: Join
) -> None:
    user = await join(business)
    gone = (await enter(service, user.credentials)).json()["session"]["id"]
    await service.call(user.token, "DELETE", f"/v1/sessions/{gone}")
    await enter(service, {**user.credentials, **WRONG})

    async def left() -> tuple[int, ...]:
        async with service.db.worker() as tx:
            return tuple([await tx.fetchval(f"SELECT count(*) FROM {name}") for name in ("session", "link", "guesses")])

    async with service.db.worker() as tx:
        await store.forget(tx, clock.now() - timedelta(days=1), 100)
    before = await left()
    async with service.db.worker() as tx:
        await store.forget(tx, clock.now() + timedelta(days=8), 100)
    assert before == (2, 1, 2)
    assert await left() == (1, 0, 0)
    assert (await renew(service, user.session)).status_code == 200


async def test_an_operator_sets_a_password_by_the_key_and_signs_in_without_a_business(
    service: Any, operator: str
) -> None:
    assert (await service.call(operator, "PUT", "/v1/me/password", json={"new_password": PASSWORD})).status_code == 204
    opened = (await enter(service, {"email": service.settings.operator_email, "password": PASSWORD})).json()
    assert (opened["tenant"], opened["user"]["role"]) == (None, "operator")
    token = (await renew(service, opened["session_token"])).json()["access_token"]
    assert (await service.call(token, "GET", "/v1/tenants")).status_code == 200
