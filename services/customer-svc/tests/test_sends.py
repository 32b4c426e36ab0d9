"""The road of a send inside customer-svc: quote, confirm, plan, and what is said of it."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import pytest
from gathering import LINKS, plain

from muster.customer import planner
from muster.customer.handlers import facts as handlers
from muster.customer.planner import Limits, Planner
from muster.customer.store import plans
from muster.events import NIL_TENANT
from muster.events.v1.bulk_pb2 import CONTROL_PAUSE, CONTROL_STOP, BulkSmsAccounted, BulkSmsControlled
from muster.events.v1.credits_pb2 import CreditsRefused, CreditsReserved, CreditsToppedUp
from muster.events.v1.platform_pb2 import RatesChanged
from muster.events.v1.sms_pb2 import SmsDispatched
from muster.kit import clock
from muster.kit.outbox import Lane

TEXT = "Hello {{first_name}}, come in. STOP to opt out"


def numbers(count: int, first: int = 0) -> list[str]:
    return [f"04{12_000_000 + first + index:08d}" for index in range(count)]


def people(count: int, allow: str = "yes", first: int = 0) -> str:
    return "".join(f"Ana{i},Smith,{number},{allow}\n" for i, number in enumerate(numbers(count, first), first))


async def test_a_confirmed_quote_is_planned_and_said_with_the_same_figures(salon: Any) -> None:
    await salon.load(people(1_203) + people(7, "no", 5_000))
    quote = await salon.quote(TEXT)
    assert quote["left_out"] == {
        "joined_later": 0, "no_consent": 7, "not_textable": 0, "opted_out": 0, "missing_field": 0,
        "duplicate_number": 0, "outside_hours": 0, "not_allowed": 0, "undeliverable": 0,
        "in_excluded_list": 0, "has_excluded_tag": 0, "excluded_by_query": 0, "seen_since": 0,
        "recently_messaged": 0, "frequency_cap": 0,
    }  # fmt: skip
    bulk_id = await salon.send(quote["id"])
    assert (await salon.bulk(bulk_id))["state"] == "planning"

    await salon.plan()

    [requested] = await salon.said("BulkSmsRequested")
    chunks = [fact.message for fact in await salon.said("BulkRecipientsAttached")]
    assert requested.message.recipients == quote["recipients"] == 1_203
    assert requested.message.credits == quote["credits"] == sum(sum(chunk.price) for chunk in chunks)
    assert requested.message.chunks == len(chunks) == 3
    assert [seq for chunk in chunks for seq in chunk.seq] == list(range(1, 1_204))
    assert chunks[-1].upto[-1] == quote["credits"]
    assert {fact.topic for fact in await salon.said("BulkRecipientsAttached")} == {"bulk-recipients"}
    shown = await salon.bulk(bulk_id)
    assert (shown["state"], shown["recipients"], shown["credits"]) == ("waiting", 1_203, quote["credits"])


async def test_texts_of_a_chunk_are_said_once_each(salon: Any) -> None:
    rows = "".join(f"{'Ana' if i % 2 else 'Bob'},S{i},{number},yes\n" for i, number in enumerate(numbers(10)))
    await salon.load(rows)
    await salon.send((await salon.quote(TEXT))["id"])
    await salon.plan()
    [fact] = await salon.said("BulkRecipientsAttached")
    assert sorted(map(plain, fact.message.text)) == [TEXT.replace("{{first_name}}", name) for name in ("Ana", "Bob")]
    assert len(fact.message.text_index) == 10
    assert (fact.topic, fact.lane) == ("bulk-recipients-small", Lane.SMALL)
    assert fact.message.number[0] == 61412000000


async def test_a_plan_resumed_at_any_turn_says_the_same_bytes(salon: Any) -> None:
    await salon.load(people(2_100))
    salon.limits = Limits(1, 1, 1, 60_000)
    quote = await salon.quote(TEXT)
    await salon.send(quote["id"])

    turns = 0
    # A new planner for each turn: nothing is carried over but what is stored.
    while await Planner(salon.db, Lane.LARGE, salon.limits, lambda: None, links=LINKS).turn():
        turns += 1
    assert turns == 1 + 5 + 5
    broken = [fact.message.SerializeToString() for fact in await salon.said("BulkRecipientsAttached")]
    async with salon.db.worker() as tx:
        await tx.execute("DELETE FROM outbox")
        await tx.execute("UPDATE plan SET step = 'publish', next_chunk = 1, recipients = 0, parts = 0, credits = 0")
    salon.limits = Limits(200, 40, 1, 60_000)
    await salon.plan()
    assert [fact.message.SerializeToString() for fact in await salon.said("BulkRecipientsAttached")] == broken


async def test_a_turn_that_fails_leaves_nothing_behind(salon: Any, monkeypatch: Any) -> None:

    await salon.load(people(600))
    await salon.send((await salon.quote(TEXT))["id"])
    turning = Planner(salon.db, Lane.LARGE, salon.limits, lambda: None, links=LINKS)

    saved = plans.save_plan

    async def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    for _ in range(3):
        before = await salon.counts("plan_frozen", "outbox")
        monkeypatch.setattr(plans, "save_plan", crash)
        with pytest.raises(KeyboardInterrupt):
            await turning.turn()
        assert await salon.counts("plan_frozen", "outbox") == before
        monkeypatch.setattr(plans, "save_plan", saved)
        assert await turning.turn()
    assert len(await salon.said("BulkRecipientsAttached")) == 2
    assert len(await salon.said("BulkSmsRequested")) == 1


async def test_who_joins_after_the_quote_is_left_out_and_named_as_such(salon: Any) -> None:
    await salon.load(people(3))
    quote = await salon.quote(TEXT)
    await salon.load(people(2, first=100))
    bulk_id = await salon.send(quote["id"])
    await salon.plan()
    bulk = await salon.bulk(bulk_id)
    assert (bulk["recipients"], bulk["customers"], bulk["left_out"]["joined_later"]) == (3, 5, 2)


async def test_a_plan_above_the_quote_goes_back_to_the_user_and_says_nothing(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\nBob,Jones,0412000002,yes\n")
    quote = await salon.quote("Hello {{first_name}}")
    [ana] = (await salon.ask("GET", "/v1/customers?search=Ana")).json()["items"]
    await salon.ask("PATCH", f"/v1/customers/{ana['id']}", {"first_name": "A" * 190})
    bulk_id = await salon.send(quote["id"])
    await salon.plan()
    bulk = await salon.bulk(bulk_id)
    assert bulk["state"] == "needs_confirmation"
    figures = {name: bulk["problem"][name] for name in ("code", "quoted", "credits", "difference")}
    assert figures == {"code": "costs_more", "quoted": 2, "credits": 3, "difference": 1}
    assert await salon.said("BulkSmsRequested", "BulkRecipientsAttached") == []

    too_few = await salon.ask("POST", f"/v1/bulk-sms/{bulk_id}/confirm", {"credits": 2})
    assert (too_few.status_code, too_few.json()["errors"][0]["field"]) == (422, "credits")
    agreed = await salon.ask("POST", f"/v1/bulk-sms/{bulk_id}/confirm", {"credits": 3})
    assert agreed.status_code == 202
    await salon.plan()
    assert (await salon.bulk(bulk_id))["state"] == "waiting"
    [requested] = await salon.said("BulkSmsRequested")
    assert requested.message.credits == 3
    again = await salon.ask("POST", f"/v1/bulk-sms/{bulk_id}/confirm", {"credits": 3})
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_confirm")


async def test_what_a_send_costs_cannot_be_agreed_to_after_its_time(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    quote = await salon.quote("Hello {{first_name}}")
    [ana] = (await salon.ask("GET", "/v1/customers?search=Ana")).json()["items"]
    await salon.ask("PATCH", f"/v1/customers/{ana['id']}", {"first_name": "A" * 190})
    bulk_id = await salon.send(quote["id"])
    await salon.plan()

    two_days_ns = 2 * 24 * 3600 * 10**9
    with clock.replaced(lambda: time.time_ns() + two_days_ns, time.monotonic):
        late = await salon.ask("POST", f"/v1/bulk-sms/{bulk_id}/confirm", {"credits": 2})

    assert (late.status_code, late.json()["code"]) == (409, "too_late")
    assert await salon.said("BulkSmsRequested") == []


async def test_a_control_of_a_send_that_is_refused_or_not_here_is_answered_so_that_nothing_waits_for_it(
    salon: Any,
) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    quote = await salon.quote("Hello")
    await salon.ask("POST", "/v1/suppressions", {"number": "0412 000 001"})
    refused, unknown = await salon.send(quote["id"]), str(uuid4())

    for bulk_id in (refused, unknown):
        await salon.hear(handlers.on_bulk_sms_controlled, controlled(salon, bulk_id, CONTROL_PAUSE))
    assert {one.message.bulk_id for one in await salon.said("BulkSmsWithdrawn")} == {unknown}
    await salon.plan()

    assert {one.message.bulk_id for one in await salon.said("BulkSmsWithdrawn")} == {unknown, refused}


async def test_a_plan_that_finds_nobody_is_refused_and_says_nothing(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    quote = await salon.quote("Hello")
    await salon.ask("POST", "/v1/suppressions", {"number": "0412 000 001"})
    bulk_id = await salon.send(quote["id"])
    await salon.plan()
    bulk = await salon.bulk(bulk_id)
    assert (bulk["state"], bulk["problem"]["code"]) == ("refused", "audience_empty")
    assert bulk["left_out"]["opted_out"] == 1
    assert await salon.said("BulkSmsRequested", "BulkRecipientsAttached") == []


async def test_a_send_that_cannot_be_planned_is_refused_and_stops_nobody_else(salon: Any, monkeypatch: Any) -> None:
    await salon.load(people(3))
    first, second = [await salon.send((await salon.quote(text))["id"]) for text in ("Broken", TEXT)]
    whole = planner.add_up

    def broken(before: Any, frozen: Any, destination: Any, renderer: Any, *limit: Any) -> Any:
        if renderer.render("Ana" if frozen.joined else "", 8).text.startswith("Salon: Broken"):
            raise ZeroDivisionError
        return whole(before, frozen, destination, renderer, *limit)

    monkeypatch.setattr(planner, "add_up", broken)
    await salon.plan()
    refused = await salon.bulk(first)
    assert (refused["state"], refused["problem"]["code"]) == ("refused", "plan_failed")
    assert (await salon.bulk(second))["state"] == "waiting"
    assert [fact.message.bulk_id for fact in await salon.said("BulkSmsRequested")] == [second]


def controlled(salon: Any, bulk_id: str, control: int, version: int = 1) -> BulkSmsControlled:
    return BulkSmsControlled(
        tenant_id=str(salon.tenant_id), bulk_id=bulk_id, control_version=version, control=control, user_id="ada"
    )


async def test_a_stop_before_the_plan_ends_it_with_a_withdrawal(salon: Any) -> None:
    await salon.load(people(3))
    bulk_id = await salon.send((await salon.quote(TEXT))["id"])
    await salon.hear(handlers.on_bulk_sms_controlled, controlled(salon, bulk_id, CONTROL_STOP))
    await salon.plan()
    # Said again when the stop is heard again: whoever hears it twice does nothing the second time.
    assert {fact.message.bulk_id for fact in await salon.said("BulkSmsWithdrawn")} == {bulk_id}
    assert await salon.said("BulkSmsRequested", "BulkRecipientsAttached") == []
    stopped = await salon.bulk(bulk_id)
    assert (stopped["state"], stopped["stop_reason"]) == ("closed", "stopped")


async def test_a_stop_after_the_request_withdraws_nothing_and_all_chunks_are_said(salon: Any) -> None:
    await salon.load(people(1_100))
    salon.limits = Limits(200, 1, 1, 60_000)

    bulk_id = await salon.send((await salon.quote(TEXT))["id"])
    turning = Planner(salon.db, Lane.LARGE, salon.limits, lambda: None, links=LINKS)
    for _ in range(3):
        assert await turning.turn()
    assert len(await salon.said("BulkRecipientsAttached")) == 1
    await salon.hear(handlers.on_bulk_sms_controlled, controlled(salon, bulk_id, CONTROL_STOP))
    await salon.plan()
    assert await salon.said("BulkSmsWithdrawn") == []
    assert len(await salon.said("BulkRecipientsAttached")) == 3
    assert (await salon.bulk(bulk_id))["state"] == "stopping"


async def test_the_state_of_a_send_follows_what_is_heard_whatever_comes_first(salon: Any) -> None:
    await salon.load(people(3))
    bulk_id = await salon.send((await salon.quote(TEXT))["id"])
    await salon.plan()
    ids = {"tenant_id": str(salon.tenant_id), "bulk_id": bulk_id}
    closed = BulkSmsAccounted(**ids, version=2, used=2, released=1, closed=True, accepted=2, stopped=1)
    begun = BulkSmsAccounted(**ids, version=1, used=1, accepted=1)
    seen = []
    for handler, message in (
        (handlers.on_sms_dispatched, SmsDispatched(**ids, chunk=1)),
        (handlers.on_credits_reserved, CreditsReserved(**ids, credits=3, asked=3, account_version=2, available=7)),
        (handlers.on_bulk_sms_controlled, controlled(salon, bulk_id, CONTROL_PAUSE)),
        (handlers.on_bulk_sms_accounted, closed),
        (handlers.on_bulk_sms_accounted, begun),
    ):
        for _ in range(2):
            await salon.hear(handler, message)
        seen.append((await salon.bulk(bulk_id))["state"])
    assert seen == ["sending", "sending", "paused", "closed", "closed"]
    bulk = await salon.bulk(bulk_id)
    assert (bulk["credits_reserved"], bulk["credits_used"], bulk["credits_released"], bulk["credits_held"]) == (
        3,
        2,
        1,
        0,
    )
    assert bulk["counts"] == {"accepted": 2, "unknown": 0, "rejected": 0, "stopped": 1, "suppressed": 0}


async def test_too_few_credits_are_the_problem_of_the_send_with_its_shortfall(salon: Any) -> None:
    await salon.load(people(3))
    bulk_id = await salon.send((await salon.quote(TEXT))["id"])
    await salon.plan()
    refused = CreditsRefused(
        tenant_id=str(salon.tenant_id),
        bulk_id=bulk_id,
        asked=3,
        shortfall=2,
        reason="short",
        account_version=1,
        available=1,
    )
    await salon.hear(handlers.on_credits_refused, refused)
    bulk = await salon.bulk(bulk_id)
    assert (bulk["state"], bulk["problem"]["code"], bulk["problem"]["shortfall"]) == ("refused", "credits_short", 2)


async def test_the_balance_is_that_of_the_highest_account_version(salon: Any) -> None:
    await salon.load(people(3))
    tenant_id = str(salon.tenant_id)
    newer = CreditsToppedUp(tenant_id=tenant_id, top_up_id="b", credits=50, available=150, account_version=2)
    older = CreditsToppedUp(tenant_id=tenant_id, top_up_id="a", credits=100, available=100, account_version=1)
    await salon.hear(handlers.on_credits_topped_up, newer)
    await salon.hear(handlers.on_credits_topped_up, older)
    quote = await salon.quote(TEXT)
    assert (quote["balance"], quote["balance_after"]) == (150, 147)


async def test_the_same_confirmation_twice_is_one_send(salon: Any) -> None:
    await salon.load(people(3))
    quote = await salon.quote(TEXT)
    first = await salon.send(quote["id"], key="one")
    assert await salon.send(quote["id"], key="one") == first
    other = await salon.ask("POST", "/v1/bulk-sms", {"quote_id": quote["id"]}, Idempotency_Key="two")
    assert (other.status_code, other.json()["code"]) == (409, "quote_used")
    changed = {"quote_id": quote["id"], "partial": "first_n"}
    reused = await salon.ask("POST", "/v1/bulk-sms", changed, Idempotency_Key="one")
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")
    assert await salon.count("bulk") == 1


async def test_of_many_confirmations_of_one_quote_at_once_one_wins_and_a_key_repeated_at_once_has_one_answer(
    salon: Any,
) -> None:
    await salon.load(people(3))
    quote, other = await salon.quote(TEXT), await salon.quote(TEXT)

    async def confirm(quote_id: str, key: str) -> Any:
        return await salon.ask("POST", "/v1/bulk-sms", {"quote_id": quote_id}, Idempotency_Key=key)

    answers = await asyncio.gather(*(confirm(quote["id"], f"key-{i}") for i in range(8)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"quote_used"}
    repeated = await asyncio.gather(*(confirm(other["id"], "one") for _ in range(8)))
    assert {answer.status_code for answer in repeated} == {202}
    assert len({answer.json()["id"] for answer in repeated}) == 1
    assert await salon.count("bulk") == await salon.count("plan") == 2


async def test_new_rates_never_make_a_quote_that_was_given_dearer(salon: Any) -> None:
    await salon.load(people(3))
    quote = await salon.quote(TEXT)
    dearer = RatesChanged(tenant_id=str(NIL_TENANT), country="AU", version=2, credits_per_part=5)
    await salon.hear(handlers.on_rates_changed, dearer)
    await salon.send(quote["id"])
    await salon.plan()
    [requested] = await salon.said("BulkSmsRequested")
    assert requested.message.credits == quote["credits"] == 3
    assert (await salon.quote(TEXT))["credits"] == 15


async def test_marketing_to_a_number_of_several_needs_the_consent_of_one_of_them(salon: Any) -> None:
    await salon.load("Mum,H,0412000001,no\nDad,H,0412000001,yes\nSon,H,0412000002,no\n")
    ask = {"text": "Hi", "class": "marketing"}
    answer = await salon.ask("POST", "/v1/messages", ask | {"to": "0412000001"})
    assert answer.status_code == 202, answer.text
    dad = (await salon.ask("GET", "/v1/customers?search=Dad")).json()["items"][0]["id"]
    [chunk] = await salon.said("BulkRecipientsAttached")
    assert list(chunk.message.customer_id) == [dad]
    refused = await salon.ask("POST", "/v1/messages", ask | {"to": "0412000002"})
    assert (refused.status_code, refused.json()["code"]) == (422, "no_consent")


async def test_one_message_needs_no_planner(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    answer = await salon.ask("POST", "/v1/messages", {"to": "0412 000 001", "text": "Hi {{there}}"})
    assert answer.status_code == 202, answer.text
    [requested] = await salon.said("BulkSmsRequested")
    [chunk] = await salon.said("BulkRecipientsAttached")
    assert (requested.message.recipients, requested.message.credits) == (1, 1)
    assert (list(chunk.message.text), list(chunk.message.number)) == (["Hi {{there}}"], [61412000001])
    assert chunk.message.customer_id[0] > 0
    assert (await salon.bulk(answer.json()["bulk_id"]))["kind"] == "single"


async def test_the_laws_hold_over_all_sends(salon: Any) -> None:
    await salon.load(people(700) + people(5, "no", 9_000))
    await salon.send((await salon.quote(TEXT))["id"])
    await salon.plan()
    await salon.ask("POST", "/v1/messages", {"to": "0412 999 001", "text": "Hi"})
    laws = (await salon.ask("GET", "/v1/ops/customer/laws", by="operator")).json()["laws"]
    assert [(law["law"], law["checked"], law["violation_count"]) for law in laws] == [("once", 2, 0), ("tenant", 2, 0)]
    page = (await salon.ask("GET", "/v1/ops/customer/bulks?limit=1", by="operator")).json()
    assert page["items"][0]["recipients"] == 700
    assert page["next_cursor"]


async def test_a_law_that_is_broken_is_seen(salon: Any) -> None:
    await salon.load(people(3))
    await salon.send((await salon.quote(TEXT))["id"])
    await salon.plan()
    async with salon.db.worker() as tx:
        await tx.execute("UPDATE bulk SET recipients = 2")
        await tx.execute("UPDATE plan_frozen SET tenant_id = $1", salon.other_id)
    laws = (await salon.ask("GET", "/v1/ops/customer/laws", by="operator")).json()["laws"]
    assert [law["violation_count"] > 0 for law in laws] == [True, True]


async def test_another_tenants_send_and_a_made_up_one_are_not_found(salon: Any) -> None:
    await salon.load(people(3))
    bulk_id = await salon.send((await salon.quote(TEXT))["id"])
    for path, by in ((bulk_id, "other"), (str(uuid4()), "admin")):
        answer = await salon.ask("GET", f"/v1/bulk-sms/{path}", by=by)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
