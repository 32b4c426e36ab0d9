"""Numbers that may not be texted: by reply and by person, each told once and for all."""

from typing import Any

import pytest

from muster.customer.domain.customers import NumberReader
from muster.customer.handlers import facts as handlers
from muster.customer.settings import CustomerSettings
from muster.events.v1.common_pb2 import SUPPRESSION_SCOPE_ALL, SUPPRESSION_SCOPE_MARKETING
from muster.events.v1.recipients_pb2 import AnswerRequested
from muster.events.v1.replies_pb2 import OptOutReceived
from muster.kit.testing import run_twice


def hash_of(salon: Any, settings: CustomerSettings, number: str) -> bytes:
    return NumberReader(salon.tenant_id, "AU", settings.hash_key_bytes, 1).hash(number)


def opt_out(salon: Any, number_hash: bytes, inbound_id: str = "in-1", *, opted_out: bool = True, **more: Any) -> Any:
    scope = more.pop("scope", SUPPRESSION_SCOPE_ALL)
    ids = {"tenant_id": str(salon.tenant_id), "inbound_id": inbound_id, "number_hash": number_hash}
    return OptOutReceived(**ids, scope=scope, rule="stop", opted_out=opted_out, **more)


async def test_an_opt_out_heard_twice_is_one_version_told_twice(salon: Any, settings: CustomerSettings) -> None:
    number_hash = hash_of(salon, settings, "+61412000001")
    said = await run_twice(salon.db, handlers.on_opt_out_received, opt_out(salon, number_hash))
    assert [fact.message for fact in said] == [said[0].message] * 2
    first = said[0]
    assert (first.topic, first.key) == ("suppressions", salon.tenant_id.bytes + number_hash)
    assert (first.message.version, first.message.suppressed, first.message.inbound_id) == (1, True, "in-1")
    assert first.message.source == "reply"
    assert await salon.count("suppression_version") == 1


async def test_who_opts_out_is_left_out_of_the_next_quote_and_comes_back_by_start(
    salon: Any, settings: CustomerSettings
) -> None:
    await salon.load("Ana,S,0412000001,yes\nBob,S,0412000002,yes\n")
    number_hash = hash_of(salon, settings, "+61412000001")
    await salon.hear(handlers.on_opt_out_received, opt_out(salon, number_hash))
    assert (await salon.quote("Hi"))["left_out"]["opted_out"] == 1
    [shown] = (await salon.ask("GET", "/v1/suppressions")).json()["items"]
    assert (shown["number"], shown["scope"], shown["source"]) == ("+61412000001", "all", "reply")
    await salon.hear(handlers.on_opt_out_received, opt_out(salon, number_hash, "in-2", opted_out=False))
    assert (await salon.quote("Hi"))["left_out"]["opted_out"] == 0
    assert (await salon.ask("GET", "/v1/suppressions")).json()["items"] == []
    # Each version is said again when its opt-out is heard again, and no other is made.
    assert [fact.message.version for fact in await salon.said("SuppressionChanged")] == [1, 1, 2, 2]


async def test_a_marketing_opt_out_stops_marketing_only(salon: Any, settings: CustomerSettings) -> None:
    await salon.load("Ana,S,0412000001,yes\nBob,S,0412000002,yes\n")
    number_hash = hash_of(salon, settings, "+61412000001")
    message = opt_out(salon, number_hash, scope=SUPPRESSION_SCOPE_MARKETING)
    await salon.hear(handlers.on_opt_out_received, message)
    assert (await salon.quote("Hi"))["recipients"] == 1
    assert (await salon.quote("Hi", **{"class": "factual"}))["recipients"] == 2
    factual = await salon.ask("POST", "/v1/messages", {"to": "0412000001", "text": "Hi"})
    assert factual.status_code == 202
    marketing = await salon.ask("POST", "/v1/messages", {"to": "0412000001", "text": "Hi", "class": "marketing"})
    assert (marketing.status_code, marketing.json()["code"]) == (422, "opted_out")


LIFT = {"source": "person", "wording": "Please text me again.", "how": "by phone"}


