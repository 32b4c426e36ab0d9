"""A test is what a customer would get, at the number of somebody of the business, for its credits."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from gathering import SECRETS

from muster.customer.domain.limits import Limits
from muster.customer.gatherer import Gatherer
from muster.customer.handlers import facts as handlers
from muster.customer.handlers import messages
from muster.customer.settings import CustomerSettings
from muster.events.v1.common_pb2 import SUPPRESSION_SCOPE_MARKETING
from muster.events.v1.replies_pb2 import OptOutReceived
from muster.kit import clock

OWN = "+61491570156"
TEXT = "Hi {first_name}, come in"


@pytest.fixture(autouse=True)
def limited(app: FastAPI, salon: Any) -> None:
    """Four tests an hour."""

    async def take(tx: Any, asked: Any) -> Any:
        return await messages.take(tx, asked, SECRETS, Limits(test_hourly=4))

    app.state.gatherer = Gatherer(salon.db, take, wait_ms=1, wait_ms_max=50, group_max=500, waiting_max=1_000)
    return


async def begin(salon: Any, own: str = OWN) -> None:
    await salon.load("Zoë,S,0412000001,yes\nBob,S,0412000002,yes\nCyd,S,0412000003,no\n")
    assert (await salon.ask("PUT", "/v1/test-numbers/own", {"number": own})).status_code == 200


async def tried(salon: Any, by: str = "admin", **body: Any) -> Any:
    headers = {"Idempotency_Key": body.pop("key")} if "key" in body else {}
    return await salon.ask("POST", "/v1/test-messages", body, by=by, **headers)


async def chunks(salon: Any) -> list[Any]:
    return [fact.message for fact in await salon.said("BulkRecipientsAttached")]


async def test_a_test_of_a_quote_is_the_message_of_its_first_customer_at_one_s_own_number_and_costs_credits(
    salon: Any,
) -> None:
    await begin(salon)
    quote = await salon.quote(TEXT)
    answer = (await tried(salon, quote_id=quote["id"])).json()
    expected = "Salon: Hi Zoë, come in\nReply STOP to opt out"
    assert (answer["text"], answer["credits"], answer["accepted"]) == (expected, 1, 1)
    [message] = answer["messages"]
    assert (message["to"], message["parts"], message["credits"], message["state"]) == (OWN, 1, 1, "waiting")
    [chunk] = await chunks(salon)
    # As the plan says it to Zoë, byte for byte, but to another number and at any hour.
    await salon.send(quote["id"])
    await salon.plan()
    planned = (await chunks(salon))[-1]
    assert list(chunk.text) == [one for one in planned.text if "Zoë" in one] == [expected]
    assert (list(chunk.number), list(chunk.allowed_from_unix_ms)) == ([61491570156], [])
    assert (chunk.message_class, chunk.sender, chunk.encoding[0]) == (
        planned.message_class, planned.sender, planned.encoding[list(planned.text).index(expected)],
    )  # fmt: skip
    shown = await salon.bulk(message["bulk_id"])
    assert (shown["test"], shown["kind"], shown["credits"]) == (True, "single", 1)
    acts = [fact.message.act for fact in await salon.said("ActRecorded")]
    assert ("bulk-sms.test-requested" in acts, "bulk-sms.message-requested" in acts) == (True, False)


async def test_another_customer_may_be_chosen_and_a_text_tried_that_was_never_quoted(salon: Any) -> None:
    await begin(salon)
    people = {one["first_name"]: one["id"] for one in (await salon.ask("GET", "/v1/customers")).json()["items"]}
    # Also one who would not be texted: it is not they who get it.
    said = (await tried(salon, text=TEXT, customer_id=people["Cyd"], **{"class": "factual"})).json()
    assert (said["text"], said["customer_id"]) == ("Hi Cyd, come in", people["Cyd"])
    said = (await tried(salon, text=TEXT, audience={"customer_ids": [people["Bob"]]})).json()
    assert (said["text"], said["customer_id"]) == ("Salon: Hi Bob, come in\nReply STOP to opt out", people["Bob"])
    assert (await tried(salon, text="Open", **{"class": "factual"})).json()["customer_id"] is None


async def test_the_same_key_sends_once_and_another_test_under_it_is_refused(salon: Any) -> None:
    await begin(salon)
    quote = await salon.quote(TEXT)
    first, again = await asyncio.gather(*(tried(salon, quote_id=quote["id"], key="k") for _ in range(2)))
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert len(await chunks(salon)) == 1
    # Also when it could not be asked for any more.
    await salon.ask("DELETE", f"/v1/test-numbers/{await own_id(salon)}")
    assert (await tried(salon, quote_id=quote["id"], key="k")).json() == first.json()
    other = await tried(salon, text="Open", key="k")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


async def own_id(salon: Any) -> str:
    [one] = (await salon.ask("GET", "/v1/test-numbers")).json()["numbers"]
    return str(one["id"])


async def test_a_number_that_said_stop_is_not_texted_and_no_consent_is_asked_of_the_others(salon: Any) -> None:
    await begin(salon, "0412000003")  # of Cyd, who does not allow it
    quote = await salon.quote(TEXT)
    assert (await tried(salon, quote_id=quote["id"])).status_code == 202
    [chunk] = await chunks(salon)
    stop = OptOutReceived(
        tenant_id=str(salon.tenant_id), inbound_id=str(uuid4()), number_hash=chunk.number_hash[0],
        scope=SUPPRESSION_SCOPE_MARKETING, opted_out=True, rule="stop", received_at_unix_ms=clock.unix_ms(),
    )  # fmt: skip
    await salon.hear(handlers.on_opt_out_received, stop)
    # Nor by a text that is no marketing: who said STOP was not asking for tests.
    for more in ({}, {"class": "factual"}):
        refused = await tried(salon, text="Hi", **more)
        assert (refused.status_code, refused.json()["code"]) == (422, "opted_out")
    assert len(await chunks(salon)) == 1


async def test_tests_are_limited_by_the_hour_and_one_that_is_refused_is_told_beside_those_that_are_not(
    salon: Any,
) -> None:
    await begin(salon)
    await salon.ask("POST", "/v1/test-numbers", {"number": "0491570157", "name": "desk"})
    both = {"to": [OWN, "0491 570 157"], "text": "Open", "class": "factual"}
    half_past = int(clock.now().replace(minute=30).timestamp()) * 10**9  # in one hour, whatever the hour is
    with clock.replaced(lambda: half_past, time.monotonic):
        assert (await tried(salon, **both)).json()["credits"] == 2
        assert (await tried(salon, text="Open", **{"class": "factual"})).status_code == 202
        some = await tried(salon, **both)
        assert (some.status_code, some.json()["accepted"], some.json()["refused"]) == (207, 1, 1)
        assert some.json()["messages"][1]["problem"]["code"] == "too_many_tests"
        over = await tried(salon, text="Open", **{"class": "factual"})
        assert (over.status_code, over.json()["code"], "Retry-After" in over.headers) == (429, "too_many_tests", True)


async def test_a_test_keeps_nobody_from_the_send_that_it_is_of(salon: Any) -> None:
    await begin(salon, "0412000001")  # Zoë tries it herself
    await salon.ask("PUT", "/v1/frequency-cap", {"messages": 1, "days": 30})
    assert (await tried(salon, text=TEXT)).status_code == 202
    assert (await salon.quote(TEXT))["left_out"]["frequency_cap"] == 0


async def test_a_test_goes_to_numbers_that_are_kept_for_it_and_to_no_others(salon: Any) -> None:
    await salon.load("Zoë,S,0412000001,yes\n")
    body = {"text": "Open", "class": "factual"}
    assert (await tried(salon, **body)).json()["code"] == "no_own_number"
    assert (await tried(salon, by="staff", **body)).status_code == 403
    assert (await salon.ask("POST", "/v1/test-numbers", {"number": OWN}, by="manager")).status_code == 403
    await salon.ask("PUT", "/v1/test-numbers/own", {"number": OWN}, by="manager")
    for to, code in ((OWN, "no_test_number"), ("0412000001", "no_test_number"), ("12", None)):
        answer = (await tried(salon, to=[to], **body)).json()["errors"][0]
        assert (answer["field"], code in (None, answer["code"])) == ("to.0", True)
    assert (await tried(salon, by="manager", to=["0491 570 156"], **body)).status_code == 202
    # Another takes the place of one's own; of a colleague's nobody but an admin takes it away.
    await salon.ask("PUT", "/v1/test-numbers/own", {"number": "0491570158"}, by="manager")
    [one] = (await salon.ask("GET", "/v1/test-numbers")).json()["numbers"]
    assert (one["number"], one["user_id"]) == ("+61491570158", "mia")
    assert (await salon.ask("DELETE", f"/v1/test-numbers/{one['id']}", by="other")).status_code == 404
    assert (await salon.ask("DELETE", f"/v1/test-numbers/{one['id']}")).status_code == 204


async def test_only_so_many_numbers_are_kept(salon: Any, app: FastAPI, settings: CustomerSettings) -> None:
    app.state.settings = settings.model_copy(update={"customer_test_numbers_max": 2})
    for last, status in ((1, 201), (2, 201), (3, 409)):
        answer = await salon.ask("POST", "/v1/test-numbers", {"number": f"049157016{last}"})
        assert answer.status_code == status
    assert answer.json()["code"] == "too_many_test_numbers"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "text_or_template"),
        ({"quote_id": str(uuid4()), "text": "Hi"}, "of_the_quote"),
        ({"text": "Hi {nickname}"}, "unknown_field"),
        ({"text": "Hi", "audience": {"tag": "nobody"}}, "audience_empty"),
        ({"text": "Hi {first_name}", "customer_id": 2**40}, "not_found"),
        ({"quote_id": str(uuid4())}, "not_found"),
        ({"text": "a\x00b"}, "control_character"),
    ],
)
async def test_what_could_not_be_sent_is_refused_by_name_and_nothing_is_stored(
    salon: Any, body: dict[str, Any], code: str
) -> None:
    await begin(salon)
    problem = (await tried(salon, **body)).json()
    assert problem["code"] == code
    assert await chunks(salon) == []


async def test_the_number_of_somebody_who_is_erased_is_no_test_number_any_more(salon: Any) -> None:
    await begin(salon, "0412000001")
    people = {one["first_name"]: one["id"] for one in (await salon.ask("GET", "/v1/customers")).json()["items"]}
    erased = await salon.ask("POST", f"/v1/customers/{people['Zoë']}/erasure", {"ground": "asked"})
    assert erased.status_code < 300, erased.text
    assert (await salon.ask("GET", "/v1/test-numbers")).json()["numbers"] == []
