"""An operator suspends a tenant and stops the platform, while a real sender sends."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import dispatch_world as world
import httpx
import pytest
from dispatch_world import Send

from muster.dispatch.api import ROUTERS
from muster.dispatch.handlers import suspending, sweeps
from muster.events import NIL_TENANT
from muster.kit import metrics
from muster.kit.auth import Caller, Role
from muster.kit.pg import Database
from muster.kit.testing import app_of, eventually
from muster.kit.tokens import TokenRefused
from muster.local.carrier.server import Carrier

CALLERS = {
    "operator": Caller(NIL_TENANT, "op", Role.OPERATOR, ""),
    "admin": Caller(uuid4(), "ada", Role.ADMIN, ""),
}
OPS = "/v1/ops/dispatch"


class Verifier:
    async def verify(self, token: str) -> Caller:
        if token not in CALLERS:
            raise TokenRefused("unknown")
        return CALLERS[token]


@pytest.fixture
def stop_wait_s() -> float:
    """How long a stop waits for exact counts: here, for as long as a busy machine may take."""
    return 20.0


@pytest.fixture
async def http(db: Database, stop_wait_s: float) -> AsyncIterator[httpx.AsyncClient]:
    conf = world.settings(dispatch_stop_wait_s=stop_wait_s)
    app = app_of("dispatch", ROUTERS, {"db": db, "verifier": Verifier(), "settings": conf})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dispatch") as client:
        yield client


async def act(http: httpx.AsyncClient, below: str, *, by: str = "operator", key: str = "", **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {by}", **({"Idempotency-Key": key} if key else {})}
    return await http.post(f"{OPS}/{below}", headers=headers, json=body or {"reason": "fraud"})


async def get(http: httpx.AsyncClient, below: str) -> Any:
    answer = await http.get(f"{OPS}/{below}", headers={"Authorization": "Bearer operator"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def submitted(carrier: Carrier, count: int) -> bool:
    return carrier.stats.submits >= count


def of_tenant(send: Send) -> tuple[str, str]:
    return f"tenants/{send.tenant_id}/suspend", f"tenants/{send.tenant_id}/reinstate"


def of_platform(_: Send) -> tuple[str, str]:
    return "platform/stop", "platform/start"


@pytest.mark.parametrize("paths", [of_tenant, of_platform])
async def test_nothing_leaves_after_the_answer_and_when_it_is_lifted_nobody_gets_it_twice(
    db: Database, carrier: Carrier, http: httpx.AsyncClient, paths: Any
) -> None:
    send = Send(recipients=400)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=50))
    suspend, lift = paths(send)

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=20)):
        await eventually(lambda: submitted(carrier, 40))
        suspended = await act(http, suspend)
        sent = len(carrier.stats.by_destination)
        # Longer than the carrier takes to answer a window: what left would show.
        await asyncio.sleep(0.2)
        assert (suspended.status_code, len(carrier.stats.by_destination)) == (200, sent)
        assert (await world.saga(db, send))["state"] == "sending", "the send itself was not touched"
        assert (await act(http, lift)).status_code == 200
        await eventually(partial(world.closed, db, send))

    assert set(carrier.stats.by_destination.values()) == {1}
    assert await world.money(db, send) == (400, 400, 0, 0)
    await world.assert_laws(db)


@pytest.mark.parametrize("stop_wait_s", [0.2])
async def test_a_suspension_answers_202_while_the_carrier_owes_answers(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    send = Send(recipients=100)
    await world.queue(db, send)
    carrier.pause()

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=10)):
        await eventually(lambda: submitted(carrier, 10))
        answer = await act(http, f"tenants/{send.tenant_id}/suspend")
        carrier.resume()

    assert (answer.status_code, answer.json()["suspended"]) == (202, True)
    assert len(carrier.stats.by_destination) == 10


async def test_another_tenant_sends_on(db: Database, carrier: Carrier, http: httpx.AsyncClient) -> None:
    send, other = Send(recipients=10), Send(recipients=10, sender="+61400000002", first_number=61_412_000_000)
    for one in (send, other):
        await world.queue(db, one)
    await act(http, f"tenants/{send.tenant_id}/suspend")

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, other))

    assert sorted(carrier.stats.by_destination) == [str(number) for number in other.numbers]
    assert not await world.closed(db, send)


async def test_what_is_queued_ends_at_its_send_by_and_its_credits_come_back(
    db: Database, http: httpx.AsyncClient
) -> None:
    send = Send(recipients=10)
    await world.queue(db, send)
    await act(http, f"tenants/{send.tenant_id}/suspend")

    async with db.worker() as tx:
        await tx.execute("UPDATE attempt SET send_by = kit_now()")
        await tx.execute("UPDATE saga SET send_by = kit_now()")
    await world.sweep(db)

    assert await world.closed(db, send)
    assert await world.money(db, send) == (10, 0, 10, 0)


async def test_a_suspension_is_said_and_kept_in_the_tenant_s_audit_log_with_its_reason(
    db: Database, http: httpx.AsyncClient
) -> None:
    send = Send(recipients=1)
    await world.hear(db, world.tenant(send))

    first = await act(http, f"tenants/{send.tenant_id}/suspend", reason="a burst of complaints")
    await act(http, f"tenants/{send.tenant_id}/suspend", reason="again")
    await act(http, f"tenants/{send.tenant_id}/reinstate", reason="looked into")

    said = await world.said(db, "SuspensionChanged")
    assert [(one.tenant_id, one.version, one.suspended, one.reason) for one in said] == [
        (str(send.tenant_id), 1, True, "a burst of complaints"),
        (str(send.tenant_id), 2, False, "looked into"),
    ]
    acts = [(one.act, one.tenant_id, one.user_id, one.reason) for one in await world.said(db, "ActRecorded")]
    assert acts == [
        ("tenant.suspended", str(send.tenant_id), "op", "a burst of complaints"),
        ("tenant.suspended", str(send.tenant_id), "op", "again"),
        ("tenant.reinstated", str(send.tenant_id), "op", "looked into"),
    ]
    assert first.json()["reason"] == "a burst of complaints"


async def test_the_operator_sees_who_is_suspended_and_how_the_platform_stands(
    db: Database, http: httpx.AsyncClient
) -> None:
    sends = [Send(recipients=1) for _ in range(3)]
    for send in sends:
        await world.hear(db, world.tenant(send))
        await act(http, f"tenants/{send.tenant_id}/suspend")
    await act(http, f"tenants/{sends[0].tenant_id}/reinstate")
    assert (await get(http, "platform"))["stopped"] is False

    await act(http, "platform/stop", reason="a flood")
    await sweeps.count_suspensions(db)

    first = await get(http, "suspensions?limit=1")
    second = await get(http, f"suspensions?limit=5&cursor={first['next_cursor']}")
    listed = [UUID(one["tenant_id"]) for one in first["items"] + second["items"]]
    assert listed == sorted(send.tenant_id for send in sends[1:]), "the platform is not a tenant"
    platform = await get(http, "platform")
    assert (platform["stopped"], platform["reason"], platform["user_id"]) == (True, "a flood", "op")
    assert metrics.suspended.labels("tenant")._value.get() == 2
    assert metrics.suspended.labels("platform")._value.get() == 1


async def test_all_suspensions_are_said_again_by_who_takes_over(db: Database, http: httpx.AsyncClient) -> None:
    send = Send(recipients=1)
    await world.hear(db, world.tenant(send))
    await act(http, f"tenants/{send.tenant_id}/suspend")
    await act(http, "platform/stop")
    await act(http, "platform/start")
    before = await world.said(db, "SuspensionChanged")

    async with db.worker() as tx:
        await suspending.say_again(tx)

    again = (await world.said(db, "SuspensionChanged"))[len(before) :]
    assert [(one.tenant_id, one.version, one.suspended) for one in again] == [
        (str(NIL_TENANT), 2, False),
        (str(send.tenant_id), 1, True),
    ]


async def test_bad_requests_change_nothing(db: Database, http: httpx.AsyncClient) -> None:
    send = Send(recipients=1)
    await world.hear(db, world.tenant(send))
    mine = f"tenants/{send.tenant_id}/suspend"

    assert (await act(http, f"tenants/{uuid4()}/suspend")).status_code == 404
    assert (await act(http, mine, reason="  ")).status_code == 422
    assert (await act(http, mine, reason="x" * 201)).status_code == 422
    assert (await act(http, mine, by="admin")).status_code == 403
    assert (await act(http, "platform/stop", by="nobody")).status_code == 401

    assert await world.said(db, "SuspensionChanged", "ActRecorded") == []


async def test_a_repeated_request_with_its_key_is_one_act(db: Database, http: httpx.AsyncClient) -> None:
    first = await act(http, "platform/stop", key="k")
    await act(http, "platform/start")
    second = await act(http, "platform/stop", key="k")

    assert second.headers["Idempotent-Replayed"] == "true"
    assert (first.json()["stopped"], second.json()["stopped"]) == (True, False), "what counts is how it stands now"
    assert len(await world.said(db, "ActRecorded")) == 2
