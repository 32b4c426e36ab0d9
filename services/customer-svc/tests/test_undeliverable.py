"""Numbers that fail for good in one send after the other are left out, and come back when they are seen to be alive."""

from typing import Any

import pytest
from test_again import DELIVERED, EXPIRED, UNDELIVERED, Story
from test_suppressions import hash_of

from muster.customer.handlers import facts as handlers
from muster.customer.handlers import undeliverable
from muster.customer.settings import CustomerSettings
from muster.events.v1.replies_pb2 import ReplyReceived

PATH = "/v1/suppressions/undeliverable"


async def fail(salon: Any, states: list[int], failures: int = 3) -> None:
    """A send to all, with these receipts, counted."""
    quote = await salon.quote("Hi")
    story = Story(salon, await salon.send(quote["id"]))
    await salon.plan()
    await story.receipts(states)
    await count(salon, failures)


async def count(salon: Any, failures: int = 3) -> None:
    while await undeliverable.count(salon.db, failures, 0):
        pass


async def left_out(salon: Any) -> int:
    answer = await salon.ask("POST", "/v1/quotes", {"text": "Hi", "audience": {"all": True}})
    return int(answer.json()["left_out"]["undeliverable"])


async def people(salon: Any, n: int = 4) -> None:
    await salon.load("".join(f"Ana{i},S,041200000{i},yes\n" for i in range(n)))


async def test_a_number_is_left_out_after_the_third_send_that_it_failed_for_good(salon: Any) -> None:
    await people(salon)
    for expected in (0, 0, 1):
        await fail(salon, [UNDELIVERED, DELIVERED, EXPIRED, DELIVERED])
        assert await left_out(salon) == expected
    [one] = (await salon.ask("GET", PATH)).json()["items"]
    assert (one["number"], one["failures"]) == ("+61412000000", 3)
    assert (await salon.ask("GET", PATH, by="other")).json()["items"] == []
    assert (await salon.quote("Hi"))["recipients"] == 3


async def test_what_is_told_again_and_a_later_word_on_the_same_message_count_once(salon: Any) -> None:
    await people(salon)
    story = Story(salon, await salon.send((await salon.quote("Hi"))["id"]))
    await salon.plan()
    await story.receipts([UNDELIVERED])
    await count(salon, 2)
    await story.receipts([UNDELIVERED])
    await count(salon, 2)
    later = {**story.ids, "chunk": 1, "seq": [1], "receipt": [UNDELIVERED], "version": [2]}
    await salon.hear(handlers.on_sms_status_changed, handlers.events.SmsStatusChanged(**later))
    await count(salon, 2)
    assert await left_out(salon) == 0
    await fail(salon, [UNDELIVERED, DELIVERED, DELIVERED, DELIVERED], 2)
    assert await left_out(salon) == 1


async def test_single_messages_count_as_a_send_does_and_those_of_the_same_one_once(salon: Any) -> None:
    await people(salon)
    for expected in (0, 0, 1):
        said = await salon.ask("POST", "/v1/messages", {"to": "0412000000", "text": "Your table is ready"})
        assert said.status_code == 202, said.text
        story = Story(salon, said.json()["bulk_id"])
        await story.receipts([UNDELIVERED])
        await count(salon)
        await count(salon)
        assert await left_out(salon) == expected
    said = await salon.ask("POST", "/v1/messages", {"to": "0412000001", "text": "Your table is ready"})
    await Story(salon, said.json()["bulk_id"]).receipts([EXPIRED])
    assert await salon.count("not_received") == 3, "what expired is not kept of a single message"


async def test_where_half_of_a_send_fails_the_fault_is_not_with_the_numbers(salon: Any) -> None:
    rows = "".join(f"Ana{i},S,04120000{i:02d},yes\n" for i in range(30))
    await salon.load(rows)
    await fail(salon, [UNDELIVERED] * 16 + [DELIVERED] * 14, 1)
    assert await left_out(salon) == 0
    await fail(salon, [UNDELIVERED] * 15 + [DELIVERED] * 15, 1)
    assert await left_out(salon) == 15


@pytest.mark.parametrize("evidence", ["reply", "edit", "hand"])
async def test_a_number_comes_back_when_it_is_seen_to_be_alive_and_is_counted_anew(
    salon: Any, settings: CustomerSettings, evidence: str
) -> None:
    await people(salon)
    await fail(salon, [UNDELIVERED, DELIVERED, DELIVERED, DELIVERED], 1)
    assert await left_out(salon) == 1
    number_hash = hash_of(salon, settings, "+61412000000")
    if evidence == "reply":
        wrote = ReplyReceived(tenant_id=str(salon.tenant_id), inbound_id="in-1", number_hash=number_hash)
        await salon.hear(handlers.handlers(b"k" * 32)["ReplyReceived"], wrote)
    elif evidence == "edit":
        ana = (await salon.ask("GET", "/v1/customers?search=Ana0")).json()["items"][0]["id"]
        assert (await salon.ask("PATCH", f"/v1/customers/{ana}", {"tags": ["x"]})).status_code == 200
        assert await left_out(salon) == 1, "another change of them says nothing of the number"
        await salon.ask("PATCH", f"/v1/customers/{ana}", {"mobiles": ["0412 000 000"]})
    else:
        assert (await salon.ask("DELETE", f"{PATH}/{number_hash.hex()}", by="other")).status_code == 404
        assert (await salon.ask("DELETE", f"{PATH}/{number_hash.hex()}")).status_code == 204
        assert (await salon.ask("DELETE", f"{PATH}/{number_hash.hex()}")).status_code == 404
    assert await left_out(salon) == 0
    await fail(salon, [UNDELIVERED, DELIVERED, DELIVERED, DELIVERED], 2)
    assert await left_out(salon) == 0


async def test_a_business_says_after_how_many_and_never_is_one_of_them(salon: Any) -> None:
    await people(salon)
    assert (await salon.ask("GET", f"{PATH}/rule")).json() == {"failures": 3}
    assert (await salon.ask("PUT", f"{PATH}/rule", {"failures": 0}, by="staff")).status_code == 403
    assert (await salon.ask("PUT", f"{PATH}/rule", {"failures": 101})).status_code == 422
    assert (await salon.ask("PUT", f"{PATH}/rule", {"failures": 0})).json() == {"failures": 0}
    await fail(salon, [UNDELIVERED, DELIVERED, DELIVERED, DELIVERED], 1)
    assert await left_out(salon) == 0
    await salon.ask("PUT", f"{PATH}/rule", {"failures": 1})
    await fail(salon, [UNDELIVERED, DELIVERED, DELIVERED, DELIVERED])
    assert (await left_out(salon), (await salon.ask("GET", f"{PATH}/rule")).json()) == (1, {"failures": 1})
