"""Carrier accounts over HTTP: what an operator can say of one, what is refused, and what never comes out again."""

import json
from collections.abc import AsyncIterator
from typing import Any

import carriers_world
import pytest
from carriers_world import Operator, operator, route_to, senders, settings

from muster.dispatch.store import carriers, trials
from muster.events import NIL_TENANT
from muster.kit.ids import uuid7
from muster.kit.pg import Database
from muster.kit.testing import eventually, facts
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.server import Carrier

SMPP = {"host": "127.0.0.1", "port": 2775, "system_id": "muster"}
NUMBER = "+61411000001"


@pytest.fixture(autouse=True)
def no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    carriers_world.without_kafka(monkeypatch)


@pytest.fixture
async def op(db: Database) -> AsyncIterator[Operator]:
    async with operator(db, settings()) as found:
        yield found


async def test_an_account_is_made_read_listed_and_changed_and_its_password_stays_inside(
    db: Database, op: Operator
) -> None:
    made = await op.create("west", 2775, parts_window=50, smpp={"long_messages": "sar", "codes": {"0x04A1": "unknown"}})
    changed = await op.change("west", parts_per_second=30, smpp={"binds": 2, "tls": True})
    await op.create("east", 2776)

    read = (await op("GET", "/west")).json()
    assert (made["version"], changed["version"], read["state"]) == (1, 2, "open")
    assert (read["parts_window"], read["parts_per_second"], read["has_password"]) == (50, 30, True)
    assert {"binds": 2, "tls": True, "long_messages": "sar", "codes": {"0x4a1": "unknown"}}.items() <= read[
        "smpp"
    ].items()
    assert read["standing"]["adopted"] is False
    page = (await op("GET", "?limit=1")).json()
    assert [one["account"] for one in page["items"]] == ["east"]
    assert (await op("GET", f"?cursor={page['next_cursor']}")).json()["items"] == [read]
    async with db.worker() as tx:
        rows = await tx.fetch("SELECT c.*, i.answer FROM carrier c, idempotency i")
        said = await facts(tx, "ActRecorded")
        stored = [await carriers.read(tx, "west")]
    assert [one.message.act for one in said] == ["carrier.created", "carrier.changed", "carrier.created"]
    for told in (json.dumps([made, changed, read]), repr(stored), repr(rows), repr(said)):
        assert "'muster'" not in told.replace("'system_id': 'muster'", "")
        assert '"password"' not in told


async def test_a_change_to_what_is_already_so_changes_nothing(db: Database, op: Operator) -> None:
    made = await op.create("west", 2775, parts_window=50)
    same = [{}, {"smpp": {}}, {"parts_window": 50, "smpp": {"host": made["smpp"]["host"]}}, {"smpp": None}]
    answers = [await op("PATCH", "/west", body) for body in same]

    assert [(one.status_code, one.json()) for one in answers] == [(200, made)] * 4
    async with db.worker() as tx:
        assert [one.message.act for one in await facts(tx, "ActRecorded")] == ["carrier.created"]


async def test_a_repeated_request_makes_one_account_and_another_with_its_key_is_refused(op: Operator) -> None:
    body = {"account": "west", "smpp": SMPP, "password": "muster"}
    first, again = [await op("POST", "", body, key="k1") for _ in range(2)]
    other = await op("POST", "", {**body, "account": "east"}, key="k1")
    taken = await op("POST", "", body, key="k2")

    assert (first.status_code, again.status_code, other.status_code, taken.status_code) == (201, 201, 409, 409)
    assert first.json() == again.json()
    assert (other.json()["code"], taken.json()["code"]) == ("idempotency_key_reused", "already_there")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"smpp": {"host": "10.0.0.1"}}, "smpp.host"),
    ({"smpp": {"host": "169.254.169.254"}}, "smpp.host"),
    ({"smpp": {"host": "::ffff:10.0.0.1"}}, "smpp.host"),
    ({"smpp": {"host": "smpp://user:secret@carrier.example"}}, "smpp.host"),
    ({"smpp": {"host": "user:secret@127.0.0.1"}}, "smpp.host"),
    ({"smpp": {"host": "no-such-name.invalid"}}, "smpp.host"),
    ({"smpp": {"host": ""}}, "smpp.host"),
    ({"smpp": {"port": 0}}, "smpp.port"),
    ({"smpp": {"port": "2775"}}, "smpp.port"),
    ({"smpp": {"binds": 17}}, "smpp.binds"),
    ({"smpp": {"system_id": "a b"}}, "smpp.system_id"),
    ({"smpp": {"tls_server_name": "carrier.example"}}, "smpp.tls_server_name"),
    ({"smpp": {"tls": True, "tls_ca": "no certificate"}}, "smpp.tls_ca"),
    ({"smpp": {"long_messages": "udh"}}, "smpp.long_messages"),
    ({"smpp": {"ucs2_data_coding": 256}}, "smpp.ucs2_data_coding"),
    ({"smpp": {"response_timeout_s": 41}}, "smpp.response_timeout_s"),
    ({"smpp": {"url": "smpp://x"}}, "smpp.url"),
    ({"smpp": {"codes": {"0x401": "later"}}}, "smpp.codes.0x401"),
    ({"smpp": {"codes": {"0x000": "rejected"}}}, "smpp.codes.0x000.[key]"),
    ({"smpp": {"codes": {"1025": "rejected"}}}, "smpp.codes.1025.[key]"),
    ({"smpp": {"codes": {"0x8": "unknown", "0x08": "rejected"}}}, "smpp.codes"),
    ({"parts_window": 0}, "parts_window"),
    ({"parts_per_second": -1}, "parts_per_second"),
    ({"reference_bits": 12}, "reference_bits"),
    ({"password": "pässword"}, "password"),
    ({"weight": 3}, "weight"),
]


