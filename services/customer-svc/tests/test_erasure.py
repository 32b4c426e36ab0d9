"""Erasing a person: gone at once, forgotten everywhere soon after, and nothing that counts changes."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from test_consents import OWN, add, say
from test_withdrawals import ASK

from muster.customer.domain.erasing import Frozen, Traces, without
from muster.customer.handlers import erasing, facts
from muster.customer.store import erasures
from muster.events.personal import born_unix_ms
from muster.events.v1.recipients_pb2 import AnswerRequested
from muster.events.v1.suppressions_pb2 import PersonForgotten
from muster.kit import clock
from muster.kit.erasure import unix_ms
from muster.kit.testing import forget_all

NUMBER = "+61412000001"
NAME = "Anastasia"


async def person(salon: Any, **members: Any) -> int:
    given = {"first_name": NAME, "last_name": "Brandt", "numbers": ["0412 000 001"], **members}
    answer = await salon.ask("POST", "/v1/customers", {"allow_bulk_sms": True, **given})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def erase(salon: Any, customer_id: int, status: int = 202, **options: Any) -> dict[str, Any]:
    answer = await salon.ask("POST", f"/v1/customers/{customer_id}/erasure", {"ground": "asked"}, **options)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def forget(salon: Any) -> None:
    """What the worker does, until it has nothing left to do."""
    for _ in range(3):
        await forget_all(salon.db, erasing.nothing_more)
        await salon.plan()
        await erasing.sweep(salon.db)


async def confirm(salon: Any, *services: str) -> None:
    said = [one.message for one in await salon.said("PersonErased")]
    await salon.hear(
        facts.handlers(bytes(32))["PersonForgotten"],
        *(
            PersonForgotten(
                tenant_id=one.tenant_id, number_hash=one.number_hashes[0], version=one.version, service=service
            )
            for one in said
            for service in services
        ),
    )


async def found(salon: Any, *words: str) -> list[str]:
    """The tables, with their columns, that hold one of the words, as text or as bytes."""
    connection = await asyncpg.connect(salon.admin_dsn)
    try:
        columns = await connection.fetch(
            "SELECT c.relname AS name, a.attname AS of FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0"
            " AND NOT a.attisdropped AND c.relname <> 'kit_migration' ORDER BY 1, 2"
        )
        hits = []
        for one in columns:
            query = f'SELECT "{one["of"]}"::text AS held FROM "{one["name"]}"'
            for row in await connection.fetch(query):
                held = row["held"] or ""
                if held.startswith("\\x"):
                    held = bytes.fromhex(held[2:]).decode(errors="replace")
                hits += [f"{one['name']}.{one['of']}" for word in words if word.casefold() in held.casefold()]
        return sorted(set(hits))
    finally:
        await connection.close()


WORDS = (NAME, "412000001", "412 000 001", "private words")


async def test_an_erased_person_is_found_nowhere_and_sends_and_suppressions_stand(salon: Any) -> None:
    ana = await person(salon, own_fields={"pet": "private words"}, numbers=["0412 000 001", "03 9123 4567"])
    await add(salon, "0412 000 002", allow_bulk_sms=True, first_name="Bo")
    await say(salon, ana, **{**OWN, "wording": "private words"})
    bulk_id = await salon.send((await salon.quote("Hi {{first_name}}"))["id"])
    await salon.plan()
    asked = {"text": f"Dear {NAME}", "to": NUMBER}
    await salon.ask("POST", "/v1/messages", asked, Idempotency_Key="m1")
    stop = {"number": NUMBER, "scope": "all", "reason": "private words", "wording": "private words"}
    assert (await salon.ask("POST", "/v1/suppressions", stop)).status_code == 201
    kept = {**OWN, "wording": "private words"}
    await salon.ask("POST", f"/v1/customers/{ana}/consents", kept, Idempotency_Key="c1")
    saved = await salon.ask("PUT", "/v1/searches/one", {"query": f"number is {NUMBER}"})
    assert saved.status_code == 200, saved.text
    for name, query in {"two": f"name is '{NAME} Brandt'", "three": "brandt or list is blank"}.items():
        assert (await salon.ask("PUT", f"/v1/searches/{name}", {"query": query})).status_code == 200
    asking = {**ASK, "scope": "marketing", "address": NUMBER, "wording": "private words"}
    request = (await salon.ask("POST", "/v1/suppressions/requests", asking, Idempotency_Key="r1")).json()
    await salon.ask("POST", f"/v1/suppressions/requests/{request['id']}/apply", {"customer_id": ana})
    await salon.load(f"{NAME},Brandt,12,yes\n")
    before = await salon.bulk(bulk_id)
    held = await found(salon, *WORDS)
    assert {
        *("bulk.text", "consent_version.wording", "customer.first_name", "customer.own_fields"),
        *("customer_import_rejected.cells", "customer_number.number", "outbox.value", "plan_frozen.joined"),
        *("plan_frozen.numbers", "saved_search.query", "suppression_version.wording", "withdrawal_request.address"),
    } <= set(held), held

    told = await erase(salon, ana)
    assert (told["state"], told["numbers"], told["customer_ids"]) == ("running", 2, [ana])
    assert (await salon.ask("GET", f"/v1/customers/{ana}")).status_code == 404
    await forget(salon)
    await confirm(salon, "dispatch", "reply", "report")

    assert await found(salon, *WORDS) == []
    assert [one["name"] for one in (await salon.ask("GET", "/v1/searches")).json()["items"]] == ["three"]
    done = (await salon.ask("GET", f"/v1/erasures/{told['id']}")).json()
    assert done["state"] == "done"
    assert {one["service"] for one in done["services"] if one["confirmed_at"]} == {
        "customer", "dispatch", "reply", "report"
    }  # fmt: skip
    assert await salon.bulk(bulk_id) == before
    evidence = (await salon.ask("GET", f"/v1/customers/{ana}/consents/evidence")).json()
    assert evidence["chain"]["whole"]
    assert {one["wording"] for one in evidence["consents"]} == {""}
    back = await salon.load(f"{NAME},Brandt,{NUMBER},yes\n")
    assert back["imported"] == 1
    quote = await salon.quote("Hi {{first_name}}")
    assert (quote["recipients"], quote["left_out"]["opted_out"]) == (1, 1)


async def test_a_customer_who_was_deleted_is_erased_with_a_number_that_they_had_once(salon: Any) -> None:
    ana = await person(salon)
    await say(salon, ana, **OWN)
    await salon.send((await salon.quote("Hi {{first_name}}"))["id"])
    await salon.plan()
    await salon.ask("PATCH", f"/v1/customers/{ana}", {"numbers": ["0412 000 009"]})
    assert (await salon.ask("DELETE", f"/v1/customers/{ana}")).status_code == 204

    told = await erase(salon, ana)
    assert told["numbers"] == 0
    await forget(salon)

    assert await found(salon, *WORDS, "412000009") == []
    assert (await salon.ask("GET", f"/v1/erasures/{told['id']}")).json()["numbers"] == 1
    assert len(await salon.said("PersonErased")) == 1


async def test_whoever_shares_the_number_stays_and_is_texted_on(salon: Any) -> None:
    ana = await person(salon)
    other = await add(salon, "0412 000 001", allow_bulk_sms=True, first_name="Bo")

    await erase(salon, ana)
    await forget(salon)

    assert (await salon.ask("GET", f"/v1/customers/{other}")).json()["numbers"][0]["number"] == NUMBER
    assert (await salon.quote("Hi"))["recipients"] == 1
    assert await found(salon, NAME) == []


async def test_asked_again_it_is_the_same_erasure_and_nobody_else_may_ask(salon: Any) -> None:
    ana = await person(salon)
    await erase(salon, ana, 403, by="staff")
    await erase(salon, ana, 404, by="other")
    await erase(salon, 999_999, 404)

    first = await erase(salon, ana)

    assert (await erase(salon, ana))["id"] == first["id"]
    listed = (await salon.ask("GET", "/v1/erasures?state=running")).json()["items"]
    assert [one["id"] for one in listed] == [first["id"]]
    assert (await salon.ask("GET", "/v1/erasures?state=done")).json()["items"] == []
    assert (await salon.ask("GET", f"/v1/erasures/{first['id']}", by="other")).status_code == 404
    acts = [one.message for one in await salon.said("ActRecorded") if one.message.act == "customer.erased"]
    assert [(one.subject_id, one.reason) for one in acts] == [(str(ana), "asked")]


async def test_of_two_who_ask_at_once_both_get_the_same_erasure(salon: Any) -> None:
    for deleted in (False, True):
        ana = await person(salon)
        if deleted:
            assert (await salon.ask("DELETE", f"/v1/customers/{ana}")).status_code == 204
        one, other = await asyncio.gather(erase(salon, ana), erase(salon, ana))
        assert one["id"] == other["id"]


async def test_somebody_who_was_merged_is_erased_with_the_one_who_has_their_numbers(salon: Any) -> None:
    ana = await person(salon)
    kept = await add(salon, "0412 000 002", allow_bulk_sms=True, first_name="Ana")
    merged = await salon.ask("POST", f"/v1/customers/{kept}/merge", {"customer_id": ana})
    assert merged.status_code == 200, merged.text

    assert (await erase(salon, ana, 409))["merged_into"] == kept

    assert (await erase(salon, kept))["customer_ids"] == [ana, kept]
    await forget(salon)
    assert await found(salon, *WORDS, "412000002") == []


async def test_somebody_who_was_merged_into_a_customer_who_was_deleted_is_erased_with_them(salon: Any) -> None:
    ana = await person(salon)
    await say(salon, ana, **{**OWN, "wording": "private words"})
    await salon.send((await salon.quote("Hi {{first_name}}"))["id"])
    await salon.plan()
    kept = await add(salon, "0412 000 002", allow_bulk_sms=True, first_name="Ana")
    await salon.ask("POST", f"/v1/customers/{kept}/merge", {"customer_id": ana})
    held = (await salon.ask("GET", f"/v1/customers/{kept}/export")).json()
    assert [(one["outcome"], one["values"]) for one in held["sends"]] == [("texted", [NAME])]
    assert (await salon.ask("DELETE", f"/v1/customers/{kept}")).status_code == 204

    assert (await erase(salon, kept))["customer_ids"] == [ana, kept]
    await forget(salon)

    assert await found(salon, *WORDS, "412000002") == []
    evidence = (await salon.ask("GET", f"/v1/customers/{kept}/consents/evidence")).json()
    assert [(one["customer_id"], len(one["consents"])) for one in evidence["merged"]] == [(ana, 2)]


async def test_an_erasure_is_open_until_the_last_service_has_confirmed_its_newest_version(salon: Any) -> None:
    ana = await person(salon)
    told = await erase(salon, ana)
    await forget(salon)
    await confirm(salon, "dispatch", "reply")

    async def state() -> str:
        return str((await salon.ask("GET", f"/v1/erasures/{told['id']}")).json()["state"])

    assert await state() == "running"
    await confirm(salon, "report")
    assert await state() == "done"
    again = await erase(salon, await person(salon))
    await forget(salon)
    assert (await salon.ask("GET", f"/v1/erasures/{again['id']}")).json()["state"] == "running"


async def test_a_repeated_request_that_made_the_person_is_told_so_and_makes_nobody(salon: Any) -> None:
    body = {"first_name": NAME, "numbers": [NUMBER], "allow_bulk_sms": True}
    made = await salon.ask("POST", "/v1/customers", body, Idempotency_Key="k1")
    await erase(salon, made.json()["id"])

    again = await salon.ask("POST", "/v1/customers", body, Idempotency_Key="k1")

    assert (again.status_code, again.json()["code"]) == (410, "erased")
    assert await salon.count("customer") == 0


async def test_an_answer_to_somebody_who_was_erased_meanwhile_is_not_sent(salon: Any) -> None:
    ana = await person(salon)
    row = (await salon.ask("GET", f"/v1/customers/{ana}/export")).json()
    assert row["customer"]["first_name"] == NAME
    before = clock.unix_ms()
    await erase(salon, ana)
    [said] = await salon.said("PersonErased")
    [number_hash] = said.message.number_hashes
    ids = {"tenant_id": str(salon.tenant_id), "answer_id": str(UUID(int=5)), "number_hash": number_hash}
    asked = AnswerRequested(**ids, number=NUMBER, text="Hello", at_unix_ms=before)

    await salon.hear(facts.handlers(bytes(32))["AnswerRequested"], asked, AnswerRequested(**ids, at_unix_ms=before))

    assert await salon.said("BulkRecipientsAttached") == []


async def test_a_send_that_waits_for_its_user_is_frozen_anew_without_the_person(salon: Any) -> None:
    ana = await person(salon)
    await add(salon, "0412 000 002", allow_bulk_sms=True, first_name="Bo")
    quote = await salon.quote("Hi {{first_name}}")
    await salon.ask("PATCH", f"/v1/customers/{ana}", {"first_name": NAME * 20})
    bulk_id = await salon.send(quote["id"])
    await salon.plan()
    assert (await salon.bulk(bulk_id))["state"] == "needs_confirmation"

    await erase(salon, ana)
    await forget(salon)

    bulk = await salon.bulk(bulk_id)
    assert (bulk["state"], bulk["recipients"]) == ("waiting", 1)
    assert await found(salon, NAME) == []


async def test_a_send_that_begins_while_the_erasure_is_being_stored_is_of_before_it(salon: Any) -> None:
    ana = await person(salon)
    await add(salon, "0412 000 002", allow_bulk_sms=True, first_name="Bo")
    quote = await salon.quote("Hi {{first_name}}")

    async with salon.db.request(salon.tenant_id) as tx:
        await erasing.erase(tx, salon.tenant_id, ana, "asked", "ada", lambda _: b"")
        bulk_id = await salon.send(quote["id"])
        await salon.plan()
    assert (await salon.bulk(bulk_id))["recipients"] == 2
    await forget(salon)

    assert await found(salon, NAME, "412000001") == []
    first, last = [one.message for one in await salon.said("PersonErased")]
    assert (last.number_hashes, last.version) == (first.number_hashes, 2)
    assert first.at_unix_ms < born_unix_ms(UUID(bulk_id)) <= last.at_unix_ms


async def test_erasures_that_wait_for_an_import_keep_nobody_else_s_back(
    salon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "_AT_ONCE", 1)
    await salon.load("Bo,Smith,0412000002,yes\n")
    async with salon.db.request(salon.tenant_id) as tx:
        await tx.execute("UPDATE customer_import SET state = 'applying'")
    await erase(salon, await person(salon))
    async with salon.db.request(salon.other_id) as tx:
        cy = await tx.fetchval(
            "INSERT INTO customer (tenant_id, first_name, last_name, consent, match_key)"
            " VALUES ($1, 'Cy', '', 'none', '') RETURNING customer_id",
            salon.other_id,
        )
        await erasing.erase(tx, salon.other_id, cy, "asked", "cy", lambda _: b"")

    swept: list[Any] = []
    for _ in range(20):  # by lot: not to be drawn in sixty times is not to be drawn at all
        await forget(salon)
        async with salon.db.worker() as tx:
            swept = await tx.fetch("SELECT tenant_id FROM erasure WHERE swept_at IS NOT NULL")
        if swept:
            break
    assert [one["tenant_id"] for one in swept] == [salon.other_id]


async def test_said_again_an_erasure_keeps_its_version_and_a_key_beside_the_suppression_s(salon: Any) -> None:
    await erase(salon, await person(salon))
    await erase(salon, await person(salon))
    async with salon.db.worker() as tx:
        await erasing.say_recent(tx, 60, 10)

    said = await salon.said("PersonErased")

    assert [one.message.version for one in said] == [1, 2, 2]
    assert {one.key for one in said} == {salon.tenant_id.bytes + said[0].message.number_hashes[0] + b"/erased"}


async def test_said_again_of_an_earlier_moment_an_erasure_still_covers_what_it_did(salon: Any) -> None:
    told = await erase(salon, await person(salon))
    [said] = [one.message for one in await salon.said("PersonErased")]
    earlier = clock.now() - timedelta(hours=1)

    async with salon.db.request(salon.tenant_id) as tx:
        [one] = await erasures.add_numbers(tx, salon.tenant_id, UUID(told["id"]), said.number_hashes, earlier)

    assert (one.version, unix_ms({b"": one.at})) == (2, {b"": said.at_unix_ms})


@pytest.mark.parametrize(
    ("cells", "is_about"),
    [
        (["Anastasia", "Brandt", ""], True),
        (["", "0412 000 001"], True),
        (["+61 (0)412-000-001"], True),
        (["Anastasia Brandt"], True),
        (["Anastasia", "Smith"], False),
        (["Ana", "Brandt"], False),
        (["0412 000 002"], False),
    ],
)
def test_a_row_of_a_file_is_about_a_person_by_a_number_or_by_both_names(cells: list[str], *, is_about: bool) -> None:
    assert Traces((61412000001,), "ANASTASIA", "Brandt").in_cells(cells) == is_about


def test_who_is_taken_out_of_a_membership_keeps_the_places_of_the_others() -> None:
    frozen = Frozen([1, 2, 3], [11, 12, 13], [b"a", b"b", b"c"], ["Ana", "Bo", "Cy"])

    left = without(frozen, {1}, {b"c"})

    assert left == Frozen([0, 2, 0], [0, 12, 0], [b"a", b"b", b"c"], ["", "Bo", ""])
    assert left is not None
    assert without(left, {1}, {b"c"}) is None
