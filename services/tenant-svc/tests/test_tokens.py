"""Tokens: how they are asked for, what is in them, who gets none."""

import base64
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from muster.events import NIL_TENANT
from muster.kit import clock
from muster.kit.testing import facts
from muster.tenant import store
from muster.tenant.api.keyring import Keyring
from muster.tenant.main import put_operators
from muster.tenant.settings import TenantSettings

FORM = "application/x-www-form-urlencoded"


def claims_of(token: str, jwks: dict[str, Any]) -> dict[str, Any]:
    kid = jwt.get_unverified_header(token)["kid"]
    x = next(key["x"] for key in jwks["keys"] if key["kid"] == kid)
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "="))
    return jwt.decode(token, public, algorithms=["EdDSA"], audience="muster", issuer="muster")


async def test_a_token_says_who_the_key_belongs_to_and_holds_by_the_published_keys(service: Any, business: Any) -> None:
    answer = await service.http.get("/.well-known/jwks.json")
    claims = claims_of(business.token, answer.json())
    assert claims["tenant"] == str(business.id)
    assert claims["sub"] == business.key["user_id"]
    assert (claims["role"], claims["country"]) == ("admin", "AU")
    assert claims["key"] == business.key["client_id"]
    assert claims["exp"] - claims["iat"] == 900
    assert UUID(claims["jti"]).version == 7


async def test_the_operator_of_the_environment_belongs_to_no_tenant(service: Any, operator: str) -> None:
    claims = claims_of(operator, service.keyring.jwks())
    assert (claims["tenant"], claims["role"]) == (str(NIL_TENANT), "operator")


