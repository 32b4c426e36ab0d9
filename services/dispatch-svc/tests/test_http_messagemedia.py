"""MessageMedia, whole: a server that speaks as its documentation does, signs by RSA, and calls one address for all."""

import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import partial
from typing import Any, cast
from uuid import uuid4

import carriers_world
import dispatch_world as world
import http_world
import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from dispatch_world import REPLY_NUMBER, Send
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from test_http_adapters import account
from test_http_callback_api import Nobody, all_have_receipts, inbound

from muster.dispatch.api import ROUTERS
from muster.dispatch.domain.http import messagemedia
from muster.dispatch.domain.http.model import Call, NotGenuine, Secrets
from muster.dispatch.handlers.carriers import seed
from muster.dispatch.handlers.signatures import genuine
from muster.dispatch.settings import DispatchSettings
from muster.events.v1 import common_pb2
from muster.kit import clock
from muster.kit.pg import Database
from muster.kit.testing import app_of, eventually

ACCEPTED, DELIVERED = common_pb2.LEFT_ACCEPTED, common_pb2.RECEIPT_STATE_DELIVERED
UNDELIVERED = common_pb2.RECEIPT_STATE_UNDELIVERED
KEY, OTHER = (rsa.generate_private_key(65_537, 2048) for _ in range(2))
DIGESTS = {"SHA224": hashes.SHA224(), "SHA256": hashes.SHA256(), "SHA512": hashes.SHA512()}
NOW_S = 1_700_000_000.0
URL = "https://m.example/base/v1/receipts/a"


def public(key: rsa.RSAPrivateKey) -> str:
    """As POST /v1/iam/signature_keys answers it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


def headers(path: str, body: bytes, *, at_s: float, key: rsa.RSAPrivateKey = KEY, digest: str = "SHA224") -> Any:
    date = formatdate(at_s, usegmt=True)
    signature = key.sign(f"POST {path} HTTP/1.1{date}".encode() + body, PKCS1v15(), cast(Any, DIGESTS[digest]))
    return {
        "content-type": "application/json",
        "date": date,
        "x-messagemedia-digest-type": digest,
        "x-messagemedia-signature": base64.b64encode(signature).decode(),
    }


def call(body: bytes = b"{}", **members: Any) -> Call:
    return Call(URL, headers("/base/v1/receipts/a", body, **{"at_s": NOW_S, **members}), body)


def known(given: Call, *keys: rsa.RSAPrivateKey, now_s: float = NOW_S) -> bytes | NotGenuine:
    secrets = Secrets("", tuple(map(public, keys or (OTHER, KEY))))
    return genuine(messagemedia.verify(account("messagemedia"), secrets, given, now_s))


@pytest.mark.parametrize("digest", DIGESTS)
def test_a_call_is_genuine_under_each_key_and_digest_also_where_the_digest_is_not_named(digest: str) -> None:
    given = call(b'{"a": 1}', digest=digest)
    nameless = {name: said for name, said in given.headers.items() if not name.endswith("digest-type")}

    assert isinstance(known(given), bytes)
    assert known(replace(given, headers=nameless)) == known(given)
    assert known(given) != known(call(b'{"a": 2}', digest=digest))


def test_what_another_key_signed_or_was_changed_or_sent_elsewhere_is_not_genuine() -> None:
    given = call(b'{"a": 1}')

    assert known(given, OTHER) is NotGenuine.SIGNATURE
    assert known(replace(given, body=b'{"a":1}')) is NotGenuine.SIGNATURE
    assert known(replace(given, url=URL.replace("receipts", "inbound"))) is NotGenuine.SIGNATURE
    assert known(replace(given, headers={**given.headers, "date": formatdate(NOW_S - 1)})) is NotGenuine.SIGNATURE
    assert genuine(messagemedia.verify(account("messagemedia"), Secrets("", ()), given, NOW_S)) is NotGenuine.SIGNATURE
    no_key = Secrets("", ("not a key at all", "AAAA", public(KEY)[:-8]))
    assert genuine(messagemedia.verify(account("messagemedia"), no_key, given, NOW_S)) is NotGenuine.SIGNATURE


@pytest.mark.parametrize(
    "changed",
    [
        {"x-messagemedia-signature": ""},
        {"x-messagemedia-signature": "no base64!"},
        {"x-messagemedia-signature": "é"},
        {"x-messagemedia-signature": "A" * 3_000},
        {"x-messagemedia-digest-type": "MD5"},
        {"date": ""},
        {"date": "yesterday"},
        {"date": "Fri, 31 Dec 99999 23:59:59 GMT"},
    ],
)
def test_a_call_without_a_signature_or_a_date_is_not_genuine(changed: dict[str, str]) -> None:
    given = call()
    assert known(replace(given, headers={**given.headers, **changed})) is NotGenuine.HEADERS


@pytest.mark.parametrize("late_s", [-301, 301])
def test_a_call_of_more_than_five_minutes_ago_or_from_now_is_not_genuine(late_s: int) -> None:
    assert known(call(at_s=NOW_S + late_s)) is NotGenuine.TIME


# -- the whole road ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Vendor:
    """MessageMedia as far as a carrier needs it; what it took, by id."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def take(self, request: Request) -> JSONResponse:
        """POST /v1/messages."""
        if request.headers.get("authorization") != "Basic a2V5OnNlY3JldA==":
            return JSONResponse({"message": "Unauthorized"}, 403)
        (one,) = (await request.json())["messages"]
        taken = {**one, "message_id": str(uuid4()), "status": "queued"}
        self.messages[taken["message_id"]] = taken
        return JSONResponse({"messages": [taken]}, 202)

    async def where(self, request: Request) -> JSONResponse:
        """GET /v1/messages/{id}."""
        found = self.messages.get(request.path_params["message_id"])
        return JSONResponse({**(found or {}), "status": "delivered"}, 200 if found else 404)

    def app(self) -> Starlette:
        """Its API."""
        where = Route("/v1/messages/{message_id}", self.where)
        return Starlette(routes=[Route("/v1/messages", self.take, methods=["POST"]), where])


