"""Senders that adopt accounts, and an operator who makes and changes them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dispatch_world as world
import httpx

import muster.dispatch.sender.pool
from muster.dispatch.api import ROUTERS
from muster.dispatch.handlers.routes import say_platform
from muster.dispatch.sender.pool import Pool
from muster.events import NIL_TENANT
from muster.kit.auth import Caller, Role
from muster.kit.pg import Database
from muster.kit.process import Process
from muster.kit.testing import app_of
from muster.kit.tokens import TokenRefused

CALLERS = {
    "operator": Caller(NIL_TENANT, "op", Role.OPERATOR, ""),
    "admin": Caller(NIL_TENANT, "ada", Role.ADMIN, ""),
}


def settings(**members: Any) -> Any:
    """Nothing listens where the environment's own account is; others may be on this machine."""
    given = {"carrier_port": 1, "carrier_networks": "127.0.0.0/8", "dispatch_account_look_s": 0.05, **members}
    return world.settings(dispatch_adopt_s=0.05, **given)


@asynccontextmanager
async def senders(db: Database, count: int, conf: Any) -> AsyncIterator[list[Process[Any]]]:
    """So many sender processes, in this one."""
    processes: list[Process[Any]] = [Process(conf) for _ in range(count)]
    tasks = [asyncio.create_task(Pool(process, db, "dispatch").run()) for process in processes]
    try:
        yield processes
    finally:
        for process, task in zip(processes, tasks, strict=True):
            process.stop()
            await asyncio.wait_for(task, 120)
            await process.close()
    assert not any(process.failed for process in processes)


async def _all_is_read(*_: object, **__: object) -> None:
    """No broker: what was said of suppressions is known."""


def without_kafka(monkeypatch: Any) -> None:
    """Senders claim at once."""
    monkeypatch.setattr(muster.dispatch.sender.pool, "wait_until_read", _all_is_read)


class _Verifier:
    async def verify(self, token: str) -> Caller:
        if token not in CALLERS:
            raise TokenRefused("unknown")
        return CALLERS[token]


class Operator:
    """Who speaks to `/v1/carriers`, or to what else is asked for."""

    def __init__(self, client: httpx.AsyncClient, base: str = "/v1/carriers") -> None:
        self._client = client
        self._base = base

    def at(self, base: str) -> "Operator":
        """The same, speaking to something else."""
        return Operator(self._client, base)

    async def __call__(
        self, method: str, path: str, body: Any = None, *, key: str = "", caller: str = "operator"
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {caller}", **({"Idempotency-Key": key} if key else {})}
        return await self._client.request(method, f"{self._base}{path}", json=body, headers=headers)

    async def standing(self, account: str) -> dict[str, Any]:
        """How an account stands."""
        answer = await self("GET", f"/{account}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["standing"])

    async def create(self, account: str, port: int, **members: Any) -> dict[str, Any]:
        """A new account at a carrier on this machine."""
        smpp = {"host": "127.0.0.1", "port": port, "system_id": "muster", **members.pop("smpp", {})}
        body = {"account": account, "smpp": smpp, "password": "muster", **members}
        answer = await self("POST", "", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def change(self, account: str, **members: Any) -> dict[str, Any]:
        """A change of it."""
        answer = await self("PATCH", f"/{account}", members)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@asynccontextmanager
async def operator(db: Database, conf: Any) -> AsyncIterator[Operator]:
    """An operator at the API."""
    app = app_of("dispatch", ROUTERS, {"db": db, "verifier": _Verifier(), "settings": conf})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dispatch") as client:
        yield Operator(client)


async def route_to(db: Database, account: str) -> None:
    """All that comes from now on goes by this account."""
    async with db.worker() as tx:
        await say_platform(tx, account, 8, 0)
