"""The five promises, on real processes: Kafka, PostgreSQL, SMPP and SMTP."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from e2e_world import STATES, Business, World, eventually

from muster.client import ApiError
from muster.client.commands.laws import settled_laws
from muster.local.demo import main as demo

pytestmark = pytest.mark.e2e


def books(business: Business) -> dict[str, int]:
    """The account, after the law that holds it together was checked."""
    account = business.ask.credits()
    assert account["granted"] + account["owed"] == account["available"] + account["reserved"] + account["consumed"]
    return {member: account[member] for member in ("granted", "available", "reserved", "consumed")}


def settled(business: Business) -> dict[str, int]:
    """The account once nothing is reserved."""
    eventually(lambda: business.ask.credits()["reserved"] == 0)
    return books(business)


def test_the_demo_agrees_with_itself_twice_in_a_row(world: World, tmp_path: Path) -> None:
    for _ in range(2):
        assert demo(world.run, tmp_path) == 0
    figures = json.loads((tmp_path / "demo.json").read_text())
    assert figures["sends"][0]["delivered"] > 1000
    assert figures["sends"][1]["stopped"] > 0
    assert set(figures["laws"].values()) == {0}
    assert min(figures["laws_checked"].values()) > 0


def test_the_quote_is_the_bill(world: World) -> None:
    business = world.business(credits=100)
    numbers = business.customers(30)
    quote = business.ask.quote(
        "Hi {{first_name}}, open on Monday from nine to five — a cut is €10 this week. STOP to opt out"
    )
    bulk_id = business.ask.send(quote["id"])["id"]
    ended = business.ended(bulk_id)
    assert ended["credits_used"] == quote["credits"] > 30
    assert settled(business) == {
        "granted": 100,
        "available": 100 - quote["credits"],
        "reserved": 0,
        "consumed": quote["credits"],
    }
    accepted = world.stats(numbers)
    assert sum(accepted.values()) == quote["parts"]


def test_a_confirmation_repeated_with_its_key_sends_once(world: World) -> None:
    business = world.business()
    numbers = business.customers(5)
    quote = business.ask.quote("Hello. STOP to opt out")
    key = str(uuid.uuid4())
    first, second = (business.ask.send(quote["id"], key=key) for _ in range(2))
    assert first["id"] == second["id"]
    business.ended(first["id"])
    assert set(world.stats(numbers).values()) == {1}
    with pytest.raises(ApiError) as refused:
        business.ask.send(quote["id"], key=str(uuid.uuid4()))
    assert refused.value.status == 409


def test_stop_works_and_unsent_credits_come_back_at_once(world: World) -> None:
    business = world.business(credits=3_000)
    numbers = business.customers(2_500)
    world.faults(response_delay_ms=1500)
    bulk_id = business.send()
    eventually(lambda: sum(world.stats(numbers).values()) > 0)
    answer = business.ask.control(bulk_id, "stop")
    assert answer["state"] in ("stopping", "closed")
    world.faults(response_delay_ms=0)
    ended = business.ended(bulk_id)
    sent = sum(world.stats(numbers).values())
    assert 0 < sent < 2_500
    assert ended["credits_used"] == sent
    assert ended["credits_released"] == 2_500 - sent
    progress = business.progress(bulk_id)
    assert progress["stopped"] == 2_500 - sent
    assert sum(progress[state] for state in STATES) == 2_500
    assert settled(business)["available"] == 3_000 - sent
    with pytest.raises(ApiError) as refused:
        business.ask.control(bulk_id, "stop")
    assert refused.value.status == 409


def test_a_send_stopped_before_anybody_heard_of_it_ends_and_costs_what_it_sent(world: World) -> None:
    business = world.business(credits=3_000)
    numbers = business.customers(2_500)
    bulk_id = business.send()
    business.ask.control(bulk_id, "stop")
    eventually(lambda: business.state(bulk_id) == "closed")
    books_after = settled(business)
    assert books_after["consumed"] == sum(world.stats(numbers).values())


def test_a_paused_send_goes_on_where_it_was_and_nobody_gets_it_twice(world: World) -> None:
    business = world.business(credits=3_000)
    numbers = business.customers(2_000)
    world.faults(response_delay_ms=1500)
    bulk_id = business.send()
    eventually(lambda: sum(world.stats(numbers).values()) > 0)
    business.ask.control(bulk_id, "pause")
    eventually(lambda: business.state(bulk_id) == "paused")
    world.faults(response_delay_ms=0)
    eventually(lambda: world.stats(numbers) == world.stats(numbers))
    before = sum(world.stats(numbers).values())
    assert before < 2_000
    business.ask.control(bulk_id, "resume")
    business.ended(bulk_id)
    assert set(world.stats(numbers).values()) == {1}


def test_stop_beats_the_queue(world: World) -> None:
    business = world.business(credits=3_000)
    numbers = business.customers(2_500)
    world.faults(response_delay_ms=1500)
    bulk_id = business.send()
    eventually(lambda: sum(world.stats(numbers).values()) > 0)
    last = numbers[-1]  # two windows away from what is on the wire
    world.carrier("POST", "/inbound", json={"from": last, "to": business.sender, "text": "Stop. Thank you"})
    world.faults(response_delay_ms=0)
    business.ended(bulk_id)
    row = next(row for row in business.ask.report(bulk_id=bulk_id) if row["number"] == last)
    assert row["status"] == "suppressed"
    eventually(lambda: world.stats([last]) == {last: 1})  # the one confirmation of the opt-out
    assert business.progress(bulk_id)["suppressed"] == 1
    assert settled(business)["consumed"] == 2_499 + 1


def test_a_reply_reaches_the_reception_and_an_opt_out_the_next_quote(world: World) -> None:
    business = world.business()
    numbers = business.customers(3)
    bulk_id = business.send()
    business.ended(bulk_id)
    for number, text in zip(numbers, ("Yes please!", "STOP", "Can we not do Monday?"), strict=True):
        world.carrier("POST", "/inbound", json={"from": number, "to": business.sender, "text": text})
    replies = eventually(lambda: len(found := list(business.ask.pages("/v1/replies"))) == 3 and found)
    assert {reply["bulk_id"] for reply in replies} == {bulk_id}
    assert {reply["text"]: reply["verdict"] for reply in replies}["STOP"] == "opt_out"
    eventually(lambda: business.ask.quote("Again. STOP to opt out")["left_out"].get("opted_out") == 1)
    mails = eventually(lambda: len(found := mails_to(world, business.reception)) == 3 and found)
    assert any("Yes please!" in mail["text"] for mail in mails)
    rows = {row["number"]: row for row in business.ask.report(bulk_id=bulk_id)}
    assert [reply["text"] for reply in rows[numbers[0]]["replies"]] == ["Yes please!"]


def mails_to(world: World, address: str) -> list[dict[str, Any]]:
    mails = world.http.get(world.run["mail_url"]).raise_for_status().json()
    return [mail for mail in mails if address in mail["to"]]


def test_too_few_credits_refuse_the_send_with_the_shortfall(world: World) -> None:
    business = world.business(credits=5)
    numbers = business.customers(8)
    bulk_id = business.send()
    ended = business.ended(bulk_id)
    assert ended["state"] == "refused"
    assert ended["problem"]["shortfall"] == 3
    assert sum(world.stats(numbers).values()) == 0
    assert books(business) == {"granted": 5, "available": 5, "reserved": 0, "consumed": 0}


def test_what_the_carrier_rejects_or_cannot_deliver_is_told_apart(world: World) -> None:
    business = world.business(credits=1_000)
    business.customers(600)
    world.faults(reject_ratio=0.2, undelivered_ratio=0.2, expired_ratio=0.1, receipt_duplicate=0.3, receipt_reorder=0.5)
    bulk_id = business.send()
    ended = business.ended(bulk_id)
    progress = business.progress(bulk_id)
    assert min(progress[state] for state in ("delivered", "undelivered", "expired", "rejected")) > 20
    assert sum(progress[state] for state in STATES) == 600
    assert ended["credits_used"] == 600 - progress["rejected"]
    assert settled(business)["consumed"] == 600 - progress["rejected"]


def test_a_throttling_carrier_loses_nothing_and_leaks_no_credit(world: World) -> None:
    business = world.business(credits=1_000)
    numbers = business.customers(400)
    world.faults(throttle_ratio=0.3)
    business.ended(business.send())
    assert set(world.stats(numbers).values()) == {1}
    assert settled(business) == {"granted": 1_000, "available": 600, "reserved": 0, "consumed": 400}


def test_one_message_takes_the_same_road(world: World) -> None:
    business = world.business()
    number = business.customers(1)[0]
    single = business.ask.post("/v1/messages", {"to": number, "text": "Your appointment is at 3", "class": "factual"})
    row = eventually(lambda: delivered(business, kind="single"))
    assert row["number"] == number
    assert row["id"] == single["id"]
    assert settled(business)["consumed"] == 1

    several = business.ask.messages([{"to": number, "text": "Bring a friend"}, {"to": "12", "text": "Hi"}])
    assert (several["accepted"], several["refused"]) == (1, 1)
    [taken, refused] = several["messages"]
    assert refused["problem"]["errors"][0]["field"] == "messages.1.to"
    assert eventually(lambda: taken["id"] in {row["id"] for row in business.ask.report(status="delivered")})


def delivered(business: Business, **filters: str) -> dict[str, Any] | None:
    return next((dict(row) for row in business.ask.report(**filters) if row["status"] == "delivered"), None)


def test_every_law_holds_after_all_of_this(world: World) -> None:
    laws = settled_laws(world.operator, 30.0)
    assert [(law.name, law.violations) for law in laws if law.violation_count] == []
    assert [law.name for law in laws if not law.checked] == []
