"""Access tokens: JWT signed by EdDSA (Ed25519), checked with the issuer's JWKS. No framework in here.

Claims: iss, aud, sub (user id), tenant (UUID), role, key (client id), session (its id), iat, exp, jti.
"""

import asyncio
import base64
import http.client
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from muster.kit import clock, metrics, observe
from muster.kit.settings import ServiceSettings

log = observe.logger(__name__)

ALGORITHM = "EdDSA"
_KID_CHARS_MAX = 128
# Nobody gets in before the first keys: services start in any order, and the issuer may be the last.
_FIRST_RETRY_S = 1.0
_HEADERS_REFUSED = frozenset({"jku", "x5u", "jwk", "x5c", "crit", "b64"})
_NEVER_S = 1 << 40
_REQUIRED = ("iss", "aud", "sub", "exp", "iat", "tenant", "role")


class Role(StrEnum):
    """What a user may do. The operator runs the platform and has no rights within a tenant."""

    OPERATOR = "operator"
    ADMIN = "admin"
    MANAGER = "manager"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: from the token alone. `key_id` is the client id of the API key, "" where there is none; `expires_s`
    is when the token does, in seconds since 1970, for answers that last longer than a request; `country` that of the
    business, by which its people write numbers, "" where the token does not say; `session_id` is the session that a
    person signed in by, "" for an API key."""

    tenant_id: UUID
    user_id: str
    role: Role
    key_id: str
    expires_s: int = field(default=_NEVER_S, compare=False)
    country: str = field(default="", compare=False)
    session_id: str = field(default="", compare=False)


class TokenRefused(Exception):
    """The token does not hold: 401. `reason` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeysUnavailable(Exception):
    """The issuer's keys were never to be had yet: 503."""


Fetch = Callable[[], Awaitable[Mapping[str, Any]]]


class Keys:
    """The issuer's public keys by kid: kept while the issuer is away, asked for again at a limited rate.

    `fetch` gives a JWKS document. One request at a time, and none sooner than `retry_s_min` after the last; than a
    second, while there were no keys yet.
    """

    def __init__(self, fetch: Fetch, *, kept_s: float, retry_s_min: float) -> None:
        self._fetch = fetch
        self._kept_s = kept_s
        self._retry_s_min = retry_s_min
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    async def get(self, kid: str) -> Ed25519PublicKey | None:
        """The key, None if the issuer has no such key; KeysUnavailable before the first answer."""
        key = self._keys.get(kid)
        if key is None:
            await self._refresh()
            if self._fetched_at is None:
                raise KeysUnavailable
            return self._keys.get(kid)
        if self._is_stale() and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._refresh())
        return key

    def _is_stale(self) -> bool:
        return self._fetched_at is None or clock.monotonic() - self._fetched_at > self._kept_s

    async def _refresh(self) -> None:
        async with self._lock:
            wait_s = self._retry_s_min if self._keys else min(self._retry_s_min, _FIRST_RETRY_S)
            if self._tried_at is not None and clock.monotonic() - self._tried_at < wait_s:
                return
            self._tried_at = clock.monotonic()
            try:
                self._keys = _public_keys(await self._fetch())
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
                metrics.jwks_refreshes.labels("failed").inc()
                log.warning("jwks.refresh_failed", exc_info=error)
                return
            self._fetched_at = clock.monotonic()
            metrics.jwks_refreshes.labels("ok").inc()


