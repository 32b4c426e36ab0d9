"""Each handler over real PostgreSQL: neither order nor repetition matters, and lower versions change nothing."""

from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from report_world import (
    ACCEPTED,
    DELIVERED,
    EXPIRED,
    REJECTED,
    REJECTED_LATER,
    STOPPED,
    SUBMITTING,
    SUPPRESSED,
    UNDELIVERED,
    UNKNOWN,
    Send,
    recount,
    rows_of,
)

from muster.events.v1.replies_pb2 import ReplyReceived
from muster.kit.pg import Database
from muster.kit.testing import apply, received
from muster.report.handlers import HANDLERS


async def hear(db: Database, *messages: Any) -> None:
    """Each event in a transaction of its own."""
    for message in messages:
        await apply(db, HANDLERS[message.DESCRIPTOR.name], message)


async def state(db: Database) -> tuple[Any, Any]:
    """The rows of messages and sends without their numbers, which come from the order."""
    return await rows_of(db, "message", "tenant_id", "bulk_no"), await rows_of(
        db, "bulk", "tenant_id", "bulk_id", "bulk_no"
    )


def story(send: Send) -> list[Any]:
    return [
        send.dispatched([SUBMITTING] * 4, 1),
        send.dispatched([ACCEPTED, UNKNOWN, REJECTED, STOPPED], 2, at_ms=1_780_000_001_000),
        send.dispatched([ACCEPTED], 3, first=2, at_ms=1_780_000_002_000),
        send.receipts([UNDELIVERED], 1),
        send.receipts([DELIVERED, REJECTED_LATER], 2),
    ]


