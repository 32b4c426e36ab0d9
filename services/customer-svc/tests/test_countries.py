"""A business texts the countries that it sends to, and no other, by whatever way."""

from typing import Any
from uuid import uuid4

import pytest

from muster.customer.domain.tariff import Reach, Route, Tariff
from muster.customer.handlers import facts as handlers
from muster.events.v1.recipients_pb2 import ANSWER_REASON_PERSON, AnswerRequested
from muster.events.v1.tenants_pb2 import TenantChanged

HEADER = "first name,last name,mobile,mobile 2,allow bulk sms"
ROWS = (
    "Ada,AU,0412000001,,yes\n"
    "Bob,NZ,+6421123456,,yes\n"
    "Cleo,NZ and AU,+6421123457,0412000002,yes\n"
    "Dan,none,,,yes\n"
    "Eve,US,+12015550123,,yes\n"
    "Fay,NZ,+6421123458,,no\n"
)


async def set_countries(salon: Any, *countries: str, version: int = 2) -> None:
    settings = {"name": "Salon", "country": "AU", "time_zone": "UTC", "sender": "+61400000000"}
    event = TenantChanged(tenant_id=str(salon.tenant_id), version=version, countries=countries, **settings)
    await salon.hear(handlers.on_tenant_changed, event)


@pytest.mark.parametrize(
    ("countries", "by_country", "not_allowed", "not_textable"),
    [
        ((), {"AU": 2}, 2, 1),
        (("AU", "NZ"), {"AU": 1, "NZ": 2}, 1, 1),
        (("NZ",), {"NZ": 2}, 2, 1),
        (("AU", "US"), {"AU": 2}, 1, 2),
        (("*",), {"AU": 1, "NZ": 2}, 0, 2),
    ],
)
async def test_who_has_no_number_of_an_allowed_country_is_left_out_as_not_allowed(
    salon: Any, countries: tuple[str, ...], by_country: dict[str, int], not_allowed: int, not_textable: int
) -> None:
    await set_countries(salon, *countries)
    await salon.load(ROWS, HEADER)

    quote = await salon.quote("Hello")

    assert quote["by_country"] == by_country
    assert (quote["left_out"]["not_allowed"], quote["left_out"]["not_textable"]) == (not_allowed, not_textable)
    assert [one["message"][:10] for one in quote["warnings"]] == [f"{not_allowed} left out"] * bool(not_allowed)
    assert quote["left_out"]["no_consent"] == 1, "the first reason counts"
    assert quote["recipients"] + sum(quote["left_out"].values()) == quote["customers"] == 6
    bulk_id = await salon.send(quote["id"])
    await salon.plan()
    bulk = await salon.bulk(bulk_id)
    assert (bulk["left_out"], bulk["recipients"]) == (quote["left_out"], quote["recipients"])
    texted = {str(n)[:2] for one in await salon.said("BulkRecipientsAttached") for n in one.message.number}
    assert texted == {{"AU": "61", "NZ": "64"}[country] for country in by_country}


async def test_a_quote_pins_the_countries_that_were_allowed(salon: Any) -> None:
    await set_countries(salon, "AU", "NZ")
    await salon.load(ROWS, HEADER)
    quote = await salon.quote("Hello")

    await set_countries(salon, "AU", version=3)
    bulk_id = await salon.send(quote["id"])
    await salon.plan()

    assert (await salon.bulk(bulk_id))["recipients"] == quote["recipients"] == 3
    assert (await salon.quote("Hello"))["recipients"] == 2


async def test_a_message_to_a_country_that_is_not_allowed_is_refused(salon: Any) -> None:
    await set_countries(salon)
    abroad = {"to": "+6421123456", "text": "Hi"}

    refused = await salon.ask("POST", "/v1/messages", abroad)
    await set_countries(salon, "AU", "NZ", version=3)
    taken = await salon.ask("POST", "/v1/messages", abroad)

    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "not_allowed")
    assert taken.status_code == 202


async def test_an_answer_to_a_country_that_is_not_allowed_is_not_sent(salon: Any) -> None:
    await set_countries(salon)
    handler = handlers.handlers(bytes(32))["AnswerRequested"]
    who = {"tenant_id": str(salon.tenant_id), "number_hash": b"h" * 17, "text": "Yes", "reason": ANSWER_REASON_PERSON}

    await salon.hear(handler, AnswerRequested(answer_id=str(uuid4()), number="+6421123456", **who))
    assert await salon.said("BulkSmsRequested") == []

    await salon.hear(handler, AnswerRequested(answer_id=str(uuid4()), number="+61412000001", **who))
    assert len(await salon.said("BulkSmsRequested")) == 1


def test_a_tariff_within_countries_reaches_no_other_whatever_rates_and_routes_there_are() -> None:
    everywhere = Tariff({"*": 3, "AU": 1}, [Route("all", (), 8)])
    within = everywhere.within(["AU", "NZ"])

    assert within.reach == Reach(("AU", "NZ"), (), others=False, allowed=("AU", "NZ"))
    assert within.destination("NZ").credits_per_part == 3
    with pytest.raises(KeyError):
        within.destination("US")
    assert Tariff.unpin(within.pinned()).reach == within.reach
    assert within.within(None).reach == everywhere.reach


@pytest.mark.parametrize("number", [611900654321, 6421123456])
async def test_a_send_to_a_number_that_is_premium_or_of_another_country_now_is_refused_when_it_is_planned(
    salon: Any, number: int
) -> None:
    await salon.load("Ada,AU,0412000001,,yes\nBob,AU,0412000002,,yes\n", HEADER)
    bulk_id = await salon.send((await salon.quote("Hello"))["id"])
    async with salon.db.worker() as tx:
        sql = (
            "UPDATE customer_number SET number = $1 WHERE tenant_id = $2 AND number = 61412000002 RETURNING customer_id"
        )
        customer_id = await tx.fetchval(sql, number, salon.tenant_id)

    await salon.plan()

    refused = await salon.bulk(bulk_id)
    assert (refused["state"], refused["problem"]["code"]) == ("refused", "number_astray")
    assert refused["problem"]["customer_ids"] == [customer_id]
    assert await salon.said("BulkSmsRequested", "BulkRecipientsAttached") == []
