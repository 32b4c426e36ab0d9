"""The payment port: what a provider is asked, and the one adapter, over HTTP, that the settings describe."""

import asyncio
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

import httpx

ANSWER_BYTES_MAX: Final = 65_536
REASON_CHARS_MAX: Final = 100
_ID: Final = re.compile(r"[\x21-\x7e]{1,255}")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")
# A certain no. Every other answer of this kind is about our asking (a token, an address, a rate), not about the money.
_REFUSED: Final = frozenset({400, 402, 410, 422})


@dataclass(frozen=True, slots=True)
class Charge:
    """Money to be taken from a tenant's stored means of payment. `charge_id` is the idempotency key: taken once."""

    charge_id: UUID
    tenant_id: UUID
    amount: int
    currency: str


class Became(StrEnum):
    """What became of a charge, as far as the provider says."""

    PAID = "paid"
    FAILED = "failed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A provider's answer. OPEN: not known yet, to be asked again with the same key; `reason` says why."""

    became: Became
    payment_id: str = ""
    reason: str = ""


class Provider(Protocol):
    """Who can take money. The same charge, asked again, takes it once and is answered by what became of it."""

    async def charge(self, charge: Charge) -> Outcome:
        """Take the money, or say what became of it. Raises nothing: an answer that did not come is OPEN."""
        ...


class HttpProvider:
    """POST `url` with `{"charge_id", "tenant_id", "amount", "currency"}` and an Idempotency-Key, answered by
    `{"status": "succeeded" | "pending" | "failed", "payment_id", "reason"}`."""

    def __init__(self, url: str, token: str, timeout_s: float) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # No proxy and no redirect: the token goes where the settings say, and nowhere else.
        self._http = httpx.AsyncClient(timeout=timeout_s, headers=headers, trust_env=False, follow_redirects=False)
        self._url = url
        self._timeout_s = timeout_s

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def charge(self, charge: Charge) -> Outcome:
        """As Provider."""
        body = {
            "charge_id": str(charge.charge_id),
            "tenant_id": str(charge.tenant_id),
            "amount": charge.amount,
            "currency": charge.currency,
        }
        headers = {"Idempotency-Key": str(charge.charge_id)}
        try:
            # Over all of it: httpx bounds each step, and an answer may come in many.
            async with (
                asyncio.timeout(self._timeout_s),
                self._http.stream("POST", self._url, json=body, headers=headers) as response,
            ):
                return read(response.status_code, await _bounded(response))
        except (httpx.HTTPError, TimeoutError) as error:
            return Outcome(Became.OPEN, reason=type(error).__name__)


def read(status: int, answer: bytes) -> Outcome:
    """What an answer of the provider says; one that cannot be understood says nothing."""
    said = _object(answer)
    reason = _UNPRINTABLE.sub("?", str(said.get("reason") or f"HTTP {status}"))[:REASON_CHARS_MAX]
    if status in _REFUSED:
        return Outcome(Became.FAILED, reason=reason)
    if not 200 <= status < 300:
        return Outcome(Became.OPEN, reason=reason)
    payment_id = said.get("payment_id")
    match said.get("status"):
        case "succeeded" if isinstance(payment_id, str) and _ID.fullmatch(payment_id):
            return Outcome(Became.PAID, payment_id)
        case "failed":
            return Outcome(Became.FAILED, reason=reason)
        case "pending":
            return Outcome(Became.OPEN, reason="pending")
    return Outcome(Became.OPEN, reason="not understood")


def _object(answer: bytes) -> dict[str, Any]:
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


async def _bounded(response: httpx.Response) -> bytes:
    content = b""
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > ANSWER_BYTES_MAX:
            return b""
    return content
