"""The audit log: what is heard is kept, once, for good, and shown to whom it concerns."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from muster.events import NIL_TENANT
from muster.events.v1.audit_pb2 import ActRecorded
from muster.events.v1.checks_pb2 import (
    CHECK_STATUS_OVERRIDDEN,
    CHECK_STATUS_PASSED,
    BulkSmsChecked,
)
from muster.kit.consumer import Poison
from muster.kit.testing import apply, facts, received, run_twice
from muster.tenant import handlers


def act(tenant_id: object, at_unix_ms: int = 1_700_000_000_000, **members: str) -> ActRecorded:
    values = {"act": "bulk-sms.stopped", "user_id": "u", "role": "admin", "service": "dispatch", **members}
    return ActRecorded(tenant_id=str(tenant_id), at_unix_ms=at_unix_ms, **values)


async def test_an_act_heard_twice_is_kept_once(service: Any, business: Any) -> None:
    await run_twice(service.db, handlers.on_act_recorded, act(business.id), act(business.id, 1_700_000_000_001))
    items = (await service.call(business.token, "GET", "/v1/audit")).json()["items"]
    assert [item["at"] for item in items] == ["2023-11-14T22:13:20.001000Z", "2023-11-14T22:13:20Z"]
    assert items[0]["act"] == "bulk-sms.stopped"


async def test_who_overrode_what_a_law_blocks_is_in_the_log_and_a_send_that_passed_is_not(
    service: Any, business: Any
) -> None:
    passed = BulkSmsChecked.Check(check="consent", country="AU", status=CHECK_STATUS_PASSED, recipients=3)
    overridden = BulkSmsChecked.Check(check="consent", country="US", status=CHECK_STATUS_OVERRIDDEN, recipients=2)
    said = {"tenant_id": str(business.id), "user_id": "ada", "role": "admin", "confirmed_at_unix_ms": 1_700_000_000_000}
    messages = [BulkSmsChecked(**said, bulk_id="b1", checks=[passed])]
    messages.append(BulkSmsChecked(**said, bulk_id="b2", checks=[passed, overridden]))
    await run_twice(service.db, handlers.on_bulk_sms_checked, *messages)
    [item] = (await service.call(business.token, "GET", "/v1/audit")).json()["items"]
    told = (item["act"], item["user_id"], item["role"], item["subject_id"], item["reason"])
    assert told == ("bulk-sms.checks-overridden", "ada", "admin", "b2", "consent (US)")
    broken = BulkSmsChecked(**{**said, "tenant_id": "nobody"}, checks=[overridden])
    event = received(messages[1])
    with pytest.raises(Poison):
        await apply(
            service.db,
            handlers.on_bulk_sms_checked,
            type(event)(**{name: getattr(event, name) for name in event.__slots__} | {"message": broken}),
        )


async def test_acts_come_in_pages_and_only_the_own_ones(service: Any, operator: str, business: Any) -> None:
    mine = [act(business.id, 1_700_000_000_000 + second // 2) for second in range(5)]
    await apply(service.db, handlers.on_act_recorded, *mine, act(uuid4()), act(NIL_TENANT))
    seen, path = [], "/v1/audit?limit=2"
    while path:
        page = (await service.call(business.token, "GET", path)).json()
        seen += [item["id"] for item in page["items"]]
        path = f"/v1/audit?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert len(set(seen)) == len(seen) == 5
    of_tenant = await service.call(operator, "GET", f"/v1/audit?tenant_id={business.id}&limit=500")
    assert {item["id"] for item in of_tenant.json()["items"]} == set(seen)
    assert len((await service.call(operator, "GET", "/v1/audit")).json()["items"]) == 1


async def test_acts_are_found_by_who_did_what_to_what_and_when(service: Any, business: Any) -> None:
    began, hour = 1_700_000_000_000, 3_600_000
    unlike = [{"user_id": "ann"}, {"act": "customer.added"}, {"subject_id": "other"}]
    told = [act(business.id, began + place * hour, **one) for place, one in enumerate(unlike)]
    await apply(service.db, handlers.on_act_recorded, *told)

    async def found(query: str) -> list[int]:
        items = (await service.call(business.token, "GET", f"/v1/audit?{query}")).json()["items"]
        moments = [datetime.fromisoformat(item["at"]).timestamp() * 1_000 for item in items]
        return sorted(int(at - began) // hour for at in moments)

    assert await found("user_id=ann") == [0]
    assert await found("act=customer.added") == [1]
    assert await found("subject_id=other") == [2]
    assert await found("from=2023-11-14T23:00:00Z&to=2023-11-15T00:00:00Z") == [1]
    assert await found("user_id=ann&act=customer.added") == []
    backwards = await service.call(business.token, "GET", "/v1/audit?from=2023-11-15T00:00:00Z&to=2023-11-14T00:00:00Z")
    assert (backwards.status_code, backwards.json()["errors"][0]["field"]) == (422, "to")


async def test_nobody_can_change_or_delete_an_act(service: Any, business: Any) -> None:
    await apply(service.db, handlers.on_act_recorded, act(business.id))
    for statement in ("UPDATE act SET act = 'x'", "DELETE FROM act"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with service.db.worker() as tx:
                await tx.execute(statement)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with service.db.request(business.id) as tx:
                await tx.execute(statement)


@pytest.mark.parametrize(
    "message", [act("nobody"), act(uuid4(), act=""), act(uuid4(), at_unix_ms=10**17)], ids=["tenant", "act", "time"]
)
async def test_an_act_that_cannot_be_is_poison(service: Any, message: ActRecorded) -> None:
    event = received(act(uuid4()))
    broken = type(event)(**{name: getattr(event, name) for name in event.__slots__} | {"message": message})
    with pytest.raises(Poison):
        await apply(service.db, handlers.on_act_recorded, broken)


async def test_settings_changed_lately_are_said_again_with_the_same_version(service: Any, business: Any) -> None:
    async with service.db.worker() as tx:
        assert await handlers.say_again(tx, 3_600) == 1
        first, again = await facts(tx, "TenantChanged")
    assert again.message == first.message
    assert again.event_id != first.event_id
    async with service.db.worker() as tx:
        assert await handlers.say_again(tx, 0) == 0
