"""The tenant's rules for messages that cost credits and failed, and for those of which nobody knows."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import dispatch_world as world
import httpx
import pytest
from dispatch_world import Send
from hypothesis import given
from hypothesis import strategies as st

from muster.dispatch.api import ROUTERS
from muster.dispatch.domain.receipts import Receipt, failures, refund
from muster.dispatch.domain.slots import Slot
from muster.dispatch.events import ChunkKey
from muster.dispatch.handlers import sweeps
from muster.dispatch.store import refunds
from muster.events import NIL_TENANT
from muster.events.v1.tenants_pb2 import (
    FAILED_RULE_CHARGE,
    FAILED_RULE_RELEASE,
    UNKNOWN_RULE_ASK,
    UNKNOWN_RULE_CHARGE,
)
from muster.kit.auth import Caller, Role
from muster.kit.ids import checked_uuid
from muster.kit.pg import Database
from muster.kit.testing import app_of, eventually
from muster.kit.tokens import TokenRefused
from muster.local.carrier.server import Carrier

TENANT, OTHER = uuid4(), uuid4()
CALLERS = {
    "operator": Caller(NIL_TENANT, "op", Role.OPERATOR, ""),
    "manager": Caller(TENANT, "mia", Role.MANAGER, ""),
    "staff": Caller(TENANT, "sam", Role.STAFF, ""),
    "other": Caller(OTHER, "ole", Role.ADMIN, ""),
}
LONG = "Our salon moves to the other side of the road. " * 8  # 3 parts
FAILED = (Receipt.UNDELIVERED, Receipt.EXPIRED, Receipt.REJECTED)


class Verifier:
    async def verify(self, token: str) -> Caller:
        if token not in CALLERS:
            raise TokenRefused("unknown")
        return CALLERS[token]


@pytest.fixture
async def http(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    app = app_of("dispatch", ROUTERS, {"db": db, "verifier": Verifier(), "settings": world.settings()})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dispatch") as client:
        yield client


# -- failed -----------------------------------------------------------------------------------------------------------


async def send_it(db: Database, carrier: Carrier, send: Send, rule: int) -> int:
    """Send, and wait for all receipts: how many parts have failed."""
    await world.queue(db, send)
    await world.hear(db, world.tenant(send, 2, failed_rule=rule))
    carrier.use(replace(carrier.options, undelivered_ratio=0.3, expired_ratio=0.2))
    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))
        await eventually(lambda: all_have_receipts(db, send))
    while await sweeps.refund_failed(db):
        pass
    async with db.worker() as tx:
        rows = await tx.fetch("SELECT receipts FROM chunk WHERE tenant_id = $1", send.tenant_id)
    return sum(failures(row["receipts"]) for row in rows)


async def all_have_receipts(db: Database, send: Send) -> bool:
    async with db.worker() as tx:
        rows = await tx.fetch("SELECT receipts FROM chunk WHERE tenant_id = $1", send.tenant_id)
    return all(row["receipts"] and 0 not in row["receipts"] for row in rows)


@pytest.mark.parametrize("text", ["Short", LONG])
async def test_failed_parts_are_refunded_by_the_rule_release_after_the_send_has_closed(
    db: Database, carrier: Carrier, text: str
) -> None:
    send = Send(recipients=120, chunk_size=50, price=2, text=text)

    failed = await send_it(db, carrier, send, FAILED_RULE_RELEASE)

    row = await world.saga(db, send)
    assert 0 < failed < 120 * send.parts
    assert (row["state"], row["refunded"], row["used"]) == ("closed", failed * 2, send.credits)
    told = await world.said(db, "BulkSmsAccounted")
    assert [one.refunded for one in told] == sorted(one.refunded for one in told)
    assert (told[-1].refunded, told[-1].used, told[-1].closed) == (failed * 2, send.credits, True)
    assert [one.version for one in told] == list(range(1, len(told) + 1))
    await world.assert_laws(db)


async def test_failed_messages_are_charged_by_default(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=60)

    failed = await send_it(db, carrier, send, FAILED_RULE_CHARGE)

    assert failed > 0
    assert (await world.saga(db, send))["refunded"] == 0
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM refund_due WHERE tenant_id IS NOT NULL") == 0


async def test_a_rule_changed_later_takes_no_refund_back_and_makes_none(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=60)
    failed = await send_it(db, carrier, send, FAILED_RULE_RELEASE)
    charged = Send(recipients=60, tenant_id=send.tenant_id, first_number=61_412_000_000)
    await world.hear(db, world.tenant(send, 3, failed_rule=FAILED_RULE_CHARGE))

    await world.hear(db, world.tenant(send, 4, failed_rule=FAILED_RULE_RELEASE))
    await world.hear(db, charged.requested(), charged.chunk(1), charged.reserved())
    assert not await sweeps.refund_failed(db)

    assert (await world.saga(db, send))["refunded"] == failed


slots_of_a_message = st.lists(
    st.tuples(st.sampled_from(list(Slot)), st.sampled_from(list(Receipt))), min_size=1, max_size=3
)


@given(st.lists(slots_of_a_message, min_size=1, max_size=6), st.integers(1, 5))
def test_a_refund_is_the_price_of_charged_parts_that_failed_and_final_once_all_of_them_have_an_outcome(
    messages: list[list[tuple[Slot, Receipt]]], rate: int
) -> None:
    parts = bytes(len(message) for message in messages)
    slots = bytes(slot for message in messages for slot, _ in message)
    receipts = bytes(receipt for message in messages for _, receipt in message)

    found = refund(parts, [count * rate for count in parts], slots, receipts)

    failed = [slot for slot, receipt in zip(slots, receipts, strict=True) if receipt in FAILED]
    assert found.credits == rate * sum(slot in (Slot.ACCEPTED, Slot.CHARGED) for slot in failed)
    assert found.final is not any(slot in (Slot.QUEUED, Slot.RETRY, Slot.UNKNOWN) for slot in failed)
    assert failures(receipts) == len(failed)


async def test_a_receipt_stored_before_its_outcome_is_refunded_when_the_outcome_is_known(db: Database) -> None:
    send = Send(recipients=3)
    await world.queue(db, send)
    await world.hear(db, world.tenant(send, 2, failed_rule=FAILED_RULE_RELEASE))
    async with db.worker() as tx:
        await tx.execute("UPDATE chunk SET receipts = '\\x020100' WHERE tenant_id = $1", send.tenant_id)
        await tx.execute(
            "INSERT INTO refund_due SELECT tenant_id, bulk_id, chunk FROM chunk WHERE tenant_id = $1", send.tenant_id
        )

    assert not await sweeps.refund_failed(db)
    async with db.worker() as tx:
        waits = await tx.fetchval("SELECT due_at > kit_now() FROM refund_due WHERE tenant_id = $1", send.tenant_id)
        await tx.execute(
            "UPDATE chunk SET slots = '\\x010101', used = 3, accepted = 3, open = 0 WHERE bulk_id = $1", send.bulk_id
        )
        await tx.execute("UPDATE refund_due SET due_at = kit_now() WHERE tenant_id = $1", send.tenant_id)
    assert not await sweeps.refund_failed(db)

    async with db.worker() as tx:
        assert await tx.fetchval("SELECT refunded FROM chunk WHERE tenant_id = $1", send.tenant_id) == 1
        assert await tx.fetchval("SELECT count(*) FROM refund_due WHERE tenant_id = $1", send.tenant_id) == 0
    assert waits


async def test_a_chunk_that_somebody_holds_is_counted_later_and_keeps_no_other_waiting(db: Database) -> None:
    held, free = Send(recipients=3), Send(recipients=3, first_number=61_412_000_000)
    for send in (held, free):
        await world.queue(db, send)
        await world.hear(db, world.tenant(send, 2, failed_rule=FAILED_RULE_RELEASE))
        async with db.worker() as tx:
            await tx.execute(
                "UPDATE chunk SET receipts = '\\x020102', slots = '\\x010101', used = 3, accepted = 3, open = 0"
                " WHERE bulk_id = $1",
                send.bulk_id,
            )
            await refunds.add_due(tx, [ChunkKey(send.tenant_id, send.bulk_id, 1)])

    async with db.worker() as holder:
        await holder.execute("SELECT FROM chunk WHERE bulk_id = $1 FOR UPDATE", held.bulk_id)
        await sweeps.refund_failed(db)
        assert (await refunded(db, held), await refunded(db, free)) == (0, 2)
    await sweeps.refund_failed(db)

    assert (await refunded(db, held), await refunded(db, free)) == (2, 2)


async def refunded(db: Database, send: Send) -> int:
    async with db.worker() as tx:
        found: int = await tx.fetchval("SELECT refunded FROM chunk WHERE bulk_id = $1", send.bulk_id)
    return found


# -- unknown ----------------------------------------------------------------------------------------------------------


async def with_unknowns(db: Database, carrier: Carrier, rule: int, recipients: int = 30) -> Send:
    """A send of whose messages the first ten are unknown."""
    send = Send(recipients=recipients, tenant_id=TENANT, price=2)
    await world.queue(db, send)
    await world.hear(db, world.tenant(send, 2, unknown_rule=rule))
    carrier.use(replace(carrier.options, response_delay_ms=10_000, receipt_loss=1.0))
    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=10)) as running:
        await eventually(lambda: submitted(carrier, 10))
        await running.kill()
    await sweeps.recover_account(db, "smpp", every=True)
    carrier.use(replace(carrier.options, response_delay_ms=0))
    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(lambda: nothing_open(db, send))
    return send


async def submitted(carrier: Carrier, count: int) -> bool:
    return len(carrier.stats.by_destination) >= count


async def nothing_open(db: Database, send: Send) -> bool:
    row = await world.saga(db, send)
    return bool(row["account_version"]) and row["held"] + row["used"] == row["reserved"]


async def ask(http: httpx.AsyncClient, send: Send, caller: str = "manager", **query: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {caller}"}
    return await http.get(f"/v1/bulk-sms/{send.bulk_id}/unknown", headers=headers, params=query)


async def say(
    http: httpx.AsyncClient, send: Send, answer: str, caller: str = "manager", key: str = ""
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {caller}", "Idempotency-Key": key or str(uuid4())}
    return await http.post(f"/v1/bulk-sms/{send.bulk_id}/unknown", headers=headers, json={"answer": answer})


@pytest.mark.parametrize(("answer", "used"), [("charge", 60), ("release", 40)])
async def test_who_is_asked_sees_what_is_unknown_and_their_answer_settles_it(
    db: Database, carrier: Carrier, http: httpx.AsyncClient, answer: str, used: int
) -> None:
    send = await with_unknowns(db, carrier, UNKNOWN_RULE_ASK)

    asked = (await ask(http, send, "staff")).json()
    assert (asked["rule"], asked["answer"], asked["messages"], asked["credits"]) == ("ask", None, 10, 20)
    assert [(one["seq"], one["parts"], one["credits"]) for one in asked["items"]] == [(at, 1, 2) for at in range(1, 11)]
    assert asked["answer_until"] > asked["items"][0]["submitted_at"]

    said = await say(http, send, answer, key="one-answer-only")
    again = await say(http, send, answer, key="one-answer-only")
    assert (said.status_code, said.json()) == (200, again.json())
    assert not await sweeps.settle_answered(db)

    row = await world.saga(db, send)
    assert (row["state"], row["used"], row["released"], row["held"]) == ("closed", used, 60 - used, 0)
    assert (await ask(http, send)).json()["answer"] == answer
    acts = [act for act in await world.said(db, "ActRecorded") if act.act == f"bulk-sms.unknown-{answer}d"]
    assert [(act.subject_id, act.user_id) for act in acts] == [(str(send.bulk_id), "mia")]
    other = "release" if answer == "charge" else "charge"
    refused = await say(http, send, other)
    assert (refused.status_code, refused.json()["code"], refused.json()["answer"]) == (409, "already_answered", answer)
    await world.assert_laws(db)


async def test_unknown_messages_come_in_pages(db: Database, carrier: Carrier, http: httpx.AsyncClient) -> None:
    send = await with_unknowns(db, carrier, UNKNOWN_RULE_ASK)

    seen, cursor = [], None
    while True:
        page = (await ask(http, send, limit=4, **({"cursor": cursor} if cursor else {}))).json()
        seen.append([one["seq"] for one in page["items"]])
        if (cursor := page["next_cursor"]) is None:
            break

    assert seen == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


async def test_what_nobody_answered_is_released_when_it_comes_of_age_and_then_takes_no_answer(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    silent = await with_unknowns(db, carrier, UNKNOWN_RULE_ASK)
    assert not await sweeps.settle_unknowns(db, 0.0)
    assert await world.money(db, silent) == (60, 40, 20, 0)

    assert (await say(http, silent, "charge")).json()["code"] == "nothing_unknown"


async def test_an_answer_that_is_not_asked_for_not_theirs_or_no_answer_is_refused_and_changes_nothing(
    db: Database, carrier: Carrier, http: httpx.AsyncClient
) -> None:
    send = await with_unknowns(db, carrier, UNKNOWN_RULE_CHARGE)

    assert (await say(http, send, "release")).json()["code"] == "not_asked"
    assert (await say(http, send, "release", "staff")).status_code == 403
    assert (await say(http, send, "release", "operator")).status_code == 403
    assert (await say(http, send, "release", "other")).status_code == 404
    assert (await ask(http, send, "other")).status_code == 404
    wrong = await say(http, send, "maybe")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "answer")
    strange = replace(send)
    strange.bulk_id = checked_uuid(world.ID_KEY, OTHER)
    assert (await say(http, strange, "charge")).status_code == 404
    assert await world.money(db, send) == (60, 40, 0, 20)
    assert not await sweeps.settle_unknowns(db, 0.0)
    assert await world.money(db, send) == (60, 60, 0, 0)