@dataclass(slots=True)
class Stage:
    vendor: Vendor
    conf: DispatchSettings
    http: httpx.AsyncClient

    async def tell(self, told: dict[str, Any], path: str = "/v1/receipts/smpp", **signing: Any) -> int:
        """A call as MessageMedia makes it, to the one address that it was given."""
        body = json.dumps(told).encode()
        signed = headers(path, body, **{"at_s": clock.unix_ms() / 1000, **signing})
        return (await self.http.post(path, content=body, headers=signed)).status_code


@pytest.fixture
async def stage(db: Database) -> AsyncIterator[Stage]:
    """The API of dispatch-svc, and MessageMedia, each on a port of its own."""
    vendor, plug = Vendor(), http_world.plug()
    callback_url = f"http://127.0.0.1:{plug.getsockname()[1]}"
    async with http_world.serving(vendor.app(), http_world.plug()) as base_url:
        profile = {"adapter": "messagemedia", "base_url": base_url, "username": "key", "callback_url": callback_url}
        conf = world.settings(
            carrier_http=json.dumps({**profile, "ask_status": True}),
            carrier_networks="127.0.0.0/8",
            carrier_window=20,
            carrier_password=json.dumps({"auth": "secret", "callbacks": [public(OTHER), public(KEY)]}),
            dispatch_query_after_s=0.05,
        )
        async with db.worker() as tx:
            await seed(tx, conf)
        app = app_of("dispatch", ROUTERS, {"db": db, "verifier": Nobody(), "settings": conf})
        async with (
            http_world.serving(app, plug),
            httpx.AsyncClient(base_url=callback_url, trust_env=False, timeout=60) as http,
        ):
            yield Stage(vendor, conf, http)


async def all_accepted(db: Database, send: Send) -> bool:
    return await world.lefts(db, send) == {ACCEPTED: send.recipients}


async def test_a_send_goes_out_once_ends_by_signed_reports_and_by_asking_and_its_reply_comes_to_the_same_address(
    db: Database, stage: Stage
) -> None:
    send = Send(recipients=20, text="Our salon moves to the other side of the road. " * 5)
    await world.queue(db, send)

    conf = stage.conf.model_copy(update={"dispatch_query_after_s": 3_600.0})
    async with world.sending(db, conf):
        await eventually(partial(all_accepted, db, send))
        sent = list(stage.vendor.messages.values())
        for number, one in enumerate(sent[:10]):
            report = {"delivery_report_id": str(uuid4()), "message_id": one["message_id"], "metadata": one["metadata"]}
            status = "failed" if number == 0 else "delivered"
            told = {**report, "source_number": one["destination_number"], "status": status}
            assert await stage.tell({**told, "status": "enroute"}) == 204
            assert [await stage.tell(told), await stage.tell(told)] == [204, 204]
        await eventually(partial(some_heard, db, send, 10))
    async with world.sending(db, stage.conf):  # the other reports never come
        await eventually(partial(all_have_receipts, db, send))

    assert Counter(one["destination_number"] for one in sent).most_common(1)[0][1] == 1
    assert len(stage.vendor.messages) == 20
    assert await world.receipts(db, send) == {DELIVERED: 19, UNDELIVERED: 1}
    reply = {
        "reply_id": "a175e797-2b54-468b-9850-41a3eab32f74",
        "message_id": sent[0]["message_id"],
        "source_number": sent[0]["destination_number"],
        "destination_number": REPLY_NUMBER,
        "content": "STOP",
    }
    assert [await stage.tell(reply), await stage.tell(reply)] == [204, 204]
    assert await stage.tell(reply, "/v1/inbound/smpp", digest="SHA512") == 204, "a webhook of the account's own"
    assert await inbound(db) == (["STOP"], 1)
    await world.assert_laws(db)


async def some_heard(db: Database, send: Send, count: int) -> bool:
    return (await world.receipts(db, send)).total() == count


async def test_a_call_that_is_not_signed_by_a_key_of_the_account_changes_nothing(db: Database, stage: Stage) -> None:
    strangers = rsa.generate_private_key(65_537, 2048)
    reply = {"reply_id": "r", "source_number": "+61411000003", "destination_number": REPLY_NUMBER, "content": "STOP"}

    assert await stage.tell(reply, key=strangers) == 401
    assert (await stage.http.post("/v1/receipts/smpp", json=reply)).status_code == 401
    assert await stage.tell({"reply_id": "r"}) == 422
    assert await inbound(db) == ([], 0)


async def test_an_account_of_messagemedia_is_made_with_public_keys_and_with_nothing_else(db: Database) -> None:
    profile = {"adapter": "messagemedia", "base_url": "http://127.0.0.1:9", "username": "key"}
    async with carriers_world.operator(db, carriers_world.settings()) as api:
        body = {"account": "mm", "http": {"profile": profile, "secrets": {"auth": "s", "callbacks": [public(KEY)]}}}
        assert (await api("POST", "", body)).status_code == 201
        refused = await api("PATCH", "/mm", {"http": {"secrets": {"callbacks": ["asecretword"]}}})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "http.secrets.callbacks")
