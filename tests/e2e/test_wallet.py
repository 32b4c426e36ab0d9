"""Money on real processes: two people, a payment provider's calls, caps, an alert, and a reseller's transfer."""

import base64
import hmac
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from e2e_world import Business, World, eventually

from muster.client import ApiError, Connection, Muster
from muster.client.commands.laws import settled_laws

pytestmark = pytest.mark.e2e

LARGE = 30_000_000


def told(world: World, kind: str, data: dict[str, Any], secret: str = "") -> httpx.Response:
    """A signed call of the payment provider, through the public address."""
    body = json.dumps({"type": f"payment.{kind}", "timestamp": datetime.now(UTC).isoformat(), "data": data}).encode()
    key = base64.b64decode((secret or world.run["payment_webhook_secret"]).removeprefix("whsec_"))
    call, at = str(uuid.uuid4()), str(int(time.time()))
    signature = base64.b64encode(hmac.digest(key, f"{call}.{at}.".encode() + body, "sha256")).decode()
    headers = {"webhook-id": call, "webhook-timestamp": at, "webhook-signature": f"v1,{signature}"}
    return world.http.post(f"{world.run['url']}/v1/credits/payments/webhook", content=body, headers=headers)


def letters(world: World, business: Business) -> list[str]:
    return [one["subject"] for one in world.http.get(world.run["mail_url"]).json() if one["to"] == business.reception]


def test_a_large_top_up_is_granted_by_two_people(world: World) -> None:
    business = world.business(credits=0)
    asked = world.operator.top_up(business.id, LARGE, reason="year", reference="INV 1")
    assert business.ask.credits()["granted"] == 0

    with pytest.raises(ApiError) as refused:
        world.operator.decide_top_up(business.id, asked["id"], "confirmation")
    who = world.run["second_operator"]
    with Muster(Connection(world.run["url"], who["client_id"], who["client_secret"])) as second:
        granted = second.decide_top_up(business.id, asked["id"], "confirmation")

    assert (refused.value.status, granted["available"]) == (403, LARGE)
    acts = [(one["act"], one["user_id"]) for one in eventually(lambda: _acts(business, 2))]
    assert [act for act, _ in acts] == ["top-up.confirmed", "top-up.asked"]
    assert acts[0][1] != acts[1][1]


def _acts(business: Business, count: int) -> list[dict[str, Any]]:
    found = [one for one in business.ask.pages("/v1/audit") if one["subject_kind"] == "top-up"]
    return found if len(found) == count else []


def test_a_payment_pays_for_a_send_and_a_chargeback_blocks_the_next_one(world: World) -> None:
    business = world.business(credits=0)
    currency = "XTS"  # the code that ISO 4217 keeps for tests
    world.operator.post("/v1/credits/prices", {"currency": currency, "minor_units": 10, "credits": 1})
    payment = {"tenant_id": business.id, "payment_id": f"pay_{uuid.uuid4()}", "amount": 50, "currency": currency}

    eventually(lambda: told(world, "succeeded", payment).status_code == 200)  # the ledger hears of a new tenant in time
    answers = [told(world, "succeeded", payment) for _ in range(3)]
    forged = told(world, "succeeded", payment, "whsec_" + base64.b64encode(bytes(32)).decode())

    assert [answer.json() for answer in answers] == [{"outcome": "granted", "credits": 5}] * 3
    assert forged.status_code == 401
    business.customers(4)
    eventually(lambda: business.ask.quote("Hi")["recipients"] == 4)
    assert business.ended(business.send("Hi"))["state"] == "closed"
    assert told(world, "disputed", {**payment, "return_id": "re_1"}).json() == {"outcome": "taken_back", "credits": 5}
    account = business.ask.credits()
    assert (account["granted"], account["owed"], account["available"], account["consumed"]) == (0, 4, 0, 4)
    refused = _refused(business, business.send("Hi again"))
    assert (refused["state"], refused["problem"]["reason"]) == ("refused", "owed")
    assert {law.name: law.violation_count for law in settled_laws(world.operator, 30) if law.violation_count} == {}


def test_a_cap_refuses_and_a_transfer_brings_credits_low_which_is_told_once(world: World) -> None:
    reseller, shop = world.business(credits=100), world.business(credits=0)
    world.operator.patch(f"/v1/tenants/{shop.id}", {"parent_id": reseller.id})
    reseller.customers(3)
    reseller.ask.change_wallet(daily_cap=2, alert_below=50)
    eventually(lambda: reseller.ask.quote("Hi")["recipients"] == 3)

    refused = _refused(reseller, reseller.send("Hi"))
    moved = eventually(lambda: _moved(reseller, shop))

    assert (refused["state"], refused["problem"]["reason"], refused["problem"]["shortfall"]) == ("refused", "capped", 1)
    assert (moved["available"], shop.ask.credits()["available"]) == (40, 60)
    subject = "Your SMS credits are low"
    eventually(lambda: subject in letters(world, reseller))
    reseller.ask.transfer(reseller.id, shop.id, 10, reason="more")
    world.operator.top_up(reseller.id, 100, reason="test", reference="")
    reseller.ask.transfer(reseller.id, shop.id, 100, reason="more")
    eventually(lambda: letters(world, reseller).count(subject) == 2)


def _moved(reseller: Business, shop: Business) -> dict[str, Any] | None:
    """credit-svc hears of the relation a moment later than it is made."""
    try:
        return reseller.ask.transfer(reseller.id, shop.id, 60, reason="month", key="first")
    except ApiError as refused:
        if refused.status != 404:
            raise
        return None


def _refused(business: Business, bulk_id: str) -> dict[str, Any]:
    """A send once it was refused: it has no report."""
    eventually(lambda: business.state(bulk_id) == "refused")
    return dict(business.ask.bulk(bulk_id))