async def test_what_cannot_be_is_refused_by_name_when_it_is_made_and_when_it_is_changed(
    db: Database, op: Operator
) -> None:
    await op.create("west", 2775)

    for change, field in WRONG:
        made = {"account": "east", **change, "smpp": {**SMPP, **change.get("smpp", {})}}
        for answer in (await op("POST", "", made), await op("PATCH", "/west", change)):
            assert answer.status_code == 422, answer.text
            assert [error["field"] for error in answer.json()["errors"]] == [field]
            assert "secret" not in answer.text

    async with db.worker() as tx:
        assert [(row["account"], row["version"]) for row in await tx.fetch("SELECT * FROM carrier")] == [("west", 1)]


async def test_accounts_that_the_carrier_could_not_tell_apart_say_so_while_neither_is_closed(op: Operator) -> None:
    smpp = {"host": "LOCALHOST", "port": 2775, "system_id": "ours"}
    await op.create("west", 2775, smpp={**smpp, "host": "localhost"})

    made = await op("POST", "", {"account": "east", "smpp": smpp})
    assert (made.status_code, made.json()["binds_as"]) == (201, ["west"])
    assert (await op("GET", "/west")).json()["binds_as"] == ["east"]

    assert (await op("PATCH", "/east", {"smpp": {"system_id": "other"}})).json()["binds_as"] == []
    assert (await op("PATCH", "/east", {"smpp": {"system_id": "ours"}})).json()["binds_as"] == ["west"]
    assert (await op("POST", "/west/close")).json()["binds_as"] == []
    assert (await op("GET", "/east")).json()["binds_as"] == []


async def test_the_name_of_an_account_is_short_and_plain(op: Operator) -> None:
    for account in ("", "West", "west_1", "-west", "w" * 31, "a/b", "sandbox"):
        answer = await op("POST", "", {"account": account, "smpp": SMPP})
        assert [error["field"] for error in answer.json()["errors"]] == ["account"]


async def test_only_an_operator_sees_or_changes_carriers(op: Operator) -> None:
    asked = [("GET", ""), ("POST", ""), ("GET", "/west"), ("PATCH", "/west"), ("POST", "/west/drain")]
    for method, path in [*asked, ("POST", "/west/tests")]:
        assert (await op(method, path, {}, caller="admin")).status_code == 403
        assert (await op(method, path, {}, caller="nobody")).status_code == 401


async def test_an_account_that_is_not_there_is_not_found_whatever_is_asked_of_it(op: Operator) -> None:
    test = {"to": NUMBER, "sender": "Salon", "text": "hello"}
    asked = [("GET", "/x", None), ("PATCH", "/x", {}), ("POST", "/x/drain", None), ("POST", "/x/tests", test)]
    asked += [("GET", f"/x/tests/{uuid7()}", None)]
    assert [(await op(*one)).status_code for one in asked] == [404] * 5


async def test_an_account_that_a_route_leads_to_is_drained_and_not_closed(db: Database, op: Operator) -> None:
    await op.create("west", 2775)
    await route_to(db, "west")

    refused = await op("POST", "/west/close")
    drained = await op("POST", "/west/drain")

    assert (refused.status_code, refused.json()["code"]) == (409, "routes_lead_here")
    assert (drained.json()["state"], drained.json()["routes"]) == ("draining", ["default"])