async def test_what_is_said_of_messages_gives_the_same_rows_in_every_order(db: Database) -> None:
    states = []
    for order in permutations(range(5)):
        send = Send()
        told = story(send)
        await hear(db, *(told[at] for at in order))
        states.append(send)
    messages = await rows_of(db, "message", "tenant_id")
    sends = await rows_of(db, "bulk", "tenant_id", "bulk_id")

    by_send: dict[int, list[Any]] = {}
    for row in messages:
        by_send.setdefault(row.pop("bulk_no"), []).append(row)
    told_rows = list(by_send.values())
    assert len(told_rows) == 120
    assert all(rows == told_rows[0] for rows in told_rows)
    assert [row["ended"] for row in sorted(told_rows[0], key=lambda row: row["seq"])] == [11, 4, 4, 5]
    assert all(row["counts"] == sends[0]["counts"] for row in sends)
    assert sends[0]["counts"] == [0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert {(row["first_at"], row["last_at"]) for row in sends} == {(sends[0]["first_at"], sends[0]["last_at"])}
    await recount(db)


async def test_events_heard_again_in_one_batch_or_later_change_nothing(db: Database) -> None:
    send = Send()
    dispatched, receipts = story(send)[:3], story(send)[3:]
    await hear(db, send.requested(4), *dispatched, *receipts)
    before = await state(db)

    await apply(db, HANDLERS["SmsStatusChanged"], *receipts, *reversed(receipts))
    await apply(db, HANDLERS["SmsDispatched"], *reversed(dispatched), *dispatched)
    await hear(db, send.requested(4))

    assert await state(db) == before
    await recount(db)


async def test_a_batch_with_several_words_on_a_message_keeps_the_highest_version(db: Database) -> None:
    first, second = Send(), Send()

    for send in (first, second):
        told = story(send)[:3]
        await apply(db, HANDLERS["SmsDispatched"], *(told if send is first else reversed(told)))

    rows = await rows_of(db, "message", "tenant_id", "bulk_no")
    assert [(row["seq"], row["left_state"]) for row in rows[::2]] == [
        (row["seq"], row["left_state"]) for row in rows[1::2]
    ]
    assert sorted((row["seq"], row["left_state"]) for row in rows[::2]) == [(1, 2), (2, 2), (3, 4), (4, 5)]
    await recount(db)


async def test_a_lower_or_the_same_version_changes_nothing(db: Database) -> None:
    send = Send()
    await hear(db, send.dispatched([ACCEPTED], 5), send.receipts([DELIVERED], 5), send.accounted(5, closed=True))
    before = await state(db)

    for version in (4, 5):
        await hear(
            db,
            send.dispatched([SUPPRESSED], version),
            send.receipts([EXPIRED], version),
            send.accounted(version, closed=False),
        )

    assert await state(db) == before


async def test_what_failed_messages_gave_back_stands_beside_the_send_and_rises_after_its_end(db: Database) -> None:
    send = Send()
    await hear(db, send.requested(2), send.dispatched([ACCEPTED, ACCEPTED]), send.accounted(1, closed=True))

    await hear(db, send.accounted(3, closed=True, refunded=2), send.accounted(2, closed=True, refunded=1))

    [row] = await rows_of(db, "bulk")
    assert (row["closed"], row["refunded"]) == (True, 2)


async def test_a_receipt_before_its_dispatch_is_counted_once(db: Database) -> None:
    send = Send()
    await hear(db, send.receipts([DELIVERED, EXPIRED]))
    await recount(db)

    await hear(db, send.dispatched([ACCEPTED, ACCEPTED]))

    await recount(db)
    [row] = await rows_of(db, "bulk")
    assert (row["counts"][11], row["counts"][13], sum(row["counts"])) == (1, 1, 2)


async def test_recipients_are_stored_once_and_a_send_is_what_was_requested(db: Database) -> None:
    send = Send()

    for _ in range(2):
        await hear(db, send.recipients([61491570156, 61491570157], ["hi Ann", "hi Bob"]), send.requested(2))

    [row] = await rows_of(db, "recipients")
    assert (row["seqs"], row["numbers"], row["customers"]) == ([1, 2], [61491570156, 61491570157], [901, 902])
    assert (row["texts"], row["text_index"]) == (["hi Ann", "hi Bob"], [0, 1])
    [bulk] = await rows_of(db, "bulk")
    assert (bulk["kind"], bulk["message_class"], bulk["sender"], bulk["recipients"]) == (1, 2, "Muster", 2)


async def test_a_reply_is_the_same_in_every_order_of_what_is_said_of_it(db: Database) -> None:
    send = Send()
    for order in permutations(range(3)):
        answers = send.answers(uuid4())
        await hear(db, *(answers[at] for at in order), *answers)

    rows = await rows_of(db, "reply", "inbound_id")

    assert len(rows) == 6
    assert all(row == rows[0] for row in rows)
    kept = {"bulk_id": send.bulk, "seq": 1, "verdict": 2, "opted_out": True, "text": "STOP"}
    assert rows[0] | kept == rows[0]


async def test_a_decision_about_an_unclear_reply_stands_in_whatever_order_it_is_heard(db: Database) -> None:
    for order in permutations(range(3)):
        written, unclear, _ = Send().answers(uuid4())
        decided = ReplyReceived()
        decided.CopyFrom(unclear)
        unclear.verdict, unclear.rule, decided.verdict, decided.rule = 5, "doubt", 1, "person"
        told = [written, unclear, decided]
        await hear(db, *(told[at] for at in order), *told)

    assert {(row["verdict"], row["rule"], row["text"]) for row in await rows_of(db, "reply")} == {(1, "person", "STOP")}


async def test_what_was_written_has_its_time_also_before_it_is_attributed(db: Database) -> None:
    written, _, opted = Send().answers(uuid4())

    await hear(db, opted, written)

    [row] = await rows_of(db, "reply")
    assert row["received_at"].timestamp() == written.received_at_unix_ms / 1000


async def test_a_reply_to_no_message_is_kept_without_one(db: Database) -> None:
    _, reply, _ = Send().answers(uuid4())
    reply.bulk_id, reply.seq = "", 0

    await hear(db, reply)

    [row] = await rows_of(db, "reply")
    assert (row["bulk_id"], row["seq"]) == (None, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        Send().dispatched([ACCEPTED], credits=[]),
        Send().dispatched([9]),
        Send().dispatched([99]),
        Send().receipts([6]),
        Send().dispatched([ACCEPTED], at_unix_ms=1 << 62),
    ],
)
async def test_what_would_break_the_counts_or_the_columns_is_refused_whole(db: Database, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"lengths|no end has the code|out of range"):
        await hear(db, wrong)

    assert await rows_of(db, "message") == []
    assert await rows_of(db, "bulk") == []


async def test_the_tenant_is_that_of_the_event(db: Database) -> None:
    send, tenant = Send(), uuid4()
    other = Send(tenant, send.bulk)
    await hear(db, send.dispatched([ACCEPTED]), other.dispatched([REJECTED]))

    async with db.request(tenant) as tx:
        rows = await tx.fetch("SELECT tenant_id, ended FROM message")

    assert [(UUID(str(row["tenant_id"])), row["ended"]) for row in rows] == [(tenant, 4)]
    assert received(send.requested(1)).tenant_id == send.tenant


@pytest.mark.parametrize("status", [0x45, 0x7FFFFFFF, 0x80000000, 0xF0000401, 0xFFFFFFFF])
async def test_any_status_that_a_carrier_can_write_is_kept(db: Database, status: int) -> None:
    await hear(db, Send().dispatched([REJECTED], error=[status]))

    [row] = await rows_of(db, "message")
    assert row["error"] & 0xFFFFFFFF == status
