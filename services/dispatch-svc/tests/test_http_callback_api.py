"""Receipts and inbound by signed call, over real HTTP on loopback, down to how messages end."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import dispatch_world as world
import http_world
import httpx
import pytest
from dispatch_world import REPLY_NUMBER, Send
from http_world import CALLBACK_SECRET

from muster.dispatch.api import ROUTERS
from muster.dispatch.domain.http import vonage
from muster.dispatch.handlers.carriers import seed
from muster.dispatch.settings import DispatchSettings
from muster.events.v1 import common_pb2
from muster.kit.pg import Database
from muster.kit.testing import app_of, eventually
from muster.local.carrier.http import webhook_headers
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.server import Carrier

ACCEPTED, UNKNOWN = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_UNKNOWN
DELIVERED, UNDELIVERED = common_pb2.RECEIPT_STATE_DELIVERED, common_pb2.RECEIPT_STATE_UNDELIVERED
RECEIPTS, INBOUND = "/v1/receipts/smpp", "/v1/inbound/smpp"
TWO_PARTS = "Our salon moves to the other side of the road. " * 5
WRITER = "+61411000003"


class Nobody:
    async def verify(self, token: str) -> Any:
        raise AssertionError("a call of a carrier has no token")


@dataclass(slots=True)
class Stage:
    """A carrier and the API that it calls. `conf`: of the API and of the sender."""

    carrier: Carrier
    conf: DispatchSettings
    url: str
    http: httpx.AsyncClient
    began_s: int = field(default_factory=lambda: int(time.time()))

    async def call(self, path: str, told: Any, *, call_id: str = "msg_1", at_s: int = 0) -> httpx.Response:
        """A call as the carrier would make it; the same again if it is asked for again."""
        body = json.dumps(told).encode()
        headers = webhook_headers(CALLBACK_SECRET, call_id, self.began_s + at_s, body)
        return await self.http.post(path, content=body, headers=headers)


@asynccontextmanager
async def served(db: Database, **profile: Any) -> AsyncIterator[Stage]:
    """The API of dispatch-svc on a port of its own, and a carrier that calls it."""
    async with Carrier(CarrierOptions(http_port=0, callback_secret=CALLBACK_SECRET)) as carrier:
        plug = http_world.plug()
        url = f"http://127.0.0.1:{plug.getsockname()[1]}"
        conf = http_world.settings(carrier, callback_url=url, profile=profile)
        async with db.worker() as tx:
            await seed(tx, conf)
        app = app_of("dispatch", ROUTERS, {"db": db, "verifier": Nobody(), "settings": conf})
        async with http_world.serving(app, plug), httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield Stage(carrier, conf, url, http)


@pytest.fixture
async def stage(db: Database) -> AsyncIterator[Stage]:
    async with served(db) as stage:
        yield stage


async def all_have_receipts(db: Database, send: Send) -> bool:
    return (await world.receipts(db, send)).total() == send.recipients


async def waiting(db: Database) -> int:
    async with db.worker() as tx:
        count: int = await tx.fetchval("SELECT count(*) FROM callback_receipt")
    return count


async def test_a_send_by_http_ends_as_delivered_by_signed_receipts_that_come_twice_and_out_of_order(
    db: Database, stage: Stage
) -> None:
    send = Send(recipients=50, text=TWO_PARTS)
    await world.queue(db, send)
    stage.carrier.use(replace(stage.carrier.options, undelivered_ratio=0.2, receipt_duplicate=0.3, receipt_reorder=0.3))

    async with world.sending(db, stage.conf):
        await eventually(partial(world.closed, db, send))
        await eventually(partial(all_have_receipts, db, send))
        await eventually(lambda: none_waits(db))

    assert await world.lefts(db, send) == {ACCEPTED: 50}
    assert Counter(stage.carrier.stats.by_destination.values()) == {1: 50}
    ends = await world.receipts(db, send)
    assert set(ends) == {DELIVERED, UNDELIVERED}
    assert ends[UNDELIVERED] > 2
    assert await world.money(db, send) == (100, 100, 0, 0)
    assert stage.carrier.stats.receipts_repeated > 2
    await world.assert_laws(db)


async def none_waits(db: Database) -> bool:
    return not await waiting(db)


async def test_a_receipt_tells_what_became_of_a_message_whose_connection_was_cut(db: Database, stage: Stage) -> None:
    send = Send(recipients=60)
    await world.queue(db, send)
    stage.carrier.use(replace(stage.carrier.options, disconnect_every=10, receipt_delay_ms=1_000))

    async with world.sending(db, stage.conf):
        await eventually(lambda: are_accepted(db, send))
        await eventually(partial(all_have_receipts, db, send))

    assert stage.carrier.stats.disconnects == 6
    assert Counter(stage.carrier.stats.by_destination.values()) == {1: 60}
    assert await world.money(db, send) == (60, 60, 0, 0)
    await world.assert_laws(db)


async def are_accepted(db: Database, send: Send) -> bool:
    return (await world.lefts(db, send))[ACCEPTED] == send.recipients


async def inbound(db: Database) -> tuple[list[str], int]:
    """What was passed on, and how many holds there are."""
    async with db.worker() as tx:
        holds: int = await tx.fetchval("SELECT count(*) FROM hold WHERE tenant_id IS NOT NULL")
    return [one.text for one in await world.said(db, "SmsReceived")], holds


def written(text: str, key: str = "in-1") -> dict[str, str]:
    return {"id": key, "from": WRITER, "to": REPLY_NUMBER, "text": text}


async def test_an_opt_out_by_call_holds_its_number_before_it_is_answered_and_once(db: Database, stage: Stage) -> None:
    send = Send(recipients=10)
    await world.queue(db, send)
    stage.carrier.use(replace(stage.carrier.options, inbound_url=stage.url + INBOUND))

    assert await stage.carrier.http.inbound(stage.url + INBOUND, WRITER, REPLY_NUMBER, "STOP")

    assert await inbound(db) == (["STOP"], 1)
    async with world.sending(db, stage.conf):
        await eventually(lambda: nine_are_accepted(db, send))
    assert WRITER.removeprefix("+") not in stage.carrier.stats.by_destination


async def nine_are_accepted(db: Database, send: Send) -> bool:
    return (await world.lefts(db, send))[ACCEPTED] == 9


async def test_what_is_told_again_is_answered_the_same_and_changes_nothing(db: Database, stage: Stage) -> None:
    await world.queue(db, Send(recipients=1))
    told = {"id": "a-1", "status": "delivered", "to": WRITER, "from": REPLY_NUMBER}

    replayed = [await stage.call(RECEIPTS, told) for _ in range(2)]
    at_once = await asyncio.gather(*(stage.call(INBOUND, written("Hello")) for _ in range(4)))
    # A retry is signed anew; what tells it from another message is the carrier's own name for it.
    retried = await stage.call(INBOUND, written("Hello"), at_s=-20)
    other = await stage.call(INBOUND, written("Hello", "in-2"), call_id="msg_2")

    assert {answer.status_code for answer in (*replayed, *at_once, retried, other)} == {204}
    assert {answer.content for answer in (*replayed, *at_once)} == {b""}
    assert await waiting(db) == 1
    assert await inbound(db) == (["Hello", "Hello"], 0)


async def test_a_call_that_is_not_the_carriers_is_refused_without_a_reason_and_stores_nothing(
    db: Database, stage: Stage
) -> None:
    told = {"id": "a-1", "status": "delivered"}
    body = json.dumps(told).encode()
    now_s = int(time.time())
    good = webhook_headers(CALLBACK_SECRET, "msg_1", now_s, body)
    bad = [
        await stage.http.post(RECEIPTS, content=body),
        await stage.http.post(RECEIPTS, content=body.replace(b" ", b""), headers=good),
        await stage.http.post(
            RECEIPTS, content=body, headers=webhook_headers("guess", "msg_1", int(time.time()), body)
        ),
        await stage.call(RECEIPTS, told, at_s=-310),
        await stage.call(RECEIPTS, told, at_s=1_000),
        await stage.http.post(INBOUND, content=b"", headers={"webhook-id": "x" * 2_000}),
    ]

    assert {answer.status_code for answer in bad} == {401}
    assert len({answer.json()["code"] for answer in bad}) == 1
    assert not any("detail" in answer.json() for answer in bad)
    assert await waiting(db) == 0
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM callback_seen") == 0


async def test_a_carrier_that_is_not_there_a_call_too_large_and_one_that_cannot_be_read_are_told_so(
    db: Database, stage: Stage
) -> None:
    told = {"id": "a-1", "status": "delivered"}
    assert (await stage.call("/v1/receipts/pigeon", told)).status_code == 404
    assert (await stage.call("/v1/inbound/pigeon", told)).status_code == 404
    assert (await stage.call(RECEIPTS, {**told, "more": "a" * 300_000})).status_code == 413
    unreadable = await stage.call(RECEIPTS, {"id": "", "status": "delivered"})
    assert unreadable.status_code == 422
    assert "id" in unreadable.json()["detail"]
    assert await waiting(db) == 0
    # What was refused may be told right, under the same name.
    assert (await stage.call(RECEIPTS, told)).status_code == 204
    assert await waiting(db) == 1


async def test_the_parts_of_a_long_text_are_joined_whichever_call_brings_the_last(db: Database) -> None:
    await world.queue(db, Send(recipients=1))
    texts = ["I said ", "STOP", " \N{WINKING FACE}"]

    async with served(db, adapter="vonage", generic=None, username="key") as stage:

        async def tell(number: int, text: str) -> int:
            fields = {
                **{"msisdn": WRITER[1:], "to": REPLY_NUMBER[1:], "messageId": f"0A{number}", "text": text},
                **{"concat": "true", "concat-ref": "9", "concat-total": "3", "concat-part": str(number)},
                **{"timestamp": str(int(time.time())), "nonce": f"n{number}"},
            }
            body = {**fields, "sig": vonage.signature(CALLBACK_SECRET, fields)}
            return (await stage.http.post(INBOUND, json=body)).status_code

        answers = await asyncio.gather(*(tell(at, text) for at, text in enumerate(texts, 1)))

    assert answers == [204] * 3
    assert await inbound(db) == (["".join(texts)], 1)