class Verifier:
    """Tells who a token speaks for. Tokens that held once are remembered by SHA-256 until they expire."""

    def __init__(
        self,
        keys: Keys,
        *,
        issuer: str,
        audience: str = "muster",
        leeway_s: int = 60,
        bytes_max: int = 4_096,
        cache_max: int = 10_000,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway_s = leeway_s
        self._bytes_max = bytes_max
        self._cache_max = cache_max
        self._known: OrderedDict[bytes, tuple[Caller, int]] = OrderedDict()

    @classmethod
    def of(cls, settings: ServiceSettings, fetch: Fetch | None = None) -> "Verifier":
        """A verifier by settings; `fetch` replaces the request to MUSTER_JWKS_URL."""
        keys = Keys(fetch or _fetch_from(settings), kept_s=settings.jwks_kept_s, retry_s_min=settings.jwks_retry_s_min)
        return cls(
            keys,
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            leeway_s=settings.token_leeway_s,
            bytes_max=settings.token_bytes_max,
            cache_max=settings.token_cache_max,
        )

    async def verify(self, token: str) -> Caller:
        """The caller; TokenRefused, or KeysUnavailable where it cannot be told."""
        if len(token) > self._bytes_max:
            raise TokenRefused("oversized")
        digest = sha256(token.encode("utf-8", "replace")).digest()
        caller = self._remembered(digest)
        if caller is None:
            claims = await self._claims(token)
            caller = _caller(claims)
            self._remember(digest, caller, claims["exp"])
        return caller

    def _remembered(self, digest: bytes) -> Caller | None:
        known = self._known.get(digest)
        if known is None:
            return None
        caller, expires_s = known
        if expires_s + self._leeway_s <= _now_s():
            del self._known[digest]
            raise TokenRefused("expired")
        return caller

    def _remember(self, digest: bytes, caller: Caller, expires_s: int) -> None:
        self._known[digest] = (caller, expires_s)
        if len(self._known) > self._cache_max:
            self._known.popitem(last=False)

    async def _claims(self, token: str) -> dict[str, Any]:
        key = await self._keys.get(_kid(token))
        if key is None:
            raise TokenRefused("unknown_kid")
        options: Any = {
            "require": list(_REQUIRED),
            "strict_aud": True,
            # Times are judged by the kit's clock below.
            **dict.fromkeys(("verify_exp", "verify_iat", "verify_nbf"), False),
        }
        try:
            claims = jwt.decode(
                token, key, algorithms=[ALGORITHM], audience=self._audience, issuer=self._issuer, options=options
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(_reason(error)) from error
        self._check_times(claims)
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now_s = _now_s()
        times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
        if not all(type(value) is int for value in times.values()):
            raise TokenRefused("malformed")
        if times["exp"] + self._leeway_s <= now_s:
            raise TokenRefused("expired")
        if max(times["iat"], times.get("nbf", 0)) > now_s + self._leeway_s:
            raise TokenRefused("not_yet_valid")


def _kid(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenRefused("malformed") from error
    if header.get("alg") != ALGORITHM:
        raise TokenRefused("algorithm")
    if _HEADERS_REFUSED & header.keys():
        raise TokenRefused("header")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _KID_CHARS_MAX:
        raise TokenRefused("unknown_kid")
    return kid


def _caller(claims: Mapping[str, Any]) -> Caller:
    try:
        key_id, country, session = (claims.get(name, "") for name in ("key", "country", "session"))
        if not all(isinstance(text, str) for text in (key_id, country, session)):
            raise TokenRefused("claims")
        role = Role(claims["role"])
        return Caller(UUID(claims["tenant"]), claims["sub"], role, key_id, claims["exp"], country, session)
    except (ValueError, AttributeError, TypeError) as error:
        raise TokenRefused("claims") from error


def _reason(error: jwt.PyJWTError) -> str:
    known: dict[type[jwt.PyJWTError], str] = {
        jwt.InvalidAudienceError: "audience",
        jwt.InvalidIssuerError: "issuer",
        jwt.InvalidSignatureError: "signature",
        jwt.MissingRequiredClaimError: "claims",
        jwt.InvalidAlgorithmError: "algorithm",
    }
    return known.get(type(error), "malformed")


def _now_s() -> float:
    return clock.unix_ms() / 1000


def _public_keys(document: Mapping[str, Any]) -> dict[str, Ed25519PublicKey]:
    """The Ed25519 keys of a JWKS (RFC 8037); others are not for us.

    ValueError, KeyError, TypeError or AttributeError on rubbish, and where there is none: an issuer without keys is
    one that has lost them, and those that are known serve on.
    """
    ours = [key for key in document["keys"] if key.get("kty") == "OKP" and key.get("crv") == "Ed25519"]
    if not ours:
        raise ValueError("the issuer has no Ed25519 key")
    return {str(key["kid"]): Ed25519PublicKey.from_public_bytes(_unbase64(key["x"])) for key in ours}


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _fetch_from(settings: ServiceSettings) -> Fetch:
    async def fetch() -> Mapping[str, Any]:
        return await asyncio.to_thread(_get, settings.jwks_url, settings.jwks_timeout_s, settings.jwks_bytes_max)

    return fetch


def _get(url: str, timeout_s: float, bytes_max: int) -> Mapping[str, Any]:
    """GET of a JSON object: no redirects, no proxies, bounded in time and size. OSError, HTTPException, ValueError."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ValueError("MUSTER_JWKS_URL is not an http(s) address")
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=timeout_s)
    try:
        connection.request("GET", parts.path or "/", headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read(bytes_max + 1)
    finally:
        connection.close()
    if response.status != 200 or len(body) > bytes_max:
        raise ValueError(f"the issuer answered {response.status} with {len(body)} bytes")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("the issuer's keys are not a JSON object")
    return document
