"""What an operator sees and does of dead letters and halted consumers, over real PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import httpx
import pytest

from muster.events import NIL_TENANT
from muster.kit import metrics
from muster.kit.auth import Caller, Role
from muster.kit.consumer import Poison, Received, halts
from muster.kit.consumer.letters import Stored, measure, park
from muster.kit.http import create_app
from muster.kit.ops import ops_router
from muster.kit.pg import Database, Tx
from muster.kit.settings import HttpSettings
from muster.kit.testing import facts
from muster.kit.tokens import TokenRefused

from .log import TENANT, hear, heard, requested, wire

CALLERS = {"operator": Caller(NIL_TENANT, "op", Role.OPERATOR, ""), "admin": Caller(TENANT, "ada", Role.ADMIN, "")}
PATH = "/v1/ops/notes/dead-letters"
WHY = {"reason": "the new version can read it"}


class Verifier:
    async def verify(self, token: str) -> Caller:
        if token not in CALLERS:
            raise TokenRefused("unknown")
        return CALLERS[token]


class Moody:
    """A handler that refuses for as long as it is told to."""

    refuses = True

    async def __call__(self, tx: Tx, events: Sequence[Received[Any]]) -> None:
        await hear(tx, events)
        if self.refuses:
            raise Poison("call 0412 345 678: not today")


@pytest.fixture
def handler() -> Moody:
    return Moody()


@pytest.fixture
async def http(db: Database, handler: Moody) -> AsyncIterator[httpx.AsyncClient]:
    router = ops_router("notes", lambda _: {"BulkSmsRequested": handler})
    state = {"db": db, "verifier": Verifier(), "settings": HttpSettings()}
    app = create_app("notes", routers=[router], state=state)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notes") as client:
        yield client


def by(caller: str = "operator", key: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {caller}", **({"Idempotency-Key": key} if key else {})}


async def parked(db: Database, chunk: int = 1, **replace: Any) -> str:
    """A letter of this event; its id."""
    bulk = str(uuid4())
    record = wire(chunk, "bulk-sms", value=requested(chunk, bulk).SerializeToString(), **replace)
    stored = Stored("bulk-sms", 0, chunk, record.key, record.value, record.headers)
    async with db.worker() as tx:
        assert await park(tx, "notes", stored, "Poison: not today")
        return str(await tx.fetchval("SELECT id FROM dead_letter WHERE log_offset = $1", chunk))


async def acts(db: Database) -> list[tuple[str, str, str]]:
    async with db.worker() as tx:
        return [(one.message.act, one.message.subject_id, one.message.reason) for one in await facts(tx, "ActRecorded")]


async def clear(db: Database) -> None:
    """What was parked goes to its topic; the facts that these tests look at come after it."""
    async with db.worker() as tx:
        await tx.execute("DELETE FROM outbox WHERE topic = 'notes-dlq'")


async def test_letters_are_listed_by_page_and_filter_and_told_by_ids_alone(
    http: httpx.AsyncClient, db: Database
) -> None:
    ids = [await parked(db, chunk) for chunk in range(1, 4)]
    secret = await parked(db, 4, ce_type="0412 345 678 says hello", ce_subject="Dear Ann", tenant="")

    first = (await http.get(PATH, params={"limit": 3}, headers=by())).json()
    rest = (await http.get(PATH, params={"cursor": first["next_cursor"]}, headers=by())).json()
    shown = [one["id"] for one in first["items"] + rest["items"]]
    detail = (await http.get(f"{PATH}/{ids[0]}", headers=by())).json()
    hidden = await http.get(f"{PATH}/{secret}", headers=by())
    mine = (await http.get(PATH, params={"tenant_id": str(TENANT), "type": "BulkSmsRequested"}, headers=by())).json()

    assert (shown, rest["next_cursor"]) == ([secret, *ids[::-1]], None)
    assert [one["id"] for one in mine["items"]] == ids[::-1]
    assert (detail["topic"], detail["offset"], detail["type"]) == ("bulk-sms", 1, "BulkSmsRequested")
    assert detail["ids"].keys() == {"tenant_id", "bulk_id", "chunks"}
    assert detail["reason"] == "Poison: not today"
    assert hidden.json()["type"] == ""
    assert "0412" not in hidden.text
    assert "Ann" not in hidden.text
    assert (await http.get(PATH, params={"state": "dropped"}, headers=by())).json()["items"] == []
    assert (await http.get(f"{PATH}/{uuid4()}", headers=by())).status_code == 404
    assert (await http.get(PATH, headers=by("admin"))).status_code == 403


async def test_a_replay_applies_once_however_often_it_is_pressed(
    http: httpx.AsyncClient, db: Database, handler: Moody
) -> None:
    handler.refuses = False
    letter = await parked(db)
    await clear(db)

    answers = [
        await http.post(f"{PATH}/{letter}/replay", json=WHY, headers=by(key=key)) for key in ("k1", "k1", "k2", None)
    ]

    assert {one.status_code for one in answers} == {200}
    assert len({one.text for one in answers}) == 1
    assert (answers[0].json()["state"], answers[0].json()["decided_by"]) == ("replayed", "op")
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT sum(times) FROM heard") == 1
        assert await tx.fetchrow("SELECT key, value, headers::text FROM dead_letter") == (b"", b"", "{}")
    assert await acts(db) == [("dead-letter.replayed", letter, WHY["reason"])]
    refused = await http.post(f"{PATH}/{letter}/drop", json=WHY, headers=by())
    assert (refused.status_code, refused.json()["code"]) == (409, "already_decided")


async def test_what_is_still_poisonous_stays_with_the_newer_reason_and_changes_nothing_else(
    http: httpx.AsyncClient, db: Database, handler: Moody
) -> None:
    letter = await parked(db)
    await clear(db)

    refused = await http.post(f"{PATH}/{letter}/replay", json=WHY, headers=by(key="k1"))
    again = await http.post(f"{PATH}/{letter}/replay", json=WHY, headers=by(key="k1"))
    row = (await http.get(f"{PATH}/{letter}", headers=by())).json()

    assert (refused.status_code, refused.json()["code"]) == (409, "still_poison")
    assert (again.status_code, again.text) == (409, refused.text)
    assert (row["state"], row["attempts"]) == ("waiting", 1)
    assert row["reason"] == "Poison: call [number]: not today"
    assert await heard(db, "b") == {}
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM heard") == 0
    assert await acts(db) == [("dead-letter.still-poison", letter, WHY["reason"])]

    handler.refuses = False
    assert (await http.post(f"{PATH}/{letter}/replay", json=WHY, headers=by(key="k2"))).json()["state"] == "replayed"


async def test_a_letter_is_dropped_with_a_reason_and_forgets_what_it_held(
    http: httpx.AsyncClient, db: Database
) -> None:
    letter = await parked(db)
    await clear(db)

    without = await http.post(f"{PATH}/{letter}/drop", json={}, headers=by())
    answers = [await http.post(f"{PATH}/{letter}/drop", json=WHY, headers=by()) for _ in range(2)]

    assert (without.status_code, without.json()["errors"][0]["field"]) == (422, "reason")
    assert [one.json()["state"] for one in answers] == ["dropped"] * 2
    assert (await http.get(f"{PATH}/{letter}", headers=by())).json()["ids"] == {}
    assert await acts(db) == [("dead-letter.dropped", letter, WHY["reason"])]
    assert (await http.post(f"{PATH}/{letter}/replay", json=WHY, headers=by())).status_code == 409


async def test_how_many_letters_wait_and_for_how_long_is_told(http: httpx.AsyncClient, db: Database) -> None:
    async def told() -> tuple[float, float]:
        async with db.worker() as tx:
            await measure(tx, "notes")
        found = (metrics.dead_letters_waiting, metrics.dead_letters_oldest_seconds)
        return found[0].labels(group="notes")._value.get(), found[1].labels(group="notes")._value.get()

    assert await told() == (0, 0)
    letters = [await parked(db, chunk) for chunk in (1, 2)]
    async with db.worker() as tx:
        await tx.execute("UPDATE dead_letter SET parked_at = parked_at - interval '1 hour' WHERE log_offset = 1")
    waiting, oldest_s = await told()
    assert waiting == 2
    assert 3_600 <= oldest_s < 3_700
    before = metrics.dead_letters_decided.labels(group="notes", outcome="dropped")._value.get()
    await http.post(f"{PATH}/{letters[0]}/drop", json=WHY, headers=by())
    assert (await told())[0] == 1
    assert metrics.dead_letters_decided.labels(group="notes", outcome="dropped")._value.get() == before + 1


async def test_a_record_that_is_read_again_is_parked_once(db: Database) -> None:
    record = wire(1, "bulk-sms")
    stored = Stored("bulk-sms", 3, 7, record.key, record.value, record.headers)
    async with db.worker() as tx:
        outcomes = [await park(tx, "notes", one, "why") for one in (stored, stored, stored._replace(value=b"another"))]
        assert outcomes == [True, False, True]
        assert await tx.fetchval("SELECT count(*) FROM outbox WHERE topic = 'notes-dlq'") == 2


async def test_a_halted_consumer_is_shown_and_resumed_with_a_reason(http: httpx.AsyncClient, db: Database) -> None:
    path = "/v1/ops/notes/consumers"
    async with db.worker() as tx:
        await tx.execute(
            "INSERT INTO consumer_offset (consumer_group, topic, partition, epoch, next_offset)"
            " SELECT 'notes', topic, n, 1, 40 FROM unnest(ARRAY['a', 'b']) AS topic, generate_series(0, 1) AS n"
        )
        await halts.halt(tx, "notes", ("a", 1), halts.HaltKind.POISON_FLOOD, "20 of 20")
        await halts.halt(tx, "notes", ("b", 0), halts.HaltKind.LOG_MISMATCH, "the log starts at 50")

    pages = [(await http.get(path, params={"limit": 3}, headers=by())).json()]
    pages.append((await http.get(path, params={"cursor": pages[0]["next_cursor"]}, headers=by())).json())
    halted = (await http.get(path, params={"halted": "true"}, headers=by())).json()["items"]

    assert [(one["topic"], one["partition"]) for page in pages for one in page["items"]] == [
        *(("a", 0), ("a", 1), ("b", 0), ("b", 1))
    ]
    assert [(one["topic"], one["halted"], one["reason"]) for one in halted] == [
        ("a", "poison_flood", "20 of 20"),
        ("b", "log_mismatch", "the log starts at 50"),
    ]

    async def resume(**body: Any) -> httpx.Response:
        return await http.post(f"{path}/resume", json={"reason": "mended", **body}, headers=by())

    assert (await resume(topic="a", partition=0)).status_code == 404
    assert (await resume(topic="a")).json() == {"topic": "a", "partitions": [1]}
    refused = await resume(topic="b")
    assert (refused.status_code, refused.json()["code"], refused.json()["partitions"]) == (
        409,
        "loss_not_accepted",
        [0],
    )
    assert (await resume(topic="b", partition=0, accept_loss=True)).json()["partitions"] == [0]
    async with db.worker() as tx:
        rows = await tx.fetch("SELECT topic, loss_accepted FROM consumer_halt")
    assert [tuple(row) for row in rows] == [("b", True)]
    assert await acts(db) == [
        ("consumer.resumed", "notes/a", "mended"),
        ("consumer.loss-accepted", "notes/b/0", "mended"),
    ]
