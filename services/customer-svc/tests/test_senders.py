"""A business sends by senders that it has, and knows what phones make of them."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from gathering import LINK_URL

from muster.customer.domain.senders import Registration, Sender, Standing, refusal, warnings
from muster.customer.handlers import facts, scheduling
from muster.customer.store import schedules
from muster.events import NIL_TENANT
from muster.events.v1 import platform_pb2
from muster.events.v1.platform_pb2 import SenderChanged
from muster.events.v1.recipients_pb2 import ANSWER_REASON_PERSON, AnswerRequested
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit import clock

OWN = "61400000000"
ROWS = "Ada,Smith,0412000001,yes\n"
LEASED, FREE = platform_pb2.SENDER_STANDING_LEASED, platform_pb2.SENDER_STANDING_FREE
WITHHELD = platform_pb2.SENDER_STANDING_WITHHELD
REJECTED, REGISTERED = platform_pb2.SENDER_REGISTRATION_REJECTED, platform_pb2.SENDER_REGISTRATION_REGISTERED
MESSAGE = {"to": "0412000001", "text": "Hi"}


def sender(owner: UUID, name: str, version: int, **members: Any) -> SenderChanged:
    given = {"standing": platform_pb2.SENDER_STANDING_ACTIVE, "active": True, **members}
    return SenderChanged(
        tenant_id=str(NIL_TENANT), owner_tenant_id=str(owner), sender=name, version=version, **given
    )  # fmt: skip


async def stands(salon: Any, version: int, name: str = OWN, **members: Any) -> None:
    await salon.hear(facts.on_sender_changed, sender(salon.tenant_id, name, version, **members))


async def chooses(salon: Any, name: str) -> None:
    settings = {"name": "Salon", "country": "AU", "time_zone": "UTC", "countries": ["*"]}
    await salon.hear(
        facts.on_tenant_changed, TenantChanged(tenant_id=str(salon.tenant_id), version=2, sender=name, **settings)
    )


def codes(answer: Any) -> tuple[int, str]:
    said = answer.json()
    return answer.status_code, said["errors"][0]["code"] if "errors" in said else said["code"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"standing": WITHHELD, "active": False, "reason": "It is another's."}, "sender_withheld"),
        ({"standing": LEASED, "active": False}, "sender_released"),
        ({"standing": FREE, "active": False}, "sender_released"),
        ({"registration": REJECTED, "reason": "Not yours."}, "sender_rejected"),
    ],
)
async def test_nothing_is_sent_by_a_sender_that_a_business_does_not_have_or_that_was_rejected(
    salon: Any, said: dict[str, Any], code: str
) -> None:
    await salon.load(ROWS)
    quote, planned = await salon.quote("Hello"), await salon.quote("Hello")
    bulk_id = await salon.send(planned["id"])

    await stands(salon, 2, **said)

    body = {"text": "Hello", "audience": {"all": True}}
    quoted = await salon.ask("POST", "/v1/quotes", body)
    confirmed = await salon.ask("POST", "/v1/bulk-sms", {"quote_id": quote["id"]}, Idempotency_Key=str(uuid4()))
    message = await salon.ask("POST", "/v1/messages", MESSAGE)
    assert [codes(one) for one in (quoted, confirmed, message)] == [(422, code)] * 3
    assert said.get("reason", "") in quoted.json()["errors"][0]["message"]
    await salon.plan()
    refused = await salon.bulk(bulk_id)
    assert (refused["state"], refused["problem"]["code"]) == ("refused", code)
    assert await salon.said("BulkSmsRequested") == []


async def test_whether_a_business_has_the_sender_that_it_chose_a_moment_ago_is_waited_for(salon: Any) -> None:
    await salon.load(ROWS)
    await chooses(salon, "Salon")

    body = {"text": "Hello", "audience": {"all": True}}
    unknown = [await salon.ask("POST", "/v1/quotes", body), await salon.ask("POST", "/v1/messages", MESSAGE)]
    await stands(salon, 1, "Salon")
    known = [await salon.ask("POST", "/v1/quotes", body), await salon.ask("POST", "/v1/messages", MESSAGE)]

    assert [codes(one) for one in unknown] == [(503, "sender_not_heard_of")] * 2
    assert [one.status_code for one in known] == [201, 202]


async def test_a_name_that_is_anothers_is_not_ones_own(salon: Any) -> None:
    await salon.load(ROWS)
    await salon.hear(facts.on_sender_changed, sender(salon.other_id, "Salon", 1))
    body = {"text": "Hello", "audience": {"all": True}, "sender": "Salon"}

    before = await salon.ask("POST", "/v1/quotes", body)
    await stands(salon, 1, "Salon")
    after = await salon.ask("POST", "/v1/quotes", body)

    assert (codes(before), after.status_code) == ((422, "not_own_sender"), 201)


async def test_a_single_message_is_answered_with_the_warnings_that_a_quote_would_have(salon: Any) -> None:
    await chooses(salon, "Salon")
    await stands(salon, 1, "Salon")
    body = {"to": "0412 000 001", "text": "Your table is ready"}
    key = {"Idempotency_Key": "k"}

    first = await salon.ask("POST", "/v1/messages", body, **key)
    await stands(salon, 2, "Salon", registration=REGISTERED)

    assert first.status_code == 202
    assert [one["code"] for one in first.json()["warnings"]] == ["shown_unverified"]
    assert (await salon.ask("POST", "/v1/messages", body, **key)).json() == first.json()
    assert (await salon.ask("POST", "/v1/messages", body)).json()["warnings"] == []


async def test_a_quote_warns_of_a_name_that_australia_shows_as_unverified(salon: Any) -> None:
    await salon.load(ROWS)
    await stands(salon, 1, "Salon")

    unregistered, number = await salon.quote("Hello", sender="Salon"), await salon.quote("Hello", sender=f"+{OWN}")
    await stands(salon, 2, "Salon", registration=REGISTERED)
    registered = await salon.quote("Hello", sender="Salon")

    assert [one["code"] for one in unregistered["warnings"]] == ["shown_unverified"]
    assert (number["sender"], number["warnings"], registered["warnings"]) == (f"+{OWN}", [], [])
    kept = await salon.ask("GET", f"/v1/quotes/{unregistered['id']}")
    assert kept.json()["warnings"] == unregistered["warnings"]


async def test_a_schedule_waits_for_news_of_its_sender_and_does_not_start_by_one_that_was_lost(salon: Any) -> None:
    await salon.load(ROWS)
    when = {"once": f"{clock.now() + timedelta(hours=1):%Y-%m-%dT%H:%M}", "time_zone": "UTC"}
    body = {"name": "x", "text": "Hi", "audience": {"all": True}, "credits_max": 9, "when": when}
    added = await salon.ask("POST", "/v1/schedules", body)
    assert added.status_code == 201, added.text
    later = clock.now() + timedelta(hours=1, minutes=1)
    await chooses(salon, "Salon")

    async def start() -> Any:
        async with salon.db.worker() as tx:
            [(tenant_id, schedule_id)] = await tx.fetch("SELECT tenant_id, schedule_id FROM schedule")
        async with salon.db.request(tenant_id) as tx:
            schedule = await schedules.take(tx, tenant_id, schedule_id)
            return await scheduling.start(tx, tenant_id, schedule, bytes(32), later, LINK_URL)

    assert await start() is None
    await stands(salon, 1, "Salon", standing=FREE, active=False)
    assert (await start()).verdict.code == "sender_released"


async def test_an_answer_is_not_sent_by_a_sender_that_was_lost(salon: Any) -> None:
    handler = facts.handlers(bytes(32))["AnswerRequested"]
    who = {"tenant_id": str(salon.tenant_id), "number_hash": b"h" * 17, "text": "Yes", "reason": ANSWER_REASON_PERSON}
    await stands(salon, 2, standing=LEASED, active=False)

    await salon.hear(handler, AnswerRequested(answer_id=str(uuid4()), number="+61412000001", **who))
    assert await salon.said("BulkSmsRequested") == []


def test_every_standing_and_registration_is_judged() -> None:
    may = {
        (standing, registration)
        for standing in Standing
        for registration in Registration
        if refusal(Sender("S", standing, registration)) is None
    }
    registered = set(Registration) - {Registration.REJECTED}
    assert may == {(Standing.ACTIVE, registration) for registration in registered}
    assert warnings(Sender("S"), ["NZ"]) == []


async def test_a_message_may_name_another_sender_of_its_business_and_goes_by_that(salon: Any) -> None:
    await stands(salon, 1, "Salon", registration=REGISTERED)
    named = await salon.ask("POST", "/v1/messages", {**MESSAGE, "sender": "Salon"})
    own = await salon.ask("POST", "/v1/messages", {**MESSAGE, "sender": f"+{OWN}"})
    assert (named.status_code, own.status_code) == (202, 202)
    assert [fact.message.sender for fact in await salon.said("BulkSmsRequested")] == ["Salon", f"+{OWN}"]


async def test_a_message_by_a_sender_that_phones_may_not_show_is_sent_with_that_warning(salon: Any) -> None:
    await stands(salon, 1, "Salon")
    answer = await salon.ask("POST", "/v1/messages", {**MESSAGE, "sender": "Salon"})
    assert [one["code"] for one in answer.json()["warnings"]] == ["shown_unverified"]


@pytest.mark.parametrize("name", ["Other", "Salon\0", "6140000000"])
async def test_a_message_by_a_sender_that_its_business_never_had_is_refused(salon: Any, name: str) -> None:
    await salon.hear(facts.on_sender_changed, sender(salon.other_id, "Other", 1))
    body = json.dumps({**MESSAGE, "sender": name}).encode()
    answer = await salon.ask("POST", "/v1/messages", body, Content_Type="application/json")
    assert codes(answer) == (422, "not_own_sender")
    assert await salon.count("bulk") == 0


async def test_of_several_messages_each_goes_by_its_own_sender_also_where_that_of_the_settings_may_not_be_used(
    salon: Any,
) -> None:
    await stands(salon, 1, "Salon", registration=REGISTERED)
    await stands(salon, 2, OWN, registration=REJECTED)
    several = [MESSAGE, {**MESSAGE, "sender": "Salon"}, {**MESSAGE, "sender": "Other"}]
    answer = await salon.ask("POST", "/v1/messages", {"messages": several})
    first, second, third = answer.json()["messages"]
    assert (answer.status_code, second["state"]) == (207, "waiting")
    refused = [(one["problem"]["errors"][0]["field"], one["problem"]["code"]) for one in (first, third)]
    assert refused == [("messages.0.sender", "sender_rejected"), ("messages.2.sender", "not_own_sender")]
    assert codes(await salon.ask("POST", "/v1/messages", {"messages": several[:1]})) == (422, "sender_rejected")


async def test_a_sender_of_the_settings_that_was_not_heard_of_keeps_back_only_what_would_go_by_it(salon: Any) -> None:
    await stands(salon, 1, "Salon", registration=REGISTERED)
    await chooses(salon, "New")
    assert (await salon.ask("POST", "/v1/messages", {**MESSAGE, "sender": "Salon"})).status_code == 202
    answer = await salon.ask("POST", "/v1/messages", {"messages": [MESSAGE, {**MESSAGE, "sender": "Salon"}]})
    first, second = answer.json()["messages"]
    assert (first["problem"]["code"], second["state"]) == ("sender_not_heard_of", "waiting")
    assert (await salon.ask("POST", "/v1/messages", MESSAGE)).status_code == 503