async def test_a_person_suppresses_and_the_persons_own_later_word_lifts(salon: Any) -> None:
    added = await salon.ask("POST", "/v1/suppressions", {"number": "0412 000 001", "reason": "asked at the desk"})
    assert added.status_code == 201, added.text
    one = added.json()
    assert (one["number"], one["version"], one["source"]) == ("+61412000001", 1, "person")
    path = f"/v1/suppressions/{one['id']}"
    assert (await salon.ask("POST", f"{path}/lift", LIFT, by="other")).status_code == 404
    for missing in ("source", "wording"):
        part = {name: value for name, value in LIFT.items() if name != missing}
        assert (await salon.ask("POST", f"{path}/lift", part)).status_code == 422
    early = await salon.ask("POST", f"{path}/lift", {**LIFT, "at": "2026-01-01T00:00:00Z"})
    assert (early.status_code, early.json()["code"]) == (422, "withdrawn_later")
    lifted = await salon.ask("POST", f"{path}/lift", LIFT)
    assert (lifted.status_code, lifted.json()["wording"], lifted.json()["version"]) == (200, LIFT["wording"], 2)
    assert (await salon.ask("POST", f"{path}/lift", LIFT)).status_code == 404
    assert [fact.message.suppressed for fact in await salon.said("SuppressionChanged")] == [True, False]
    acts = [fact.message.act for fact in await salon.said("ActRecorded")]
    assert acts == ["suppression.added", "suppression.lifted"]
    history = (await salon.ask("GET", path)).json()["items"]
    assert [(v["suppressed"], v["source"], v["recorded_by"]) for v in history] == [
        (True, "person", "ada"),
        (False, "person", "ada"),
    ]
    assert (await salon.ask("GET", path, by="other")).status_code == 404


async def test_what_was_entered_by_mistake_is_taken_back_with_a_reason_and_consent_is_as_before(salon: Any) -> None:
    await salon.load("Ana,S,0412000001,yes\nBob,S,0412000002,yes\n")
    one = (await salon.ask("POST", "/v1/suppressions", {"number": "0412 000 001"})).json()
    assert (await salon.quote("Hi"))["left_out"]["opted_out"] == 1
    path = f"/v1/suppressions/{one['id']}"
    assert (await salon.ask("DELETE", path)).status_code == 422
    assert (await salon.ask("DELETE", f"{path}?reason=typo", by="staff")).status_code == 403
    assert (await salon.ask("DELETE", f"{path}?reason=typo", by="other")).status_code == 404
    assert (await salon.ask("DELETE", f"{path}?reason=typo")).status_code == 204
    assert (await salon.ask("DELETE", f"{path}?reason=typo")).status_code == 404
    assert (await salon.quote("Hi"))["recipients"] == 2
    ana = (await salon.ask("GET", "/v1/customers?search=Ana")).json()["items"][0]["id"]
    kept = (await salon.ask("GET", f"/v1/customers/{ana}/consents")).json()["items"]
    assert [(word["kind"], word["source"], word["how"]) for word in kept] == [
        ("inferred", "import", "import"),
        ("withdrawn", "person", ""),
        ("inferred", "correction", "typo"),
    ]


async def test_the_persons_own_stop_is_no_mistake_of_the_business(salon: Any, settings: CustomerSettings) -> None:
    number_hash = hash_of(salon, settings, "+61412000001")
    await salon.hear(handlers.on_opt_out_received, opt_out(salon, number_hash, scope=SUPPRESSION_SCOPE_MARKETING))
    refused = await salon.ask("DELETE", f"/v1/suppressions/{number_hash.hex()}?reason=typo")
    assert (refused.status_code, refused.json()["code"]) == (409, "own_word_needed")
    # Nor does it become one when the business enters the number too.
    assert (await upload(salon, b"0412000001")).json()["suppressed"] == 1
    refused = await salon.ask("DELETE", f"/v1/suppressions/{number_hash.hex()}?reason=typo")
    assert (refused.status_code, refused.json()["code"]) == (409, "own_word_needed")
    assert len((await salon.ask("GET", "/v1/suppressions")).json()["items"]) == 1


async def test_a_suppression_outlives_the_customer_and_holds_of_whoever_comes_with_the_number(salon: Any) -> None:
    await salon.load("Ana,S,0412000001,yes\nBob,S,0412000002,yes\n")
    await salon.ask("POST", "/v1/suppressions", {"number": "0412 000 001"})
    ana = (await salon.ask("GET", "/v1/customers?search=Ana")).json()["items"][0]["id"]
    await salon.ask("DELETE", f"/v1/customers/{ana}")
    [alone] = (await salon.ask("GET", "/v1/suppressions")).json()["items"]
    assert (alone["number"], alone["customer_id"]) == (None, None)
    await salon.load("Ana,S,0412000001,yes\n")
    assert (await salon.quote("Hi"))["left_out"]["opted_out"] == 1
    [found] = (await salon.ask("GET", "/v1/suppressions?number=0412%20000%20001")).json()["items"]
    assert found["number"] == "+61412000001"
    assert (await salon.ask("GET", "/v1/suppressions?number=0412000002")).json()["items"] == []


async def upload(salon: Any, body: bytes, content_type: str = "text/csv", **headers: str) -> Any:
    return await salon.ask("POST", "/v1/suppressions/uploads", body, Content_Type=content_type, **headers)


