"""The HTTP edge over real PostgreSQL: who may, what is answered, and what changes nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from muster.credit import handlers
from muster.credit.api import ROUTERS
from muster.credit.domain.account import Tenant
from muster.credit.settings import CreditSettings
from muster.credit.store import ledger
from muster.events import NIL_TENANT
from muster.events.v1.bulk_pb2 import BulkSmsAccounted, BulkSmsRequested
from muster.kit.auth import Caller, Role
from muster.kit.pg import Database
from muster.kit.testing import app_of, apply, facts
from muster.kit.tokens import TokenRefused

TENANT, OTHER = uuid4(), uuid4()
CALLERS = {
    "operator": Caller(NIL_TENANT, "op", Role.OPERATOR, ""),
    "admin": Caller(TENANT, "ada", Role.ADMIN, ""),
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
    db = await service_database("credit")
    async with db.worker() as tx:
        await ledger.save_tenants(tx, [Tenant(TENANT, 1), Tenant(OTHER, 1)])
    return db


@pytest.fixture
async def http(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    settings = CreditSettings(credit_tenant_wait_ms_max=60)
    app = app_of("credit", ROUTERS, {"db": db, "verifier": Verifier(), "settings": settings})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://credit") as client:
        yield client


def by(caller: str, key: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {caller}", **({"Idempotency-Key": key} if key else {})}


def grant(credits: Any, **members: Any) -> dict[str, Any]:
    return {"tenant_id": str(TENANT), "credits": credits, "reason": "paid", "reference": "invoice 7", **members}


async def top_up(http: httpx.AsyncClient, credits: int, key: str | None = None) -> httpx.Response:
    return await http.post("/v1/credits/top-ups", json=grant(credits), headers=by("operator", key))


async def test_a_top_up_is_granted_once_per_key_and_answered_the_same(http: httpx.AsyncClient, db: Database) -> None:
    first = await top_up(http, 500, "k1")
    second = await top_up(http, 500, "k1")

    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert (first.json()["credits"], first.json()["available"]) == (500, 500)
    assert second.headers["Idempotent-Replayed"] == "true"
    async with db.worker() as tx:
        assert len(await facts(tx, "CreditsToppedUp")) == 1
        assert [fact.message.act for fact in await facts(tx, "ActRecorded")] == ["top-up.granted"]


async def test_a_top_up_is_granted_once_also_when_its_stored_answer_is_forgotten(
    http: httpx.AsyncClient, db: Database
) -> None:
    first = await top_up(http, 500, "k1")
    async with db.worker() as tx:
        await tx.execute("DELETE FROM idempotency")

    assert (await top_up(http, 500, "k1")).json() == first.json()
    async with db.worker() as tx:
        await tx.execute("DELETE FROM idempotency")
    assert (await top_up(http, 501, "k1")).status_code == 409


async def test_a_key_with_another_body_is_a_conflict_and_grants_nothing(http: httpx.AsyncClient) -> None:
    await top_up(http, 500, "k1")

    refused = await top_up(http, 600, "k1")

    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_key_reused")
    assert (await http.get("/v1/credits", headers=by("admin"))).json()["granted"] == 500


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (grant(0), "credits"),
        (grant(-5), "credits"),
        (grant(10**12 + 1), "credits"),
        (grant(1.5), "credits"),
        (grant("5"), "credits"),
        (grant(5, reason=" "), "reason"),
        (grant(5, reason="x" * 201), "reason"),
        (grant(5, tenant_id="nobody"), "tenant_id"),
        (grant(5, bonus=1), "bonus"),
    ],
)
async def test_a_bad_top_up_names_its_field_and_changes_nothing(
    http: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await http.post("/v1/credits/top-ups", json=body, headers=by("operator"))

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await http.get("/v1/credits", headers=by("admin"))).json()["version"] == 0


async def test_a_top_up_for_a_tenant_that_is_none_is_404(http: httpx.AsyncClient) -> None:
    body = grant(5, tenant_id=str(uuid4()))

    assert (await http.post("/v1/credits/top-ups", json=body, headers=by("operator"))).status_code == 404


async def test_a_reversed_top_up_leaves_what_was_used_owed(http: httpx.AsyncClient, db: Database) -> None:
    granted = (await top_up(http, 100)).json()
    await spend(db, uuid4(), 30)
    path = f"/v1/credits/top-ups/{granted['id']}/reversal"
    body = {"tenant_id": str(TENANT), "reason": "card refused"}

    answers = [await http.post(path, json=body, headers=by("operator")) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json() | {"reversed": True, "available": 0, "credits": 100} == answers[0].json()
    account = (await http.get("/v1/credits", headers=by("admin"))).json()
    assert account | {"granted": 0, "owed": 30, "available": 0, "consumed": 30, "conservation": 0} == account


async def test_a_reversal_of_what_was_never_granted_to_that_tenant_is_404(http: httpx.AsyncClient) -> None:
    granted = (await top_up(http, 100)).json()
    body = {"tenant_id": str(OTHER), "reason": "mistake"}

    for top_up_id in (granted["id"], str(uuid4())):
        path = f"/v1/credits/top-ups/{top_up_id}/reversal"
        assert (await http.post(path, json=body, headers=by("operator"))).status_code == 404


async def test_the_statement_pages_newest_first_with_the_balance_after_each_entry(
    http: httpx.AsyncClient, db: Database
) -> None:
    await top_up(http, 100)
    bulk = uuid4()
    await spend(db, bulk, 30)

    items, cursor = [], None
    while True:
        page = await http.get("/v1/credits/statement", params={"limit": 2, **(cursor or {})}, headers=by("staff"))
        items += page.json()["items"]
        if (after := page.json()["next_cursor"]) is None:
            break
        cursor = {"cursor": after}

    assert [(item["kind"], item["credits"], item["available_after"]) for item in items] == [
        ("void", 10, 70),
        ("post", 30, 60),
        ("pending", 40, 60),
        ("top_up", 100, 100),
    ]
    assert [item["bulk_id"] for item in items] == [str(bulk)] * 3 + [None]
    assert items[-1]["reason"] == "paid"


async def test_a_tenant_sees_its_own_credits_only(http: httpx.AsyncClient) -> None:
    await top_up(http, 100)

    assert (await http.get("/v1/credits", headers=by("other"))).json()["granted"] == 0
    assert (await http.get("/v1/credits/statement", headers=by("other"))).json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "caller", "status"),
    [
        ("GET", "/v1/credits", "nobody", 401),
        ("GET", "/v1/credits", "operator", 403),
        ("POST", "/v1/credits/top-ups", "admin", 403),
        ("PUT", "/v1/rates", "admin", 403),
        ("GET", "/v1/ops/credit/laws", "admin", 403),
        ("GET", "/v1/ops/credit/bulks", "staff", 403),
        ("GET", "/v1/credits/statement?cursor=rubbish", "admin", 422),
        ("GET", "/v1/credits/statement?limit=501", "admin", 422),
    ],
)
async def test_who_may_not_and_what_cannot_be_is_a_problem(
    http: httpx.AsyncClient, method: str, path: str, caller: str, status: int
) -> None:
    body = grant(5) if method == "POST" else {"credits_per_part": 1} if method == "PUT" else None

    answer = await http.request(method, path, json=body, headers=by(caller))

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_rate_that_is_set_is_in_force_and_one_of_the_future_is_not_yet(http: httpx.AsyncClient) -> None:
    for body in (
        {"country": "NZ", "credits_per_part": 3},
        {"country": "GB", "credits_per_part": 9, "valid_from": "2999-01-01T00:00:00+11:00"},
    ):
        assert (await http.put("/v1/rates", json=body, headers=by("operator"))).status_code == 200

    rates = {item["country"]: item for item in (await http.get("/v1/rates", headers=by("staff"))).json()["items"]}

    assert (rates["NZ"]["credits_per_part"], rates["NZ"]["version"]) == (3, 2)
    assert (rates["GB"]["credits_per_part"], rates["GB"]["version"]) == (1, 1)
    assert rates["*"]["credits_per_part"] == 2
    coming = (await http.get("/v1/rates?coming=true", headers=by("staff"))).json()["items"]
    british = [(item["credits_per_part"], item["valid_from"]) for item in coming if item["country"] == "GB"]
    assert british == [(1, "2026-01-01T00:00:00Z"), (9, "2998-12-31T13:00:00Z")]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"country": "nz"}, "country"),
        ({"country": "XX"}, "country"),
        ({"credits_per_part": 0}, "credits_per_part"),
        ({"credits_per_part": -1}, "credits_per_part"),
        ({"credits_per_part": 1_001}, "credits_per_part"),
        ({"credits_per_part": 2**53 + 1}, "credits_per_part"),
        ({"credits_per_part": "3.00 AUD"}, "credits_per_part"),
        ({"credits_per_part": 1.5}, "credits_per_part"),
        ({"valid_from": "2026-01-01T00:00:00Z"}, "valid_from"),
        ({"valid_from": "2026-01-01T00:00:00"}, "valid_from"),
        ({"valid_from": "9999-12-31T23:59:59-14:00"}, "valid_from"),
    ],
)
async def test_a_bad_rate_names_its_field_and_changes_nothing(
    http: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    before = (await http.get("/v1/rates", headers=by("operator"))).json()
    answer = await http.put(
        "/v1/rates", json={"country": "NZ", "credits_per_part": 3, **change}, headers=by("operator")
    )
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await http.get("/v1/rates", headers=by("operator"))).json() == before


async def test_the_laws_hold_and_say_what_they_looked_at(http: httpx.AsyncClient, db: Database) -> None:
    await top_up(http, 100)
    await spend(db, uuid4(), 30)

    laws = {law["law"]: law for law in (await http.get("/v1/ops/credit/laws", headers=by("operator"))).json()["laws"]}

    assert {name: law["violation_count"] for name, law in laws.items()} == {"granted": 0, "reserved": 0, "tenant": 0}
    assert [laws[name]["checked"] for name in ("granted", "reserved", "tenant")] == [6, 1, 7]


@pytest.mark.parametrize(
    ("damage", "law"),
    [
        ("UPDATE account SET granted = granted + 1, available = available + 1", "granted"),
        ("UPDATE account SET version = version + 1", "granted"),
        ("UPDATE reservation SET used = used - 1, held = held + 1, closed = false", "reserved"),
        ("UPDATE reservation SET excess = 4", "reserved"),
        (f"INSERT INTO reservation (tenant_id, bulk_id) SELECT '{OTHER}', bulk_id FROM reservation", "tenant"),
    ],
)
async def test_damage_to_the_ledger_is_seen_by_its_law(
    http: httpx.AsyncClient, db: Database, damage: str, law: str
) -> None:
    await top_up(http, 100)
    await spend(db, uuid4(), 30)
    async with db.worker() as tx:
        await tx.execute(damage)

    laws = (await http.get("/v1/ops/credit/laws", headers=by("operator"))).json()["laws"]

    assert law in [found["law"] for found in laws if found["violation_count"]]


async def test_the_operator_reads_the_sums_of_every_send_page_by_page(http: httpx.AsyncClient, db: Database) -> None:
    await top_up(http, 200)
    bulks = [uuid4(), uuid4(), uuid4()]
    for bulk in bulks:
        await spend(db, bulk, 30)

    first = (await http.get("/v1/ops/credit/bulks?limit=2", headers=by("operator"))).json()
    rest = (
        await http.get(
            "/v1/ops/credit/bulks", params={"limit": 2, "cursor": first["next_cursor"]}, headers=by("operator")
        )
    ).json()

    assert [item["bulk_id"] for item in first["items"] + rest["items"]] == sorted(map(str, bulks))
    assert rest["next_cursor"] is None
    sums = {"reserved": 40, "used": 30, "released": 10, "held": 0, "refunded": 0, "closed": True, "version": 1}
    assert first["items"][0] | sums == first["items"][0]


async def spend(db: Database, bulk: UUID, credits: int) -> None:
    """A send of ten credits more than it uses."""
    ids = {"tenant_id": str(TENANT), "bulk_id": str(bulk)}
    await apply(db, handlers.on_bulk_sms_requested, BulkSmsRequested(**ids, credits=credits + 10))
    totals = BulkSmsAccounted(**ids, version=1, used=credits, released=10, closed=True)
    await apply(db, handlers.on_bulk_sms_accounted, totals)
