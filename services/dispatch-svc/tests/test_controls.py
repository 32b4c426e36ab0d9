"""Stop, pause and resume over HTTP, while a real sender sends."""

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
from muster.dispatch.handlers import carriers, sweeps
from muster.events import NIL_TENANT
from muster.events.v1 import common_pb2
from muster.events.v1.bulk_pb2 import BulkSmsWithdrawn
from muster.events.v1.credits_pb2 import CreditsSettled
from muster.kit.auth import Caller, Role
from muster.kit.ids import checked_uuid
from muster.kit.pg import Database
from muster.kit.testing import app_of, eventually
from muster.kit.tokens import TokenRefused
from muster.local.carrier.server import Carrier

TENANT, OTHER = uuid4(), uuid4()
CALLERS = {
    "operator": Caller(NIL_TENANT, "op", Role.OPERATOR, ""),
    "manager": Caller(TENANT, "mia", Role.MANAGER, ""),
    "staff": Caller(TENANT, "sam", Role.STAFF, ""),
    "other": Caller(OTHER, "ole", Role.ADMIN, ""),
}


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


async def control(
    http: httpx.AsyncClient, bulk_id: UUID, act: str, caller: str = "manager", key: str | None = None
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {caller}", **({"Idempotency-Key": key} if key else {})}
    return await http.post(f"/v1/bulk-sms/{bulk_id}/{act}", headers=headers)


async def test_a_stop_in_the_middle_answers_exact_counts_and_gives_the_unsent_credits_back(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    send = Send(recipients=1_000, tenant_id=TENANT)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=100))

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=50)):
        await eventually(lambda: submitted(carrier, 100))
        answer = await control(http, send.bulk_id, "stop")
        sent = len(carrier.stats.by_destination)
        await eventually(lambda: swept_and_closed(db, send))

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["state"] == "closed"
    assert body["counts"]["accepted"] == sent == len(carrier.stats.by_destination)
    assert body["counts"]["stopped"] == 1_000 - sent
    assert body["counts"]["queued"] == body["counts"]["submitting"] == 0
    assert body["credits"] == {"reserved": 1_000, "used": sent, "released": 1_000 - sent, "held": 0}
    assert await world.lefts(db, send) == {
        common_pb2.LEFT_ACCEPTED: sent,
        common_pb2.LEFT_STOPPED: 1_000 - sent,
    }
    assert await world.money(db, send) == (1_000, sent, 1_000 - sent, 0)
    [said] = await world.said(db, "BulkSmsControlled")
    assert (said.control_version, said.user_id) == (1, "mia")
    [act] = await world.said(db, "ActRecorded")
    assert (act.act, act.subject_id) == ("bulk-sms.stopped", str(send.bulk_id))
    totals = await world.said(db, "BulkSmsAccounted")
    assert [one.version for one in totals] == list(range(1, len(totals) + 1))
    assert all(one.used + one.released + one.held == 1_000 for one in totals)
    assert totals[-1].closed
    assert totals[-1].stop_reason == "stopped"
    await world.assert_laws(db)


async def test_a_pause_in_the_middle_says_what_is_used_of_the_credits_by_then(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    send = Send(recipients=1_000, tenant_id=TENANT)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=100))

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=50)):
        await eventually(lambda: submitted(carrier, 100))
        answer = await control(http, send.bulk_id, "pause")

    body, sent = answer.json(), len(carrier.stats.by_destination)
    assert (answer.status_code, body["state"], body["counts"]["accepted"]) == (200, "paused", sent)
    assert body["credits"] == {"reserved": 1_000, "used": sent, "released": 0, "held": 1_000 - sent}
    assert await world.said(db, "BulkSmsAccounted") == []


async def submitted(carrier: Carrier, count: int) -> bool:
    return carrier.stats.submits >= count


async def swept_and_closed(db: Database, send: Send) -> bool:
    await world.sweep(db)
    return await world.closed(db, send)


@pytest.mark.parametrize("stop_wait_s", [0.2])
async def test_a_stop_answers_stopping_while_the_carrier_owes_answers(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    send = Send(recipients=100, tenant_id=TENANT)
    await world.queue(db, send)
    carrier.pause()

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=10)):
        await eventually(lambda: submitted(carrier, 10))
        answer = await control(http, send.bulk_id, "stop")
        carrier.resume()
        await eventually(lambda: swept_and_closed(db, send))

    assert answer.status_code == 202
    assert answer.json()["state"] == "stopping"
    assert len(carrier.stats.by_destination) == 10
    assert await world.money(db, send) == (100, 10, 90, 0)


async def test_a_stopped_send_is_not_closed_while_unknown_outcomes_hold_its_credits(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    send = Send(recipients=100, tenant_id=TENANT)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=10_000))
    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=10)) as running:
        await eventually(lambda: submitted(carrier, 10))
        await running.kill()
    await sweeps.recover_account(db, "smpp", every=True)

    answer = await control(http, send.bulk_id, "stop")

    body = answer.json()
    assert (answer.status_code, body["state"]) == (200, "stopping")
    assert (body["counts"]["unknown"], body["counts"]["stopped"]) == (10, 90)
    assert body["credits"] == {"reserved": 100, "used": 0, "released": 90, "held": 10}
    assert body["note"].startswith("10 credits are held for messages of which the carrier has not said")
    again = await control(http, send.bulk_id, "stop")
    assert (again.status_code, again.json()["state"]) == (200, "stopping")