async def test_an_upload_stops_each_number_and_names_each_row_that_is_none(salon: Any) -> None:
    await salon.load("Ana,S,0412000001,yes\nBob,S,0412000002,yes\nCat,S,0412000003,yes\n")
    await salon.ask("POST", "/v1/suppressions", {"number": "0412 000 001", "scope": "marketing"})
    file = b"Mobile,Name\n0412000001,Ana\nrubbish,x\n\n+61412000002,Bob\n0412 000 002,Bob again\n(03) 9000 0000,y\n"
    answer = await upload(salon, file, Idempotency_Key="list-1")
    assert answer.status_code == 200, answer.text
    done = answer.json()
    errors = done.pop("errors")
    # Ana's was stopped for marketing only: now for all.
    assert done == {"rows": 5, "suppressed": 2, "already": 0, "repeated": 1, "rejected": 2}
    assert [(error["row"], bool(error["message"])) for error in errors] == [(3, True), (7, True)]
    assert (await upload(salon, file, Idempotency_Key="list-1")).headers["Idempotent-Replayed"] == "true"
    again = (await upload(salon, b'["0412000001", "0412000002"]', "application/json")).json()
    assert (again["suppressed"], again["already"]) == (0, 2)
    said = await salon.said("SuppressionChanged")
    assert sorted((fact.message.version, fact.message.source) for fact in said) == [
        (1, "person"),
        (1, "upload"),
        (2, "upload"),
    ]
    assert (await salon.quote("Hi"))["left_out"]["opted_out"] == 2
    assert await salon.count("consent_version") == 3 + 1 + 2


@pytest.mark.parametrize(
    "file",
    [
        "Name,Mobile\nZoë,0412 000 001\n".encode(),
        "Name;Telefon;Mobile\nZoë;;0412 000 001\n".encode("cp1252"),
        "sep=;\nName;Mobile\nZoë;0412 000 001\n".encode("utf-16"),
        b"Mobile,Phone\n,0412 000 001\n",
        b"0412 000 001,Zoe\n",
        b"412000001\n",
    ],
)
async def test_a_list_of_opt_outs_is_read_however_it_was_exported(salon: Any, file: bytes) -> None:
    done = (await upload(salon, file)).json()
    assert (done["rows"], done["suppressed"], done["errors"]) == (1, 1, [])


async def test_a_quote_that_is_not_closed_costs_its_own_opt_out_and_is_named(salon: Any) -> None:
    done = (await upload(salon, b'Mobile\n"0412000001\n0412000002\n')).json()
    assert (done["rows"], done["suppressed"], [error["row"] for error in done["errors"]]) == (2, 1, [2])


async def test_an_upload_that_cannot_be_read_changes_nothing_and_says_why(salon: Any) -> None:
    refused = [
        (b"", "text/csv", 422, "empty"),
        (b"Mobile\n", "text/csv", 422, "empty"),
        (b"\xff\xfe0", "text/csv", 422, "not_text"),
        (b"PK\x03\x04", "text/csv", 422, "not_csv"),
        (b"%PDF-1.4", "text/csv", 422, "wrong_kind"),
        (b'{"numbers": 1}', "application/json", 422, "not_numbers"),
        (b"[" + b'"0412000001",' * 10_000 + b'"0412000001"]', "application/json", 422, "too_many_rows"),
        (b"PK", "application/zip", 415, "unsupported_media_type"),
    ]
    for body, content_type, status, code in refused:
        answer = await upload(salon, body, content_type)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await salon.ask("POST", "/v1/suppressions/uploads", ["0412000001"], by="staff")).status_code == 403
    assert await salon.count("suppression") == 0


async def test_recent_suppressions_are_said_again_as_they_are_now(salon: Any) -> None:
    await salon.ask("POST", "/v1/suppressions", {"number": "0412 000 001", "scope": "marketing"})
    await salon.ask("POST", "/v1/suppressions", {"number": "0412 000 001", "scope": "all"})
    async with salon.db.worker() as tx:
        await handlers.say_recent_suppressions(tx, 60, 100)
    *_, before, again = await salon.said("SuppressionChanged")
    assert before.message == again.message
    assert again.message.version == 2


async def test_an_answer_is_sent_once_also_when_it_is_heard_twice(salon: Any, settings: CustomerSettings) -> None:
    answer = AnswerRequested(
        tenant_id=str(salon.tenant_id),
        answer_id="answer-1",
        number="+61412000001",
        number_hash=hash_of(salon, settings, "+61412000001"),
        text="You get no more messages.",
    )
    heard = handlers.handlers(settings.bulk_id_key_bytes)["AnswerRequested"]
    said = await run_twice(salon.db, heard, answer)
    assert [fact.message.DESCRIPTOR.name for fact in said] == ["BulkSmsRequested", "BulkRecipientsAttached"]
    assert list(said[1].message.text) == ["You get no more messages."]
    page = (await salon.ask("GET", "/v1/bulk-sms?kind=reply")).json()["items"]
    assert [(item["kind"], item["message_class"]) for item in page] == [("reply", "exempt")]
