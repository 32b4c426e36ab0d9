"""Security control 5: what a token must be, and what happens while its issuer is away."""

import base64
import hashlib
import hmac
import http.client
import json
import time
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muster.kit import clock
from muster.kit.settings import ServiceSettings
from muster.kit.tokens import Caller, KeysUnavailable, Role, TokenRefused, Verifier

NOW_S = clock.unix_ms() // 1000


def verifier_of(issuer: Any, **settings: Any) -> Verifier:
    return Verifier.of(ServiceSettings(**settings), fetch=issuer.fetch)


def forged(issuer: Any, header: dict[str, Any], sign: bytes | None) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    text = f"{part(header)}.{part(issuer.claims())}"
    signature = hmac.digest(sign, text.encode(), hashlib.sha256) if sign else b""
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


async def test_a_good_token_says_who_calls(issuer: Any) -> None:
    caller = await verifier_of(issuer).verify(issuer.token())
    assert caller == Caller(caller.tenant_id, "user-1", Role.ADMIN, "mk_1")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "other"}, "audience"),
        ({"aud": ["muster"]}, "audience"),
        ({"iss": "other"}, "issuer"),
        ({"exp": NOW_S - 3_600}, "expired"),
        ({"iat": NOW_S + 3_600}, "not_yet_valid"),
        ({"nbf": NOW_S + 3_600}, "not_yet_valid"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": None}, "claims"),
        ({"iat": None}, "claims"),
        ({"sub": None}, "claims"),
        ({"aud": None}, "claims"),
        ({"iss": None}, "claims"),
        ({"tenant": None}, "claims"),
        ({"tenant": "salon"}, "claims"),
        ({"role": "owner"}, "claims"),
        ({"key": 5}, "claims"),
        ({"headers": {"jku": "https://evil.example/keys"}}, "header"),
        ({"headers": {"x5u": "https://evil.example/cert"}}, "header"),
        ({"headers": {"kid": "two"}}, "unknown_kid"),
        ({"headers": {"kid": "k" * 200}}, "unknown_kid"),
        ({"note": "x" * 5_000}, "oversized"),
    ],
)
async def test_a_token_that_is_not_for_us_is_refused(issuer: Any, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        await verifier_of(issuer).verify(issuer.token(**changes))
    assert refused.value.reason == reason


async def test_no_other_algorithm_is_let_in(issuer: Any) -> None:
    verifier = verifier_of(issuer)
    for header, sign in [
        ({"alg": "none", "kid": "one"}, None),
        ({"alg": "None", "kid": "one"}, None),
        ({"alg": "HS256", "kid": "one"}, issuer.public_bytes()),
        ({"kid": "one"}, None),
    ]:
        with pytest.raises(TokenRefused, match=r"algorithm|malformed"):
            await verifier.verify(forged(issuer, header, sign))


async def test_a_changed_signature_is_refused(issuer: Any) -> None:
    head, body, signature = issuer.token().split(".")
    other = issuer.token(role="staff").split(".")[1]
    verifier = verifier_of(issuer)
    for token in (f"{head}.{other}.{signature}", f"{head}.{body}.", "rubbish", "", "ä.ö.ü"):
        with pytest.raises(TokenRefused):
            await verifier.verify(token)


async def test_clocks_may_differ_by_a_minute_and_no_more(issuer: Any) -> None:
    verifier = verifier_of(issuer)
    now = clock.unix_ms() // 1000
    assert await verifier.verify(issuer.token(exp=now - 30, iat=now - 900))
    assert await verifier.verify(issuer.token(iat=now + 30))
    with pytest.raises(ValueError, match="token_leeway_s"):
        ServiceSettings(token_leeway_s=61)


async def test_a_remembered_token_is_refused_once_it_has_expired(issuer: Any) -> None:
    verifier, token = verifier_of(issuer), issuer.token()
    await verifier.verify(token)
    now_ms = clock.unix_ms()
    with (
        clock.replaced(lambda: (now_ms + 1_000_000) * 1_000_000, time.monotonic),
        pytest.raises(TokenRefused, match="expired"),
    ):
        await verifier.verify(token)


@pytest.mark.parametrize(
    "answer",
    [
        ConnectionRefusedError("down"),
        TimeoutError(),
        http.client.BadStatusLine("rubbish"),
        {},
        {"keys": []},
        {"keys": None},
        {"keys": ["x"]},
        {"keys": [{"kty": "RSA", "kid": "one"}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "short"}]},
        {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one"}]},
    ],
    ids=str,
)
async def test_known_keys_serve_while_the_issuer_is_away_or_answers_rubbish(issuer: Any, answer: Any) -> None:
    verifier = verifier_of(issuer, jwks_kept_s=1, jwks_retry_s_min=0)
    await verifier.verify(issuer.token())
    issuer.answer = answer
    hour = time.monotonic() + 3_600
    with clock.replaced(time.time_ns, lambda: hour):
        for subject in ("a", "b"):
            assert (await verifier.verify(issuer.token(sub=subject))).user_id == subject


async def test_the_first_keys_are_asked_for_again_within_a_second_and_later_ones_at_the_set_rate(issuer: Any) -> None:
    verifier = verifier_of(issuer, jwks_retry_s_min=10)
    start = time.monotonic()

    async def asked_at(seconds: float, kid: str) -> int:
        with clock.replaced(time.time_ns, lambda: start + seconds), suppress(KeysUnavailable, TokenRefused):
            await verifier.verify(issuer.token(headers={"kid": kid}))
        return issuer.asked

    issuer.answer = ConnectionRefusedError("not up yet")
    assert [await asked_at(at, "one") for at in (0, 0.9, 1.1)] == [1, 1, 2]
    issuer.answer = None
    assert [await asked_at(at, "one") for at in (2.2, 3.3)] == [3, 3]
    assert [await asked_at(at, "unknown") for at in (3.3, 12.1, 12.3)] == [3, 3, 4]


async def test_without_ever_having_had_keys_it_cannot_be_told(issuer: Any) -> None:
    issuer.answer = ConnectionRefusedError("down")
    with pytest.raises(KeysUnavailable):
        await verifier_of(issuer).verify(issuer.token())


async def test_a_new_key_of_the_issuer_is_fetched_when_it_is_first_seen(issuer: Any) -> None:
    verifier = verifier_of(issuer, jwks_retry_s_min=0)
    await verifier.verify(issuer.token())
    issuer.keys["two"] = Ed25519PrivateKey.generate()
    assert await verifier.verify(issuer.token(kid="two"))
    assert issuer.asked == 2


async def test_a_flood_of_unknown_kids_asks_the_issuer_once(issuer: Any) -> None:
    verifier = verifier_of(issuer)
    await verifier.verify(issuer.token())
    for number in range(50):
        with pytest.raises(TokenRefused, match="unknown_kid"):
            await verifier.verify(issuer.token(headers={"kid": f"k{number}"}))
    assert issuer.asked == 1


async def test_what_is_remembered_is_bounded(issuer: Any) -> None:
    verifier = verifier_of(issuer, token_cache_max=10)
    for number in range(30):
        await verifier.verify(issuer.token(sub=f"u{number}"))
    assert len(verifier._known) == 10