async def test_a_route_follows_what_is_agreed_with_its_carrier(db: Database, op: Operator) -> None:
    await op.create("west", 2775)
    await route_to(db, "west")

    await op.change("west", reference_bits=16, parts_per_second=25)
    await op.change("west", parts_window=5)

    async with db.worker() as tx:
        last = [one.message for one in await facts(tx, "RouteChanged")][1:]
    assert [(one.version, one.reference_bits, one.parts_per_second) for one in last] == [(2, 16, 25)]


# -- one real message -------------------------------------------------------------------------------------------------


async def tried(op: Operator, path: str) -> Any:
    answer = (await op("GET", path)).json()
    return answer if answer["outcome"] not in ("queued", "submitting") else None


async def test_an_account_is_tried_with_one_message_before_anything_else_goes_by_it(
    db: Database, carrier: Carrier, op: Operator
) -> None:
    await op.create("west", carrier.port, state="draining")
    body = {"to": NUMBER, "sender": "Salon", "text": "Is this road open? " * 12}
    async with senders(db, 2, settings()):
        asked = [await op("POST", "/west/tests", body, key="once") for _ in range(2)]
        path = f"/west/tests/{asked[0].json()['id']}"
        found = await eventually(lambda: tried(op, path))
        read = await eventually(lambda: received(op, path))

    assert [answer.status_code for answer in asked] == [202, 202]
    assert found["outcome"] == "accepted"
    assert read["receipts"] == ["delivered", "delivered"]
    assert [one["text"] for one in carrier.stats.last_messages(NUMBER, 10)] == [body["text"]]
    assert carrier.stats.submits == 2
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM saga") == 0


async def received(op: Operator, path: str) -> Any:
    answer = (await op("GET", path)).json()
    return answer if answer["receipts"] and all(answer["receipts"]) else None


async def test_a_refused_test_says_why_and_one_whose_sender_died_is_not_sent_again(db: Database, op: Operator) -> None:
    async with Carrier(CarrierOptions(password="muster", reject_ratio=1.0)) as carrier:
        await op.create("west", carrier.port)
        dead = uuid7()
        async with db.worker() as tx:
            words = {"number": NUMBER, "sender": "Salon", "body": "hello", "user_id": "op"}
            await trials.add(tx, dead, "west", **words)
            assert len(await trials.take(tx, "west", 5)) == 1
        async with senders(db, 2, settings()):
            asked = await op("POST", "/west/tests", {"to": NUMBER, "sender": "Salon", "text": "hello"})
            found = await eventually(lambda: tried(op, f"/west/tests/{asked.json()['id']}"))
        assert carrier.stats.submits == 1

    assert (found["outcome"], found["receipts"]) == ("rejected", [])
    assert found["error"].startswith("ESME_")
    assert (await op("GET", f"/west/tests/{dead}")).json()["outcome"] == "unknown"


async def test_a_test_to_no_number_by_no_sender_or_of_no_text_is_refused(op: Operator) -> None:
    await op.create("west", 2775)
    wrong = [("to", "0411000001"), ("to", "+6129"), ("sender", "A name too long"), ("sender", "")]
    for field, value in [*wrong, ("text", ""), ("text", "x" * 1_001), ("text", "я" * 999)]:
        body = {"to": NUMBER, "sender": "Salon", "text": "hello", field: value}
        answer = await op("POST", "/west/tests", body)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_nothing_is_tried_while_the_platform_is_stopped(db: Database, op: Operator) -> None:
    await op.create("west", 2775)
    await op("POST", "/west/tests", {"to": NUMBER, "sender": "Salon", "text": "hello"})
    stop = "INSERT INTO suspension (tenant_id, version, suspended, reason, user_id) VALUES ($1, 1, true, '', '')"
    async with db.request(NIL_TENANT) as tx:
        await tx.execute(stop, NIL_TENANT)

    async with db.worker() as tx:
        assert await trials.take(tx, "west", 5) == []
    async with db.request(NIL_TENANT) as tx:
        await tx.execute("UPDATE suspension SET suspended = false WHERE tenant_id = $1", NIL_TENANT)
    async with db.worker() as tx:
        assert [one.number for one in await trials.take(tx, "west", 5)] == [NUMBER]


async def test_a_closed_account_is_not_tried(op: Operator) -> None:
    await op.create("west", 2775)
    await op("POST", "/west/close")
    answer = await op("POST", "/west/tests", {"to": NUMBER, "sender": "Salon", "text": "hello"})
    assert (answer.status_code, answer.json()["code"]) == (409, "carrier_closed")
