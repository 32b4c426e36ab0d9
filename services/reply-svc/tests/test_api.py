"""The HTTP edge over real PostgreSQL: the inbox, conversations, and who sees what."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from muster.events import NIL_TENANT
from muster.events.v1.recipients_pb2 import BulkRecipientsAttached, SmsReceived
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit import clock
from muster.kit.auth import Caller, Role
from muster.kit.pages import encode_cursor
from muster.kit.pg import Database
from muster.kit.testing import app_of, apply, facts
from muster.kit.tokens import TokenRefused
from muster.reply import handlers
from muster.reply.api import ROUTERS
from muster.reply.settings import ReplySettings
from muster.text import number_hash

TENANT, OTHER, BULK = uuid4(), uuid4(), uuid4()
KEY = bytes(range(32))
CALLERS = {
    "operator": Caller(NIL_TENANT, "op", Role.OPERATOR, ""),
    "staff": Caller(TENANT, "sam", Role.STAFF, ""),
    "other": Caller(OTHER, "ole", Role.ADMIN, ""),
}


class Verifier:
    async def verify(self, token: str) -> Caller:
        if token not in CALLERS:
            raise TokenRefused("unknown")
        return CALLERS[token]


@pytest.fixture
async def db(service_database: Callable[[str], Awaitable[Database]]) -> Database:
    return await service_database("reply")


@pytest.fixture
async def http(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    settings = ReplySettings(hash_key=KEY.hex())
    app = app_of("reply", ROUTERS, {"db": db, "verifier": Verifier(), "settings": settings})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://reply") as client:
        yield client


def by(caller: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {caller}"}


async def given_replies(db: Database, *texts: str, tenant: UUID = TENANT, number: str = "+61400000001") -> list[str]:
    hashed = number_hash(KEY, 1, tenant, number)
    now = clock.unix_ms()
    await apply(
        db, handlers.on_tenant_changed, TenantChanged(tenant_id=str(tenant), version=1, country="AU", name="Rosa")
    )
    sent = BulkRecipientsAttached(
        tenant_id=str(tenant),
        bulk_id=str(BULK if tenant == TENANT else uuid4()),
        chunk=1,
        lane=1,
        due_at_unix_ms=now - 60_000,
        text=["Hello"],
        seq=[7],
        number_hash=[hashed],
    )
    await apply(db, handlers.on_bulk_recipients_attached, sent)
    events = [
        SmsReceived(
            tenant_id=str(tenant),
            inbound_id=str(uuid4()),
            number=number,
            number_hash=hashed,
            text=text,
            received_at_unix_ms=now - 1_000 * (len(texts) - place),
        )
        for place, text in enumerate(texts)
    ]
    await apply(db, handlers.on_sms_received, *events)
    return [event.inbound_id for event in events]


async def test_the_inbox_pages_newest_first(http: httpx.AsyncClient, db: Database) -> None:
    await given_replies(db, "one", "two", "STOP")

    first = (await http.get("/v1/replies?limit=2", headers=by("staff"))).json()
    rest = (
        await http.get("/v1/replies", params={"limit": 2, "cursor": first["next_cursor"]}, headers=by("staff"))
    ).json()

    items = first["items"] + rest["items"]
    assert [(item["text"], item["verdict"]) for item in items] == [
        ("STOP", "opt_out"),
        ("two", "ordinary"),
        ("one", "ordinary"),
    ]
    assert rest["next_cursor"] is None
    assert items[0] | {"number": "+61400000001", "message_id": f"{BULK}-7", "doubtful": False} == items[0]


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ({"verdict": "opt_out"}, ["STOP"]),
        ({"bulk_id": str(BULK)}, ["STOP", "one"]),
        ({"bulk_id": str(uuid4())}, []),
    ],
)
async def test_the_inbox_is_filtered(
    http: httpx.AsyncClient, db: Database, query: dict[str, str], texts: list[str]
) -> None:
    await given_replies(db, "one", "STOP")

    items = (await http.get("/v1/replies", params=query, headers=by("staff"))).json()["items"]

    assert [item["text"] for item in items] == texts


async def test_another_tenants_reply_is_404_the_same_as_an_unknown_one(http: httpx.AsyncClient, db: Database) -> None:
    (reply_id,) = await given_replies(db, "one")

    assert (await http.get(f"/v1/replies/{reply_id}", headers=by("staff"))).json()["text"] == "one"
    foreign = await http.get(f"/v1/replies/{reply_id}", headers=by("other"))
    unknown = await http.get(f"/v1/replies/{uuid4()}", headers=by("other"))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()
    assert (await http.get("/v1/replies", headers=by("other"))).json()["items"] == []


@pytest.mark.parametrize("written", ["+61400000001", "0400 000 001", "61 400 000 001", "٠٤٠٠٠٠٠٠٠١"])
async def test_a_conversation_is_found_by_the_number_as_people_write_it(
    http: httpx.AsyncClient, db: Database, written: str
) -> None:
    await given_replies(db, "one", "two")
    await given_replies(db, "not mine", tenant=OTHER)

    page = (await http.get("/v1/conversations", params={"number": written}, headers=by("staff"))).json()

    assert [(item["direction"], item["text"]) for item in page["items"]] == [
        ("in", "two"),
        ("in", "one"),
        ("out", "Hello"),
    ]
    assert page["items"][2]["message_id"] == f"{BULK}-7"


@pytest.mark.parametrize("of_one_time", [False, True])
async def test_a_conversation_pages_also_where_messages_are_of_one_time(
    http: httpx.AsyncClient, db: Database, of_one_time: bool
) -> None:
    await given_replies(db, "one", "two", "three")
    if of_one_time:
        async with db.worker() as tx:
            await tx.execute("UPDATE inbound_message SET received_at = (SELECT max(received_at) FROM inbound_message)")

    texts: list[str] = []
    query: dict[str, Any] = {"number": "+61400000001", "limit": 1}
    while True:
        page = (await http.get("/v1/conversations", params=query, headers=by("staff"))).json()
        texts += [item["text"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert sorted(texts) == ["Hello", "one", "three", "two"]
    assert texts[-1] == "Hello"
    assert of_one_time or texts == ["three", "two", "one", "Hello"]


UNCLEAR = "fuck off"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"verdict": "ordinary"}, ["ReplyReceived"]),
        ({"verdict": "opt_out", "scope": "all"}, ["ReplyReceived", "OptOutReceived"]),
    ],
)
async def test_a_person_decides_about_an_unclear_reply_once(
    http: httpx.AsyncClient, db: Database, body: dict[str, str], told: list[str]
) -> None:
    (reply_id,) = await given_replies(db, UNCLEAR)
    assert (await http.get(f"/v1/replies/{reply_id}", headers=by("staff"))).json()["verdict"] == "unclear"
    before = len(await said(db))

    answers = [await http.post(f"/v1/replies/{reply_id}/verdict", json=body, headers=by("staff")) for _ in range(2)]

    assert [(answer.status_code, answer.json()["verdict"]) for answer in answers] == [(200, body["verdict"])] * 2
    facts = (await said(db))[before:]
    assert [type(fact).__name__ for fact in facts] == [*told, "ActRecorded"]
    assert all(fact.inbound_id == reply_id and fact.rule == "person" for fact in facts[:-1])
    other = {"verdict": "ordinary" if body["verdict"] == "opt_out" else "opt_out"}
    refused = await http.post(f"/v1/replies/{reply_id}/verdict", json=other, headers=by("staff"))
    assert (refused.status_code, refused.json()["verdict"]) == (409, body["verdict"])


async def said(db: Database) -> list[Any]:
    async with db.worker() as tx:
        return [fact.message for fact in await facts(tx)]


async def test_what_is_not_unclear_or_another_tenants_is_not_decided(http: httpx.AsyncClient, db: Database) -> None:
    ordinary, unclear = [*await given_replies(db, "See you"), *await given_replies(db, UNCLEAR)]
    before = len(await said(db))

    tried = [
        (await http.post(f"/v1/replies/{reply_id}/verdict", json=body, headers=by(caller))).status_code
        for reply_id, body, caller in (
            (ordinary, {"verdict": "opt_out"}, "staff"),
            (unclear, {"verdict": "opt_out"}, "other"),
            (unclear, {"verdict": "unclear"}, "staff"),
            (unclear, {"verdict": "opt_out", "scope": "some"}, "staff"),
            (unclear, {"verdict": "opt_out", "extra": 1}, "staff"),
            (uuid4(), {"verdict": "opt_out"}, "staff"),
            (unclear, {"verdict": "opt_out"}, "operator"),
        )
    ]

    assert tried == [409, 404, 422, 422, 422, 404, 403]
    assert len(await said(db)) == before


@pytest.mark.parametrize(
    ("path", "caller", "status"),
    [
        ("/v1/replies", "nobody", 401),
        ("/v1/replies", "operator", 403),
        ("/v1/ops/reply/laws", "staff", 403),
        ("/v1/conversations", "staff", 422),
        ("/v1/conversations?number=hello", "staff", 422),
        ("/v1/replies?verdict=maybe", "staff", 422),
        ("/v1/replies?cursor=rubbish", "staff", 422),
        (f"/v1/replies?cursor={encode_cursor({'at': '2026-01-01T00:00:00', 'id': BULK})}", "staff", 422),
        (f"/v1/replies?cursor={encode_cursor({'at': '0001-01-01T00:00:00+23:59', 'id': BULK})}", "staff", 422),
        (f"/v1/conversations?number=0400000001&cursor={encode_cursor({'until': 1, 'shown': 0})}", "staff", 422),
        ("/v1/replies/7", "staff", 422),
    ],
)
async def test_who_may_not_and_what_cannot_be_is_a_problem(
    http: httpx.AsyncClient, path: str, caller: str, status: int
) -> None:
    answer = await http.get(path, headers=by(caller))

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_law_holds_and_sees_a_reply_that_crosses_tenants(http: httpx.AsyncClient, db: Database) -> None:
    await given_replies(db, "one")
    await given_replies(db, "other", tenant=OTHER)

    async def law() -> dict[str, Any]:
        (found,) = (await http.get("/v1/ops/reply/laws", headers=by("operator"))).json()["laws"]
        return dict(found)

    assert (await law())["violation_count"] == 0
    assert (await law())["checked"] == 4
    async with db.worker() as tx:
        await tx.execute("UPDATE inbound_message SET bulk_id = $2 WHERE tenant_id = $1", OTHER, BULK)
    assert (await law())["violation_count"] == 1


async def test_replies_of_one_number_show_their_e_mail_and_who_was_erased(
    db: Database, http: httpx.AsyncClient
) -> None:
    await given_replies(db, "from me")
    await given_replies(db, "from another", number="+61400000002")
    async with db.worker() as tx:
        await tx.execute(
            "INSERT INTO email (tenant_id, inbound_id, recipient, state) SELECT tenant_id, inbound_id,"
            " 'desk@x.example', 'sent' FROM inbound_message WHERE text = 'from me' AND tenant_id = $1",
            TENANT,
        )

    async def shown(number: str) -> list[Any]:
        answer = await http.get("/v1/replies", params={"number": number}, headers=by("staff"))
        return [(one["text"], one["erased"], one["email"]) for one in answer.json()["items"]]

    mail = {"state": "sent", "to": "desk@x.example", "at": None}
    assert await shown("0400 000 001") == [("from me", False, mail)]
    assert await shown("+61400000002") == [("from another", False, None)]
    async with db.worker() as tx:
        gone = {number_hash(KEY, 1, TENANT, "+61400000001"): clock.now()}
        await handlers.blank(tx, TENANT, gone)
    assert await shown("+61400000001") == [("", True, mail)]
    assert (await http.get("/v1/replies", params={"number": "12"}, headers=by("staff"))).status_code == 422
