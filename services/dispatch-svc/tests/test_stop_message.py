"""One single message is stopped, and none of those that share its send by chance."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import dispatch_world as world
import httpx
import pytest
from dispatch_world import Send
from test_controls import TENANT, Verifier, control

from muster.dispatch.api import ROUTERS
from muster.events.v1 import common_pb2
from muster.kit.pg import Database
from muster.kit.testing import app_of, eventually
from muster.local.carrier.server import Carrier

ACCEPTED, STOPPED = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_STOPPED
SINGLE = common_pb2.MESSAGE_KIND_SINGLE
LONG = "The salon is open again from Monday. " * 6


@pytest.fixture
async def http(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    state = {"db": db, "verifier": Verifier(), "settings": world.settings()}
    app = app_of("dispatch", ROUTERS, state)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dispatch") as client:
        yield client


def together(recipients: int, **members: Any) -> Send:
    """Single messages that share a send."""
    return Send(recipients=recipients, tenant_id=TENANT, kind=SINGLE, **members)


async def stop(http: httpx.AsyncClient, send: Send, seq: int, caller: str = "manager", key: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {caller}", **({"Idempotency-Key": key} if key else {})}
    return await http.post(f"/v1/messages/{send.bulk_id}-{seq}/stop", headers=headers)


async def test_only_the_message_that_is_stopped_stays_and_its_credits_come_back(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    send = together(5, text=LONG, chunk_size=3)
    await world.queue(db, send)

    first, again = await stop(http, send, 2, key="k"), await stop(http, send, 2, key="k")
    other = await stop(http, send, 2)
    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))
        late = await stop(http, send, 1)

    assert [one.status_code for one in (first, again, other, late)] == [200, 200, 200, 409]
    assert first.json() == {"id": f"{send.bulk_id}-2", "status": "stopped"}
    assert (late.json()["code"], late.json()["detail"]) == ("too_late", "It is accepted already.")
    assert await world.left_by_seq(db, send) == {1: ACCEPTED, 2: STOPPED, 3: ACCEPTED, 4: ACCEPTED, 5: ACCEPTED}
    assert f"61411{1:06}" not in {number.lstrip("+") for number in carrier.stats.by_destination}
    assert await world.money(db, send) == (10, 8, 2, 0)
    acts = [(one.act, one.subject_id) for one in await world.said(db, "ActRecorded")]
    assert acts == [("message.stopped", f"{send.bulk_id}-2")] * 2
    await world.assert_laws(db)


async def test_a_send_of_which_each_message_is_stopped_ends_whether_its_credits_are_known_yet_or_not(
    db: Database, http: httpx.AsyncClient
) -> None:
    for known in (True, False):
        send = together(2)
        await world.hear(db, world.tenant(send), send.requested(), send.chunk(1))
        if known:
            await world.hear(db, send.reserved())
        assert [(await stop(http, send, seq)).status_code for seq in (1, 2)] == [200, 200]
        if not known:
            await world.hear(db, send.reserved())
        await world.sweep(db)
        assert await world.closed(db, send)
        assert await world.lefts(db, send) == {STOPPED: 2}
        assert await world.money(db, send) == (2, 0, 2, 0)
    await world.assert_laws(db, submits=False)


async def test_what_a_sender_has_just_now_is_too_late_and_is_sent_once(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    send = together(3)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=300))

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(submitted, carrier, 3))
        answers = [await stop(http, send, seq) for seq in (1, 2, 3)]
        await eventually(partial(world.closed, db, send))

    assert {one.status_code for one in answers} == {409}
    assert await world.lefts(db, send) == {ACCEPTED: 3}
    assert Counter(carrier.stats.by_destination.values()) == {1: 3}
    await world.assert_laws(db)


async def submitted(carrier: Carrier, count: int) -> bool:
    return carrier.stats.submits >= count


async def test_stops_of_all_messages_while_a_sender_claims_them_leave_each_stopped_or_sent_once(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    sends = [together(4, chunk_size=2, first_number=61_411_000_000 + 10 * at) for at in range(8)]
    for send in sends:
        await world.queue(db, send)

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        pairs = [(send, seq) for send in sends for seq in (1, 3)]
        answers = await asyncio.gather(*(stop(http, send, seq) for send, seq in pairs))
        for send in sends:
            await eventually(partial(world.closed, db, send))

    stopped = {(send.bulk_id, seq) for (send, seq), one in zip(pairs, answers, strict=True) if one.status_code == 200}
    assert {one.status_code for one in answers} <= {200, 409}
    for send in sends:
        lefts = await world.left_by_seq(db, send)
        wanted = {seq: STOPPED if (send.bulk_id, seq) in stopped else ACCEPTED for seq in range(1, 5)}
        assert lefts == wanted
    assert sum(carrier.stats.by_destination.values()) == 32 - len(stopped)
    await world.assert_laws(db)


async def test_no_other_message_can_be_stopped_so(db: Database, http: httpx.AsyncClient) -> None:
    send, bulk = together(2), Send(recipients=2, tenant_id=TENANT)
    await world.queue(db, send)
    await world.queue(db, bulk)

    headers = {"Authorization": "Bearer manager"}
    wrong = ["x", f"{send.bulk_id}", f"{send.bulk_id}-", f"{send.bulk_id}-9999999999", f"{send.bulk_id}-01-1"]
    unknown = [await http.post(f"/v1/messages/{one}/stop", headers=headers) for one in wrong]
    for one in (*unknown, await stop(http, send, 3), await stop(http, bulk, 1), await stop(http, send, 1, "other")):
        assert (one.status_code, one.json()["kind"]) == (404, "message")
    assert (await stop(http, send, 1, "staff")).status_code == 403
    assert await world.lefts(db, send) == await world.lefts(db, bulk) == {}


async def test_what_a_pause_of_its_send_holds_back_can_be_stopped_one_by_one(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    send = together(3)
    await world.queue(db, send)
    assert (await control(http, send.bulk_id, "pause")).status_code == 200
    assert (await stop(http, send, 3)).status_code == 200
    assert (await control(http, send.bulk_id, "resume")).status_code == 200
    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))

    assert await world.left_by_seq(db, send) == {1: ACCEPTED, 2: ACCEPTED, 3: STOPPED}
    await world.assert_laws(db)
