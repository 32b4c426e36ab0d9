"""HTTP carriers are asked what became of messages: what is asked, what answers mean, and that nothing is sent again."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import dispatch_world as world
import http_world
import pytest
from dispatch_world import Running, Send
from test_http_adapters import DESCRIBED, SECRETS, account

from muster.dispatch.domain.http import ADAPTERS
from muster.dispatch.domain.http.model import Ended, Found, Reply, Sought
from muster.dispatch.domain.http.read import Wrong, read_http
from muster.dispatch.domain.receipts import Receipt
from muster.dispatch.sender import http_asker
from muster.dispatch.sender.querier import Querier
from muster.events.v1 import common_pb2
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.server import Carrier

ACCEPTED, UNKNOWN = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_UNKNOWN
DELIVERED, UNDELIVERED = common_pb2.RECEIPT_STATE_DELIVERED, common_pb2.RECEIPT_STATE_UNDELIVERED
TWO_PARTS = "Our salon moves to the other side of the road. " * 5
BY_ID = {"path": "/v1/messages/{id}"}
BY_REFERENCE = {"path": "/v1/messages?reference={reference}", "events": "messages"}
LOOKUPS = {"status_by_id": BY_ID, "status_by_reference": BY_REFERENCE}


@pytest.mark.parametrize(
    ("adapter", "sought", "path"),
    [
        ("twilio", Sought("SM1"), "/2010-04-01/Accounts/AC1/Messages/SM1.json"),
        ("sinch", Sought("01FC/6"), "/xms/v1/AC1/batches/01FC%2F6/delivery_report?type=summary"),
        ("sinch", Sought(reference="r1.0&2"), "/xms/v1/AC1/batches?client_reference=r1.0%262&page_size=2"),
        ("messagemedia", Sought("877c"), "/v1/messages/877c"),
        ("generic", Sought("a/1"), "/v1/messages/a%2F1"),
        ("generic", Sought(reference="r1?"), "/v1/messages?reference=r1%3F"),
    ],
)
def test_a_question_is_a_get_of_what_the_carrier_documents_and_sends_nothing(
    adapter: str, sought: Sought, path: str
) -> None:
    http = account(adapter, **(LOOKUPS if adapter == "generic" else {}))
    asked = ADAPTERS[adapter].lookup(http, SECRETS, sought)
    assert asked is not None
    assert (asked.method, asked.path, asked.body) == ("GET", path, b"")
    assert "authorization" in dict(asked.headers)


@pytest.mark.parametrize(
    ("adapter", "sought"),
    [
        ("twilio", Sought(reference="r1")),
        ("messagemedia", Sought(reference="r1")),
        ("vonage", Sought("M1")),
        ("vonage", Sought(reference="r1")),
        ("generic", Sought("a-1")),
        ("generic", Sought(reference="r1")),
    ],
)
def test_what_a_carrier_cannot_be_asked_is_not_asked(adapter: str, sought: Sought) -> None:
    assert ADAPTERS[adapter].lookup(account(adapter), SECRETS, sought) is None


def batch(*statuses: dict[str, Any], batch_id: str = "B1") -> dict[str, Any]:
    return {"type": "delivery_report_sms", "batch_id": batch_id, "total_message_count": 1, "statuses": list(statuses)}


ID, REFERENCE = Sought("B1"), Sought(reference="r1")
ANSWERS: list[tuple[str, Sought, Any, Found | None]] = [
    ("twilio", ID, {"sid": "B1", "status": "sent", "error_code": None}, Found("B1")),
    ("twilio", ID, {"sid": "B1", "status": "delivered"}, Found("B1", Ended("B1", Receipt.DELIVERED))),
    (
        "twilio", ID, {"sid": "B1", "status": "undelivered", "error_code": 30003},
        Found("B1", Ended("B1", Receipt.UNDELIVERED, "30003")),
    ),
    ("twilio", ID, {"sid": "SM2", "status": "delivered"}, None),
    ("sinch", ID, batch({"code": 401, "status": "Dispatched", "count": 1}), Found("B1")),
    ("sinch", ID, batch({"code": 0, "status": "Delivered", "count": 1}), Found("B1", Ended("B1", Receipt.DELIVERED))),
    (
        "sinch", ID, batch({"code": 412, "status": "Aborted", "count": 1}),
        Found("B1", Ended("B1", Receipt.REJECTED, "412")),
    ),
    ("sinch", ID, batch({"code": 0, "status": "Delivered"}, {"code": 402, "status": "Aborted"}), None),
    ("sinch", ID, batch({"code": 0, "status": "Delivered"}, batch_id="B2"), None),
    ("sinch", REFERENCE, {"batches": [{"id": "B1", "client_reference": "r1"}]}, Found("B1")),
    ("sinch", REFERENCE, {"batches": []}, None),
    ("sinch", REFERENCE, {"batches": [{"id": "B1", "client_reference": "r2"}]}, None),
    ("sinch", REFERENCE, {"batches": [{"id": one, "client_reference": "r1"} for one in ("B1", "B2")]}, None),
    ("messagemedia", ID, {"message_id": "B1", "status": "enroute"}, Found("B1")),
    (
        "messagemedia", ID, {"message_id": "B1", "status": "undeliverable"},
        Found("B1", Ended("B1", Receipt.UNDELIVERED)),
    ),
    ("messagemedia", ID, {"message_id": "B2", "status": "delivered"}, None),
    ("generic", ID, {"id": "B1", "status": "SENT"}, Found("B1")),
    (
        "generic", ID, {"id": "B1", "status": "UNDELIV", "error": 10},
        Found("B1", Ended("B1", Receipt.UNDELIVERED, "10")),
    ),
    ("generic", ID, {"id": "B2", "status": "delivered"}, None),
    (
        "generic", REFERENCE, {"messages": [{"id": "B1", "reference": "r1", "status": "delivered"}]},
        Found("B1", Ended("B1", Receipt.DELIVERED)),
    ),
    ("generic", REFERENCE, {"messages": [{"id": "B1", "reference": "another", "status": "delivered"}]}, None),
    ("generic", REFERENCE, {"messages": [{"id": "two words", "reference": "r1", "status": "delivered"}]}, None),
]  # fmt: skip


@pytest.mark.parametrize(("adapter", "sought", "body", "found"), ANSWERS)
def test_an_answer_is_about_the_message_that_was_asked_for_or_is_none(
    adapter: str, sought: Sought, body: Any, found: Found | None
) -> None:
    http = account(adapter, **({**LOOKUPS, "states": {"UNDELIV": "undelivered"}} if adapter == "generic" else {}))
    assert ADAPTERS[adapter].found(http, Reply(200, {}, json.dumps(body).encode()), sought) == found


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("sought", [ID, REFERENCE])
@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"batches": 7, "messages": {}, "sid": []}'])
def test_an_answer_that_cannot_be_read_is_none_and_never_an_error_of_ours(
    adapter: str, sought: Sought, body: bytes
) -> None:
    http = account(adapter, **(LOOKUPS if adapter == "generic" else {}))
    assert ADAPTERS[adapter].found(http, Reply(200, {}, body), sought) is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"adapter": "vonage", "username": "key", "ask_status": True}, "ask_status"),
        ({"adapter": "twilio", "username": "AC1", "ask_status": 1}, "ask_status"),
        ({"adapter": "generic", "generic": DESCRIBED, "ask_status": True}, "ask_status"),
        ({"adapter": "generic", "generic": {**DESCRIBED, "status_by_id": []}}, "generic.status_by_id"),
        ({"adapter": "generic", "generic": {**DESCRIBED, "status_by_id": {"path": "/x"}}}, "generic.status_by_id.path"),
        (
            {"adapter": "generic", "generic": {**DESCRIBED, "status_by_id": {"path": "//x/{id}"}}},
            "generic.status_by_id.path",
        ),
        (
            {"adapter": "generic", "generic": {**DESCRIBED, "status_by_reference": {**BY_ID, "number": "to"}}},
            "generic.status_by_reference.number",
        ),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_by_the_name_of_its_field(
    options: dict[str, Any], field: str
) -> None:
    wrong = read_http({"base_url": "https://a.example", **options}, ADAPTERS)
    assert isinstance(wrong, Wrong)
    assert wrong.field == field


# -- a real carrier on loopback ---------------------------------------------------------------------------------------


@asynccontextmanager
async def asking(db: Database, carrier: Carrier, *, ask: bool = True, **members: Any) -> AsyncIterator[Running]:
    """A sender whose account asks (or does not), and has something to ask all the time."""
    given = {"dispatch_query_after_s": 0.05, "dispatch_query_unknown_after_s": 0.05, "dispatch_queries_per_s": 1_000}
    described = {**http_world.SIMULATOR, **LOOKUPS}
    profile = {"generic": described, "ask_status": ask, "response_timeout_s": 1}
    conf = http_world.settings(carrier, window=20, profile=profile, **{**given, **members})
    async with world.sending(db, conf) as running:
        yield running


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    async with Carrier(CarrierOptions(http_port=0)) as carrier:
        yield carrier


async def left_so(db: Database, send: Send, left: dict[int, int]) -> bool:
    return await world.lefts(db, send) == left


async def heard(db: Database, send: Send, count: int) -> bool:
    return (await world.receipts(db, send)).total() >= count


async def test_messages_whose_answer_was_lost_are_found_by_our_reference_settled_and_never_sent_again(
    db: Database, carrier: Carrier
) -> None:
    carrier.use(replace(carrier.options, disconnect_every=10, undelivered_ratio=0.3))
    send = Send(recipients=40, text=TWO_PARTS)
    await world.queue(db, send)

    async with asking(db, carrier):
        await eventually(partial(world.closed, db, send))
        await eventually(partial(heard, db, send, 40))

    assert carrier.stats.disconnects == 4
    assert await world.lefts(db, send) == {ACCEPTED: 40}
    assert await world.money(db, send) == (80, 80, 0, 0)
    assert set(await world.receipts(db, send)) == {DELIVERED, UNDELIVERED}
    assert Counter(carrier.stats.by_destination.values()) == {1: 40}
    await world.assert_laws(db)


async def test_what_the_carrier_does_not_know_stays_unknown_and_is_asked_for_so_often_and_no_more(
    db: Database, carrier: Carrier
) -> None:
    carrier.use(replace(carrier.options, disconnect_every=5))
    send = Send(recipients=10)
    await world.queue(db, send)
    async with asking(db, carrier, ask=False):
        await eventually(partial(left_so, db, send, {ACCEPTED: 8, UNKNOWN: 2}))
    assert carrier.stats.queries == 0, "an account that does not say so asks nothing"
    carrier.reset()

    async with asking(db, carrier, dispatch_query_times_max=2, dispatch_query_after_s=3_600) as running:
        await eventually(partial(all_asked, db, 2))
        querier = running.sender.querier
        assert isinstance(querier, Querier)
        for _ in range(3):
            await querier.step()

    assert carrier.stats.queries == 4
    assert await world.lefts(db, send) == {ACCEPTED: 8, UNKNOWN: 2}
    assert (await world.money(db, send))[3] == 2, "its credits are held"
    await world.assert_laws(db)


async def all_asked(db: Database, times: int) -> bool:
    async with db.worker() as tx:
        return bool(await tx.fetchval("SELECT bool_and(asked = $1) FROM unknown_part", times))


async def asked_often(carrier: Carrier, count: int) -> bool:
    return carrier.stats.queries >= count


async def test_a_message_that_is_found_on_its_way_is_accepted_and_asked_for_by_its_id_until_it_has_ended(
    db: Database, carrier: Carrier
) -> None:
    carrier.use(replace(carrier.options, disconnect_every=1, receipt_delay_ms=2_500))
    send = Send(recipients=1, text=TWO_PARTS)
    await world.queue(db, send)

    async with asking(db, carrier, dispatch_query_times_max=20):
        await eventually(partial(left_so, db, send, {ACCEPTED: 1}))
        assert await world.receipts(db, send) == {}
        await eventually(partial(heard, db, send, 1))

    assert await world.receipts(db, send) == {DELIVERED: 1}
    assert Counter(carrier.stats.by_destination.values()) == {1: 1}
    await world.assert_laws(db)


async def test_a_question_that_gets_no_answer_is_not_counted_and_its_message_is_found_by_a_later_one(
    db: Database, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_asker, "_PAUSE_S", 0.2)
    carrier.use(replace(carrier.options, disconnect_every=1, query_loss=1.0))
    send = Send(recipients=1)
    await world.queue(db, send)

    async with asking(db, carrier, dispatch_query_times_max=1):
        await eventually(partial(asked_often, carrier, 1))
        carrier.use(replace(carrier.options, query_loss=0.0))
        await eventually(partial(left_so, db, send, {ACCEPTED: 1}))

    assert carrier.stats.queries_lost == 1
    await world.assert_laws(db)
