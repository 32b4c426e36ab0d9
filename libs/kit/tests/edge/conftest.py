"""A signer of tokens as an issuer has it, and apps of the kit without any service around them."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter

from muster.kit import clock
from muster.kit.http import create_app

TENANT = UUID("0192a000-0000-7000-8000-000000000001")


@dataclass
class Issuer:
    """Issues tokens and serves the keys for them; `answer` is what it serves, or raises, instead."""

    keys: dict[str, Ed25519PrivateKey] = field(default_factory=lambda: {"one": Ed25519PrivateKey.generate()})
    answer: Any = None
    asked: int = 0

    async def fetch(self) -> dict[str, Any]:
        """The JWKS document."""
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if self.answer is not None else {"keys": [self.jwk(kid) for kid in self.keys]}

    def jwk(self, kid: str) -> dict[str, str]:
        """One public key."""
        x = base64.urlsafe_b64encode(self.public_bytes(kid)).decode().rstrip("=")
        return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x, "use": "sig", "alg": "EdDSA"}

    def public_bytes(self, kid: str = "one") -> bytes:
        """The raw public key."""
        return self.keys[kid].public_key().public_bytes_raw()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What a good token says; a change to None leaves the claim out."""
        now = clock.unix_ms() // 1000
        good = {
            "iss": "muster", "aud": "muster", "sub": "user-1", "tenant": str(TENANT), "role": "admin",
            "key": "mk_1", "iat": now, "exp": now + 900,
        }  # fmt: skip
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def token(self, *, kid: str = "one", headers: dict[str, Any] | None = None, **changes: Any) -> str:
        """A signed token."""
        header = {"kid": kid, **(headers or {})}
        return jwt.encode(self.claims(**changes), self.keys[kid], algorithm="EdDSA", headers=header)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """A factory: the HTTP client of an app with this router and state."""
    async with AsyncExitStack() as stack:

        def make(router: APIRouter, **state: Any) -> httpx.AsyncClient:
            app = create_app("kit", routers=[router], state=state)
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://muster")
            stack.push_async_callback(client.aclose)
            return client

        yield make