async def test_a_paused_send_goes_on_where_it_was_and_nobody_gets_it_twice(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    send = Send(recipients=400, tenant_id=TENANT)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=50))

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=20)):
        await eventually(lambda: submitted(carrier, 40))
        paused = await control(http, send.bulk_id, "pause")
        sent = len(carrier.stats.by_destination)
        assert (paused.status_code, paused.json()["state"]) == (200, "paused")
        assert paused.json()["counts"]["queued"] == 400 - sent
        # Longer than the carrier takes to answer a window: what left would show.
        await asyncio.sleep(0.2)
        assert len(carrier.stats.by_destination) == sent, "nothing left while it was paused"
        resumed = await control(http, send.bulk_id, "resume")
        await eventually(partial(world.closed, db, send))

    assert resumed.json()["control_version"] == 2
    assert set(carrier.stats.by_destination.values()) == {1}
    assert await world.money(db, send) == (400, 400, 0, 0)
    await world.assert_laws(db)


async def test_a_stop_before_anything_was_heard_holds_whatever_comes_later(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    send = Send(recipients=600, tenant_id=TENANT)

    answer = await control(http, send.bulk_id, "stop")
    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await world.queue(db, send)
        await eventually(lambda: swept_and_closed(db, send))

    assert (answer.status_code, answer.json()["state"]) == (200, "closed")
    assert carrier.stats.submits == 0
    assert await world.money(db, send) == (600, 0, 600, 0)
    assert await world.lefts(db, send) == {common_pb2.LEFT_STOPPED: 600}


async def test_a_withdrawn_send_is_closed(db: Database, http: httpx.AsyncClient) -> None:
    bulk_id = checked_uuid(world.ID_KEY, TENANT)
    await control(http, bulk_id, "stop")

    await world.hear(db, BulkSmsWithdrawn(tenant_id=str(TENANT), bulk_id=str(bulk_id)))

    again = await control(http, bulk_id, "stop")
    assert (again.status_code, again.json()["type"]) == (409, "urn:muster:problem:already_ended")


async def test_a_stop_of_a_finished_send_is_refused(db: Database, carrier: Carrier, http: httpx.AsyncClient) -> None:
    send = Send(recipients=5, tenant_id=TENANT)
    await world.queue(db, send)
    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))

    answer = await control(http, send.bulk_id, "stop")

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:muster:problem:already_ended")
    assert await world.said(db, "BulkSmsControlled") == []


async def test_a_repeated_stop_with_its_key_is_one_act_with_the_present_counts(
    db: Database, http: httpx.AsyncClient
) -> None:
    send = Send(recipients=5, tenant_id=TENANT)
    await world.queue(db, send)

    first = await control(http, send.bulk_id, "stop", key="k")
    await world.sweep(db)
    second = await control(http, send.bulk_id, "stop", key="k")

    assert (first.status_code, second.status_code) == (200, 200)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (first.json()["state"], second.json()["state"]) == ("closed", "closed")
    assert first.json()["credits"] == second.json()["credits"]
    assert len(await world.said(db, "ActRecorded")) == 1


@pytest.mark.parametrize(("caller", "status"), [("staff", 403), ("operator", 403), ("other", 404), ("nobody", 401)])
async def test_only_who_sends_for_this_tenant_may_stop(
    db: Database, http: httpx.AsyncClient, caller: str, status: int
) -> None:
    bulk_id = checked_uuid(world.ID_KEY, TENANT)

    answer = await control(http, bulk_id, "stop", caller)

    assert answer.status_code == status
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM saga") == 0


async def test_an_id_that_was_never_given_is_not_found(db: Database, http: httpx.AsyncClient) -> None:
    answer = await control(http, uuid4(), "stop")

    assert answer.status_code == 404


async def test_the_operator_sees_sums_laws_carriers_and_senders(db: Database, http: httpx.AsyncClient) -> None:
    send = Send(recipients=5, tenant_id=TENANT)
    await world.platform(db)
    async with db.worker() as tx:
        await carriers.seed(tx, world.settings())
    await world.queue(db, send)
    headers = {"Authorization": "Bearer operator"}

    async def get(path: str) -> Any:
        answer = await http.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    [bulk] = (await get("/v1/ops/dispatch/bulks"))["items"]
    assert (bulk["recipients"], bulk["reserved"], bulk["queued"], bulk["closed"]) == (5, 5, 5, False)
    laws = {law["law"]: law["violation_count"] for law in (await get("/v1/ops/dispatch/laws"))["laws"]}
    assert laws == dict.fromkeys(("reserved", "used", "submit", "once", "tenant", "bounded"), 0)
    [carrier] = (await get("/v1/carriers"))["items"]
    assert (carrier["account"], carrier["kind"]) == ("smpp", "smpp")
    assert (await get("/v1/senders"))["items"][0]["tenant_id"] == str(TENANT)
    refused = await http.get("/v1/ops/dispatch/bulks", headers={"Authorization": "Bearer manager"})
    assert refused.status_code == 403


async def test_totals_are_repeated_until_they_are_answered(db: Database, carrier: Carrier) -> None:
    from muster.dispatch.handlers import sweeps

    send = Send(recipients=5)
    await world.queue(db, send)
    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))

    await sweeps.repeat_accounts(db, 0.0)
    first, second = await world.said(db, "BulkSmsAccounted")
    assert (first.version, first.used, first.closed) == (second.version, second.used, second.closed)
    await world.hear(
        db, CreditsSettled(tenant_id=str(send.tenant_id), bulk_id=str(send.bulk_id), version=first.version)
    )
    await sweeps.repeat_accounts(db, 0.0)

    assert len(await world.said(db, "BulkSmsAccounted")) == 2