async def test_credentials_come_by_json_form_or_basic(service: Any, operator_key: dict[str, str]) -> None:
    client_id, secret = operator_key["client_id"], operator_key["client_secret"]
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    by_form = await service.http.post("/v1/token", data=form)
    by_basic = await service.http.post("/v1/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret))
    by_json = await service.http.post("/v1/token", json=form)
    assert [answer.status_code for answer in (by_form, by_basic, by_json)] == [200, 200, 200]
    assert by_form.json().keys() == {"access_token", "token_type", "expires_in"}
    assert by_form.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("change", [{"client_secret": "wrong"}, {"client_id": "nobody"}, {"client_id": "a\x00b"}])
async def test_wrong_credentials_are_401_whichever_is_wrong(
    service: Any, operator_key: dict[str, str], change: dict[str, str]
) -> None:
    answer = await service.http.post("/v1/token", json={"grant_type": "client_credentials", **operator_key, **change})
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_client"
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("content", "content_type", "status", "field"),
    [
        (b'{"grant_type":"password","client_id":"a","client_secret":"b"}', "application/json", 400, "grant_type"),
        (b'{"client_id":"a","client_secret":"b"}', "application/json", 400, "grant_type"),
        (b'{"grant_type":"client_credentials"}', "application/json", 400, "client_id"),
        (b'{"grant_type":"client_credentials","client_id":"a","x":"b"}', "application/json", 400, "x"),
        (b'{"grant_type":5}', "application/json", 400, "body"),
        (b"[" * 4000, "application/json", 400, "body"),
        (b"{", "application/json", 422, None),
        (b"grant_type", FORM, 400, "body"),
        (b"grant_type=client_credentials", "text/plain", 415, None),
        (b"x" * 9_000, "application/json", 413, None),
    ],
)
async def test_a_request_that_is_none_names_what_is_wrong(
    service: Any, content: bytes, content_type: str, status: int, field: str | None
) -> None:
    answer = await service.http.post("/v1/token", content=content, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert field is None or answer.json()["errors"][0]["field"] == field


async def test_a_revoked_key_gets_no_token_while_its_sister_does(service: Any, business: Any) -> None:
    made = await service.call(business.token, "POST", "/v1/api-keys", json={"name": "second"})
    gone = await service.call(business.token, "DELETE", f"/v1/api-keys/{business.key['id']}")
    again = await service.call(business.token, "DELETE", f"/v1/api-keys/{business.key['id']}")
    assert (gone.status_code, again.status_code) == (204, 204)
    async with service.db.worker() as tx:
        acts = [said.message.act for said in await facts(tx, "ActRecorded")]
    assert acts.count("api-key.revoked") == 1
    assert await service.try_token(business.key) == 401
    assert await service.token(made.json())


async def test_an_expired_key_gets_no_token(service: Any, business: Any) -> None:
    now_ms = clock.unix_ms()
    soon = (clock.now() + timedelta(hours=1)).isoformat()
    body = {"name": "short", "role": "staff", "expires_at": soon}
    key = (await service.call(business.token, "POST", "/v1/api-keys", json=body)).json()
    assert await service.try_token(key) == 200
    with clock.replaced(lambda: (now_ms + 7_200_000) * 1_000_000, time.monotonic):
        assert await service.try_token(key) == 401


async def test_an_inactive_user_and_a_closed_tenant_get_no_token(
    service: Any, operator: str, new_business: Callable[..., Awaitable[Any]]
) -> None:
    one, two = await new_business(), await new_business()
    key = (await service.call(one.token, "POST", "/v1/api-keys", json={"name": "desk", "role": "staff"})).json()
    await service.call(one.token, "PATCH", f"/v1/users/{key['user_id']}", json={"active": False})
    await service.call(operator, "PATCH", f"/v1/tenants/{two.id}", json={"closed": True})
    assert await service.try_token(key) == 401
    assert await service.try_token(two.key) == 401
    assert await service.try_token(one.key) == 200


async def test_the_database_holds_no_secret_in_the_clear(service: Any, operator: str, business: Any) -> None:
    body = {"name": "kept", "tenant_id": str(business.id)}
    made = await service.call(operator, "POST", "/v1/api-keys", json=body, key="once")
    again = await service.call(operator, "POST", "/v1/api-keys", json=body, key="once")
    assert again.content == made.content
    assert again.headers["idempotent-replayed"] == "true"
    secret = made.json()["client_secret"]
    assert len(base64.urlsafe_b64decode(secret + "=")) == 32
    async with service.db.worker() as tx:
        for table in ("api_key", "member", "idempotency", "outbox", "signing_key"):
            # Twice: texts as they are, and bytes as PostgreSQL shows them.
            dump = await tx.fetchval(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t")
            assert secret not in dump
            assert secret.encode().hex() not in dump
        sealed = [sealed for _, sealed in await store.signing_keys(tx)]
    assert [len(one) for one in sealed] == [12 + 32 + 16]


async def test_last_use_is_noted(service: Any, business: Any) -> None:
    keys = (await service.call(business.token, "GET", "/v1/api-keys")).json()["items"]
    assert keys[0]["last_used_at"] is not None


async def test_several_replicas_make_one_key_and_all_tokens_hold_everywhere(service: Any) -> None:
    replicas = [Keyring(service.settings) for _ in range(3)]
    for replica in replicas:
        await replica.refresh(service.db)
    assert [replica.jwks() for replica in replicas] == [service.keyring.jwks()] * 3
    assert len(service.keyring.jwks()["keys"]) == 1


async def test_rotation_publishes_before_it_signs_and_forgets_after_the_last_token(
    service: Any, operator_key: dict[str, str]
) -> None:
    start_s = clock.unix_ms() / 1000
    day = 86_400

    async def keys_after(seconds: float) -> tuple[int, str]:
        with clock.replaced(lambda: int((start_s + seconds) * 1e9), time.monotonic):
            await service.keyring.refresh(service.db)
            token = await service.token(operator_key)
        return len(service.keyring.jwks()["keys"]), jwt.get_unverified_header(token)["kid"]

    _, first = await keys_after(0)
    assert await keys_after(29 * day) == (1, first)
    assert await keys_after(30 * day + 1) == (2, first)
    count, second = await keys_after(30 * day + 120)
    assert (count, second != first) == (2, True)
    assert await keys_after(30 * day + 7_200) == (1, second)


async def test_a_new_seal_key_makes_a_new_signing_key_and_old_tokens_still_hold(service: Any, operator: str) -> None:
    other = Keyring(TenantSettings(hash_key="22" * 32))
    await other.refresh(service.db)
    assert len(other.jwks()["keys"]) == 2
    assert claims_of(operator, other.jwks())["role"] == "operator"


async def test_the_operator_s_secret_follows_the_environment(service: Any, operator_key: dict[str, str]) -> None:
    await put_operators(service.db, TenantSettings(operator_client_secret="another", hash_key="11" * 32))
    assert await service.try_token(operator_key) == 401
    assert await service.try_token({**operator_key, "client_secret": "another"}) == 200


async def test_no_token_is_issued_before_the_signing_keys_were_read(service: Any, operator_key: dict[str, str]) -> None:
    service.app.state.keyring = Keyring(service.settings)
    answer = await service.http.get("/.well-known/jwks.json")
    assert await service.try_token(operator_key) == 503
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
