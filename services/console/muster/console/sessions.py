"""Who a browser is: its session by a cookie, an access token of a minute by the session."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from muster.console.client import Api, ApiProblem
from muster.kit import clock

Role = Literal["admin", "manager", "staff", "operator"]

_SPARE_S = 10.0  # a token is renewed this long before its end


@dataclass(frozen=True)
class Member:
    """Somebody who is signed in. Of an operator tenant_id is "", the country "" and the time zone UTC."""

    user_id: str
    email: str
    name: str
    role: str
    tenant_id: str
    tenant_name: str
    country: str
    time_zone: str

    @classmethod
    def of(cls, me: Mapping[str, Any]) -> "Member":
        """Of the answer of GET /v1/me."""
        user, tenant = me["user"], me.get("tenant") or {}
        return cls(
            user_id=user["id"],
            email=user.get("email") or "",
            name=user.get("name") or "",
            role=me.get("role") or user["role"],
            tenant_id=tenant.get("id", ""),
            tenant_name=tenant.get("name", ""),
            country=tenant.get("country", ""),
            time_zone=tenant.get("time_zone", "UTC"),
        )


@dataclass(frozen=True)
class Access:
    """A token until a moment of the monotonic clock, and whose it is."""

    token: str
    until_s: float
    who: Member


class Sessions:
    """Access tokens by session, in memory: a process that restarts asks for them again."""

    def __init__(self, http: httpx.AsyncClient, kept_max: int) -> None:
        self._http = http
        self._kept_max = kept_max
        self._kept: OrderedDict[str, Access] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Access | None]] = {}

    async def enter(self, session: str) -> Access | None:
        """The access of a session; None where it has ended. ApiProblem where nobody can say.

        Of several requests of a session at once, one asks.
        """
        key = _key(session)
        found = self._kept.get(key)
        if found is not None and clock.monotonic() < found.until_s:
            self._kept.move_to_end(key)
            return found
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key, session))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    def forget(self, session: str) -> None:
        """Ask anew at the next request of this session."""
        self._kept.pop(_key(session), None)

    async def _ask(self, key: str, session: str) -> Access | None:
        self._kept.pop(key, None)
        form = {"grant_type": "refresh_token", "refresh_token": session}
        try:
            token = await Api(self._http).call("POST", "/v1/token", form=form)
            until_s = clock.monotonic() + max(1.0, float(token["expires_in"]) - _SPARE_S)
            me = await Api(self._http, token["access_token"]).get("/v1/me")
        except ApiProblem as problem:
            if problem.status in (400, 401):
                return None
            raise
        access = Access(token["access_token"], until_s, Member.of(me))
        self._kept[key] = access
        while len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
        return access


def _key(session: str) -> str:
    """What a session is kept under: a dump of the memory's index holds no session."""
    return hashlib.sha256(session.encode()).hexdigest()
