"""HTTP accounts as data: made by an operator while everything runs, sent by, and called back."""

import json
import time
from functools import partial
from typing import Any

import carriers_world
import dispatch_world as world
import http_world
import pytest
from carriers_world import operator, route_to, senders
from dispatch_world import Send

from muster.events.v1 import common_pb2
from muster.kit.pg import Database
from muster.kit.testing import eventually, facts
from muster.local.carrier.http import webhook_headers
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.server import Carrier

ACCEPTED, DELIVERED = common_pb2.LEFT_ACCEPTED, common_pb2.RECEIPT_STATE_DELIVERED
SECRETS = {"auth": "shown-to-the-carrier", "callbacks": ["a-new-secret", "the-old-secret"]}


def body(port: int, **members: Any) -> dict[str, Any]:
    profile = http_world.profile(port, callback_url="https://muster.example")
    return {"account": "web", "http": {"profile": profile, "secrets": SECRETS}, "parts_window": 20, **members}


async def test_an_account_by_http_is_made_sent_by_called_back_and_given_other_secrets_without_a_restart(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    carriers_world.without_kafka(monkeypatch)
    send, conf = Send(recipients=40), carriers_world.settings()
    async with (
        Carrier(CarrierOptions(http_port=0, password=SECRETS["auth"])) as carrier,
        operator(db, conf) as op,
        senders(db, 2, conf),
    ):
        made = await op("POST", "", body(carrier.http_port))
        assert made.status_code == 201, made.text
        await route_to(db, "web")
        await world.queue(db, send)
        await eventually(partial(world.closed, db, send))
        told = {"id": str(carrier.stats.messages[0][0]), "status": "delivered", "to": "", "from": ""}
        assert await call(op, told, "the-old-secret") == 204
        await eventually(partial(one_is_delivered, db, send))

        changed = await op("PATCH", "/web", {"http": {"secrets": {**SECRETS, "callbacks": ["a-new-secret"]}}})
        assert changed.status_code == 200, changed.text
        assert await call(op, told, "the-old-secret") == 401
        assert await call(op, told, "a-new-secret") == 204
        closed = await op("GET", "/web")

    assert await world.lefts(db, send) == {ACCEPTED: 40}
    async with db.worker() as tx:
        inside = [await tx.fetch("SELECT c.*, i.answer FROM carrier c, idempotency i"), await facts(tx, "ActRecorded")]
    for told_of in (made.text, changed.text, closed.text, repr(inside)):
        assert not any(secret in told_of for secret in (SECRETS["auth"], *SECRETS["callbacks"]))
    assert closed.json()["http"]["profile"]["adapter"] == "generic"
    await world.assert_laws(db)


async def call(op: Any, told: dict[str, str], secret: str) -> int:
    """A call of the carrier, signed with this secret."""
    octets = json.dumps(told).encode()
    headers = webhook_headers(secret, f"msg_{secret}", int(time.time()), octets)
    answer = await op._client.post("/v1/receipts/web", content=octets, headers=headers)
    return int(answer.status_code)


async def one_is_delivered(db: Database, send: Send) -> bool:
    return await world.receipts(db, send) == {DELIVERED: 1}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"base_url": "http://10.0.0.1"}, "http.profile.base_url"),
    ({"base_url": "https://169.254.169.254"}, "http.profile.base_url"),
    ({"base_url": "https://me:secret@127.0.0.1"}, "http.profile.base_url"),
    ({"base_url": "https://no-such-name.invalid"}, "http.profile.base_url"),
    ({"adapter": "pigeon"}, "http.profile.adapter"),
    ({"generic": {**http_world.SIMULATOR, "path": "v1"}}, "http.profile.generic.path"),
    ({"generic": {**http_world.SIMULATOR, "body": {"text": "a" * 30_000}}}, "http.profile"),
]


async def test_an_account_that_cannot_be_is_refused_by_the_name_of_its_field_and_nothing_is_made(db: Database) -> None:
    async with operator(db, carriers_world.settings()) as op:
        for wrong, field in WRONG:
            given = body(1)
            given["http"]["profile"] |= wrong
            answer = await op("POST", "", given)
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), answer.text
            assert "secret" not in answer.text
        smpp = {"host": "127.0.0.1", "system_id": "muster"}
        both = [body(1, smpp=smpp), {"account": "web"}, body(1, password="muster")]
        assert [(await op("POST", "", given)).status_code for given in both] == [422] * 3
        for secret in ("short", "whsec_!!!!!!", "whsec_c2hvcnQ="):
            given = body(1)
            given["http"]["secrets"] = {"auth": "", "callbacks": [secret]}
            answer = await op("POST", "", given)
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"].startswith("http.secrets.callbacks")
        for adapter in ("twilio", "vonage", "sinch", "messagemedia"):
            given = body(1)
            given["http"]["profile"] = {"adapter": adapter, "base_url": "http://127.0.0.1:1"}
            answer = await op("POST", "", given)
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "http.profile.username")
        assert (await op("GET", "")).json()["items"] == []

        assert (await op("POST", "", body(1))).status_code == 201
        for change in ({"smpp": {"port": 2}}, {"password": "x"}, {"http": {"profile": {"adapter": "twilio"}}}):
            assert (await op("PATCH", "/web", change)).status_code == 422


async def test_an_account_by_http_without_tls_needs_a_network_that_the_operator_names(db: Database) -> None:
    async with operator(db, carriers_world.settings(carrier_networks="")) as op:
        answer = await op("POST", "", body(1))
    assert (answer.status_code, answer.json()["code"]) == (422, "not_allowed")
