"""What the operator has suspended is not taken: a business, or everybody while the platform is stopped."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from muster.customer.handlers.facts import on_bulk_sms_controlled, on_suspension_changed
from muster.events import NIL_TENANT
from muster.events.v1.bulk_pb2 import CONTROL_PAUSE, CONTROL_RESUME, BulkSmsControlled
from muster.events.v1.suspensions_pb2 import SuspensionChanged

ROWS = "Ada,Lovelace,0411000001,yes\nAlan,Turing,0411000002,yes\n"


def word(tenant_id: UUID, version: int = 1, *, suspended: bool = True) -> SuspensionChanged:
    return SuspensionChanged(tenant_id=str(tenant_id), version=version, suspended=suspended, reason="a flood")


async def try_all(salon: Any, quote_id: str) -> list[Any]:
    """Every way to send."""
    bulk = {"quote_id": quote_id}
    return [
        await salon.ask("POST", "/v1/bulk-sms", bulk, Idempotency_Key=str(uuid4())),
        await salon.ask("POST", "/v1/messages", {"to": "0411000001", "text": "Hi"}),
    ]


@pytest.mark.parametrize(
    ("of_platform", "status", "code"), [(False, 409, "tenant_suspended"), (True, 503, "platform_stopped")]
)
async def test_new_sends_are_refused_with_the_reason_until_it_is_lifted(
    salon: Any, of_platform: bool, status: int, code: str
) -> None:
    await salon.load(ROWS)
    quoted = await salon.quote("Hello")
    subject = NIL_TENANT if of_platform else salon.tenant_id
    await salon.hear(on_suspension_changed, word(subject))

    refused = await try_all(salon, quoted["id"])
    bulks = await salon.count("bulk")
    again = await salon.quote("Hello again")
    await salon.hear(on_suspension_changed, word(subject, 2, suspended=False))
    await salon.hear(on_suspension_changed, word(subject, 1))

    assert [(one.status_code, one.json()["code"]) for one in refused] == [(status, code)] * 2
    assert all("a flood" in one.json()["detail"] for one in refused)
    assert bulks == 0
    assert again["recipients"] == 2, "a quote sends nothing"
    assert [one.status_code for one in await try_all(salon, quoted["id"])] == [202, 202]


async def test_another_business_s_suspension_is_not_one_s_own(salon: Any) -> None:
    await salon.load(ROWS)
    quoted = await salon.quote("Hello")
    await salon.hear(on_suspension_changed, word(salon.other_id))

    assert [one.status_code for one in await try_all(salon, quoted["id"])] == [202, 202]


async def test_a_send_that_paused_itself_says_why_until_it_is_resumed(salon: Any) -> None:
    await salon.load(ROWS)
    bulk_id = await salon.send((await salon.quote("Hello"))["id"])
    await salon.plan()
    who = {"tenant_id": str(salon.tenant_id), "bulk_id": bulk_id}

    await salon.hear(
        on_bulk_sms_controlled,
        BulkSmsControlled(**who, control_version=1, control=CONTROL_PAUSE, reason="error_rate"),
    )
    paused = await salon.bulk(bulk_id)
    await salon.hear(on_bulk_sms_controlled, BulkSmsControlled(**who, control_version=2, control=CONTROL_RESUME))

    assert (paused["state"], paused["problem"]["code"]) == ("paused", "error_rate")
    assert (await salon.bulk(bulk_id))["problem"] is None
