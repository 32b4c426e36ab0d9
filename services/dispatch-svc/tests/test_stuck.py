"""What waits too long is counted, listed and resolved by the operator, with a reason that is kept."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import dispatch_world as world
import httpx
import pytest
from dispatch_world import Send

from muster.dispatch.api import ROUTERS
from muster.dispatch.domain.waits import PATIENCE_S, Wait
from muster.dispatch.handlers import sweeps
from muster.events import NIL_TENANT
from muster.events.v1.credits_pb2 import CreditsRefused
from muster.kit import metrics
from muster.kit.auth import Caller, Role
from muster.kit.desk import Desk
from muster.kit.pg import Database
from muster.kit.testing import app_of

TENANT = uuid4()
ROLES = {"operator": Role.OPERATOR, "admin": Role.ADMIN, "staff": Role.STAFF}


class Verifier:
    async def verify(self, token: str) -> Caller:
        role = ROLES[token]
        return Caller(NIL_TENANT if role is Role.OPERATOR else TENANT, token, role, "")


@pytest.fixture
async def http(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    state = {"db": db, "verifier": Verifier(), "settings": world.settings(), "desk": Desk(db)}
    app = app_of("dispatch", ROUTERS, state)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dispatch") as client:
        yield client


async def stuck(http: httpx.AsyncClient, by: str = "operator", **query: Any) -> list[dict[str, Any]]:
    answer = await http.get("/v1/ops/dispatch/stuck", params=query, headers={"Authorization": f"Bearer {by}"})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def resolve(
    http: httpx.AsyncClient, send: Send, action: str, reason: str = "looked", by: str = "operator", **headers: str
) -> httpx.Response:
    return await http.post(
        f"/v1/ops/dispatch/bulks/{send.tenant_id}/{send.bulk_id}/resolution",
        json={"action": action, "reason": reason},
        headers={"Authorization": f"Bearer {by}", **headers},
    )


def refused(send: Send) -> CreditsRefused:
    return CreditsRefused(tenant_id=str(send.tenant_id), bulk_id=str(send.bulk_id))


async def parked(db: Database, recipients: int = 10) -> Send:
    """A send of which two facts contradict each other."""
    send = Send(recipients=recipients, tenant_id=TENANT)
    await world.queue(db, send)
    await world.hear(db, refused(send))
    return send


async def test_a_parked_send_is_listed_told_to_the_user_and_let_go_on_with_a_reason(
    db: Database, http: httpx.AsyncClient
) -> None:
    send = await parked(db)

    [row] = await stuck(http)
    assert (row["waits_for"], row["parked"], row["bulk_id"]) == (
        "parked", "refused after it was reserved", str(send.bulk_id),
    )  # fmt: skip
    [paused] = await world.said(db, "BulkSmsControlled")
    assert (paused.control_version, paused.reason) == (1, "parked")
    answer = await resolve(http, send, "unpark", "credit-svc was asked: the reservation stands")

    assert (answer.status_code, answer.json()["state"], answer.json()["waits_for"]) == (200, "sending", None)
    assert await stuck(http) == []
    [act] = await world.said(db, "ActRecorded")
    assert (act.tenant_id, act.act, act.reason) == (
        str(TENANT), "bulk-sms.unparked", "credit-svc was asked: the reservation stands",
    )  # fmt: skip
    assert (await world.said(db, "BulkSmsControlled"))[-1].reason == "operator"
    again = await resolve(http, send, "unpark")
    assert (again.status_code, again.json()["code"]) == (409, "not_parked")


async def test_the_operator_ends_a_send_and_its_credits_come_back(db: Database, http: httpx.AsyncClient) -> None:
    send = await parked(db)

    answer = await resolve(http, send, "end", **{"Idempotency-Key": "k"})
    same = await resolve(http, send, "end", **{"Idempotency-Key": "k"})
    await world.sweep(db)

    assert (answer.status_code, same.status_code, same.headers["Idempotent-Replayed"]) == (200, 200, "true")
    assert (await world.saga(db, send))["state"] == "closed"
    assert await world.money(db, send) == (10, 0, 10, 0)
    assert [one.reason for one in await world.said(db, "BulkSmsControlled")] == ["parked", "operator"]
    assert len(await world.said(db, "ActRecorded")) == 1
    assert (await resolve(http, send, "end")).json()["code"] == "already_ended"


async def test_a_chunk_that_never_came_is_given_up_and_the_rest_is_sent_first(
    db: Database, http: httpx.AsyncClient
) -> None:
    send = Send(recipients=20, chunk_size=10, tenant_id=TENANT)
    await world.hear(db, world.tenant(send), send.requested(), send.chunk(1), send.reserved())
    [row] = await stuck(http, waits_for="chunks", older_than_s=0)
    assert (row["chunks"], row["chunks_arrived"]) == (2, 1)

    answer = await resolve(http, send, "give_up_chunks")

    assert (answer.status_code, answer.json()["state"]) == (200, "sending")
    assert (await resolve(http, send, "give_up_chunks")).json()["code"] == "nothing_missing"
    await resolve(http, send, "end")
    await world.sweep(db)
    saga = await world.saga(db, send)
    assert (saga["state"], saga["stopped"], saga["released"]) == ("closed", 20, 20)


async def test_totals_are_said_again_at_once(db: Database, http: httpx.AsyncClient) -> None:
    send = await parked(db)
    assert (await resolve(http, send, "say_totals")).json()["code"] == "nothing_said"
    await resolve(http, send, "end")
    before = await world.said(db, "BulkSmsAccounted")

    answer = await resolve(http, send, "say_totals")

    after = await world.said(db, "BulkSmsAccounted")
    assert answer.status_code == 200
    assert after[:-1] == before
    assert (after[-1].version, after[-1].released) == (before[-1].version, before[-1].released)


@pytest.mark.parametrize("by", ["admin", "staff"])
async def test_only_the_operator_sees_and_resolves(db: Database, http: httpx.AsyncClient, by: str) -> None:
    send = await parked(db)

    listed = await http.get("/v1/ops/dispatch/stuck", headers={"Authorization": f"Bearer {by}"})

    assert (listed.status_code, (await resolve(http, send, "unpark", by=by)).status_code) == (403, 403)
    assert (await world.saga(db, send))["parked"]


@pytest.mark.parametrize(("action", "reason", "field"), [("end", "  ", "reason"), ("burn", "why", "action")])
async def test_a_resolution_needs_a_reason_and_a_known_action(
    db: Database, http: httpx.AsyncClient, action: str, reason: str, field: str
) -> None:
    send = await parked(db)

    answer = await resolve(http, send, action, reason)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert await world.said(db, "ActRecorded") == []


async def test_a_send_that_is_not_there_is_not_made(db: Database, http: httpx.AsyncClient) -> None:
    assert (await resolve(http, Send(recipients=1, tenant_id=TENANT), "end")).status_code == 404
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM saga") == 0


async def test_what_waits_is_a_metric_by_what_it_waits_for(db: Database) -> None:
    await parked(db)
    waiting = Send(recipients=5, tenant_id=TENANT)
    await world.hear(db, waiting.requested(), waiting.chunk(1))

    await sweeps.count_waits(db)

    def shown(wait: Wait) -> float:
        return float(metrics.sends_waiting.labels(wait)._value.get())

    counts = {wait.value: shown(wait) for wait in PATIENCE_S if shown(wait)}
    assert counts == {"parked": 1, "credits": 1}
    assert metrics.sends_waiting_oldest_seconds.labels(Wait.PARKED)._value.get() > 0


def test_every_kind_of_wait_has_its_patience() -> None:
    assert set(PATIENCE_S) == set(Wait) - {Wait.NOTHING}
