"""What people write back, on real processes: strangers, opting out and in again, and what a person has to decide."""

from typing import Any

import pytest
from e2e_world import Business, World, eventually

pytestmark = pytest.mark.e2e
TEXT = "Hello {{first_name}}. STOP to opt out"


def write(world: World, business: Business, number: str, text: str, **options: Any) -> None:
    answer = world.carrier("POST", "/inbound", json={"from": number, "to": business.sender, "text": text, **options})
    assert answer["delivered"], answer


def replies(business: Business, count: int) -> list[dict[str, Any]]:
    """The inbox, newest first, once it holds so many."""
    return list(eventually(lambda: len(found := list(business.ask.pages("/v1/replies"))) == count and found))


def opted_out(business: Business) -> int:
    return int(business.ask.quote(TEXT)["left_out"].get("opted_out", 0))


def test_a_stop_from_a_stranger_is_confirmed_once_and_holds_for_the_customer_of_later(world: World) -> None:
    business = world.business()
    stranger = f"{business.sender[:-3]}999"
    write(world, business, stranger, "STOP")
    write(world, business, stranger, "STOP")  # the carrier heard no answer and says it again
    [reply] = replies(business, 1)
    assert (reply["verdict"], reply["bulk_id"]) == ("opt_out", None)
    eventually(lambda: world.stats([stranger]) == {stranger: 1})
    rows = f"First name,Mobile,Allow Bulk SMS\nAna,{stranger},yes\nBo,{business.sender[:-3]}998,yes\n"
    assert business.ask.import_customers(rows.encode())["imported"] == 2
    eventually(lambda: opted_out(business) == 1)

    business.ended(business.send(TEXT))

    assert world.stats([stranger]) == {stranger: 1}


def test_start_lifts_a_stop_and_a_long_reply_is_read_whole_in_whatever_order_its_parts_come(world: World) -> None:
    business = world.business()
    numbers = business.customers(2)
    business.ended(business.send(TEXT))
    write(world, business, numbers[0], "I would rather not get these any more. " * 5 + "STOP", reversed=True)
    [reply] = replies(business, 1)
    assert reply["text"].startswith("I would rather")
    assert reply["verdict"] == "opt_out"
    eventually(lambda: opted_out(business) == 1)

    write(world, business, numbers[0], "START")

    eventually(lambda: opted_out(business) == 0)
    eventually(lambda: reached(business, numbers[0]))


def reached(business: Business, number: str) -> bool:
    """Whether a marketing message to this number is delivered: the sender hears of a START a moment later."""
    before = len(list(business.ask.report(number=number)))
    business.ask.post("/v1/messages", {"to": number, "text": "Open on Monday. STOP to opt out", "class": "marketing"})

    def ended() -> str:
        row = next(iter(business.ask.report(number=number)))
        grown = len(list(business.ask.report(number=number))) > before
        return str(row["status"]) if grown and row["status"] in ("delivered", "suppressed") else ""

    return bool(eventually(ended) == "delivered")


def test_an_unclear_reply_pauses_its_number_until_a_person_has_decided(world: World) -> None:
    business = world.business()
    numbers = business.customers(3)
    business.ended(business.send(TEXT))
    write(world, business, numbers[0], "Sorry, wrong number")
    write(world, business, numbers[1], "Go away")
    found = {reply["number"]: reply for reply in replies(business, 2)}
    assert {reply["verdict"] for reply in found.values()} == {"unclear"}
    bulk_id = business.send(TEXT)
    eventually(lambda: business.progress(bulk_id)["delivered"] == 1)
    assert business.progress(bulk_id)["queued"] == 2

    business.ask.post(f"/v1/replies/{found[numbers[0]]['id']}/verdict", {"verdict": "ordinary"})
    business.ask.post(f"/v1/replies/{found[numbers[1]]['id']}/verdict", {"verdict": "opt_out"})

    business.ended(bulk_id)
    status = {row["number"]: row["status"] for row in business.ask.report(bulk_id=bulk_id)}
    assert status == dict(zip(numbers, ("delivered", "suppressed", "delivered"), strict=True))
    assert opted_out(business) == 1
