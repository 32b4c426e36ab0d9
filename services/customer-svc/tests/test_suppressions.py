"""Numbers that may not be texted: by reply and by person, each told once and for all."""

from typing import Any

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


async def test_a_person_suppresses_and_lifts(salon: Any) -> None:
    added = await salon.ask("POST", "/v1/suppressions", {"number": "0412 000 001", "reason": "asked at the desk"})
    assert added.status_code == 201, added.text
    one = added.json()
    assert (one["number"], one["version"], one["source"]) == ("+61412000001", 1, "person")
    assert (await salon.ask("DELETE", f"/v1/suppressions/{one['id']}", by="other")).status_code == 404
    assert (await salon.ask("DELETE", f"/v1/suppressions/{one['id']}")).status_code == 204
    assert (await salon.ask("DELETE", f"/v1/suppressions/{one['id']}")).status_code == 404
    assert [fact.message.suppressed for fact in await salon.said("SuppressionChanged")] == [True, False]


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
