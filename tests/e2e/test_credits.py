"""Credits on the running product: too few of them, rates that change, messages that fail."""

import pytest
from e2e_world import World, eventually

pytestmark = pytest.mark.e2e

TWO_PARTS = "Our salon moves to the other side of the road, and you are invited. " * 3 + "STOP to opt out"


@pytest.mark.parametrize(("credits", "sent"), [(7, 3), (8, 4), (1, 0)])
def test_the_first_whom_the_credits_cover_are_sent_in_order_and_the_rest_comes_back(
    world: World, credits: int, sent: int
) -> None:
    business = world.business(credits=credits)
    numbers = business.customers(5)
    assert business.ask.quote(TWO_PARTS)["credits"] == 10

    ended = business.ended(business.send(TWO_PARTS, partial="first_n"))

    assert (ended["state"], ended["credits_reserved"]) == ("closed", credits)
    assert (ended["credits_used"], ended["credits_released"]) == (2 * sent, credits - 2 * sent)
    assert world.stats(numbers) == dict.fromkeys(numbers[:sent], 2) | dict.fromkeys(numbers[sent:], 0)
    rows = {row["number"]: row for row in business.ask.report(bulk_id=ended["id"])}
    assert [rows[number]["status"] for number in numbers[sent:]] == ["stopped"] * (5 - sent)
    account = eventually(lambda: (found := business.ask.credits())["reserved"] == 0 and found)
    assert (account["available"], account["consumed"], account["conservation"]) == (credits - 2 * sent, 2 * sent, 0)


def test_without_that_choice_a_send_with_too_few_credits_is_refused_with_the_shortfall(world: World) -> None:
    business = world.business(credits=7)
    numbers = business.customers(5)

    bulk_id = business.send(TWO_PARTS)
    eventually(lambda: business.state(bulk_id) == "refused")

    assert business.ask.bulk(bulk_id)["problem"]["shortfall"] == 3
    assert set(world.stats(numbers).values()) == {0}
    assert business.ask.credits()["available"] == 7


def test_a_quote_given_before_new_rates_keeps_its_price_to_the_last_credit(world: World) -> None:
    business = world.business(credits=100)
    business.customers(4)
    quote = business.ask.quote("Hello. STOP to opt out")
    rates = {rate["country"]: rate["credits_per_part"] for rate in world.operator.get("/v1/rates")["items"]}
    put = {"country": "AU", "credits_per_part": rates["AU"] + 2}
    world.operator.put("/v1/rates", put)
    try:
        eventually(lambda: business.ask.quote("Hello. STOP to opt out")["credits"] == 3 * quote["credits"])

        ended = business.ended(business.ask.send(quote["id"])["id"])

        assert ended["credits_reserved"] == ended["credits_used"] == quote["credits"] == 4
    finally:
        world.operator.put("/v1/rates", {"country": "AU", "credits_per_part": rates["AU"]})
        eventually(lambda: business.ask.quote("Hello. STOP to opt out")["credits"] == quote["credits"])


def test_failed_messages_are_refunded_by_the_rule_of_the_business_after_the_send_has_closed(world: World) -> None:
    business = world.business(credits=100)
    world.operator.patch(f"/v1/tenants/{business.id}", {"failed_rule": "release"})
    business.customers(40)
    world.faults(undelivered_ratio=0.5, receipt_delay_ms=300)

    ended = business.ended(business.send())
    failed = business.progress(ended["id"])["undelivered"]

    assert 0 < failed < 40
    eventually(lambda: business.ask.bulk(ended["id"])["credits_refunded"] == failed)
    eventually(lambda: business.progress(ended["id"])["credits_refunded"] == failed)
    account = eventually(lambda: (seen := business.ask.credits())["available"] == 60 + failed and seen)
    assert (account["consumed"], account["conservation"]) == (40 - failed, 0)
