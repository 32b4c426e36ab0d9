"""The register of senders: whose a number or a name is, when it is given up, and when somebody else may have it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import dispatch_world as world
import httpx
import pytest
from dispatch_world import Send

from muster.dispatch.api import ROUTERS
from muster.dispatch.domain.senders import (
    LEASE,
    Registration,
    Standing,
    Use,
    is_sender,
    is_shown_unverified,
    leased_until,
    time_over,
)
from muster.dispatch.handlers import handlers_of, senders
from muster.dispatch.store import senders as store
from muster.events import NIL_TENANT
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit import clock
from muster.kit.auth import Caller, Role
from muster.kit.desk import Desk
from muster.kit.pg import Database
from muster.kit.testing import app_of, apply
from muster.kit.tokens import TokenRefused

A, B = uuid4(), uuid4()
CALLERS = {
    "operator": Caller(NIL_TENANT, "op", Role.OPERATOR, ""),
    "a": Caller(A, "ada", Role.STAFF, ""),
    "b": Caller(B, "bob", Role.ADMIN, ""),
}
NUMBER, OTHER = "+61400000001", "+61400000002"
NOW = datetime(2026, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Verifier:
    async def verify(self, token: str) -> Caller:
        if token not in CALLERS:
            raise TokenRefused("unknown")
        return CALLERS[token]


@pytest.fixture
async def http(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    state = {"db": db, "desk": Desk(db), "settings": world.settings()}
    app = app_of("dispatch", ROUTERS, {"verifier": Verifier(), **state})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dispatch") as client:
        yield client


async def ask(http: httpx.AsyncClient, method: str, path: str, body: Any = None, by: str = "operator") -> Any:
    return await http.request(method, f"/v1/senders{path}", headers={"Authorization": f"Bearer {by}"}, json=body)


async def settings_of(db: Database, tenant_id: UUID, sender: str, version: int, **members: Any) -> None:
    await world.hear(db, TenantChanged(tenant_id=str(tenant_id), version=version, sender=sender, **members))


async def standing(db: Database, tenant_id: UUID, sender: str = NUMBER) -> tuple[str, str]:
    async with db.worker() as tx:
        found = await store.find(tx, tenant_id, sender.removeprefix("+"))
    assert found is not None
    return found.standing.value, found.reason


async def owner(db: Database) -> UUID | None:
    async with db.worker() as tx:
        return await store.owner_of(tx, NUMBER.removeprefix("+"))


async def texts(db: Database, tenant_id: UUID = A, sender: str = NUMBER) -> None:
    """A marketing message by this sender is on its way and then gone: it may leave for an hour."""
    await world.queue(db, Send(recipients=2, tenant_id=tenant_id, sender=sender))


async def passes(db: Database, days: float) -> None:
    """So many days later."""
    async with db.worker() as tx:
        await tx.execute("UPDATE sender_number SET until = until - make_interval(secs => $1)", days * 86400)
        sql = "UPDATE chunk SET send_by = send_by - make_interval(secs => $1)"
        await tx.execute(sql, days * 86400)
    await senders.sweep(db, 30)


# -- what it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "queued", "until"),
    [
        (NOW - 3 * DAY, None, NOW + 27 * DAY),
        (NOW - 40 * DAY, None, NOW),
        (NOW - 3 * DAY, NOW + 2 * DAY, NOW + 32 * DAY),
        (None, None, NOW),
    ],
)
def test_who_was_texted_may_answer_for_thirty_days_after_the_last_marketing(
    last: datetime | None, queued: datetime | None, until: datetime
) -> None:
    assert leased_until(Use(last, queued, ever=True), NOW) == until


def test_a_sender_by_which_nothing_was_sent_is_free_at_once() -> None:
    assert time_over(Standing.LEASED, Use(None, None, ever=False), 30 * DAY, NOW) == (Standing.FREE, None)


def test_a_lease_ends_in_quarantine_unless_marketing_left_since_and_that_ends_free() -> None:
    quarantine = 30 * DAY
    over, again = Use(NOW - LEASE, None, ever=True), Use(NOW - DAY, None, ever=True)
    assert time_over(Standing.LEASED, over, quarantine, NOW) == (Standing.QUARANTINED, NOW + quarantine)
    assert time_over(Standing.LEASED, again, quarantine, NOW) == (Standing.LEASED, NOW + 29 * DAY)
    assert time_over(Standing.QUARANTINED, over, quarantine, NOW) == (Standing.FREE, None)


@pytest.mark.parametrize(
    "sender", ["", "+", "+0400000000", "0", "12345678901234567", "12", " Salon", "TwelveLetters", "é"]
)
def test_what_is_neither_number_nor_name_is_no_sender(sender: str) -> None:
    assert not is_sender(sender)


@pytest.mark.parametrize(
    ("sender", "registration", "country", "shown"),
    [
        ("Salon", Registration.UNREGISTERED, "AU", True),
        ("Salon", Registration.PENDING, "AU", True),
        ("Salon", Registration.REGISTERED, "AU", False),
        ("Salon", Registration.UNREGISTERED, "NZ", False),
        (NUMBER, Registration.UNREGISTERED, "AU", False),
    ],
)
def test_a_name_that_is_not_registered_is_shown_as_unverified_in_australia(
    sender: str, registration: Registration, country: str, shown: bool
) -> None:
    assert is_shown_unverified(sender, registration, country) is shown


# -- whose it is ------------------------------------------------------------------------------------------------------


async def test_a_number_is_one_businesss_and_whoever_else_names_it_is_told_so(db: Database) -> None:
    await settings_of(db, A, NUMBER, 1)
    await settings_of(db, B, NUMBER, 1)

    assert (await standing(db, A), await owner(db)) == (("active", ""), A)
    assert await standing(db, B) == ("withheld", senders.ANOTHERS)
    said = [(one.owner_tenant_id, one.active, one.reason) for one in await world.said(db, "SenderChanged")]
    assert said == [(str(A), True, ""), (str(B), False, senders.ANOTHERS)]


async def test_the_database_lets_no_two_businesses_have_a_number(db: Database) -> None:
    await settings_of(db, A, NUMBER, 1)
    await settings_of(db, B, NUMBER, 1)

    with pytest.raises(asyncpg.UniqueViolationError):
        async with db.worker() as tx:
            await tx.execute("UPDATE sender_number SET standing = 'active'")


async def test_a_name_may_be_that_of_several_businesses(db: Database) -> None:
    await settings_of(db, A, "Salon", 1)
    await settings_of(db, B, "Salon", 1)

    assert [await standing(db, one, "Salon") for one in (A, B)] == [("active", "")] * 2


async def test_a_number_that_was_given_up_keeps_its_replies_for_the_lease_and_is_free_after_the_quarantine(
    db: Database,
) -> None:
    await settings_of(db, A, NUMBER, 1)
    await texts(db)
    await settings_of(db, A, OTHER, 2)
    await settings_of(db, B, NUMBER, 1)
    assert (await standing(db, A), await standing(db, B), await owner(db)) == (
        ("leased", ""), ("withheld", senders.ANOTHERS), A
    )  # fmt: skip

    await passes(db, 29.9)
    assert (await standing(db, A), await owner(db)) == (("leased", ""), A)
    await passes(db, 0.2)
    await settings_of(db, B, NUMBER, 2)
    assert (await standing(db, A), await standing(db, B), await owner(db)) == (
        ("quarantined", ""), ("withheld", senders.ANOTHERS), None
    )  # fmt: skip
    await passes(db, 30.1)
    await settings_of(db, B, NUMBER, 3)
    assert (await standing(db, A), await standing(db, B), await owner(db)) == (("free", ""), ("active", ""), B)


async def test_who_gave_a_number_up_may_take_it_back_while_nobody_else_can_have_it(db: Database) -> None:
    await settings_of(db, A, NUMBER, 1)
    await texts(db)
    await settings_of(db, A, OTHER, 2)
    await passes(db, 31)
    await settings_of(db, A, NUMBER, 3)

    assert (await standing(db, A), await standing(db, A, OTHER)) == (("active", ""), ("leased", ""))
    await senders.sweep(db, 30)
    assert (await standing(db, A, OTHER))[0] == "free", "nothing was sent by it"


async def test_a_business_that_is_closed_gives_its_senders_up(db: Database) -> None:
    await settings_of(db, A, NUMBER, 1)
    await texts(db)
    await settings_of(db, A, NUMBER, 2, closed=True)

    assert (await standing(db, A), await owner(db)) == (("leased", ""), A)


async def test_where_the_operator_gives_senders_settings_claim_none(db: Database, http: httpx.AsyncClient) -> None:
    hear = handlers_of(claims=False)["TenantChanged"]
    for _ in range(2):
        await apply(db, hear, TenantChanged(tenant_id=str(A), version=1, sender=NUMBER))
    assert await standing(db, A) == ("withheld", senders.NOT_GIVEN)

    given = await ask(http, "POST", "", {"tenant_id": str(A), "sender": NUMBER, "reason": "paid"})
    assert (given.status_code, await standing(db, A)) == (201, ("active", ""))


# -- what operators do ------------------------------------------------------------------------------------------------


async def test_an_operator_gives_a_business_more_senders_and_its_settings_change_none_of_them(
    db: Database, http: httpx.AsyncClient
) -> None:
    await settings_of(db, A, NUMBER, 1)
    given = await ask(http, "POST", "", {"tenant_id": str(A), "sender": "Salon", "reason": "asked for"})
    await settings_of(db, A, OTHER, 2)

    assert given.status_code == 201, given.text
    assert given.json()["warnings"][0]["code"] == "shown_unverified"
    await senders.sweep(db, 30)
    seen = {one["sender"]: one["standing"] for one in (await ask(http, "GET", "", by="a")).json()["items"]}
    assert seen == {NUMBER: "free", OTHER: "active", "Salon": "active"}


async def test_a_number_that_another_has_is_not_given(db: Database, http: httpx.AsyncClient) -> None:
    await settings_of(db, A, NUMBER, 1)
    await settings_of(db, B, OTHER, 1)
    body = {"tenant_id": str(B), "sender": NUMBER, "reason": "asked for"}

    active = await ask(http, "POST", "", body)
    await texts(db)
    await settings_of(db, A, "Salon", 2)
    leased = await ask(http, "POST", "", body)

    assert [(one.status_code, one.json()["code"], one.json()["standing"]) for one in (active, leased)] == [
        (409, "sender_taken", "active"),
        (409, "sender_taken", "leased"),
    ]
    assert (leased.json()["owner_tenant_id"], leased.json()["until"] > clock.now().isoformat()) == (str(A), True)
    with pytest.raises(AssertionError):
        await standing(db, B)


async def test_what_an_operator_takes_away_settings_do_not_bring_back(db: Database, http: httpx.AsyncClient) -> None:
    await settings_of(db, A, NUMBER, 1)
    path = f"/{A}/{NUMBER.replace('+', '%2B')}"
    taken = await ask(http, "POST", f"{path}/release", {"reason": "fraud"})
    again = await ask(http, "POST", f"{path}/release", {"reason": "fraud"})
    await senders.sweep(db, 30)
    await settings_of(db, A, NUMBER, 2)

    assert (taken.json()["standing"], again.status_code, again.json()["code"]) == ("leased", 409, "not_active")
    assert await standing(db, A) == ("free", "fraud")
    acts = [(one.act, one.subject_id, one.reason) for one in await world.said(db, "ActRecorded")]
    assert acts == [("sender.released", f"{A}/{NUMBER[1:]}", "fraud")]


async def test_a_registration_is_kept_said_and_shown(db: Database, http: httpx.AsyncClient) -> None:
    await settings_of(db, A, "Salon", 1)
    path = f"/{A}/Salon/registration"

    unsaid = await ask(http, "PUT", path, {"registration": "rejected"})
    nowhere = await ask(http, "PUT", path, {"registration": "registered"})
    kept = await ask(http, "PUT", path, {"registration": "registered", "reference": "ACMA-1"})

    assert [one.json()["errors"][0]["field"] for one in (unsaid, nowhere)] == ["reason", "reference"]
    shown = kept.json()
    assert (shown["registration"], shown["reference"], shown["warnings"]) == ("registered", "ACMA-1", [])
    assert (await world.said(db, "SenderChanged"))[-1].registration == 3


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"sender": "+12"}, 422, "sender_not_valid"),
        ({"sender": "A name too long"}, 422, "sender_not_valid"),
        ({"sender": "Salon", "receives_replies": True}, 422, "name_gets_no_replies"),
        ({"sender": "Salon", "tenant_id": str(uuid4())}, 404, "not_found"),
        ({"sender": "Salon", "tenant_id": "0190163d-8694-8000-8000-000000000001"}, 422, "sandbox"),
        ({"sender": "Salon", "reason": ""}, 422, None),
    ],
)
async def test_a_sender_that_cannot_be_given_is_refused_with_why(
    db: Database, http: httpx.AsyncClient, body: dict[str, Any], status: int, code: str | None
) -> None:
    await settings_of(db, A, NUMBER, 1)
    refused = await ask(http, "POST", "", {"tenant_id": str(A), "reason": "x", **body})

    said = refused.json()
    assert refused.status_code == status, said
    assert code is None or code in (said["code"], *(one["code"] for one in said.get("errors", ())))
    assert len(await world.said(db, "SenderChanged")) == 1


async def test_a_business_sees_its_own_senders_only_and_changes_none(db: Database, http: httpx.AsyncClient) -> None:
    await settings_of(db, A, NUMBER, 1)
    await settings_of(db, B, "Salon", 1)

    own = (await ask(http, "GET", f"?tenant_id={A}", by="b")).json()["items"]
    every = (await ask(http, "GET", "?limit=1")).json()
    rest = (await ask(http, "GET", f"?cursor={every['next_cursor']}")).json()["items"]
    of_one = (await ask(http, "GET", f"?tenant_id={B}&standing=active&registration=unregistered&sender=Salon")).json()
    refused = [
        await ask(http, "POST", "", {"tenant_id": str(B), "sender": "Me", "reason": "x"}, by="b"),
        await ask(http, "POST", f"/{B}/Salon/release", {"reason": "x"}, by="b"),
        await ask(http, "PUT", f"/{B}/Salon/registration", {"registration": "pending"}, by="b"),
    ]
    unknown = await ask(http, "POST", f"/{A}/Salon/release", {"reason": "x"})

    assert [one["sender"] for one in own] == ["Salon"]
    assert [one["sender"] for one in (*every["items"], *rest)] == [NUMBER, "Salon"]
    assert [one["tenant_id"] for one in of_one["items"]] == [str(B)]
    assert [one.status_code for one in refused] == [403, 403, 403]
    assert unknown.status_code == 404
